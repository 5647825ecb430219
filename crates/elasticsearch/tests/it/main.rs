//! The client of a cluster, and what it makes of answers, without a cluster: servers of a few lines, and answers of real ones as they were recorded.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what tests share may fail as tests do; the lints exempt only the tests themselves"
)]

mod answers;
mod credentials;
mod detection;
mod exchanges;
mod lost;
mod nodes;
mod retries;
mod server;
