//! Expiry of the snapshots that we took, and of no others.
//!
//! What a SIGKILL leaves: the snapshots of each request that the cluster heard are gone, or go by themselves, all of a request or none; the others are there, whole, and the next
//! run judges them again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;

use crate::backup;
use crate::catalog::{Details, Repository};
use crate::error::Error;
use crate::indices::batches;
use crate::retention::{Candidate, Policy, Verdict};
use crate::snapshot::Snapshot;

/// What becomes of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub snapshot: Snapshot,
    /// None of a snapshot that somebody else took, which is left alone.
    pub verdict: Option<Verdict>,
}

/// Whether a snapshot is ours: taken by this program, for this policy. Those of lifecycle management carry a policy as well, but nobody who took them.
pub fn is_ours(snapshot: &Snapshot, policy: &str) -> bool {
    let taken_by = snapshot.taken_by.as_deref().unwrap_or_default();
    taken_by.split(' ').next() == Some("lifeboat") && snapshot.policy.as_deref() == Some(policy)
}

/// Judges all snapshots of a repository, the oldest first.
pub async fn judge(
    repository: Repository<'_>,
    policy_name: &str,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Judged>, Error> {
    let snapshots = repository.list(Details::Without).await?;
    Ok(judge_all(snapshots, policy_name, policy, now))
}

fn judge_all(
    snapshots: Vec<Snapshot>,
    policy_name: &str,
    policy: &Policy,
    now: Timestamp,
) -> Vec<Judged> {
    let candidates: Vec<Candidate> = snapshots
        .iter()
        .filter(|snapshot| is_ours(snapshot, policy_name))
        .map(|snapshot| Candidate {
            name: snapshot.name.clone(),
            state: snapshot.state.clone(),
            started: snapshot.started,
        })
        .collect();
    let mut verdicts = policy.judge(&candidates, now).into_iter();
    let judge = |snapshot: Snapshot| Judged {
        verdict: if is_ours(&snapshot, policy_name) {
            verdicts.next()
        } else {
            None
        },
        snapshot,
    };
    snapshots.into_iter().map(judge).collect()
}

/// Deletes the snapshots that were judged to expire, as many at once as one request names, each if it still is the one that was judged. Returns the names that another one
/// has by now, which stays.
pub async fn delete(
    repository: Repository<'_>,
    judged: &[Judged],
    progress: &Progress,
) -> Result<Vec<String>, Error> {
    let expired = judged
        .iter()
        .filter(|one| one.verdict.is_some_and(Verdict::expires));
    let (names, uuids): (Vec<String>, Vec<&str>) = expired
        .map(|one| (one.snapshot.name.clone(), one.snapshot.uuid.as_str()))
        .unzip();
    progress.expect(names.len() as u64, 0);
    let uuid_of: BTreeMap<&str, &str> = names.iter().map(String::as_str).zip(uuids).collect();
    let mut replaced = Vec::new();
    for batch in batches(&names) {
        if progress.is_stopped() {
            return Err(Error::Stopped);
        }
        let there = repository.get_all(batch).await?;
        let is_judged =
            |found: &Snapshot| uuid_of.get(found.name.as_str()) == Some(&found.uuid.as_str());
        let (still, others): (Vec<Snapshot>, Vec<Snapshot>) =
            there.into_iter().partition(is_judged);
        let names = |found: Vec<Snapshot>| found.into_iter().map(|found| found.name);
        let still: Vec<String> = names(still).collect();
        replaced.extend(names(others));
        backup::delete_all(repository, &still).await?;
        progress.add(batch.len() as u64, 0);
    }
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn snapshot(day: u64, metadata: &serde_json::Value) -> Snapshot {
        let at = day * 86_400_000;
        Snapshot::read(&json!({
            "snapshot": format!("s{day}"), "uuid": "u", "state": "SUCCESS", "metadata": metadata,
            "start_time_in_millis": at, "end_time_in_millis": at + 1,
        }))
        .unwrap()
    }

    proptest! {
        #[test]
        fn nothing_but_what_is_ours_is_ever_judged(who in prop::collection::vec(0_usize..5, 0..40)) {
            let metadata = [
                json!({"taken_by": "lifeboat 0.1.0", "policy": "auto-sts-backup"}),
                json!({"taken_by": "lifeboat 0.1.0", "policy": "another"}),
                json!({"taken_by": "lifeboats 9", "policy": "auto-sts-backup"}),
                json!({"policy": "auto-sts-backup"}),
                json!(null),
            ];
            let snapshots: Vec<_> = who.iter().zip(0..).map(|(who, day)| snapshot(day, &metadata[*who])).collect();
            let policy = Policy { expire_after: None, min_count: Some(1), max_count: Some(1) };
            let judged = judge_all(snapshots, "auto-sts-backup", &policy, Timestamp::UNIX_EPOCH);
            for (one, who) in judged.iter().zip(&who) {
                prop_assert_eq!(one.verdict.is_some(), *who == 0);
            }
            let kept = judged.iter().filter(|one| one.verdict.is_some_and(|verdict| !verdict.expires())).count();
            prop_assert_eq!(kept, usize::from(who.contains(&0)));
        }
    }
}
