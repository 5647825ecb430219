//! The gateway from outside: the contract of a backend, the local backend's own promises, and the server over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says aloud what it skips"
)]

mod contract;
mod full;
mod listing;
mod local;
mod server;
mod support;
