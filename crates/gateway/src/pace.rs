//! How slow a client may be.
//!
//! A client that stops in the middle holds a connection and a share of the memory, of which there are so many; one that
//! sends or takes a byte now and then does the same without ever stopping. How long a request takes does not matter: only
//! the time counts in which the gateway waits for the client and has nothing else to do.

use std::time::Duration;

use tokio::time::Instant;

/// In a window of waiting, the least that must move: a kibibyte in a second.
const LEAST_BYTES: u64 = 64 * 1024;
/// How long the gateway waits for that.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);

/// Follows bytes in one direction of one connection or body. Pure: the time is passed in.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    window: Duration,
    /// How long it was waited in this window, before `since`.
    waited: Duration,
    /// How many bytes moved in this window.
    moved: u64,
    /// When the present wait began.
    since: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            waited: Duration::ZERO,
            moved: 0,
            since: None,
        }
    }

    /// It is waited for the client. Returns when to ask whether that is too long.
    pub(crate) fn wait(&mut self, now: Instant) -> Instant {
        let since = *self.since.get_or_insert(now);
        since + self.window.saturating_sub(self.waited)
    }

    /// The wait is over.
    pub(crate) fn moved(&mut self, now: Instant, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
        let bytes = u64::try_from(bytes).expect("sizes fit in 64 bits");
        self.moved = self.moved.saturating_add(bytes);
        if self.waited >= self.window && self.moved >= LEAST_BYTES {
            self.begin_window();
        }
    }

    /// Whether the client is too slow: nothing came in the whole of this wait, or too little in all the waits of a window.
    pub(crate) fn is_too_slow(&mut self, now: Instant) -> bool {
        let Some(since) = self.since else {
            return false;
        };
        let wait = now.saturating_duration_since(since);
        if wait >= self.window {
            return true;
        }
        if self.waited + wait < self.window {
            return false;
        }
        if self.moved < LEAST_BYTES {
            return true;
        }
        self.begin_window();
        false
    }

    fn begin_window(&mut self) {
        self.waited = Duration::ZERO;
        self.moved = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a client that moves `bytes` after each `seconds` of waiting, and returns after how many seconds it was given
    /// up, if within an hour.
    fn given_up(bytes: usize, seconds: u64) -> Option<u64> {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pace = Pace::new(WINDOW);
        let mut now = 0;
        while now < 3600 {
            for second in now..now + seconds {
                let deadline = pace.wait(at(second));
                if at(second) >= deadline && pace.is_too_slow(at(second)) {
                    return Some(second);
                }
            }
            now += seconds;
            pace.moved(at(now), bytes);
        }
        None
    }

    #[test]
    fn who_sends_nothing_is_given_up_after_a_window() {
        assert_eq!(given_up(1_000_000_000, 10_000), Some(60));
    }

    #[test]
    fn who_sends_a_byte_now_and_then_is_given_up_all_the_same() {
        assert_eq!(given_up(1, 59), Some(60));
        assert_eq!(given_up(1000, 1), Some(60));
    }

    #[test]
    fn who_is_slow_but_moves_is_not_given_up() {
        assert_eq!(given_up(1100, 1), None);
        assert_eq!(given_up(70_000, 55), None);
    }

    #[test]
    fn what_was_fast_before_does_not_make_up_for_silence() {
        let start = Instant::now();
        let mut pace = Pace::new(WINDOW);
        pace.wait(start);
        pace.moved(start + Duration::from_secs(1), usize::MAX);
        pace.wait(start + Duration::from_secs(2));
        assert!(!pace.is_too_slow(start + Duration::from_secs(61)));
        assert!(pace.is_too_slow(start + Duration::from_secs(62)));
    }
}
