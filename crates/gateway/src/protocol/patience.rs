//! A body that must keep arriving, at some [`Pace`].
//!
//! Time counts only while somebody waits for the body, so that a slow volume is not held against the client.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::broken::Broken;
use crate::backend::content::BodyError;
use crate::pace::Pace;

/// A body that ends with an error when its sender is too slow.
pub(super) struct Patient<B> {
    body: B,
    window: Duration,
    pace: Pace,
    alarm: Pin<Box<Sleep>>,
}

impl<B> Patient<B> {
    pub(super) fn new(body: B, window: Duration) -> Self {
        Self {
            body,
            window,
            pace: Pace::new(window),
            alarm: Box::pin(sleep(window)),
        }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let bytes = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => 0,
            };
            self.pace.moved(Instant::now(), bytes);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        loop {
            let deadline = self.pace.wait(Instant::now());
            if self.alarm.deadline() != deadline {
                self.alarm.as_mut().reset(deadline);
            }
            ready!(self.alarm.as_mut().poll(context));
            if self.pace.is_too_slow(Instant::now()) {
                let seconds = self.window.as_secs();
                return Poll::Ready(Some(Err(Broken::Silent { seconds }.into())));
            }
        }
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
    use std::convert::Infallible;

    use futures::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn data(text: &'static str) -> Frame<Bytes> {
        Frame::data(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn a_body_that_stops_in_the_middle_is_an_error() {
        let stops = stream::iter([Ok::<_, Infallible>(data("first"))]).chain(stream::pending());
        let mut body = Patient::new(StreamBody::new(stops), Duration::from_millis(1));
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "first");
        let error = body.frame().await.unwrap().unwrap_err();
        let silent = Some(&Broken::Silent { seconds: 0 });
        assert_eq!(error.downcast_ref(), silent, "{error:?}");
    }

    #[tokio::test]
    async fn time_in_which_nobody_asks_does_not_count() {
        let whole = stream::iter(["a", "b", "c"].map(|text| Ok::<_, Infallible>(data(text))));
        let mut body = Patient::new(StreamBody::new(whole), Duration::ZERO);
        let mut read = Vec::new();
        while let Some(frame) = body.frame().await {
            read.extend(frame.unwrap().into_data().unwrap());
        }
        assert_eq!(read, b"abc");
    }
}
