//! What the gateway asks of a place that keeps objects.
//!
//! The contract is free of protocol types, so that a backend can be tested without HTTP and the protocol can change
//! without touching a backend. Its promises are tested by one suite that every backend passes.

pub mod condition;
pub mod digest;
pub mod error;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::condition::{ReadConditions, WriteCondition};
use self::digest::{Algorithm, Checksum, Expected};
pub use self::error::Error;

/// The longest key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;
/// The highest part number of a multipart upload. The lowest is 1.
pub const MAX_PART_NUMBER: u16 = 10_000;
/// The least size of every part but the last, in bytes.
pub const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;
/// The most bytes of user metadata, names and values together.
pub const MAX_USER_METADATA_BYTES: usize = 2048;

/// Bytes that arrive bit by bit. An error ends the stream.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send + Sync>>;

/// Why a stream of bytes broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A bucket and a key in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectPath {
    bucket: String,
    key: String,
}

impl ObjectPath {
    /// Checks the form of both names; says nothing about whether they exist.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Result<Self, Error> {
        let (bucket, key) = (bucket.into(), key.into());
        if !is_bucket_name(&bucket) {
            return Err(Error::InvalidBucketName { bucket });
        }
        if key.is_empty() || key.contains('\0') {
            return Err(Error::InvalidKey { key });
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(Error::KeyTooLong { bytes: key.len() });
        }
        Ok(Self { bucket, key })
    }

    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bucket, self.key)
    }
}

/// Whether `name` may name a bucket: 3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit at both ends.
pub fn is_bucket_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| inner(byte) || byte == b'.' || byte == b'-')
        && name.bytes().next().is_some_and(inner)
        && name.bytes().last().is_some_and(inner)
        && !name.contains("..")
}

/// What the writer of an object says about it, given back to every reader.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Headers such as `content-type`, by lower-case name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// User metadata, without the `x-amz-meta-` of the protocol.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
}

/// An object as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// In bytes.
    pub size: u64,
    /// Without quotes. The MD5 of the content where that is known, otherwise a text with a `-` in it.
    pub etag: String,
    pub modified: Timestamp,
    pub attributes: Attributes,
    /// The checksum kept with the object, if the writer sent or asked for one.
    pub checksum: Option<Checksum>,
    /// How many parts it was uploaded in, if it came by multipart upload.
    pub parts: Option<u16>,
}

/// A bucket as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketInfo {
    pub name: String,
    pub created: Timestamp,
}

/// Content on its way in.
pub struct Content {
    pub stream: ByteStream,
    /// In bytes, when the sender said so beforehand. More or fewer bytes than this are an error.
    pub length: Option<u64>,
    /// Digests that the content must match, or nothing is stored.
    pub expected: Expected,
}

/// Which bytes of an object to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From `first` to `last`, both included; to the end without `last`.
    From { first: u64, last: Option<u64> },
    /// The last `length` bytes.
    Suffix { length: u64 },
}

impl ByteRange {
    /// Returns the bytes meant in an object of `size` bytes, end excluded, or nothing if it has no such bytes.
    pub fn within(self, size: u64) -> Option<Range<u64>> {
        match self {
            Self::From { first, last } => {
                let end = last.map_or(size, |last| last.saturating_add(1).min(size));
                (first < size && first < end).then_some(first..end)
            }
            Self::Suffix { length } => {
                (length > 0 && size > 0).then(|| size - length.min(size)..size)
            }
        }
    }
}

/// An object opened for reading. The bytes belong to `info`, whatever happens to the key meanwhile.
pub struct Opened {
    pub info: ObjectInfo,
    /// The bytes that `body` will give, end excluded.
    pub range: Range<u64>,
    pub body: ByteStream,
}

/// What to list, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    pub prefix: String,
    /// Rolls keys up that have it after the prefix. Never empty.
    pub delimiter: Option<String>,
    /// Only what sorts after this is listed; common prefixes too.
    pub after: Option<String>,
    /// The most entries of one page, objects and common prefixes together.
    pub limit: usize,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Object {
        key: String,
        info: ObjectInfo,
    },
    /// Stands for every key that begins with it. Ends in the delimiter.
    Prefix(String),
}

impl Entry {
    /// The text by which entries are ordered and where the next page begins.
    pub fn name(&self) -> &str {
        match self {
            Self::Object { key, .. } => key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// Part of a listing, in byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Whether more follows after the last entry.
    pub truncated: bool,
}

/// How a copy differs from its source.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Replaces what the source's writer said; without it, the source's attributes are kept.
    pub attributes: Option<Attributes>,
    /// What must hold of the source.
    pub source: ReadConditions,
    /// What must hold of the destination.
    pub destination: WriteCondition,
}

/// How the checksum of a multipart object is made from those of its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChecksumType {
    /// The checksum of the parts' checksums, followed by `-` and their number.
    Composite,
    /// The checksum of the whole content.
    Full,
}

/// What is said when a multipart upload begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadOptions {
    #[serde(default)]
    pub attributes: Attributes,
    /// The checksum to compute of every part and of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<(Algorithm, ChecksumType)>,
}

/// A multipart upload that is neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadInfo {
    pub key: String,
    /// Sorts by the time the upload began.
    pub id: String,
    pub initiated: Timestamp,
    pub options: UploadOptions,
}

/// A part that has been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    pub number: u16,
    pub size: u64,
    /// The MD5 of the part, in lower-case hexadecimal.
    pub etag: String,
    pub modified: Timestamp,
    pub checksum: Option<Checksum>,
}

/// A part as named by the request that completes the upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedPart {
    pub number: u16,
    pub etag: String,
    /// Compared with that of the part where given.
    pub checksum: Option<Checksum>,
}

/// How to complete an upload.
#[derive(Debug, Clone, Default)]
pub struct CompleteOptions {
    pub parts: Vec<CompletedPart>,
    pub condition: WriteCondition,
    /// The checksum the whole object must have.
    pub checksum: Option<Checksum>,
}

/// A place that keeps objects.
///
/// Whatever is answered with `Ok` is durable and seen by every later call. A write that fails leaves the key as it was; one
/// that is dropped half-way, or cut off by the end of the process, leaves either that or the whole of the new object.
/// Writers of one key take effect one after the other, each condition is checked at the moment its write takes effect.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Fails with [`Error::BucketExists`] if there is one.
    async fn create_bucket(&self, bucket: &str) -> Result<(), Error>;
    async fn bucket(&self, bucket: &str) -> Result<BucketInfo, Error>;
    /// Ordered by name.
    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error>;
    /// Fails with [`Error::BucketNotEmpty`] while it holds an object. Unfinished uploads go with it.
    async fn delete_bucket(&self, bucket: &str) -> Result<(), Error>;

    /// Stores an object, replacing what the key held.
    async fn put(
        &self,
        path: &ObjectPath,
        attributes: Attributes,
        content: Content,
        condition: WriteCondition,
    ) -> Result<ObjectInfo, Error>;
    async fn head(&self, path: &ObjectPath) -> Result<ObjectInfo, Error>;
    /// Opens an object if it meets the conditions; without `range` all of it.
    async fn get(
        &self,
        path: &ObjectPath,
        range: Option<ByteRange>,
        conditions: &ReadConditions,
    ) -> Result<Opened, Error>;
    /// Removes an object. A key that holds none is no error.
    async fn delete(&self, path: &ObjectPath) -> Result<(), Error>;
    /// Copies an object, also onto itself. `to` gets a modification time of its own.
    async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<ObjectInfo, Error>;
    async fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error>;

    /// Begins a multipart upload and returns its id.
    async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<String, Error>;
    /// Stores a part, replacing an earlier one of that number.
    async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        content: Content,
    ) -> Result<PartInfo, Error>;
    /// Ordered by number.
    async fn parts(
        &self,
        path: &ObjectPath,
        upload: &str,
    ) -> Result<(UploadInfo, Vec<PartInfo>), Error>;
    /// Makes the parts an object and ends the upload. If it fails, the upload is as before.
    async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<ObjectInfo, Error>;
    /// Ends the upload and removes its parts.
    async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error>;
    /// All live uploads whose key begins with `prefix` and no others, ordered by key, then by id.
    async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadInfo>, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_reach_past_the_end() {
        let from = |first, last| ByteRange::From { first, last };
        assert_eq!(from(0, Some(u64::MAX)).within(10), Some(0..10));
        assert_eq!(from(9, None).within(10), Some(9..10));
        assert_eq!(from(10, None).within(10), None);
        assert_eq!(from(0, None).within(0), None);
        assert_eq!(ByteRange::Suffix { length: 20 }.within(10), Some(0..10));
        assert_eq!(ByteRange::Suffix { length: 3 }.within(10), Some(7..10));
        assert_eq!(ByteRange::Suffix { length: 0 }.within(10), None);
    }

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for good in ["sts-stackgraph-backup", "abc", "a.b-c", "0ab"] {
            assert!(is_bucket_name(good), "{good}");
        }
        for bad in [
            "",
            "ab",
            "..",
            "a..b",
            ".lifeboat",
            "-ab",
            "ab-",
            "A-b",
            "a/b",
            "lost+found",
        ] {
            assert!(!is_bucket_name(bad), "{bad}");
        }
    }

    #[test]
    fn keys_without_a_name_or_with_nul_are_refused() {
        assert!(ObjectPath::new("bucket", "").is_err());
        assert!(ObjectPath::new("bucket", "a\0b").is_err());
        assert!(ObjectPath::new("bucket", "k".repeat(1025)).is_err());
        assert!(ObjectPath::new("bucket", "k".repeat(1024)).is_ok());
    }
}
