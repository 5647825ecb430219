//! Content from the network to a file, in bounded memory.
//!
//! Writing happens on the blocking pool, which is held only while there is something to write, so that a slow client
//! holds none of it. While one batch is written the next ones are collected and hashed. Small content takes one turn on
//! the pool for everything, from the empty file to the durable object.

use tokio::task::{JoinHandle, spawn_blocking};

use crate::backend::Error;
use crate::backend::content::{Batch, Content, Gathered, Received};

/// Takes the bytes of one object or part in order.
pub(super) trait Sink: Send + 'static {
    fn write(&mut self, batch: &Batch) -> Result<(), Error>;
}

/// Writes `content` to the sink that `begin` makes, checks it, and calls `finish`. All of that may block.
///
/// Until `finish` runs, an error or a dropped future only drops the sink.
pub(super) async fn receive<S: Sink, T: Send + 'static>(
    content: Content,
    begin: impl FnOnce() -> Result<S, Error> + Send + 'static,
    finish: impl FnOnce(S, Received) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match content.tagged_as_wished().gather().await? {
        Gathered::Small(small) => {
            let whole = spawn_blocking(move || {
                let (batch, received) = small.check()?;
                let mut sink = begin()?;
                sink.write(&batch)?;
                finish(sink, received)
            });
            whole.await.map_err(|source| Error::Worker { source })?
        }
        Gathered::Large(content) => stream(content, spawn_blocking(begin), finish).await,
    }
}

async fn stream<S: Sink, T: Send + 'static>(
    mut content: Content,
    begun: JoinHandle<Result<S, Error>>,
    finish: impl FnOnce(S, Received) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // Waited for before anything is read, so that a client who is refused need not send its content.
    let mut sink = Pending::Idle(Pending::Busy(begun).wait().await?);
    let mut last = Batch::new();
    while let Some(batch) = content.next().await? {
        let before = std::mem::replace(&mut last, batch);
        if !before.is_empty() {
            let mut ready = sink.wait().await?;
            sink = Pending::Busy(spawn_blocking(move || {
                ready.write(&before)?;
                Ok(ready)
            }));
        }
    }
    let received = content.finish()?;
    let mut ready = sink.wait().await?;
    // The last batch needs no turn on the pool of its own.
    let end = spawn_blocking(move || {
        ready.write(&last)?;
        finish(ready, received)
    });
    end.await.map_err(|source| Error::Worker { source })?
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
