//! An open file to the network, one piece ahead of the reader.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
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
    (length > 0).then(|| {
        spawn_blocking(move || {
            let mut buffer = vec![0; length];
            file.read_exact_at(&mut buffer, offset)?;
            Ok(Bytes::from(buffer))
        })
    })
}
