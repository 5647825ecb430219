//! Which snapshots expire.
//!
//! The rules are those of Elasticsearch's snapshot lifecycle management, to the letter, for that is what the settings promise: they are judged in its order, on the list
//! as it is before anything is deleted. Only snapshots that succeeded count. Pure: the caller decides which snapshots are candidates, and carries the verdicts out.

use jiff::{SignedDuration, Timestamp};

use crate::snapshot::State;

/// How many are kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub expire_after: Option<SignedDuration>,
    /// Successful ones that stay whatever their age.
    pub min_count: Option<u64>,
    /// Successful ones beyond which the oldest go, whatever their age.
    pub max_count: Option<u64>,
}

/// A snapshot of ours, as far as the rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    pub state: State,
    pub started: Timestamp,
}

/// What becomes of one, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No rule lets it go.
    Keep,
    /// There are no more successful ones than the least.
    KeepAsOneOfTheLeast,
    /// Old enough, but among the newest that stay whatever their age.
    KeepAsOneOfTheNewest,
    /// It is still being taken, or cannot be judged.
    KeepAsItIs,
    /// Failed or partial, and a newer one succeeded.
    ExpireAsSuperseded,
    /// More successful ones than the most, and this one is among the oldest.
    ExpireAsTooMany,
    ExpireAsTooOld,
}

impl Verdict {
    pub fn expires(self) -> bool {
        matches!(
            self,
            Self::ExpireAsSuperseded | Self::ExpireAsTooMany | Self::ExpireAsTooOld
        )
    }

    pub fn reason(self) -> &'static str {
        match self {
            Self::Keep => "no rule lets it go yet",
            Self::KeepAsOneOfTheLeast => "no more successful ones are there than always stay",
            Self::KeepAsOneOfTheNewest => "old enough, but one of the newest, which always stay",
            Self::KeepAsItIs => "it is still being taken, or its state is not known",
            Self::ExpireAsSuperseded => "not successful, and a newer one is",
            Self::ExpireAsTooMany => "more successful ones are there than the most",
            Self::ExpireAsTooOld => "older than snapshots are kept",
        }
    }
}

impl Policy {
    /// Returns one verdict for each, in the order given.
    pub fn judge(&self, candidates: &[Candidate], now: Timestamp) -> Vec<Verdict> {
        let mut oldest_first: Vec<usize> = (0..candidates.len()).collect();
        oldest_first.sort_by_key(|at| candidates[*at].started);
        let succeeded = |at: &usize| candidates[*at].state == State::Success;
        let successes = oldest_first.iter().filter(|at| succeeded(at)).count() as u64;
        let newest_success = oldest_first.iter().rfind(|at| succeeded(at));
        let newest_success = newest_success.map(|at| candidates[*at].started);
        let mut verdicts = vec![Verdict::Keep; candidates.len()];
        let mut before = 0;
        for at in oldest_first {
            let one = Standing {
                candidate: &candidates[at],
                successes,
                before,
                newest_success,
            };
            verdicts[at] = self.verdict(&one, now);
            before += u64::from(succeeded(&at));
        }
        verdicts
    }

    fn verdict(&self, one: &Standing<'_>, now: Timestamp) -> Verdict {
        let state = &one.candidate.state;
        let is_success = *state == State::Success;
        if !is_success && !matches!(state, State::Partial | State::Failed) {
            return Verdict::KeepAsItIs;
        }
        let started = one.candidate.started;
        if self.expire_after.is_none()
            && !is_success
            && one.newest_success.is_some_and(|newest| newest > started)
        {
            return Verdict::ExpireAsSuperseded;
        }
        if let Some(most) = self.max_count
            && one.successes > most
        {
            let beyond = one.successes - most;
            // An unsuccessful one right after the last successful one that goes, goes with it.
            if one.before < beyond || (!is_success && one.before == beyond) {
                return Verdict::ExpireAsTooMany;
            }
        }
        let least = self.min_count.unwrap_or(0);
        if is_success && self.min_count.is_some() && one.successes <= least {
            return Verdict::KeepAsOneOfTheLeast;
        }
        let Some(expire_after) = self.expire_after else {
            return Verdict::Keep;
        };
        if now.duration_since(started) <= expire_after {
            return Verdict::Keep;
        }
        if is_success && one.before >= one.successes.saturating_sub(least) {
            return Verdict::KeepAsOneOfTheNewest;
        }
        Verdict::ExpireAsTooOld
    }
}

/// A candidate among the others.
struct Standing<'a> {
    candidate: &'a Candidate,
    successes: u64,
    /// Successful ones that are older.
    before: u64,
    newest_success: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;

    fn now() -> Timestamp {
        "2021-03-01T00:00:00Z".parse().unwrap()
    }

    /// One a day, the last of them yesterday; the letters are their states.
    fn days(states: &str) -> Vec<Candidate> {
        let count = i64::try_from(states.len()).unwrap();
        let states = states.chars().zip(0_i64..);
        states
            .map(|(letter, at)| Candidate {
                name: at.to_string(),
                state: match letter {
                    's' => State::Success,
                    'p' => State::Partial,
                    'f' => State::Failed,
                    _ => State::InProgress,
                },
                started: now() - SignedDuration::from_secs((count - at) * DAY),
            })
            .collect()
    }

    fn policy(days: Option<i64>, least: Option<u64>, most: Option<u64>) -> Policy {
        Policy {
            expire_after: days.map(|days| SignedDuration::from_secs(days * DAY)),
            min_count: least,
            max_count: most,
        }
    }

    /// Which expire, as a text of the same length.
    fn shown(policy: Policy, states: &str) -> String {
        let verdicts = policy.judge(&days(states), now());
        let letter = |verdict: Verdict| if verdict.expires() { 'x' } else { '.' };
        verdicts.into_iter().map(letter).collect()
    }

    #[test]
    fn the_rules_are_those_of_lifecycle_management() {
        // The oldest go beyond the most, and what lies among them and right after them.
        assert_eq!(shown(policy(Some(90), None, Some(3)), "sfspsss"), "xxxx...");
        // Unsuccessful ones do not count, and go when they are old.
        assert_eq!(shown(policy(Some(2), Some(5), Some(9)), "sfsfs"), ".x...");
        // The least stay whatever their age.
        assert_eq!(shown(policy(Some(2), Some(2), Some(9)), "ssssss"), "xxxx..");
        assert_eq!(shown(policy(Some(1), Some(2), Some(9)), "sss"), "x..");
        // Without an age an unsuccessful one goes when a newer one succeeded.
        assert_eq!(shown(policy(None, Some(1), None), "fpsf"), "xx..");
        // One that is being taken is never touched.
        assert_eq!(shown(policy(Some(1), None, Some(1)), "isi"), ".x.");
    }

    #[test]
    fn thirty_days_in_steady_state_keep_thirty() {
        let states = "s".repeat(60);
        let expected = format!("{}{}", "x".repeat(30), ".".repeat(30));
        assert_eq!(
            shown(policy(Some(30), Some(5), Some(30)), &states),
            expected
        );
    }

    /// Random cases, judged by the real classes of Elasticsearch: see `oracle/Oracle.java`.
    #[test]
    fn verdicts_are_those_of_the_real_classes() {
        let now = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let mut expired = 0;
        for line in include_str!("../oracle/retention.txt").lines().skip(1) {
            let [hours, least, most, snapshots, expected] = line.split(' ').collect::<Vec<_>>()[..]
            else {
                panic!("{line}")
            };
            let number = |text: &str| text.parse::<u64>().ok();
            let policy = Policy {
                expire_after: number(hours)
                    .map(|hours| SignedDuration::from_hours(hours.try_into().unwrap())),
                min_count: number(least),
                max_count: number(most),
            };
            let candidate = |text: &str| {
                let (state, started) = text.split_once(':')?;
                let started = started.parse().ok()?;
                Some(Candidate {
                    name: text.to_owned(),
                    state: match state {
                        "S" => State::Success,
                        "P" => State::Partial,
                        "F" => State::Failed,
                        _ => State::InProgress,
                    },
                    started: Timestamp::from_millisecond(started).unwrap(),
                })
            };
            let candidates: Vec<_> = snapshots.split(',').filter_map(candidate).collect();
            let verdicts = policy.judge(&candidates, now);
            let letter = |verdict: &Verdict| if verdict.expires() { 'x' } else { '.' };
            let judged: String = verdicts.iter().map(letter).collect();
            assert_eq!(judged, expected.trim_matches('-'), "{line}");
            expired += judged.matches('x').count();
        }
        assert!(expired > 1000, "{expired}");
    }

    proptest! {
        #[test]
        fn the_least_always_stay(states in "[spfi]{0,40}", days_kept in prop::option::of(1_i64..20), least in 1_u64..9, more in 0_u64..9) {
            let policy = policy(days_kept, Some(least), Some(least + more));
            let candidates = days(&states);
            let verdicts = policy.judge(&candidates, now());
            let of = |expired: bool| candidates.iter().zip(&verdicts).filter(|(candidate, verdict)| {
                candidate.state == State::Success && (expired || !verdict.expires())
            }).count() as u64;
            prop_assert!(of(false) >= least.min(of(true)));
            prop_assert!(of(false) <= least + more);
        }

        #[test]
        fn a_newer_success_never_goes_before_an_older_one(states in "[spf]{0,40}", days_kept in prop::option::of(1_i64..20), least in 1_u64..9, more in 0_u64..9) {
            let candidates = days(&states);
            let verdicts = policy(days_kept, Some(least), Some(least + more)).judge(&candidates, now());
            let mut kept = false;
            for (candidate, verdict) in candidates.iter().zip(verdicts) {
                if candidate.state == State::Success {
                    prop_assert!(!(kept && verdict.expires()));
                    kept |= !verdict.expires();
                }
            }
        }
    }
}
