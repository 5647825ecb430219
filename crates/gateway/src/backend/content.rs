//! Content on its way in: collected in pieces of a bounded size, hashed off the network's threads, compared at the end
//! with whatever was promised of it.
//!
//! Apart from the backends because each of them stores only what is what it was promised to be. While one batch is hashed
//! the next is collected, and the backend writes the one before.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::task::{JoinHandle, spawn_blocking};

use super::Error;
use super::digest::{Algorithm, Checksum, Digests, Expected, Hasher};
use super::seal::{Guard, Piece, Pieces, Seals};

/// How many bytes are collected before they are hashed and handed on.
pub const BATCH: usize = 256 * 1024;
/// The most bytes of one content that are in memory at a time: a batch being collected, one being hashed, one being handed
/// on, one being written.
pub const HELD: u64 = 4 * 256 * 1024;
/// A batch of at most so many bytes is hashed where it is: handing it to another thread would take longer.
const SMALL: usize = 32 * 1024;

/// Bytes that arrive bit by bit. An error ends the stream.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send + Sync>>;

/// Why a stream of bytes broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Some of the content, in order. Never empty.
pub type Batch = Vec<Bytes>;

/// Content that has arrived whole and is what it was promised to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// In bytes.
    pub size: u64,
    pub digests: Digests,
}

/// Content on its way in. Read it with [`Content::next`] to its end, then [`Content::finish`] says what it was.
pub struct Content {
    pieces: Pieces,
    length: Option<u64>,
    expected: Expected,
    hashing: Hashing,
    size: u64,
}

enum Hashing {
    /// Nothing has been collected yet: what to compute can still be said.
    Fresh(Option<Guard>),
    /// The batch has been hashed and waits to be handed on.
    Done(Box<State>, Batch),
    Busy(JoinHandle<Result<(Box<State>, Batch), BodyError>>),
    /// Everything collected has been handed on.
    Idle(Box<State>),
    Failed,
}

/// What is known of the content hashed so far.
struct State {
    hasher: Hasher,
    /// For content that must be sealed.
    guard: Option<Guard>,
}

/// A batch that has not been hashed.
#[derive(Default)]
struct Collected {
    batch: Batch,
    seals: Seals,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("length", &self.length)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl Content {
    /// `length` in bytes, when the sender said so beforehand: more or fewer bytes are an error. So is content that does not
    /// match what is `expected` of it.
    pub fn new(stream: ByteStream, length: Option<u64>, expected: Expected) -> Self {
        let pieces = stream.map_ok(Piece::Bytes).boxed();
        Self::fresh(pieces, None, length, expected)
    }

    /// Content that counts only if a seal stands behind every byte and none is broken.
    pub fn sealed(pieces: Pieces, length: Option<u64>, expected: Expected) -> Self {
        Self::fresh(pieces, Some(Guard::new()), length, expected)
    }

    fn fresh(
        pieces: Pieces,
        guard: Option<Guard>,
        length: Option<u64>,
        expected: Expected,
    ) -> Self {
        Self {
            pieces,
            length,
            expected,
            hashing: Hashing::Fresh(guard),
            size: 0,
        }
    }

    /// In bytes, if the sender said so beforehand.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// Has a checksum computed if the sender neither sent nor asked for one. To be called before the first batch.
    pub fn compute(&mut self, algorithm: Option<Algorithm>) {
        if self.expected.algorithm().is_none() {
            self.expected.compute = algorithm;
        }
    }

    /// Returns the next batch of about [`BATCH`] bytes, nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Batch>, Error> {
        loop {
            let (state, next, batch) = match std::mem::replace(&mut self.hashing, Hashing::Failed) {
                Hashing::Fresh(guard) => {
                    let hasher = Hasher::new(self.expected.algorithm());
                    let state = Box::new(State { hasher, guard });
                    (state, self.collect().await?, Batch::new())
                }
                Hashing::Done(state, batch) => (state, self.collect().await?, batch),
                Hashing::Busy(task) => {
                    let (next, finished) = futures::join!(self.collect(), task);
                    let (state, batch) = finished
                        .map_err(|source| Error::Worker { source })?
                        .map_err(|source| Error::Body { source })?;
                    (state, next?, batch)
                }
                Hashing::Idle(state) => {
                    self.hashing = Hashing::Idle(state);
                    return Ok(None);
                }
                Hashing::Failed => {
                    return Err(Error::Body {
                        source: "read on after an error".into(),
                    });
                }
            };
            self.hashing = match next {
                Some(next) => hash(state, next)?,
                None => Hashing::Idle(state),
            };
            // A batch without bytes was seals alone.
            if !batch.is_empty() {
                return Ok(Some(batch));
            }
        }
    }

    /// Collects a batch; nothing if nothing more comes.
    async fn collect(&mut self) -> Result<Option<Collected>, Error> {
        let mut collected = Collected::default();
        let mut bytes_collected = 0;
        while bytes_collected < BATCH {
            let Some(piece) = self.pieces.next().await else {
                self.check_length(self.size)?;
                break;
            };
            match piece.map_err(|source| Error::Body { source })? {
                Piece::Seal(seal) => collected.seals.push((collected.batch.len(), seal)),
                Piece::Bytes(bytes) if bytes.is_empty() => {}
                Piece::Bytes(bytes) => {
                    bytes_collected += bytes.len();
                    self.size += u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
                    if self.length.is_some_and(|length| self.size > length) {
                        self.check_length(self.size)?;
                    }
                    collected.batch.push(bytes);
                }
            }
        }
        let nothing = collected.batch.is_empty() && collected.seals.is_empty();
        Ok((!nothing).then_some(collected))
    }

    fn check_length(&self, found: u64) -> Result<(), Error> {
        match self.length {
            Some(expected) if expected != found => Err(Error::IncompleteBody { expected, found }),
            _ => Ok(()),
        }
    }

    /// Compares the content with what was promised. To be called once [`Content::next`] has returned nothing.
    pub fn finish(self) -> Result<Received, Error> {
        let Hashing::Idle(state) = self.hashing else {
            return Err(Error::Body {
                source: "not read to its end".into(),
            });
        };
        if let Some(guard) = state.guard {
            guard.finish().map_err(|source| Error::Body { source })?;
        }
        let digests = state.hasher.finish();
        self.expected.check(&digests)?;
        Ok(Received {
            size: self.size,
            digests,
        })
    }

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

fn hash(mut state: Box<State>, collected: Collected) -> Result<Hashing, Error> {
    let Collected { batch, seals } = collected;
    let bytes: usize = batch.iter().map(Bytes::len).sum();
    let work = move || {
        for bytes in &batch {
            state.hasher.update(bytes);
        }
        if let Some(guard) = &mut state.guard {
            guard.follow(&batch, seals)?;
        }
        Ok((state, batch))
    };
    if bytes <= SMALL {
        let (state, batch) = work().map_err(|source| Error::Body { source })?;
        Ok(Hashing::Done(state, batch))
    } else {
        Ok(Hashing::Busy(spawn_blocking(work)))
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;
    use crate::backend::digest::Checksum;

    fn content(pieces: &[usize], length: Option<u64>, expected: Expected) -> Content {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|size| Ok(Bytes::from(vec![b'x'; *size])))
            .collect();
        Content::new(Box::pin(stream::iter(pieces)), length, expected)
    }

    #[tokio::test]
    async fn content_comes_in_batches_and_is_known_at_the_end() {
        for sizes in [
            vec![],
            vec![1],
            vec![BATCH; 3],
            vec![0, 70_000, 0, 200_000, 5],
        ] {
            let whole: usize = sizes.iter().sum();
            let mut content = content(&sizes, u64::try_from(whole).ok(), Expected::default());
            let mut read = 0;
            while let Some(batch) = content.next().await.unwrap() {
                assert!(!batch.is_empty());
                read += batch.iter().map(Bytes::len).sum::<usize>();
            }
            let mut hasher = Hasher::new(None);
            hasher.update(&vec![b'x'; whole]);
            let received = content.finish().unwrap();
            assert_eq!(read, whole);
            assert_eq!(received.size, u64::try_from(whole).unwrap());
            assert_eq!(received.digests, hasher.finish());
        }
    }

    #[tokio::test]
    async fn content_that_was_not_read_to_its_end_has_no_result() {
        let mut content = content(&[BATCH, BATCH], None, Expected::default());
        content.next().await.unwrap();
        assert!(content.finish().is_err());
    }

    #[tokio::test]
    async fn the_last_bytes_are_withheld_until_all_is_as_promised() {
        let wrong = || Expected {
            checksum: Some(Checksum {
                algorithm: Algorithm::Crc32,
                value: "AAAAAA==".to_owned(),
            }),
            ..Expected::default()
        };
        let cases = [
            (content(&[BATCH, BATCH, 7], None, Expected::default()), true),
            (content(&[], Some(0), Expected::default()), true),
            (content(&[BATCH, BATCH, 7], None, wrong()), false),
            (content(&[3], Some(4), Expected::default()), false),
            (content(&[3], Some(2), Expected::default()), false),
        ];
        for (content, whole) in cases {
            let (stream, checked) = content.into_checked();
            let sent: Result<Vec<Bytes>, _> = stream.try_collect().await;
            assert_eq!(sent.is_ok(), whole);
            assert_eq!(checked.take().unwrap().is_ok(), whole);
        }
    }
}
