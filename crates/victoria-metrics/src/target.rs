//! The data folder that a restore goes to, and the journal of what has been done to it.
//!
//! Everything is prepared in a folder of its own on the same volume and switched by renaming a handful of folders. While that is under way the file
//! `restore-in-progress` keeps a server from starting (since 1.72), and the journal says how to go on: a restore that was killed is finished or undone
//! by the next, never half.

mod journal;
mod mounts;
mod owner;
mod room;
#[cfg(test)]
pub(crate) mod scene;
mod switch;
mod undo;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backup::blocking;
use crate::error::Error;

pub use self::journal::{Journal, Preparation, State};
use self::mounts::Mounted;
pub use self::owner::Owner;
pub use self::room::{Extent, extent_of_data, taken_by, taken_by_rubbish};
pub use self::undo::{Undone, is_undone};

/// Below the data folder; servers and vmbackup pass over it.
const WORK: &str = ".lifeboat-restore";
/// What is removed as a whole is renamed to this first: half of it must not count.
const GONE: &str = ".lifeboat-restore.gone";
const JOURNAL: &str = "journal.json";
const PREPARATION: &str = "preparation.json";
const NEW: &str = "new";
const PREVIOUS: &str = "previous";
const DISCARDED: &str = "discarded";
/// A server that finds it refuses to start.
const BARRIER: &str = "restore-in-progress";
/// Held by whoever has the data open.
const LOCK: &str = "flock.lock";
/// What belongs to the data of a server: replaced as a whole. Caches know the names of what is replaced, snapshots link to it.
const ENTRIES: [&str; 6] = ["data", "indexdb", "metadata", "snapshots", "cache", "tmp"];
/// Of these, what is worth nothing without the rest and may be a volume of its own.
const PASSING: [&str; 2] = ["cache", "tmp"];

/// A data folder that no server has open.
#[derive(Debug)]
pub struct Target {
    root: PathBuf,
    work: PathBuf,
    owner: Owner,
    /// Opened before anything is written, so that it knows of all that failed since.
    volume: Arc<File>,
    _lock: File,
    _work_lock: Option<File>,
}

/// What a restore does where there is no room for old and new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is room: the old is kept until the restore is confirmed.
    Beside,
    /// The old is removed before the new is whole.
    InPlace,
}

impl Target {
    /// Takes the data folder from all servers. Makes it where it does not exist.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Target {
            path: root.to_owned(),
            source,
        };
        fs::create_dir_all(root).map_err(failed)?;
        let root = fs::canonicalize(root).map_err(failed)?;
        let path = root.join(LOCK);
        let (lock, owner) = match File::options().write(true).open(&path) {
            Ok(lock) => (lock, Owner::of(&root).map_err(failed)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let owner = Owner::of(&root).map_err(failed)?;
                let lock = File::create(&path).map_err(failed)?;
                // A server of another user could not open one of ours.
                owner.give_file(&lock).map_err(failed)?;
                (lock, owner)
            }
            Err(error) => return Err(failed(error)),
        };
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Error::InUse { path: root }),
            Err(error) => return Err(failed(error.into())),
        }
        Ok(Self {
            work: root.join(WORK),
            volume: Arc::new(File::open(&root).map_err(failed)?),
            _work_lock: lock_work(&root)?,
            root,
            owner,
            _lock: lock,
        })
    }

    /// Removes what an earlier removal was cut in, and work that no note speaks of. An error where a restore cannot go there: see [`check`].
    pub fn sweep(&self) -> Result<(), Error> {
        check(&self.root)?;
        remove(&self.root.join(GONE))?;
        if self.journal()?.is_none() && self.preparation()?.is_none() {
            self.forget()?;
        }
        Ok(())
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the files of a backup are prepared.
    pub fn new_files(&self) -> PathBuf {
        self.work.join(NEW)
    }

    /// Whose the new files have to be.
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Bytes that the volume has left for this user.
    pub fn free(&self) -> Result<u64, Error> {
        let found = rustix::fs::statvfs(&self.root)
            .map_err(|error| failed("look at", &self.root)(error.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    pub fn journal(&self) -> Result<Option<Journal>, Error> {
        read(&self.work.join(JOURNAL))
    }

    /// Writes the journal: the old one or the new one is there, whenever this is cut.
    pub fn note(&self, journal: &Journal) -> Result<(), Error> {
        self.write(JOURNAL, journal)
    }

    pub fn preparation(&self) -> Result<Option<Preparation>, Error> {
        read(&self.work.join(PREPARATION))
    }

    /// Notes what is prepared: the old note or the new one is there, whenever this is cut.
    pub fn note_preparation(&self, preparation: &Preparation) -> Result<(), Error> {
        self.write(PREPARATION, preparation)
    }

    /// Notes that the data makes room for what is prepared, and keeps servers from starting: from here there is no way back.
    pub fn note_emptied(&self, preparation: &mut Preparation) -> Result<(), Error> {
        self.raise_barrier()?;
        if !has_previous(&self.root)? {
            // What a restore into an empty folder left. To bring nothing back would be all that an undo of this one did, and its data gone.
            let previous = self.work.join(PREVIOUS);
            remove(&previous)?;
            sync(&self.work).map_err(failed("sync", &self.work))?;
        }
        preparation.is_emptied = true;
        self.note_preparation(preparation)
    }

    /// Removes what was prepared. Its note goes last.
    fn forget_preparation(&self) -> Result<(), Error> {
        remove(&self.new_files())?;
        let path = self.work.join(PREPARATION);
        let removed = remove_file(&path).and_then(|()| match sync(&self.work) {
            // There was nothing to remove.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            synced => synced,
        });
        removed.map_err(failed("remove", &path))
    }

    fn write(&self, name: &str, note: &impl Serialize) -> Result<(), Error> {
        self.make(&self.work)?;
        let path = self.work.join(name);
        let aside = self.work.join("note.tmp");
        let write = || -> io::Result<()> {
            let mut file = File::create(&aside)?;
            self.owner.give_file(&file)?;
            file.write_all(&serde_json::to_vec(note).expect("it is text and numbers"))?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            sync(&self.work)?;
            sync(&self.root)
        };
        write().map_err(failed("write", &path))
    }

    /// Makes everything on the volume durable. That may take minutes.
    pub async fn sync(&self) -> Result<(), Error> {
        let (volume, root) = (Arc::clone(&self.volume), self.root.clone());
        blocking(move || {
            let synced = rustix::fs::syncfs(&*volume);
            synced.map_err(|error| failed("sync", &root)(error.into()))
        })
        .await
    }

    /// Whether something keeps servers from starting.
    pub fn is_barred(&self) -> Result<bool, Error> {
        is_barred(&self.root)
    }

    /// Keeps servers from starting.
    pub fn raise_barrier(&self) -> Result<(), Error> {
        let path = self.root.join(BARRIER);
        let raise = || -> io::Result<()> {
            File::create(&path)?.sync_all()?;
            sync(&self.root)
        };
        raise().map_err(failed("write", &path))
    }

    fn lower_barrier(&self) -> Result<(), Error> {
        let path = self.root.join(BARRIER);
        remove_file(&path)
            .and_then(|()| sync(&self.root))
            .map_err(failed("remove", &path))
    }

    /// Removes the data, for lack of room beside it. That may take minutes.
    pub async fn remove_data(&self) -> Result<(), Error> {
        let root = self.root.clone();
        blocking(move || {
            let data = ENTRIES.iter().filter(|name| !PASSING.contains(name));
            data.map(|name| root.join(name))
                .try_for_each(|path| remove(&path))
        })
        .await
    }

    /// The entries of the folder that stay where they are.
    fn mounted(&self) -> Result<Mounted, Error> {
        mounts::look(&self.root)
    }

    /// Makes a folder of ours, whose the data is: the user of the server may have to remove it.
    fn make(&self, folder: &Path) -> Result<(), Error> {
        let made = match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        };
        // Who made it before may have been cut here.
        let given = made.and_then(|()| self.owner.give(folder));
        given.map_err(failed("make", folder))
    }

    /// Removes all that a restore left beside the data.
    fn forget(&self) -> Result<(), Error> {
        forget_locked(&self.root)
    }
}

/// Returns what was restored into a data folder, which a server may have open by now, if anything was.
pub fn journal_beside(root: &Path) -> Result<Option<Journal>, Error> {
    read(&root.join(WORK).join(JOURNAL))
}

/// Returns what is being prepared for a data folder, which a server may have open. Not what has taken its place already, whose note a kill can leave.
pub fn preparation_beside(root: &Path) -> Result<Option<Preparation>, Error> {
    Ok(noted_beside(root)?
        .filter(|(_, has_switched)| !has_switched)
        .map(|(found, _)| found))
}

/// Whether what was restored is in its place, and a kill has left the last steps to be done: servers may be kept from starting.
pub fn is_untidied(root: &Path) -> Result<bool, Error> {
    Ok(noted_beside(root)?.is_some_and(|(_, has_switched)| has_switched))
}

/// The note of a preparation, and whether that has taken the place of the data.
fn noted_beside(root: &Path) -> Result<Option<(Preparation, bool)>, Error> {
    let preparation: Option<Preparation> = read(&root.join(WORK).join(PREPARATION))?;
    let journal = journal_beside(root)?;
    let noted = preparation.map(|found| {
        let has_switched = journal.is_some_and(|journal| journal.is_of(&found));
        (found, has_switched)
    });
    Ok(noted)
}

/// Whether something keeps servers from starting on a data folder.
pub fn is_barred(root: &Path) -> Result<bool, Error> {
    is_there(&root.join(BARRIER))
}

/// Whether a restore can go to a folder, which a server may have open. An error where part of the data could not be renamed, and where data that
/// nobody has confirmed would be lost.
pub fn check(root: &Path) -> Result<(), Error> {
    examine(root).map(drop)
}

/// Returns the entries that stay where they are.
fn examine(root: &Path) -> Result<Mounted, Error> {
    // Found before anything is asked of the store, and by a dry run too.
    match rustix::fs::access(root, Access::WRITE_OK) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => {
            return Err(Error::Target {
                path: root.to_owned(),
                source: error.into(),
            });
        }
    }
    let mounted = mounts::look(root)?;
    match journal_beside(root)? {
        Some(journal) if has_previous(root)? && was_opened(root, &journal)? => {
            Err(Error::Unconfirmed {
                path: root.to_owned(),
                version: journal.version,
            })
        }
        _ => Ok(mounted),
    }
}

/// Whether a server has had the data open since it came there by a restore: what comes in by then is in no backup.
fn was_opened(root: &Path, journal: &Journal) -> Result<bool, Error> {
    // Every server makes it when it opens its data, and no backup has it.
    Ok(journal.state == State::Switched && is_there(&root.join("snapshots"))?)
}

/// Whether data from before a restore lies beside a data folder. Not so where there was none.
pub fn has_previous(root: &Path) -> Result<bool, Error> {
    let previous = root.join(WORK).join(PREVIOUS);
    let first = match fs::read_dir(&previous) {
        Ok(mut entries) => entries.next().transpose(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let first = first.map_err(failed("look at", &previous))?;
    Ok(first.is_some())
}

/// Whether a server, or a restore, has the data open. Whoever has it open holds the lock.
pub fn is_in_use(root: &Path) -> Result<bool, Error> {
    let path = root.join(LOCK);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("look at", &path)(error)),
    };
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(failed("look at", &path)(error.into())),
    }
}

/// Whether nothing of a restore lies beside the data, so that there is nothing to undo or to confirm, whoever has it open.
pub fn is_alone(root: &Path) -> Result<bool, Error> {
    Ok(!is_there(&root.join(WORK))?)
}

/// Where the files for a data folder are prepared.
pub fn new_files_beside(root: &Path) -> PathBuf {
    root.join(WORK).join(NEW)
}

/// What lies beside the data, kept from restores until it is dropped.
#[derive(Debug)]
pub struct Beside {
    root: PathBuf,
    _lock: Option<File>,
}

impl Beside {
    /// While a server may have the data open. An error where a restore, or another run like this one, has it.
    pub fn hold(root: &Path) -> Result<Self, Error> {
        Ok(Self {
            root: root.to_owned(),
            _lock: lock_work(root)?,
        })
    }

    /// Removes it. Cut anywhere, all of it counts or nothing; what then is left of it the next restore removes.
    pub fn forget(self) -> Result<(), Error> {
        forget_locked(&self.root)
    }
}

fn forget_locked(root: &Path) -> Result<(), Error> {
    let (work, gone) = (root.join(WORK), root.join(GONE));
    // Of a removal that was cut.
    remove(&gone)?;
    match fs::rename(&work, &gone) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("remove", &work)(error)),
    }
    sync(root).map_err(failed("sync", root))?;
    remove_rest(&gone);
    Ok(())
}

/// Has what lies beside the data to itself, until it is dropped. A restore has it, and whoever removes what a restore left, for whom a server may have the data
/// open. None where the file system locks no folders: some kinds of NFS.
fn lock_work(root: &Path) -> Result<Option<File>, Error> {
    let folder = File::open(root).map_err(failed("open", root))?;
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(folder)),
        Err(Errno::WOULDBLOCK) => Err(Error::Busy {
            path: root.to_owned(),
        }),
        Err(error) => {
            tracing::debug!(%error, "the folder cannot be locked");
            Ok(None)
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let note = serde_json::from_slice(&text);
    note.map(Some)
        .map_err(|error| failed("read", path)(io::Error::other(error)))
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(failed("remove", folder)),
    }
}

/// Whether something has this name. A disk that does not tell must not pass for one that has nothing: what is moved and removed goes by this.
fn is_there(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// Removes what counts for nothing any more, once all that was asked for is done: that it cannot be removed is no failure of that.
fn remove_rest(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "what counts for nothing any more cannot be removed, and takes room");
        }
        _ => {}
    }
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        doing,
        path: path.clone(),
        source,
    }
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
