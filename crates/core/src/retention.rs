//! Which backups may go.
//!
//! Expiry is the one place that makes data go away on a schedule, so it is pure: given the backups, a policy and the
//! time, it returns a verdict with a reason for each, or one explanation why nothing may be deleted at all. The caller
//! shows the verdicts or carries them out.
//!
//! These rules never break: the newest complete backup stays; what is not known to be a backup stays; nothing that is
//! within the retention goes; the order of the input means nothing.

mod reason;

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::age::Age;
pub use reason::{Decision, Expired, Halt, Kept};

/// How far ahead of the clock a backup may lie before the clock is suspected.
///
/// A name carries the time of a clock on a wall. In the hour that comes twice it is read as the later one, up to one hour
/// ahead; the second hour is for clocks that differ a little and changes that are larger.
pub const TOLERANCE: SignedDuration = SignedDuration::from_hours(2);

/// How long backups of one store are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub age: Age,
}

/// What expiry needs to know of something in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    /// When it was taken; `None` when its name is not that of a backup.
    pub taken: Option<Timestamp>,
    /// Whether it can be restored, as far as can be seen from outside. Only such a one can be the newest complete
    /// backup, which stays.
    pub complete: bool,
}

/// What is to happen to one candidate, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub name: String,
    pub taken: Option<Timestamp>,
    pub decision: Decision,
}

/// What to do when the clock is suspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Delete nothing and explain.
    Halt,
    /// A person has looked at it: go by the clock all the same.
    Override,
}

impl Policy {
    /// Returns one verdict for each candidate, the newest first, those without a time last.
    ///
    /// Halts as a whole, unless overridden, when a backup lies in the future or when not one of several complete backups
    /// is within the retention: both are what a clock that jumped looks like. A store that was simply not backed up for
    /// so long looks the same, and then its old backups are all it has.
    pub fn judge(
        &self,
        candidates: &[Candidate],
        now: &Zoned,
        guard: Guard,
    ) -> Result<Vec<Verdict>, Halt> {
        let cutoff = self.age.cutoff(now)?.timestamp();
        let mut newest_first: Vec<_> = candidates.iter().collect();
        newest_first.sort_by_key(|candidate| {
            (
                std::cmp::Reverse(candidate.taken),
                &candidate.name,
                candidate.complete,
            )
        });
        if guard == Guard::Halt {
            self.suspect(&newest_first, cutoff, now)?;
        }
        // One that claims to be from the future stays anyway, and is not trusted to stand in for the others.
        let newest_complete = newest_first.iter().position(|candidate| {
            candidate.complete && candidate.taken.is_some_and(|taken| taken <= latest(now))
        });
        let verdicts = newest_first.iter().enumerate().map(|(index, candidate)| {
            let decision = match candidate.taken {
                None => Decision::Keep(Kept::NotABackup),
                Some(taken) if taken > latest(now) => Decision::Keep(Kept::InTheFuture),
                Some(taken) if taken >= cutoff => Decision::Keep(Kept::Within(self.age.clone())),
                Some(_) if newest_complete == Some(index) => Decision::Keep(Kept::NewestComplete),
                Some(_) if newest_complete.is_none() => Decision::Keep(Kept::NothingComplete),
                Some(_) if candidate.complete => Decision::Expire(Expired::Past(self.age.clone())),
                Some(_) => Decision::Expire(Expired::IncompletePast(self.age.clone())),
            };
            Verdict {
                name: candidate.name.clone(),
                taken: candidate.taken,
                decision,
            }
        });
        Ok(verdicts.collect())
    }

    /// Looks for the signs of a clock that jumped.
    fn suspect(
        &self,
        newest_first: &[&Candidate],
        cutoff: Timestamp,
        now: &Zoned,
    ) -> Result<(), Halt> {
        let dated = |candidate: &&&Candidate| candidate.taken.is_some();
        if let Some(newest) = newest_first.iter().find(dated)
            && let Some(taken) = newest.taken.filter(|taken| *taken > latest(now))
        {
            return Err(Halt::InTheFuture {
                name: newest.name.clone(),
                taken,
                now: now.clone(),
            });
        }
        let mut complete = newest_first
            .iter()
            .filter(dated)
            .filter(|candidate| candidate.complete);
        let count = complete.clone().count();
        if let Some(newest) = complete.next()
            && let Some(taken) = newest.taken.filter(|taken| *taken < cutoff)
            && count > 1
        {
            return Err(Halt::NoneWithin {
                count,
                name: newest.name.clone(),
                taken,
                age: Box::new(self.age.clone()),
                now: now.clone(),
            });
        }
        Ok(())
    }
}

/// The latest moment at which a backup can honestly have been taken.
fn latest(now: &Zoned) -> Timestamp {
    now.timestamp()
        .checked_add(TOLERANCE)
        .unwrap_or(Timestamp::MAX)
}
