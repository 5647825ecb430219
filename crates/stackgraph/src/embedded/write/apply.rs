//! A collected change, carried out in one redb transaction.

use std::collections::BTreeMap;

use redb::WriteTransaction;

use super::{NewEdge, NewVertex, Writer};
use crate::embedded::counters::Count;
use crate::embedded::tables::{
    IDENTIFIERS, IN, OUT, TRANSACTIONS, VERTICES, WRITE, failed, hash, ident_key, key16, key24,
    write_meta,
};
use crate::error::Error;
use crate::model::{Lid, Tx, Vertex};

/// What a commit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    pub vertices: Change,
    pub edges: Change,
}

/// How many elements a commit treated in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
    /// Put in as they were already.
    pub unchanged: u64,
}

impl Changes {
    /// Whether the commit wrote nothing.
    pub fn is_nothing(&self) -> bool {
        [self.vertices, self.edges]
            .iter()
            .all(|change| change.created + change.updated + change.deleted == 0)
    }
}

impl Change {
    fn count(&mut self, was: bool, is: bool) {
        *match (was, is) {
            (false, _) => &mut self.created,
            (true, true) => &mut self.updated,
            (true, false) => &mut self.deleted,
        } += 1;
    }
}

/// Keys and rows in the order of their keys.
#[derive(Default)]
struct Rows {
    vertices: Vec<(Lid, Vec<u8>)>,
    edges: Vec<((Lid, Lid), Vec<u8>)>,
    new_ends: Vec<(Lid, Lid, Lid)>,
    identifiers_gone: Vec<[u8; 20]>,
    identifiers_new: Vec<[u8; 20]>,
}

impl Writer {
    /// Makes the change durable and visible in one step, and says what it was. Where nothing differs from what the
    /// store holds, nothing is written. Fails as a whole: then nothing happened.
    pub fn commit(mut self) -> Result<Changes, Error> {
        let mut changes = Changes::default();
        let mut rows = Rows::default();
        for (lid, vertex) in std::mem::take(&mut self.vertices) {
            self.compare_vertex(lid, &vertex, &mut rows, &mut changes.vertices)?;
        }
        for (key, edge) in std::mem::take(&mut self.edges) {
            self.compare_edge(key, edge, &mut rows, &mut changes.edges)?;
        }
        if changes.is_nothing() {
            return Ok(changes);
        }
        let tx = self.graph.counters.next_tx.max(1);
        self.graph.counters.next_tx = tx.checked_add(1).ok_or_else(|| Error::Element {
            element: "a new transaction".to_owned(),
            what: "finds no free number: the graph has used the last one".to_owned(),
        })?;
        self.graph.counters.transactions += 1;
        self.graph.counters.next_lid = self.next_lid;
        let mut transaction = self.database.begin_write().map_err(failed(WRITE))?;
        // A killed writer costs the next one no walk over the whole file.
        transaction.set_quick_repair(true);
        write_rows(&transaction, tx, &mut rows)?;
        transaction
            .open_table(TRANSACTIONS)
            .map_err(failed(WRITE))?
            .insert(&tx.to_be_bytes(), &self.now_millis.to_be_bytes())
            .map_err(failed(WRITE))?;
        self.graph.names.write(&transaction)?;
        write_meta(&transaction, &self.graph.counters)?;
        transaction.commit().map_err(failed(WRITE))?;
        Ok(changes)
    }

    fn compare_vertex(
        &mut self,
        lid: Lid,
        vertex: &NewVertex,
        rows: &mut Rows,
        change: &mut Change,
    ) -> Result<(), Error> {
        let before = self.graph.vertex(lid)?;
        if before.as_ref().is_some_and(|before| vertex.is_like(before)) {
            change.unchanged += 1;
            return Ok(());
        }
        if before.is_none() && vertex.deleted {
            return Ok(());
        }
        let was = before.as_ref().filter(|before| !before.deleted);
        change.count(was.is_some(), !vertex.deleted);
        let label = self.graph.names.intern(&vertex.label);
        if let Some(was) = was {
            self.forget_identifiers(was, vertex, rows);
        }
        let known = |urn: &String| was.is_some_and(|was| was.identifiers.contains(urn));
        for urn in vertex.identifiers.iter().filter(|urn| !known(urn)) {
            rows.identifiers_new
                .push(ident_key(hash(urn.as_bytes()), label, lid));
        }
        let was_label = was.map(|was| self.graph.names.intern(&was.label));
        let counts = &mut self.graph.counters.vertices;
        count(counts, was_label, label, !vertex.deleted);
        let row = self.vertex_row(vertex);
        rows.vertices.push((lid, row));
        Ok(())
    }

    fn forget_identifiers(&mut self, was: &Vertex, now: &NewVertex, rows: &mut Rows) {
        let label = self.graph.names.intern(&was.label);
        for urn in was
            .identifiers
            .iter()
            .filter(|urn| !now.identifiers.contains(urn))
        {
            rows.identifiers_gone
                .push(ident_key(hash(urn.as_bytes()), label, was.lid));
        }
    }

    fn compare_edge(
        &mut self,
        (src, lid): (Lid, Lid),
        edge: NewEdge,
        rows: &mut Rows,
        change: &mut Change,
    ) -> Result<(), Error> {
        let before = self.graph.edge(src, lid)?;
        let was = before.as_ref().filter(|before| !before.deleted);
        if let Some(was) = was {
            // Properties are compared as values: a restored row may have them in another order.
            let label = self.graph.names.intern(&was.label);
            if !edge.deleted && self.edge_row(false, label, was.dst, &was.props) == edge.row {
                change.unchanged += 1;
                return Ok(());
            }
        } else if edge.deleted {
            return Ok(());
        }
        change.count(was.is_some(), !edge.deleted);
        let was_label = was.map(|was| self.graph.names.intern(&was.label));
        let counts = &mut self.graph.counters.edges;
        count(counts, was_label, edge.label, !edge.deleted);
        if before.is_none() {
            rows.new_ends.push((edge.dst, lid, src));
        }
        rows.edges.push(((src, lid), edge.row));
        Ok(())
    }
}

fn count(counts: &mut BTreeMap<u32, Count>, was: Option<u32>, label: u32, is: bool) {
    if let Some(was) = was {
        counts.entry(was).or_default().current -= 1;
    }
    let count = counts.entry(label).or_default();
    count.versions += 1;
    count.current += u64::from(is);
}

fn write_rows(transaction: &WriteTransaction, tx: Tx, rows: &mut Rows) -> Result<(), Error> {
    let mut vertices = transaction.open_table(VERTICES).map_err(failed(WRITE))?;
    for (lid, row) in &rows.vertices {
        vertices
            .insert(&key16(*lid, tx), row.as_slice())
            .map_err(failed(WRITE))?;
    }
    let mut identifiers = transaction.open_table(IDENTIFIERS).map_err(failed(WRITE))?;
    for key in &rows.identifiers_gone {
        identifiers.remove(key).map_err(failed(WRITE))?;
    }
    // Inserting in key order is several times faster.
    rows.identifiers_new.sort_unstable();
    for key in &rows.identifiers_new {
        identifiers.insert(key, ()).map_err(failed(WRITE))?;
    }
    let mut out = transaction.open_table(OUT).map_err(failed(WRITE))?;
    for ((src, lid), row) in &rows.edges {
        out.insert(&key24(*src, *lid, tx), row.as_slice())
            .map_err(failed(WRITE))?;
    }
    let mut incoming = transaction.open_table(IN).map_err(failed(WRITE))?;
    rows.new_ends.sort_unstable();
    for (dst, lid, src) in &rows.new_ends {
        incoming
            .insert(&key16(*dst, *lid), &src.to_be_bytes())
            .map_err(failed(WRITE))?;
    }
    Ok(())
}
