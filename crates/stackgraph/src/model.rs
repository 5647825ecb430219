//! The graph as a person thinks of it: one vertex, one edge, one value.
//!
//! These types are for loading, looking up and testing. Bulk work (export, import, verify) moves
//! [`Batch`](crate::batch::Batch)es and never builds them.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Identifies a vertex or an edge for the life of its store. Vertices and edges share one number space.
pub type Lid = u64;

/// Orders the versions of an element: the transaction that wrote it. See [`Transaction`].
pub type Tx = u64;

/// When a transaction was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    pub tx: Tx,
    /// Milliseconds since 1970 in UTC; may be negative.
    pub millis: i64,
}

/// One version of a vertex. The version with the highest `tx` is the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    pub lid: Lid,
    pub tx: Tx,
    /// This version says that the vertex is gone; what it was stands in the version before.
    pub deleted: bool,
    pub label: String,
    /// URNs by which the vertex can be looked up, without repetition.
    pub identifiers: Vec<String>,
    pub props: BTreeMap<String, Value>,
}

/// One version of an edge. Several edges of one label between one pair of vertices are legal, as is `src == dst`;
/// `src` and `dst` are the same in all versions of an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub lid: Lid,
    pub tx: Tx,
    pub deleted: bool,
    pub label: String,
    pub src: Lid,
    pub dst: Lid,
    pub props: BTreeMap<String, Value>,
}

/// A property's value. Floats are equal when their bits are: a NaN equals itself, `-0.0` is not `0.0`.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Milliseconds since 1970 in UTC.
    Time(i64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    /// No two are equal; the order has no meaning and is that of the canonical encoding.
    Set(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// Makes a set: sorts by canonical encoding and removes repetitions.
    pub fn set(items: Vec<Value>) -> Self {
        let mut items = items;
        items.sort();
        items.dedup();
        Self::Set(items)
    }

    /// The tag of docs/graph-format.md §Values; also the first order among values of different types.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Time(_) => 4,
            Self::Text(_) => 5,
            Self::Bytes(_) => 6,
            Self::List(_) => 7,
            Self::Set(_) => 8,
            Self::Map(_) => 9,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    /// A total order in which values are equal exactly when their canonical encodings are.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) | (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.to_bits().cmp(&b.to_bits()),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) | (Self::Set(a), Self::Set(b)) => a.cmp(b),
            (Self::Map(a), Self::Map(b)) => a.cmp(b),
            _ => self.tag().cmp(&other.tag()),
        }
    }
}
