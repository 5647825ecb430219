//! Content of a request, with every digest that was sent with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use hyper::HeaderMap;
use s3s::dto::StreamingBlob;
use s3s::{S3Result, TrailingHeaders, s3_error};

use crate::backend::Error;
use crate::backend::content::{ByteStream, Content};
use crate::backend::digest::{Algorithm, Checksum, Expected, Trailer};

/// What of a request describes its content.
pub(super) struct Described<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) trailers: Option<TrailingHeaders>,
    pub(super) content_md5: Option<&'a str>,
    pub(super) content_length: Option<i64>,
}

/// Puts a body and what was said about it together.
pub(super) fn content(body: Option<StreamingBlob>, described: Described<'_>) -> S3Result<Content> {
    let headers = described.headers;
    let chunked = is_chunked(headers);
    let length = match text(headers, "x-amz-decoded-content-length") {
        Some(length) => Some(
            length
                .parse()
                .map_err(|_| s3_error!(InvalidArgument, "x-amz-decoded-content-length"))?,
        ),
        None if chunked => None,
        None => described
            .content_length
            .and_then(|length| u64::try_from(length).ok()),
    };
    let checksum = checksum_header(headers)?;
    let trailer = match (text(headers, "x-amz-trailer"), described.trailers) {
        (Some(_), _) if checksum.is_some() => {
            return Err(s3_error!(
                InvalidRequest,
                "a checksum header and x-amz-trailer exclude each other"
            ));
        }
        (Some(names), trailers) if chunked => announced_trailer(names, trailers)?,
        _ => None,
    };
    let expected = Expected {
        md5: described.content_md5.map(md5).transpose()?,
        checksum,
        trailer,
        compute: algorithm_header(headers),
    };
    let stream: ByteStream = match body {
        Some(body) => Box::pin(body),
        None => Box::pin(stream::empty()),
    };
    Ok(Content::new(stream, length, expected))
}

/// Whether the body is in chunks of the protocol, each with a signature or followed by trailers.
pub(super) fn is_chunked(headers: &HeaderMap) -> bool {
    text(headers, "x-amz-content-sha256").is_some_and(|payload| payload.starts_with("STREAMING-"))
}

/// Returns the MD5 in a `Content-MD5` header.
pub(super) fn md5(text: &str) -> Result<[u8; 16], Error> {
    STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Error::InvalidDigest {
            algorithm: "MD5",
            text: text.to_owned(),
        })
}

/// Returns the checksum sent as a header; two are an error.
pub(super) fn checksum_header(headers: &HeaderMap) -> S3Result<Option<Checksum>> {
    let mut found = None;
    for algorithm in Algorithm::ALL {
        if let Some(value) = text(headers, &header_name(algorithm)) {
            let checksum = Checksum::new(algorithm, value)?;
            if found.replace(checksum).is_some() {
                return Err(s3_error!(InvalidRequest, "more than one checksum header"));
            }
        }
    }
    Ok(found)
}

/// The algorithm that a client asks for without sending a value.
fn algorithm_header(headers: &HeaderMap) -> Option<Algorithm> {
    ["x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm"]
        .into_iter()
        .find_map(|name| text(headers, name))
        .and_then(Algorithm::from_name)
}

fn announced_trailer(
    names: &str,
    trailers: Option<TrailingHeaders>,
) -> S3Result<Option<(Algorithm, Trailer)>> {
    let algorithm = names.split(',').find_map(|name| {
        let name = name.trim();
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| header_name(*algorithm).eq_ignore_ascii_case(name))
    });
    let Some(algorithm) = algorithm else {
        return Ok(None);
    };
    let missing = move || Error::InvalidDigest {
        algorithm: algorithm.name(),
        text: String::new(),
    };
    let trailers = trailers.ok_or_else(missing)?;
    let read: Trailer = Box::new(move || {
        let value =
            trailers.read(|headers| text(headers, &header_name(algorithm)).map(str::to_owned));
        Checksum::new(algorithm, value.flatten().ok_or_else(missing)?)
    });
    Ok(Some((algorithm, read)))
}

fn header_name(algorithm: Algorithm) -> String {
    format!("x-amz-checksum-{}", algorithm.name().to_ascii_lowercase())
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_checksums_in_one_request_are_an_error() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-checksum-crc32", "AAAAAA==".parse().unwrap());
        assert_eq!(
            checksum_header(&headers).unwrap().unwrap().algorithm,
            Algorithm::Crc32
        );
        headers.insert("x-amz-checksum-crc32c", "AAAAAA==".parse().unwrap());
        assert!(checksum_header(&headers).is_err());
    }

    #[test]
    fn a_checksum_that_cannot_be_one_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-checksum-sha256", "AAAAAA==".parse().unwrap());
        assert!(checksum_header(&headers).is_err());
        assert!(md5("AAAA").is_err());
    }

    #[test]
    fn a_checksum_announced_for_the_end_excludes_one_at_the_beginning() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-amz-content-sha256",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER".parse().unwrap(),
        );
        headers.insert("x-amz-trailer", "x-amz-checksum-crc32".parse().unwrap());
        headers.insert("x-amz-checksum-crc32", "AAAAAA==".parse().unwrap());
        let described = Described {
            headers: &headers,
            trailers: None,
            content_md5: None,
            content_length: None,
        };
        assert!(content(None, described).is_err());
        assert!(announced_trailer("x-amz-checksum-crc32", None).is_err());
        assert!(
            announced_trailer("x-amz-something", None)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn the_length_of_content_is_not_that_of_its_chunks() {
        let mut headers = HeaderMap::new();
        let length = |headers: &HeaderMap| {
            let described = Described {
                headers,
                trailers: None,
                content_md5: None,
                content_length: Some(120),
            };
            content(None, described).unwrap().length()
        };
        assert_eq!(length(&headers), Some(120));
        headers.insert(
            "x-amz-content-sha256",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".parse().unwrap(),
        );
        assert_eq!(length(&headers), None);
        headers.insert("x-amz-decoded-content-length", "100".parse().unwrap());
        assert_eq!(length(&headers), Some(100));
    }
}
