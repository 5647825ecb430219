//! Graphs to load, and short ways into and out of a store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use lifeboat_stackgraph::batch::{Builder, Kind};
use lifeboat_stackgraph::embedded::{Holder, Options, Store};
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::model::{Edge, Transaction, Value, Vertex};
use lifeboat_stackgraph::store::{Expected, GraphStore, LoadMode, Piece, Snapshot, Totals};
use proptest::prelude::*;

/// A whole graph with its history, in the order in which it travels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) vertices: Vec<Vertex>,
    pub(crate) edges: Vec<Edge>,
}

impl Whole {
    /// Cut into batches of at most `size` elements.
    pub(crate) fn pieces(&self, size: usize) -> Vec<Piece> {
        let mut pieces = vec![Piece::Transactions(self.transactions.clone())];
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

    pub(crate) fn load(&self, store: &dyn GraphStore, mode: LoadMode) -> Result<(), Error> {
        self.load_in(store, mode, 3)
    }

    pub(crate) fn load_in(
        &self,
        store: &dyn GraphStore,
        mode: LoadMode,
        size: usize,
    ) -> Result<(), Error> {
        let mut loader = store.begin_load(mode, &Expected::default())?;
        for piece in self.pieces(size) {
            loader.add(piece)?;
        }
        loader.commit(&self.totals())
    }

    /// Reads all that a snapshot yields, and checks that it is what the snapshot announced.
    pub(crate) fn drain(mut snapshot: Box<dyn Snapshot>) -> Self {
        let mut whole = Self::default();
        while let Some(piece) = snapshot.next().unwrap() {
            match piece {
                Piece::Transactions(transactions) => whole.transactions.extend(transactions),
                Piece::Elements(batch) => {
                    batch.check().unwrap();
                    match batch.kind {
                        Kind::Vertices => whole.vertices.extend(batch.vertices().unwrap()),
                        Kind::Edges => whole.edges.extend(batch.edges().unwrap()),
                    }
                }
            }
        }
        assert_eq!(snapshot.totals(), &whole.totals());
        whole
    }

    pub(crate) fn of(store: &dyn GraphStore) -> Self {
        Self::drain(store.snapshot().unwrap())
    }
}

pub(crate) fn options(command: &str) -> Options {
    Options {
        cache: 8 << 20,
        holder: Holder {
            pid: 7,
            command: command.to_owned(),
            host: "node-1".to_owned(),
            since: Timestamp::from_second(1_700_000_000).unwrap(),
        },
    }
}

pub(crate) fn create(path: &Path) -> Store {
    Store::create(path, options("stackgraph load")).unwrap()
}

pub(crate) fn vertex(lid: u64, tx: u64, label: &str) -> Vertex {
    Vertex {
        lid,
        tx,
        deleted: false,
        label: label.to_owned(),
        identifiers: vec![format!("urn:{label}:/{lid}")],
        props: BTreeMap::from([("name".to_owned(), Value::Text(format!("{label} {lid}")))]),
    }
}

pub(crate) fn edge(lid: u64, tx: u64, src: u64, dst: u64) -> Edge {
    Edge {
        lid,
        tx,
        deleted: false,
        label: "runs on".to_owned(),
        src,
        dst,
        props: BTreeMap::new(),
    }
}

/// Parallel edges, a self loop, two versions, a deletion, and every limit of a value.
pub(crate) fn varied() -> Whole {
    let props = BTreeMap::from([
        (String::new(), Value::Null),
        ("least".to_owned(), Value::Int(i64::MIN)),
        ("nan".to_owned(), Value::Float(f64::NAN)),
        ("minus zero".to_owned(), Value::Float(-0.0)),
        ("time".to_owned(), Value::Time(-1)),
        ("bytes".to_owned(), Value::Bytes(vec![0, 255])),
        (
            "set".to_owned(),
            Value::set(vec![Value::Int(2), Value::Bool(true)]),
        ),
        (
            "tags".to_owned(),
            Value::List(vec![Value::Text("a\0é".to_owned()), Value::Null]),
        ),
    ]);
    let mut changed = vertex(1, 2, "host");
    changed.props = props;
    let mut gone = vertex(3, 2, "process");
    gone.deleted = true;
    gone.identifiers.clear();
    let mut removed = edge(12, 2, 2, 1);
    removed.deleted = true;
    Whole {
        transactions: [(1, -5), (2, 1_700_000_000_000)]
            .map(|(tx, millis)| Transaction { tx, millis })
            .to_vec(),
        vertices: vec![
            vertex(1, 1, "host"),
            changed,
            vertex(2, 1, "process"),
            vertex(3, 1, "process"),
            gone,
        ],
        edges: vec![
            edge(13, 1, 1, 1),
            edge(10, 1, 2, 1),
            edge(11, 1, 2, 1),
            edge(12, 1, 2, 1),
            removed,
        ],
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        any::<i64>().prop_map(Value::Time),
        any::<String>().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::set),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn any_props() -> impl Strategy<Value = BTreeMap<String, Value>> {
    prop::collection::btree_map("[a-dé]{0,2}", any_value(), 0..5)
}

/// Any graph that a store must take: hostile texts and values, several versions, any numbers.
pub(crate) fn any_whole() -> impl Strategy<Value = Whole> {
    let vertices = prop::collection::btree_map(
        (prop_oneof![0_u64..6, any::<u64>()], 0_u64..4),
        (any::<bool>(), "[a-c]?", any_props(), any::<String>()),
        1..12,
    );
    let edges = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
            prop::collection::btree_map(0_u64..4, (any::<bool>(), any_props()), 1..3),
        ),
        0..10,
    );
    let transactions = prop::collection::btree_map(any::<u64>(), any::<i64>(), 0..4);
    (transactions, vertices, edges).prop_map(|(transactions, vertices, edges)| {
        let lids: Vec<u64> = vertices.keys().map(|&(lid, _)| lid).collect();
        let taken: BTreeSet<u64> = lids.iter().copied().collect();
        let mut free = (0..).filter(|lid| !taken.contains(lid));
        let mut all_edges = Vec::new();
        for (src, dst, versions) in edges {
            let lid = free.next().unwrap();
            let (src, dst) = (*src.get(&lids), *dst.get(&lids));
            for (tx, (deleted, props)) in versions {
                let one = edge(lid, tx, src, dst);
                all_edges.push(Edge {
                    deleted,
                    props,
                    ..one
                });
            }
        }
        all_edges.sort_by_key(|edge| (edge.src, edge.lid, edge.tx));
        Whole {
            transactions: transactions
                .into_iter()
                .map(|(tx, millis)| Transaction { tx, millis })
                .collect(),
            vertices: vertices
                .into_iter()
                .map(|((lid, tx), (deleted, label, props, text))| Vertex {
                    lid,
                    tx,
                    deleted,
                    identifiers: vec![format!("{lid}"), format!("{lid} {text}")],
                    label,
                    props,
                })
                .collect(),
            edges: all_edges,
        }
    })
}
