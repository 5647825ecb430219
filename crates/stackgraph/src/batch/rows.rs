//! A batch seen element by element.

use std::collections::BTreeMap;

use super::{Batch, Column, Kind, Values};
use crate::model::{Edge, Value, Vertex};
use crate::value::{Malformed, ValueRef};

/// Where the properties of each element lie: the transposition of the columns, made in one pass over them.
pub struct Rows<'a> {
    batch: &'a Batch,
    /// The first entry of each element, and one past the last.
    starts: Vec<u32>,
    /// Column and position in it, ascending by column for each element.
    entries: Vec<(u32, u32)>,
    /// The first identifier of each vertex, and one past the last.
    identifier_starts: Vec<u32>,
}

impl Batch {
    /// Prepares the view by element. The batch must hold what [`Batch::check`] checks.
    pub fn rows(&self) -> Rows<'_> {
        let mut starts = vec![0_u32; self.len() + 1];
        for column in &self.columns {
            for &row in &column.rows {
                starts[row as usize + 1] += 1;
            }
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let mut next = starts.clone();
        let mut entries = vec![(0, 0); *starts.last().expect("there is always one more") as usize];
        for (column, number) in self.columns.iter().zip(0_u32..) {
            for (&row, position) in column.rows.iter().zip(0_u32..) {
                let slot = &mut next[row as usize];
                entries[*slot as usize] = (number, position);
                *slot += 1;
            }
        }
        let mut identifier_starts = Vec::with_capacity(self.identifier_counts.len() + 1);
        let mut sum = 0;
        identifier_starts.push(sum);
        for count in &self.identifier_counts {
            sum += count;
            identifier_starts.push(sum);
        }
        Rows {
            batch: self,
            starts,
            entries,
            identifier_starts,
        }
    }

    /// Builds every vertex. Fails where a text is not UTF-8 or a nested value is malformed.
    pub fn vertices(&self) -> Result<Vec<Vertex>, Malformed> {
        debug_assert_eq!(self.kind, Kind::Vertices);
        let rows = self.rows();
        (0..self.len())
            .map(|row| {
                Ok(Vertex {
                    lid: self.lid[row],
                    tx: self.tx[row],
                    deleted: self.deleted[row],
                    label: text(self.names.get(self.label[row] as usize))?,
                    identifiers: rows.identifiers(row).map(text).collect::<Result<_, _>>()?,
                    props: rows.owned_props(row)?,
                })
            })
            .collect()
    }

    /// Builds every edge. Fails where a text is not UTF-8 or a nested value is malformed.
    pub fn edges(&self) -> Result<Vec<Edge>, Malformed> {
        debug_assert_eq!(self.kind, Kind::Edges);
        let rows = self.rows();
        (0..self.len())
            .map(|row| {
                Ok(Edge {
                    lid: self.lid[row],
                    tx: self.tx[row],
                    deleted: self.deleted[row],
                    label: text(self.names.get(self.label[row] as usize))?,
                    src: self.src[row],
                    dst: self.dst[row],
                    props: rows.owned_props(row)?,
                })
            })
            .collect()
    }
}

impl<'a> Rows<'a> {
    /// Returns key (position in the batch's names) and value of each property of an element, ascending by key.
    pub fn props(&self, row: usize) -> impl ExactSizeIterator<Item = (u32, ValueRef<'a>)> {
        let batch = self.batch;
        self.entries[self.starts[row] as usize..self.starts[row + 1] as usize]
            .iter()
            .map(move |&(column, position)| {
                let column = &batch.columns[column as usize];
                (column.key, column.value(position as usize))
            })
    }

    /// Returns the identifiers of a vertex.
    pub fn identifiers(&self, row: usize) -> impl ExactSizeIterator<Item = &'a [u8]> {
        let identifiers = &self.batch.identifiers;
        (self.identifier_starts[row] as usize..self.identifier_starts[row + 1] as usize)
            .map(move |index| identifiers.get(index))
    }

    fn owned_props(&self, row: usize) -> Result<BTreeMap<String, Value>, Malformed> {
        self.props(row)
            .map(|(key, value)| Ok((text(self.batch.names.get(key as usize))?, value.to_value()?)))
            .collect()
    }
}

impl Column {
    /// Returns the value of the element `rows[position]`.
    pub fn value(&self, position: usize) -> ValueRef<'_> {
        match &self.values {
            Values::Null => ValueRef::Null,
            Values::Bool(values) => ValueRef::Bool(values[position]),
            Values::Int(values) => ValueRef::Int(values[position]),
            Values::Float(bits) => ValueRef::Float(bits[position]),
            Values::Time(values) => ValueRef::Time(values[position]),
            Values::Text(blobs) => ValueRef::Text(blobs.get(position)),
            Values::Bytes(blobs) => ValueRef::Bytes(blobs.get(position)),
            Values::Nested(nested, blobs) => ValueRef::Nested(*nested, blobs.get(position)),
        }
    }
}

fn text(bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Malformed("a text is not UTF-8"))
}
