//! The folder that another server is going to serve.
//!
//! Everything is made in [`STAGING`] inside it and moved up at the end, bucket by bucket, so that no server ever finds half
//! an export: before the moves there is nothing but that folder, and a note in it says when only moves are left.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use rustix::fs::{Mode, RenameFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::fit::Telling;
use super::steps::{Item, Way};
use super::{ExportError, Format, Room};
use crate::backends::local::foreign::minio;
use crate::backends::local::foreign::s3proxy::{self, Attached};
use crate::backends::local::stage::link;
use crate::backends::local::tree::{Directory, present};

/// Where an export grows.
pub(super) const STAGING: &str = ".lifeboat-export";
/// In there: everything else has been made and is on the disk.
const WHOLE: &str = "whole";
/// In there: what is moved up.
const CONTENT: &str = "content";
/// What a new file system has of itself.
const EXPECTED: &str = "lost+found";
/// How many bytes are copied at a time.
const PIECE: usize = 1024 * 1024;

/// What there is in the place of a target before anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Empty,
    /// An export that was cut off while it was made.
    Half,
    /// One that was cut off while it was moved up.
    Whole,
}

/// An export being made.
pub(super) struct Target {
    root: Directory,
    staging: Directory,
    content: Directory,
    format: Format,
    /// Folders that are objects. Their times are set when nothing is made in them any more.
    folders: Vec<(Vec<String>, Timestamp)>,
    buffer: Vec<u8>,
}

/// Looks at the place of a target, which need not be there.
pub(super) fn look(path: &Path) -> Result<Before, ExportError> {
    let wrap = |source| ExportError::target(path, source);
    let Some(root) = present(Directory::open_root(path)).map_err(wrap)? else {
        return Ok(Before::Empty);
    };
    if let Some(staging) = present(root.open(STAGING)).map_err(wrap)?
        && staging.has(WHOLE).map_err(wrap)?
    {
        return Ok(Before::Whole);
    }
    let mut before = Before::Empty;
    root.for_each_entry(|name, _| {
        match name.to_bytes() {
            name if name == STAGING.as_bytes() => before = Before::Half,
            name if name == EXPECTED.as_bytes() => {}
            _ => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
        }
        Ok(())
    })
    .map_err(wrap)?;
    Ok(before)
}

/// The file system that a target is or will be on: its number, and how many bytes are free.
pub(super) fn file_system(path: &Path) -> Result<(u64, u64), ExportError> {
    let mut existing: PathBuf = path.to_owned();
    let root = loop {
        match Directory::open_root(&existing) {
            Ok(root) => break root,
            Err(error) if error.kind() == io::ErrorKind::NotFound && existing.pop() => {
                if existing.as_os_str().is_empty() {
                    existing = PathBuf::from(".");
                }
            }
            Err(error) => return Err(ExportError::target(path, error)),
        }
    };
    let wrap = |error: Errno| ExportError::target(path, error.into());
    let stat = rustix::fs::fstat(&root).map_err(wrap)?;
    let space = rustix::fs::fstatvfs(&root).map_err(wrap)?;
    Ok((stat.st_dev, space.f_bavail.saturating_mul(space.f_frsize)))
}

impl Target {
    /// Makes the folder and begins anew: what an export that was cut off has left there goes first.
    pub(super) fn begin(path: &Path, format: Format) -> Result<Self, ExportError> {
        let wrap = |source| ExportError::target(path, source);
        std::fs::create_dir_all(path).map_err(wrap)?;
        let root = Directory::open_root(path).map_err(wrap)?;
        match root.remove_tree(STAGING) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrap(error)),
            _ => {}
        }
        let staging = root.make(STAGING).map_err(wrap)?;
        let content = staging.make(CONTENT).map_err(wrap)?;
        let target = Self {
            root,
            staging,
            content,
            format,
            folders: Vec::new(),
            buffer: vec![0; PIECE],
        };
        target.probe(path)?;
        Ok(target)
    }

    /// Finds out before terabytes are copied whether the file system keeps attributes.
    fn probe(&self, path: &Path) -> Result<(), ExportError> {
        if self.format != Format::S3Proxy {
            return Ok(());
        }
        let attached = Attached::from([("content-md5".to_owned(), vec![0; 16])]);
        match s3proxy::attach(&self.staging, &attached) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP) => Err(ExportError::NoAttributes {
                target: path.to_owned(),
            }),
            Err(error) => Err(ExportError::target(path, error.into())),
        }
    }

    pub(super) fn bucket(&self, bucket: &str) -> io::Result<()> {
        self.enter(&[bucket.to_owned()]).map(drop)
    }

    /// Makes folders where there are none, and opens the last. Durable only at the end.
    fn enter(&self, names: &[String]) -> io::Result<Directory> {
        let mut directory = self.content.walk(&[])?;
        for name in names {
            match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            directory = directory.open(name)?;
        }
        Ok(directory)
    }

    /// Makes one object.
    pub(super) fn add(&mut self, item: &Item, progress: &Progress) -> Result<Room, ExportError> {
        let wrap = |source| ExportError::object(&item.path, source);
        let mut copied = Room::default();
        let mut names = vec![item.path.bucket().to_owned()];
        names.extend(item.names.iter().cloned());
        if item.way == Way::Folder {
            let folder = self.enter(&names).map_err(wrap)?;
            if let Telling::Attributes(attached) = &item.telling {
                s3proxy::attach(&folder, attached).map_err(|error| wrap(error.into()))?;
            }
            self.folders.push((names, item.found.record.modified()));
        } else {
            let (last, parents) = names.split_last().expect("a key has a name");
            let parent = self.enter(parents).map_err(wrap)?;
            if linked(item, &parent, last).map_err(wrap)? {
                progress.add(0, item.found.size());
            } else {
                copied.count = 1;
                copied.bytes = self.copy(item, &parent, last, progress)?;
            }
            if let Telling::Beside(record) = &item.telling {
                let mut place = vec![minio::HOME.to_owned(), minio::BUCKETS.to_owned()];
                place.extend(names);
                let place = self.enter(&place).map_err(wrap)?;
                let mut file = place.create_file(minio::RECORD).map_err(wrap)?;
                file.write_all(record).map_err(wrap)?;
            }
        }
        progress.add(1, 0);
        Ok(copied)
    }

    /// Copies the bytes of an object to a file of its own. Durable but for its name.
    fn copy(
        &mut self,
        item: &Item,
        parent: &Directory,
        name: &str,
        progress: &Progress,
    ) -> Result<u64, ExportError> {
        let wrap = |source| ExportError::object(&item.path, source);
        let mut file = parent.create_file(name).map_err(wrap)?;
        let mut source = &item.found.file;
        let mut copied = 0;
        loop {
            if progress.is_stopped() {
                return Err(ExportError::Stopped);
            }
            let length = match source.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(wrap)?,
            };
            if length == 0 {
                break;
            }
            file.write_all(&self.buffer[..length]).map_err(wrap)?;
            let length = u64::try_from(length).expect("sizes fit in 64 bits");
            copied += length;
            progress.add(0, length);
        }
        if copied != item.found.size() {
            return Err(wrap(io::ErrorKind::UnexpectedEof.into()));
        }
        if let Telling::Attributes(attached) = &item.telling {
            s3proxy::attach(&file, attached).map_err(|error| wrap(error.into()))?;
        }
        set_time(&file, item.found.record.modified()).map_err(wrap)?;
        file.sync_all().map_err(wrap)?;
        Ok(copied)
    }

    /// Makes all of it durable, and then visible. `id` is a UUID.
    pub(super) fn finish(self, path: &Path, id: &str) -> Result<(), ExportError> {
        let wrap = |source| ExportError::target(path, source);
        if self.format == Format::Minio {
            let home = self.enter(&[minio::HOME.to_owned()]).map_err(wrap)?;
            let mut file = home.create_file(minio::FORMAT).map_err(wrap)?;
            file.write_all(&minio::format_file(id)).map_err(wrap)?;
        }
        for (names, modified) in &self.folders {
            let folder = self.content.walk(names).map_err(wrap)?;
            set_time(&folder, *modified).map_err(wrap)?;
        }
        rustix::fs::syncfs(&self.root).map_err(|error| wrap(error.into()))?;
        let note = self.staging.create_file(WHOLE).map_err(wrap)?;
        note.sync_all().map_err(wrap)?;
        self.staging.sync().map_err(wrap)?;
        move_up(&self.root, &self.staging).map_err(wrap)
    }
}

/// Ends what was cut off in its last step.
pub(super) fn finish_moves(path: &Path) -> Result<(), ExportError> {
    let wrap = |source| ExportError::target(path, source);
    let root = Directory::open_root(path).map_err(wrap)?;
    let staging = root.open(STAGING).map_err(wrap)?;
    move_up(&root, &staging).map_err(wrap)
}

fn move_up(root: &Directory, staging: &Directory) -> io::Result<()> {
    if let Some(content) = present(staging.open(CONTENT))? {
        for name in content.names()? {
            let flags = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&content, &name.text, root, &name.text, flags) {
                // NFS has no such rename; the place is empty, or was when this began.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    rustix::fs::renameat(&content, &name.text, root, &name.text)?;
                }
                moved => moved?,
            }
        }
        root.sync()?;
    }
    root.remove_tree(STAGING)?;
    root.sync()
}

/// Gives the file of an object its name in the target too. Says no where it has to be copied after all.
fn linked(item: &Item, parent: &Directory, name: &str) -> io::Result<bool> {
    let file = &item.found.file;
    if item.way == Way::Change {
        if let Telling::Attributes(attached) = &item.telling {
            match s3proxy::attach(file, attached) {
                Ok(()) => {}
                // ext4 has 4 KiB for all attributes of a file, and its record is one of them.
                Err(Errno::NOSPC | Errno::TOOBIG | Errno::RANGE) => {
                    s3proxy::attach(file, &Attached::new())?;
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        set_time(file, item.found.record.modified())?;
    } else if item.way != Way::Link {
        return Ok(false);
    }
    match link(file, parent, name) {
        Ok(()) => Ok(true),
        Err(error) if cannot_link(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Another mount of the same file system, a file with as many names as one can have, a file system without second names.
fn cannot_link(error: &io::Error) -> bool {
    [Errno::XDEV, Errno::MLINK, Errno::PERM, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn set_time(file: impl std::os::fd::AsFd, modified: Timestamp) -> io::Result<()> {
    let nanos = modified.as_nanosecond();
    let part = |part: i128| i64::try_from(part).map_err(|_| io::ErrorKind::InvalidInput);
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: part(nanos.div_euclid(1_000_000_000))?,
            tv_nsec: part(nanos.rem_euclid(1_000_000_000))?,
        },
    };
    Ok(rustix::fs::futimens(file, &times)?)
}
