//! Time and chance as backends are given them, and ids made of both.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// Where a backend gets the time and its random numbers. Passed in, so that tests decide both.
#[derive(Clone)]
pub struct Sources {
    /// The time now.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// A number that nobody can guess and that does not repeat.
    pub random: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// The letters of ids: digits and capitals without those that look alike, in byte order.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Sources {
    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Returns 26 letters and digits: ten for the milliseconds, sixteen of chance. Ids sort by time.
    pub(crate) fn id(&self) -> String {
        let millis = u64::try_from(self.now().as_millisecond()).unwrap_or(0);
        let chance = (u128::from((self.random)()) << 64) | u128::from((self.random)());
        let value = (u128::from(millis) << 80) | (chance >> 48);
        (0..26)
            .rev()
            .map(|place| {
                let letter = usize::try_from((value >> (place * 5)) & 31).expect("five bits fit");
                char::from(LETTERS[letter])
            })
            .collect()
    }
}

/// Whether a text has the form of an id, so that it may be part of a name.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|byte| LETTERS.contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn ids_sort_by_time_whatever_chance_says() {
        let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
        let ticking = Arc::clone(&clock);
        let sources = Sources {
            now: Arc::new(move || {
                Timestamp::from_millisecond(ticking.fetch_add(1, Ordering::Relaxed)).unwrap()
            }),
            random: Arc::new(move || u64::MAX - clock.load(Ordering::Relaxed).unsigned_abs()),
        };
        let ids: Vec<_> = (0..100).map(|_| sources.id()).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| is_id(id)));
        assert!(!is_id("") && !is_id("../../../../../../../../.."));
    }
}
