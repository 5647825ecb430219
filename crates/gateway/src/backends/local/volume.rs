//! The volume: taken into service once, held by one process, found usable by trying.

use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lifeboat_core::error::Kind;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::capabilities::{Capabilities, Capability};
use super::contents::{BESIDE, Contents, RECORDS};
use super::foreign::{Foreign, Refusal};
use super::moves;
use super::stage::{Staged, link};
use super::trash::Trash;
use super::tree::{Directory, NameKind};
use crate::backends::Sources;

/// Everything of ours that is not an object lies below this directory. It cannot be a bucket's name.
pub(super) const HOME: &str = ".lifeboat";
pub(super) const UPLOADS: &str = "uploads";
pub(super) const TEMPORARY: &str = "tmp";
pub(super) const LOCK: &str = "lock";
/// Keys share this many locks.
const LOCKS: usize = 1024;

/// Why a volume cannot be taken into service.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("no volume at `{path}`: mount one there, or name another in `lifeboat.gateway.volume`", path = path.display())]
    Missing {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("volume `{path}` is not a directory", path = path.display())]
    NotADirectory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("volume `{path}` is read-only: mount it for writing", path = path.display())]
    ReadOnly {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("volume `{path}` does not let this user write: give it to the user that runs the gateway", path = path.display())]
    Forbidden {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("volume `{path}` is full: make room or grow it", path = path.display())]
    Full {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "volume `{path}` holds objects in MinIO's format `{format}`, in which they are no plain files: start MinIO on it and \
         copy them through a client",
        path = path.display()
    )]
    Format { path: PathBuf, format: String },
    #[error("volume `{path}` lets no file have two names, which the trash is made of: use a file system that does, or leave `lifeboat.gateway.trash` empty", path = path.display())]
    NoLinks { path: PathBuf },
    #[error("volume `{path}` is served by another gateway, process {process}", path = path.display())]
    InUse { path: PathBuf, process: String },
    #[error("`{obstacle}` is in the way: the gateway needs a directory of this name", obstacle = obstacle.display())]
    Obstacle { obstacle: PathBuf },
    #[error("cannot use volume `{path}`", path = path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Missing { .. }
            | Self::NotADirectory { .. }
            | Self::ReadOnly { .. }
            | Self::Forbidden { .. }
            | Self::Format { .. }
            | Self::NoLinks { .. }
            | Self::Obstacle { .. } => Kind::Invalid,
            Self::InUse { .. } => Kind::Conflict,
            Self::Full { .. } | Self::Io { .. } => Kind::Unavailable,
        }
    }

    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path, source },
            io::ErrorKind::NotADirectory => Self::NotADirectory { path, source },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, source },
            io::ErrorKind::PermissionDenied => Self::Forbidden { path, source },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            _ => Self::Io { path, source },
        }
    }
}

/// An open volume. Its lock is held until it is dropped.
#[derive(Debug)]
pub(super) struct Volume {
    /// As it was given.
    pub(super) path: PathBuf,
    /// What can also be read from outside.
    pub(super) contents: Contents,
    /// Files on their way; emptied at start.
    pub(super) temporary: Arc<Directory>,
    /// One directory for each multipart upload.
    pub(super) uploads: Directory,
    /// Objects on their way into the directory of their name.
    pub(super) moves: Directory,
    pub(super) trash: Trash,
    locks: Vec<Mutex<()>>,
    _lock: File,
}

impl Deref for Volume {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        &self.contents
    }
}

impl Volume {
    /// Takes the volume into service: locks it, removes what a crash left, and finds out by writing that it can be used.
    pub(super) fn open(
        path: &Path,
        sources: Sources,
        lacking: &[Capability],
    ) -> Result<Self, OpenError> {
        let wrap = |source| OpenError::new(path, source);
        let root = Directory::open_root(path).map_err(wrap)?;
        let home = make(&root, HOME, path)?;
        let lock = lock(&home, path)?;
        let home_path = path.join(HOME);
        match home.remove_tree(TEMPORARY) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(wrap(error)),
        }
        let temporary = Arc::new(make(&home, TEMPORARY, &home_path)?);
        let can = Capabilities::probe(&temporary, lacking).map_err(wrap)?;
        let beside = match home.open(BESIDE) {
            Ok(beside) => Some(beside),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrap(error)),
            Err(_) if can.has(Capability::Attributes) => None,
            Err(_) => Some(make(&home, BESIDE, &home_path)?),
        };
        let moves = make(&home, "moves", &home_path)?;
        moves::finish(&root, &moves).map_err(wrap)?;
        let foreign = Foreign::find(&root, &home, &lock).map_err(|refusal| match refusal {
            Refusal::Format(format) => OpenError::Format {
                path: path.to_owned(),
                format,
            },
            Refusal::Io(error) => wrap(error),
        })?;
        let volume = Self {
            path: path.to_owned(),
            uploads: make(&home, UPLOADS, &home_path)?,
            trash: Trash::open(&home, sources.now()).map_err(wrap)?,
            temporary,
            moves,
            locks: (0..LOCKS).map(|_| Mutex::default()).collect(),
            _lock: lock,
            contents: Contents {
                root,
                records: make(&home, RECORDS, &home_path)?,
                beside,
                foreign,
                can,
                names: super::list::Cache::default(),
                sources,
                directories: std::sync::RwLock::default(),
            },
        };
        volume.probe(path)?;
        // What an earlier process published and was killed before it synced is seen from now on, so it must be durable.
        rustix::fs::syncfs(&volume.root).map_err(|error| wrap(error.into()))?;
        Ok(volume)
    }

    /// Writes a file and gives it a name, as an object will be.
    fn probe(&self, path: &Path) -> Result<(), OpenError> {
        let wrap = |source| OpenError::new(path, source);
        let mut staged = self.stage().map_err(wrap)?;
        staged.file.write_all(&[0; 4096]).map_err(wrap)?;
        staged.file.sync_all().map_err(wrap)?;
        let name = self.sources.id();
        staged.publish_new(&self.temporary, &name).map_err(wrap)?;
        self.temporary.sync().map_err(wrap)?;
        self.temporary.remove_file(&name).map_err(wrap)
    }

    /// Makes a file that no key leads to.
    pub(super) fn stage(&self) -> io::Result<Staged> {
        Staged::new(self.can, &self.temporary, || self.sources.id())
    }

    /// Gives an open file one more name, where files can have several.
    pub(super) fn link(&self, file: &File, directory: &Directory, name: &str) -> io::Result<()> {
        if self.can.has(Capability::Links) {
            link(file, directory, name)
        } else {
            Err(Errno::OPNOTSUPP.into())
        }
    }

    /// Waits until nobody else changes what `bucket` holds under `key`.
    ///
    /// Locks are shared between keys: whoever holds one must not wait for another.
    pub(super) fn lock(&self, bucket: &str, key: &str) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((bucket, key));
        let count = u64::try_from(LOCKS).expect("a small number");
        let index = usize::try_from(hash % count).expect("less than the number of locks");
        self.locks[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(parent: &Directory, name: &str, path: &Path) -> Result<Directory, OpenError> {
    parent.make(name).map_err(|error| match parent.kind(name) {
        Ok(Some(NameKind::Directory)) | Err(_) => OpenError::new(path, error),
        Ok(None)
            if error.kind() != io::ErrorKind::NotADirectory && error.raw_os_error() != Some(40) =>
        {
            OpenError::new(path, error)
        }
        Ok(_) => OpenError::Obstacle {
            obstacle: path.join(name),
        },
    })
}

/// Takes the lock and writes the number of this process into it, for the next one that wants it.
fn lock(home: &Directory, path: &Path) -> Result<File, OpenError> {
    let wrap = |source: io::Error| OpenError::new(path, source);
    let flags = rustix::fs::OFlags::RDWR
        | rustix::fs::OFlags::CREATE
        | rustix::fs::OFlags::NOFOLLOW
        | rustix::fs::OFlags::CLOEXEC;
    let mut file: File = rustix::fs::openat(home, LOCK, flags, super::tree::FILE_MODE)
        .map_err(|error| wrap(error.into()))?
        .into();
    if let Err(error) = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != Errno::WOULDBLOCK {
            return Err(wrap(error.into()));
        }
        let mut process = String::new();
        file.read_to_string(&mut process).map_err(wrap)?;
        return Err(OpenError::InUse {
            path: path.to_owned(),
            process: process.trim().to_owned(),
        });
    }
    file.set_len(0).map_err(wrap)?;
    file.rewind().map_err(wrap)?;
    writeln!(file, "{}", std::process::id()).map_err(wrap)?;
    Ok(file)
}
