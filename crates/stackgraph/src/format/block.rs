//! The 40 bytes before each payload: docs/graph-format.md §Blocks.

use super::{MAX_BLOCK_BYTES, MAX_ELEMENTS, crc32c};

pub(super) const HEAD_BYTES: usize = 40;
pub(super) const MAGIC: [u8; 4] = *b"LBLK";

/// Whoever does not know the block's type may pass over it.
const OPTIONAL: u16 = 1;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    Transactions,
    Vertices,
    Edges,
    /// A text for people. Readers pass over it.
    Comment,
    Footer,
    /// Of a later version.
    Other(u8),
}

impl BlockKind {
    pub fn code(self) -> u8 {
        match self {
            Self::Transactions => 1,
            Self::Vertices => 2,
            Self::Edges => 3,
            Self::Comment => 4,
            Self::Footer => 255,
            Self::Other(code) => code,
        }
    }

    pub fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Transactions,
            2 => Self::Vertices,
            3 => Self::Edges,
            4 => Self::Comment,
            255 => Self::Footer,
            other => Self::Other(other),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Stored,
    Zstd,
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub kind: BlockKind,
    pub optional: bool,
    pub(super) compression: Compression,
    /// Bytes of the payload when decompressed, at most [`MAX_BLOCK_BYTES`].
    pub raw_len: u32,
    /// Bytes of the payload in the file, at most `raw_len`.
    pub stored_len: u32,
    /// Elements or transactions inside, at most [`MAX_ELEMENTS`].
    pub count: u32,
    /// The first block is number 0.
    pub sequence: u32,
    pub(super) payload_crc: u32,
    pub(super) file_id: [u8; 8],
}

impl Head {
    pub(super) fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self.kind.code();
        bytes[5] = match self.compression {
            Compression::Stored => 0,
            Compression::Zstd => 1,
        };
        let flags = if self.optional { OPTIONAL } else { 0 };
        bytes[6..8].copy_from_slice(&flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.count.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.file_id);
        let crc = crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Returns what is wrong with the bytes where they are no head.
    pub(super) fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<Self, &'static str> {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        if bytes[..4] != MAGIC {
            return Err("no block starts where one should");
        }
        if crc32c(&bytes[..36]) != word(36) {
            return Err("the head of a block does not match its checksum");
        }
        let mut file_id = [0; 8];
        file_id.copy_from_slice(&bytes[28..36]);
        let head = Self {
            kind: BlockKind::from_code(bytes[4]),
            compression: match bytes[5] {
                0 => Compression::Stored,
                1 => Compression::Zstd,
                _ => return Err("a block has an unknown compression"),
            },
            optional: u16::from_le_bytes([bytes[6], bytes[7]]) & OPTIONAL != 0,
            raw_len: word(8),
            stored_len: word(12),
            count: word(16),
            sequence: word(20),
            payload_crc: word(24),
            file_id,
        };
        let lengths_fit = match head.compression {
            Compression::Stored => head.stored_len == head.raw_len,
            Compression::Zstd => head.stored_len < head.raw_len,
        };
        if head.raw_len as usize > MAX_BLOCK_BYTES || !lengths_fit {
            return Err("a block has an impossible length");
        }
        if head.count as usize > MAX_ELEMENTS {
            return Err("a block has too many elements");
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(kind: u8, optional: bool, length: u32, count: u32, crc: u32) -> Head {
        Head {
            kind: BlockKind::from_code(kind),
            optional,
            compression: Compression::Stored,
            raw_len: length,
            stored_len: length,
            count,
            sequence: 3,
            payload_crc: crc,
            file_id: [1; 8],
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            kind: u8, optional: bool, length in 0_u32..=64 << 20, count in 0_u32..=64 << 10, crc: u32,
        ) {
            let head = head(kind, optional, length, count, crc);
            prop_assert_eq!(Head::decode(&head.encode()), Ok(head));
        }
    }

    #[test]
    fn a_length_that_would_make_a_reader_allocate_is_refused() {
        let bytes = head(2, false, (64 << 20) + 1, 1, 0).encode();
        assert_eq!(
            Head::decode(&bytes),
            Err("a block has an impossible length")
        );
    }
}
