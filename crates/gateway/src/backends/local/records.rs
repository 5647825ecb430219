//! Which record of an object counts, and where ours are kept when they cannot be with the file. Everything here blocks.
//!
//! The names of a file share its attribute, so what differs between them lies in `.lifeboat/records`, one file for each
//! key and id of bytes. Such a record counts only while the key holds just those bytes: one that was written before its
//! link, or outlived it, is not looked at.

use std::fs::File;
use std::io::{Read as _, Write as _};

use rustix::fs::Stat;

use super::objects::is_absent;
use super::record::{NamedRecord, Record};
use super::stage::get_record;
use super::volume::Volume;
use crate::backend::{Error, ObjectPath};

impl Volume {
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
        let Some(bytes) = get_record(file).map_err(&wrap)? else {
            return self.foreign.record(file, stat, path);
        };
        let own = Record::from_bytes(&bytes).map_err(damaged)?;
        if !own.shared {
            return Ok(own);
        }
        let (parent, name) = record_place(path, &own.id);
        let read = self
            .records
            .walk(&parent)
            .and_then(|directory| directory.open_file(&name))
            .and_then(|mut file| {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(bytes)
            });
        match read {
            Ok(bytes) => {
                let named: NamedRecord = serde_json::from_slice(&bytes).map_err(damaged)?;
                let counts = named.key == path.key() && named.record.id == own.id;
                Ok(if counts { named.record } else { own })
            }
            Err(error) if is_absent(&error) => Ok(own),
            Err(error) => Err(wrap(error)),
        }
    }

    /// Writes the record of one name of a shared file. Durable when it returns.
    pub(super) fn remember_record(&self, path: &ObjectPath, record: &Record) -> Result<(), Error> {
        let wrap = Error::io("writing the record of the object");
        let named = NamedRecord {
            key: path.key().to_owned(),
            record: record.clone(),
        };
        let bytes = serde_json::to_vec(&named).expect("a record is plain text and numbers");
        let (parent, name) = record_place(path, &record.id);
        let mut directory = self.records.make(&parent[0]).map_err(&wrap)?;
        directory = directory.make(&parent[1]).map_err(&wrap)?;
        let mut staged = self.stage().map_err(&wrap)?;
        staged.file.write_all(&bytes).map_err(&wrap)?;
        staged.file.sync_all().map_err(&wrap)?;
        let old = match directory.open_file(&name) {
            Ok(old) => Some(old),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(wrap(error)),
        };
        self.switch(&directory, &name, old.as_ref(), &mut staged)
            .map_err(&wrap)
    }

    /// Removes what was kept apart from the file for a key that held `old`. What stays is harmless: a record of ours counts
    /// only for those bytes, and one of MinIO's only for a file that has none of ours.
    pub(super) fn forget_record(&self, path: &ObjectPath, old: &Record) {
        let ours = || {
            let (parent, name) = record_place(path, &old.id);
            self.records
                .walk(&parent)
                .and_then(|directory| directory.remove_file(&name))
        };
        let kept_apart = if old.shared { ours() } else { Ok(()) };
        for removed in [kept_apart, self.foreign.forget(path)] {
            if let Err(error) = removed
                && !is_absent(&error)
            {
                tracing::debug!(%error, "cannot remove the record of a removed object");
            }
        }
    }
}

/// Where the record of one name of the file with this id lies: directories below `records`, and a file name.
fn record_place(path: &ObjectPath, id: &str) -> ([String; 2], String) {
    let hash = blake3::hash(path.key().as_bytes()).to_hex();
    let parents = [path.bucket().to_owned(), hash[..2].to_owned()];
    (parents, format!("{hash}.{id}"))
}
