//! The one step from what a key held to what it holds next, and back again where that cannot be made durable.
//!
//! While the step is taken the old bytes have a second name, the [`Spare`]. A disk that fails to confirm the step makes
//! the request fail, and the key holds again what it held: a writer who was told of an error does not find its object
//! later. The way back may fail too, most of all where the file system has turned read-only; then readers see the new
//! object until the restart shows which of the two the disk has. Everything here blocks.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::stage::Staged;
use super::tree::Directory;
use super::volume::Volume;

/// A second name of the old bytes, among the temporary files. Dropping it removes it.
pub(super) struct Spare {
    directory: Arc<Directory>,
    name: String,
}

impl Drop for Spare {
    fn drop(&mut self) {
        match self.directory.remove_file(&self.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, "cannot remove a temporary name; the next start will");
            }
            _ => {}
        }
    }
}

impl Spare {
    /// Gives the bytes the name `name` in `directory` again, in place of whatever has it now.
    fn put_back(&self, directory: &Directory, name: &str) -> io::Result<()> {
        rustix::fs::renameat(&*self.directory, self.name.as_str(), directory, name)?;
        directory.sync()
    }
}

impl Spare {
    /// The same for one whose key others may have written since. What cannot be put back is reported.
    pub(super) fn put_back_unless_taken(&self, directory: &Directory, name: &str) {
        let flags = RenameFlags::NOREPLACE;
        let back =
            rustix::fs::renameat_with(&*self.directory, self.name.as_str(), directory, name, flags);
        match back {
            Err(Errno::EXIST) => {}
            Err(Errno::INVAL | Errno::NOSYS) if matches!(directory.has(name), Ok(false)) => {
                report(self.put_back(directory, name));
            }
            back => report(
                back.map_err(io::Error::from)
                    .and_then(|()| directory.sync()),
            ),
        }
    }
}

impl Volume {
    /// Writes a small file of ours, in place of one of that name. Durable when it returns, undone when it fails.
    pub(super) fn write_file(
        &self,
        directory: &Directory,
        name: &str,
        bytes: &[u8],
    ) -> io::Result<()> {
        let mut staged = self.stage()?;
        staged.file.write_all(bytes)?;
        staged.file.sync_all()?;
        let old = match directory.open_file(name) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        self.switch(directory, name, old.as_ref(), &mut staged)
    }

    /// Makes `staged` the file `name` of `directory` in place of `old`. Durable when it returns, undone when it fails.
    pub(super) fn switch(
        &self,
        directory: &Directory,
        name: &str,
        old: Option<&File>,
        staged: &mut Staged,
    ) -> io::Result<()> {
        let spare = match old {
            None => {
                staged.publish_new(directory, name)?;
                None
            }
            Some(old) => {
                let spare = self.spare(old);
                staged.publish_over(directory, name, &self.temporary, || self.sources.id())?;
                spare
            }
        };
        let Err(error) = directory.sync() else {
            return Ok(());
        };
        staged.take_home();
        let undone = match (old, spare) {
            (None, _) => directory.remove_file(name).and_then(|()| directory.sync()),
            (Some(_), Some(spare)) => spare.put_back(directory, name),
            (Some(_), None) => Err(io::ErrorKind::Unsupported.into()),
        };
        report(undone);
        Err(error)
    }

    /// Takes the file `name` out of `directory`. Durable when it returns, undone when it fails.
    pub(super) fn take_out(&self, directory: &Directory, name: &str) -> io::Result<()> {
        let spare = self.set_aside(directory, name)?;
        let Err(error) = directory.sync() else {
            return Ok(());
        };
        report(spare.put_back(directory, name));
        Err(error)
    }

    /// Takes the file `name` out of `directory`, to be put back unless that becomes durable.
    pub(super) fn set_aside(&self, directory: &Directory, name: &str) -> io::Result<Spare> {
        let id = self.sources.id();
        rustix::fs::renameat(directory, name, &*self.temporary, id.as_str())?;
        Ok(Spare {
            directory: Arc::clone(&self.temporary),
            name: id,
        })
    }

    /// Nothing where a file cannot have a second name: then there is no way back.
    fn spare(&self, old: &File) -> Option<Spare> {
        let spare = Spare {
            directory: Arc::clone(&self.temporary),
            name: self.sources.id(),
        };
        match self.link(old, &spare.directory, &spare.name) {
            Ok(()) => Some(spare),
            Err(error) => {
                tracing::debug!(%error, "no second name for an object about to be replaced");
                None
            }
        }
    }
}

fn report(undone: io::Result<()>) {
    if let Err(error) = undone {
        tracing::error!(%error, "a change that failed cannot be taken back, and may be seen until the restart");
    }
}
