//! Retention: who stays, who goes, when nothing goes at all.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use lifeboat_core::age::Age;
use lifeboat_core::error::Kind;
use lifeboat_core::name::Pattern;
use lifeboat_core::retention::{
    Candidate, Decision, Expired, Guard, Halt, Kept, Policy, TOLERANCE, Verdict,
};
use proptest::prelude::*;

fn now() -> Zoned {
    "2021-02-16T03:05:00"
        .parse::<DateTime>()
        .unwrap()
        .to_zoned(TimeZone::UTC)
        .unwrap()
}

fn policy(age: &str) -> Policy {
    Policy {
        age: Age::parse(age).unwrap(),
    }
}

fn complete(name: &str) -> Candidate {
    let pattern = Pattern::new(
        "sts-backup-$(date +%Y%m%d-%H%M).graph",
        "sts-backup-([0-9]*-[0-9]*).graph",
        "%Y%m%d-%H%M",
    );
    let taken = pattern
        .unwrap()
        .taken(name, &TimeZone::UTC)
        .map(|taken| taken.timestamp());
    Candidate {
        name: name.to_owned(),
        taken,
        complete: true,
    }
}

fn incomplete(name: &str) -> Candidate {
    Candidate {
        complete: false,
        ..complete(name)
    }
}

fn judge(candidates: &[Candidate]) -> Result<Vec<Verdict>, Halt> {
    policy("days = 30").judge(candidates, &now(), Guard::Halt)
}

fn shown(verdicts: &[Verdict]) -> String {
    let line = |verdict: &Verdict| format!("{} {}", verdict.name, verdict.decision);
    verdicts.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_verdict_says_why() {
    let verdicts = judge(&[
        complete("sts-backup-20210117-0304.graph"),
        complete("sts-backup-20210117-0305.graph"),
        incomplete("sts-backup-20210216-0300.graph"),
        incomplete("sts-backup-20201001-0300.graph"),
        complete("notes.txt"),
        incomplete("sts-backup-20211301-0300.graph"),
    ]);
    insta::assert_snapshot!(shown(&verdicts.unwrap()), @"
    sts-backup-20210216-0300.graph kept: within the retention of `days = 30`
    sts-backup-20210117-0305.graph kept: within the retention of `days = 30`
    sts-backup-20210117-0304.graph expired: past the retention of `days = 30`
    sts-backup-20201001-0300.graph expired: it cannot be restored, and is past the retention of `days = 30`
    notes.txt kept: its name is not that of a backup
    sts-backup-20211301-0300.graph kept: its name is not that of a backup
    ");
}

#[test]
fn the_last_complete_backup_stays_however_old() {
    let verdicts = judge(&[
        complete("sts-backup-20190101-0300.graph"),
        incomplete("sts-backup-20200101-0300.graph"),
    ]);
    insta::assert_snapshot!(shown(&verdicts.unwrap()), @"
    sts-backup-20200101-0300.graph expired: it cannot be restored, and is past the retention of `days = 30`
    sts-backup-20190101-0300.graph kept: the newest complete backup
    ");
}

#[test]
fn incomplete_backups_stay_while_they_are_all_there_is() {
    let verdicts = judge(&[
        incomplete("sts-backup-20190101-0300.graph"),
        incomplete("sts-backup-20200101-0300.graph"),
    ])
    .unwrap();
    assert!(
        verdicts
            .iter()
            .all(|verdict| verdict.decision == Decision::Keep(Kept::NothingComplete))
    );
}

#[test]
fn a_backup_from_the_future_stops_the_expiry() {
    let candidates = [
        complete("sts-backup-20200101-0300.graph"),
        complete("sts-backup-20200102-0300.graph"),
        complete("sts-backup-20210216-0506.graph"),
    ];
    let halt = judge(&candidates).unwrap_err();
    assert_eq!(halt.kind(), Kind::Conflict);
    insta::assert_snapshot!(halt, @"backup `sts-backup-20210216-0506.graph` lies in the future: it was taken at 2021-02-16 05:06:00 +00:00, and it is 2021-02-16 03:05:00 +00:00 now; the clock or the time zone has changed, or the backup was named under a wrong one");
    let verdicts = policy("days = 30")
        .judge(&candidates, &now(), Guard::Override)
        .unwrap();
    insta::assert_snapshot!(shown(&verdicts), @"
    sts-backup-20210216-0506.graph kept: it lies in the future
    sts-backup-20200102-0300.graph kept: the newest complete backup
    sts-backup-20200101-0300.graph expired: past the retention of `days = 30`
    ");
}

#[test]
fn a_backup_as_far_ahead_as_clocks_may_differ_does_not_stop_it() {
    assert_eq!(TOLERANCE, SignedDuration::from_hours(2));
    let verdicts = judge(&[
        complete("sts-backup-20210216-0505.graph"),
        complete("sts-backup-20200101-0300.graph"),
    ]);
    insta::assert_snapshot!(shown(&verdicts.unwrap()), @"
    sts-backup-20210216-0505.graph kept: within the retention of `days = 30`
    sts-backup-20200101-0300.graph expired: past the retention of `days = 30`
    ");
}

#[test]
fn everything_expired_at_once_stops_the_expiry() {
    let candidates = [
        complete("sts-backup-20201201-0300.graph"),
        complete("sts-backup-20201202-0300.graph"),
        incomplete("sts-backup-20210215-0300.graph"),
    ];
    let halt = judge(&candidates).unwrap_err();
    assert_eq!(halt.kind(), Kind::Conflict);
    insta::assert_snapshot!(halt, @"all 2 complete backups are past the retention of `days = 30`: the newest, `sts-backup-20201202-0300.graph`, was taken at 2020-12-02 03:00:00 +00:00, and it is 2021-02-16 03:05:00 +00:00 now; either the clock is wrong, or no backup has been made for that long");
    let verdicts = policy("days = 30")
        .judge(&candidates, &now(), Guard::Override)
        .unwrap();
    insta::assert_snapshot!(shown(&verdicts), @"
    sts-backup-20210215-0300.graph kept: within the retention of `days = 30`
    sts-backup-20201202-0300.graph kept: the newest complete backup
    sts-backup-20201201-0300.graph expired: past the retention of `days = 30`
    ");
}

#[test]
fn an_age_beyond_the_calendar_stops_the_expiry() {
    let halt = policy("9000 years ago 3000000 days ago")
        .judge(&[], &now(), Guard::Override)
        .unwrap_err();
    assert_eq!(halt.kind(), Kind::Invalid);
}

#[test]
fn nothing_in_the_bucket_is_no_trouble() {
    assert_eq!(judge(&[]), Ok(Vec::new()));
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let hours = prop_oneof![3 => (-24_i64 * 90..=2).prop_map(Some), 1 => Just(None)];
    let one = (hours, any::<bool>(), "[a-c]{1,3}");
    prop::collection::vec(one, 0..12).prop_map(|all| {
        let candidate = |(hours, complete, name): (Option<i64>, bool, String)| {
            let taken = hours.map(|hours| now().timestamp() + SignedDuration::from_hours(hours));
            Candidate {
                name,
                taken,
                complete,
            }
        };
        all.into_iter().map(candidate).collect()
    })
}

fn newest_complete(candidates: &[Candidate]) -> Option<Timestamp> {
    candidates
        .iter()
        .filter(|candidate| candidate.complete)
        .filter_map(|candidate| candidate.taken)
        .max()
}

proptest! {
    #[test]
    fn the_newest_complete_backup_always_survives(candidates in candidates(), days in 1_u32..60) {
        let verdicts = policy(&format!("days = {days}")).judge(&candidates, &now(), Guard::Override).unwrap();
        prop_assert_eq!(verdicts.len(), candidates.len());
        if let Some(newest) = newest_complete(&candidates) {
            let survives = candidates.iter().any(|candidate| {
                candidate.complete && candidate.taken == Some(newest) && verdicts.iter().any(|verdict| {
                    verdict.name == candidate.name && verdict.taken == candidate.taken && !verdict.decision.expires()
                })
            });
            prop_assert!(survives);
        } else {
            prop_assert!(verdicts.iter().all(|verdict| !verdict.decision.expires()));
        }
    }

    #[test]
    fn the_order_of_the_backups_means_nothing(
        (candidates, shuffled) in candidates().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        guard in prop_oneof![Just(Guard::Halt), Just(Guard::Override)],
    ) {
        let policy = policy("days = 30");
        prop_assert_eq!(policy.judge(&candidates, &now(), guard), policy.judge(&shuffled, &now(), guard));
    }

    #[test]
    fn nothing_within_the_retention_and_nothing_unknown_expires(candidates in candidates(), days in 1_u32..60) {
        let policy = policy(&format!("days = {days}"));
        let cutoff = policy.age.cutoff(&now()).unwrap().timestamp();
        for verdict in policy.judge(&candidates, &now(), Guard::Override).unwrap() {
            if let Decision::Expire(reason) = verdict.decision {
                prop_assert!(verdict.taken.is_some_and(|taken| taken < cutoff));
                prop_assert!(matches!(reason, Expired::Past(_) | Expired::IncompletePast(_)));
            }
        }
    }

    #[test]
    fn a_guarded_expiry_leaves_a_complete_backup_within_the_retention_or_the_only_one(candidates in candidates()) {
        if let Ok(verdicts) = judge(&candidates) && verdicts.iter().any(|verdict| verdict.decision.expires()) {
            let newest = newest_complete(&candidates).unwrap();
            let count = candidates.iter().filter(|candidate| candidate.complete && candidate.taken.is_some()).count();
            let cutoff = policy("days = 30").age.cutoff(&now()).unwrap().timestamp();
            prop_assert!(newest >= cutoff || count == 1);
        }
    }
}
