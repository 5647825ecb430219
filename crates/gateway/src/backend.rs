//! What the gateway asks of a place that keeps objects.
//!
//! The contract is free of protocol types, so that a backend can be tested without HTTP and the protocol can change
//! without touching a backend. Its promises are tested by one suite that every backend passes.

pub(crate) mod assembly;
pub mod condition;
pub mod content;
pub mod digest;
pub mod error;
pub mod listing;
pub mod options;
pub mod relay;
pub mod seal;
pub mod tag;
pub mod upload;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::content::{ByteStream, Content};
use self::digest::Checksum;
pub use self::error::Error;
use self::listing::{ListQuery, Page};
use self::options::{CopyOptions, DeleteOptions, Deleted, PutOptions, ReadOptions};
use self::relay::{Relay, Relayed};
use self::upload::{
    BegunUpload, CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts,
};

/// The longest key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;
/// The highest part number of a multipart upload. The lowest is 1.
pub const MAX_PART_NUMBER: u16 = 10_000;
/// The least size of every part but the last, in bytes.
pub const MIN_PART_BYTES: u64 = 5 * 1024 * 1024;
/// The most bytes of user metadata, names and values together.
pub const MAX_USER_METADATA_BYTES: usize = 2048;
/// How many objects are removed at a time, so that their syncs can share a commit of the file system.
const PARALLEL_DELETES: usize = 16;

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

/// What S3 says of content that nobody named the type of.
pub(crate) const UNTYPED: &str = "binary/octet-stream";

impl Attributes {
    /// Refuses more user metadata than S3 has room for.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bytes = self
            .user
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes > MAX_USER_METADATA_BYTES {
            return Err(Error::MetadataTooLarge { bytes });
        }
        Ok(())
    }
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
    /// Which version this is, in a store that keeps older ones.
    pub version: Option<String>,
    /// What a store that speaks S3 says beyond this.
    pub relayed: Relayed,
}

/// What a store says of an object that it has just stored: less than of one that it is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Like all that follow, as in [`ObjectInfo`].
    pub etag: String,
    /// Where the store says so.
    pub modified: Option<Timestamp>,
    pub checksum: Option<Checksum>,
    pub version: Option<String>,
    pub relayed: Relayed,
}

impl From<ObjectInfo> for Stored {
    fn from(info: ObjectInfo) -> Self {
        Self {
            etag: info.etag,
            modified: Some(info.modified),
            checksum: info.checksum,
            version: info.version,
            relayed: info.relayed,
        }
    }
}

/// A bucket as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketInfo {
    pub name: String,
    /// Where the store says so.
    pub created: Option<Timestamp>,
}

/// An object opened for reading. The bytes belong to `info`, whatever happens to the key meanwhile.
pub struct Opened {
    pub info: ObjectInfo,
    /// The bytes that `body` will give, end excluded.
    pub range: Range<u64>,
    pub body: ByteStream,
}

/// A place that keeps objects.
///
/// Whatever is answered with `Ok` is durable and seen by every later call. A write that fails leaves the key as it was; one
/// that is dropped half-way, or cut off by the end of the process, leaves either that or the whole of the new object.
/// Writers of one key take effect one after the other, each condition is checked at the moment its write takes effect.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Where an object lies in the store, for a backend that shows a store by other names.
    fn placed(&self, path: &ObjectPath) -> Result<ObjectPath, Error> {
        Ok(path.clone())
    }

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
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error>;
    /// Describes an object. Conditions and range are not looked at.
    async fn head(&self, path: &ObjectPath, options: &ReadOptions) -> Result<ObjectInfo, Error>;
    /// Opens an object if it meets the conditions.
    async fn get(&self, path: &ObjectPath, options: &ReadOptions) -> Result<Opened, Error>;
    /// Removes an object. A key that holds none is no error, unless the condition asks for one.
    async fn delete(&self, path: &ObjectPath, options: &DeleteOptions) -> Result<Deleted, Error>;
    /// Removes many objects of one bucket. Returns one result for each, in order.
    async fn delete_many(
        &self,
        objects: Vec<(ObjectPath, DeleteOptions)>,
    ) -> Vec<Result<Deleted, Error>> {
        delete_each(self, objects).await
    }
    /// Copies an object, also onto itself. `to` gets a modification time of its own.
    async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<Stored, Error>;
    async fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error>;

    /// Begins a multipart upload.
    async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<BegunUpload, Error>;
    /// Stores a part, replacing an earlier one of that number.
    async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        content: Content,
        relayed: Relayed,
    ) -> Result<PartInfo, Error>;
    /// Stores bytes of an object as a part. Unless a store can do it by itself, they are read and put.
    async fn copy_part(
        &self,
        from: &ObjectPath,
        read: &ReadOptions,
        to: &ObjectPath,
        upload: &str,
        number: u16,
    ) -> Result<PartInfo, Error> {
        let opened = self.get(from, read).await?;
        let length = opened.range.end - opened.range.start;
        let content = Content::new(opened.body, Some(length), digest::Expected::default());
        self.put_part(to, upload, number, content, Relayed::default())
            .await
    }
    async fn parts(&self, path: &ObjectPath, upload: &str) -> Result<UploadParts, Error>;
    /// Makes the parts an object and ends the upload. If it fails, the upload is as before.
    async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<Stored, Error>;
    /// Ends the upload and removes its parts.
    async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error>;
    /// All live uploads whose key begins with `prefix` and no others, ordered by key, then by id.
    async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadInfo>, Error>;

    /// Aborts the uploads in which nothing has happened for `age`, and returns how many. A store that has a rule of its
    /// own for that is left to it.
    async fn sweep_uploads(&self, age: Duration) -> Result<usize, Error> {
        let _ = age;
        Ok(0)
    }
    /// What can be said of the store without asking much of it: for health checks and metrics.
    async fn status(&self) -> Result<Status, Error>;
    /// How much memory one request to `bucket` may take for its content.
    fn buffers(&self, bucket: &str) -> Buffers {
        let _ = bucket;
        Buffers::default()
    }
    /// Who answers the requests to `bucket` that the gateway has no operation for.
    fn relay(&self, bucket: &str) -> Option<&dyn Relay> {
        let _ = bucket;
        None
    }
}

/// The most bytes of one object that a store keeps in memory at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffers {
    /// On its way in, beside what [`Content`] holds.
    pub write: u64,
    /// On its way out.
    pub read: u64,
    /// While it is copied.
    pub copy: u64,
}

/// Nothing on the way in; on the way out one piece that is sent, one that is ready and one that is read.
impl Default for Buffers {
    fn default() -> Self {
        Self {
            write: 0,
            read: 3 * 256 * 1024,
            copy: 0,
        }
    }
}

/// Removes objects one by one, several at a time.
pub(crate) async fn delete_each(
    backend: &(impl Backend + ?Sized),
    objects: Vec<(ObjectPath, DeleteOptions)>,
) -> Vec<Result<Deleted, Error>> {
    stream::iter(objects)
        .map(|(path, options)| async move { backend.delete(&path, &options).await })
        .buffered(PARALLEL_DELETES)
        .collect()
        .await
}

/// How a store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The volumes there are.
    pub volumes: Vec<Space>,
    /// Multipart uploads that are neither completed nor aborted, where the gateway keeps them.
    pub uploads: Option<u64>,
}

impl Status {
    /// Counts another store in.
    pub fn add(&mut self, other: Self) {
        self.volumes.extend(other.volumes);
        self.uploads = match (self.uploads, other.uploads) {
            (Some(one), Some(two)) => Some(one + two),
            (one, two) => one.or(two),
        };
    }
}

/// Room on a volume, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// The folder that is served.
    pub volume: PathBuf,
    pub total: u64,
    /// What the gateway may still use.
    pub free: u64,
    /// What lies in its trash; nothing while that is being counted.
    pub trash: Option<Tally>,
    /// What comparing its objects with their checksums came to.
    pub scrub: Scrubbed,
}

/// Objects that were read again and compared with their checksums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Since the gateway began.
    pub objects: u64,
    pub bytes: u64,
    /// Those of the last pass that have nothing to be compared with.
    pub unverifiable: u64,
    /// Those known to be damaged now.
    pub damaged: u64,
    /// When all objects had been read the last time.
    pub last_pass: Option<Timestamp>,
}

/// A number of objects and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub objects: u64,
    /// Of each by itself, whether or not others share them.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

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
