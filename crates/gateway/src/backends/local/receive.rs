//! Content from the network to a file, in bounded memory.
//!
//! Writing happens on the blocking pool, which is held only while there is something to write, so that a slow client
//! holds none of it. While one batch is written the next ones are collected and hashed.

use tokio::task::{JoinHandle, spawn_blocking};

use crate::backend::Error;
use crate::backend::content::{Batch, Content, Received};

/// Takes the bytes of one object or part in order.
pub(super) trait Sink: Send + 'static {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

/// Writes `content` to `sink`, checks it, and calls `finish` on the blocking pool.
///
/// Until `finish` runs, an error or a dropped future only drops the sink.
pub(super) async fn receive<S: Sink, T: Send + 'static>(
    mut content: Content,
    sink: S,
    finish: impl FnOnce(S, Received) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let mut sink = Pending::Idle(sink);
    let mut last = Batch::new();
    while let Some(batch) = content.next().await? {
        let before = std::mem::replace(&mut last, batch);
        if !before.is_empty() {
            let mut ready = sink.wait().await?;
            sink = Pending::Busy(spawn_blocking(move || {
                write(&mut ready, &before)?;
                Ok(ready)
            }));
        }
    }
    let received = content.finish()?;
    let mut ready = sink.wait().await?;
    // The last batch needs no turn on the pool of its own.
    spawn_blocking(move || {
        write(&mut ready, &last)?;
        finish(ready, received)
    })
    .await
    .map_err(|source| Error::Worker { source })?
}

fn write(sink: &mut impl Sink, batch: &Batch) -> Result<(), Error> {
    batch.iter().try_for_each(|bytes| sink.write(bytes))
}

enum Pending<S> {
    Idle(S),
    Busy(JoinHandle<Result<S, Error>>),
}

impl<S> Pending<S> {
    async fn wait(self) -> Result<S, Error> {
        match self {
            Self::Idle(sink) => Ok(sink),
            Self::Busy(task) => task.await.map_err(|source| Error::Worker { source })?,
        }
    }
}
