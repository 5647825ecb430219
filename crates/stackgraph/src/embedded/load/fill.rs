//! The threads that fill the tables of a new generation.
//!
//! All work within one redb transaction, each on a table of its own, always appending: redb's cursors buffer runs of
//! ascending keys, which is several times faster than inserting. Nothing is visible to anybody before the commit at
//! the end, and the file is not even the store's before it is published.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use crossbeam_channel::Receiver;
use redb::{TableDefinition, WriteTransaction};

use super::check::{self, MOST_SUSPECTS, Suspect};
use crate::batch::Batch;
use crate::embedded::counters::{Count, Counters};
use crate::embedded::names::Names;
use crate::embedded::row;
use crate::embedded::sort::{Merge, Sorter};
use crate::embedded::tables::{
    IDENTIFIERS, IN, OUT, TRANSACTIONS, VERTICES, WRITE, failed, hash, ident_key, key16, key24,
    open_writable, write_meta,
};
use crate::error::Error;
use crate::model::Transaction;
use crate::store::Totals;

/// A batch on its way, with the store's id of each of its names.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) names: Vec<u32>,
}

/// What the coordinator works with.
pub(super) struct Inbox {
    pub(super) file: PathBuf,
    /// Where sorted runs are spilled.
    pub(super) scratch: PathBuf,
    /// Bytes for everything.
    pub(super) memory: usize,
    pub(super) transactions: Receiver<Vec<Transaction>>,
    pub(super) vertex_rows: Receiver<Arc<Job>>,
    pub(super) vertex_identifiers: Receiver<Arc<Job>>,
    pub(super) edge_rows: Receiver<Arc<Job>>,
    pub(super) edge_ends: Receiver<Arc<Job>>,
    /// Nothing is committed without it.
    pub(super) finish: Receiver<Finish>,
    /// Tells every thread to end early.
    pub(super) stop: Arc<AtomicBool>,
}

/// What is known once everything has been taken in.
pub(super) struct Finish {
    pub(super) names: Names,
    pub(super) transactions: u64,
    pub(super) next_lid: u64,
    pub(super) next_tx: u64,
    pub(super) promised: Totals,
}

/// An end that was asked for, not a failure of its own.
const STOPPED: Error = Error::Worker("load");

type Tally = BTreeMap<u32, Count>;

/// Fills the file and commits. Returns after every thread has ended, whatever happened.
pub(super) fn run(inbox: &Inbox) -> Result<(), Error> {
    let database = open_writable(&inbox.file, inbox.memory / 4)?;
    let transaction = database.begin_write().map_err(failed(WRITE))?;
    let (vertices, edges, suspects) = fill_tables(&transaction, inbox)?;
    let finish = inbox.finish.recv().map_err(|_| STOPPED)?;
    let counters = Counters {
        next_lid: finish.next_lid,
        next_tx: finish.next_tx,
        transactions: finish.transactions,
        vertices,
        edges,
    };
    check::totals(&counters, &finish)?;
    check::suspects(&transaction, &finish.names, &suspects)?;
    finish.names.write(&transaction)?;
    write_meta(&transaction, &counters)?;
    transaction.commit().map_err(failed(WRITE))?;
    database.close().map_err(failed(WRITE))
}

fn fill_tables(
    transaction: &WriteTransaction,
    inbox: &Inbox,
) -> Result<(Tally, Tally, Vec<Suspect>), Error> {
    let stop = &*inbox.stop;
    let fresh = |name| Sorter::new(&inbox.scratch, name, inbox.memory / 8);
    std::thread::scope(|scope| {
        let times = scope.spawn(|| guarded(stop, || fill_transactions(transaction, inbox)));
        let vertices = scope.spawn(|| guarded(stop, || fill_vertices(transaction, inbox)));
        let edges = scope.spawn(|| guarded(stop, || fill_edges(transaction, inbox)));
        let identifiers = scope.spawn(|| {
            guarded(stop, || {
                let sorted = sort_identifiers(&inbox.vertex_identifiers, fresh("ident"))?;
                fill_identifiers(transaction, sorted, stop)
            })
        });
        let incoming = scope.spawn(|| {
            guarded(stop, || {
                let sorted = sort_ends(&inbox.edge_ends, fresh("in"))?;
                fill_incoming(transaction, sorted, stop)
            })
        });
        let mut causes = Vec::new();
        let times = ended(times, &mut causes);
        let vertices = ended(vertices, &mut causes);
        let edges = ended(edges, &mut causes);
        let identifiers = ended(identifiers, &mut causes);
        let incoming = ended(incoming, &mut causes);
        match (times, vertices, edges, identifiers, incoming) {
            (Some(()), Some(vertices), Some(edges), Some(suspects), Some(())) => {
                Ok((vertices, edges, suspects))
            }
            _ => Err(first_cause(causes)),
        }
    })
}

/// Runs one thread's work; when it fails, the others are told to end.
fn guarded<T>(stop: &AtomicBool, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    work().inspect_err(|_| stop.store(true, Ordering::Relaxed))
}

/// Waits for a thread. Why it failed goes to the causes.
fn ended<T>(thread: ScopedJoinHandle<'_, Result<T, Error>>, causes: &mut Vec<Error>) -> Option<T> {
    thread
        .join()
        .unwrap_or(Err(STOPPED))
        .map_err(|error| causes.push(error))
        .ok()
}

/// Finds the failure among the threads that only ended because of it.
fn first_cause(causes: Vec<Error>) -> Error {
    causes
        .into_iter()
        .find(|error| !matches!(error, Error::Worker(_)))
        .unwrap_or(STOPPED)
}

fn go_on(stop: &AtomicBool) -> Result<(), Error> {
    if stop.load(Ordering::Relaxed) {
        Err(STOPPED)
    } else {
        Ok(())
    }
}

fn fill_transactions(transaction: &WriteTransaction, inbox: &Inbox) -> Result<(), Error> {
    let mut table = transaction
        .open_table(TRANSACTIONS)
        .map_err(failed(WRITE))?;
    let mut cursor = table
        .upper_bound_mut(Bound::<&[u8; 8]>::Unbounded)
        .map_err(failed(WRITE))?;
    for transactions in &inbox.transactions {
        go_on(&inbox.stop)?;
        for Transaction { tx, millis } in transactions {
            cursor
                .insert_before(&tx.to_be_bytes(), &millis.to_be_bytes())
                .map_err(failed(WRITE))?;
        }
    }
    cursor.close().map_err(failed(WRITE))
}

fn fill_vertices(transaction: &WriteTransaction, inbox: &Inbox) -> Result<Tally, Error> {
    let key = |batch: &Batch, row: usize| key16(batch.lid[row], batch.tx[row]);
    fill_rows(transaction, VERTICES, &inbox.vertex_rows, &inbox.stop, key)
}

fn fill_edges(transaction: &WriteTransaction, inbox: &Inbox) -> Result<Tally, Error> {
    let key = |batch: &Batch, row: usize| key24(batch.src[row], batch.lid[row], batch.tx[row]);
    fill_rows(transaction, OUT, &inbox.edge_rows, &inbox.stop, key)
}

/// Fills `v` or `e_out`. All but the last eight bytes of a key (the transaction) say which element it is.
fn fill_rows<const N: usize>(
    transaction: &WriteTransaction,
    table: TableDefinition<'_, &'static [u8; N], &'static [u8]>,
    jobs: &Receiver<Arc<Job>>,
    stop: &AtomicBool,
    key: impl Fn(&Batch, usize) -> [u8; N],
) -> Result<Tally, Error> {
    let mut table = transaction.open_table(table).map_err(failed(WRITE))?;
    let mut cursor = table
        .upper_bound_mut(Bound::<&[u8; N]>::Unbounded)
        .map_err(failed(WRITE))?;
    let mut tally: Vec<Count> = Vec::new();
    let mut last: Option<([u8; N], u32, bool)> = None;
    let mut bytes = Vec::new();
    for job in jobs {
        go_on(stop)?;
        let Job { batch, names } = &*job;
        tally.resize(
            names
                .iter()
                .fold(tally.len(), |length, &id| length.max(id as usize + 1)),
            Count::default(),
        );
        let rows = batch.rows();
        for row in 0..batch.len() {
            let key = key(batch, row);
            bytes.clear();
            row::put_element(batch, &rows, row, names, &mut bytes);
            cursor
                .insert_before(&key, bytes.as_slice())
                .map_err(failed(WRITE))?;
            let label = names[batch.label[row] as usize];
            tally[label as usize].versions += 1;
            if let Some((last, label, false)) = last
                && last[..N - 8] != key[..N - 8]
            {
                tally[label as usize].current += 1;
            }
            last = Some((key, label, batch.deleted[row]));
        }
    }
    if let Some((_, label, false)) = last {
        tally[label as usize].current += 1;
    }
    cursor.close().map_err(failed(WRITE))?;
    Ok((0_u32..)
        .zip(tally)
        .filter(|(_, count)| count.versions > 0)
        .collect())
}

/// Sorts the identifiers of current versions as `[hash, label, lid]`. A version is current when none of the same
/// vertex follows, so each waits for its successor.
fn sort_identifiers(jobs: &Receiver<Arc<Job>>, mut sorter: Sorter) -> Result<Merge, Error> {
    let mut waiting: Vec<[u64; 3]> = Vec::new();
    let mut waiting_lid = None;
    for job in jobs {
        let Job { batch, names } = &*job;
        let rows = batch.rows();
        for row in 0..batch.len() {
            let lid = batch.lid[row];
            if waiting_lid != Some(lid) {
                for &record in &waiting {
                    sorter.push(record)?;
                }
            }
            waiting.clear();
            waiting_lid = Some(lid);
            if !batch.deleted[row] {
                let label = u64::from(names[batch.label[row] as usize]);
                waiting.extend(rows.identifiers(row).map(|urn| [hash(urn), label, lid]));
            }
        }
    }
    for record in waiting {
        sorter.push(record)?;
    }
    sorter.finish()
}

/// Sorts edges as `[dst, lid, src]`, each once.
fn sort_ends(jobs: &Receiver<Arc<Job>>, mut sorter: Sorter) -> Result<Merge, Error> {
    let mut last = None;
    for job in jobs {
        let batch = &job.batch;
        for row in 0..batch.len() {
            let (src, lid) = (batch.src[row], batch.lid[row]);
            if last.replace((src, lid)) != Some((src, lid)) {
                sorter.push([batch.dst[row], lid, src])?;
            }
        }
    }
    sorter.finish()
}

fn fill_identifiers(
    transaction: &WriteTransaction,
    mut sorted: Merge,
    stop: &AtomicBool,
) -> Result<Vec<Suspect>, Error> {
    let mut table = transaction.open_table(IDENTIFIERS).map_err(failed(WRITE))?;
    let mut cursor = table
        .upper_bound_mut(Bound::<&[u8; 20]>::Unbounded)
        .map_err(failed(WRITE))?;
    let mut suspects = Vec::new();
    let mut last = None;
    while let Some(record) = sorted.next()? {
        // A vertex that names an identifier twice is indexed once.
        if last == Some(record) {
            continue;
        }
        let [hash, label, lid] = record;
        let label = u32::try_from(label).expect("it was a label of 32 bits");
        if let Some([last_hash, last_label, last_lid]) = last.replace(record)
            && (last_hash, last_label) == (record[0], record[1])
            && suspects.len() < MOST_SUSPECTS
        {
            suspects.push(Suspect {
                label,
                lids: [last_lid, lid],
            });
        }
        go_on(stop)?;
        cursor
            .insert_before(&ident_key(hash, label, lid), ())
            .map_err(failed(WRITE))?;
    }
    cursor.close().map_err(failed(WRITE))?;
    Ok(suspects)
}

fn fill_incoming(
    transaction: &WriteTransaction,
    mut sorted: Merge,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let mut table = transaction.open_table(IN).map_err(failed(WRITE))?;
    let mut cursor = table
        .upper_bound_mut(Bound::<&[u8; 16]>::Unbounded)
        .map_err(failed(WRITE))?;
    while let Some([dst, lid, src]) = sorted.next()? {
        go_on(stop)?;
        cursor
            .insert_before(&key16(dst, lid), &src.to_be_bytes())
            .map_err(failed(WRITE))?;
    }
    cursor.close().map_err(failed(WRITE))
}
