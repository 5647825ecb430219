//! Why a body is not the content that was signed and announced.

use s3s::S3ErrorCode;

use super::chunks::Malformed;

/// Found while a body was read. Travels as the source of [`crate::backend::Error::Body`], which knows no protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("the content does not match `x-amz-content-sha256`")]
    Sha256,
    #[error("a part of the body does not match its signature")]
    Signature,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the client sent next to nothing for {seconds} s")]
    Silent { seconds: u64 },
    #[error("the body is larger than such a request may have")]
    TooLarge,
}

impl Broken {
    pub(super) fn code(self) -> S3ErrorCode {
        match self {
            Self::Sha256 => S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()),
            Self::Signature => S3ErrorCode::SignatureDoesNotMatch,
            Self::Malformed(_) => S3ErrorCode::IncompleteBody,
            Self::Silent { .. } => S3ErrorCode::RequestTimeout,
            Self::TooLarge => S3ErrorCode::MaxMessageLengthExceeded,
        }
    }
}
