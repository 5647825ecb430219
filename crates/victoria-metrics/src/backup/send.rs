//! What goes over the network in a backup.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::progress::Progress;
use lifeboat_storage::Condition;

use super::compare::Sums;
use super::{Run, Taken};
use crate::error::Error;
use crate::layout::Slice;
use crate::plan::Plan;
use crate::store::key;

/// Files of at most so many bytes have a lane of their own: most files of a server have less than a KiB, and a few have nearly all bytes.
const SMALL: u64 = 256 * 1024;
/// Large files that are open at a time; their pieces share a lane.
const LARGE_FILES: usize = 8;
const SMALL_FILES: usize = 64;

impl Run<'_, '_> {
    /// Sends what the plan says, and returns the checksums of all files: of what is there already those that are known, or by reading.
    pub(super) async fn send_files(
        &self,
        version: &str,
        plan: &Plan,
        taken: &Taken,
        known: &Sums,
    ) -> Result<BTreeMap<String, Vec<u64>>, Error> {
        let mut sums: BTreeMap<Slice, u64> = BTreeMap::new();
        let mut unknown = Vec::new();
        for slice in &plan.kept {
            match known.get(slice) {
                Some(Some(sum)) => {
                    sums.insert(slice.clone(), *sum);
                }
                _ => unknown.push(slice.clone()),
            }
        }
        let (small, large): (Vec<&Slice>, Vec<&Slice>) =
            plan.uploads.iter().partition(|slice| slice.size <= SMALL);
        let beside = self.lane.beside(SMALL_FILES);
        let large = futures::stream::iter(large)
            .map(|slice| self.send(version, slice, taken, &self.lane))
            .buffer_unordered(LARGE_FILES)
            .try_collect::<Vec<_>>();
        let small = futures::stream::iter(small)
            .map(|slice| self.send(version, slice, taken, &beside))
            .buffer_unordered(SMALL_FILES)
            .try_collect::<Vec<_>>();
        let read = futures::stream::iter(&unknown)
            .map(|slice| self.sum(slice, taken))
            .buffer_unordered(2)
            .try_collect::<Vec<_>>();
        let (large, small, read) = tokio::try_join!(large, small, read)?;
        sums.extend(large.into_iter().chain(small).chain(read));
        let mut by_path: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        // Slices of one path are in order.
        for (slice, sum) in sums {
            by_path.entry(slice.path).or_default().push(sum);
        }
        Ok(by_path)
    }

    async fn send(
        &self,
        version: &str,
        slice: &Slice,
        taken: &Taken,
        lane: &lifeboat_storage::transfer::Lane,
    ) -> Result<(Slice, u64), Error> {
        let path = taken.snapshot.path(&slice.path);
        let failed = |source| Error::File {
            doing: "read",
            path: path.clone(),
            source,
        };
        let file = Arc::new(open(&path).await.map_err(failed)?);
        let range = slice.offset..slice.offset + slice.size;
        let sent = self
            .place
            .bucket
            .send(&key(version, slice), &file, range, lane, self.progress)
            .await;
        let sum = sent.map_err(Error::transfer(path.clone(), "read"))?;
        Ok((slice.clone(), sum))
    }

    /// The checksum of what is in the bucket already, from the file here. What has the same name has the same bytes, unless one of both is damaged; which of them
    /// it is a deep verification finds.
    pub(super) async fn sum(&self, slice: &Slice, taken: &Taken) -> Result<(Slice, u64), Error> {
        let path = taken.snapshot.path(&slice.path);
        let slice = slice.clone();
        blocking(move || {
            use std::io::{Seek, SeekFrom};
            let failed = |source| Error::File {
                doing: "read",
                path: path.clone(),
                source,
            };
            let mut file = File::open(&path).map_err(failed)?;
            file.seek(SeekFrom::Start(slice.offset)).map_err(failed)?;
            let sum = crate::sum::of_next(&mut file, slice.size).map_err(failed)?;
            Ok((slice, sum))
        })
        .await
    }

    /// Sends files whose contents are in memory.
    pub(super) async fn send_held(
        &self,
        version: &str,
        slices: &[Slice],
        content: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let sent = slices.iter().filter_map(|slice| {
            let bytes = content(&slice.path)?;
            Some(async move {
                let size = bytes.len() as u64;
                self.place
                    .bucket
                    .store(&key(version, slice), bytes, Condition::None)
                    .await?;
                self.progress.add(1, size);
                Ok::<_, Error>(())
            })
        });
        futures::stream::iter(sent)
            .buffer_unordered(SMALL_FILES)
            .try_collect()
            .await
    }

    pub(super) async fn delete(&self, version: &str, slices: &[Slice]) -> Result<(), Error> {
        if slices.is_empty() {
            return Ok(());
        }
        let keys = slices.iter().map(|slice| key(version, slice)).collect();
        Ok(self.place.bucket.delete_many(keys).await?)
    }
}

async fn open(path: &std::path::Path) -> std::io::Result<File> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || File::open(path))
        .await
        .map_err(std::io::Error::other)?
}

/// Runs what waits for the disk on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::File {
            doing: "work on",
            path: "the data".into(),
            source: std::io::Error::other(error),
        }),
    }
}

/// Returns once `progress` asks to stop.
pub(crate) async fn stopped(progress: &Progress) -> Error {
    while !progress.is_stopped() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Error::Stopped
}
