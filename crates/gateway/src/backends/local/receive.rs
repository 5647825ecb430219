//! Content from the network to a file, in bounded memory.
//!
//! Writing happens on the blocking pool, which is held only while there is something to write, so that a slow client
//! holds none of it. While one batch is written the next ones are collected and hashed. Small content takes one turn on
//! the pool for everything, from the empty file to the durable object.

use std::fs::File;
use std::io::{self, IoSlice};

use rustix::fs::Advice;
use tokio::task::{JoinHandle, spawn_blocking};

use super::crc;
use crate::backend::Error;
use crate::backend::content::{Batch, Content, Gathered, Received};

/// How much is written before the disk is told to begin with it, in bytes.
const AHEAD: u64 = 8 * 1024 * 1024;
/// The most slices that one call of the system takes.
const SLICES: usize = 1024;

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
    match content.gather().await? {
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

/// Where the next bytes of a file go, and the checksum of those that went before.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// In bytes from the beginning of the file.
    pub(super) next: u64,
    /// What the disk has been told to begin with ends here.
    begun: u64,
    crc: crc::Running,
}

impl Position {
    pub(super) fn new(next: u64) -> Self {
        Self {
            next,
            begun: next,
            crc: crc::Running::default(),
        }
    }

    /// Writes a batch at this position.
    pub(super) fn write(&mut self, file: &File, batch: &Batch) -> io::Result<()> {
        for bytes in batch {
            self.crc.update(bytes);
        }
        let mut slices: Vec<_> = batch.iter().map(|bytes| IoSlice::new(bytes)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let now = &rest[..rest.len().min(SLICES)];
            let written = match rustix::io::pwritev(file, now, self.next) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(rustix::io::Errno::INTR) => continue,
                written => written?,
            };
            IoSlice::advance_slices(&mut rest, written);
            self.next += u64::try_from(written).expect("sizes fit in 64 bits");
        }
        if self.next - self.begun >= AHEAD {
            self.begin_storing(file);
        }
        Ok(())
    }

    /// Has the disk begin with what was written, so that little is left to wait for at the end and little of the memory
    /// that the gateway is given is taken by pages that wait to be written.
    fn begin_storing(&mut self, file: &File) {
        let length = std::num::NonZero::new(self.next - self.begun);
        // On Linux this begins the writing of changed pages, without waiting for it, and gives up those already written.
        if let Err(error) = rustix::fs::fadvise(file, self.begun, length, Advice::DontNeed) {
            tracing::debug!(%error, "cannot have the disk begin early");
        }
        self.begun = self.next;
    }

    pub(super) fn crc(self) -> crc::Crc {
        self.crc.finish()
    }
}
