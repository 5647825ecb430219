//! Copies: one more name for the same bytes, with a record of its own. Everything here blocks.
//!
//! A file that another program wrote and will not change in place becomes ours with its first copy: it gets a record of ours
//! beside that program's, which says the same. A file put there by hand is copied byte by byte.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use rustix::io::Errno;

use super::capabilities::Capability;
use super::crc::{Crc, Running};
use super::objects::{Decision, Found, Lies};
use super::record::{Origin, Record};
use super::stage::{Staged, get_record, set_record};
use super::trash::Keeping;
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
        let mut source = self.find(from)?;
        options
            .source
            .judge(from.key(), &source.info())
            .map_err(Error::not_modified_means_refused)?;
        let never_changed_in_place =
            matches!(source.record.origin, Origin::S3Proxy | Origin::Minio);
        if source.lies != Lies::AsFolder && never_changed_in_place {
            source = self.make_ours(from, source)?;
        }
        let mut record = source.record.clone();
        record.set_modified(self.sources.now());
        record.storage_class = None;
        if let Some(attributes) = options.attributes.clone() {
            record.attributes = attributes;
        }
        let size = source.size();
        if source.record.origin != Origin::Ours || !self.can.has(Capability::Links) {
            return self.copy_bytes(&source, to, record, options);
        }
        let with_file = self.can.has(Capability::Attributes);
        if with_file {
            mark_shared(&source)?;
            record.shared = true;
        }
        let mut staged = Staged::linking(
            source
                .file
                .try_clone()
                .map_err(Error::io("copying the object"))?,
            self.can,
        );
        staged.record = (!with_file).then(|| record.clone());
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
            if with_file {
                self.remember_record(to, &record)?;
            }
            // The same bytes under the same name: the record was all that changes.
            let same = current.is_some_and(|old| {
                (old.stat.st_dev, old.stat.st_ino) == (source.stat.st_dev, source.stat.st_ino)
            });
            Ok(if same {
                Decision::Leave
            } else {
                Decision::Publish(Keeping::AsSet)
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

    /// Gives an object of another program a record of ours, so that its bytes can be shared. Where that is impossible the
    /// object stays as it is.
    fn make_ours(&self, path: &ObjectPath, source: Found) -> Result<Found, Error> {
        let _guard = self.lock(path.bucket(), path.key());
        let now = self.find(path)?;
        let same = (now.stat.st_dev, now.stat.st_ino) == (source.stat.st_dev, source.stat.st_ino);
        if !same || now.record.origin == Origin::Ours {
            // Replaced, or made ours by another copy.
            return Ok(if same { now } else { source });
        }
        let mut record = now.record;
        record.origin = Origin::Ours;
        record.id = self.sources.id();
        if !self.can.has(Capability::Attributes) {
            // Each name has a record of its own anyway.
            return Ok(Found { record, ..now });
        }
        match set_record(&now.file, &record) {
            Ok(()) => {}
            Err(error) => {
                tracing::debug!(%path, %error, "an object of another program gets no record of ours");
                return Ok(source);
            }
        }
        now.file
            .sync_all()
            .map_err(Error::io("copying the object"))?;
        Ok(Found { record, ..now })
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
        let copied = if source.lies == Lies::AsFolder {
            record.crc = Some(Running::default().finish());
            0
        } else if record.crc.is_some() {
            io::Seek::rewind(&mut reader).map_err(&wrap)?;
            io::copy(&mut reader, &mut staged.file).map_err(&wrap)?
        } else {
            let (copied, crc) = copy_counting(reader, &staged.file).map_err(&wrap)?;
            record.crc = Some(crc);
            copied
        };
        record.id = self.sources.id();
        record.origin = Origin::Ours;
        record.shared = false;
        self.seal(&mut staged, &record)?;
        self.publish(to, &options.destination, &mut staged)?;
        Ok(record.info(copied))
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

/// Whether the file system refuses one more name for a file.
pub(super) fn cannot_link(error: &io::Error) -> bool {
    [Errno::MLINK, Errno::PERM, Errno::OPNOTSUPP, Errno::XDEV]
        .iter()
        .any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error()))
}
