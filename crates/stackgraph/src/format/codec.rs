//! From a piece of a graph to the payload of a block and back: the work that is spread over cores.
//!
//! A payload is one zstd frame at level 1, not one for each column: on the synthetic graph of `bench` a frame for each
//! column saves 2 % of the bytes and takes a quarter to a half more time to compress, and a reader would have sixteen
//! lengths to distrust instead of one.

use std::io;

use super::block::Compression;
use super::{BlockKind, Damage, MAX_BLOCK_BYTES, MAX_ELEMENTS, RawBlock, Summary, crc32c, payload};
use crate::batch::Kind;
use crate::error::Error;
use crate::store::Piece;
use crate::value::Malformed;

const LEVEL: i32 = 1;

/// Makes payloads. Each worker has its own: it keeps what the compressor has allocated.
pub struct Encoder {
    zstd: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
}

/// A payload that only lacks its place in a file.
#[derive(Debug)]
pub struct Encoded {
    pub summary: Summary,
    pub raw_len: u32,
    pub(super) compression: Compression,
    pub(super) crc: u32,
    pub(super) bytes: Vec<u8>,
}

impl Encoder {
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            zstd: zstd::bulk::Compressor::new(LEVEL).map_err(no_zstd)?,
            raw: Vec::new(),
        })
    }

    /// None for a piece without elements. Checks the piece as a reader would, so that no file is written that would
    /// not be read: fails with [`Error::Inconsistent`] where the store broke the rules of a batch, and with
    /// [`Error::Element`] where a batch is larger than a block.
    pub fn encode(&mut self, piece: &Piece) -> Result<Option<Encoded>, Error> {
        check(piece)?;
        let Some(summary) = Summary::of(piece) else {
            return Ok(None);
        };
        self.raw.clear();
        match piece {
            Piece::Transactions(transactions) => {
                payload::encode_transactions(transactions, &mut self.raw);
            }
            Piece::Elements(batch) => payload::encode_batch(batch, &mut self.raw),
        }
        if self.raw.len() > MAX_BLOCK_BYTES {
            return Err(too_large(&summary));
        }
        let (compression, bytes) = compress(&mut self.zstd, &self.raw)?;
        Ok(Some(Encoded {
            raw_len: u32::try_from(self.raw.len()).expect("a block is at most 64 MiB"),
            compression,
            crc: crc32c(&bytes),
            bytes,
            summary,
        }))
    }
}

/// Compresses where that makes it smaller.
pub(super) fn compress(
    zstd: &mut zstd::bulk::Compressor<'_>,
    raw: &[u8],
) -> Result<(Compression, Vec<u8>), Error> {
    let bytes = zstd.compress(raw).map_err(no_zstd)?;
    Ok(if bytes.len() < raw.len() {
        (Compression::Zstd, bytes)
    } else {
        (Compression::Stored, raw.to_vec())
    })
}

pub(super) fn no_zstd(source: io::Error) -> Error {
    Error::Io {
        doing: "cannot use zstd".to_owned(),
        source,
    }
}

fn check(piece: &Piece) -> Result<(), Error> {
    match piece {
        Piece::Transactions(transactions) => {
            let fits = transactions.len() <= MAX_ELEMENTS;
            let ascends = transactions.is_sorted_by(|a, b| a.tx < b.tx);
            if !fits || !ascends {
                return Err(Error::Inconsistent {
                    what: "transactions are out of order or too many at once".to_owned(),
                });
            }
        }
        Piece::Elements(batch) => {
            batch
                .check()
                .map_err(|Malformed(what)| Error::Inconsistent {
                    what: what.to_owned(),
                })?;
            if !payload::fits(batch) {
                return Err(match Summary::of(piece) {
                    Some(summary) => too_large(&summary),
                    None => Error::Inconsistent {
                        what: "a batch without elements is too large".to_owned(),
                    },
                });
            }
        }
    }
    Ok(())
}

fn too_large(summary: &Summary) -> Error {
    let element = match (summary.kind, summary.first) {
        (BlockKind::Edges, [src, lid, tx]) => format!("edge {lid} of vertex {src}, version {tx}"),
        (_, [lid, tx, _]) => format!("vertex {lid}, version {tx}"),
    };
    Error::Element {
        element,
        what: format!(
            "it, or the batch of {} that it starts, is larger than 64 MiB",
            summary.count
        ),
    }
}

/// Reads payloads. Each worker has its own.
pub struct Decoder {
    zstd: zstd::bulk::Decompressor<'static>,
    raw: Vec<u8>,
}

/// A block whose payload is what it should be.
#[derive(Debug)]
pub struct Decoded {
    pub at: u64,
    pub kind: BlockKind,
    pub raw_len: u32,
    /// None for a block that holds no part of the graph.
    pub content: Option<(Piece, Summary)>,
}

impl Decoder {
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            zstd: zstd::bulk::Decompressor::new().map_err(no_zstd)?,
            raw: Vec::new(),
        })
    }

    /// Checks everything that can be checked on one block alone.
    pub fn decode(&mut self, block: &RawBlock) -> Result<Decoded, Damage> {
        let damage = |what: &str| {
            let number = block.head.sequence;
            Damage::new(block.at, format!("block {number} is damaged, {what},"))
        };
        let raw = decompress(&mut self.zstd, &mut self.raw, block)
            .map_err(|Malformed(what)| damage(what))?;
        let count = block.head.count as usize;
        let piece = match block.head.kind {
            BlockKind::Transactions => payload::decode_transactions(raw, count)
                .map(|transactions| Some(Piece::Transactions(transactions))),
            BlockKind::Vertices => elements(Kind::Vertices, raw, count),
            BlockKind::Edges => elements(Kind::Edges, raw, count),
            BlockKind::Comment => std::str::from_utf8(raw)
                .map(|_| None)
                .map_err(|_| Malformed("a text is not UTF-8")),
            BlockKind::Footer | BlockKind::Other(_) => Ok(None),
        };
        let piece = piece.map_err(|Malformed(what)| damage(what))?;
        let content = match piece {
            Some(piece) => {
                let summary = Summary::of(&piece).ok_or_else(|| damage("it holds no elements"))?;
                Some((piece, summary))
            }
            None => None,
        };
        Ok(Decoded {
            at: block.at,
            kind: block.head.kind,
            raw_len: block.head.raw_len,
            content,
        })
    }
}

fn elements(kind: Kind, raw: &[u8], count: usize) -> Result<Option<Piece>, Malformed> {
    let batch = payload::decode_batch(kind, raw, count)?;
    Ok(Some(Piece::Elements(Box::new(batch))))
}

/// Returns a block's payload as it was before compression, in `raw` where it was compressed.
pub(super) fn decompress<'a>(
    zstd: &mut zstd::bulk::Decompressor<'_>,
    raw: &'a mut Vec<u8>,
    block: &'a RawBlock,
) -> Result<&'a [u8], Malformed> {
    if crc32c(&block.bytes) != block.head.payload_crc {
        return Err(Malformed("it does not match its checksum"));
    }
    match block.head.compression {
        Compression::Stored => Ok(&block.bytes),
        Compression::Zstd => {
            let length = block.head.raw_len as usize;
            raw.clear();
            raw.reserve_exact(length);
            let written = zstd
                .decompress_to_buffer(&block.bytes, raw)
                .map_err(|_| Malformed("it cannot be decompressed"))?;
            if written != length {
                return Err(Malformed("it has another length than its head says"));
            }
            Ok(raw)
        }
    }
}
