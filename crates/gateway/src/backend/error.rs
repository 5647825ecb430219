//! Why a backend did not do what it was asked.

use std::io;

use lifeboat_core::error::Kind;

use super::content::BodyError;
use crate::auth::policy::Refusal;

/// Nothing has changed when one of these is returned, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Denied { refusal: Refusal },
    #[error("no bucket `{bucket}`")]
    NoSuchBucket { bucket: String },
    #[error("no object `{key}`")]
    NoSuchKey { key: String },
    #[error("no upload `{upload}`")]
    NoSuchUpload { upload: String },
    #[error(
        "`{bucket}` cannot name a bucket: 3 to 63 lower-case letters, digits, dots and hyphens"
    )]
    InvalidBucketName { bucket: String },
    #[error("`{key}` cannot name an object")]
    InvalidKey { key: String },
    #[error("key of {bytes} bytes: at most 1024 are possible")]
    KeyTooLong { bytes: usize },
    #[error("bucket `{bucket}` exists already")]
    BucketExists { bucket: String },
    #[error("bucket `{bucket}` is not empty")]
    BucketNotEmpty { bucket: String },
    #[error("object `{key}` is not as the request demands")]
    PreconditionFailed { key: String },
    #[error("object `{key}` is what the client already has")]
    NotModified { key: String, etag: String },
    #[error("object of {size} bytes has no such range")]
    RangeNotSatisfiable { size: u64 },
    #[error("{algorithm} of the content is `{found}`, the request says `{expected}`")]
    DigestMismatch {
        algorithm: &'static str,
        expected: String,
        found: String,
    },
    #[error("`{text}` is not a {algorithm} digest")]
    InvalidDigest {
        algorithm: &'static str,
        text: String,
    },
    #[error("content ended after {found} bytes, the request says {expected}")]
    IncompleteBody { expected: u64, found: u64 },
    #[error("content did not arrive whole")]
    Body {
        #[source]
        source: BodyError,
    },
    #[error("attributes of {bytes} bytes are more than can be kept")]
    MetadataTooLarge { bytes: usize },
    #[error("part number {number} is not between 1 and 10000")]
    InvalidPartNumber { number: u16 },
    #[error("part {number} is missing or its etag differs")]
    InvalidPart { number: u16 },
    #[error("parts are not in ascending order at part {number}")]
    InvalidPartOrder { number: u16 },
    #[error("part {number} has {size} bytes: only the last may have fewer than 5 MiB")]
    PartTooSmall { number: u16, size: u64 },
    #[error("no parts are named")]
    NoParts,
    #[error("upload `{upload}` is being completed by another request")]
    UploadBusy { upload: String },
    #[error("no space left while {action}")]
    Full {
        action: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot finish {action}")]
    Io {
        action: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("record of object `{key}` cannot be read")]
    DamagedRecord {
        key: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the store behind the gateway says {status} {code}: {message}")]
    Upstream {
        /// Of HTTP.
        status: u16,
        /// As S3 or Azure spells it; given to the client as it is.
        code: String,
        message: String,
    },
    /// Whether the request took effect is not known.
    #[error("the store behind the gateway gave no answer while {action}")]
    Unreachable {
        action: &'static str,
        #[source]
        source: BodyError,
    },
    #[error("{what} is not possible in this store")]
    NotSupported { what: &'static str },
    #[error("no version `{version}` of this object")]
    NoSuchVersion { version: String },
    #[error("hashing the content ended early")]
    Hashing,
    #[error("a worker of the gateway ended early")]
    Worker {
        #[source]
        source: tokio::task::JoinError,
    },
}

impl Error {
    /// Wraps a failed call to the system. `action` completes "cannot finish …".
    pub(crate) fn io(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { action, source }
            }
            _ => Self::Io { action, source },
        }
    }

    /// For the source of a copy, "not modified" is a condition that failed: there is nothing the client already has.
    pub(crate) fn not_modified_means_refused(self) -> Self {
        match self {
            Self::NotModified { key, .. } => Self::PreconditionFailed { key },
            other => other,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::NoSuchBucket { .. }
            | Self::NoSuchKey { .. }
            | Self::NoSuchUpload { .. }
            | Self::NoSuchVersion { .. }
            | Self::Upstream { status: 404, .. } => Kind::NotFound,
            Self::Denied { .. }
            | Self::InvalidBucketName { .. }
            | Self::InvalidKey { .. }
            | Self::KeyTooLong { .. }
            | Self::RangeNotSatisfiable { .. }
            | Self::DigestMismatch { .. }
            | Self::InvalidDigest { .. }
            | Self::IncompleteBody { .. }
            | Self::Body { .. }
            | Self::MetadataTooLarge { .. }
            | Self::InvalidPartNumber { .. }
            | Self::InvalidPart { .. }
            | Self::InvalidPartOrder { .. }
            | Self::PartTooSmall { .. }
            | Self::NoParts
            | Self::NotSupported { .. }
            | Self::Upstream {
                status: ..=408 | 410 | 411 | 413..=428 | 430..=499,
                ..
            } => Kind::Invalid,
            Self::BucketExists { .. }
            | Self::BucketNotEmpty { .. }
            | Self::PreconditionFailed { .. }
            | Self::NotModified { .. }
            | Self::UploadBusy { .. }
            | Self::Upstream {
                status: 409 | 412, ..
            } => Kind::Conflict,
            Self::Full { .. }
            | Self::Io { .. }
            | Self::Upstream { .. }
            | Self::Unreachable { .. } => Kind::Unavailable,
            Self::DamagedRecord { .. } => Kind::Damaged,
            Self::Hashing | Self::Worker { .. } => Kind::Bug,
        }
    }
}
