//! Randomness that can be played again.

use std::fmt;

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::environment;

/// The seed when the environment names none: tests take the same way each time.
const FIXED: u64 = 0x11FE_B0A7;

/// A generator and the seed it started from. When a test fails while it is alive, the seed is printed with the
/// way to use it again.
#[derive(Debug)]
pub struct Seeded {
    pub rng: StdRng,
    seed: u64,
}

impl Seeded {
    /// Starts from the number in `LIFEBOAT_TEST_SEED`, else from a fixed one.
    pub fn from_environment() -> Self {
        let seed = environment::variable(environment::SEED).map_or(FIXED, |text| {
            text.to_str()
                .and_then(|text| text.parse().ok())
                .expect("`LIFEBOAT_TEST_SEED` is a decimal number below 2^64")
        });
        Self::from_seed(seed)
    }

    pub fn from_seed(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            seed,
        }
    }
}

impl fmt::Display for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", environment::SEED, self.seed)
    }
}

impl Drop for Seeded {
    #[expect(
        clippy::print_stderr,
        reason = "a failing test has nowhere else to say it"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to take the same way again: {self}");
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn takes_the_same_way_from_the_same_seed() {
        let draw = |seed| -> [u64; 4] { Seeded::from_seed(seed).rng.random() };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn says_how_to_play_it_again() {
        assert_eq!(Seeded::from_seed(7).to_string(), "LIFEBOAT_TEST_SEED=7");
    }
}
