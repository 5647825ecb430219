//! An open file to the network, one piece ahead of the reader.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::backend::content::{BodyError, ByteStream};

/// How many bytes are read at a time.
const PIECE: u64 = 256 * 1024;

/// Returns the bytes of `range`. A file that has become shorter ends the stream with an error, never early.
pub(super) fn stream(file: File, range: Range<u64>) -> ByteStream {
    let file = Arc::new(file);
    let ahead = fetch(&file, &range);
    Box::pin(stream::try_unfold(
        (file, range, ahead),
        |(file, mut range, ahead)| async move {
            let Some(task) = ahead else {
                return Ok(None);
            };
            let bytes = task.await.map_err(BodyError::from)??;
            range.start += u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
            let next = fetch(&file, &range);
            Ok(Some((bytes, (file, range, next))))
        },
    ))
}

fn fetch(file: &Arc<File>, range: &Range<u64>) -> Option<JoinHandle<io::Result<Bytes>>> {
    let offset = range.start;
    let length = (range.end - offset).min(PIECE);
    let length = usize::try_from(length).expect("a piece fits in memory");
    let file = Arc::clone(file);
    (length > 0).then(|| spawn_blocking(move || read(&file, offset, length).map(Bytes::from)))
}

/// Reads exactly `length` bytes.
fn read(file: &File, mut offset: u64, length: usize) -> io::Result<Vec<u8>> {
    // Not filled with zeros first: that takes as long as a fifth of the read.
    let mut buffer = Vec::with_capacity(length);
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
        let size = usize::try_from(3 * PIECE + 5).unwrap();
        let content: Vec<_> = (0..size)
            .map(|at| u8::try_from(at / 1000 % 256).unwrap())
            .collect();
        let mut file = tempfile().unwrap();
        file.write_all(&content).unwrap();
        let end = u64::try_from(size).unwrap();
        for range in [0..end, 7..end, 7..PIECE, 5..5, end - 1..end] {
            let read: Vec<Bytes> = stream(file.try_clone().unwrap(), range.clone())
                .try_collect()
                .await
                .unwrap();
            let wanted = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            assert!(read.concat() == content[wanted], "{range:?}");
        }
        let longer = stream(file, 0..end + 1).try_collect::<Vec<Bytes>>().await;
        assert!(longer.is_err());
    }
}
