//! Content from the store that may come slowly, but must not stop coming.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::time::{Instant, Sleep, sleep};

use crate::backend::content::BodyError;

/// A stream that fails once it was waited for so long. Time in which nobody waits does not count.
pub(super) struct Watched<S> {
    inner: Pin<Box<S>>,
    limit: Duration,
    alarm: Pin<Box<Sleep>>,
    waited_for: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, limit: Duration) -> Self {
        Self {
            inner: Box::pin(inner),
            limit,
            alarm: Box::pin(sleep(limit)),
            waited_for: false,
        }
    }
}

impl<S: Stream<Item = Result<Bytes, BodyError>>> Stream for Watched<S> {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.waited_for {
            let limit = self.limit;
            self.alarm.as_mut().reset(Instant::now() + limit);
            self.waited_for = true;
        }
        if let Poll::Ready(item) = self.inner.as_mut().poll_next(context) {
            self.waited_for = false;
            return Poll::Ready(item);
        }
        if self.alarm.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.waited_for = false;
        let error = format!("the store sent nothing for {} s", self.limit.as_secs());
        Poll::Ready(Some(Err(error.into())))
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};

    use super::*;

    #[tokio::test]
    async fn a_stream_that_stops_coming_fails() {
        let first = stream::iter([Ok(Bytes::from_static(b"a"))]);
        let mut stream = Watched::new(first.chain(stream::pending()), Duration::from_millis(1));
        assert_eq!(stream.next().await.unwrap().unwrap(), "a");
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("sent nothing"), "{error}");
    }

    #[tokio::test]
    async fn time_in_which_nobody_waits_does_not_count() {
        let pieces = stream::iter(["a", "b"].map(|text| Ok(Bytes::from_static(text.as_bytes()))));
        let stream = Watched::new(pieces, Duration::ZERO);
        let read: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!(read, ["a", "b"]);
    }
}
