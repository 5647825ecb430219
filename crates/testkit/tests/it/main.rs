//! What the tools of this crate do with the outside world. Each needs a network once, and skips without.

#![expect(
    clippy::unwrap_used,
    reason = "what tests share may fail as tests do; the lints exempt only the tests themselves"
)]

mod debian;
mod python;
mod servers;
