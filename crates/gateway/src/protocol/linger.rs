//! The rest of a body whose request was refused.
//!
//! A client that is still sending when the connection ends may never see why: the system throws the answer away with the
//! bytes that nobody read. So the rest is read and forgotten first, as long as that is short.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::poll_fn;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::timeout;

/// The most bytes that are read for nothing: a part as clients send them.
const MOST: u64 = 128 * 1024 * 1024;
/// How long they may take.
const LONGEST: Duration = Duration::from_secs(5);

/// A body that can be read on when its reader has gone.
pub(super) struct Kept<B>(Arc<Mutex<State<B>>>);

/// What became of it.
pub(super) struct Rest<B>(Arc<Mutex<State<B>>>);

struct State<B> {
    body: B,
    /// Somebody asked for bytes, so the client knows that it may send them.
    wanted: bool,
    over: bool,
}

fn lock<B>(state: &Mutex<State<B>>) -> MutexGuard<'_, State<B>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn keep<B>(body: B) -> (Kept<B>, Rest<B>) {
    let state = State {
        body,
        wanted: false,
        over: false,
    };
    let state = Arc::new(Mutex::new(state));
    (Kept(Arc::clone(&state)), Rest(state))
}

impl<B: HttpBody<Data = Bytes> + Unpin> State<B> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.wanted = true;
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.over = true;
        }
        frame
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Kept<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        lock(&self.0).poll(context)
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}

/// Whether the client waits to be told that its body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expects {
    Nothing,
    Continue,
}

/// What the client may still send of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remains {
    Nothing,
    /// Nobody reads it, so the connection cannot go on.
    Something,
}

impl<B: HttpBody<Data = Bytes> + Unpin> Rest<B> {
    /// Reads on to the end, unless that is far or the client has not begun to send.
    pub(super) async fn discard(self, expects: Expects) -> Remains {
        {
            let state = lock(&self.0);
            let unasked = expects == Expects::Continue && !state.wanted;
            let far = state.body.size_hint().lower() > MOST;
            if state.over || state.body.is_end_stream() {
                return Remains::Nothing;
            }
            if unasked || far {
                return Remains::Something;
            }
        }
        let mut left = MOST;
        let reading = async {
            while let Some(Ok(frame)) = poll_fn(|context| lock(&self.0).poll(context)).await {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                let bytes = u64::try_from(bytes).expect("sizes fit in 64 bits");
                left = left.saturating_sub(bytes);
                if left == 0 {
                    return;
                }
            }
        };
        // Whether all of it came or not, the client is answered now.
        drop(timeout(LONGEST, reading).await);
        let state = lock(&self.0);
        if state.over || state.body.is_end_stream() {
            Remains::Nothing
        } else {
            Remains::Something
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn body(pieces: usize) -> impl HttpBody<Data = Bytes, Error = Infallible> + Unpin {
        let piece = |_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"piece")));
        StreamBody::new(stream::iter((0..pieces).map(piece)))
    }

    async fn left<B: HttpBody<Data = Bytes> + Unpin>(kept: Kept<B>) -> usize {
        kept.collect().await.ok().unwrap().to_bytes().len()
    }

    #[tokio::test]
    async fn what_nobody_read_is_read_to_its_end() {
        let (mut kept, rest) = keep(body(3));
        kept.frame().await.unwrap().unwrap();
        let probe = Kept(Arc::clone(&kept.0));
        drop(kept);
        assert_eq!(rest.discard(Expects::Continue).await, Remains::Nothing);
        assert_eq!(left(probe).await, 0);
    }

    #[tokio::test]
    async fn a_client_that_waits_to_be_asked_is_not_asked() {
        let (kept, rest) = keep(body(3));
        assert_eq!(rest.discard(Expects::Continue).await, Remains::Something);
        assert_eq!(left(kept).await, 15);
        let (kept, rest) = keep(body(3));
        assert_eq!(rest.discard(Expects::Nothing).await, Remains::Nothing);
        assert_eq!(left(kept).await, 0);
    }
}
