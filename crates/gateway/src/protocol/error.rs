//! The one place where an error of a backend becomes an error of S3.

use std::error::Error as _;

use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::header::{CONTENT_RANGE, ETAG, HeaderValue};
use s3s::{S3Error, S3ErrorCode};

use super::broken::Broken;
use crate::backend::Error;
use crate::backend::content::BodyError;

impl From<Error> for S3Error {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Denied { .. } => S3ErrorCode::AccessDenied,
            Error::NoSuchBucket { .. } => S3ErrorCode::NoSuchBucket,
            Error::NoSuchKey { .. } => S3ErrorCode::NoSuchKey,
            Error::NoSuchUpload { .. } => S3ErrorCode::NoSuchUpload,
            Error::InvalidBucketName { .. } => S3ErrorCode::InvalidBucketName,
            Error::KeyTooLong { .. } => S3ErrorCode::KeyTooLongError,
            Error::InvalidKey { .. } | Error::InvalidPartNumber { .. } => {
                S3ErrorCode::InvalidArgument
            }
            Error::BucketExists { .. } => S3ErrorCode::BucketAlreadyOwnedByYou,
            Error::BucketNotEmpty { .. } => S3ErrorCode::BucketNotEmpty,
            Error::PreconditionFailed { .. } => S3ErrorCode::PreconditionFailed,
            Error::NotModified { .. } => S3ErrorCode::NotModified,
            Error::RangeNotSatisfiable { .. } => S3ErrorCode::InvalidRange,
            Error::DigestMismatch { .. } => S3ErrorCode::BadDigest,
            Error::InvalidDigest { .. } => S3ErrorCode::InvalidDigest,
            Error::IncompleteBody { .. } => S3ErrorCode::IncompleteBody,
            Error::Body { source } => broken_body(source),
            Error::MetadataTooLarge { .. } => S3ErrorCode::MetadataTooLarge,
            Error::InvalidPart { .. } => S3ErrorCode::InvalidPart,
            Error::InvalidPartOrder { .. } => S3ErrorCode::InvalidPartOrder,
            Error::PartTooSmall { .. } => S3ErrorCode::EntityTooSmall,
            Error::NoParts => S3ErrorCode::MalformedXML,
            Error::UploadBusy { .. } => S3ErrorCode::OperationAborted,
            Error::Full { .. } => S3ErrorCode::Custom("InsufficientStorage".into()),
            Error::Upstream { code, .. } => {
                S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError)
            }
            Error::Unreachable { .. } => S3ErrorCode::ServiceUnavailable,
            Error::NotSupported { .. } => S3ErrorCode::NotImplemented,
            Error::NoSuchVersion { .. } => S3ErrorCode::NoSuchVersion,
            Error::Io { .. }
            | Error::DamagedRecord { .. }
            | Error::Hashing
            | Error::Worker { .. } => S3ErrorCode::InternalError,
        };
        let mut answer = Self::with_message(code, error.to_string());
        match &error {
            Error::Full { .. } => answer.set_status_code(StatusCode::INSUFFICIENT_STORAGE),
            Error::Body { .. } => answer.set_status_code(StatusCode::BAD_REQUEST),
            Error::Upstream { status, .. } => {
                if let Ok(status) = StatusCode::from_u16(*status) {
                    answer.set_status_code(status);
                }
            }
            Error::RangeNotSatisfiable { size } => {
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    answer.set_headers(HeaderMap::from_iter([(CONTENT_RANGE, value)]));
                }
            }
            Error::NotModified { etag, .. } => {
                if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
                    answer.set_headers(HeaderMap::from_iter([(ETAG, value)]));
                }
            }
            _ => {}
        }
        if answer
            .status_code()
            .is_none_or(|status| status.is_server_error())
        {
            tracing::error!(error = %error, cause = error.source().map(tracing::field::display), "request failed");
        }
        answer.set_source(Box::new(error));
        answer
    }
}

/// Why content broke off.
fn broken_body(source: &BodyError) -> S3ErrorCode {
    match source.downcast_ref::<Broken>() {
        Some(broken) => broken.code(),
        // The connection ended.
        None => S3ErrorCode::IncompleteBody,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::chunks::Malformed;
    use super::*;

    #[test]
    fn a_full_volume_is_told_apart_from_a_broken_one() {
        let full = S3Error::from(Error::io("writing the object")(
            io::ErrorKind::StorageFull.into(),
        ));
        assert_eq!(full.status_code(), Some(StatusCode::INSUFFICIENT_STORAGE));
        assert_eq!(full.code().as_str(), "InsufficientStorage");
        let broken = S3Error::from(Error::io("writing the object")(io::ErrorKind::Other.into()));
        assert_eq!(broken.code(), &S3ErrorCode::InternalError);
    }

    #[test]
    fn content_that_broke_off_is_told_by_how() {
        let code = |source: BodyError| {
            let error = S3Error::from(Error::Body { source });
            assert_eq!(error.status_code(), Some(StatusCode::BAD_REQUEST));
            error.code().as_str().to_owned()
        };
        assert_eq!(code(Broken::Sha256.into()), "XAmzContentSHA256Mismatch");
        assert_eq!(code(Broken::Signature.into()), "SignatureDoesNotMatch");
        assert_eq!(code(Broken::from(Malformed::Cut).into()), "IncompleteBody");
        assert_eq!(
            code(Broken::Silent { seconds: 60 }.into()),
            "RequestTimeout"
        );
        assert_eq!(code("connection reset".into()), "IncompleteBody");
    }
}
