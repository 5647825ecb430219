//! Content from the network to a file, in bounded memory.
//!
//! The network's threads only collect; writing and hashing happen on the blocking pool, which is held only while there is
//! something to write, so that a slow client holds none of it. While one batch is written the next is collected.

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::backend::digest::{Digests, Hasher};
use crate::backend::{Content, Error};

/// How many bytes are collected before they are written.
const BATCH: usize = 512 * 1024;

/// Takes the bytes of one object or part in order.
pub(super) trait Sink: Send + 'static {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

/// Content that has arrived whole and is what it was promised to be.
pub(super) struct Received {
    /// In bytes.
    pub(super) size: u64,
    pub(super) digests: Digests,
}

struct Writer<S> {
    sink: S,
    hasher: Hasher,
    size: u64,
}

impl<S: Sink> Writer<S> {
    fn write(mut self, batch: Vec<Bytes>) -> Result<Self, Error> {
        for bytes in batch {
            self.hasher.update(&bytes);
            self.sink.write(&bytes)?;
            self.size += u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
        }
        Ok(self)
    }
}

/// Writes `content` to `sink`, checks it, and calls `finish` on the blocking pool.
///
/// Until `finish` runs, an error or a dropped future only drops the sink.
pub(super) async fn receive<S: Sink, T: Send + 'static>(
    content: Content,
    sink: S,
    finish: impl FnOnce(S, Received) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let Content {
        mut stream,
        length,
        expected,
    } = content;
    let hasher = Hasher::new(expected.algorithm());
    let mut writer = Pending::Idle(Box::new(Writer {
        sink,
        hasher,
        size: 0,
    }));
    let mut batch = Vec::new();
    let mut collected = 0;
    let mut total = 0_u64;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|source| Error::Body { source })?;
        collected += bytes.len();
        total += u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
        if let Some(expected) = length
            && total > expected
        {
            return Err(Error::IncompleteBody {
                expected,
                found: total,
            });
        }
        batch.push(bytes);
        if collected >= BATCH {
            let ready = writer.wait().await?;
            let full = std::mem::take(&mut batch);
            collected = 0;
            writer = Pending::Busy(spawn_blocking(move || ready.write(full)));
        }
    }
    if let Some(expected) = length
        && total < expected
    {
        return Err(Error::IncompleteBody {
            expected,
            found: total,
        });
    }
    let ready = writer.wait().await?;
    spawn_blocking(move || {
        let Writer { sink, hasher, size } = ready.write(batch)?;
        let digests = hasher.finish();
        expected.check(&digests)?;
        finish(sink, Received { size, digests })
    })
    .await
    .map_err(|source| Error::Worker { source })?
}

enum Pending<S> {
    Idle(Box<Writer<S>>),
    Busy(JoinHandle<Result<Writer<S>, Error>>),
}

impl<S> Pending<S> {
    async fn wait(self) -> Result<Writer<S>, Error> {
        match self {
            Self::Idle(writer) => Ok(*writer),
            Self::Busy(task) => task.await.map_err(|source| Error::Worker { source })?,
        }
    }
}
