//! What the crate promises, seen from outside.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what tests share may fail as tests do; the lints exempt only the tests themselves"
)]

mod contract;
mod damage;
mod embedded;
mod format;
mod golden;
mod payload;
mod sample;
mod support;
