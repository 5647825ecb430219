//! Files on their way into the volume: written where no reader looks, then made visible in one step.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, OFlags, RenameFlags, XattrFlags};
use rustix::io::Errno;

use super::capabilities::{Capabilities, Capability};
use super::record::{ATTRIBUTE, Record};
use super::tree::{Directory, FILE_MODE};
use crate::backend::Error;

/// A file that no key leads to yet. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) file: File,
    can: Capabilities,
    /// The directory and name it has, unless it is anonymous.
    name: Option<(Arc<Directory>, String)>,
    /// Where it was before it was published, if whoever lent it goes on with it when publishing fails.
    home: Option<(Arc<Directory>, String)>,
    /// What is to be remembered of it apart from the file, once its key is known.
    pub(super) record: Option<Record>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some((directory, name)) = self.name.take()
            && let Err(error) = directory.remove_file(&name)
        {
            tracing::debug!(%error, "cannot remove a temporary file; the next start will");
        }
    }
}

impl Staged {
    /// Makes an empty file. `name` is used where the file system has no files without one.
    pub(super) fn new(
        can: Capabilities,
        temporary: &Arc<Directory>,
        name: impl FnOnce() -> String,
    ) -> io::Result<Self> {
        if can.has(Capability::AnonymousFiles) {
            return Ok(Self::linking(open_anonymous(temporary)?.into(), can));
        }
        let name = name();
        let mut staged = Self::linking(temporary.create_file(&name)?, can);
        staged.name = Some((Arc::clone(temporary), name));
        Ok(staged)
    }

    /// Takes a file over that has a name already; publishing it moves it.
    pub(super) fn adopt(
        file: File,
        directory: Arc<Directory>,
        name: String,
        can: Capabilities,
    ) -> Self {
        let mut staged = Self::linking(file, can);
        staged.name = Some((Arc::clone(&directory), name.clone()));
        staged.home = Some((directory, name));
        staged
    }

    /// Publishing gives the file one more name.
    pub(super) fn linking(file: File, can: Capabilities) -> Self {
        Self {
            file,
            can,
            name: None,
            home: None,
            record: None,
        }
    }

    /// Gives a file that was taken over the name again that it had before. To be called while it still has another.
    pub(super) fn take_home(&mut self) {
        let Some((directory, name)) = self.home.clone() else {
            return;
        };
        match self.link(&directory, &name) {
            Ok(()) => self.name = Some((directory, name)),
            Err(error) => tracing::warn!(%error, "cannot give a file its former name back"),
        }
    }

    /// Lets go of the file without removing its name.
    pub(super) fn release(mut self) {
        self.name = None;
    }

    fn link(&self, directory: &Directory, name: &str) -> io::Result<()> {
        if self.can.has(Capability::Links) {
            link(&self.file, directory, name)
        } else {
            Err(Errno::OPNOTSUPP.into())
        }
    }

    /// Gives the file the name `name` in `directory`, where there must be none: `AlreadyExists` otherwise. The name is
    /// durable after [`Directory::sync`].
    pub(super) fn publish_new(&mut self, directory: &Directory, name: &str) -> io::Result<()> {
        let Some((from, old)) = &self.name else {
            return self.link(directory, name);
        };
        if self.can.has(Capability::RenameNew) {
            let flags = RenameFlags::NOREPLACE;
            rustix::fs::renameat_with(from, old, directory, name, flags)?;
        } else if self.can.has(Capability::Links) {
            // A second name that must be new, then one fewer.
            rustix::fs::linkat(from, old, directory, name, AtFlags::empty())?;
            from.remove_file(old)?;
        } else {
            // Whoever publishes holds the lock of the key: nobody but a person makes the name now.
            if directory.has(name)? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            rustix::fs::renameat(from, old, directory, name)?;
        }
        self.name = None;
        Ok(())
    }

    /// Gives the file the name `name` in `directory`, in place of the file that has it: readers see one or the other.
    pub(super) fn publish_over(
        &mut self,
        directory: &Directory,
        name: &str,
        temporary: &Arc<Directory>,
        temporary_name: impl FnOnce() -> String,
    ) -> io::Result<()> {
        if self.name.is_none() {
            let between = temporary_name();
            self.link(temporary, &between)?;
            self.name = Some((Arc::clone(temporary), between));
        }
        if let Some((from, old)) = &self.name {
            rustix::fs::renameat(from, old, directory, name)?;
        }
        self.name = None;
        Ok(())
    }
}

pub(super) fn open_anonymous(directory: &Directory) -> Result<rustix::fd::OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    rustix::fs::openat(directory, c".", flags, FILE_MODE)
}

/// Gives an open file one more name.
pub(super) fn link(file: &File, directory: &Directory, name: &str) -> io::Result<()> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(
        CWD,
        path,
        directory,
        name,
        AtFlags::SYMLINK_FOLLOW,
    )?)
}

/// Writes the record of a file. It is durable after an fsync, not an fdatasync, of the file.
pub(super) fn set_record(file: &File, record: &Record) -> Result<(), Error> {
    let bytes = record.to_bytes();
    rustix::fs::fsetxattr(file, ATTRIBUTE, &bytes, XattrFlags::empty()).map_err(|error| match error
    {
        // ext4 keeps the attributes of a file in one block and says so with any of these.
        Errno::NOSPC | Errno::TOOBIG | Errno::RANGE if bytes.len() > 3000 => {
            Error::MetadataTooLarge { bytes: bytes.len() }
        }
        error => Error::io("writing the record of the object")(error.into()),
    })
}

/// Returns the bytes of a file's record, nothing if it has none.
pub(super) fn get_record(file: impl AsFd) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0_u8; 1024];
    loop {
        match rustix::fs::fgetxattr(&file, ATTRIBUTE, buffer.as_mut_slice()) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(Some(buffer));
            }
            Err(Errno::RANGE) if buffer.len() < 64 * 1024 => buffer.resize(64 * 1024, 0),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// Publishes twice under one name and returns what is there, and how many names are left beside it.
    fn publish_twice(lacking: &[Capability]) -> (String, usize) {
        let volume = tempfile::tempdir().unwrap();
        let root = Directory::open_root(volume.path()).unwrap();
        let temporary = Arc::new(root.make("tmp").unwrap());
        let can = Capabilities::probe(&temporary, lacking).unwrap();
        let target = root.make("target").unwrap();
        let stage = |text: &str| {
            let staged = Staged::new(can, &temporary, || text.to_owned()).unwrap();
            (&staged.file).write_all(text.as_bytes()).unwrap();
            staged
        };
        stage("first").publish_new(&target, "object").unwrap();
        let again = stage("second").publish_new(&target, "object").unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        stage("third")
            .publish_over(&target, "object", &temporary, || "between".to_owned())
            .unwrap();
        drop(stage("never published"));
        let mut text = String::new();
        target
            .open_file("object")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        (text, temporary.names().unwrap().len())
    }

    #[test]
    fn files_are_published_alike_whatever_the_file_system_can_do() {
        use Capability::{AnonymousFiles, Links, RenameNew};
        for lacking in [
            &[][..],
            &[AnonymousFiles],
            &[AnonymousFiles, RenameNew],
            &[Links],
            &[Links, RenameNew],
        ] {
            assert_eq!(
                publish_twice(lacking),
                ("third".to_owned(), 0),
                "{lacking:?}"
            );
        }
    }
}
