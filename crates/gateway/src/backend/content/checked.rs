//! Content as a stream of which nobody ever has the whole unless it is what it was promised to be.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};

use super::{Batch, BodyError, Content, Received};
use crate::backend::Error;
use crate::backend::digest::Checksum;

impl Content {
    /// Turns content into a stream whose last bytes come only once all of it has proved to be what was promised; otherwise
    /// an error takes their place, so that a receiver who waits for them never has the whole.
    pub fn into_checked(self) -> (BoxStream<'static, Result<Bytes, BodyError>>, Checked) {
        let checked = Checked::default();
        let result = checked.clone();
        let batches = stream::unfold(
            (Some(self), None::<Batch>, result),
            |(content, held, result)| async move {
                let mut content = content?;
                let mut held = held;
                loop {
                    match content.next().await {
                        Ok(Some(batch)) => {
                            if let Some(before) = held.replace(batch) {
                                return Some((Ok(before), (Some(content), held, result)));
                            }
                        }
                        Ok(None) => {
                            let finished = content.finish();
                            let last = match &finished {
                                Ok(_) => Ok(held.unwrap_or_default()),
                                Err(_) => Err(BodyError::from("the content is not as promised")),
                            };
                            result.set(finished);
                            return Some((last, (None, None, result)));
                        }
                        Err(error) => {
                            result.set(Err(error));
                            let failed = Err(BodyError::from("the content did not arrive whole"));
                            return Some((failed, (None, None, result)));
                        }
                    }
                }
            },
        );
        let pieces = batches.flat_map(|batch| match batch {
            Ok(pieces) => stream::iter(pieces.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        });
        (pieces.boxed(), checked)
    }
}

/// What content turned out to be, known when its stream has ended.
#[derive(Debug, Clone, Default)]
pub struct Checked(Arc<Mutex<Option<Result<Received, Error>>>>);

impl Checked {
    fn set(&self, result: Result<Received, Error>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    /// The checksum that was computed, if the content is as promised. Leaves the result to be taken.
    pub fn checksum(&self) -> Option<Checksum> {
        let result = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let received = result.as_ref()?.as_ref().ok()?;
        received.digests.checksum.clone()
    }

    /// Returns the result, once. Nothing if the stream has not been read to its end.
    pub fn take(&self) -> Option<Result<Received, Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
