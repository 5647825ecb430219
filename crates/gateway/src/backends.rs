//! The places that can keep objects. Each passes the same contract suite, `tests/it/contract.rs`.

pub mod local;
mod sources;

pub use self::sources::Sources;
