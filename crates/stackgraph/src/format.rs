//! The `.graph` file, version 1. docs/graph-format.md is the contract.
//!
//! [`Writer`] and [`Reader`] go through a file once, from front to back, so that both ends can be pipes. The work that
//! costs (columns, compression, checksums of payloads) is in [`Encoder`] and [`Decoder`], of which each worker has its
//! own; [`Tally`] sums up what went by and is what a [`Footer`] is made from and compared with.

mod bits;
mod blobs;
mod block;
mod codec;
mod footer;
mod header;
mod input;
mod ints;
mod payload;
mod reader;
mod tally;
mod writer;

use lifeboat_core::error::Kind;

pub use block::{BlockKind, Head};
pub use codec::{Decoded, Decoder, Encoded, Encoder};
pub use footer::{Entry, Footer, FooterOrMore, TAIL_BYTES};
pub use header::{HEADER_BYTES, Header};
pub use reader::{Ending, Next, RawBlock, Reader};
pub use tally::{Summary, Tally};
pub use writer::{Origin, Writer};

/// The version that this crate writes. A file of a higher major version is refused, one of a higher minor is read.
pub const MAJOR: u16 = 1;
pub const MINOR: u16 = 0;

/// The most elements of one block.
pub const MAX_ELEMENTS: usize = 64 * 1024;

/// About how many bytes a batch takes in memory when whoever fills it should close it.
pub const TARGET_BYTES: usize = 4 << 20;

/// The most bytes of one block: as stored, as decompressed, and as a batch by the measure of docs/graph-format.md
/// §Blocks. No element can be larger, and no length in a hostile file makes a reader allocate more.
pub const MAX_BLOCK_BYTES: usize = 64 << 20;

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

    fn new(at: u64, what: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
        }
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    u32::try_from(crc_fast::checksum(
        crc_fast::CrcAlgorithm::Crc32Iscsi,
        bytes,
    ))
    .expect("a CRC-32 has 32 bits")
}
