//! The data folder that a restore goes to, and the journal of what has been done to it.
//!
//! Everything is prepared in a folder of its own on the same volume and switched by renaming a handful of folders. While that is under way the file
//! `restore-in-progress` keeps a server from starting (since 1.72), and the journal says how to go on: a restore that was killed is finished or undone
//! by the next, never half.

mod journal;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::Error;

pub use self::journal::{Journal, Room, State};

/// Below the data folder; servers and vmbackup pass over it.
const WORK: &str = ".lifeboat-restore";
const JOURNAL: &str = "journal.json";
const NEW: &str = "new";
const PREVIOUS: &str = "previous";
const DISCARDED: &str = "discarded";
/// A server that finds it refuses to start.
const BARRIER: &str = "restore-in-progress";
/// What belongs to the data of a server: replaced as a whole. Caches know the names of what is replaced, snapshots link to it.
const ENTRIES: [&str; 6] = ["data", "indexdb", "metadata", "snapshots", "cache", "tmp"];

/// A data folder that no server has open.
#[derive(Debug)]
pub struct Target {
    root: PathBuf,
    work: PathBuf,
    _lock: File,
}

/// Whose the files of the target are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub user: u32,
    pub group: u32,
    pub folder_mode: u32,
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
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("flock.lock"))
            .map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Error::InUse { path: root }),
            Err(error) => return Err(failed(error.into())),
        }
        Ok(Self {
            work: root.join(WORK),
            root,
            _lock: lock,
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the files of a backup are prepared.
    pub fn new_files(&self) -> PathBuf {
        self.work.join(NEW)
    }

    /// Whose the new files have to be: whoever owns the data folder.
    pub fn owner(&self) -> Result<Owner, Error> {
        let found = fs::metadata(&self.root).map_err(failed("look at", &self.root))?;
        Ok(Owner {
            user: found.uid(),
            group: found.gid(),
            folder_mode: found.mode() & 0o777,
        })
    }

    /// Bytes that the volume has left for this user.
    pub fn free(&self) -> Result<u64, Error> {
        let found = rustix::fs::statvfs(&self.root)
            .map_err(|error| failed("look at", &self.root)(error.into()))?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    pub fn journal(&self) -> Result<Option<Journal>, Error> {
        let path = self.work.join(JOURNAL);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path)(error)),
        };
        let journal = serde_json::from_slice(&text);
        journal
            .map(Some)
            .map_err(|error| failed("read", &path)(io::Error::other(error)))
    }

    /// Writes the journal: the old one or the new one is there, whenever this is cut.
    pub fn note(&self, journal: &Journal) -> Result<(), Error> {
        let path = self.work.join(JOURNAL);
        let aside = self.work.join("journal.json.tmp");
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.work)?;
            let mut file = File::create(&aside)?;
            file.write_all(&serde_json::to_vec(journal).expect("it is text and numbers"))?;
            file.sync_all()?;
            fs::rename(&aside, &path)?;
            sync(&self.work)?;
            sync(&self.root)
        };
        write().map_err(failed("write", &path))
    }

    /// Makes everything on the volume durable.
    pub fn sync(&self) -> Result<(), Error> {
        let synced = || -> io::Result<()> { Ok(rustix::fs::syncfs(File::open(&self.root)?)?) };
        synced().map_err(failed("sync", &self.root))
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

    /// Removes the data, for lack of room beside it.
    pub fn remove_data(&self) -> Result<(), Error> {
        for name in ENTRIES {
            let path = self.root.join(name);
            remove_tree(&path).map_err(failed("remove", &path))?;
        }
        Ok(())
    }

    /// Puts what was prepared in the place of the data. Cut anywhere, running it again ends it. The data before is kept beside; of a restore over
    /// a restore, that of the first.
    pub fn switch(&self, journal: &mut Journal) -> Result<(), Error> {
        let (new, previous) = (self.new_files(), self.work.join(PREVIOUS));
        let discarded = self.work.join(DISCARDED);
        if journal.state != State::Switching {
            if previous.exists() {
                // The data now is that of a restore that nobody confirmed.
                make(&discarded)?;
            }
            self.raise_barrier()?;
            journal.arriving = present(&new);
            journal.state = State::Switching;
            self.note(journal)?;
        }
        let aside = if discarded.exists() {
            discarded.clone()
        } else {
            previous.clone()
        };
        make(&aside)?;
        self.exchange(&journal.arriving, &new, &aside)?;
        journal.state = State::Switched;
        self.note(journal)?;
        self.lower_barrier()?;
        for leftover in [&discarded, &new] {
            remove(leftover)?;
        }
        if journal.room == Room::InPlace {
            remove(&previous)?;
        }
        Ok(())
    }

    /// Moves the entries of the data to `aside`, and those of `from` to their place. Nothing else may touch them meanwhile; cut anywhere, it can be run
    /// again with the same `arriving`.
    fn exchange(&self, arriving: &[String], from: &Path, aside: &Path) -> Result<(), Error> {
        for name in ENTRIES {
            let (now, new, old) = (self.root.join(name), from.join(name), aside.join(name));
            let arrives = arriving.iter().any(|arriving| arriving == name);
            let has_arrived = arrives && !new.exists();
            if now.exists() && !has_arrived && !old.exists() {
                fs::rename(&now, &old).map_err(failed("move away", &now))?;
            }
            if arrives && !has_arrived {
                fs::rename(&new, &now).map_err(failed("move", &new))?;
            }
        }
        for folder in [from, aside, &self.root] {
            if folder.exists() {
                sync(folder).map_err(failed("sync", folder))?;
            }
        }
        Ok(())
    }

    /// Brings back the data before the restore, and removes what was restored. Cut anywhere, running it again ends it.
    pub fn undo(&self) -> Result<Journal, Error> {
        let nothing = || Error::NothingToUndo {
            path: self.root.clone(),
        };
        let mut journal = self.journal()?.ok_or_else(nothing)?;
        if journal.room == Room::InPlace {
            return Err(nothing());
        }
        if journal.state == State::Preparing {
            self.forget()?;
            return Ok(journal);
        }
        if journal.state == State::Switching {
            self.switch(&mut journal)?;
        }
        let (previous, discarded) = (self.work.join(PREVIOUS), self.work.join(DISCARDED));
        if journal.state == State::Switched {
            if !previous.exists() {
                return Err(nothing());
            }
            self.raise_barrier()?;
            journal.arriving = present(&previous);
            journal.state = State::Undoing;
            self.note(&journal)?;
        }
        make(&discarded)?;
        self.exchange(&journal.arriving, &previous, &discarded)?;
        // It knows the series of what it was moved away for.
        remove(&self.root.join("cache"))?;
        self.lower_barrier()?;
        self.forget()?;
        Ok(journal)
    }

    /// Removes all that a restore left beside the data.
    pub fn forget(&self) -> Result<(), Error> {
        remove_tree(&self.work)
            .and_then(|()| sync(&self.root))
            .map_err(failed("remove", &self.work))
    }
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(failed("make", folder))
}

fn remove(folder: &Path) -> Result<(), Error> {
    remove_tree(folder).map_err(failed("remove", folder))
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        doing,
        path: path.clone(),
        source,
    }
}

/// Returns what was restored into a data folder, which a server may have open by now, if anything was.
pub fn journal_beside(root: &Path) -> Result<Option<Journal>, Error> {
    let path = root.join(WORK).join(JOURNAL);
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| Error::File {
                doing: "read",
                path,
                source: io::Error::other(error),
            }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            doing: "read",
            path,
            source,
        }),
    }
}

/// Removes what lies beside the data, while a server has it open.
pub fn forget_beside(root: &Path) -> Result<(), Error> {
    let path = root.join(WORK);
    remove_tree(&path).map_err(|source| Error::File {
        doing: "remove",
        path,
        source,
    })
}

/// The entries of data that are there.
fn present(folder: &Path) -> Vec<String> {
    let names = ENTRIES.iter().filter(|name| folder.join(name).exists());
    names.map(|name| (*name).to_owned()).collect()
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn journal(room: Room) -> Journal {
        Journal {
            version: "victoria-metrics-0-20231128160000".to_owned(),
            completed: Timestamp::UNIX_EPOCH,
            state: State::Preparing,
            begun: Timestamp::UNIX_EPOCH,
            room,
            arriving: Vec::new(),
            rows: Some(1),
            series: None,
            range: None,
        }
    }

    /// A data folder with these entries, each of which holds the text `old`, and prepared ones, which hold `new`.
    fn folder(old: &[&str], new: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let make = |parent: &Path, names: &[&str], text: &str| {
            for name in names {
                fs::create_dir_all(parent.join(name)).unwrap();
                fs::write(parent.join(name).join("text"), text).unwrap();
            }
        };
        make(root.path(), old, "old");
        make(&root.path().join(WORK).join(NEW), new, "new");
        root
    }

    fn shown(root: &Path) -> Vec<String> {
        let mut shown = Vec::new();
        for name in ENTRIES {
            if let Ok(text) = fs::read_to_string(root.join(name).join("text")) {
                shown.push(format!("{name} {text}"));
            }
        }
        shown
    }

    const OLD: [&str; 4] = ["data", "indexdb", "cache", "snapshots"];
    const NEW_NAMES: [&str; 2] = ["data", "metadata"];

    #[test]
    fn a_switch_replaces_everything_and_undo_brings_it_back() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        let mut journal = journal(Room::Beside);
        target.switch(&mut journal).unwrap();
        assert_eq!(shown(root.path()), ["data new", "metadata new"]);
        assert!(!root.path().join(BARRIER).exists());
        target.undo().unwrap();
        assert_eq!(
            shown(root.path()),
            ["data old", "indexdb old", "snapshots old"]
        );
        assert!(!root.path().join(WORK).exists());
        assert!(!root.path().join(BARRIER).exists());
    }

    #[test]
    fn a_second_restore_can_be_undone_to_what_was_before_the_first() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&mut journal(Room::Beside)).unwrap();
        let second = target.new_files().join("data");
        fs::create_dir_all(&second).unwrap();
        fs::write(second.join("text"), "newer").unwrap();
        target.switch(&mut journal(Room::Beside)).unwrap();
        assert_eq!(shown(root.path()), ["data newer"]);
        target.undo().unwrap();
        assert_eq!(
            shown(root.path()),
            ["data old", "indexdb old", "snapshots old"]
        );
    }

    #[test]
    fn what_was_replaced_in_place_cannot_come_back() {
        let root = folder(&[], &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&mut journal(Room::InPlace)).unwrap();
        assert!(matches!(target.undo(), Err(Error::NothingToUndo { .. })));
        assert_eq!(shown(root.path()), ["data new", "metadata new"]);
    }

    #[test]
    fn a_folder_that_a_server_has_open_is_refused() {
        let root = folder(&OLD, &[]);
        let _held = Target::open(root.path()).unwrap();
        assert!(matches!(
            Target::open(root.path()),
            Err(Error::InUse { .. })
        ));
    }

    /// Every state in which renames can be cut, made by hand: `switched` of the entries have been exchanged, and of the next one `half` says whether the old one
    /// has gone.
    #[test]
    fn a_switch_that_was_cut_between_any_two_renames_is_ended_by_the_next() {
        for old in [&OLD[..], &[]] {
            for switched in 0..=ENTRIES.len() {
                for half in [false, true] {
                    let root = folder(old, &NEW_NAMES);
                    let target = Target::open(root.path()).unwrap();
                    let mut cut = journal(Room::Beside);
                    cut.state = State::Switching;
                    cut.arriving = NEW_NAMES.map(str::to_owned).to_vec();
                    target.raise_barrier().unwrap();
                    target.note(&cut).unwrap();
                    let (new, previous) = (target.new_files(), target.work.join(PREVIOUS));
                    fs::create_dir_all(&previous).unwrap();
                    for (at, name) in ENTRIES.iter().enumerate() {
                        let now = root.path().join(name);
                        let goes = at < switched || (at == switched && half);
                        if goes && now.exists() {
                            fs::rename(&now, previous.join(name)).unwrap();
                        }
                        if at < switched && new.join(name).exists() {
                            fs::rename(new.join(name), &now).unwrap();
                        }
                    }
                    let mut journal = target.journal().unwrap().unwrap();
                    if switched % 2 == 0 {
                        target.switch(&mut journal).unwrap();
                        assert_eq!(shown(root.path()), ["data new", "metadata new"]);
                    }
                    target.undo().unwrap();
                    let before: Vec<_> = ENTRIES
                        .iter()
                        .filter(|name| old.contains(name) && **name != "cache")
                        .map(|name| format!("{name} old"))
                        .collect();
                    assert_eq!(shown(root.path()), before, "{switched} {half}");
                }
            }
        }
    }
}
