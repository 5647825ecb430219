//! The one place that reads the clock.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Tells the time in the platform's time zone.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    time_zone: TimeZone,
}

impl Clock {
    pub(crate) fn new(time_zone: TimeZone) -> Self {
        Self { time_zone }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that reads the clock"
    )]
    #[expect(clippy::unused_self, reason = "whoever has the clock may read it")]
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    pub(crate) fn local_now(&self) -> Zoned {
        self.now().to_zoned(self.time_zone.clone())
    }

    pub(crate) fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }
}
