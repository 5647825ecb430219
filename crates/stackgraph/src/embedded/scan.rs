//! The whole of a frozen state, batch by batch: what a backup reads.
//!
//! Rows go straight into the columns of a batch; nothing is allocated for one element.

use redb::{AccessGuard, Range, ReadOnlyDatabase};

use lifeboat_core::backup::Consistency;

use super::claim::Claim;
use super::names::Names;
use super::row;
use super::tables::{
    OUT, READ, TRANSACTIONS, VERTICES, begin_read, damaged, failed, part, read_meta,
};
use crate::batch::{Batch, Builder, Kind};
use crate::error::Error;
use crate::format::MAX_ELEMENTS;
use crate::model::Transaction;
use crate::store::{Piece, Snapshot, Totals};

type Bytes = &'static [u8];
type Fixed<const N: usize> = &'static [u8; N];

/// A batch is closed before it would grow beyond this, unless one element alone does.
const MAX_BYTES: usize = 4 * 1024 * 1024;
const UNNAMED: u32 = u32::MAX;

pub(super) struct Scan {
    totals: Totals,
    transactions: Range<'static, Fixed<8>, Fixed<8>>,
    vertices: Rows<16>,
    edges: Rows<24>,
    translation: Translation,
    // The parts above read through these; fields are dropped in this order.
    _database: ReadOnlyDatabase,
    _claim: Claim,
}

impl Scan {
    pub(super) fn new(database: ReadOnlyDatabase, claim: Claim) -> Result<Self, Error> {
        let transaction = begin_read(&database)?;
        let names = Names::read(&transaction)?;
        let totals = read_meta(&transaction)?.totals(&names)?;
        let transactions = transaction.open_table(TRANSACTIONS).map_err(failed(READ))?;
        let vertices = transaction.open_table(VERTICES).map_err(failed(READ))?;
        let edges = transaction.open_table(OUT).map_err(failed(READ))?;
        Ok(Self {
            totals,
            transactions: transactions.range::<&[u8; 8]>(..).map_err(failed(READ))?,
            vertices: Rows::new(vertices.range::<&[u8; 16]>(..).map_err(failed(READ))?),
            edges: Rows::new(edges.range::<&[u8; 24]>(..).map_err(failed(READ))?),
            translation: Translation::new(names),
            _database: database,
            _claim: claim,
        })
    }

    fn next_transactions(&mut self) -> Result<Option<Piece>, Error> {
        let piece = (&mut self.transactions)
            .take(MAX_ELEMENTS)
            .map(|entry| {
                let (tx, millis) = entry.map_err(failed(READ))?;
                Ok(Transaction {
                    tx: u64::from_be_bytes(*tx.value()),
                    millis: i64::from_be_bytes(*millis.value()),
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok((!piece.is_empty()).then_some(Piece::Transactions(piece)))
    }

    fn next_vertices(&mut self) -> Result<Option<Batch>, Error> {
        let translation = &mut self.translation;
        self.vertices
            .next_batch(Kind::Vertices, |key, bytes, builder| {
                let mut row = row::Reader::new(bytes);
                let head = row.head().map_err(damaged)?;
                let label = translation.name(head.label, builder)?;
                builder.begin_vertex(part(key, 0), part(key, 1), head.deleted, label);
                row.identifiers(|urn| builder.identifier(urn))
                    .map_err(damaged)?;
                translation.props(row, builder)
            })
            .inspect(|_| self.translation.forget())
    }

    fn next_edges(&mut self) -> Result<Option<Batch>, Error> {
        let translation = &mut self.translation;
        self.edges
            .next_batch(Kind::Edges, |key, bytes, builder| {
                let mut row = row::Reader::new(bytes);
                let head = row.head().map_err(damaged)?;
                let label = translation.name(head.label, builder)?;
                let dst = row.dst().map_err(damaged)?;
                let (src, lid, tx) = (part(key, 0), part(key, 1), part(key, 2));
                builder.begin_edge(lid, tx, head.deleted, label, src, dst);
                translation.props(row, builder)
            })
            .inspect(|_| self.translation.forget())
    }
}

impl Snapshot for Scan {
    fn totals(&self) -> &Totals {
        &self.totals
    }

    fn consistency(&self) -> Consistency {
        Consistency::Snapshot
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        if let Some(piece) = self.next_transactions()? {
            return Ok(Some(piece));
        }
        let batch = match self.next_vertices()? {
            Some(batch) => Some(batch),
            None => self.next_edges()?,
        };
        Ok(batch.map(|batch| Piece::Elements(Box::new(batch))))
    }
}

/// Names of the store to names of the batch being built.
struct Translation {
    names: Names,
    /// By id of the store: the position among the batch's names, or [`UNNAMED`].
    positions: Vec<u32>,
}

impl Translation {
    fn new(names: Names) -> Self {
        Self {
            positions: vec![UNNAMED; names.len()],
            names,
        }
    }

    fn name(&mut self, id: u32, builder: &mut Builder) -> Result<u32, Error> {
        match self.positions.get(id as usize) {
            Some(&position) if position != UNNAMED => Ok(position),
            _ => {
                let position = builder.name(self.names.text(id)?.as_bytes());
                self.positions[id as usize] = position;
                Ok(position)
            }
        }
    }

    fn props(&mut self, row: row::Reader<'_>, builder: &mut Builder) -> Result<(), Error> {
        row.props(|key, value| {
            let key = self.name(key, builder).map_err(RowError::Store)?;
            builder.prop(key, value);
            Ok(())
        })
        .map_err(RowError::into_error)
    }

    /// The next batch has names of its own.
    fn forget(&mut self) {
        self.positions.fill(UNNAMED);
    }
}

enum RowError {
    Row(crate::value::Malformed),
    Store(Error),
}

impl From<crate::value::Malformed> for RowError {
    fn from(malformed: crate::value::Malformed) -> Self {
        Self::Row(malformed)
    }
}

impl RowError {
    fn into_error(self) -> Error {
        match self {
            Self::Row(malformed) => damaged(malformed),
            Self::Store(error) => error,
        }
    }
}

type Entry<const N: usize> = (AccessGuard<'static, Fixed<N>>, AccessGuard<'static, Bytes>);

/// The rows of one table, cut into batches.
struct Rows<const N: usize> {
    range: Range<'static, Fixed<N>, Bytes>,
    /// Read, but too large for the batch before.
    pending: Option<Entry<N>>,
}

impl<const N: usize> Rows<N> {
    fn new(range: Range<'static, Fixed<N>, Bytes>) -> Self {
        Self {
            range,
            pending: None,
        }
    }

    fn next_batch(
        &mut self,
        kind: Kind,
        mut add: impl FnMut(&[u8; N], &[u8], &mut Builder) -> Result<(), Error>,
    ) -> Result<Option<Batch>, Error> {
        let mut builder = Builder::new(kind);
        while builder.len() < MAX_ELEMENTS {
            let entry = match self.pending.take() {
                Some(entry) => entry,
                None => match self.range.next() {
                    Some(entry) => entry.map_err(failed(READ))?,
                    None => break,
                },
            };
            let bytes = entry.1.value();
            if !builder.is_empty() && builder.raw_bytes() + bytes.len() > MAX_BYTES {
                self.pending = Some(entry);
                break;
            }
            add(entry.0.value(), bytes, &mut builder)?;
        }
        Ok((!builder.is_empty()).then(|| builder.finish()))
    }
}
