//! The program as its user meets it: real processes, a real gateway, a real store.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what tests share may fail as tests do; the lints exempt only the tests themselves"
)]

mod bad_input;
mod certificate;
mod check;
mod damage;
mod disk_full;
mod door;
mod export;
mod failing_disk;
mod holders;
mod kill_gateway;
mod kill_stackgraph;
mod killed;
mod metrics;
mod signals;
mod stackgraph;
mod telemetry;
mod transfer;
mod trash;
mod wire;
mod world;
