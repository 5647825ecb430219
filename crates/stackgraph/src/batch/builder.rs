//! Puts elements into a batch one after another.

use std::collections::HashMap;

use super::{Batch, Blobs, Column, Kind, Nested, Values};
use crate::model::{Edge, Lid, Tx, Value, Vertex};
use crate::value::{ValueRef, encode_nested};

const NO_COLUMN: u32 = u32::MAX;
const TAGS: usize = 10;

/// Builds a [`Batch`]. Elements are given in order; after each `begin_…` come its identifiers and properties.
pub struct Builder {
    batch: Batch,
    name_ids: HashMap<Box<[u8]>, u32>,
    /// For each name the column of each type.
    columns: Vec<[u32; TAGS]>,
    raw_bytes: usize,
    scratch: Vec<u8>,
}

impl Builder {
    pub fn new(kind: Kind) -> Self {
        Self {
            batch: Batch::new(kind),
            name_ids: HashMap::new(),
            columns: Vec::new(),
            raw_bytes: 0,
            scratch: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.batch.len()
    }

    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// About how many bytes the batch takes in memory: what tells a writer to close it.
    pub fn raw_bytes(&self) -> usize {
        self.raw_bytes
    }

    /// Returns the position of a label or key, adding it at its first use.
    pub fn name(&mut self, name: &[u8]) -> u32 {
        if let Some(&id) = self.name_ids.get(name) {
            return id;
        }
        let id = u32::try_from(self.batch.names.len()).expect("a batch has fewer than 2^32 names");
        self.batch.names.push(name);
        self.name_ids.insert(name.into(), id);
        self.columns.push([NO_COLUMN; TAGS]);
        self.raw_bytes += name.len() + 4;
        id
    }

    pub fn begin_vertex(&mut self, lid: Lid, tx: Tx, deleted: bool, label: u32) {
        debug_assert_eq!(self.batch.kind, Kind::Vertices);
        self.begin(lid, tx, deleted, label);
        self.batch.identifier_counts.push(0);
    }

    pub fn begin_edge(&mut self, lid: Lid, tx: Tx, deleted: bool, label: u32, src: Lid, dst: Lid) {
        debug_assert_eq!(self.batch.kind, Kind::Edges);
        self.begin(lid, tx, deleted, label);
        self.batch.src.push(src);
        self.batch.dst.push(dst);
        self.raw_bytes += 16;
    }

    fn begin(&mut self, lid: Lid, tx: Tx, deleted: bool, label: u32) {
        self.batch.lid.push(lid);
        self.batch.tx.push(tx);
        self.batch.deleted.push(deleted);
        self.batch.label.push(label);
        self.raw_bytes += 21;
    }

    /// Adds an identifier to the vertex begun last.
    pub fn identifier(&mut self, urn: &[u8]) {
        self.batch.identifiers.push(urn);
        *self
            .batch
            .identifier_counts
            .last_mut()
            .expect("an identifier follows its vertex") += 1;
        self.raw_bytes += urn.len() + 4;
    }

    /// Adds a property to the element begun last. A key is given at most once for an element.
    pub fn prop(&mut self, key: u32, value: ValueRef<'_>) {
        let row =
            u32::try_from(self.batch.len() - 1).expect("a batch has fewer than 2^32 elements");
        let slot = &mut self.columns[key as usize][usize::from(value.tag())];
        if *slot == NO_COLUMN {
            *slot = u32::try_from(self.batch.columns.len())
                .expect("a batch has fewer than 2^32 columns");
            self.batch.columns.push(Column {
                key,
                rows: Vec::new(),
                values: Values::empty(value),
            });
        }
        let column = &mut self.batch.columns[*slot as usize];
        column.rows.push(row);
        self.raw_bytes += 4 + column.values.push(value);
    }

    pub fn push_vertex(&mut self, vertex: &Vertex) {
        let label = self.name(vertex.label.as_bytes());
        self.begin_vertex(vertex.lid, vertex.tx, vertex.deleted, label);
        for urn in &vertex.identifiers {
            self.identifier(urn.as_bytes());
        }
        self.props(&vertex.props);
    }

    pub fn push_edge(&mut self, edge: &Edge) {
        let label = self.name(edge.label.as_bytes());
        self.begin_edge(edge.lid, edge.tx, edge.deleted, label, edge.src, edge.dst);
        self.props(&edge.props);
    }

    fn props(&mut self, props: &std::collections::BTreeMap<String, Value>) {
        for (key, value) in props {
            let key = self.name(key.as_bytes());
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.clear();
            self.prop(key, value_ref(value, &mut scratch));
            self.scratch = scratch;
        }
    }

    /// Returns the batch, its columns in order.
    pub fn finish(self) -> Batch {
        let mut batch = self.batch;
        batch
            .columns
            .sort_unstable_by_key(|column| (column.key, column.values.tag()));
        batch
    }
}

/// Borrows a value; nested ones are encoded into `scratch`.
pub fn value_ref<'a>(value: &'a Value, scratch: &'a mut Vec<u8>) -> ValueRef<'a> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Bool(value) => ValueRef::Bool(*value),
        Value::Int(value) => ValueRef::Int(*value),
        Value::Float(value) => ValueRef::Float(value.to_bits()),
        Value::Time(value) => ValueRef::Time(*value),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Bytes(bytes) => ValueRef::Bytes(bytes),
        Value::List(_) | Value::Set(_) | Value::Map(_) => {
            let nested = encode_nested(value, scratch);
            ValueRef::Nested(nested, scratch)
        }
    }
}

impl Values {
    fn empty(like: ValueRef<'_>) -> Self {
        match like {
            ValueRef::Null => Self::Null,
            ValueRef::Bool(_) => Self::Bool(Vec::new()),
            ValueRef::Int(_) => Self::Int(Vec::new()),
            ValueRef::Float(_) => Self::Float(Vec::new()),
            ValueRef::Time(_) => Self::Time(Vec::new()),
            ValueRef::Text(_) => Self::Text(Blobs::default()),
            ValueRef::Bytes(_) => Self::Bytes(Blobs::default()),
            ValueRef::Nested(nested, _) => Self::Nested(nested, Blobs::default()),
        }
    }

    /// Appends a value of the column's own type and returns how many bytes it took.
    fn push(&mut self, value: ValueRef<'_>) -> usize {
        match (self, value) {
            (Self::Null, ValueRef::Null) => 0,
            (Self::Bool(values), ValueRef::Bool(value)) => {
                values.push(value);
                1
            }
            (Self::Int(values), ValueRef::Int(value))
            | (Self::Time(values), ValueRef::Time(value)) => {
                values.push(value);
                8
            }
            (Self::Float(values), ValueRef::Float(bits)) => {
                values.push(bits);
                8
            }
            (Self::Text(blobs), ValueRef::Text(bytes))
            | (Self::Bytes(blobs), ValueRef::Bytes(bytes))
            | (Self::Nested(_, blobs), ValueRef::Nested(_, bytes)) => {
                blobs.push(bytes);
                bytes.len() + 4
            }
            _ => unreachable!("a column is found by the type of its values"),
        }
    }

    pub fn tag(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Time(_) => 4,
            Self::Text(_) => 5,
            Self::Bytes(_) => 6,
            Self::Nested(Nested::List, _) => Nested::List.tag(),
            Self::Nested(Nested::Set, _) => Nested::Set.tag(),
            Self::Nested(Nested::Map, _) => Nested::Map.tag(),
        }
    }
}
