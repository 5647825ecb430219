//! Writes one object of unknown length.
//!
//! What fits into one part goes as one `PutObject`; more goes as a multipart upload. The object appears with the last call and not before. On any
//! failure the upload is aborted; what a killed process leaves is removed by [`leftovers`](crate::leftovers).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lifeboat_core::progress::Progress;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::error::Cause;
use crate::pipe::Source;

const FIRST_PART: usize = 8 * 1024 * 1024;
/// Parts sent at the same time.
const IN_FLIGHT: usize = 3;

/// Bytes of the part with this number (from 0): 8 MiB, so that little memory is needed and a server that keeps parts
/// of one size in place need not join them; beyond 67 GB eight times as much, so that 10,000 parts hold 200 GB.
fn part_size(number: usize) -> usize {
    if number < 8_000 {
        FIRST_PART
    } else {
        8 * FIRST_PART
    }
}

/// Writes everything that `source` delivers and returns how many bytes that were. Refuses to replace an object
/// where the server can tell (one part), and leaves it to the caller's check before where it cannot.
pub(crate) async fn run(
    store: &dyn ObjectStore,
    path: &Path,
    mut source: Source,
    progress: &Progress,
) -> Result<u64, Cause> {
    let mut buffer = BytesMut::new();
    let mut chunk;
    loop {
        chunk = source.next().await.map_err(|_| Cause::CutShort)?;
        match &chunk {
            Some(bytes) if buffer.len() + bytes.len() <= part_size(0) => {
                buffer.extend_from_slice(bytes);
            }
            _ => break,
        }
    }
    let Some(first_beyond) = chunk else {
        return put_whole(store, path, buffer.freeze(), progress).await;
    };
    let upload = store
        .put_multipart(path)
        .await
        .map_err(|error| Cause::of(&error))?;
    let mut parts = Parts::new(upload, progress);
    match parts.send_all(buffer, first_beyond, &mut source).await {
        Ok(()) => parts.complete().await,
        Err(cause) => {
            parts.abort().await;
            Err(cause)
        }
    }
}

async fn put_whole(
    store: &dyn ObjectStore,
    path: &Path,
    bytes: Bytes,
    progress: &Progress,
) -> Result<u64, Cause> {
    let size = bytes.len() as u64;
    let options = PutOptions::from(PutMode::Create);
    let payload = PutPayload::from_bytes(bytes.clone());
    if let Err(error) = store.put_opts(path, payload, options).await {
        // An answer that got lost is asked for again, and then what was written by ourselves is in the way.
        let cause = Cause::of(&error);
        if !matches!(cause, Cause::Exists) || read_back(store, path).await? != bytes {
            return Err(cause);
        }
    }
    progress.add(0, size);
    Ok(size)
}

async fn read_back(store: &dyn ObjectStore, path: &Path) -> Result<Bytes, Cause> {
    let found = store.get(path).await.map_err(|error| Cause::of(&error))?;
    found.bytes().await.map_err(|error| Cause::of(&error))
}

struct Parts<'a> {
    upload: Box<dyn MultipartUpload>,
    running: FuturesUnordered<futures::future::BoxFuture<'static, object_store::Result<u64>>>,
    number: usize,
    size: u64,
    progress: &'a Progress,
}

impl<'a> Parts<'a> {
    fn new(upload: Box<dyn MultipartUpload>, progress: &'a Progress) -> Self {
        Self {
            upload,
            running: FuturesUnordered::new(),
            number: 0,
            size: 0,
            progress,
        }
    }

    async fn send_all(
        &mut self,
        mut buffer: BytesMut,
        first_beyond: Bytes,
        source: &mut Source,
    ) -> Result<(), Cause> {
        buffer.extend_from_slice(&first_beyond);
        loop {
            while buffer.len() >= part_size(self.number) {
                let part = buffer.split_to(part_size(self.number));
                self.send(part.freeze()).await?;
            }
            match source.next().await {
                Ok(Some(bytes)) => buffer.extend_from_slice(&bytes),
                Ok(None) => break,
                Err(_) => return Err(Cause::CutShort),
            }
        }
        if !buffer.is_empty() {
            self.send(buffer.freeze()).await?;
        }
        while let Some(done) = self.running.next().await {
            self.count(done)?;
        }
        Ok(())
    }

    async fn send(&mut self, part: Bytes) -> Result<(), Cause> {
        while self.running.len() >= IN_FLIGHT {
            if let Some(done) = self.running.next().await {
                self.count(done)?;
            }
        }
        let size = part.len() as u64;
        let sent = self.upload.put_part(PutPayload::from_bytes(part));
        self.running
            .push(Box::pin(async move { sent.await.map(|()| size) }));
        self.number += 1;
        Ok(())
    }

    fn count(&mut self, done: object_store::Result<u64>) -> Result<(), Cause> {
        let size = done.map_err(|error| Cause::of(&error))?;
        self.size += size;
        self.progress.add(0, size);
        Ok(())
    }

    async fn complete(mut self) -> Result<u64, Cause> {
        match self.upload.complete().await {
            Ok(_) => Ok(self.size),
            Err(error) => {
                self.abort().await;
                Err(Cause::of(&error))
            }
        }
    }

    /// Ends the upload. Where even that fails, the leftover is removed by a later run.
    async fn abort(mut self) {
        self.running.clear();
        if let Err(error) = self.upload.abort().await {
            tracing::warn!(%error, "an upload could not be aborted, a later run removes it");
        }
    }
}

/// Checks that what is stored is as long as what was sent.
pub(crate) async fn confirm(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    sent: u64,
) -> Result<(), Cause> {
    let found = store
        .head(path)
        .await
        .map_err(|error| Cause::of(&error))?
        .size;
    if found == sent {
        Ok(())
    } else {
        Err(Cause::WrongSize {
            expected: sent,
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_two_hundred_gigabytes_in_bounded_memory() {
        let all: u64 = (0..10_000).map(|number| part_size(number) as u64).sum();
        assert!(all > 200_000_000_000);
        assert_eq!((0..10_000).map(part_size).max(), Some(64 << 20));
    }
}
