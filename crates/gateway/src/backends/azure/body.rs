//! Bodies of calls: held in the pieces in which they came, or fed bit by bit. Both say how long they are.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::client::STALL;
use super::intake::size;
use crate::backend::Error;
use crate::backend::content::BodyError;

/// A body that is all here.
pub(super) struct Held {
    pieces: VecDeque<Bytes>,
    left: u64,
}

impl Held {
    pub(super) fn new(pieces: &[Bytes]) -> Self {
        Self {
            pieces: pieces.iter().cloned().collect(),
            left: pieces.iter().map(size).sum(),
        }
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let piece = self.pieces.pop_front();
        self.left -= piece.as_ref().map_or(0, size);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Takes the bytes of a call's body.
#[derive(Debug)]
pub(super) struct Feeder {
    sender: mpsc::Sender<Bytes>,
    action: &'static str,
}

impl Feeder {
    /// Gives bytes, as fast as the service takes them. Once it takes none any more because the call has ended, this waits
    /// for ever: the end of the call says why.
    pub(super) async fn give(&self, bytes: Bytes) -> Result<(), Error> {
        match timeout(STALL, self.sender.send(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => std::future::pending().await,
            Err(_) => Err(Error::Unreachable {
                action: self.action,
                source: format!("nothing was taken for {} s", STALL.as_secs()).into(),
            }),
        }
    }
}

/// Returns a body of `length` bytes and what feeds it.
pub(super) fn fed(length: u64, action: &'static str) -> (Feeder, Fed) {
    let (sender, pieces) = mpsc::channel(1);
    let left = length;
    (Feeder { sender, action }, Fed { pieces, left })
}

/// A body that is fed. Ends with an error when its feeder goes away early, so that no request is ever whole by accident.
pub(super) struct Fed {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
}

impl Body for Fed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(bytes) => {
                let length = u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
                match self.left.checked_sub(length) {
                    Some(left) => {
                        self.left = left;
                        Some(Ok(Frame::data(bytes)))
                    }
                    None => Some(Err("more bytes than were announced".into())),
                }
            }
            None => Some(Err("fewer bytes than were announced".into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
