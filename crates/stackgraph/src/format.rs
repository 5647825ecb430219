//! The `.graph` file, version 1. docs/graph-format.md is the contract.

use lifeboat_core::error::Kind;

/// The most elements of one block.
pub const MAX_ELEMENTS: usize = 64 * 1024;

/// What is wrong with a `.graph` file, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Damage {
    pub at: u64,
    pub what: String,
}

impl Damage {
    pub fn kind(&self) -> Kind {
        Kind::Damaged
    }
}
