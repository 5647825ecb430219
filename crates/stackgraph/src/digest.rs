//! A fingerprint of a graph that does not depend on order, batching or the store that holds it.
//!
//! It is what proves that a restored graph is the one that was backed up: written into every file, computed again
//! when the file is read, and comparable between stores of different kinds. It guards against accidents, not against
//! forgery; the file's BLAKE3 is for that. docs/graph-format.md §Digest is the contract.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use twox_hash::{XxHash3_64, XxHash3_128};

use crate::batch::{Batch, Blobs, Column, Kind, Values};
use crate::error::Error;
use crate::model::Transaction;
use crate::store::{Piece, Snapshot};

/// Set apart the hashes of texts that play different parts.
const LABEL_SEED: u64 = 0x4c41_4245_4c00_0000;
const IDENTIFIER_SEED: u64 = 0x4944_454e_5400_0000;

const VERTEX: u8 = 1;
const EDGE: u8 = 2;
const TRANSACTION: u8 = 3;

/// The sum, modulo 2^128, of the hashes of all element versions and transactions. Equal graphs have equal digests;
/// the digest of nothing is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Digest(pub u128);

impl Digest {
    /// The digest of a batch's elements. The batch must hold what [`Batch::check`] checks.
    pub fn of_batch(batch: &Batch) -> Self {
        let mut sums = vec![0_u128; batch.len()];
        for column in &batch.columns {
            add_column(column, batch.names.get(column.key as usize), &mut sums);
        }
        add_identifiers(batch, &mut sums);
        let labels: Vec<u128> = batch
            .names
            .iter()
            .map(|name| XxHash3_128::oneshot_with_seed(LABEL_SEED, name))
            .collect();
        let mut total = Self::default();
        for (row, &sum) in sums.iter().enumerate() {
            let (kind, src, dst) = match batch.kind {
                Kind::Vertices => (VERTEX, 0, 0),
                Kind::Edges => (EDGE, batch.src[row], batch.dst[row]),
            };
            let mut head = [0; 72];
            head[0] = kind;
            head[1] = u8::from(batch.deleted[row]);
            head[8..16].copy_from_slice(&batch.lid[row].to_le_bytes());
            head[16..24].copy_from_slice(&batch.tx[row].to_le_bytes());
            head[24..32].copy_from_slice(&src.to_le_bytes());
            head[32..40].copy_from_slice(&dst.to_le_bytes());
            head[40..56].copy_from_slice(&labels[batch.label[row] as usize].to_le_bytes());
            head[56..72].copy_from_slice(&sum.to_le_bytes());
            total.add(Self(XxHash3_128::oneshot(&head)));
        }
        total
    }

    /// The digest of transactions.
    pub fn of_transactions(transactions: &[Transaction]) -> Self {
        let mut total = Self::default();
        for transaction in transactions {
            let mut head = [0; 24];
            head[0] = TRANSACTION;
            head[8..16].copy_from_slice(&transaction.tx.to_le_bytes());
            head[16..24].copy_from_slice(&transaction.millis.to_le_bytes());
            total.add(Self(XxHash3_128::oneshot(&head)));
        }
        total
    }

    pub fn of_piece(piece: &Piece) -> Self {
        match piece {
            Piece::Transactions(transactions) => Self::of_transactions(transactions),
            Piece::Elements(batch) => Self::of_batch(batch),
        }
    }

    /// Reads a snapshot to its end. One thread; [`export`](mod@crate::export) computes the same on the way.
    pub fn of_snapshot(snapshot: &mut dyn Snapshot) -> Result<Self, Error> {
        let mut total = Self::default();
        while let Some(piece) = snapshot.next()? {
            total.add(Self::of_piece(&piece));
        }
        Ok(total)
    }

    /// Joins the digests of two parts of a graph; the order of the parts has no meaning.
    pub fn add(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

/// Adds the hash of each value to the sum of its element. Key and type are in the seed.
fn add_column(column: &Column, key: &[u8], sums: &mut [u128]) {
    let seed = XxHash3_64::oneshot_with_seed(u64::from(column.values.tag()), key);
    let mut add = |row: u32, bytes: &[u8]| {
        let sum = &mut sums[row as usize];
        *sum = sum.wrapping_add(XxHash3_128::oneshot_with_seed(seed, bytes));
    };
    let rows = column.rows.iter().copied();
    match &column.values {
        Values::Null => rows.for_each(|row| add(row, &[])),
        Values::Bool(values) => {
            for (row, &value) in rows.zip(values) {
                add(row, &[u8::from(value)]);
            }
        }
        Values::Int(values) | Values::Time(values) => {
            for (row, value) in rows.zip(values) {
                add(row, &value.to_le_bytes());
            }
        }
        Values::Float(values) => {
            for (row, bits) in rows.zip(values) {
                add(row, &bits.to_le_bytes());
            }
        }
        Values::Text(blobs) | Values::Bytes(blobs) | Values::Nested(_, blobs) => {
            for (row, bytes) in rows.zip(each(blobs)) {
                add(row, bytes);
            }
        }
    }
}

fn add_identifiers(batch: &Batch, sums: &mut [u128]) {
    let mut identifiers = each(&batch.identifiers);
    for (sum, &count) in sums.iter_mut().zip(&batch.identifier_counts) {
        for urn in identifiers.by_ref().take(count as usize) {
            *sum = sum.wrapping_add(XxHash3_128::oneshot_with_seed(IDENTIFIER_SEED, urn));
        }
    }
}

/// Like [`Blobs::iter`], without looking up where each one starts.
fn each(blobs: &Blobs) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    blobs.ends.iter().map(move |&end| {
        let bytes = &blobs.data[start..end as usize];
        start = end as usize;
        bytes
    })
}

impl fmt::Display for Digest {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest of 32 hexadecimal digits")]
pub struct NotADigest(String);

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let refused = || NotADigest(text.to_owned());
        // `from_str_radix` alone would take a leading `+`.
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| refused())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
