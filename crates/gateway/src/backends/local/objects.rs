//! Objects in their places: finding and publishing them. Everything here blocks.
//!
//! Order of locks: that of a key first, then [`Contents::directories`]. Nobody holds the locks of two keys.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::PoisonError;

use rustix::fs::{RenameFlags, Stat};
use rustix::io::Errno;

use super::capabilities::Capability;
use super::contents::Contents;
use super::foreign::s3proxy;
use super::path::{EMPTY, SELF_NAME, encode};
use super::record::Record;
use super::stage::Staged;
use super::trash::{Keeping, Why};
use super::tree::{Directory, NameKind};
use super::volume::Volume;
use crate::backend::condition::WriteCondition;
use crate::backend::{Error, ObjectInfo, ObjectPath};

/// How often a write starts again because others made or removed the directories around it.
const ATTEMPTS: usize = 100;

/// An object as it was found.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) record: Record,
    pub(super) stat: Stat,
    pub(super) lies: Lies,
}

/// Where the file of an object lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lies {
    AtItsName,
    /// In the directory of its own name.
    Inside,
    /// It is no file but the directory that other programs have for a key ending in `/`. It has no bytes.
    AsFolder,
}

/// What a record that cannot be read means to whoever looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDamage {
    /// The object cannot be served.
    Refuse,
    /// Only its bytes count.
    Overlook,
}

/// What becomes of a file for whose key there may be an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It takes the place of whatever is there, which may go to the trash.
    Publish(Keeping),
    /// Its bytes are there already.
    Leave,
}

impl Found {
    pub(super) fn size(&self) -> u64 {
        match self.lies {
            Lies::AtItsName | Lies::Inside => u64::try_from(self.stat.st_size).unwrap_or(0),
            Lies::AsFolder => 0,
        }
    }

    pub(super) fn info(&self) -> ObjectInfo {
        self.record.clone().info(self.size())
    }
}

impl Contents {
    /// Opens a bucket's directory.
    pub(super) fn bucket(&self, bucket: &str) -> Result<Directory, Error> {
        let missing = || Error::NoSuchBucket {
            bucket: bucket.to_owned(),
        };
        if !crate::backend::is_bucket_name(bucket) {
            return Err(missing());
        }
        self.root.open(bucket).map_err(|error| {
            if is_absent(&error) {
                missing()
            } else {
                Error::io("opening the bucket")(error)
            }
        })
    }

    /// Opens an object.
    pub(super) fn find(&self, path: &ObjectPath) -> Result<Found, Error> {
        let bucket = self.bucket(path.bucket())?;
        let mut found = self.find_in(&bucket, path, OnDamage::Refuse)?;
        if found.is_none() && self.moves_in_steps() {
            let _settled = self
                .directories
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            found = self.find_in(&bucket, path, OnDamage::Refuse)?;
        }
        found.ok_or_else(|| Error::NoSuchKey {
            key: path.key().to_owned(),
        })
    }

    /// Whether an object may be nowhere to be found for a moment while it moves.
    pub(super) fn moves_in_steps(&self) -> bool {
        !self.can.has(Capability::Links) || !self.can.has(Capability::RenameExchange)
    }

    pub(super) fn find_in(
        &self,
        bucket: &Directory,
        path: &ObjectPath,
        on_damage: OnDamage,
    ) -> Result<Option<Found>, Error> {
        let names = encode(path.key());
        let (last, parents) = names.split_last().expect("a key has a name");
        let wrap = Error::io("reading the object");
        match bucket.walk(parents) {
            Ok(parent) => self.find_at(&parent, last, path, on_damage),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(wrap(error)),
        }
    }

    pub(super) fn find_at(
        &self,
        parent: &Directory,
        name: &str,
        path: &ObjectPath,
        on_damage: OnDamage,
    ) -> Result<Option<Found>, Error> {
        let wrap = Error::io("reading the object");
        let mut lies = Lies::AtItsName;
        let opened = match parent.open_known(name) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                lies = Lies::Inside;
                parent
                    .open(name)
                    .and_then(|itself| itself.open_known(SELF_NAME))
            }
            other => other,
        };
        let (file, stat) = match opened {
            Ok(opened) => opened,
            Err(error) if is_absent(&error) && name == EMPTY => {
                return self.find_folder(parent).map_err(wrap);
            }
            Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::IsADirectory => {
                return Ok(None);
            }
            Err(error) => return Err(wrap(error)),
        };
        let record = match self.record(&file, &stat, path) {
            Err(Error::DamagedRecord { .. } | Error::NotSupported { .. })
                if on_damage == OnDamage::Overlook =>
            {
                Record::of_bare_file(&stat)
            }
            read => read?,
        };
        if self.foreign.is_leftover(path.key(), &record) {
            return Ok(None);
        }
        Ok(Some(Found {
            file,
            record,
            stat,
            lies,
        }))
    }

    /// Returns the object that a directory is, where another program keeps keys that end in `/` so.
    fn find_folder(&self, folder: &Directory) -> io::Result<Option<Found>> {
        let Some(record) = self.foreign.folder(folder)? else {
            return Ok(None);
        };
        Ok(Some(Found {
            file: folder.as_fd().try_clone_to_owned()?.into(),
            record,
            stat: rustix::fs::fstat(folder)?,
            lies: Lies::AsFolder,
        }))
    }
}

impl Volume {
    /// Makes `staged` the object of `path` if what is there meets the condition. Durable when it returns.
    pub(super) fn publish(
        &self,
        path: &ObjectPath,
        condition: &WriteCondition,
        staged: &mut Staged,
    ) -> Result<(), Error> {
        self.place(path, staged, |current| {
            condition.judge(path.key(), current.map(|found| found.record.etag.as_str()))?;
            Ok(Decision::Publish(Keeping::AsSet))
        })
    }

    /// Asks `decide` whether `staged` becomes the object of `path`, given what is there, and carries that out while
    /// nobody else changes it. Durable when it returns. `decide` is asked again when the place vanished meanwhile.
    pub(super) fn place(
        &self,
        path: &ObjectPath,
        staged: &mut Staged,
        mut decide: impl FnMut(Option<&Found>) -> Result<Decision, Error>,
    ) -> Result<(), Error> {
        let wrap = Error::io("publishing the object");
        let names = encode(path.key());
        let (last, parents) = names.split_last().expect("a key has a name");
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            let bucket = self.bucket(path.bucket())?;
            self.make_parents(&bucket, path, parents)?;
            let guard = self.lock(path.bucket(), path.key());
            let parent = {
                let _settled = self
                    .directories
                    .read()
                    .unwrap_or_else(PoisonError::into_inner);
                match bucket.walk(parents) {
                    Ok(parent) => parent,
                    Err(error) if is_absent(&error) => continue,
                    Err(error) => return Err(wrap(error)),
                }
            };
            // What is there is going to be replaced: a damaged record must not keep it there for ever.
            let current = self.find_at(&parent, last, path, OnDamage::Overlook)?;
            let itself = match parent.kind(last).map_err(&wrap)? {
                Some(NameKind::Directory) => match parent.open(last) {
                    Ok(itself) => Some(itself),
                    Err(error) if is_absent(&error) => continue,
                    Err(error) => return Err(wrap(error)),
                },
                _ => None,
            };
            let (directory, name) = match &itself {
                Some(itself) => (itself, SELF_NAME),
                None => (&parent, last.as_str()),
            };
            if current.is_none() && self.foreign.may_be_leftover(path.key()) {
                match directory.remove_file(name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(wrap(error));
                    }
                    _ => {}
                }
            }
            let done = decide(current.as_ref()).and_then(|decision| {
                self.settle(path, staged, current.as_ref())?;
                if let Decision::Publish(keeping) = decision {
                    let old = current.as_ref();
                    let kept = match old {
                        Some(old) => self.keep(path, old, Why::Replaced, keeping)?,
                        None => None,
                    };
                    let file = old
                        .filter(|old| old.lies != Lies::AsFolder)
                        .map(|old| &old.file);
                    let switched = self.switch(directory, name, file, staged);
                    if file.is_none() {
                        self.names.added(directory);
                    }
                    if let (Some(kept), Some(old)) = (kept, old) {
                        self.resolve(kept, old, directory, name, &switched);
                    }
                    switched.map_err(&wrap)?;
                }
                Ok(decision)
            });
            let decision = match done {
                Ok(decision) => decision,
                Err(Error::Io { source, action }) if is_moved(&source) => {
                    failure = Some(Error::Io { source, action });
                    continue;
                }
                Err(error) => return Err(error),
            };
            // Only now: before the change was durable, a crash could have brought the old bytes back.
            if let (Decision::Publish(_), Some(old)) = (decision, &current) {
                self.forget_record(path, &old.record, &old.stat, Some(&staged.file));
            }
            if last == EMPTY {
                s3proxy::forget_folder(directory).map_err(&wrap)?;
            }
            drop(guard);
            return Ok(());
        }
        Err(failure.unwrap_or_else(|| wrap(io::Error::from(io::ErrorKind::ResourceBusy))))
    }

    /// Makes the directories that lead to a key. An object in the way moves into the directory of its name.
    fn make_parents(
        &self,
        bucket: &Directory,
        path: &ObjectPath,
        parents: &[String],
    ) -> Result<(), Error> {
        let wrap = Error::io("making the directories of the object");
        for _ in 0..ATTEMPTS {
            {
                let _settled = self
                    .directories
                    .read()
                    .unwrap_or_else(PoisonError::into_inner);
                match bucket.walk(parents) {
                    Ok(_) => return Ok(()),
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(wrap(error)),
                }
            }
            let mut obstacle = None;
            {
                let _making = self
                    .directories
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                let mut chain: Vec<Directory> = Vec::new();
                for (depth, name) in parents.iter().enumerate() {
                    match chain.last().unwrap_or(bucket).make(name) {
                        Ok(directory) => chain.push(directory),
                        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                            obstacle = Some(depth);
                            break;
                        }
                        // Removed by somebody who found it empty, or with the bucket.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                        Err(error) => return Err(wrap(error)),
                    }
                }
                for changed in std::iter::once(bucket).chain(&chain) {
                    self.names.added(changed);
                }
                if chain.len() == parents.len() {
                    return Ok(());
                }
            }
            match obstacle {
                Some(depth) => self.move_inside(path, parents, depth)?,
                None => drop(self.bucket(path.bucket())?),
            }
        }
        Err(wrap(io::ErrorKind::ResourceBusy.into()))
    }

    /// Turns the file `parents[depth]` into a directory that holds it. Readers find the object before and after.
    fn move_inside(
        &self,
        path: &ObjectPath,
        parents: &[String],
        depth: usize,
    ) -> Result<(), Error> {
        let wrap = Error::io("making room beside the object");
        let key = shorter_key(path.key(), parents, depth);
        let _guard = self.lock(path.bucket(), &key);
        let _making = self
            .directories
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let bucket = self.bucket(path.bucket())?;
        let name = &parents[depth];
        let parent = match bucket.walk(&parents[..depth]) {
            Ok(parent) => parent,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(wrap(error)),
        };
        let file = match parent.open_file(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Ok(()),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && parent.kind(name).map_err(&wrap)?.is_none() =>
            {
                // A link, a socket and the like: not ours to move.
                return match rustix::fs::statat(
                    &parent,
                    name.as_str(),
                    rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
                ) {
                    Ok(_) => Err(Error::InvalidKey {
                        key: path.key().to_owned(),
                    }),
                    Err(_) => Ok(()),
                };
            }
            Err(error) => return Err(wrap(error)),
        };
        if self.moves_in_steps() {
            let moved = self.move_in_steps(path.bucket(), &parents[..=depth], &parent, name);
            self.names.added(&parent);
            return moved.map_err(wrap);
        }
        let between = self.sources.id();
        let holder = self.temporary.make(&between).map_err(&wrap)?;
        self.link(&file, &holder, SELF_NAME).map_err(&wrap)?;
        holder.sync().map_err(&wrap)?;
        rustix::fs::renameat_with(
            &*self.temporary,
            between.as_str(),
            &parent,
            name.as_str(),
            RenameFlags::EXCHANGE,
        )
        .map_err(|error| wrap(error.into()))?;
        self.names.added(&parent);
        parent.sync().map_err(&wrap)?;
        self.temporary.remove_file(&between).map_err(&wrap)
    }
}

/// The key whose file is `parents[depth]`.
fn shorter_key(key: &str, parents: &[String], depth: usize) -> String {
    key.match_indices('/')
        .map(|(end, _)| &key[..end])
        .find(|shorter| encode(shorter) == parents[..=depth])
        .unwrap_or(key)
        .to_owned()
}

/// Whether a path does not lead to anything of ours.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
        || error.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error())
}

/// Whether a write failed because somebody changed the directories around it.
fn is_moved(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory
    )
}
