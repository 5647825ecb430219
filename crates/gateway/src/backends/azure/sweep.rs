//! What was begun and never ended: uploads in which nothing happens, and bytes that lay aside when a gateway was killed.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use super::Azure;
use super::block;
use super::container;
use super::name::{HOME, Name};
use super::upload::{WRITES, blob_name};
use crate::backend::{Error, ObjectPath};

/// How many uploads are swept at a time.
const PARALLEL: usize = 8;

impl Azure {
    /// Aborts what nothing has happened in for `age`, in all buckets, and returns how many uploads those were.
    pub(super) async fn sweep(&self, age: Duration) -> Result<usize, Error> {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let before = self.sources.now().saturating_sub(age);
        let before = before.unwrap_or(Timestamp::MIN);
        let mut swept = 0;
        for bucket in container::list(&self.client).await? {
            match self.sweep_bucket(&bucket.name, before).await {
                Ok(count) => swept += count,
                // One that may not be read, or went away meanwhile, does not keep the others.
                Err(error) => tracing::debug!(%error, bucket = bucket.name, "not swept"),
            }
        }
        Ok(swept)
    }

    async fn sweep_bucket(&self, bucket: &str, before: Timestamp) -> Result<usize, Error> {
        let mut old = Vec::new();
        for info in self.live_uploads(bucket, "").await? {
            if info.initiated < before
                && let Ok(path) = ObjectPath::new(bucket, &info.key)
            {
                old.push((blob_name(&path, &info.id), info.id));
            }
        }
        let swept = stream::iter(old)
            .map(|(name, id)| async move {
                let blocks = self.blocks(bucket, &name).await?;
                if block::last_sent(&blocks).is_some_and(|sent| sent >= before) {
                    return Ok(false);
                }
                self.discard(bucket, &name, &id).await.map(|()| true)
            })
            .buffer_unordered(PARALLEL)
            .filter(|swept| std::future::ready(matches!(swept, Ok::<_, Error>(true))))
            .count()
            .await;
        for item in self.hidden(bucket, WRITES).await? {
            let left = item.blob.is_some_and(|blob| blob.modified < before);
            if let Some(rest) = item.name.strip_prefix(HOME)
                && left
            {
                self.remove_aside(bucket, &Name::hidden(rest)).await;
            }
        }
        Ok(swept)
    }
}
