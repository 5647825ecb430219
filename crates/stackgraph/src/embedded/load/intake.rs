//! What a load checks before it passes a piece on: order, repetitions, and that the ends of edges exist.

use roaring::RoaringTreemap;

use super::fill::Finish;
use crate::batch::{Batch, Kind};
use crate::embedded::names::Names;
use crate::error::Error;
use crate::model::{Lid, Transaction, Tx};
use crate::store::Totals;

#[derive(Default)]
pub(super) struct Intake {
    names: Names,
    stage: Stage,
    last_transaction: Option<Tx>,
    last_vertex: Option<(Lid, Tx)>,
    last_edge: Option<LastEdge>,
    transactions: u64,
    vertices: RoaringTreemap,
    edges: RoaringTreemap,
    highest_tx: Option<Tx>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Transactions,
    Vertices,
    Edges,
}

#[derive(Clone, Copy)]
struct LastEdge {
    key: (Lid, Lid, Tx),
    dst: Lid,
}

impl Intake {
    pub(super) fn transactions(&mut self, transactions: &[Transaction]) -> Result<(), Error> {
        self.enter(Stage::Transactions)?;
        for transaction in transactions {
            if self.last_transaction >= Some(transaction.tx) {
                return Err(out_of_order("transaction", transaction.tx));
            }
            self.last_transaction = Some(transaction.tx);
        }
        self.highest_tx = self.highest_tx.max(self.last_transaction);
        self.transactions += transactions.len() as u64;
        Ok(())
    }

    /// Returns the store's id of each name of the batch.
    pub(super) fn batch(&mut self, batch: &Batch) -> Result<Vec<u32>, Error> {
        match batch.kind {
            Kind::Vertices => {
                self.enter(Stage::Vertices)?;
                self.vertices(batch)?;
            }
            Kind::Edges => {
                self.enter(Stage::Edges)?;
                self.edges(batch)?;
            }
        }
        self.highest_tx = self.highest_tx.max(batch.tx.iter().max().copied());
        batch
            .names
            .iter()
            .map(|name| {
                let name = std::str::from_utf8(name).map_err(|_| Error::Element {
                    element: "a label or key".to_owned(),
                    what: "is not UTF-8".to_owned(),
                })?;
                Ok(self.names.intern(name))
            })
            .collect()
    }

    fn enter(&mut self, stage: Stage) -> Result<(), Error> {
        if stage < self.stage {
            let (late, after) = match (stage, self.stage) {
                (Stage::Transactions, Stage::Vertices) => ("transactions", "vertices"),
                (Stage::Transactions, _) => ("transactions", "edges"),
                _ => ("vertices", "edges"),
            };
            return Err(Error::Element {
                element: late.to_owned(),
                what: format!("come after {after}"),
            });
        }
        self.stage = stage;
        Ok(())
    }

    fn vertices(&mut self, batch: &Batch) -> Result<(), Error> {
        for (&lid, &tx) in batch.lid.iter().zip(&batch.tx) {
            if self.last_vertex >= Some((lid, tx)) {
                return Err(out_of_order("vertex", lid));
            }
            if self.last_vertex.is_none_or(|(last, _)| last != lid) {
                self.vertices.insert(lid);
            }
            self.last_vertex = Some((lid, tx));
        }
        Ok(())
    }

    fn edges(&mut self, batch: &Batch) -> Result<(), Error> {
        for row in 0..batch.len() {
            let (src, lid, dst) = (batch.src[row], batch.lid[row], batch.dst[row]);
            let key = (src, lid, batch.tx[row]);
            let last = self.last_edge.replace(LastEdge { key, dst });
            if last.is_some_and(|last| last.key >= key) {
                return Err(out_of_order("edge", lid));
            }
            match last {
                Some(last) if (last.key.0, last.key.1) == (src, lid) => {
                    if last.dst != dst {
                        return Err(wrong(
                            "edge",
                            lid,
                            "points at different vertices in its versions",
                        ));
                    }
                }
                _ => {
                    let new_source = last.is_none_or(|last| last.key.0 != src);
                    self.new_edge(lid, new_source.then_some(src), dst)?;
                }
            }
        }
        Ok(())
    }

    fn new_edge(&mut self, lid: Lid, new_source: Option<Lid>, dst: Lid) -> Result<(), Error> {
        if !self.edges.insert(lid) {
            return Err(wrong("edge", lid, "leaves two vertices"));
        }
        if self.vertices.contains(lid) {
            return Err(wrong("edge", lid, "has the number of a vertex"));
        }
        for end in new_source.into_iter().chain([dst]) {
            if !self.vertices.contains(end) {
                return Err(wrong(
                    "edge",
                    lid,
                    &format!("refers to vertex `{end}`, which does not exist"),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, promised: Totals) -> Finish {
        let highest_lid = self.vertices.max().max(self.edges.max());
        Finish {
            names: self.names,
            transactions: self.transactions,
            next_lid: highest_lid.map_or(1, |lid| lid.saturating_add(1)),
            next_tx: self.highest_tx.map_or(1, |tx| tx.saturating_add(1)),
            promised,
        }
    }
}

fn out_of_order(kind: &str, number: u64) -> Error {
    wrong(
        kind,
        number,
        "is repeated or comes after one that it should precede",
    )
}

fn wrong(kind: &str, number: u64, what: &str) -> Error {
    Error::Element {
        element: format!("{kind} `{number}`"),
        what: what.to_owned(),
    }
}
