//! What happens to one request, told when it is over: in the metrics, and as one line of the log.
//!
//! A request is over when the last byte of its answer is out, or when its client has gone. Until then its share of the
//! memory budget is held.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue, SERVER};
use hyper::{Response, StatusCode};
use lifeboat_core::identity;
use s3s::{HttpResponse, S3ErrorCode};

use super::xml;
use crate::backend::content::BodyError;
use crate::budget::Permit;
use crate::metrics::{Ended, Metrics};

/// By which a line of the log is found for an answer that somebody complains of.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
/// The status of a request whose client did not wait for one.
const GONE: u16 = 499;

/// What is known of a request. Everybody who works on it may add to it.
#[derive(Debug)]
pub(super) struct Story {
    id: u64,
    client: SocketAddr,
    began: Instant,
    received: AtomicU64,
    details: Mutex<Details>,
}

#[derive(Debug, Default)]
pub(super) struct Details {
    /// As S3 names it; not known of a request that was refused before.
    pub(super) operation: Option<String>,
    /// Of the key pair that signed.
    pub(super) access_key: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
    /// What it may use of the memory.
    pub(super) permit: Option<Permit>,
}

impl Story {
    pub(super) fn details(&self) -> MutexGuard<'_, Details> {
        self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn received(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).expect("sizes fit in 64 bits");
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Tells the story when dropped.
pub(super) struct Teller {
    pub(super) story: Arc<Story>,
    metrics: Arc<Metrics>,
    status: u16,
    code: Option<String>,
    sent: u64,
    end: End,
}

/// How far the answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Not all of it is out.
    Open,
    Whole,
    /// What it was read from failed in the middle.
    Broken,
}

impl Teller {
    /// `id` goes to the client and into the log.
    pub(super) fn begin(id: u64, client: SocketAddr, metrics: Arc<Metrics>) -> Self {
        metrics.begun();
        let story = Story {
            id,
            client,
            began: Instant::now(),
            received: AtomicU64::default(),
            details: Mutex::default(),
        };
        Self {
            story: Arc::new(story),
            metrics,
            status: GONE,
            code: None,
            sent: 0,
            end: End::Open,
        }
    }

    /// Goes along with the answer to its end.
    pub(super) fn answer(mut self, response: HttpResponse) -> Response<Answer> {
        let (mut parts, body) = response.into_parts();
        let id = format!("{:016X}", self.story.id);
        if let Ok(id) = HeaderValue::from_str(&id) {
            parts.headers.insert(REQUEST_ID, id);
        }
        let name = HeaderValue::from_static(identity::GATEWAY);
        parts.headers.insert(SERVER, name);
        self.status = parts.status.as_u16();
        if parts.status.is_client_error() || parts.status.is_server_error() {
            self.code = body.bytes().as_deref().and_then(xml::error_code);
        }
        if parts.status == StatusCode::NO_CONTENT || body.is_end_stream() {
            self.end = End::Whole;
        }
        Response::from_parts(parts, Answer { body, teller: self })
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let received = self.story.received.load(Ordering::Relaxed);
        let duration = self.story.began.elapsed();
        let mut details = self.story.details();
        // What ran for the request ends with it, whoever else holds its story.
        drop(details.permit.take());
        let operation = details.operation.as_deref().unwrap_or("unknown");
        self.metrics.ended(&Ended {
            operation,
            status: self.status,
            code: self.code.as_deref().map(known),
            duration,
            received,
            sent: self.sent,
        });
        tracing::debug!(
            target: "lifeboat_gateway::access",
            id = format_args!("{:016X}", self.story.id),
            client = %self.story.client,
            access_key = details.access_key.as_deref(),
            operation,
            bucket = details.bucket.as_deref(),
            key = details.key.as_deref(),
            status = self.status,
            code = self.code.as_deref(),
            received,
            sent = self.sent,
            milliseconds = duration.as_secs_f64() * 1e3,
            end = ?self.end,
            "request"
        );
    }
}

/// The code as a label: a store behind the gateway may send whatever it likes.
fn known(code: &str) -> &str {
    const OURS: [&str; 2] = ["InsufficientStorage", "XAmzContentSHA256Mismatch"];
    let of_s3 = S3ErrorCode::from_bytes(code.as_bytes());
    let is_of_s3 = of_s3.is_some_and(|code| !matches!(code, S3ErrorCode::Custom(_)));
    if is_of_s3 || OURS.contains(&code) {
        code
    } else {
        "other"
    }
}

/// The body of an answer, counted as it goes out.
pub(crate) struct Answer {
    body: s3s::Body,
    teller: Teller,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.teller.sent += u64::try_from(bytes).expect("sizes fit in 64 bits");
                if self.body.is_end_stream() {
                    self.teller.end = End::Whole;
                }
            }
            Some(Err(error)) => {
                self.teller.end = End::Broken;
                tracing::error!(%error, id = format_args!("{:016X}", self.teller.story.id), "an answer broke off");
            }
            None => self.teller.end = End::Whole,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_others_do_not_become_labels() {
        for code in ["NoSuchKey", "SlowDown", "InsufficientStorage"] {
            assert_eq!(known(code), code);
        }
        assert_eq!(known("SomethingUpstreamMadeUp"), "other");
    }
}
