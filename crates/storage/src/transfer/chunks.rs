//! Chunks on their way into a file: each is written while the next one is filled.

use std::io;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};

use super::Crc64;
use super::buffers::Buffer;
use super::output::Output;

pub(super) struct Chunks {
    output: Arc<Output>,
    at: u64,
    /// Of what is written, and how much that is.
    sum: Crc64,
    written: u64,
    writing: Option<JoinHandle<io::Result<(Crc64, u64)>>>,
}

impl Chunks {
    /// They go into the file from `at` on.
    pub(super) fn new(output: Arc<Output>, at: u64) -> Self {
        Self {
            output,
            at,
            sum: Crc64::default(),
            written: 0,
            writing: None,
        }
    }

    /// Begins to write a chunk, once the one before is written.
    pub(super) async fn write(&mut self, chunk: Buffer) -> io::Result<()> {
        self.settle().await?;
        let (output, at, mut sum) = (Arc::clone(&self.output), self.at + self.written, self.sum);
        self.writing = Some(spawn_blocking(move || {
            let bytes = chunk.as_ref();
            output.write(bytes, at)?;
            sum.update(bytes);
            Ok((sum, bytes.len() as u64))
        }));
        Ok(())
    }

    /// Returns checksum and number of all bytes, once they are written.
    pub(super) async fn finish(mut self) -> io::Result<(u64, u64)> {
        self.settle().await?;
        Ok((self.sum.value(), self.written))
    }

    async fn settle(&mut self) -> io::Result<()> {
        if let Some(writing) = self.writing.take() {
            let (sum, length) = writing.await.map_err(io::Error::other)??;
            self.sum = sum;
            self.written += length;
        }
        Ok(())
    }
}
