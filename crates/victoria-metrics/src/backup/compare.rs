//! What is stored already, read and compared with what it should be.
//!
//! A backup takes what has its name and its size for what it should be, and so would keep damaged bytes for ever: each file is sent once. Where it is asked
//! to, it reads them, and sends again what is not as the manifest before has it. The server's own file is asked only then: damage of its disk replaces
//! nothing that is sound in the store.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use lifeboat_storage::error::Cause;

use super::{Kept, Run, Taken};
use crate::error::Error;
use crate::layout::Slice;
use crate::plan::Plan;
use crate::store::key;

/// Objects that are read at a time.
const AT_A_TIME: usize = 32;

/// The checksums that objects of the backup before should have; none of those that nobody has read yet.
pub(super) type Sums = BTreeMap<Slice, Option<u64>>;

impl Run<'_, '_> {
    /// Makes the plan, and returns with it the checksums that are known of what is stored. Reads, and stores nothing.
    pub(super) async fn plan(&self, taken: &Taken) -> Result<(Plan, Sums), Error> {
        let mut plan = Plan::make(&taken.snapshot, &taken.found.stored);
        let before = taken.before.iter();
        let mut known: Sums = before.flat_map(crate::manifest::Manifest::slices).collect();
        if self.options.kept == Kept::Compared {
            let size = plan.kept.iter().map(|slice| slice.size).sum();
            self.progress.expect(plan.kept.len() as u64, size);
            let compared: Vec<(&Slice, Option<u64>)> = futures::stream::iter(&plan.kept)
                .map(|slice| self.compare(slice, known.get(slice).copied().flatten(), taken))
                .buffer_unordered(AT_A_TIME)
                .try_collect()
                .await?;
            let damaged = compared.iter().filter(|(_, sum)| sum.is_none());
            let damaged = damaged.map(|(slice, _)| (*slice).clone()).collect();
            for (slice, sum) in compared {
                known.insert(slice.clone(), sum);
            }
            plan.send_again(damaged);
        }
        Ok((plan, known))
    }

    /// Returns the checksum of what is stored, none where it is to be sent again: it cannot be read, or has neither the bytes of the backup before nor those of the
    /// snapshot.
    async fn compare<'s>(
        &self,
        slice: &'s Slice,
        known: Option<u64>,
        taken: &Taken,
    ) -> Result<(&'s Slice, Option<u64>), Error> {
        let object = key(&taken.found.version, slice);
        let read = self
            .place
            .bucket
            .sum_of(&object, slice.size, &self.lane, self.progress);
        let stored = match read.await {
            Ok(sum) => sum,
            Err(error) if matches!(*error.cause, Cause::NoObject | Cause::Server(_)) => {
                tracing::warn!(%error, "what cannot be read is sent again");
                return Ok((slice, None));
            }
            Err(error) => return Err(error.into()),
        };
        if known == Some(stored) {
            return Ok((slice, known));
        }
        let (_, here) = self.sum(slice, taken).await?;
        Ok((slice, (here == stored).then_some(stored)))
    }
}
