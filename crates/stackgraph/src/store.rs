//! What every graph store promises.
//!
//! The promises are tested in `tests/it/contract.rs`, one suite for all drivers.

use std::collections::BTreeMap;

use lifeboat_core::backup::Consistency;

use crate::batch::Batch;
use crate::digest::Digest;
use crate::error::Error;
use crate::model::Transaction;

/// A place that holds one graph with its history.
pub trait GraphStore: Send + Sync {
    /// Returns what the store is and how much it holds. Changes nothing.
    fn info(&self) -> Result<Info, Error>;

    /// Returns a frozen view. Writers go on meanwhile and are not seen. Dropping it releases what it held.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error>;

    /// Starts to replace the whole content. Nothing that others can see changes before [`Loader::commit`] returns;
    /// a loader that is dropped, or whose process is killed, leaves the old content serving, and what it had
    /// prepared is removed by the next one.
    ///
    /// Fails with [`Error::NotEmpty`] unless the store is empty or `mode` says to replace.
    fn begin_load(&self, mode: LoadMode, expected: &Expected) -> Result<Box<dyn Loader>, Error>;
}

/// What a store is and how much it holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The driver's name, for example `embedded`.
    pub driver: &'static str,
    pub consistency: Consistency,
    pub totals: Totals,
}

/// Numbers of element versions: what a file's footer promises and a load must reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub transactions: u64,
    /// Vertex versions by label.
    pub vertices: BTreeMap<String, u64>,
    /// Edge versions by label.
    pub edges: BTreeMap<String, u64>,
    pub digest: Digest,
}

impl Totals {
    pub fn vertex_count(&self) -> u64 {
        self.vertices.values().sum()
    }

    pub fn edge_count(&self) -> u64 {
        self.edges.values().sum()
    }

    /// Vertex and edge versions together: the number behind every rate that Lifeboat prints.
    pub fn elements(&self) -> u64 {
        self.vertex_count() + self.edge_count()
    }
}

/// What is known of a graph before it is loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// 0 where it is not known.
    pub elements: u64,
    /// Decompressed bytes, 0 where it is not known.
    pub raw_bytes: u64,
    /// The most memory that the load may take, in bytes.
    pub memory: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMode {
    /// Only into an empty store.
    IntoEmpty,
    /// Whatever the store holds is replaced.
    Replace,
}

/// A piece of a graph: how a graph travels. Transactions come first, then vertices, then edges, each in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Ascending by `tx`.
    Transactions(Vec<Transaction>),
    Elements(Box<Batch>),
}

/// A frozen view of a store.
pub trait Snapshot: Send {
    /// The counts of what it will yield. The digest is not known yet and is that of nothing.
    fn totals(&self) -> &Totals;

    fn consistency(&self) -> Consistency;

    /// Returns the next piece in order, none when all have been returned. A batch has at most
    /// [`MAX_ELEMENTS`](crate::format::MAX_ELEMENTS) elements.
    fn next(&mut self) -> Result<Option<Piece>, Error>;
}

/// A replacement of a store's content in the making.
pub trait Loader: Send {
    /// Takes the next piece. Pieces must come in order; what is out of order, repeated, or refers to a vertex that
    /// does not exist is refused here or at commit.
    fn add(&mut self, piece: Piece) -> Result<(), Error>;

    /// Checks the counts against `promised`, makes everything durable and switches in one step.
    fn commit(self: Box<Self>, promised: &Totals) -> Result<(), Error>;
}
