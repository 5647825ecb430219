//! Bytes that lie in one blob become the whole of another, in one step and without passing through the gateway.
//!
//! Up to 256 MiB are copied by one call. Of more, the service copies ranges into blocks of the target, then one call makes
//! them its content. Blocks that are not yet committed belong to a name, and any other write of that name drops them: the
//! ranges are then copied again. Where the service cannot copy, the gateway reads and writes the ranges.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Method;
use tokio::sync::Mutex;

use super::Azure;
use super::blob::Label;
use super::call::Call;
use super::client::next_piece;
use super::failure::Failure;
use super::intake::size;
use super::name::Name;
use super::objects::{Guard, Landed, RACES, contended};
use super::stage::block_call;
use crate::backend::condition::WriteCondition;
use crate::backend::{Error, ObjectPath};

/// How many ranges are copied at a time.
const PARALLEL: usize = 8;
/// How often ranges are copied again because another write of the name dropped them.
const ATTEMPTS: usize = 5;
const ACTION: &str = "copying the object";

/// Whose bytes pass through the gateway: those of one range of a copy at a time.
type Turn = Mutex<()>;

/// The blob that has the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) bucket: &'a str,
    pub(super) name: &'a Name,
    /// Its etag of Azure's: if that has changed, nothing is copied.
    pub(super) tag: &'a str,
    /// How many bytes from its beginning are meant.
    pub(super) size: u64,
    /// Those are all it has, and what it says of its content is what the target shall say.
    pub(super) whole: bool,
}

impl Azure {
    /// Makes the bytes of `source` the object at `path` if the condition holds. `id` is the one in the label's record.
    /// Nothing if the source is not there any more as it was.
    pub(super) async fn publish(
        &self,
        source: &Source<'_>,
        path: &ObjectPath,
        name: &Name,
        label: &Label,
        id: &str,
        condition: &WriteCondition,
    ) -> Result<Option<Landed>, Error> {
        for _ in 0..RACES {
            let guard = self.guard(path, name, condition).await?;
            match self
                .transfer(source, path.bucket(), name, label, &guard)
                .await
            {
                Ok(landed) => return Ok(Some(landed)),
                Err(failure) if failure.is_source_unmet() || failure.is_missing() => {
                    return Ok(None);
                }
                Err(failure) if failure.is_unmet() => {
                    let before = self.lost_race(path, name, id, condition, failure);
                    if let Some(landed) = before.await? {
                        return Ok(Some(landed));
                    }
                }
                Err(failure) => return Err(failure.about(path)),
            }
        }
        Err(contended())
    }

    async fn transfer(
        &self,
        source: &Source<'_>,
        bucket: &str,
        name: &Name,
        label: &Label,
        guard: &Guard,
    ) -> Result<Landed, Failure> {
        if source.whole && source.size <= self.limits.copy {
            match self.copy_at_once(source, bucket, name, label, guard).await {
                Err(failure) if failure.is_beyond_service() => {}
                copied => return copied,
            }
        }
        self.copy_ranges_again(source, bucket, name, label, guard)
            .await
    }

    /// Copies range by range, from the beginning when another write of the name drops what was copied.
    pub(super) async fn copy_ranges_again(
        &self,
        source: &Source<'_>,
        bucket: &str,
        name: &Name,
        label: &Label,
        guard: &Guard,
    ) -> Result<Landed, Failure> {
        for _ in 1..ATTEMPTS {
            match self.copy_ranges(source, bucket, name, label, guard).await {
                Err(failure) if failure.is("InvalidBlockList") => {}
                copied => return copied,
            }
        }
        self.copy_ranges(source, bucket, name, label, guard).await
    }

    async fn copy_at_once(
        &self,
        source: &Source<'_>,
        bucket: &str,
        name: &Name,
        label: &Label,
        guard: &Guard,
    ) -> Result<Landed, Failure> {
        let call = Call::new(Method::PUT, ACTION)
            .blob(bucket, name)
            .header("x-ms-requires-sync", "true")
            .header("x-ms-source-if-match", source.tag)
            .headers(&label.metadata)
            .source(self.client.source(source.bucket, source.name).await?);
        let answer = self.client.send(&guard.on(call)).await?;
        Ok(Landed::of(&answer))
    }

    async fn copy_ranges(
        &self,
        source: &Source<'_>,
        bucket: &str,
        name: &Name,
        label: &Label,
        guard: &Guard,
    ) -> Result<Landed, Failure> {
        // As long as the ids of MinIO's gateway: what it left uncommitted would not go with others.
        let copy = self.sources.id();
        let step = self.limits.range;
        let turn = Turn::default();
        let turn = &turn;
        let ranges = (0..source.size.div_ceil(step)).map(|number| {
            let first = number * step;
            let last = (first + step).min(source.size) - 1;
            (block_id(&copy, number), first, last)
        });
        let ids: Vec<_> = stream::iter(ranges)
            .map(|(id, first, last)| async move {
                self.copy_range(source, bucket, name, &id, (first, last), turn)
                    .await?;
                Ok::<_, Failure>(id)
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let call = Call::new(Method::PUT, ACTION)
            .headers(&label.content)
            .headers(&label.metadata);
        self.commit(guard.on(call), bucket, name, &ids).await
    }

    /// Copies the bytes from `first` to `last`, both included, into a block.
    async fn copy_range(
        &self,
        source: &Source<'_>,
        bucket: &str,
        name: &Name,
        id: &str,
        (first, last): (u64, u64),
        turn: &Turn,
    ) -> Result<(), Failure> {
        let call = block_call(ACTION, bucket, name, id)
            .header("x-ms-source-range", format!("bytes={first}-{last}"))
            .header("x-ms-source-if-match", source.tag)
            .source(self.client.source(source.bucket, source.name).await?);
        match self.client.send(&call).await {
            Ok(_) => return Ok(()),
            Err(failure) if failure.is_beyond_service() => {}
            Err(failure) => return Err(failure),
        }
        let _turn = turn.lock().await;
        let read = Call::new(Method::GET, ACTION)
            .blob(source.bucket, source.name)
            .header("x-ms-range", format!("bytes={first}-{last}"))
            .header("if-match", source.tag);
        let mut answer = self.client.send(&read).await.map_err(Failure::of_source)?;
        let write = block_call(ACTION, bucket, name, id);
        let length = last - first + 1;
        self.client
            .stream(&write, length, |feeder| async move {
                let mut left = length;
                while left > 0 {
                    let piece = next_piece(ACTION, &mut answer)
                        .await
                        .map_err(|failure| failure.about_bucket(bucket))?
                        .ok_or(Error::IncompleteBody {
                            expected: length,
                            found: length - left,
                        })?;
                    left = left.saturating_sub(size(&piece));
                    feeder.give(piece).await?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }
}

/// `copy` is 26 letters.
fn block_id(copy: &str, number: u64) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("{copy}{number:010}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_one_length() {
        let copy = "01HF7YAT00TN1D0BB8GRFC5YYD";
        assert_eq!(block_id(copy, 0).len(), 48);
        assert_eq!(block_id(copy, 49_999).len(), 48);
    }
}
