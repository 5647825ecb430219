//! What is done to a request before, and to a response after, the protocol layer sees it.
//!
//! `DeleteObjects` must match the digest sent with it, but the protocol layer parses its body away: so its bytes are hashed
//! while they pass, and the digests wait in the request's extensions. Bodies in chunks are watched for the size of those.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{HeaderMap, Method, StatusCode};
use s3s::{Body, HttpRequest, HttpResponse};

use super::chunks::Chunks;
use super::content;
use super::patience::Patient;
use super::xml;
use crate::backend::content::BodyError;
use crate::backend::digest::{Digests, Hasher};

/// How long nothing may come of a body that is waited for.
const SILENCE: Duration = Duration::from_mins(1);

/// The digests of a request body that has been read to its end.
#[derive(Clone)]
pub(super) struct Seen(Arc<Mutex<Option<Hasher>>>);

impl Seen {
    /// To be called once.
    pub(super) fn digests(&self) -> Option<Digests> {
        let hasher = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        hasher.map(Hasher::finish)
    }
}

pub(super) fn prepare(request: hyper::Request<Incoming>) -> HttpRequest {
    let (mut parts, body) = request.into_parts();
    let body = Patient::new(body, SILENCE);
    let deletes = parts.method == Method::POST
        && parts.uri.query().is_some_and(|query| {
            query
                .split('&')
                .any(|pair| pair == "delete" || pair == "delete=")
        });
    if content::is_chunked(&parts.headers) {
        let chunks = Chunks::new();
        return HttpRequest::from_parts(parts, Body::http_body(Limited { body, chunks }));
    }
    if !deletes {
        return HttpRequest::from_parts(parts, Body::http_body(body));
    }
    let hasher = Hasher::new(announced(&parts.headers));
    let seen = Seen(Arc::new(Mutex::new(Some(hasher))));
    parts.extensions.insert(seen.clone());
    HttpRequest::from_parts(parts, Body::http_body(Watched { body, seen }))
}

fn announced(headers: &HeaderMap) -> Option<crate::backend::digest::Algorithm> {
    content::checksum_header(headers)
        .ok()
        .flatten()
        .map(|checksum| checksum.algorithm)
}

/// An answer of "not modified" has no body, whatever the protocol layer says; XML has no control characters.
pub(super) fn finish(mut response: HttpResponse) -> HttpResponse {
    if response.status() == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Body::empty();
    }
    let is_xml = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/xml");
    // A body of known bytes is one that the protocol layer wrote; an object of this type is a stream.
    if is_xml
        && let Some(escaped) = response
            .body()
            .bytes()
            .as_ref()
            .and_then(xml::escape_controls)
    {
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = Body::from(escaped);
    }
    response
}

struct Watched {
    body: Patient<Incoming>,
    seen: Seen,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(bytes) = frame.data_ref()
            && let Some(hasher) = &mut *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner)
        {
            hasher.update(bytes);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body in chunks, none of them larger than allowed and the last one there.
struct Limited {
    body: Patient<Incoming>,
    chunks: Chunks,
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() {
            let ended = self.chunks.end();
            self.chunks = Chunks::End;
            return Poll::Ready(ended.err().map(|error| Err(error.into())));
        }
        Poll::Ready(frame.map(|frame| {
            let frame = frame?;
            if let Some(bytes) = frame.data_ref() {
                self.chunks.pass(bytes)?;
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.chunks.end().is_ok()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
