//! The tables of a generation and the bytes of their keys.
//!
//! | table | key | value |
//! |---|---|---|
//! | `meta` | a word | `format`: version · `counters`: [`Counters`] |
//! | `strings` | id | label or property key |
//! | `tx` | tx | milliseconds |
//! | `v` | lid, tx | [row](super::row) |
//! | `e_out` | src, lid, tx | [row](super::row) |
//! | `e_in` | dst, lid | src; one for each edge, whatever its versions |
//! | `ident` | XXH3-64 of the URN, label id, lid | nothing; current versions only |
//!
//! Numbers in keys are big-endian, so that the order of the bytes is that of the numbers.

use std::path::Path;

use redb::{
    Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadableDatabase, TableDefinition,
};
use twox_hash::XxHash3_64;

use super::counters::Counters;
use crate::error::Error;
use crate::value::Malformed;

type Bytes = &'static [u8];
type Fixed<const N: usize> = &'static [u8; N];

pub(super) const META: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("meta");
pub(super) const STRINGS: TableDefinition<'_, Fixed<4>, Bytes> = TableDefinition::new("strings");
pub(super) const TRANSACTIONS: TableDefinition<'_, Fixed<8>, Fixed<8>> = TableDefinition::new("tx");
pub(super) const VERTICES: TableDefinition<'_, Fixed<16>, Bytes> = TableDefinition::new("v");
pub(super) const OUT: TableDefinition<'_, Fixed<24>, Bytes> = TableDefinition::new("e_out");
pub(super) const IN: TableDefinition<'_, Fixed<16>, Fixed<8>> = TableDefinition::new("e_in");
pub(super) const IDENTIFIERS: TableDefinition<'_, Fixed<20>, ()> = TableDefinition::new("ident");

const FORMAT: &[u8] = b"format";
const COUNTERS: &[u8] = b"counters";
const VERSION: u8 = 1;

/// Gives a redb error its sentence.
pub(super) fn failed<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Database {
        doing,
        source: Box::new(error.into()),
    }
}

pub(super) const READ: &str = "cannot read the graph";
pub(super) const WRITE: &str = "cannot write the graph";

/// A store whose bytes are not what this crate wrote.
pub(super) fn damaged(what: Malformed) -> Error {
    Error::Database {
        doing: READ,
        source: Box::new(redb::Error::Corrupted(what.0.to_owned())),
    }
}

fn builder(cache: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(cache)
        .set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// Opens a file for writing, new or old. After a crash this repairs it, which may read all of it.
pub(super) fn open_writable(file: &Path, cache: usize) -> Result<Database, Error> {
    builder(cache)
        .create(file)
        .map_err(failed("cannot open the graph for writing"))
}

/// Opens a file for reading, beside a writer in this or another process.
pub(super) fn open_readable(file: &Path, cache: usize) -> Result<ReadOnlyDatabase, redb::Error> {
    Ok(builder(cache).open_read_only(file)?)
}

/// Creates every table and the records of `meta`: what every generation has, even an empty one.
pub(super) fn initialise(database: &Database) -> Result<(), Error> {
    let transaction = database.begin_write().map_err(failed(WRITE))?;
    transaction.open_table(STRINGS).map_err(failed(WRITE))?;
    transaction
        .open_table(TRANSACTIONS)
        .map_err(failed(WRITE))?;
    transaction.open_table(VERTICES).map_err(failed(WRITE))?;
    transaction.open_table(OUT).map_err(failed(WRITE))?;
    transaction.open_table(IN).map_err(failed(WRITE))?;
    transaction.open_table(IDENTIFIERS).map_err(failed(WRITE))?;
    write_meta(&transaction, &Counters::default())?;
    transaction.commit().map_err(failed(WRITE))
}

pub(super) fn write_meta(
    transaction: &redb::WriteTransaction,
    counters: &Counters,
) -> Result<(), Error> {
    let mut meta = transaction.open_table(META).map_err(failed(WRITE))?;
    meta.insert(FORMAT, &[VERSION][..]).map_err(failed(WRITE))?;
    meta.insert(COUNTERS, counters.encode().as_slice())
        .map_err(failed(WRITE))?;
    Ok(())
}

/// Reads the counters, having checked that the generation is of a version that this crate knows.
pub(super) fn read_meta(transaction: &redb::ReadTransaction) -> Result<Counters, Error> {
    let meta = transaction.open_table(META).map_err(failed(READ))?;
    let version = meta.get(FORMAT).map_err(failed(READ))?;
    match version.as_ref().map(redb::AccessGuard::value) {
        Some([VERSION]) => {}
        Some([newer]) => return Err(failed(READ)(redb::Error::UpgradeRequired(*newer))),
        _ => return Err(damaged(Malformed("the store has no format version"))),
    }
    let counters = meta
        .get(COUNTERS)
        .map_err(failed(READ))?
        .ok_or_else(|| damaged(Malformed("the store has no counters")))?;
    Counters::decode(counters.value()).map_err(damaged)
}

/// Begins a read transaction on either kind of database.
pub(super) fn begin_read(database: &impl ReadableDatabase) -> Result<redb::ReadTransaction, Error> {
    database.begin_read().map_err(failed(READ))
}

/// Joins two numbers into a key.
pub(super) fn key16(first: u64, second: u64) -> [u8; 16] {
    (u128::from(first) << 64 | u128::from(second)).to_be_bytes()
}

/// Joins three numbers into a key.
pub(super) fn key24(first: u64, second: u64, third: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&key16(first, second));
    key[16..].copy_from_slice(&third.to_be_bytes());
    key
}

/// The key of an identifier: hash, label, lid.
pub(super) fn ident_key(hash: u64, label: u32, lid: u64) -> [u8; 20] {
    let mut key = [0; 20];
    key[..8].copy_from_slice(&hash.to_be_bytes());
    key[8..12].copy_from_slice(&label.to_be_bytes());
    key[12..].copy_from_slice(&lid.to_be_bytes());
    key
}

/// The number at position `index` of a key made of 64-bit numbers.
pub(super) fn part(key: &[u8], index: usize) -> u64 {
    let eight = key[index * 8..index * 8 + 8]
        .try_into()
        .expect("a slice of eight bytes");
    u64::from_be_bytes(eight)
}

/// The lid of an identifier's key.
pub(super) fn ident_lid(key: &[u8; 20]) -> u64 {
    let lid = key[12..].try_into().expect("a slice of eight bytes");
    u64::from_be_bytes(lid)
}

/// The hash under which a URN is indexed. It is looked up, then compared: a collision costs a read, never a wrong
/// answer.
pub(super) fn hash(urn: &[u8]) -> u64 {
    XxHash3_64::oneshot(urn)
}
