//! What is done to a request before, and to a response after, the protocol layer sees it.
//!
//! The protocol layer checks what signs the head of a request and parses small bodies. Content it never touches: an
//! operation that stores content takes the body away ([`Arriving`]) and has it hashed and checked off the network's
//! threads. What nobody takes, the protocol layer reads, and only so much of it. `DeleteObjects` must match the digest
//! sent with it, but the protocol layer parses its body away: so its bytes are hashed while they pass, and the digests
//! wait in the request's extensions.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::{HeaderMap, Method, StatusCode};
use s3s::{Body, HttpRequest, HttpResponse};

use super::broken::Broken;
use super::chunks::Decoder;
use super::linger::{self, Kept, Rest};
use super::patience::Patient;
use super::story::Story;
use super::{MAX_XML_BYTES, content, xml};
use crate::backend::content::BodyError;
use crate::backend::digest::{Digests, Hasher};
use crate::hashing::Pool;
use crate::pace::WINDOW;

/// The most the protocol layer reads of a body: XML, and what frames its chunks. Whatever it would collect, a signed chunk
/// or a form, it cannot collect more.
const MAX_READ: usize = 2 * MAX_XML_BYTES;

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

/// The body of a request as it arrives, in the request's extensions. Whoever takes it has it alone.
#[derive(Clone)]
pub(super) struct Arriving {
    body: Arc<Mutex<Option<Raw>>>,
    /// Where content is hashed.
    pub(super) pool: Pool,
}

/// A body as it comes from the network.
pub(super) type Raw = Patient<Counted>;

impl Arriving {
    pub(super) fn take(&self) -> Option<Raw> {
        self.body().take()
    }

    fn body(&self) -> MutexGuard<'_, Option<Raw>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the request as the protocol layer takes it, and what will be left of its body when that is done.
pub(super) fn prepare(
    request: hyper::Request<Incoming>,
    story: &Arc<Story>,
    pool: &Pool,
) -> (HttpRequest, Rest<Incoming>) {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(Arc::clone(story));
    let (body, rest) = linger::keep(body);
    let story = Arc::clone(story);
    let body = Patient::new(Counted { body, story }, WINDOW);
    let arriving = Arriving {
        body: Arc::new(Mutex::new(Some(body))),
        pool: pool.clone(),
    };
    parts.extensions.insert(arriving.clone());
    let deletes = parts.method == Method::POST
        && parts.uri.query().is_some_and(|query| {
            query
                .split('&')
                .any(|pair| pair == "delete" || pair == "delete=")
        });
    let chunked = content::framing(&parts.headers);
    let seen = (deletes && chunked.is_none()).then(|| {
        let hasher = Hasher::new(announced(&parts.headers));
        Seen(Arc::new(Mutex::new(Some(hasher))))
    });
    if let Some(seen) = &seen {
        parts.extensions.insert(seen.clone());
    }
    let lent = Lent {
        arriving,
        left: MAX_READ,
        chunks: chunked.map(Decoder::new),
        seen,
    };
    let request = HttpRequest::from_parts(parts, Body::http_body(lent));
    (request, rest)
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

/// A body whose bytes are counted as they come.
pub(super) struct Counted {
    body: Kept<Incoming>,
    story: Arc<Story>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            self.story.received(frame.data_ref().map_or(0, Bytes::len));
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

/// A body lent to the protocol layer until somebody takes it away.
struct Lent {
    arriving: Arriving,
    /// How many more bytes may be read.
    left: usize,
    /// For a body in chunks: the protocol layer takes its end for the end of the chunks, but only the empty chunk, whose
    /// signature closes the chain, says that nothing was cut off.
    chunks: Option<Decoder>,
    seen: Option<Seen>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match &mut *self.arriving.body() {
            Some(body) => ready!(Pin::new(body).poll_frame(context)),
            None => None,
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(self.pass(&frame).map(|()| frame)),
            None => self.end().err().map(Err),
            failed => failed,
        })
    }

    fn is_end_stream(&self) -> bool {
        let body = self.arriving.body();
        self.chunks.is_none() && body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.arriving.body();
        body.as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Lent {
    fn pass(&mut self, frame: &Frame<Bytes>) -> Result<(), BodyError> {
        let Some(bytes) = frame.data_ref() else {
            return Ok(());
        };
        self.left = self.left.checked_sub(bytes.len()).ok_or(Broken::TooLarge)?;
        if let Some(chunks) = &mut self.chunks {
            chunks.feed(bytes.clone(), drop).map_err(Broken::from)?;
        }
        if let Some(Seen(seen)) = &self.seen
            && let Some(hasher) = &mut *seen.lock().unwrap_or_else(PoisonError::into_inner)
        {
            hasher.update(bytes);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), BodyError> {
        let ended = self
            .chunks
            .take()
            .map_or(Ok(()), |chunks| chunks.finish().map(drop));
        Ok(ended.map_err(Broken::from)?)
    }
}
