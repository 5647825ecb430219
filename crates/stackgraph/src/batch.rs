//! Many elements, column by column.
//!
//! A batch is what travels between a store and a `.graph` file: one batch becomes one block. It carries its own
//! names (labels and property keys), so that every block stands alone: it can be decoded, checked and salvaged
//! without any other. The fields are public because three modules (codec, digest, rows) walk them in tight loops;
//! [`Batch::check`] states what must hold between them, and everything that reads outside bytes calls it.

mod builder;
mod check;
mod rows;

pub use builder::{Builder, value_ref};
pub use rows::Rows;

use crate::model::{Lid, Tx};

/// What the elements of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Vertices,
    Edges,
}

/// Elements of one kind, ascending by `(lid, tx)` for vertices and by `(src, lid, tx)` for edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub kind: Kind,
    /// Labels and keys of this batch, each once; columns and `label` refer to them by position.
    pub names: Names,
    pub lid: Vec<Lid>,
    pub tx: Vec<Tx>,
    pub deleted: Vec<bool>,
    /// Positions in `names`.
    pub label: Vec<u32>,
    /// Edges only, else empty.
    pub src: Vec<Lid>,
    /// Edges only, else empty.
    pub dst: Vec<Lid>,
    /// Vertices only: how many identifiers each has; else empty.
    pub identifier_counts: Vec<u32>,
    /// Vertices only: all identifiers in element order.
    pub identifiers: Blobs,
    /// One per key and type that occurs, ascending by `(key, type tag)`.
    pub columns: Vec<Column>,
}

/// The values of one key and one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Position in the batch's `names`.
    pub key: u32,
    /// The elements (positions in the batch) that have the property, ascending.
    pub rows: Vec<u32>,
    pub values: Values,
}

/// One value per entry of [`Column::rows`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Nothing but the number of rows.
    Null,
    Bool(Vec<bool>),
    Int(Vec<i64>),
    /// The bits of each.
    Float(Vec<u64>),
    Time(Vec<i64>),
    /// UTF-8.
    Text(Blobs),
    Bytes(Blobs),
    /// The canonical encoding (docs/graph-format.md §Values) of a list, set or map, whichever the tag says.
    Nested(Nested, Blobs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nested {
    List,
    Set,
    Map,
}

/// Byte strings laid end to end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blobs {
    /// Where each ends in `data`, ascending; the first starts at 0.
    pub ends: Vec<u32>,
    pub data: Vec<u8>,
}

/// Distinct texts in the order of their first use.
pub type Names = Blobs;

impl Blobs {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// # Panics
    /// Where the batch would pass 4 GiB; writers close a batch long before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.ends
            .push(u32::try_from(self.data.len()).expect("a batch is closed long before 4 GiB"));
    }

    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.data[start as usize..self.ends[index] as usize]
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }
}

impl Batch {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            names: Names::default(),
            lid: Vec::new(),
            tx: Vec::new(),
            deleted: Vec::new(),
            label: Vec::new(),
            src: Vec::new(),
            dst: Vec::new(),
            identifier_counts: Vec::new(),
            identifiers: Blobs::default(),
            columns: Vec::new(),
        }
    }

    /// How many elements it holds.
    pub fn len(&self) -> usize {
        self.lid.len()
    }

    pub fn is_empty(&self) -> bool {
        self.lid.is_empty()
    }
}
