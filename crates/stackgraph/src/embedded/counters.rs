//! What a store knows of itself without counting: how much of each label, and which numbers are free.
//!
//! Every commit writes them together with what they count, so they are true for each snapshot.

use std::collections::BTreeMap;

use super::names::Names;
use crate::digest::Digest;
use crate::error::Error;
use crate::store::Totals;
use crate::value::{Malformed, put_uvarint, take_uvarint};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// The first lid that was never given out.
    pub(super) next_lid: u64,
    /// Above every transaction.
    pub(super) next_tx: u64,
    pub(super) transactions: u64,
    /// By the id of the label.
    pub(super) vertices: BTreeMap<u32, Count>,
    pub(super) edges: BTreeMap<u32, Count>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Of all ages, deletions included.
    pub(super) versions: u64,
    /// Elements whose current version has this label and is not deleted.
    pub(super) current: u64,
}

impl Counters {
    pub(super) fn is_empty(&self) -> bool {
        self.vertices
            .values()
            .chain(self.edges.values())
            .all(|count| count.versions == 0)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_uvarint(self.next_lid, &mut out);
        put_uvarint(self.next_tx, &mut out);
        put_uvarint(self.transactions, &mut out);
        for counts in [&self.vertices, &self.edges] {
            put_uvarint(counts.len() as u64, &mut out);
            for (&label, count) in counts {
                put_uvarint(u64::from(label), &mut out);
                put_uvarint(count.versions, &mut out);
                put_uvarint(count.current, &mut out);
            }
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut input = bytes;
        let next_lid = take_uvarint(&mut input)?;
        let next_tx = take_uvarint(&mut input)?;
        let transactions = take_uvarint(&mut input)?;
        let vertices = take_counts(&mut input)?;
        let edges = take_counts(&mut input)?;
        if !input.is_empty() {
            return Err(Malformed("the counters are followed by more bytes"));
        }
        Ok(Self {
            next_lid,
            next_tx,
            transactions,
            vertices,
            edges,
        })
    }

    /// Spells the labels out. The digest is that of nothing: it is known only to who has read everything.
    pub(super) fn totals(&self, names: &Names) -> Result<Totals, Error> {
        Ok(Totals {
            transactions: self.transactions,
            vertices: by_label(&self.vertices, names, |count| count.versions)?,
            edges: by_label(&self.edges, names, |count| count.versions)?,
            digest: Digest::default(),
        })
    }
}

/// Spells the labels out and leaves out those of which there is nothing.
pub(super) fn by_label(
    counts: &BTreeMap<u32, Count>,
    names: &Names,
    number: impl Fn(&Count) -> u64,
) -> Result<BTreeMap<String, u64>, Error> {
    counts
        .iter()
        .map(|(&label, count)| (label, number(count)))
        .filter(|&(_, number)| number > 0)
        .map(|(label, number)| Ok((names.text(label)?.to_owned(), number)))
        .collect()
}

fn take_counts(input: &mut &[u8]) -> Result<BTreeMap<u32, Count>, Malformed> {
    let mut counts = BTreeMap::new();
    for _ in 0..take_uvarint(input)? {
        let label = u32::try_from(take_uvarint(input)?)
            .map_err(|_| Malformed("a name has no id of 32 bits"))?;
        let versions = take_uvarint(input)?;
        let current = take_uvarint(input)?;
        counts.insert(label, Count { versions, current });
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counters_come_back_as_they_were(
            numbers in any::<(u64, u64, u64)>(),
            vertices in prop::collection::btree_map(any::<u32>(), any::<(u64, u64)>(), 0..9),
        ) {
            let counters = Counters {
                next_lid: numbers.0,
                next_tx: numbers.1,
                transactions: numbers.2,
                vertices: vertices
                    .into_iter()
                    .map(|(label, (versions, current))| (label, Count { versions, current }))
                    .collect(),
                edges: BTreeMap::new(),
            };
            prop_assert_eq!(Counters::decode(&counters.encode()), Ok(counters));
        }

        #[test]
        fn hostile_counters_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(counters) = Counters::decode(&bytes) {
                prop_assert!(counters.vertices.len() + counters.edges.len() <= bytes.len());
            }
        }
    }
}
