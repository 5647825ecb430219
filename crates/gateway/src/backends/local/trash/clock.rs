//! The trash's own time, by which entries grow old. Pure.
//!
//! It starts with the time of day and then goes on only by what was lived through: a step of the clock on the wall counts
//! for at most [`MOST_BETWEEN_LOOKS`], and time in which nobody served the volume for at most [`MOST_AT_START`]. A clock
//! that jumps a year ahead therefore empties nothing; a gateway that was off for a week keeps what it has a week longer.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Running gateways look every minute.
const MOST_BETWEEN_LOOKS: SignedDuration = SignedDuration::from_mins(5);
const MOST_AT_START: SignedDuration = SignedDuration::from_hours(1);

/// What is known of the time. Kept on the volume, so that it survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::backends::local) struct Clock {
    /// What the clock on the wall said when it was last looked at.
    seen: Timestamp,
    /// The trash's own time then.
    time: Timestamp,
}

/// When the clock on the wall is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// For the first time in this process.
    AtStart,
    Again,
}

impl Clock {
    /// A clock that nobody has looked at before.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            seen: now,
            time: now,
        }
    }

    /// A clock for a trash in which the youngest entry is of `time`, when it is not known how it came by it.
    pub(super) fn resume(now: Timestamp, time: Timestamp) -> Self {
        Self { seen: now, time }
    }

    pub(super) fn time(&self) -> Timestamp {
        self.time
    }

    /// Goes on to `now`, as far as that is believed. Never back.
    pub(super) fn look(&mut self, now: Timestamp, look: Look) {
        let most = match look {
            Look::AtStart => MOST_AT_START,
            Look::Again => MOST_BETWEEN_LOOKS,
        };
        let step = now
            .duration_since(self.seen)
            .clamp(SignedDuration::ZERO, most);
        self.seen = now;
        self.time = self.time.checked_add(step).unwrap_or(self.time);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::constant(1_700_000_000, 0);

    fn after(minutes: i64) -> Timestamp {
        START + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn it_goes_with_the_clock_on_the_wall() {
        let mut clock = Clock::new(START);
        for minute in 1..=10_000 {
            clock.look(after(minute), Look::Again);
        }
        assert_eq!(clock.time(), after(10_000));
    }

    #[test]
    fn a_jump_ahead_and_back_moves_it_by_minutes() {
        let mut clock = Clock::new(START);
        clock.look(after(525_600), Look::Again);
        clock.look(after(1), Look::Again);
        clock.look(after(2), Look::Again);
        assert_eq!(clock.time(), after(6));
    }

    #[test]
    fn a_week_without_a_gateway_counts_for_an_hour() {
        let mut clock = Clock::new(START);
        clock.look(after(7 * 1440), Look::AtStart);
        assert_eq!(clock.time(), after(60));
    }

    proptest! {
        #[test]
        fn it_never_goes_back_and_never_faster_than_it_is_looked_at(
            looks in proptest::collection::vec((-1_000_000_i64..1_000_000, any::<bool>()), 0..40)
        ) {
            let mut clock = Clock::new(START);
            for (minute, start) in looks {
                let before = clock.time();
                clock.look(after(minute), if start { Look::AtStart } else { Look::Again });
                let step = clock.time().duration_since(before);
                prop_assert!(step >= SignedDuration::ZERO && step <= MOST_AT_START);
            }
        }
    }
}
