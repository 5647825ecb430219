//! Content on its way in: collected in pieces of a bounded size, hashed off the network's threads, compared at the end
//! with whatever was promised of it.
//!
//! Apart from the backends because each of them stores only what is what it was promised to be. While one batch is hashed
//! the next is collected, and the backend writes the one before.

mod checked;
mod collected;
mod progress;
mod small;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};

pub use self::checked::Checked;
use self::collected::Collected;
use self::progress::{Busy, State};
pub use self::small::{Gathered, Small};
use super::Error;
use super::digest::{Algorithm, Digests, Expected};
use super::seal::{Guard, Piece, Pieces};
use crate::hashing::Pool;

/// How many bytes are collected before they are hashed and handed on.
pub const BATCH: usize = 256 * 1024;
/// The most bytes of one content that are in memory at a time: a batch being collected, one being hashed, one being handed
/// on, one being written.
pub const HELD: u64 = 4 * 256 * 1024;

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
    pool: Pool,
    hashing: Hashing,
    /// The backend takes a tag that is no MD5.
    takes_any_tag: bool,
    /// In bytes, as far as it has come.
    size: u64,
    /// Nothing more comes.
    ended: bool,
}

enum Hashing {
    /// Nothing has been collected yet: what to compute can still be said.
    Fresh(Option<Box<Guard>>),
    /// The batch has been hashed and waits to be handed on.
    Done(Box<State>, Batch),
    Busy(Busy),
    /// Everything collected has been handed on.
    Idle(Box<State>),
    Failed,
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
        Self::fresh(pieces, Some(Box::new(Guard::new())), length, expected)
    }

    fn fresh(
        pieces: Pieces,
        guard: Option<Box<Guard>>,
        length: Option<u64>,
        expected: Expected,
    ) -> Self {
        Self {
            pieces,
            length,
            expected,
            // Unless it is told otherwise: one for the MD5, one for the rest.
            pool: Pool::new(2, |_| {}),
            hashing: Hashing::Fresh(guard),
            takes_any_tag: false,
            size: 0,
            ended: false,
        }
    }

    /// Has the content hashed together with that of other requests.
    pub(crate) fn hashed_by(mut self, pool: &Pool) -> Self {
        self.pool = pool.clone();
        self
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

    /// Renounces the MD5 where the sender does too. To be called before the first batch.
    pub(crate) fn tagged_as_wished(mut self) -> Self {
        self.takes_any_tag = true;
        self
    }

    fn state(&self, guard: Option<Box<Guard>>) -> State {
        let has_md5 = !(self.takes_any_tag && self.expected.is_without_md5());
        State::new(self.expected.algorithm(), has_md5, guard)
    }

    /// Returns the next batch of about [`BATCH`] bytes, nothing at the end.
    pub async fn next(&mut self) -> Result<Option<Batch>, Error> {
        loop {
            let (state, next, batch) = match std::mem::replace(&mut self.hashing, Hashing::Failed) {
                Hashing::Fresh(guard) => {
                    let state = Box::new(self.state(guard));
                    (state, self.collect().await?, Batch::new())
                }
                Hashing::Done(state, batch) => (state, self.collect().await?, batch),
                Hashing::Busy(Busy { batch, md5, rest }) => {
                    let (next, md5, rest) = futures::join!(self.collect(), md5.done(), rest.done());
                    let state = Box::new(State {
                        md5: md5?,
                        rest: rest?,
                    });
                    (state, next?, Arc::unwrap_or_clone(batch))
                }
                Hashing::Idle(state) => {
                    self.hashing = Hashing::Idle(state);
                    return Ok(None);
                }
                Hashing::Failed => {
                    return Err(read_on());
                }
            };
            self.hashing = match next {
                Some(next) => state.hash(next, &self.pool)?,
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
        while collected.cost() < BATCH {
            let Some(piece) = self.pieces.next().await else {
                self.ended = true;
                self.check_length(self.size)?;
                break;
            };
            match piece.map_err(|source| Error::Body { source })? {
                Piece::Seal(seal) => collected.seal(seal),
                Piece::Bytes(bytes) => {
                    self.size += u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
                    if self.length.is_some_and(|length| self.size > length) {
                        self.check_length(self.size)?;
                    }
                    collected.add(bytes);
                }
            }
        }
        collected.gather();
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
        let digests = state.finish(self.size)?;
        self.expected.check(&digests)?;
        Ok(Received {
            size: self.size,
            digests,
        })
    }
}

fn read_on() -> Error {
    Error::Body {
        source: "read on after an error".into(),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::collected::{CRUMB, SEAL};
    use super::small::SMALL;
    use super::*;
    use crate::backend::digest::{Checksum, Hasher};
    use crate::backend::tag::TagBy;

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
    async fn an_md5_is_left_out_only_where_nobody_needs_it() {
        let mut hasher = Hasher::new(Some(Algorithm::Crc64Nvme));
        hasher.update(&vec![b'x'; BATCH]);
        let digests = hasher.finish();
        let wish = |checksum: Option<Checksum>| Expected {
            checksum,
            tag: TagBy::Checksum,
            ..Expected::default()
        };
        let crc64 = || wish(digests.checksum.clone());
        let by_md5 = Expected {
            md5: digests.tag.md5(),
            ..crc64()
        };
        let sender_wants_it = Expected {
            tag: TagBy::Md5,
            ..crc64()
        };
        for (expected, takes_any, has_md5) in [
            (crc64(), true, false),
            (crc64(), false, true),
            (wish(None), true, true),
            (by_md5, true, true),
            (sender_wants_it, true, true),
        ] {
            let mut content = content(&[BATCH], None, expected);
            if takes_any {
                content = content.tagged_as_wished();
            }
            while content.next().await.unwrap().is_some() {}
            let tag = content.finish().unwrap().digests.tag;
            assert_eq!(tag.md5().is_some(), has_md5);
        }
    }

    #[tokio::test]
    async fn content_that_was_not_read_to_its_end_has_no_result() {
        let mut content = content(&[BATCH, BATCH], None, Expected::default());
        content.next().await.unwrap();
        assert!(content.finish().is_err());
    }

    #[tokio::test]
    async fn small_content_comes_whole_and_is_judged_like_any_other() {
        let small = |size, length, expected| content(&[size], Some(length), expected).gather();
        let Ok(Gathered::Small(whole)) = small(1000, 1000, Expected::default()).await else {
            panic!("content of 1000 bytes is not small");
        };
        let (batch, received) = whole.check().unwrap();
        assert_eq!((batch.len(), received.size), (1, 1000));
        let mut hasher = Hasher::new(None);
        hasher.update(&[b'x'; 1000]);
        assert_eq!(received.digests, hasher.finish());
        assert!(small(999, 1000, Expected::default()).await.is_err());
        assert!(small(1001, 1000, Expected::default()).await.is_err());
        let wrong = Expected {
            md5: Some([0; 16]),
            ..Expected::default()
        };
        let Ok(Gathered::Small(whole)) = small(1000, 1000, wrong).await else {
            panic!("content of 1000 bytes is not small");
        };
        assert!(whole.check().is_err());
        for length in [None, Some(SMALL + 1)] {
            let large = content(&[70_000], length, Expected::default())
                .gather()
                .await;
            assert!(matches!(large, Ok(Gathered::Large(_))));
        }
    }

    #[tokio::test]
    async fn small_content_in_very_many_pieces_is_not_collected_whole() {
        let pieces = (0..3000).flat_map(|_| {
            let bytes = Piece::Bytes(Bytes::from_static(b"x"));
            [Ok(bytes), Ok(seal(false))]
        });
        let pieces = stream::iter(pieces.collect::<Vec<_>>()).boxed();
        let content = Content::sealed(pieces, Some(3000), Expected::default());
        let Ok(Gathered::Large(mut content)) = content.gather().await else {
            panic!("3000 seals were collected");
        };
        let mut read = 0;
        while let Some(batch) = content.next().await.unwrap() {
            read += batch.iter().map(Bytes::len).sum::<usize>();
        }
        assert_eq!((read, content.finish().unwrap().size), (3000, 3000));
    }

    #[tokio::test]
    async fn small_pieces_are_kept_together() {
        let mut content = content(&vec![1; 3 * CRUMB], None, Expected::default());
        let batch = content.next().await.unwrap().unwrap();
        assert_eq!(
            batch.iter().map(Bytes::len).collect::<Vec<_>>(),
            [3 * CRUMB]
        );
    }

    fn seal(broken: bool) -> Piece {
        Piece::Seal(Box::new(move |_| {
            (!broken).then_some(()).ok_or_else(|| "broken".into())
        }))
    }

    #[tokio::test]
    async fn one_broken_seal_among_many_is_found_and_none_costs_more_than_its_share() {
        let count = 3000;
        for broken in [None, Some(0), Some(count / 2), Some(count - 1)] {
            let pieces = (0..count).flat_map(|index| {
                let bytes = Piece::Bytes(Bytes::from_static(b"x"));
                [Ok(bytes), Ok(seal(Some(index) == broken))]
            });
            let pieces = stream::iter(pieces.collect::<Vec<_>>()).boxed();
            let mut content = Content::sealed(pieces, None, Expected::default());
            let mut largest = 0;
            let read = loop {
                match content.next().await {
                    Ok(Some(batch)) => largest = largest.max(batch.len()),
                    other => break other.map(drop),
                }
            };
            assert_eq!(read.is_ok(), broken.is_none());
            assert!(largest <= BATCH / SEAL);
            assert_eq!(content.finish().is_ok(), broken.is_none());
        }
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
