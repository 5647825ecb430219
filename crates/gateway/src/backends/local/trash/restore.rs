//! From the trash back to its key. Everything here blocks.

use std::fs::File;
use std::io;
use std::sync::Arc;

use lifeboat_core::error::Kind;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Part, Place};
use super::{Keeping, Trash, read_entry};
use crate::backend::{Error, ObjectPath};
use crate::backends::local::capabilities::Capability;
use crate::backends::local::control::Refusal;
use crate::backends::local::objects::Decision;
use crate::backends::local::record::Record;
use crate::backends::local::stage::{Staged, get_record, set_record};
use crate::backends::local::tree::present;
use crate::backends::local::volume::Volume;

/// Why something stays in the trash.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("no entry `{id}` in the trash: its term is over, or it has been restored")]
    NoEntry { id: String },
    #[error("bucket `{bucket}` holds another object `{key}` by now")]
    Occupied { bucket: String, key: String },
    #[error("the gateway that serves the volume did not restore it")]
    Refused(#[source] Refusal),
    #[error(transparent)]
    Backend(#[from] Error),
}

impl RestoreError {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoEntry { .. } => Kind::NotFound,
            Self::Occupied { .. } => Kind::Conflict,
            Self::Refused(refusal) => refusal.kind(),
            Self::Backend(error) => error.kind(),
        }
    }
}

/// What happens to an object that has the key by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Occupied {
    Refuse,
    /// It goes to the trash, whether or not that is switched on.
    Replace,
}

impl Volume {
    /// Gives an object in the trash its key again. A bucket that is gone is made again. If it fails, the entry stays.
    pub(in crate::backends::local) fn restore(
        &self,
        place: &Place,
        occupied: Occupied,
    ) -> Result<Entry, RestoreError> {
        let wrap = Error::io("restoring the object");
        let trash = &self.trash;
        let entry = trash
            .claim(place)
            .map_err(&wrap)?
            .ok_or_else(|| RestoreError::NoEntry {
                id: place.id.clone(),
            })?;
        let restored = self.give_back(&entry, occupied);
        let done = match restored {
            Ok(()) => trash.discard(&entry),
            Err(_) => trash.settle(&entry),
        };
        super::report(done, &entry.id);
        restored.map(|()| entry)
    }

    fn give_back(&self, entry: &Entry, occupied: Occupied) -> Result<(), RestoreError> {
        let wrap = Error::io("restoring the object");
        let path = entry.path()?;
        if let Err(Error::NoSuchBucket { .. }) = self.bucket(path.bucket()) {
            self.root.make(path.bucket()).map_err(&wrap)?;
        }
        let pending = &self.trash.pending;
        let file = pending.open_file(&entry.object()).map_err(&wrap)?;
        let own = file.try_clone().map_err(&wrap)?;
        let mut staged = Staged::adopt(file, Arc::clone(pending), entry.object(), self.can);
        let with_file = self.can.has(Capability::Attributes);
        if !with_file {
            let mut record = entry.record.clone();
            record.id = self.sources.id();
            staged.record = Some(record);
        }
        let placed = self.place(&path, &mut staged, |current| {
            if current.is_some() && occupied == Occupied::Refuse {
                return Err(Error::PreconditionFailed {
                    key: entry.key.clone(),
                });
            }
            if with_file {
                self.fit_record(&path, &own, &entry.record)?;
            }
            Ok(Decision::Publish(Keeping::Always))
        });
        // Its name in `pending/` is the entry's to remove.
        staged.release();
        placed.map_err(|error| match error {
            Error::PreconditionFailed { .. } => RestoreError::Occupied {
                bucket: entry.bucket.clone(),
                key: entry.key.clone(),
            },
            other => other.into(),
        })
    }

    /// Sees to it that `record` counts for the file once it is the object of `path`. Durable when it returns.
    fn fit_record(&self, path: &ObjectPath, file: &File, record: &Record) -> Result<(), Error> {
        let wrap = Error::io("restoring the record of the object");
        let stat = rustix::fs::fstat(file).map_err(|error| wrap(error.into()))?;
        match self.record(file, &stat, path) {
            Ok(own) if own.says_the_same(record) => return Ok(()),
            // It was there when the object was removed, and is no better than it was.
            Err(Error::DamagedRecord { .. }) => return Ok(()),
            read => drop(read?),
        }
        let own = get_record(file)
            .map_err(&wrap)?
            .and_then(|bytes| Record::from_bytes(&bytes).ok());
        let mut record = record.clone();
        let Some(mut own) = own else {
            record.id = self.sources.id();
            set_record(file, &record)?;
            return file.sync_all().map_err(&wrap);
        };
        if !own.shared {
            own.shared = true;
            set_record(file, &own)?;
            file.sync_all().map_err(&wrap)?;
        }
        record.id = own.id;
        record.shared = true;
        self.remember_record(path, &record)
    }
}

impl Trash {
    /// Takes an entry out of its hour, so that nobody else restores or removes it; nothing if it is gone.
    fn claim(&self, place: &Place) -> io::Result<Option<Entry>> {
        let [file, object] = [Part::Entry, Part::Object].map(|part| part.file(&place.id));
        if Part::Entry.id(&file).is_none() {
            return Ok(None);
        }
        let mut hours = self.hours();
        let Some(directory) = present(self.home.open(&place.hour.to_string()))? else {
            return Ok(None);
        };
        let Some(entry) = read_entry(&directory, &file)? else {
            return Ok(None);
        };
        // Whoever moves this one has the entry; after a crash it is in `pending/`, wherever its object is.
        match rustix::fs::renameat(&directory, &file, &*self.pending, &file) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        rustix::fs::renameat(&directory, &object, &*self.pending, &object)?;
        if let Some(Some(tally)) = hours.get_mut(&place.hour) {
            tally.objects = tally.objects.saturating_sub(1);
            tally.bytes = tally.bytes.saturating_sub(entry.size);
        }
        Ok(Some(entry))
    }
}
