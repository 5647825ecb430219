//! One frozen state of a generation, read element by element.
//!
//! Lookups and the writer stand on it; bulk reading is [`scan`](super::scan), which builds no elements.

use std::collections::BTreeMap;

use redb::{Range, ReadOnlyTable, ReadTransaction};

use super::counters::Counters;
use super::names::Names;
use super::row;
use super::tables::{
    IDENTIFIERS, IN, OUT, READ, TRANSACTIONS, VERTICES, damaged, failed, hash, ident_key,
    ident_lid, key16, key24, part, read_meta,
};
use crate::error::Error;
use crate::model::{Edge, Lid, Tx, Value, Vertex};
use crate::value::{Malformed, ValueRef};

type Bytes = &'static [u8];
type Fixed<const N: usize> = &'static [u8; N];

pub(super) struct Graph {
    pub(super) names: Names,
    pub(super) counters: Counters,
    transactions: ReadOnlyTable<Fixed<8>, Fixed<8>>,
    vertices: ReadOnlyTable<Fixed<16>, Bytes>,
    out: ReadOnlyTable<Fixed<24>, Bytes>,
    incoming: ReadOnlyTable<Fixed<16>, Fixed<8>>,
    identifiers: ReadOnlyTable<Fixed<20>, ()>,
}

impl Graph {
    pub(super) fn open(transaction: &ReadTransaction) -> Result<Self, Error> {
        Ok(Self {
            counters: read_meta(transaction)?,
            names: Names::read(transaction)?,
            transactions: transaction.open_table(TRANSACTIONS).map_err(failed(READ))?,
            vertices: transaction.open_table(VERTICES).map_err(failed(READ))?,
            out: transaction.open_table(OUT).map_err(failed(READ))?,
            incoming: transaction.open_table(IN).map_err(failed(READ))?,
            identifiers: transaction.open_table(IDENTIFIERS).map_err(failed(READ))?,
        })
    }

    /// Returns when a transaction was made, none where the graph came without it.
    pub(super) fn millis(&self, tx: Tx) -> Result<Option<i64>, Error> {
        let found = self
            .transactions
            .get(&tx.to_be_bytes())
            .map_err(failed(READ))?;
        Ok(found.map(|millis| i64::from_be_bytes(*millis.value())))
    }

    /// Returns the version that counts, which may be a deletion.
    pub(super) fn vertex(&self, lid: Lid) -> Result<Option<Vertex>, Error> {
        let mut versions = self.vertex_range(lid)?;
        let Some(last) = versions.next_back() else {
            return Ok(None);
        };
        let (key, bytes) = last.map_err(failed(READ))?;
        self.decode_vertex(key.value(), bytes.value()).map(Some)
    }

    /// Returns all versions, the oldest first.
    pub(super) fn versions(&self, lid: Lid) -> Result<Vec<Vertex>, Error> {
        self.vertex_range(lid)?
            .map(|entry| {
                let (key, bytes) = entry.map_err(failed(READ))?;
                self.decode_vertex(key.value(), bytes.value())
            })
            .collect()
    }

    /// Returns the vertices whose current version has the identifier.
    pub(super) fn holders(&self, identifier: &str) -> Result<Vec<Vertex>, Error> {
        let mut found = Vec::new();
        for lid in self.candidates(identifier)? {
            let vertex = self.vertex(lid)?.filter(|vertex| !vertex.deleted);
            let vertex = vertex.ok_or_else(|| {
                damaged(Malformed(
                    "an identifier leads to a vertex that is not there",
                ))
            })?;
            if vertex.identifiers.iter().any(|own| own == identifier) {
                found.push(vertex);
            }
        }
        Ok(found)
    }

    /// Returns the vertices that have an identifier of the same hash.
    pub(super) fn candidates(&self, identifier: &str) -> Result<Vec<Lid>, Error> {
        let hash = hash(identifier.as_bytes());
        self.identifiers
            .range::<&[u8; 20]>(&ident_key(hash, 0, 0)..=&ident_key(hash, u32::MAX, u64::MAX))
            .map_err(failed(READ))?
            .map(|entry| {
                let (key, _) = entry.map_err(failed(READ))?;
                Ok(ident_lid(key.value()))
            })
            .collect()
    }

    /// Gives the current version of each edge that leaves a vertex and is not deleted, in the order of lids.
    pub(super) fn each_outgoing(
        &self,
        src: Lid,
        mut each: impl FnMut(Edge) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let range = self
            .out
            .range::<&[u8; 24]>(&key24(src, 0, 0)..=&key24(src, u64::MAX, u64::MAX))
            .map_err(failed(READ))?;
        self.each_current(range, &mut each)
    }

    /// The same for the edges of the whole graph.
    pub(super) fn each_edge(
        &self,
        mut each: impl FnMut(Edge) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let all = self
            .out
            .range::<&[u8; 24]>(&key24(0, 0, 0)..)
            .map_err(failed(READ))?;
        self.each_current(all, &mut each)
    }

    fn each_current(
        &self,
        range: Range<'static, Fixed<24>, Bytes>,
        each: &mut impl FnMut(Edge) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut last = None;
        for entry in range {
            let (key, bytes) = entry.map_err(failed(READ))?;
            if let Some((last_key, last_bytes)) = last.replace((key, bytes)) {
                let next_key = &last.as_ref().expect("it was just put there").0;
                if last_key.value()[..16] != next_key.value()[..16] {
                    self.give_current(last_key.value(), last_bytes.value(), each)?;
                }
            }
        }
        match last {
            Some((key, bytes)) => self.give_current(key.value(), bytes.value(), each),
            None => Ok(()),
        }
    }

    fn give_current(
        &self,
        key: &[u8; 24],
        bytes: &[u8],
        each: &mut impl FnMut(Edge) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let edge = self.decode_edge(key, bytes)?;
        if edge.deleted { Ok(()) } else { each(edge) }
    }

    /// Gives source and lid of each edge that points at a vertex, deleted ones among them.
    pub(super) fn each_incoming(
        &self,
        dst: Lid,
        mut each: impl FnMut(Lid, Lid) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let range = self
            .incoming
            .range::<&[u8; 16]>(&key16(dst, 0)..=&key16(dst, u64::MAX))
            .map_err(failed(READ))?;
        for entry in range {
            let (key, src) = entry.map_err(failed(READ))?;
            each(u64::from_be_bytes(*src.value()), part(key.value(), 1))?;
        }
        Ok(())
    }

    /// Returns the version of an edge that counts, which may be a deletion.
    pub(super) fn edge(&self, src: Lid, lid: Lid) -> Result<Option<Edge>, Error> {
        let mut versions = self
            .out
            .range::<&[u8; 24]>(&key24(src, lid, 0)..=&key24(src, lid, u64::MAX))
            .map_err(failed(READ))?;
        let Some(last) = versions.next_back() else {
            return Ok(None);
        };
        let (key, bytes) = last.map_err(failed(READ))?;
        self.decode_edge(key.value(), bytes.value()).map(Some)
    }

    fn vertex_range(&self, lid: Lid) -> Result<Range<'static, Fixed<16>, Bytes>, Error> {
        self.vertices
            .range::<&[u8; 16]>(&key16(lid, 0)..=&key16(lid, u64::MAX))
            .map_err(failed(READ))
    }

    fn decode_vertex(&self, key: &[u8; 16], bytes: &[u8]) -> Result<Vertex, Error> {
        let mut row = row::Reader::new(bytes);
        let head = row.head().map_err(damaged)?;
        let mut identifiers = Vec::new();
        row.identifiers(|urn| identifiers.push(urn))
            .map_err(damaged)?;
        Ok(Vertex {
            lid: part(key, 0),
            tx: part(key, 1),
            deleted: head.deleted,
            label: self.names.text(head.label)?.to_owned(),
            identifiers: identifiers
                .into_iter()
                .map(|urn| std::str::from_utf8(urn).map(str::to_owned))
                .collect::<Result<_, _>>()
                .map_err(|_| damaged(Malformed("an identifier is not UTF-8")))?,
            props: self.props(row)?,
        })
    }

    fn decode_edge(&self, key: &[u8; 24], bytes: &[u8]) -> Result<Edge, Error> {
        let mut row = row::Reader::new(bytes);
        let head = row.head().map_err(damaged)?;
        Ok(Edge {
            src: part(key, 0),
            lid: part(key, 1),
            tx: part(key, 2),
            deleted: head.deleted,
            label: self.names.text(head.label)?.to_owned(),
            dst: row.dst().map_err(damaged)?,
            props: self.props(row)?,
        })
    }

    fn props(&self, row: row::Reader<'_>) -> Result<BTreeMap<String, Value>, Error> {
        let mut encoded: Vec<(u32, ValueRef<'_>)> = Vec::new();
        row.props::<Malformed>(|key, value| {
            encoded.push((key, value));
            Ok(())
        })
        .map_err(damaged)?;
        encoded
            .into_iter()
            .map(|(key, value)| {
                let key = self.names.text(key)?.to_owned();
                Ok((key, value.to_value().map_err(damaged)?))
            })
            .collect()
    }
}
