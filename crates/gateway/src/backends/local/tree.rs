//! Directories of the volume, reached one name at a time and never through a symbolic link.
//!
//! Walking with one open directory after the other keeps a request inside the volume whatever is planted there, and has
//! no limit on the length of a path: a key of 1,024 slashes is 1,025 names deep.

use std::ffi::CStr;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

/// For directories that this process makes.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);
/// For files that this process makes.
pub(super) const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// An open directory.
#[derive(Debug)]
pub(super) struct Directory(OwnedFd);

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) kind: NameKind,
}

/// What a name leads to. Whatever is neither is not ours and left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    File,
    Directory,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Directory {
    /// Opens a directory by path, following links: only for the volume itself, which the operator names.
    pub(super) fn open_root(path: &std::path::Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// Opens a directory in this one.
    pub(super) fn open(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(self, name, flags, Mode::empty())?))
    }

    /// Opens the directory at the end of `names`, this one if there are none.
    pub(super) fn walk(&self, names: &[String]) -> io::Result<Self> {
        let Some((first, rest)) = names.split_first() else {
            return self.open_again();
        };
        let mut directory = self.open(first)?;
        for name in rest {
            directory = directory.open(name)?;
        }
        Ok(directory)
    }

    fn open_again(&self) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(self, c".", flags, Mode::empty())?))
    }

    /// Makes a directory in this one, unless there is one, and opens it. Its name is durable before it is used.
    pub(super) fn make(&self, name: &str) -> io::Result<Self> {
        match rustix::fs::mkdirat(self, name, DIRECTORY_MODE) {
            Ok(()) => {
                if let Err(error) = self.sync() {
                    // Whoever found it there would take it for durable.
                    drop(self.remove_directory(name));
                    return Err(error);
                }
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        self.open(name)
    }

    /// Opens a regular file for reading. Fails with `IsADirectory` on a directory, with `NotFound` on anything else.
    pub(super) fn open_file(&self, name: &str) -> io::Result<std::fs::File> {
        self.open_known(name).map(|(file, _)| file)
    }

    /// The same, with what the file system knows of the file.
    pub(super) fn open_known(&self, name: &str) -> io::Result<(std::fs::File, Stat)> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(self, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::LOOP | Errno::NXIO) => return Err(io::ErrorKind::NotFound.into()),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        match file_type(stat.st_mode) {
            FileType::RegularFile => Ok((file.into(), stat)),
            FileType::Directory => Err(io::ErrorKind::IsADirectory.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Reads a small file of ours.
    pub(super) fn read_file(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open_file(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Makes a file that must not exist yet, for reading and writing.
    pub(super) fn create_file(&self, name: &str) -> io::Result<std::fs::File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self, name, flags, FILE_MODE)?.into())
    }

    /// Opens a file of ours for reading and writing.
    pub(super) fn open_writable(&self, name: &str) -> io::Result<std::fs::File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self, name, flags, Mode::empty())?.into())
    }

    /// What `name` leads to, without following a link; nothing if there is no such name.
    pub(super) fn kind(&self, name: &str) -> io::Result<Option<NameKind>> {
        match rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(kind_of(file_type(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether anything has the name, ours or not.
    pub(super) fn has(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Like [`Directory::kind`], for the name at the end of `names`, of which there is one.
    pub(super) fn kind_at(&self, names: &[String]) -> io::Result<Option<NameKind>> {
        let (last, parents) = names.split_last().expect("there is a name");
        match parents {
            [] => self.kind(last),
            parents => self.walk(parents)?.kind(last),
        }
    }

    /// Calls `each` for every name of a file or directory, in no order. Names that are not UTF-8 are not ours.
    pub(super) fn for_each(&self, mut each: impl FnMut(Name) -> io::Result<()>) -> io::Result<()> {
        self.for_each_entry(|name, kind| {
            if let (Ok(text), Some(kind)) = (name.to_str(), kind_of(kind)) {
                let text = text.to_owned();
                each(Name { text, kind })?;
            }
            Ok(())
        })
    }

    /// The same for everything in here, whatever its name and kind.
    pub(super) fn for_each_entry(
        &self,
        mut each: impl FnMut(&CStr, FileType) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut entries = Dir::read_from(self)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    match rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(stat) => file_type(stat.st_mode),
                        // Removed since its name was read.
                        Err(Errno::NOENT) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                known => known,
            };
            each(name, kind)?;
        }
        Ok(())
    }

    /// Whether nothing at all is in here, ours or not.
    pub(super) fn is_empty(&self) -> io::Result<bool> {
        let mut entries = Dir::read_from(self)?;
        while let Some(entry) = entries.read() {
            if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn names(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        self.for_each(|name| {
            names.push(name);
            Ok(())
        })?;
        Ok(names)
    }

    /// Waits until every name made in or taken from this directory is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self)?)
    }

    pub(super) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::empty())?)
    }

    pub(super) fn remove_directory(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(self, name, AtFlags::REMOVEDIR)?)
    }

    /// Removes everything below `name` and `name` itself.
    pub(super) fn remove_tree(&self, name: &str) -> io::Result<()> {
        let inner = match self.open(name) {
            Ok(inner) => inner,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return self.remove_file(name);
            }
            Err(error) => return Err(error),
        };
        for below in inner.names()? {
            match below.kind {
                NameKind::File => inner.remove_file(&below.text)?,
                NameKind::Directory => inner.remove_tree(&below.text)?,
            }
        }
        self.remove_directory(name)
    }
}

/// Nothing for what is not there, instead of an error.
pub(super) fn present<T>(opened: io::Result<T>) -> io::Result<Option<T>> {
    match opened {
        Ok(there) => Ok(Some(there)),
        Err(error) if super::objects::is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn file_type(mode: RawMode) -> FileType {
    FileType::from_raw_mode(mode)
}

fn kind_of(kind: FileType) -> Option<NameKind> {
    match kind {
        FileType::RegularFile => Some(NameKind::File),
        FileType::Directory => Some(NameKind::Directory),
        _ => None,
    }
}
