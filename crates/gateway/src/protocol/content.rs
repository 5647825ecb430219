//! Content of a request: its body without what frames it, with every signature and digest that was sent with it.

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use hyper::HeaderMap;
use hyper::body::{Body as HttpBody, Frame};
use hyper::http::Extensions;
use lifeboat_core::identity;
use s3s::auth::Credentials;
use s3s::{S3Result, s3_error};

use super::authorization::Authorization;
use super::body::Arriving;
use super::broken::Broken;
use super::chunks::{Decoder, Event, Framing, Malformed, Trailers};
use super::payload::{Ending, Payload};
use super::signing::Chain;
use crate::backend::Error;
use crate::backend::content::{BodyError, Content};
use crate::backend::digest::{Algorithm, Checksum, Expected, Trailer};
use crate::backend::seal::{Piece, Seal};
use crate::backend::tag::TagBy;

/// What was said after the content, once it has been read to its end.
type Said = Arc<Mutex<Option<Trailers>>>;

/// The head of a request that brings content. It has been checked.
pub(super) struct Head<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) extensions: &'a Extensions,
    pub(super) credentials: Option<&'a Credentials>,
    pub(super) content_md5: Option<&'a str>,
    pub(super) content_length: Option<i64>,
}

/// Takes the content of a request.
pub(super) fn content(head: &Head<'_>) -> S3Result<Content> {
    let headers = head.headers;
    let payload = Payload::of(headers)?;
    let length = length(headers, payload, head.content_length)?;
    let said = Said::default();
    let expected = expected(headers, payload, head.content_md5, &said)?;
    let gone = || s3_error!(InternalError, "the body of the request is gone");
    let arriving = head.extensions.get::<Arriving>().ok_or_else(gone)?;
    let frames = Frames(arriving.take().ok_or_else(gone)?);
    let content = match payload {
        Payload::Unsigned => Content::new(Box::pin(frames), length, expected),
        Payload::Sha256(sha256) => {
            let seal = stream::once(async move { Ok(Piece::Seal(same(sha256))) });
            let pieces = frames.map_ok(Piece::Bytes).chain(seal);
            Content::sealed(pieces.boxed(), length, expected)
        }
        Payload::Chunks(Framing::Signed, ending) => {
            let chain = chain(head)?;
            let events = events(frames, Framing::Signed);
            let pieces = signed(events, chain, ending, said);
            Content::sealed(pieces.boxed(), length, expected)
        }
        Payload::Chunks(Framing::Unsigned, _) => {
            let events = events(frames, Framing::Unsigned);
            Content::new(Box::pin(unsigned(events, said)), length, expected)
        }
    };
    Ok(content.hashed_by(&arriving.pool))
}

/// In bytes, without what frames them.
fn length(
    headers: &HeaderMap,
    payload: Payload,
    content_length: Option<i64>,
) -> S3Result<Option<u64>> {
    match text(headers, "x-amz-decoded-content-length") {
        Some(length) => length
            .parse()
            .map(Some)
            .map_err(|_| s3_error!(InvalidArgument, "x-amz-decoded-content-length")),
        None if matches!(payload, Payload::Chunks(..)) => Ok(None),
        None => Ok(content_length.and_then(|length| u64::try_from(length).ok())),
    }
}

fn expected(
    headers: &HeaderMap,
    payload: Payload,
    content_md5: Option<&str>,
    said: &Said,
) -> S3Result<Expected> {
    let checksum = checksum_header(headers)?;
    let trailer = match text(headers, "x-amz-trailer") {
        Some(_) if checksum.is_some() => {
            return Err(s3_error!(
                InvalidRequest,
                "a checksum header and x-amz-trailer exclude each other"
            ));
        }
        Some(names) if matches!(payload, Payload::Chunks(_, Ending::Trailers)) => {
            announced_trailer(names, said)
        }
        _ => None,
    };
    Ok(Expected {
        md5: content_md5.map(md5).transpose()?,
        checksum,
        trailer,
        compute: algorithm_header(headers),
        tag: tag_header(headers),
    })
}

fn tag_header(headers: &HeaderMap) -> TagBy {
    match text(headers, identity::ETAG_HEADER) {
        Some(identity::ETAG_BY_CHECKSUM) => TagBy::Checksum,
        _ => TagBy::Md5,
    }
}

fn same(expected: [u8; 32]) -> Seal {
    Box::new(move |found| {
        let same = *found == expected;
        same.then_some(()).ok_or_else(|| Broken::Sha256.into())
    })
}

/// Goes on from the signature of the head, which the protocol layer has checked.
fn chain(head: &Head<'_>) -> S3Result<Chain> {
    let signed = text(head.headers, "authorization").and_then(Authorization::parse);
    match (signed, text(head.headers, "x-amz-date"), head.credentials) {
        (Some(signed), Some(time), Some(credentials))
            if signed.access_key == credentials.access_key =>
        {
            let secret = credentials.secret_key.expose();
            Ok(Chain::new(secret, &signed, time))
        }
        _ => Err(s3_error!(
            InvalidRequest,
            "signed chunks need an Authorization header of Signature Version 4"
        )),
    }
}

/// The data of a body.
struct Frames<B>(B);

impl<B> Stream for Frames<B>
where
    B: HttpBody<Data = Bytes, Error = BodyError> + Unpin,
{
    type Item = Result<Bytes, BodyError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.0).poll_frame(context));
            match frame.transpose()?.map(Frame::into_data) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                // Trailers of HTTP itself mean nothing in S3.
                Some(Err(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Takes a body in chunks apart.
fn events(
    frames: impl Stream<Item = Result<Bytes, BodyError>> + Send + Sync,
    framing: Framing,
) -> impl Stream<Item = Result<Event, BodyError>> + Send + Sync {
    let frames = frames.map_ok(Some).chain(stream::once(ready(Ok(None))));
    let mut decoder = Some(Decoder::new(framing));
    let batches = frames.map(move |frame| {
        let mut events = Vec::new();
        let fed = frame.and_then(|frame| {
            match (frame, &mut decoder) {
                (Some(bytes), Some(decoder)) => decoder.feed(bytes, |event| events.push(event)),
                _ => decoder
                    .take()
                    .map_or(Err(Malformed::Cut), Decoder::finish)
                    .map(|end| events.push(end)),
            }
            .map_err(|error| Broken::from(error).into())
        });
        let events = events.into_iter().map(Ok).chain(fed.err().map(Err));
        stream::iter(events.collect::<Vec<_>>())
    });
    batches.flatten()
}

/// Puts a seal behind each chunk.
fn signed(
    events: impl Stream<Item = Result<Event, BodyError>> + Send,
    mut chain: Chain,
    ending: Ending,
    said: Said,
) -> impl Stream<Item = Result<Piece, BodyError>> + Send {
    events.map(move |event| match event? {
        Event::Content(bytes) => Ok(Piece::Bytes(bytes)),
        Event::Chunk { signature } => {
            let signature = signature.ok_or(Broken::from(Malformed::Unsigned))?;
            Ok(Piece::Seal(chain.seal(signature)))
        }
        Event::End(trailers) => {
            match ending {
                Ending::Trailers => chain.check(&trailers)?,
                Ending::Bare if trailers.is_empty() => {}
                Ending::Bare => return Err(Broken::from(Malformed::Trailer).into()),
            }
            keep(&said, trailers);
            Ok(Piece::Bytes(Bytes::new()))
        }
    })
}

fn unsigned(
    events: impl Stream<Item = Result<Event, BodyError>> + Send + Sync,
    said: Said,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + Sync {
    events.try_filter_map(move |event| {
        let content = match event {
            Event::Content(bytes) => Some(bytes),
            Event::Chunk { .. } => None,
            Event::End(trailers) => {
                keep(&said, trailers);
                None
            }
        };
        ready(Ok(content))
    })
}

fn keep(said: &Said, trailers: Trailers) {
    *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(trailers);
}

/// How a body is in chunks, if it is.
pub(super) fn framing(headers: &HeaderMap) -> Option<Framing> {
    match Payload::of(headers) {
        Ok(Payload::Chunks(framing, _)) => Some(framing),
        _ => None,
    }
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

fn announced_trailer(names: &str, said: &Said) -> Option<(Algorithm, Trailer)> {
    let algorithm = names.split(',').find_map(|name| {
        let name = name.trim();
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| header_name(*algorithm).eq_ignore_ascii_case(name))
    })?;
    let said = Arc::clone(said);
    let read: Trailer = Box::new(move || {
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let value = said
            .as_ref()
            .and_then(|trailers| trailers.get(&header_name(algorithm)));
        // One that was announced and did not come is as good as an empty one.
        Checksum::new(algorithm, value.unwrap_or_default())
    });
    Some((algorithm, read))
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

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            let name = hyper::header::HeaderName::from_static(name);
            (name, hyper::header::HeaderValue::from_static(value))
        };
        fields.iter().map(header).collect()
    }

    #[test]
    fn a_checksum_announced_for_the_end_excludes_one_at_the_beginning() {
        let payload = Payload::Chunks(Framing::Unsigned, Ending::Trailers);
        let mut headers = headers(&[("x-amz-trailer", "x-amz-checksum-crc32")]);
        let of = |headers: &HeaderMap| expected(headers, payload, None, &Said::default());
        assert_eq!(of(&headers).unwrap().algorithm(), Some(Algorithm::Crc32));
        headers.insert("x-amz-checksum-crc32", "AAAAAA==".parse().unwrap());
        assert!(of(&headers).is_err());
        headers.remove("x-amz-checksum-crc32");
        headers.insert("x-amz-trailer", "x-amz-something".parse().unwrap());
        assert!(of(&headers).unwrap().trailer.is_none());
    }

    #[test]
    fn an_announced_trailer_that_did_not_come_is_an_error() {
        let said = Said::default();
        let (_, trailer) = announced_trailer("x-amz-checksum-crc32", &said).unwrap();
        assert!(trailer().is_err());
        keep(&said, Trailers::default());
        let (_, trailer) = announced_trailer("x-amz-checksum-crc32", &said).unwrap();
        assert!(trailer().is_err());
    }

    #[test]
    fn the_length_of_content_is_not_that_of_its_chunks() {
        let chunks = Payload::Chunks(Framing::Signed, Ending::Bare);
        let none = HeaderMap::new();
        assert_eq!(
            length(&none, Payload::Unsigned, Some(120)).unwrap(),
            Some(120)
        );
        assert_eq!(length(&none, chunks, Some(120)).unwrap(), None);
        let said = headers(&[("x-amz-decoded-content-length", "100")]);
        assert_eq!(length(&said, chunks, Some(120)).unwrap(), Some(100));
        let strange = headers(&[("x-amz-decoded-content-length", "-1")]);
        assert!(length(&strange, chunks, Some(120)).is_err());
    }
}
