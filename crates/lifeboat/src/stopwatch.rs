//! How long something took and how fast it went.

use std::time::Instant;

use serde::Serialize;

/// Started with the work, stopped with it.
pub(crate) struct Stopwatch(Instant);

/// What a finished command says about its speed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Pace {
    pub(crate) elements: u64,
    pub(crate) seconds: f64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Since it was started.
    pub(crate) fn milliseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn stop(&self, elements: u64) -> Pace {
        Pace {
            elements,
            seconds: self.0.elapsed().as_secs_f64(),
        }
    }
}

impl Pace {
    pub(crate) fn seconds(&self) -> String {
        format!("{:.2}", self.seconds)
    }

    /// Elements per second, without a fraction.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(crate) fn rate(&self) -> String {
        if self.seconds > 0.0 {
            format!("{:.0}", self.elements as f64 / self.seconds)
        } else {
            "-".to_owned()
        }
    }
}
