//! How far the scrub has come, and when the next pass begins. Pure.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// From the beginning of one pass to that of the next, unless it takes longer.
const EVERY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What a restart goes on with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The pass under way.
    pub pass: Option<Pass>,
    /// The last one that came to its end.
    pub last: Option<Finished>,
}

/// A walk over all objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    pub began: Timestamp,
    /// The last object that was looked at; empty before the first.
    pub bucket: String,
    pub key: String,
    #[serde(flatten)]
    pub counts: Counts,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    pub began: Timestamp,
    pub ended: Timestamp,
    #[serde(flatten)]
    pub counts: Counts,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub objects: u64,
    pub bytes: u64,
    /// Objects without anything to compare their bytes with.
    pub unverifiable: u64,
    pub damaged: u64,
}

impl Progress {
    /// Returns the pass to go on with, which may begin now; nothing while none is due.
    pub(super) fn due(&mut self, now: Timestamp) -> Option<&mut Pass> {
        let last = self.last.as_ref().map(|last| last.began);
        // A clock that was set back must not put it off for ever.
        let rested = last.is_none_or(|last| now.duration_since(last) >= EVERY || now < last);
        if self.pass.is_none() && rested {
            self.pass = Some(Pass {
                began: now,
                bucket: String::new(),
                key: String::new(),
                counts: Counts::default(),
            });
        }
        self.pass.as_mut()
    }

    /// Ends the pass under way.
    pub(super) fn end(&mut self, now: Timestamp) {
        if let Some(pass) = self.pass.take() {
            self.last = Some(Finished {
                began: pass.began,
                ended: now,
                counts: pass.counts,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + number * 86_400).unwrap()
    }

    #[test]
    fn a_pass_begins_once_a_week_and_goes_on_after_a_restart() {
        let mut progress = Progress::default();
        let pass = progress.due(day(0)).unwrap();
        pass.counts.objects = 5;
        pass.key = "k".to_owned();
        let text = serde_json::to_string(&progress).unwrap();
        insta::assert_snapshot!(text, @r#"{"pass":{"began":"2023-11-14T22:13:20Z","bucket":"","key":"k","objects":5,"bytes":0,"unverifiable":0,"damaged":0},"last":null}"#);
        let mut progress: Progress = serde_json::from_str(&text).unwrap();
        assert_eq!(progress.due(day(30)).unwrap().counts.objects, 5);
        progress.end(day(31));
        // It took longer than a week.
        assert!(progress.clone().due(day(31)).is_some());
        progress.due(day(31));
        progress.end(day(32));
        assert!(progress.due(day(37)).is_none());
        assert!(progress.due(day(38)).is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_put_it_off() {
        let mut progress = Progress::default();
        progress.due(day(1000));
        progress.end(day(1000));
        assert!(progress.due(day(0)).is_some());
    }
}
