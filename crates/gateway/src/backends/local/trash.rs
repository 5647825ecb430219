//! The trash: what was deleted or replaced stays under a name of its own until a term is over. Everything here blocks.
//!
//! An entry is two files, `ID.object` (one more name of the bytes) and `ID.entry` (what they were). Both are made in
//! `pending/` and durable before the object loses its own name, and move to the directory of their hour after it has. What a
//! crash leaves in `pending/` is judged at the next start by what is in place: an object that still has its key was not
//! removed, and its entry goes; any other entry counts. Within an hour's directory only whole entries lie, so that an
//! hour whose term is over is removed without looking into them.

mod choice;
mod clock;
mod entry;
mod expiry;
mod look;
mod restore;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

pub use self::choice::{Wanted, choose};
use self::clock::{Clock, Look};
pub use self::entry::{Entry, Place, Why};
use self::entry::{Hour, Part};
pub use self::look::Filter;
pub(super) use self::look::entries;
pub use self::restore::{Occupied, RestoreError};
use super::copies::cannot_link;
use super::objects::{Found, Lies};
use super::path::{SELF_NAME, encode};
use super::record::Record;
use super::stage::{get_record, set_record};
use super::tree::{Directory, NameKind, present};
use super::volume::Volume;
use crate::backend::{Error, ObjectPath, Tally};

const PENDING: &str = "pending";
const STATE: &str = "state";

/// Entries on their way in or out, entries by hour, and the time by which they grow old.
#[derive(Debug)]
pub(super) struct Trash {
    home: Directory,
    pending: Arc<Directory>,
    /// Set at most once, by the settings: whether and how long things are kept.
    term: OnceLock<SignedDuration>,
    state: Mutex<Live>,
    /// What lies in each hour; nothing for one that has not been counted yet.
    hours: Mutex<BTreeMap<Hour, Option<Tally>>>,
}

/// What is known of the time, and how much of that is on the volume.
#[derive(Debug)]
struct Live {
    clock: Clock,
    saved: Option<State>,
}

/// What survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    clock: Clock,
    /// In seconds, the last one that was set: things are kept as long as was promised when the trash is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    term: Option<i64>,
}

/// When something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// If the settings say so.
    AsSet,
    Always,
}

/// An object about to lose its key, in the trash already.
pub(super) struct Kept(Entry);

impl Trash {
    /// Opens the trash below the gateway's own directory.
    pub(super) fn open(home: &Directory, now: Timestamp) -> io::Result<Self> {
        let home = home.make("trash")?;
        let pending = Arc::new(home.make(PENDING)?);
        let hours: BTreeMap<_, _> = hours(&home)?.into_iter().map(|hour| (hour, None)).collect();
        let saved = read_state(&home)?;
        let mut clock = match (saved, hours.keys().next_back()) {
            (Some(state), _) => state.clock,
            // Its state is lost or damaged: as far as is known, everything in it has just been removed.
            (None, Some(youngest)) => Clock::resume(now, youngest.start()),
            (None, None) => Clock::new(now),
        };
        clock.look(now, Look::AtStart);
        Ok(Self {
            home,
            pending,
            term: OnceLock::new(),
            state: Mutex::new(Live { clock, saved }),
            hours: Mutex::new(hours),
        })
    }

    /// Keeps what is removed from now on for `term`. The first call counts.
    pub(super) fn switch_on(&self, term: SignedDuration) {
        self.term.get_or_init(|| term);
    }

    /// Whether what is removed is kept.
    pub(super) fn is_on(&self) -> bool {
        self.term.get().is_some()
    }

    fn state(&self) -> MutexGuard<'_, Live> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hours(&self) -> MutexGuard<'_, BTreeMap<Hour, Option<Tally>>> {
        self.hours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time(&self, now: Timestamp) -> Timestamp {
        let mut state = self.state();
        state.clock.look(now, Look::Again);
        state.clock.time()
    }

    /// What lies in the trash; nothing while it is being counted.
    pub(super) fn tally(&self) -> Option<Tally> {
        self.hours()
            .values()
            .try_fold(Tally::default(), |whole, tally| {
                let tally = (*tally)?;
                Some(Tally {
                    objects: whole.objects + tally.objects,
                    bytes: whole.bytes + tally.bytes,
                })
            })
    }

    /// Moves an entry to its hour.
    fn settle(&self, entry: &Entry) -> io::Result<()> {
        let mut hours = self.hours();
        let hour = entry.hour.to_string();
        let directory = if self.home.kind(&hour)?.is_some() {
            self.home.open(&hour)?
        } else {
            hours.insert(entry.hour, Some(Tally::default()));
            self.home.make(&hour)?
        };
        // In this order: what has its entry in its hour is there as a whole.
        for name in [entry.object(), entry.file()] {
            match rustix::fs::renameat(&*self.pending, &name, &directory, &name) {
                Ok(()) => {}
                // A crash came between the two.
                Err(Errno::NOENT) if directory.kind(&name)?.is_some() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(Some(tally)) = hours.get_mut(&entry.hour) {
            tally.objects += 1;
            tally.bytes += entry.size;
        }
        Ok(())
    }

    /// Removes an entry that is on its way.
    fn discard(&self, entry: &Entry) -> io::Result<()> {
        // In this order: without its entry, an object in here is nothing.
        for name in [entry.file(), entry.object()] {
            match self.pending.remove_file(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Volume {
    /// Takes an object that is about to lose its key into the trash, if that is wanted. Durable when it returns.
    ///
    /// Whatever becomes of the object, [`Volume::resolve`] has to hear of it.
    pub(super) fn keep(
        &self,
        path: &ObjectPath,
        old: &Found,
        why: Why,
        keeping: Keeping,
    ) -> Result<Option<Kept>, Error> {
        let trash = &self.trash;
        if trash.term.get().is_none() && keeping == Keeping::AsSet {
            return Ok(None);
        }
        let wrap = Error::io("moving the old object to the trash");
        let removed = self.sources.now();
        let entry = Entry {
            id: self.sources.id(),
            bucket: path.bucket().to_owned(),
            key: path.key().to_owned(),
            size: old.size(),
            removed,
            why,
            hour: Hour::of(trash.time(removed)),
            record: old.record.clone(),
        };
        let made = match self.link(&old.file, &trash.pending, &entry.object()) {
            Err(error) if cannot_link(&error) => self.copy_aside(old, &entry.object()),
            other => other,
        };
        let made = made.and_then(|()| {
            // Its directory is synced with it, so both names are durable.
            self.write_file(&trash.pending, &entry.file(), &entry.to_bytes())
        });
        if let Err(error) = made {
            report(trash.discard(&entry), &entry.id);
            return Err(wrap(error));
        }
        Ok(Some(Kept(entry)))
    }

    /// Settles what became of an object that was kept, once it was `tried` to take its key away. Whether it has lost it is
    /// seen from what `name` is now: what was tried may have failed on the way back.
    pub(super) fn resolve(
        &self,
        kept: Kept,
        old: &Found,
        directory: &Directory,
        name: &str,
        tried: &io::Result<()>,
    ) {
        let Kept(entry) = kept;
        let in_place = match old.lies {
            Lies::AsFolder => Ok(tried.is_err()),
            Lies::AtItsName | Lies::Inside => {
                match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(now) => Ok(is_same(&now, &old.stat)),
                    Err(Errno::NOENT) => Ok(false),
                    Err(error) => Err(io::Error::from(error)),
                }
            }
        };
        let done = in_place.and_then(|in_place| {
            if in_place {
                self.trash.discard(&entry)
            } else {
                self.trash.settle(&entry)
            }
        });
        report(done, &entry.id);
    }

    /// Copies the bytes of an object to `pending/`, where it cannot have one more name.
    fn copy_aside(&self, old: &Found, name: &str) -> io::Result<()> {
        let mut staged = self.stage()?;
        if old.lies != Lies::AsFolder {
            let mut from = &old.file;
            io::Seek::rewind(&mut from)?;
            io::copy(&mut from, &mut staged.file)?;
            if let Some(Ok(own)) = get_record(&old.file)?.map(|bytes| Record::from_bytes(&bytes)) {
                set_record(&staged.file, &own).map_err(io::Error::other)?;
            }
        }
        staged.file.sync_all()?;
        staged.publish_new(&self.trash.pending, name)
    }

    /// Judges what a crash left on its way into the trash or out of it.
    pub(super) fn recover_trash(&self) -> io::Result<()> {
        let trash = &self.trash;
        let names = trash.pending.names()?;
        for name in &names {
            let Some(id) = Part::Entry.id(&name.text) else {
                continue;
            };
            match read_entry(&trash.pending, &name.text)? {
                Some(entry) if entry.id == id && self.has_bytes(&entry)? => {
                    if is_in_place(&self.root, &trash.pending, &entry)? {
                        trash.discard(&entry)?;
                    } else {
                        trash.settle(&entry)?;
                    }
                }
                _ => trash.pending.remove_file(&name.text)?,
            }
        }
        // What is left has no entry.
        for name in trash.pending.names()? {
            trash.pending.remove_tree(&name.text)?;
        }
        trash.pending.sync()
    }

    fn has_bytes(&self, entry: &Entry) -> io::Result<bool> {
        let name = entry.object();
        if self.trash.pending.kind(&name)? == Some(NameKind::File) {
            return Ok(true);
        }
        match present(self.trash.home.open(&entry.hour.to_string()))? {
            Some(directory) => Ok(directory.kind(&name)? == Some(NameKind::File)),
            None => Ok(false),
        }
    }
}

/// All hours in which something lies, oldest first.
fn hours(home: &Directory) -> io::Result<Vec<Hour>> {
    let mut hours: Vec<Hour> = home
        .names()?
        .into_iter()
        .filter(|name| name.kind == NameKind::Directory)
        .filter_map(|name| name.text.parse().ok())
        .collect();
    hours.sort_unstable();
    Ok(hours)
}

fn read_state(home: &Directory) -> io::Result<Option<State>> {
    let bytes = present(home.read_file(STATE))?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

/// Returns an entry; nothing if its file is gone or no entry.
fn read_entry(directory: &Directory, name: &str) -> io::Result<Option<Entry>> {
    let bytes = present(directory.read_file(name))?;
    Ok(bytes.and_then(|bytes| Entry::from_bytes(&bytes).ok()))
}

/// Whether the object of an entry in `pending/` still has its key.
fn is_in_place(root: &Directory, pending: &Directory, entry: &Entry) -> io::Result<bool> {
    let Some(there) = open_object(root, &entry.bucket, &entry.key)? else {
        return Ok(false);
    };
    let Some(kept) = present(pending.open_file(&entry.object()))? else {
        return Ok(false);
    };
    if is_same(&rustix::fs::fstat(&there)?, &rustix::fs::fstat(&kept)?) {
        return Ok(true);
    }
    // The bytes were copied, not linked: then the record tells.
    let record = get_record(&there)?.and_then(|bytes| Record::from_bytes(&bytes).ok());
    let known = !entry.record.id.is_empty();
    Ok(known && record.is_some_and(|record| record.id == entry.record.id))
}

/// Opens the file of an object, whatever its record; nothing if there is none.
pub(super) fn open_object(root: &Directory, bucket: &str, key: &str) -> io::Result<Option<File>> {
    let names: Vec<String> = std::iter::once(bucket.to_owned())
        .chain(encode(key))
        .collect();
    let (last, parents) = names.split_last().expect("a bucket and a key are two");
    let opened = root.walk(parents).and_then(|parent| {
        parent.open_file(last).or_else(|error| match error.kind() {
            io::ErrorKind::IsADirectory => parent.open(last)?.open_file(SELF_NAME),
            _ => Err(error),
        })
    });
    match opened {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(None),
        other => present(other),
    }
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

fn report(done: io::Result<()>, id: &str) {
    if let Err(error) = done {
        tracing::warn!(%error, entry = id, "an entry of the trash stays half-way until the next start");
    }
}
