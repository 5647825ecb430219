//! What is stored already, read and compared with what it should be.
//!
//! A backup takes what has its name and its size for what it should be, and so would keep damaged bytes for ever: each file is sent once. Where it is asked
//! to, it reads them, and sends again what is not as the manifest before has it, if the server's own file is. Where that is not so either, or nobody has noted what was
//! backed up, nothing is sent: damage of the server's disk replaces nothing that may be sound in the store.

use std::collections::{BTreeMap, BTreeSet};

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
            let compared: Vec<(&Slice, Verdict)> = futures::stream::iter(&plan.kept)
                .map(|slice| self.compare(slice, known.get(slice).copied().flatten(), taken))
                .buffer_unordered(AT_A_TIME)
                .try_collect()
                .await?;
            let (mut damaged, mut beyond_repair) = (BTreeSet::new(), BTreeSet::new());
            for (slice, verdict) in compared {
                let slice = slice.clone();
                match verdict {
                    Verdict::Sound(sum) => drop(known.insert(slice, Some(sum))),
                    Verdict::Damaged => drop(damaged.insert(slice)),
                    Verdict::BeyondRepair(sum) => {
                        known.insert(slice.clone(), Some(sum));
                        beyond_repair.insert(slice);
                    }
                }
            }
            plan.send_again(damaged, beyond_repair);
        }
        Ok((plan, known))
    }

    async fn compare<'s>(
        &self,
        slice: &'s Slice,
        known: Option<u64>,
        taken: &Taken,
    ) -> Result<(&'s Slice, Verdict), Error> {
        let object = key(&taken.found.version, slice);
        let read = self
            .place
            .bucket
            .sum_of(&object, slice.size, &self.lane, self.progress);
        let stored = match read.await {
            Ok(sum) => Some(sum),
            Err(error) if matches!(*error.cause, Cause::NoObject) => None,
            Err(error) => return Err(error.into()),
        };
        if let (Some(sum), true) = (stored, stored == known) {
            return Ok((slice, Verdict::Sound(sum)));
        }
        let (_, here) = self.sum(slice, taken).await?;
        Ok((slice, judge(known, stored, here)))
    }
}

/// What an object is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// With this checksum.
    Sound(u64),
    /// The server's own file is what it should be.
    Damaged,
    /// Neither that nor the object is what was backed up, or nobody knows which of both is. In the manifest stays, or comes, the checksum that the object does not have, so
    /// that every verification goes on finding it.
    BeyondRepair(u64),
}

/// By the checksums that were noted when it was backed up, of what is stored, if anything is, and of the server's own file.
fn judge(known: Option<u64>, stored: Option<u64>, here: u64) -> Verdict {
    match (known, stored) {
        (Some(known), Some(stored)) if known == stored => Verdict::Sound(known),
        (Some(known), _) if known == here => Verdict::Damaged,
        (Some(known), _) => Verdict::BeyondRepair(known),
        (None, Some(stored)) if stored == here => Verdict::Sound(stored),
        (None, Some(_)) => Verdict::BeyondRepair(here),
        (None, None) => Verdict::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_again_but_what_was_backed_up() {
        let (was, rot, other) = (1, 2, 3);
        for (known, stored, here, wanted) in [
            (Some(was), Some(was), was, Verdict::Sound(was)),
            (Some(was), Some(was), rot, Verdict::Sound(was)),
            (Some(was), Some(rot), was, Verdict::Damaged),
            (Some(was), None, was, Verdict::Damaged),
            (Some(was), Some(rot), other, Verdict::BeyondRepair(was)),
            (Some(was), Some(rot), rot, Verdict::BeyondRepair(was)),
            (Some(was), None, rot, Verdict::BeyondRepair(was)),
            (None, Some(was), was, Verdict::Sound(was)),
            (None, Some(was), rot, Verdict::BeyondRepair(rot)),
            (None, None, was, Verdict::Damaged),
        ] {
            let judged = judge(known, stored, here);
            assert_eq!(judged, wanted, "{known:?} {stored:?} {here}");
        }
    }
}
