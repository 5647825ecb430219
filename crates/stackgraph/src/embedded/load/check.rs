//! What a load checks once everything is in its tables, before it commits.

use std::collections::BTreeMap;

use redb::{ReadableTable, WriteTransaction};

use super::fill::Finish;
use crate::embedded::counters::{Count, Counters, by_label};
use crate::embedded::names::Names;
use crate::embedded::row;
use crate::embedded::tables::{VERTICES, WRITE, damaged, failed, key16};
use crate::error::Error;
use crate::model::Lid;

/// How many pairs of vertices that share the hash of an identifier are looked at; more is not chance.
pub(super) const MOST_SUSPECTS: usize = 1024;

/// Two vertices of one label whose identifiers share a hash.
pub(super) struct Suspect {
    pub(super) label: u32,
    pub(super) lids: [Lid; 2],
}

/// Compares what came with what was promised, label by label.
pub(super) fn totals(counters: &Counters, finish: &Finish) -> Result<(), Error> {
    let versions = |count: &Count| count.versions;
    let promised = &finish.promised;
    let mismatch = |what: String| Err(Error::Mismatch { what });
    if counters.transactions != promised.transactions {
        return mismatch(format!(
            "{} transactions were promised, {} came",
            promised.transactions, counters.transactions
        ));
    }
    for (kind, counts, promised) in [
        ("vertices", &counters.vertices, &promised.vertices),
        ("edges", &counters.edges, &promised.edges),
    ] {
        let came = by_label(counts, &finish.names, versions)?;
        let labels = came.keys().chain(promised.keys());
        for label in labels {
            let number = |of: &BTreeMap<String, u64>| of.get(label).copied().unwrap_or(0);
            if number(&came) != number(promised) {
                return mismatch(format!(
                    "{} {kind} of label `{label}` were promised, {} came",
                    number(promised),
                    number(&came)
                ));
            }
        }
    }
    Ok(())
}

/// Tells an identifier that two vertices claim from two identifiers that share a hash by chance.
pub(super) fn suspects(
    transaction: &WriteTransaction,
    names: &Names,
    suspects: &[Suspect],
) -> Result<(), Error> {
    let table = transaction.open_table(VERTICES).map_err(failed(WRITE))?;
    for Suspect { label, lids } in suspects {
        let [first, second] = [identifiers(&table, lids[0])?, identifiers(&table, lids[1])?];
        let Some(shared) = first.iter().find(|urn| second.contains(urn)) else {
            continue;
        };
        return Err(Error::Element {
            element: format!("identifier `{}`", String::from_utf8_lossy(shared)),
            what: format!(
                "belongs to two vertices of label `{}`, `{}` and `{}`",
                names.text(*label)?,
                lids[0],
                lids[1]
            ),
        });
    }
    if suspects.len() == MOST_SUSPECTS {
        return Err(Error::Element {
            element: "identifiers".to_owned(),
            what: "share more hashes than chance explains".to_owned(),
        });
    }
    Ok(())
}

fn identifiers(
    table: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    lid: Lid,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut versions = table
        .range::<&[u8; 16]>(&key16(lid, 0)..=&key16(lid, u64::MAX))
        .map_err(failed(WRITE))?;
    let mut found = Vec::new();
    if let Some(current) = versions.next_back() {
        let (_, bytes) = current.map_err(failed(WRITE))?;
        let mut row = row::Reader::new(bytes.value());
        row.head()
            .and_then(|_| row.identifiers(|urn| found.push(urn.to_vec())))
            .map_err(damaged)?;
    }
    Ok(found)
}
