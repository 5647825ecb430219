//! Which dated copies are kept, and how the others go.
//!
//! The rule is that of the platform's current chart: the newest copies, and beyond them the newest of each of the last weeks. Weeks are counted
//! in whole sevens of days since 1970. What is no copy with a time in its name is never touched, nor is what was backed up by a label, as before there were
//! copies: its name is of the same form, and it is the only one of its data.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lifeboat_core::backup::{Backup, State};
use lifeboat_core::progress::Progress;
use tokio::sync::Mutex;

use crate::backup::stopped;
use crate::catalog;
use crate::error::Error;
use crate::layout::{LOCKED, MANIFEST, MARK};
use crate::lease::{self, Card, Lease};
use crate::reader::{Reader, readers};
use crate::store::{Found, LATEST, Place};

/// How many are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub last_daily: u64,
    pub last_weekly: u64,
}

/// What becomes of one copy, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// One of the newest.
    Daily,
    /// The newest of its week.
    Weekly,
    /// Held by a mark of vmbackupmanager.
    Locked,
    /// Not a copy with a time in its name.
    NoCopy,
    /// A version by the label that the server kept, of before there were copies: no other one has its data.
    Labelled,
    /// The newest that is complete.
    Newest,
    Expire,
}

/// A version, as far as the rule looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub version: String,
    pub label: String,
    pub complete: bool,
    pub locked: bool,
    /// The server kept its label: it is a version of its own, and no copy.
    pub labelled: bool,
}

impl Copy {
    fn new(backup: Backup, found: &Found) -> Self {
        Self {
            complete: backup.state == State::Completed,
            label: backup
                .name
                .rsplit('-')
                .next()
                .unwrap_or_default()
                .to_owned(),
            version: backup.name,
            locked: found.stored.special.contains_key(LOCKED),
            labelled: found.labelled.is_some(),
        }
    }

    /// Days since 1970; none of what is no dated copy.
    fn day(&self) -> Option<i64> {
        (!self.labelled).then(|| day(&self.label)).flatten()
    }
}

/// Returns all versions, the oldest label first.
pub async fn copies(place: Place<'_>) -> Result<Vec<Copy>, Error> {
    catalog::list_as(place, Copy::new).await
}

impl Policy {
    /// Returns one verdict for each, in the order given.
    pub fn judge(&self, copies: &[Copy]) -> Vec<Verdict> {
        let mut newest_first: Vec<usize> = (0..copies.len())
            .filter(|at| copies[*at].complete && copies[*at].day().is_some())
            .collect();
        newest_first.sort_by(|a, b| copies[*b].label.cmp(&copies[*a].label));
        let mut verdicts: Vec<Verdict> = copies
            .iter()
            .map(|copy| {
                if copy.locked {
                    Verdict::Locked
                } else if copy.labelled {
                    Verdict::Labelled
                } else if copy.day().is_none() {
                    Verdict::NoCopy
                } else {
                    Verdict::Expire
                }
            })
            .collect();
        let mut weeks = BTreeSet::new();
        for (place, at) in newest_first.iter().enumerate() {
            let week = copies[*at].day().unwrap_or(0).div_euclid(7);
            let verdict = if (place as u64) < self.last_daily {
                Verdict::Daily
            } else if !weeks.contains(&week) && (weeks.len() as u64) < self.last_weekly {
                Verdict::Weekly
            } else if place == 0 {
                Verdict::Newest
            } else {
                continue;
            };
            if verdict == Verdict::Weekly {
                weeks.insert(week);
            }
            if verdicts[*at] == Verdict::Expire {
                verdicts[*at] = verdict;
            }
        }
        // What is not complete and newer than all that is may still be under way.
        let newest = newest_first.first().map(|at| copies[*at].label.clone());
        for (verdict, copy) in verdicts.iter_mut().zip(copies) {
            let is_newer = newest.as_ref().is_none_or(|newest| copy.label > *newest);
            if *verdict == Verdict::Expire && !copy.complete && is_newer {
                *verdict = Verdict::Newest;
            }
        }
        verdicts
    }
}

/// Days since 1970 of a label.
fn day(label: &str) -> Option<i64> {
    if label == LATEST {
        return None;
    }
    let time = DateTime::strptime("%Y%m%d%H%M%S", label).ok()?;
    let at: Timestamp = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(at.as_second().div_euclid(86_400))
}

/// Why a version stays that was to go.
#[derive(Debug)]
pub enum Stays {
    Read(Reader),
    /// Somebody has locked it since it was judged.
    Locked,
    /// It is not what was judged: a copy that was half is complete by now, or the other way round.
    Changed,
}

/// Deletes versions, one after the other, while nobody else writes. They were judged before, by whoever may have been asked about it for long: what has changed
/// since stays, and so does what somebody restores from. Those are returned with why. The uploads of a killed run are ended; what it left on the server is left to the next backup.
pub async fn run(
    place: Place<'_>,
    copies: &[&Copy],
    card: Card,
    clock: &(dyn Fn() -> Timestamp + Sync),
    progress: &Progress,
) -> Result<Vec<(String, Stays)>, Error> {
    let since = card.since;
    let (lease, _) = Lease::take(place.bucket, place.lease_key(), card, since).await?;
    let lease = Mutex::new(lease);
    progress.expect(copies.len() as u64, 0);
    let work = async {
        // Once this lease is given back nobody knows of those that a killed run had begun.
        if let Err(error) = lease::end_uploads(&lease, clock()).await {
            tracing::info!(%error, "unfinished uploads were not ended; the gateway does it in a week");
        }
        let mut kept = Vec::new();
        for copy in copies {
            match stays(place, copy, clock()).await? {
                Some(why) => kept.push((copy.version.clone(), why)),
                None => delete(place, &copy.version).await?,
            }
            progress.add(1, 0);
        }
        Ok(kept)
    };
    let done = tokio::select! {
        done = work => done,
        lost = lease::keep(&lease, clock) => Err(lost),
        stopped = stopped(progress) => Err(stopped),
    };
    lease.into_inner().release(clock()).await;
    done
}

/// Looks at a version again that was judged before the lease was ours.
async fn stays(place: Place<'_>, judged: &Copy, now: Timestamp) -> Result<Option<Stays>, Error> {
    match catalog::look_as(place, &judged.version, Copy::new).await? {
        Some(found) if found.locked => return Ok(Some(Stays::Locked)),
        Some(found) if found != *judged => return Ok(Some(Stays::Changed)),
        _ => {}
    }
    let mut readers = readers(place, &judged.version, now).await?;
    Ok(readers.pop().map(Stays::Read))
}

impl Stays {
    /// The reason beside its verdict.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "somebody restores from it",
            Self::Locked => "it is locked",
            Self::Changed => "it has changed since it was judged",
        }
    }

    /// The same for people, with what is known of it.
    pub fn says(&self) -> String {
        match self {
            Self::Read(reader) => reader.says(),
            Self::Locked => "it was locked meanwhile".to_owned(),
            Self::Changed => {
                "it was written to meanwhile; run it again to have it judged".to_owned()
            }
        }
    }
}

/// Deletes a version: its completion mark first, so that no tool restores half of it, its manifest last, so that what is left can be told.
/// Cut anywhere, it can be run again.
async fn delete(place: Place<'_>, version: &str) -> Result<(), Error> {
    let bucket = place.bucket;
    bucket.delete(&format!("{version}/{MARK}")).await?;
    let manifest = format!("{version}/{MANIFEST}");
    let entries = bucket.list_below(&format!("{version}/")).await?;
    let keys = entries.into_iter().map(|entry| entry.key);
    let keys: Vec<String> = keys.filter(|key| *key != manifest).collect();
    bucket.delete_many(keys).await?;
    Ok(bucket.delete(&manifest).await?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn copy(label: &str) -> Copy {
        Copy {
            version: format!("victoria-metrics-0-{label}"),
            label: label.to_owned(),
            complete: true,
            locked: false,
            labelled: false,
        }
    }

    fn days(count: i64) -> Vec<Copy> {
        let begin = Timestamp::from_second(1_700_000_000).unwrap();
        (0..count)
            .map(|number| {
                let at = begin + jiff::SignedDuration::from_hours(24 * number);
                copy(&at.strftime("%Y%m%d%H%M%S").to_string())
            })
            .collect()
    }

    #[test]
    fn seven_days_and_four_weeks_are_kept() {
        let policy = Policy {
            last_daily: 7,
            last_weekly: 4,
        };
        let verdicts = policy.judge(&days(60));
        let count = |wanted| {
            verdicts
                .iter()
                .filter(|verdict| **verdict == wanted)
                .count()
        };
        assert_eq!((count(Verdict::Daily), count(Verdict::Weekly)), (7, 4));
        assert!(
            verdicts[53..]
                .iter()
                .all(|verdict| *verdict == Verdict::Daily)
        );
        assert!(
            verdicts[..20]
                .iter()
                .all(|verdict| *verdict == Verdict::Expire)
        );
    }

    #[test]
    fn what_is_no_copy_or_is_held_stays_and_what_is_half_goes_unless_it_is_the_newest() {
        use Verdict::{Expire, Locked, Newest, NoCopy};

        let mut copies = days(4);
        copies[0].locked = true;
        copies[1].complete = false;
        copies[3].complete = false;
        copies.push(copy(LATEST));
        copies.push(copy("20231399000000"));
        let policy = Policy {
            last_daily: 0,
            last_weekly: 0,
        };
        assert_eq!(
            policy.judge(&copies),
            [Locked, Expire, Newest, Newest, NoCopy, NoCopy]
        );
    }

    /// As the platform's script counts: copies, not days.
    #[test]
    fn copies_of_one_day_count_as_many() {
        use Verdict::{Daily, Expire, Weekly};

        let copies = [
            "20231128010000",
            "20231128020000",
            "20231128030000",
            "20231128040000",
        ];
        let policy = Policy {
            last_daily: 2,
            last_weekly: 4,
        };
        assert_eq!(
            policy.judge(&copies.map(copy)),
            [Expire, Weekly, Daily, Daily]
        );
    }

    #[test]
    fn what_was_backed_up_by_a_label_stays_and_counts_for_no_copy() {
        use Verdict::{Daily, Expire, Labelled};

        let mut copies = days(5);
        for at in [0, 2, 4] {
            copies[at].labelled = true;
        }
        // Also where an object of it is missing.
        copies[2].complete = false;
        let policy = Policy {
            last_daily: 1,
            last_weekly: 0,
        };
        assert_eq!(
            policy.judge(&copies),
            [Labelled, Expire, Labelled, Daily, Labelled]
        );
    }

    proptest! {
        #[test]
        fn the_newest_complete_copy_always_stays(count in 1_i64..40, last_daily in 0_u64..9, last_weekly in 0_u64..6, half in prop::collection::vec(any::<bool>(), 40)) {
            let mut copies = days(count);
            for (copy, half) in copies.iter_mut().zip(half) {
                copy.complete = !half;
            }
            let verdicts = Policy { last_daily, last_weekly }.judge(&copies);
            if let Some(newest) = copies.iter().rposition(|copy| copy.complete) {
                prop_assert_ne!(verdicts[newest], Verdict::Expire);
            }
        }
    }
}
