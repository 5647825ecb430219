//! Multipart uploads: what is said when they begin, what is known of their parts, and how they end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Attributes;
use super::condition::WriteCondition;
use super::digest::{Algorithm, Checksum};
use super::relay::Relayed;

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
    /// Only for the store that begins the upload; never written down.
    #[serde(skip)]
    pub relayed: Relayed,
}

/// A multipart upload that has just begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunUpload {
    /// Where the gateway makes it, it sorts by the time the upload began.
    pub id: String,
    pub relayed: Relayed,
}

/// A multipart upload that is neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadInfo {
    pub key: String,
    /// As in [`BegunUpload`].
    pub id: String,
    pub initiated: Timestamp,
    pub options: UploadOptions,
}

/// A part that has been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    pub number: u16,
    /// In bytes.
    pub size: u64,
    /// The MD5 of the part, in lower-case hexadecimal, where the store knows it; otherwise the store's own.
    pub etag: String,
    pub modified: Timestamp,
    pub checksum: Option<Checksum>,
    pub relayed: Relayed,
}

/// What has arrived of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadParts {
    /// As the upload was begun with.
    pub checksum: Option<(Algorithm, ChecksumType)>,
    /// Ordered by number.
    pub parts: Vec<PartInfo>,
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
    pub relayed: Relayed,
}
