//! The places that can keep objects. Each passes the same contract suite, `tests/it/contract.rs`.

pub mod azure;
pub mod local;
pub mod s3;
mod sources;
mod xml;

pub use self::sources::Sources;
