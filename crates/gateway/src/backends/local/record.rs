//! What is remembered of an object besides its bytes, and how it is written down.
//!
//! It is the one extended attribute [`ATTRIBUTE`] of the object's file: JSON, so that `getfattr` shows it to a person. Other
//! programs write theirs elsewhere ([`super::foreign`]). A file without any, put there by hand, is an object too: its etag is
//! made of what the file system knows and has a `-`, so that no client takes it for an MD5.

use jiff::Timestamp;
use md5::{Digest as _, Md5};
use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

use super::crc::Crc;
use crate::backend::digest::Checksum;
use crate::backend::relay::Relayed;
use crate::backend::{Attributes, ObjectInfo};

/// The extended attribute of every object's file.
pub(super) const ATTRIBUTE: &str = "user.lifeboat";
/// The newest form of the record that this version writes, and the only one it reads.
const VERSION: u32 = 1;

/// Who wrote a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Origin {
    /// This gateway.
    #[default]
    Ours,
    /// s3proxy, which never changes an object's file in place.
    S3Proxy,
    /// MinIO, which never does either.
    Minio,
    /// Nobody: whoever put the file there may change it in place.
    Nobody,
}

/// The record of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// Made when the bytes were written; every name of the same bytes has it.
    pub(super) id: String,
    pub(super) etag: String,
    /// In milliseconds since 1970.
    modified: i64,
    #[serde(flatten)]
    pub(super) attributes: Attributes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) checksum: Option<Checksum>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<u16>,
    /// Of the content, to find damage by. Objects of an earlier version and files put there by hand have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc: Option<Crc>,
    /// The file has had a second name, so a name may have a record of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) shared: bool,
    /// What the program that wrote the object says of it; not acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) storage_class: Option<String>,
    #[serde(skip)]
    pub(super) origin: Origin,
}

impl Record {
    pub(super) fn new(
        id: String,
        etag: String,
        modified: Timestamp,
        attributes: Attributes,
    ) -> Self {
        Self {
            version: VERSION,
            id,
            etag,
            modified: modified.as_millisecond(),
            attributes,
            checksum: None,
            parts: None,
            crc: None,
            shared: false,
            storage_class: None,
            origin: Origin::Ours,
        }
    }

    /// A record that another program wrote, or what stands for one.
    pub(super) fn foreign(
        origin: Origin,
        etag: String,
        modified: Timestamp,
        attributes: Attributes,
    ) -> Self {
        Self {
            origin,
            ..Self::new(String::new(), etag, modified, attributes)
        }
    }

    /// Describes a file that nobody wrote a record for. The same file, unchanged, always gives the same record.
    pub(super) fn of_bare_file(stat: &Stat) -> Self {
        let mut md5 = Md5::new();
        for value in [
            stat.st_ino.to_le_bytes(),
            stat.st_size.to_le_bytes(),
            stat.st_mtime.to_le_bytes(),
            stat.st_mtime_nsec.to_le_bytes(),
        ] {
            md5.update(value);
        }
        Self::foreign(
            Origin::Nobody,
            format!("{}-1", hex::encode(md5.finalize())),
            modified(stat),
            Attributes::default(),
        )
    }

    /// Whether readers of the object learn the same from both.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let blank = |record: &Self| Self {
            id: String::new(),
            shared: false,
            origin: Origin::Ours,
            ..record.clone()
        };
        blank(self) == blank(other)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let record: Self = serde_json::from_slice(bytes)?;
        if record.version != VERSION {
            return Err(serde::de::Error::custom(format!(
                "version {} is not known here",
                record.version
            )));
        }
        Ok(record)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record is plain text and numbers")
    }

    pub(super) fn modified(&self) -> Timestamp {
        Timestamp::from_millisecond(self.modified).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(super) fn set_modified(&mut self, modified: Timestamp) {
        self.modified = modified.as_millisecond();
    }

    /// `size` in bytes.
    pub(super) fn info(self, size: u64) -> ObjectInfo {
        let storage_class = self.storage_class.clone().into_iter();
        let relayed = storage_class.map(|class| ("x-amz-storage-class".to_owned(), class));
        ObjectInfo {
            size,
            modified: self.modified(),
            etag: self.etag,
            attributes: self.attributes,
            checksum: self.checksum,
            parts: self.parts,
            version: None,
            relayed: relayed.collect::<Relayed>(),
        }
    }
}

/// When a file was last changed.
pub(super) fn modified(stat: &Stat) -> Timestamp {
    let nanos = i32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Timestamp::new(stat.st_mtime, nanos).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The record of one name of a file that has several, kept apart from the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NamedRecord {
    /// The key it belongs to: the file's name is only a hash of it.
    pub(super) key: String,
    /// Counts only while the key holds the bytes with the id in here.
    pub(super) record: Record,
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;
    use crate::backend::digest::Algorithm;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            etag in ".{0,40}",
            modified in 0_i64..4_000_000_000_000,
            headers in btree_map("[a-z-]{1,9}", ".{0,9}", 0..4),
            user in btree_map(".{1,9}", ".{0,9}", 0..4),
            shared: bool,
            crc in proptest::option::of("[0-9a-f]{16}"),
        ) {
            let modified = Timestamp::from_millisecond(modified).unwrap();
            let mut record = Record::new("id".to_owned(), etag, modified, Attributes { headers, user });
            record.shared = shared;
            record.crc = crc.map(|crc| crc.parse().unwrap());
            record.checksum = Some(Checksum { algorithm: Algorithm::Crc64Nvme, value: "x".to_owned() });
            prop_assert_eq!(Record::from_bytes(&record.to_bytes()).unwrap(), record);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..300) {
            let record = Record::new("id".to_owned(), "etag".to_owned(), Timestamp::UNIX_EPOCH, Attributes::default());
            let whole = record.to_bytes();
            prop_assert!(Record::from_bytes(&bytes).is_err());
            prop_assert_eq!(Record::from_bytes(&whole[..cut.min(whole.len())]).is_ok(), cut >= whole.len());
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_not_guessed_at() {
        let later = br#"{"version":2,"id":"x","etag":"y","modified":0}"#;
        assert!(
            Record::from_bytes(later)
                .unwrap_err()
                .to_string()
                .contains("version 2")
        );
    }

    #[test]
    fn a_record_is_readable_text() {
        let mut record = Record::new(
            "01HZ".to_owned(),
            "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            Timestamp::UNIX_EPOCH,
            Attributes::default(),
        );
        record
            .attributes
            .headers
            .insert("content-type".to_owned(), "text/plain".to_owned());
        insta::assert_snapshot!(
            String::from_utf8(record.to_bytes()).unwrap(),
            @r#"{"version":1,"id":"01HZ","etag":"d41d8cd98f00b204e9800998ecf8427e","modified":0,"headers":{"content-type":"text/plain"}}"#
        );
    }
}
