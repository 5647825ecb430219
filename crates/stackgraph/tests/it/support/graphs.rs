//! Graphs as plain lists, how they travel, and a strategy that makes hostile ones.

use std::collections::BTreeMap;

use lifeboat_stackgraph::batch::{Builder, Kind};
use lifeboat_stackgraph::model::{Edge, Transaction, Value, Vertex};
use lifeboat_stackgraph::store::{Piece, Totals};
use proptest::prelude::*;

/// A graph in the order in which it travels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) vertices: Vec<Vertex>,
    pub(crate) edges: Vec<Edge>,
}

impl Graph {
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals {
            transactions: self.transactions.len() as u64,
            ..Totals::default()
        };
        for vertex in &self.vertices {
            *totals.vertices.entry(vertex.label.clone()).or_default() += 1;
        }
        for edge in &self.edges {
            *totals.edges.entry(edge.label.clone()).or_default() += 1;
        }
        totals
    }

    /// Cuts the graph into batches of `size` elements.
    pub(crate) fn pieces(&self, size: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if !self.transactions.is_empty() {
            pieces.push(Piece::Transactions(self.transactions.clone()));
        }
        for vertices in self.vertices.chunks(size) {
            let mut builder = Builder::new(Kind::Vertices);
            for vertex in vertices {
                builder.push_vertex(vertex);
            }
            pieces.push(Piece::Elements(Box::new(builder.finish())));
        }
        for edges in self.edges.chunks(size) {
            let mut builder = Builder::new(Kind::Edges);
            for edge in edges {
                builder.push_edge(edge);
            }
            pieces.push(Piece::Elements(Box::new(builder.finish())));
        }
        pieces
    }

    pub(crate) fn from_pieces(pieces: &[Piece]) -> Self {
        let mut graph = Self::default();
        for piece in pieces {
            match piece {
                Piece::Transactions(transactions) => graph.transactions.extend(transactions),
                Piece::Elements(batch) if batch.kind == Kind::Vertices => {
                    graph.vertices.extend(batch.vertices().unwrap());
                }
                Piece::Elements(batch) => graph.edges.extend(batch.edges().unwrap()),
            }
        }
        graph
    }
}

pub(crate) fn vertex(lid: u64, label: &str, props: &[(&str, Value)]) -> Vertex {
    Vertex {
        lid,
        tx: 1,
        deleted: false,
        label: label.to_owned(),
        identifiers: vec![format!("urn:test:/{lid}")],
        props: to_map(props),
    }
}

pub(crate) fn edge(lid: u64, src: u64, dst: u64, props: &[(&str, Value)]) -> Edge {
    Edge {
        lid,
        tx: 1,
        deleted: false,
        label: "depends on".to_owned(),
        src,
        dst,
        props: to_map(props),
    }
}

fn to_map(props: &[(&str, Value)]) -> BTreeMap<String, Value> {
    props
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

/// Texts that have broken other people's formats.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\0".to_owned()),
        Just("\u{7}\n\r\t\"\\".to_owned()),
        Just("\u{feff}\u{202e}e\u{301}\u{10ffff}".to_owned()),
        Just("x".repeat(300)),
        "[a-c]{0,2}",
        any::<String>(),
    ]
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        prop_oneof![Just(i64::MIN), Just(i64::MAX), -3_i64..3, any::<i64>()].prop_map(Value::Int),
        prop_oneof![
            Just(f64::NAN.to_bits()),
            Just((-f64::NAN).to_bits()),
            Just((-0.0_f64).to_bits()),
            Just(0),
            any::<u64>()
        ]
        .prop_map(|bits| Value::Float(f64::from_bits(bits))),
        any::<i64>().prop_map(Value::Time),
        any_text().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::set),
            prop::collection::btree_map(any_text(), inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn any_props() -> impl Strategy<Value = BTreeMap<String, Value>> {
    prop::collection::btree_map(any_text(), any_value(), 0..5)
}

fn any_lid() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..6, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

/// History, tombstones, parallel edges, self loops and loose ends included.
pub(crate) fn any_graph() -> impl Strategy<Value = Graph> {
    let transactions = prop::collection::btree_map(any::<u64>(), any::<i64>(), 0..5);
    let vertices = prop::collection::btree_map(
        (any_lid(), any_lid()),
        (
            any::<bool>(),
            any_text(),
            prop::collection::btree_set(any_text(), 0..4),
            any_props(),
        ),
        0..12,
    );
    let edges = prop::collection::btree_map(
        (any_lid(), any_lid(), any_lid()),
        (any::<bool>(), any_text(), any_lid(), any_props()),
        0..12,
    );
    (transactions, vertices, edges).prop_map(|(transactions, vertices, edges)| Graph {
        transactions: transactions
            .into_iter()
            .map(|(tx, millis)| Transaction { tx, millis })
            .collect(),
        vertices: vertices
            .into_iter()
            .map(|((lid, tx), (deleted, label, identifiers, props))| Vertex {
                lid,
                tx,
                deleted,
                label,
                identifiers: identifiers.into_iter().collect(),
                props,
            })
            .collect(),
        edges: edges
            .into_iter()
            .map(|((src, lid, tx), (deleted, label, dst, props))| Edge {
                lid,
                tx,
                deleted,
                label,
                src,
                dst,
                props,
            })
            .collect(),
    })
}
