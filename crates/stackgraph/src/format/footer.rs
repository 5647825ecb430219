//! The last block and the tail: docs/graph-format.md §Footer and §Tail.
//!
//! Everything a listing shows is here, and the tail says where it starts, so that a ranged request for the last bytes of
//! an object is enough. The tail is the completion mark of a backup: it is written last.

use jiff::Timestamp;
use lifeboat_core::backup::Consistency;

use super::block::HEAD_BYTES;
use super::header::{HEADER_BYTES, ends_early, refuse_newer};
use super::input::Input;
use super::{BlockKind, Damage, Head, MAJOR, MINOR, RawBlock, codec, crc32c};
use crate::digest::Digest;
use crate::error::Error;
use crate::store::Totals;
use crate::value::{Malformed, put_uvarint};

pub const TAIL_BYTES: usize = 24;

const TAIL_MAGIC: &[u8; 8] = b"LBGREND\0";

/// What a complete file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    pub major: u16,
    pub minor: u16,
    pub uuid: [u8; 16],
    pub created: Timestamp,
    /// Program and version that wrote the file.
    pub program: String,
    /// The driver of the store that it was written from.
    pub driver: String,
    pub consistency: Consistency,
    pub totals: Totals,
    /// The least and the greatest of all element versions.
    pub lids: Option<(u64, u64)>,
    pub txs: Option<(u64, u64)>,
    /// Bytes of all payloads before the footer when decompressed.
    pub raw_bytes: u64,
    /// Of all bytes before the footer's block.
    pub blake3: [u8; 32],
    /// All blocks before the footer.
    pub entries: Vec<Entry>,
    /// Bytes of the whole file. Follows from where the footer lies; not stored.
    pub file_bytes: u64,
}

/// Where a block lies and what it starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub kind: BlockKind,
    pub at: u64,
    /// Elements or transactions inside.
    pub count: u64,
    /// See [`Summary::first`](super::Summary::first).
    pub first: [u64; 3],
}

/// What the end of a file has told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FooterOrMore {
    Footer(Box<Footer>),
    /// The last so many bytes of the file are needed.
    More(u64),
}

impl Footer {
    /// Reads the footer from the last bytes of a file (at least [`TAIL_BYTES`], where the file has as many).
    ///
    /// Fails with [`Error::Damaged`] for a file without a valid end, which is also what a file of another kind looks like
    /// from here ([`Header::decode`](super::Header::decode) can tell), and with [`Error::Newer`] for a higher major version.
    pub fn from_tail(last: &[u8], file_bytes: u64) -> Result<FooterOrMore, Error> {
        let Some((_, tail)) = last.split_last_chunk::<TAIL_BYTES>() else {
            return Err(ends_early(file_bytes).into());
        };
        let (at, length) = decode_tail(tail).ok_or_else(|| ends_early(file_bytes))?;
        let wanted = u64::from(length) + TAIL_BYTES as u64;
        if at.checked_add(wanted) != Some(file_bytes) || at < HEADER_BYTES as u64 {
            return Err(Damage::new(
                file_bytes.saturating_sub(TAIL_BYTES as u64),
                "the end mark does not fit the length of the file, which",
            )
            .into());
        }
        let start = usize::try_from(wanted)
            .ok()
            .and_then(|wanted| last.len().checked_sub(wanted));
        let Some(start) = start else {
            return Ok(FooterOrMore::More(wanted));
        };
        let damage = |what: &str| Damage::new(at, format!("the footer is damaged, {what},"));
        let block = &last[start..last.len() - TAIL_BYTES];
        let (head, payload) = block
            .split_first_chunk::<HEAD_BYTES>()
            .ok_or_else(|| damage("it is cut short"))?;
        let head = Head::decode(head).map_err(damage)?;
        if head.kind != BlockKind::Footer || head.stored_len as usize != payload.len() {
            return Err(damage("the end mark points at something else").into());
        }
        let block = RawBlock {
            at,
            head,
            bytes: payload.to_vec(),
        };
        Ok(FooterOrMore::Footer(Box::new(Self::of_block(&block)?)))
    }

    /// Reads a footer's block.
    pub(super) fn of_block(block: &RawBlock) -> Result<Self, Error> {
        let damage = |Malformed(what): Malformed| {
            Damage::new(block.at, format!("the footer is damaged, {what},"))
        };
        let mut zstd = zstd::bulk::Decompressor::new().map_err(codec::no_zstd)?;
        let mut raw = Vec::new();
        let raw = codec::decompress(&mut zstd, &mut raw, block).map_err(damage)?;
        let mut input = Input::new(raw);
        let version = input.array().map_err(damage)?;
        let [a, b, c, d] = version;
        let (major, minor) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        refuse_newer(major)?;
        let mut footer = Self::decode(&mut input, minor).map_err(damage)?;
        input.end().map_err(damage)?;
        let stored = u64::from(block.head.stored_len);
        footer.file_bytes = block.at + (HEAD_BYTES + TAIL_BYTES) as u64 + stored;
        Ok(footer)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAJOR.to_le_bytes());
        out.extend_from_slice(&MINOR.to_le_bytes());
        out.extend_from_slice(&self.uuid);
        out.extend_from_slice(&self.created.as_millisecond().to_le_bytes());
        out.extend_from_slice(&self.totals.digest.0.to_le_bytes());
        out.extend_from_slice(&self.blake3);
        out.push(match self.consistency {
            Consistency::Snapshot => 0,
            Consistency::Quiesced => 1,
            Consistency::BestEffort => 2,
        });
        put_text(&self.program, out);
        put_text(&self.driver, out);
        put_uvarint(self.raw_bytes, out);
        put_uvarint(self.totals.transactions, out);
        for labels in [&self.totals.vertices, &self.totals.edges] {
            put_uvarint(labels.len() as u64, out);
            for (label, &count) in labels {
                put_text(label, out);
                put_uvarint(count, out);
            }
        }
        for range in [self.lids, self.txs] {
            match range {
                None => out.push(0),
                Some((low, high)) => {
                    out.push(1);
                    put_uvarint(low, out);
                    put_uvarint(high, out);
                }
            }
        }
        put_uvarint(self.entries.len() as u64, out);
        for entry in &self.entries {
            out.push(entry.kind.code());
            put_uvarint(entry.at, out);
            put_uvarint(entry.count, out);
            for key in entry.first {
                put_uvarint(key, out);
            }
        }
        // Fields that later minor versions add.
        put_uvarint(0, out);
    }

    fn decode(input: &mut Input<'_>, minor: u16) -> Result<Self, Malformed> {
        let uuid = input.array()?;
        let created = Timestamp::from_millisecond(input.u64()?.cast_signed())
            .map_err(|_| Malformed("its time is no time"))?;
        let digest = Digest(u128::from_le_bytes(input.array()?));
        let blake3 = input.array()?;
        let consistency = match input.byte()? {
            0 => Consistency::Snapshot,
            1 => Consistency::Quiesced,
            2 => Consistency::BestEffort,
            _ => return Err(Malformed("its consistency is unknown")),
        };
        let footer = Self {
            major: MAJOR,
            minor,
            uuid,
            created,
            consistency,
            blake3,
            program: input.text()?,
            driver: input.text()?,
            raw_bytes: input.uvarint()?,
            totals: Totals {
                transactions: input.uvarint()?,
                vertices: take_labels(input)?,
                edges: take_labels(input)?,
                digest,
            },
            lids: take_range(input)?,
            txs: take_range(input)?,
            entries: take_entries(input)?,
            file_bytes: 0,
        };
        for _ in 0..input.count()? {
            input.uvarint()?;
            let length = input.count()?;
            input.take(length)?;
        }
        Ok(footer)
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_uvarint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn take_labels(
    input: &mut Input<'_>,
) -> Result<std::collections::BTreeMap<String, u64>, Malformed> {
    let mut labels = std::collections::BTreeMap::new();
    let mut sum = 0_u64;
    for _ in 0..input.count()? {
        let label = input.text()?;
        let count = input.uvarint()?;
        // Whoever adds the counts up must not be made to overflow.
        sum = sum
            .checked_add(count)
            .filter(|&sum| sum <= u64::MAX / 4)
            .ok_or(Malformed("its counts are impossible"))?;
        if labels.insert(label, count).is_some() {
            return Err(Malformed("it names a label twice"));
        }
    }
    Ok(labels)
}

fn take_range(input: &mut Input<'_>) -> Result<Option<(u64, u64)>, Malformed> {
    match input.byte()? {
        0 => Ok(None),
        1 => Ok(Some((input.uvarint()?, input.uvarint()?))),
        _ => Err(Malformed("it has a malformed range")),
    }
}

fn take_entries(input: &mut Input<'_>) -> Result<Vec<Entry>, Malformed> {
    let count = input.count()?;
    // Each takes six bytes in the file and 48 here.
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(Entry {
            kind: BlockKind::from_code(input.byte()?),
            at: input.uvarint()?,
            count: input.uvarint()?,
            first: [input.uvarint()?, input.uvarint()?, input.uvarint()?],
        });
    }
    Ok(entries)
}

pub(super) fn encode_tail(at: u64, length: u32) -> [u8; TAIL_BYTES] {
    let mut bytes = [0; TAIL_BYTES];
    bytes[..8].copy_from_slice(&at.to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c(&bytes[..12]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes[16..].copy_from_slice(TAIL_MAGIC);
    bytes
}

/// Returns where the footer's block starts and how long it is, or none for bytes that are no tail.
pub(super) fn decode_tail(bytes: &[u8; TAIL_BYTES]) -> Option<(u64, u32)> {
    let (at, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, magic) = rest.split_first_chunk::<4>()?;
    (magic == TAIL_MAGIC && crc32c(&bytes[..12]) == u32::from_le_bytes(*crc))
        .then(|| (u64::from_le_bytes(*at), u32::from_le_bytes(*length)))
}
