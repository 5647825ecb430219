//! Which record of an object counts, and where ours are kept when they cannot be with the file. Everything here blocks.
//!
//! The names of a file share its attribute, so what differs between them lies in `.lifeboat/records`, one file for each
//! key and id of bytes. Such a record counts only while the key holds just those bytes: one that was written before its
//! link, or outlived it, is not looked at.
//!
//! Where a file system has no attributes, all records lie apart, in `.lifeboat/beside`, and a file's [`Identity`] takes the
//! place of the id. Every file of ours has one that no other file has that was ever under the key.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

use super::capabilities::Capability;
use super::contents::Contents;
use super::objects::{Found, is_absent};
use super::record::{NamedRecord, Origin, Record};
use super::stage::{Staged, get_record, set_record};
use super::tree::Directory;
use super::volume::Volume;
use crate::backend::{Error, ObjectPath};

/// How often a file gets another time because one that the key held has the same.
const ATTEMPTS: u64 = 100;

/// Tells the bytes of a file from others under the same key. It survives a copy of the volume that keeps times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    size: i64,
    /// When the file was last changed: seconds and nanoseconds since 1970.
    modified: (i64, u64),
}

impl Identity {
    fn of(stat: &Stat) -> Self {
        Self {
            size: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
        }
    }

    fn read(file: &File) -> io::Result<Self> {
        Ok(Self::of(&rustix::fs::fstat(file)?))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = self.modified;
        write!(f, "{}-{seconds}.{nanos:09}", self.size)
    }
}

impl Contents {
    /// Returns the record that counts for this name of the file.
    pub(super) fn record(
        &self,
        file: &File,
        stat: &Stat,
        path: &ObjectPath,
    ) -> Result<Record, Error> {
        let wrap = Error::io("reading the record of the object");
        let damaged = |source| Error::DamagedRecord {
            key: path.key().to_owned(),
            source,
        };
        let attribute = if self.can.has(Capability::Attributes) {
            get_record(file).map_err(&wrap)?
        } else {
            None
        };
        let Some(bytes) = attribute else {
            let identity = Identity::of(stat);
            let record = match &self.beside {
                Some(beside) => read(beside, path, &identity.to_string())?,
                None => None,
            };
            return match record {
                Some(record) => Ok(record),
                None => self.foreign.record(file, stat, path),
            };
        };
        let own = Record::from_bytes(&bytes).map_err(damaged)?;
        if !own.shared {
            return Ok(own);
        }
        let named = read(&self.records, path, &own.id)?;
        Ok(named.filter(|named| named.id == own.id).unwrap_or(own))
    }
}

impl Volume {
    /// Ties the record to a file that is complete, and waits until both are on the disk: the record as far as it can be
    /// while the file has no key.
    pub(super) fn seal(&self, staged: &mut Staged, record: &Record) -> Result<(), Error> {
        let wrap = Error::io("writing the object");
        if self.can.has(Capability::Attributes) {
            set_record(&staged.file, record)?;
        } else {
            // Milliseconds as they are shown, the rest of chance.
            let millis = record.modified().as_millisecond();
            let chance = (self.sources.random)() % 1_000_000;
            stamp(&staged.file, millis, chance).map_err(&wrap)?;
            staged.record = Some(record.clone());
        }
        staged.file.sync_all().map_err(wrap)
    }

    /// Writes the record that waits for the key of its file, which now is `path`. Durable when it returns.
    pub(super) fn settle(
        &self,
        path: &ObjectPath,
        staged: &Staged,
        current: Option<&Found>,
    ) -> Result<(), Error> {
        let Some(record) = &staged.record else {
            return Ok(());
        };
        let wrap = Error::io("writing the record of the object");
        let mut identity = Identity::read(&staged.file).map_err(&wrap)?;
        if let Some(current) = current {
            let stat = rustix::fs::fstat(&staged.file).map_err(|error| wrap(error.into()))?;
            // Another name of the file has a record under the time it has now.
            let ours_alone = stat.st_nlink <= 1 && stat.st_ino != current.stat.st_ino;
            let mut later = 0;
            while ours_alone && identity == Identity::of(&current.stat) && later < ATTEMPTS {
                // A file system may keep whole seconds only.
                later += 1;
                let millis = record.modified().as_millisecond();
                let chance = (self.sources.random)() % 1_000_000;
                let seconds = i64::try_from(later).expect("a small number");
                stamp(&staged.file, millis + 1000 * seconds, chance).map_err(&wrap)?;
                staged.file.sync_all().map_err(&wrap)?;
                identity = Identity::read(&staged.file).map_err(&wrap)?;
            }
        }
        let beside = self
            .beside
            .as_ref()
            .ok_or_else(|| wrap(io::ErrorKind::NotFound.into()))?;
        self.write(beside, path, &identity.to_string(), record)
    }

    /// Writes the record of one name of a shared file. Durable when it returns.
    pub(super) fn remember_record(&self, path: &ObjectPath, record: &Record) -> Result<(), Error> {
        self.write(&self.records, path, &record.id, record)
    }

    fn write(
        &self,
        records: &Directory,
        path: &ObjectPath,
        bytes_id: &str,
        record: &Record,
    ) -> Result<(), Error> {
        let wrap = Error::io("writing the record of the object");
        let named = NamedRecord {
            key: path.key().to_owned(),
            record: record.clone(),
        };
        let bytes = serde_json::to_vec(&named).expect("a record is plain text and numbers");
        let (parent, name) = record_place(path, bytes_id);
        let mut directory = records.make(&parent[0]).map_err(&wrap)?;
        directory = directory.make(&parent[1]).map_err(&wrap)?;
        self.write_file(&directory, &name, &bytes).map_err(&wrap)
    }

    /// Removes what was kept apart from the file for a key that held bytes with the record `old` in a file
    /// with `stat` and now holds `new`, if anything. What stays is
    /// harmless: a record of ours counts only for those bytes, and one of MinIO's only for a file that has none of ours.
    pub(super) fn forget_record(
        &self,
        path: &ObjectPath,
        old: &Record,
        stat: &Stat,
        new: Option<&File>,
    ) {
        let forget = |records: &Directory, bytes_id: &str| {
            let (parent, name) = record_place(path, bytes_id);
            records
                .walk(&parent)
                .and_then(|directory| directory.remove_file(&name))
        };
        let by_id = if old.shared {
            forget(&self.records, &old.id)
        } else {
            Ok(())
        };
        let identity = Identity::of(stat);
        let kept = new.is_some_and(|new| Identity::read(new).is_ok_and(|new| new == identity));
        let by_identity = match &self.beside {
            Some(beside) if old.origin == Origin::Ours && !kept => {
                forget(beside, &identity.to_string())
            }
            _ => Ok(()),
        };
        for removed in [by_id, by_identity, self.foreign.forget(path)] {
            if let Err(error) = removed
                && !is_absent(&error)
            {
                tracing::debug!(%error, "cannot remove the record of a removed object");
            }
        }
    }

    /// Removes all records of a bucket that is gone.
    pub(super) fn forget_records(&self, bucket: &str) -> io::Result<()> {
        for records in [Some(&self.records), self.beside.as_ref()] {
            match records.map_or(Ok(()), |records| records.remove_tree(bucket)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.foreign.forget_bucket(bucket)
    }
}

/// Reads the record that a key has for the bytes with this id, if it has one.
fn read(records: &Directory, path: &ObjectPath, bytes_id: &str) -> Result<Option<Record>, Error> {
    let (parent, name) = record_place(path, bytes_id);
    let bytes = records
        .walk(&parent)
        .and_then(|directory| directory.open_file(&name))
        .and_then(|mut file| {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        });
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(Error::io("reading the record of the object")(error)),
    };
    let named: NamedRecord =
        serde_json::from_slice(&bytes).map_err(|source| Error::DamagedRecord {
            key: path.key().to_owned(),
            source,
        })?;
    Ok((named.key == path.key()).then_some(named.record))
}

/// Sets when a file was last changed.
fn stamp(file: &File, millis: i64, nanos: u64) -> io::Result<()> {
    let whole = Duration::from_millis(millis.unsigned_abs());
    let time: SystemTime = if millis < 0 {
        UNIX_EPOCH - whole
    } else {
        UNIX_EPOCH + whole
    };
    file.set_modified(time + Duration::from_nanos(nanos))
}

/// Where the record of one name of the bytes with this id lies: directories below, and a file name.
fn record_place(path: &ObjectPath, bytes_id: &str) -> ([String; 2], String) {
    let hash = blake3::hash(path.key().as_bytes()).to_hex();
    let parents = [path.bucket().to_owned(), hash[..2].to_owned()];
    (parents, format!("{hash}.{bytes_id}"))
}
