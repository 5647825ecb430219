//! What went by: the sums that become a footer when a file is written and are compared with it when it is read.

use std::collections::BTreeMap;

use super::{BlockKind, Entry, Footer};
use crate::batch::{Batch, Kind};
use crate::digest::Digest;
use crate::model::Transaction;
use crate::store::{Piece, Totals};

/// What is known of one block's content without keeping it. Made by the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub kind: BlockKind,
    pub count: u64,
    /// The keys by which the file is ordered, of the first and the last element: `[lid, tx, 0]` of a vertex,
    /// `[src, lid, tx]` of an edge, `[tx, 0, 0]` of a transaction.
    pub first: [u64; 3],
    pub last: [u64; 3],
    /// Element versions by label.
    pub labels: BTreeMap<String, u64>,
    /// The least and the greatest among element versions.
    pub lids: Option<(u64, u64)>,
    pub txs: Option<(u64, u64)>,
    pub digest: Digest,
}

impl Summary {
    /// None for a piece without elements. A batch must hold what [`Batch::check`] checks.
    pub fn of(piece: &Piece) -> Option<Self> {
        match piece {
            Piece::Transactions(transactions) => Self::of_transactions(transactions),
            Piece::Elements(batch) => Self::of_batch(batch),
        }
    }

    fn of_transactions(transactions: &[Transaction]) -> Option<Self> {
        Some(Self {
            kind: BlockKind::Transactions,
            count: transactions.len() as u64,
            first: [transactions.first()?.tx, 0, 0],
            last: [transactions.last()?.tx, 0, 0],
            labels: BTreeMap::new(),
            lids: None,
            txs: None,
            digest: Digest::of_transactions(transactions),
        })
    }

    fn of_batch(batch: &Batch) -> Option<Self> {
        let last = batch.len().checked_sub(1)?;
        let key = |row: usize| match batch.kind {
            Kind::Vertices => [batch.lid[row], batch.tx[row], 0],
            Kind::Edges => [batch.src[row], batch.lid[row], batch.tx[row]],
        };
        let mut counts = vec![0_u64; batch.names.len()];
        for &label in &batch.label {
            counts[label as usize] += 1;
        }
        let labels = counts.into_iter().zip(batch.names.iter());
        Some(Self {
            kind: match batch.kind {
                Kind::Vertices => BlockKind::Vertices,
                Kind::Edges => BlockKind::Edges,
            },
            count: batch.len() as u64,
            first: key(0),
            last: key(last),
            labels: labels
                .filter(|(count, _)| *count > 0)
                .map(|(count, name)| (String::from_utf8_lossy(name).into_owned(), count))
                .collect(),
            lids: range(&batch.lid),
            txs: range(&batch.tx),
            digest: Digest::of_batch(batch),
        })
    }
}

/// The sums over a file so far.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub totals: Totals,
    pub lids: Option<(u64, u64)>,
    pub txs: Option<(u64, u64)>,
    /// Bytes of all payloads when decompressed.
    pub raw_bytes: u64,
    pub entries: Vec<Entry>,
    last: Option<(u8, [u64; 3])>,
}

impl Tally {
    /// Counts a block. Fails, saying why, where it does not come after the blocks before it; it is counted all the
    /// same, so that a search for damage can go on.
    pub fn add(
        &mut self,
        at: u64,
        kind: BlockKind,
        raw_len: u32,
        summary: Option<&Summary>,
    ) -> Result<(), String> {
        self.raw_bytes += u64::from(raw_len);
        self.entries.push(Entry {
            kind,
            at,
            count: summary.map_or(0, |summary| summary.count),
            first: summary.map_or([0; 3], |summary| summary.first),
        });
        let Some(summary) = summary else {
            return Ok(());
        };
        let totals = &mut self.totals;
        match kind {
            BlockKind::Transactions => totals.transactions += summary.count,
            BlockKind::Vertices => add_labels(&mut totals.vertices, &summary.labels),
            BlockKind::Edges => add_labels(&mut totals.edges, &summary.labels),
            BlockKind::Comment | BlockKind::Footer | BlockKind::Other(_) => {}
        }
        totals.digest.add(summary.digest);
        self.lids = join(self.lids, summary.lids);
        self.txs = join(self.txs, summary.txs);
        let in_order = self.last < Some((kind.code(), summary.first));
        self.last = Some((kind.code(), summary.last));
        if in_order {
            Ok(())
        } else {
            Err("a block does not come after the one before it".to_owned())
        }
    }

    /// Compares with what the footer promises and says where they differ.
    pub fn compare(&self, footer: &Footer) -> Result<(), String> {
        let promised = &footer.totals;
        let numbers = [
            (
                "transactions",
                promised.transactions,
                self.totals.transactions,
            ),
            (
                "vertices",
                promised.vertex_count(),
                self.totals.vertex_count(),
            ),
            ("edges", promised.edge_count(), self.totals.edge_count()),
            (
                "blocks",
                footer.entries.len() as u64,
                self.entries.len() as u64,
            ),
            ("bytes before compression", footer.raw_bytes, self.raw_bytes),
        ];
        for (what, promised, found) in numbers {
            if promised != found {
                return Err(format!(
                    "the footer promises {promised} {what}, the file holds {found}"
                ));
            }
        }
        if promised.digest != self.totals.digest {
            return Err(format!(
                "the footer promises the digest {}, the file has {}",
                promised.digest, self.totals.digest
            ));
        }
        let same_labels = promised == &self.totals;
        if !same_labels || footer.lids != self.lids || footer.txs != self.txs {
            return Err(
                "the footer's counts by label, or its ranges, are not those of the file".to_owned(),
            );
        }
        if footer.entries != self.entries {
            return Err("the footer's index is not that of the file".to_owned());
        }
        Ok(())
    }
}

fn add_labels(totals: &mut BTreeMap<String, u64>, labels: &BTreeMap<String, u64>) {
    for (label, count) in labels {
        match totals.get_mut(label) {
            Some(total) => *total += count,
            None => drop(totals.insert(label.clone(), *count)),
        }
    }
}

fn range(values: &[u64]) -> Option<(u64, u64)> {
    Some((*values.iter().min()?, *values.iter().max()?))
}

fn join(a: Option<(u64, u64)>, b: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (a, b) {
        (Some((low, high)), Some((other_low, other_high))) => {
            Some((low.min(other_low), high.max(other_high)))
        }
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(Summary::of(&Piece::Transactions(Vec::new())), None);
        for kind in [Kind::Vertices, Kind::Edges] {
            assert_eq!(
                Summary::of(&Piece::Elements(Box::new(Batch::new(kind)))),
                None
            );
        }
    }
}
