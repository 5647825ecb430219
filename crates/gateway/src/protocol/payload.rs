//! What `x-amz-content-sha256` says of the body of a request.

use hyper::HeaderMap;
use s3s::{S3Result, s3_error};

use super::chunks::{Framing, read_signature};

/// In which form content is sent, and what proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// As it is; nothing is said of it, as in a request whose URL is signed.
    Unsigned,
    /// As it is, with its SHA-256.
    Sha256([u8; 32]),
    Chunks(Framing, Ending),
}

/// What may follow the last chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Bare,
    Trailers,
}

impl Payload {
    pub(super) fn of(headers: &HeaderMap) -> S3Result<Self> {
        let Some(said) = headers.get("x-amz-content-sha256") else {
            return Ok(Self::Unsigned);
        };
        Ok(match said.to_str().unwrap_or_default() {
            "UNSIGNED-PAYLOAD" => Self::Unsigned,
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Self::Chunks(Framing::Signed, Ending::Bare),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => {
                Self::Chunks(Framing::Signed, Ending::Trailers)
            }
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => {
                Self::Chunks(Framing::Unsigned, Ending::Trailers)
            }
            digest => Self::Sha256(read_signature(digest).ok_or_else(|| {
                s3_error!(
                    InvalidArgument,
                    "x-amz-content-sha256 is neither a digest nor a known form"
                )
            })?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused_rather_than_taken_for_unsigned() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-amz-content-sha256", text.parse().unwrap());
            Payload::of(&headers).ok()
        };
        assert_eq!(Payload::of(&HeaderMap::new()).ok(), Some(Payload::Unsigned));
        assert_eq!(of(&"0a".repeat(32)), Some(Payload::Sha256([10; 32])));
        assert_eq!(
            of("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            Some(Payload::Chunks(Framing::Signed, Ending::Bare))
        );
        assert_eq!(of("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), None);
        assert_eq!(of("unsigned-payload"), None);
        assert_eq!(of(""), None);
        assert_eq!(of(&"0a".repeat(31)), None);
    }
}
