//! The gateway from outside: the contract of a backend, the local backend's own promises, and the server over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what tests share may fail as tests do; the lints exempt only the tests themselves"
)]

mod adoption;
mod azure;
mod capabilities;
mod check;
mod contract;
mod damage;
mod export;
mod fake;
mod faults;
mod full;
mod gateway;
mod guard;
mod limits;
mod listing;
mod local;
mod memory;
mod monitor;
mod passing;
mod recovery;
mod remote;
mod roles;
mod router;
mod server;
mod support;
mod tls;
mod trash;
