//! Files to objects and back, several pieces of one at a time.
//!
//! A [`Lane`] bounds how many pieces are on their way at once, how many bytes they take, and how fast they may go; all
//! transfers of a run share one. Each piece is read once, and the checksum of the whole is put together from those of the
//! pieces, in whatever order they arrive.

mod buffers;
mod chunks;
mod output;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use crc_fast::{CrcAlgorithm, Digest, checksum, checksum_combine};
use futures::TryStreamExt;
use futures::stream::{self, StreamExt};
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use object_store::aws::AmazonS3;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use self::buffers::Buffers;
use self::chunks::Chunks;
pub use self::output::Output;
use crate::again;
use crate::bucket::Bucket;
use crate::error::{Cause, Error};

/// Bytes of a piece: a server that keeps parts of one size in place need not join them. Of a limited lane no more than it lets through in a second, down to the
/// least that S3 takes for a part, or for a download is worth a request.
const PIECE: u64 = 16 * 1024 * 1024;
const LEAST_PART: u64 = 5 * 1024 * 1024;
const LEAST_RANGE: u64 = SMALL;
/// What is written to a file at once.
const CHUNK: u64 = 1024 * 1024;
/// Chunks that a download has in memory: one is filled while the other is written.
const CHUNKS: u64 = 2;
/// What is smaller takes memory of its own.
const SMALL: u64 = 256 * 1024;
/// What memory is counted in.
const GRAIN: u64 = 64 * 1024;

/// The checksum of bytes that are stored: CRC-64/NVME, which S3 knows as well.
pub fn crc64(bytes: &[u8]) -> u64 {
    checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// The checksum of bytes that come one after the other. To join checksums takes as long as to read some hundred KiB.
#[derive(Debug, Clone, Copy)]
pub struct Crc64(Digest);

impl Default for Crc64 {
    fn default() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Nvme))
    }
}

impl Crc64 {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all bytes so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

/// The checksum of some bytes and so many more, from those of both.
pub fn crc64_of_both(first: u64, second: u64, second_length: u64) -> u64 {
    checksum_combine(CrcAlgorithm::Crc64Nvme, first, second, second_length)
}

/// How much is on its way at once.
#[derive(Debug, Clone)]
pub struct Lane {
    requests: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    memory_grains: u32,
    rate: Option<Arc<Rate>>,
    pieces: Arc<Buffers>,
    chunks: Arc<Buffers>,
}

/// Bytes a second, without saving up what was not used. Bytes go when their time has passed, so that from the beginning on there are never more than that.
#[derive(Debug)]
struct Rate {
    bytes_per_second: u64,
    /// When the bytes that were let through so far will have had their time.
    free_at: Mutex<Instant>,
}

/// An upload in parts that was begun. All of it goes by one client.
struct Upload<'a> {
    store: &'a AmazonS3,
    key: &'a str,
    path: Path,
    id: String,
}

/// Why a file could not be sent or fetched.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The file on this side.
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] Error),
}

impl Lane {
    /// A lane of so many requests at a time, whose bytes take `memory` bytes together at most.
    pub fn new(requests: usize, memory: u64, limit: Option<ByteSize>) -> Self {
        let grains = u32::try_from(memory.max(PIECE).div_ceil(GRAIN)).unwrap_or(u32::MAX >> 4);
        Self {
            requests: Arc::new(Semaphore::new(requests.max(1))),
            memory: Arc::new(Semaphore::new(grains as usize)),
            memory_grains: grains,
            pieces: Buffers::new(usize::try_from(PIECE).expect("a piece fits in memory")),
            chunks: Buffers::new(usize::try_from(CHUNK).expect("a chunk fits in memory")),
            rate: limit.filter(|limit| limit.0 > 0).map(|limit| {
                Arc::new(Rate {
                    bytes_per_second: limit.0,
                    free_at: Mutex::new(Instant::now()),
                })
            }),
        }
    }

    /// Another lane for requests, with the same bounds for memory and rate.
    #[must_use]
    pub fn beside(&self, requests: usize) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(requests.max(1))),
            ..self.clone()
        }
    }

    /// Reads a range of a file, no more than a piece, into memory.
    async fn read(&self, file: &Arc<File>, range: Range<u64>) -> io::Result<Bytes> {
        let (file, pieces) = (Arc::clone(file), Arc::clone(&self.pieces));
        let read = spawn_blocking(move || {
            let size = range.end - range.start;
            let length = usize::try_from(size).expect("a piece fits in memory");
            if size <= SMALL {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, range.start)?;
                return Ok(Bytes::from(bytes));
            }
            let mut buffer = pieces.take();
            file.read_exact_at(buffer.of_length(length), range.start)?;
            Ok(buffer.into_bytes())
        });
        read.await.map_err(io::Error::other)?
    }

    /// In bytes, at least `least`.
    fn piece(&self, least: u64) -> u64 {
        let rate = self.rate.as_ref();
        rate.map_or(PIECE, |rate| rate.bytes_per_second.clamp(least, PIECE))
    }

    /// Waits until so many bytes may be on their way.
    async fn enter(&self, bytes: u64) -> [OwnedSemaphorePermit; 2] {
        self.enter_with(bytes, bytes).await
    }

    /// The same, for bytes of which only so many are in memory at once.
    async fn enter_with(&self, memory: u64, bytes: u64) -> [OwnedSemaphorePermit; 2] {
        let grains = u32::try_from(memory.div_ceil(GRAIN)).unwrap_or(u32::MAX);
        let grains = grains.clamp(1, self.memory_grains);
        let request = Arc::clone(&self.requests).acquire_owned().await;
        let memory = Arc::clone(&self.memory).acquire_many_owned(grains).await;
        if let Some(rate) = &self.rate {
            rate.pass(bytes).await;
        }
        [request, memory].map(|permit| permit.expect("a lane is never closed"))
    }
}

impl Rate {
    async fn pass(&self, bytes: u64) {
        let until = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let begin = (*free_at).max(Instant::now());
            let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
            let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            *free_at = begin + time.min(Duration::from_hours(24));
            *free_at
        };
        tokio::time::sleep_until(until).await;
    }
}

impl Bucket {
    /// Makes an object of `range` of a file and returns the CRC-64/NVME of its bytes. On failure there is no new object, or,
    /// where only the last answer was lost, the whole one.
    pub async fn send(
        &self,
        key: &str,
        file: &Arc<File>,
        range: Range<u64>,
        lane: &Lane,
        progress: &Progress,
    ) -> Result<u64, TransferError> {
        let path = self.path(key)?;
        let store = self.for_content();
        let failed = |cause| self.failed(format!("write `{key}`"), cause);
        if range.end - range.start <= lane.piece(LEAST_PART) {
            let _permits = lane.enter(range.end - range.start).await;
            let bytes = lane.read(file, range).await?;
            let (sum, length) = (crc64(&bytes), bytes.len() as u64);
            let payload = PutPayload::from_bytes(bytes);
            let stored = again::ask(async || store.put(&path, payload.clone()).await);
            stored.await.map_err(|error| failed(Cause::of(&error)))?;
            progress.add(1, length);
            return Ok(sum);
        }
        // One whose answer broke off is ended with the others that are left over.
        let id = again::ask(async || store.create_multipart(&path).await);
        let id = id.await.map_err(|error| failed(Cause::of(&error)))?;
        let upload = Upload {
            store,
            key,
            path,
            id,
        };
        let sent = self.send_parts(&upload, file, range, lane, progress).await;
        if sent.is_err()
            && let Err(error) = store.abort_multipart(&upload.path, &upload.id).await
        {
            tracing::warn!(%error, key, "an upload could not be aborted, a later run removes it");
        }
        progress.add(1, 0);
        sent
    }

    async fn send_parts(
        &self,
        upload: &Upload<'_>,
        file: &Arc<File>,
        range: Range<u64>,
        lane: &Lane,
        progress: &Progress,
    ) -> Result<u64, TransferError> {
        let Upload {
            store,
            key,
            path,
            id,
        } = upload;
        let failed = |cause| self.failed(format!("write `{key}`"), cause);
        let range_length = range.end - range.start;
        let sent =
            pieces(&range, lane.piece(LEAST_PART))
                .enumerate()
                .map(|(number, piece)| async move {
                    let length = piece.end - piece.start;
                    let _permits = lane.enter(length).await;
                    let bytes = lane.read(file, piece).await?;
                    let sum = crc64(&bytes);
                    let payload = PutPayload::from_bytes(bytes);
                    let part = again::ask(async || {
                        store.put_part(path, id, number, payload.clone()).await
                    });
                    let part = part.await.map_err(|error| failed(Cause::of(&error)))?;
                    progress.add(0, length);
                    Ok::<_, TransferError>((part, sum, length))
                });
        // The lane says how many are under way; this bounds only how many wait.
        let sent: Vec<_> = stream::iter(sent).buffered(64).try_collect().await?;
        let sum = sent.iter().fold(crc64(&[]), |sum, (_, piece, length)| {
            crc64_of_both(sum, *piece, *length)
        });
        let parts: Vec<PartId> = sent.into_iter().map(|(part, _, _)| part).collect();
        let completed =
            again::ask(async || store.complete_multipart(path, id, parts.clone()).await);
        if let Err(error) = completed.await {
            // A server may have heard it the first time, and know nothing of the upload any more. What is there is read, for it may be the object of before.
            let is_there = matches!(error, object_store::Error::NotFound { .. })
                && self.size(key).await? == Some(range_length)
                && self
                    .sum_of(key, range_length, lane, &Progress::default())
                    .await?
                    == sum;
            if !is_there {
                return Err(failed(Cause::of(&error)).into());
            }
        }
        Ok(sum)
    }

    /// Writes an object of `size` bytes into a file, from `offset` on, and returns the CRC-64/NVME of the bytes. On failure the file has some of them.
    /// Nothing is synced.
    pub async fn fetch_into(
        &self,
        key: &str,
        size: u64,
        output: &Arc<Output>,
        offset: u64,
        lane: &Lane,
        progress: &Progress,
    ) -> Result<u64, TransferError> {
        let fetched = pieces(&(0..size), lane.piece(LEAST_RANGE)).map(|piece| async move {
            let length = piece.end - piece.start;
            let _permits = lane.enter_with(length.min(CHUNK * CHUNKS), length).await;
            let at = offset + piece.start;
            let sum = Box::pin(self.fetch_piece(key, piece, output, at, lane)).await?;
            progress.add(0, length);
            Ok::<_, TransferError>((sum, length))
        });
        let mut fetched = stream::iter(fetched).buffered(64);
        let mut sum = crc64(&[]);
        while let Some((piece, length)) = fetched.try_next().await? {
            sum = crc64_of_both(sum, piece, length);
        }
        progress.add(1, 0);
        Ok(sum)
    }

    /// Writes a piece of an object into a file, chunk by chunk.
    async fn fetch_piece(
        &self,
        key: &str,
        piece: Range<u64>,
        output: &Arc<Output>,
        at: u64,
        lane: &Lane,
    ) -> Result<u64, TransferError> {
        let failed = |cause| self.failed(format!("read `{key}`"), cause);
        let length = piece.end - piece.start;
        let wrong_size = |found| Cause::WrongSize {
            expected: length,
            found,
        };
        if length <= SMALL {
            let bytes = self.read_range(key, piece).await?;
            if bytes.len() as u64 != length {
                return Err(failed(wrong_size(bytes.len() as u64)).into());
            }
            let output = Arc::clone(output);
            let write = move || output.write(&bytes, at).map(|()| crc64(&bytes));
            return Ok(spawn_blocking(write).await.map_err(io::Error::other)??);
        }
        let path = self.path(key)?;
        let reserving = Arc::clone(output);
        let reserved = spawn_blocking(move || reserving.reserve(at, length));
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(piece)));
        let found = self.s3().get_opts(&path, options).await;
        reserved.await.map_err(io::Error::other)??;
        let found = found.map_err(|error| failed(Cause::of(&error)))?;
        // Where it breaks off the client goes on from there.
        let mut stream = found.into_stream();
        let mut chunks = Chunks::new(Arc::clone(output), at);
        let mut buffer = lane.chunks.take();
        while let Some(mut bytes) = stream
            .try_next()
            .await
            .map_err(|error| failed(Cause::of(&error)))?
        {
            while !bytes.is_empty() {
                let taken = buffer.extend(&bytes);
                bytes.advance(taken);
                if buffer.is_full() {
                    chunks.write(buffer).await?;
                    buffer = lane.chunks.take();
                }
            }
        }
        chunks.write(buffer).await?;
        let (sum, count) = chunks.finish().await?;
        if count != length {
            return Err(failed(wrong_size(count)).into());
        }
        Ok(sum)
    }

    /// Reads an object of `size` bytes and returns the CRC-64/NVME of the bytes.
    pub async fn sum_of(
        &self,
        key: &str,
        size: u64,
        lane: &Lane,
        progress: &Progress,
    ) -> Result<u64, Error> {
        let read = pieces(&(0..size), lane.piece(LEAST_RANGE)).map(|piece| async move {
            let length = piece.end - piece.start;
            let _permits = lane.enter(length).await;
            let bytes = self.read_range(key, piece).await?;
            progress.add(0, length);
            Ok::<_, Error>((crc64(&bytes), bytes.len() as u64))
        });
        let mut read = stream::iter(read).buffered(64);
        let mut sum = crc64(&[]);
        while let Some((piece, length)) = read.try_next().await? {
            sum = crc64_of_both(sum, piece, length);
        }
        progress.add(1, 0);
        Ok(sum)
    }
}

/// The pieces of a range; none of an empty one.
fn pieces(range: &Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> + use<> {
    let Range { start, end } = *range;
    let count = (end - start).div_ceil(size);
    (0..count).map(move |number| {
        let at = start + number * size;
        at..(at + size).min(end)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_follow_each_other_to_the_end(start in 0..PIECE, length in 0..5 * PIECE, size in LEAST_RANGE..=PIECE) {
            let range = start..start + length;
            let mut at = start;
            for piece in pieces(&range, size) {
                prop_assert_eq!(piece.start, at);
                prop_assert!(piece.end - piece.start <= size);
                at = piece.end;
            }
            prop_assert_eq!(at, range.end);
        }

        #[test]
        fn the_sum_of_pieces_is_that_of_the_whole(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            let combined = crc64_of_both(crc64(first), crc64(second), second.len() as u64);
            prop_assert_eq!(combined, crc64(&bytes));
            let mut running = Crc64::default();
            running.update(first);
            running.update(second);
            prop_assert_eq!(running.value(), crc64(&bytes));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limited_lane_lets_no_more_through_than_its_rate() {
        let lane = Lane::new(8, 0, Some(ByteSize(1000)));
        let begin = Instant::now();
        for count in 1..=5_u128 {
            drop(lane.enter(500).await);
            // Never more than its time allows, also at the beginning.
            assert!(begin.elapsed().as_millis() >= count * 500);
        }
        assert!(begin.elapsed().as_millis() < 2600);
    }

    #[test]
    fn pieces_of_a_limited_lane_are_what_it_lets_through_in_a_second() {
        let piece = |limit: u64, least| Lane::new(8, 0, Some(ByteSize(limit))).piece(least);
        assert_eq!(piece(1 << 20, LEAST_RANGE), 1 << 20);
        assert_eq!(piece(1 << 20, LEAST_PART), LEAST_PART);
        assert_eq!(piece(1000, LEAST_RANGE), LEAST_RANGE);
        assert_eq!(piece(1 << 40, LEAST_PART), PIECE);
        assert_eq!(Lane::new(8, 0, None).piece(LEAST_RANGE), PIECE);
    }
}
