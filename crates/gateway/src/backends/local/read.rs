//! An open file to the network, one piece ahead of the reader.

use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::backend::content::{BodyError, ByteStream};

/// How many bytes are read at a time.
const PIECE: usize = 256 * 1024;
/// How many pieces are kept for the next reader.
const KEPT: usize = 16;

/// Memory that has been read into before: it neither has to be found anew nor grows with what readers leave behind.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    free: Mutex<Vec<Vec<u8>>>,
}

/// Bytes of a file in memory that goes back to where it came from.
struct Piece {
    bytes: Vec<u8>,
    home: Arc<Pieces>,
}

impl Pieces {
    fn free(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        // A list of buffers is whole whatever its holder did.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads exactly `length` bytes, a piece at most.
    fn read(self: &Arc<Self>, file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
        if length < PIECE {
            return fill(file, offset, Vec::with_capacity(length), length).map(Bytes::from);
        }
        let kept = self.free().pop();
        let buffer = kept.unwrap_or_else(|| Vec::with_capacity(length));
        let bytes = fill(file, offset, buffer, length)?;
        let home = Arc::clone(self);
        Ok(Bytes::from_owner(Piece { bytes, home }))
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut free = self.home.free();
        if free.len() < KEPT {
            let mut bytes = mem::take(&mut self.bytes);
            bytes.clear();
            free.push(bytes);
        }
    }
}

struct Reader {
    file: File,
    pieces: Arc<Pieces>,
}

/// Returns the bytes of `range`. A file that has become shorter ends the stream with an error, never early.
pub(super) fn stream(file: File, range: Range<u64>, pieces: &Arc<Pieces>) -> ByteStream {
    let reader = Arc::new(Reader {
        file,
        pieces: Arc::clone(pieces),
    });
    let ahead = reader.fetch(&range);
    Box::pin(stream::try_unfold(
        (reader, range, ahead),
        |(reader, mut range, ahead)| async move {
            let Some(task) = ahead else {
                return Ok(None);
            };
            let bytes = task.await.map_err(BodyError::from)??;
            range.start += u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
            let next = reader.fetch(&range);
            Ok(Some((bytes, (reader, range, next))))
        },
    ))
}

impl Reader {
    /// Begins to read the first piece of `range`, if there is any.
    fn fetch(self: &Arc<Self>, range: &Range<u64>) -> Option<JoinHandle<io::Result<Bytes>>> {
        let offset = range.start;
        let left = usize::try_from(range.end - offset).unwrap_or(usize::MAX);
        let length = left.min(PIECE);
        let reader = Arc::clone(self);
        let read = move || reader.pieces.read(&reader.file, offset, length);
        (length > 0).then(|| spawn_blocking(read))
    }
}

/// Reads exactly `length` bytes into an empty buffer, which is not filled with zeros first: that takes as long as a fifth of
/// the read.
fn fill(file: &File, mut offset: u64, mut buffer: Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    while buffer.len() < length {
        match rustix::io::pread(file, spare_capacity(&mut buffer), offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => offset += u64::try_from(read).expect("sizes fit in 64 bits"),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The allocator may have given more room than was asked for.
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use futures::TryStreamExt as _;
    use tempfile::tempfile;

    use super::*;

    #[tokio::test]
    async fn a_range_is_read_whole_and_a_file_that_became_shorter_is_an_error() {
        let size = 3 * PIECE + 5;
        let content: Vec<_> = (0..size)
            .map(|at| u8::try_from(at / 1000 % 256).unwrap())
            .collect();
        let mut file = tempfile().unwrap();
        file.write_all(&content).unwrap();
        let pieces = Arc::default();
        let end = u64::try_from(size).unwrap();
        for range in [0..end, 7..end, 7..262_144, 5..5, end - 1..end] {
            let read: Vec<Bytes> = stream(file.try_clone().unwrap(), range.clone(), &pieces)
                .try_collect()
                .await
                .unwrap();
            let wanted = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(read.concat() == content[wanted], "{range:?}");
        }
        let longer = stream(file, 0..end + 1, &pieces)
            .try_collect::<Vec<Bytes>>()
            .await;
        assert!(longer.is_err());
        let kept = pieces.free().len();
        assert!((1..=KEPT).contains(&kept), "{kept} pieces");
        assert!(pieces.free().iter().all(|piece| piece.capacity() >= PIECE));
    }
}
