//! A new generation beside the one that serves, filled as fast as the disk takes it.
//!
//! The caller's thread checks what arrives ([`intake`]); a thread for each table fills it in key order, all within
//! one redb transaction ([`fill`]). Vertices and outgoing edges arrive in order, the two indexes are sorted first.
//!
//! Memory is split once: a quarter for redb's cache, a quarter for sorting, the rest for what is in the queues and
//! for the sets of lids against which the ends of edges are checked.

mod check;
mod fill;
mod intake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

use super::claim::Claim;
use super::directory::{Directory, Draft};
use crate::batch::{Batch, Kind};
use crate::error::Error;
use crate::store::{Expected, Loader, Piece, Totals};
use fill::{Finish, Inbox, Job};
use intake::Intake;

/// Batches that may wait for each thread.
const QUEUE: usize = 3;
/// Where the caller does not say.
const DEFAULT_MEMORY: u64 = 768 * 1024 * 1024;
/// Below this nothing gets done.
const LEAST_MEMORY: u64 = 64 * 1024 * 1024;

pub(super) struct Load {
    intake: Intake,
    /// None once the threads have been told to finish or have failed.
    threads: Option<Threads>,
    draft: Option<Draft>,
    directory: Directory,
    current: u64,
    _claim: Claim,
}

struct Threads {
    transactions: Sender<Vec<crate::model::Transaction>>,
    vertices: [Sender<Arc<Job>>; 2],
    edges: [Sender<Arc<Job>>; 2],
    finish: Sender<Finish>,
    stop: Arc<AtomicBool>,
    coordinator: JoinHandle<Result<(), Error>>,
}

impl Load {
    /// The caller has the store for itself and `current` serves.
    pub(super) fn begin(
        directory: &Directory,
        current: u64,
        expected: &Expected,
        claim: Claim,
    ) -> Result<Self, Error> {
        let (needed, free) = (room_for(expected), directory.free_space()?);
        if needed > free {
            return Err(Error::NoSpace {
                path: directory.path.clone(),
                needed,
                free,
            });
        }
        let draft = directory.draft(Some(current))?;
        let memory = match expected.memory {
            0 => DEFAULT_MEMORY,
            memory => memory.max(LEAST_MEMORY),
        };
        Ok(Self {
            intake: Intake::default(),
            threads: Some(Threads::start(&draft, memory)?),
            draft: Some(draft),
            directory: directory.clone(),
            current,
            _claim: claim,
        })
    }

    fn add_batch(&mut self, batch: Batch) -> Result<(), Error> {
        let kind = batch.kind;
        let names = self.intake.batch(&batch)?;
        let job = Arc::new(Job { batch, names });
        self.send(|threads| {
            let [first, second] = match kind {
                Kind::Vertices => &threads.vertices,
                Kind::Edges => &threads.edges,
            };
            first.send(Arc::clone(&job)).is_ok() && second.send(job).is_ok()
        })
    }

    fn send(&mut self, send: impl FnOnce(&Threads) -> bool) -> Result<(), Error> {
        let threads = self.threads.take().ok_or(Error::Worker("load"))?;
        if send(&threads) {
            self.threads = Some(threads);
            return Ok(());
        }
        // A thread that no longer listens has failed: ask why.
        threads.join(None).and(Err(Error::Worker("load")))
    }
}

impl Loader for Load {
    fn add(&mut self, piece: Piece) -> Result<(), Error> {
        match piece {
            Piece::Transactions(transactions) => {
                self.intake.transactions(&transactions)?;
                self.send(|threads| threads.transactions.send(transactions).is_ok())
            }
            Piece::Elements(batch) => self.add_batch(*batch),
        }
    }

    fn commit(mut self: Box<Self>, promised: &Totals) -> Result<(), Error> {
        let threads = self.threads.take().ok_or(Error::Worker("load"))?;
        let finish = std::mem::take(&mut self.intake).finish(promised.clone());
        threads.join(Some(finish))?;
        // The lock has kept everybody out since the load began; a switch that somebody else made is a bug of theirs.
        if self.directory.current()? != Some(self.current) {
            return Err(Error::Held {
                path: self.directory.path.clone(),
                holder: "another process that does not keep to the lock".to_owned(),
            });
        }
        let draft = self.draft.take().expect("a load is committed once");
        draft.publish()?;
        let served = self.directory.current()?;
        if let Err(error) = self.directory.remove_leftovers(served) {
            tracing::warn!(%error, "the new graph serves, but the old one could not be removed");
        }
        Ok(())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            // The answer is that nothing was committed, which is what dropping asks for.
            drop(threads.join(None));
        }
    }
}

impl Threads {
    fn start(draft: &Draft, memory: u64) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let (transactions, transactions_in) = bounded(QUEUE);
        let (vertex_rows, vertex_rows_in) = bounded(QUEUE);
        let (vertex_identifiers, vertex_identifiers_in) = bounded(QUEUE);
        let (edge_rows, edge_rows_in) = bounded(QUEUE);
        let (edge_ends, edge_ends_in) = bounded(QUEUE);
        let (finish, finish_in) = bounded(1);
        let inbox = Inbox {
            file: draft.graph(),
            scratch: draft.path.clone(),
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            transactions: transactions_in,
            vertex_rows: vertex_rows_in,
            vertex_identifiers: vertex_identifiers_in,
            edge_rows: edge_rows_in,
            edge_ends: edge_ends_in,
            finish: finish_in,
            stop: Arc::clone(&stop),
        };
        let coordinator = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || fill::run(&inbox))
            .map_err(super::io(|| "cannot start a thread".to_owned()))?;
        Ok(Self {
            transactions,
            vertices: [vertex_rows, vertex_identifiers],
            edges: [edge_rows, edge_ends],
            finish,
            stop,
            coordinator,
        })
    }

    /// Waits for the end: a commit with `finish`, nothing at all without.
    fn join(self, finish: Option<Finish>) -> Result<(), Error> {
        match finish {
            Some(finish) => drop(self.finish.send(finish)),
            None => self.stop.store(true, Ordering::Relaxed),
        }
        drop((self.transactions, self.vertices, self.edges, self.finish));
        self.coordinator
            .join()
            .unwrap_or(Err(Error::Worker("load")))
    }
}

/// About how much a generation takes on disk while it is made: rows, indexes and spilled runs.
fn room_for(expected: &Expected) -> u64 {
    let rows = expected.raw_bytes.saturating_mul(2);
    let indexes = expected.elements.saturating_mul(96);
    rows.saturating_add(indexes)
}
