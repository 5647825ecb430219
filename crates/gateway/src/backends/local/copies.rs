//! Copies: one more name for the same bytes, with a record of its own. Everything here blocks.
//!
//! The names of a file share its attribute, so what differs between them lies in `.lifeboat/records`, one file for each
//! key and id of bytes. Such a record counts only while the key holds just those bytes: one that was written before its
//! link, or outlived it, is not looked at.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use rustix::fs::Stat;
use rustix::io::Errno;

use super::crc::{Crc, Running};
use super::objects::{Decision, Found, is_absent};
use super::record::{NamedRecord, Record};
use super::stage::{Staged, get_record, set_record};
use super::volume::Volume;
use crate::backend::options::CopyOptions;
use crate::backend::{Error, ObjectInfo, ObjectPath};

impl Volume {
    /// Copies an object by giving its file one more name, or by copying its bytes where that is impossible.
    pub(super) fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: &CopyOptions,
    ) -> Result<ObjectInfo, Error> {
        let source = self.find(from)?;
        options
            .source
            .judge(from.key(), &source.info())
            .map_err(Error::not_modified_means_refused)?;
        let mut record = source.record.clone();
        record.set_modified(self.sources.now());
        if let Some(attributes) = options.attributes.clone() {
            record.attributes = attributes;
        }
        let size = source.size();
        if source.record.is_foreign() {
            // Whoever put the file there may change it in place: its bytes must not be shared.
            return self.copy_bytes(&source, to, record, options);
        }
        mark_shared(&source)?;
        record.shared = true;
        let mut staged = Staged::linking(
            source
                .file
                .try_clone()
                .map_err(Error::io("copying the object"))?,
        );
        let linked = self.place(to, &mut staged, |current| {
            options
                .destination
                .judge(to.key(), current.map(|found| found.record.etag.as_str()))?;
            let wrap = Error::io("linking the object");
            let names_left = rustix::fs::fstat(&source.file)
                .map_err(|error| wrap(error.into()))?
                .st_nlink;
            if names_left == 0 {
                return Err(Error::NoSuchKey {
                    key: from.key().to_owned(),
                });
            }
            self.remember_record(to, &record)?;
            // The same bytes under the same name: the record was all that changes.
            let same = current.is_some_and(|old| {
                (old.stat.st_dev, old.stat.st_ino) == (source.stat.st_dev, source.stat.st_ino)
            });
            Ok(if same {
                Decision::Leave
            } else {
                Decision::Publish
            })
        });
        match linked {
            Ok(()) => Ok(record.info(size)),
            Err(Error::Io { source: cause, .. }) if cannot_link(&cause) => {
                self.copy_bytes(&source, to, record, options)
            }
            // Removed or replaced since it was found; the open file still has the bytes.
            Err(Error::NoSuchKey { key }) if key == from.key() => {
                self.copy_bytes(&source, to, record, options)
            }
            Err(error) => Err(error),
        }
    }

    fn copy_bytes(
        &self,
        source: &Found,
        to: &ObjectPath,
        mut record: Record,
        options: &CopyOptions,
    ) -> Result<ObjectInfo, Error> {
        let wrap = Error::io("copying the object");
        let mut staged = self.stage().map_err(&wrap)?;
        let mut reader = &source.file;
        io::Seek::rewind(&mut reader).map_err(&wrap)?;
        let copied = if record.crc.is_some() {
            io::copy(&mut reader, &mut staged.file).map_err(&wrap)?
        } else {
            let (copied, crc) = copy_counting(reader, &staged.file).map_err(&wrap)?;
            record.crc = Some(crc);
            copied
        };
        record.id = self.sources.id();
        record.shared = false;
        staged.seal(&record)?;
        self.publish(to, &options.destination, &mut staged)?;
        Ok(record.info(copied))
    }

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
            return Ok(Record::of_foreign_file(stat));
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
    fn remember_record(&self, path: &ObjectPath, record: &Record) -> Result<(), Error> {
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

    /// Removes what was kept for a key that held `old`. One that stays is harmless: it counts only for those bytes.
    pub(super) fn forget_record(&self, path: &ObjectPath, old: &Record) {
        if !old.shared {
            return;
        }
        let (parent, name) = record_place(path, &old.id);
        let removed = self
            .records
            .walk(&parent)
            .and_then(|directory| directory.remove_file(&name));
        if let Err(error) = removed
            && !is_absent(&error)
        {
            tracing::debug!(%error, "cannot remove the record of a removed object");
        }
    }
}

/// Copies to the end and returns how many bytes went by, and their checksum.
fn copy_counting(mut from: &File, mut to: &File) -> io::Result<(u64, Crc)> {
    let mut buffer = vec![0; 256 * 1024];
    let mut crc = Running::default();
    let mut copied = 0;
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok((copied, crc.finish())),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        crc.update(&buffer[..length]);
        to.write_all(&buffer[..length])?;
        copied += u64::try_from(length).expect("sizes fit in 64 bits");
    }
}

/// Notes in the file that names of it may have records of their own. Must be durable before the first such record.
fn mark_shared(source: &Found) -> Result<(), Error> {
    let wrap = Error::io("copying the object");
    let Some(bytes) = get_record(&source.file).map_err(&wrap)? else {
        return Ok(());
    };
    let damaged = |error| Error::DamagedRecord {
        key: String::new(),
        source: error,
    };
    let mut own = Record::from_bytes(&bytes).map_err(damaged)?;
    if own.shared {
        return Ok(());
    }
    own.shared = true;
    set_record(&source.file, &own)?;
    source.file.sync_all().map_err(&wrap)
}

/// Where the record of one name of the file with this id lies: directories below `records`, and a file name.
fn record_place(path: &ObjectPath, id: &str) -> ([String; 2], String) {
    let hash = blake3::hash(path.key().as_bytes()).to_hex();
    let parents = [path.bucket().to_owned(), hash[..2].to_owned()];
    (parents, format!("{hash}.{id}"))
}

/// Whether the file system refuses one more name for a file.
fn cannot_link(error: &io::Error) -> bool {
    [Errno::MLINK, Errno::PERM, Errno::OPNOTSUPP, Errno::XDEV]
        .iter()
        .any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error()))
}
