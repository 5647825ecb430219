//! A graph of any size that looks like a topology: what every measurement of Lifeboat is made on.
//!
//! For each vertex (label, name, one URN, a time, a namespace, five tags, a JSON text of about 130 bytes) there are two
//! edges with two small properties. The same size gives the same graph, always; nothing is kept in memory.

use lifeboat_core::backup::Consistency;
use lifeboat_stackgraph::batch::{Builder, Kind, value_ref};
use lifeboat_stackgraph::digest::Digest;
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::format::{MAX_ELEMENTS, TARGET_BYTES};
use lifeboat_stackgraph::model::{Transaction, Value};
use lifeboat_stackgraph::store::{Piece, Snapshot, Totals};
use lifeboat_stackgraph::value::ValueRef;

const EDGES_EACH: u64 = 2;
const VERTEX_LABELS: [&str; 8] = [
    "host",
    "pod",
    "container",
    "service",
    "deployment",
    "process",
    "namespace",
    "volume",
];
const EDGE_LABELS: [&str; 3] = ["runs_on", "depends_on", "contains"];
/// 2026-01-01 in UTC, in milliseconds.
const START: i64 = 1_767_225_600_000;

/// Yields the graph piece by piece, as a store would.
pub(crate) struct Synthetic {
    vertices: u64,
    next: Next,
    totals: Totals,
}

enum Next {
    Transactions,
    Vertex(u64),
    Edge(u64),
}

impl Synthetic {
    /// A graph of `vertices` vertices and twice as many edges.
    pub(crate) fn new(vertices: u64) -> Self {
        let share = |labels: &[&str], total: u64| {
            let count = labels.len() as u64;
            labels
                .iter()
                .zip(0..)
                .map(|(label, index)| ((*label).to_owned(), (total + count - 1 - index) / count))
                .filter(|(_, share)| *share > 0)
                .collect()
        };
        Self {
            vertices,
            next: Next::Transactions,
            totals: Totals {
                transactions: vertices.min(1000),
                vertices: share(&VERTEX_LABELS, vertices),
                edges: share(&EDGE_LABELS, vertices * EDGES_EACH),
                digest: Digest::default(),
            },
        }
    }

    fn transactions(&self) -> Vec<Transaction> {
        (0..self.totals.transactions)
            .zip(START..)
            .map(|(index, millis)| Transaction {
                tx: index + 1,
                millis: millis + (mix(index) % 500).cast_signed(),
            })
            .collect()
    }

    fn tx(&self, lid: u64) -> u64 {
        1 + lid % self.totals.transactions
    }

    fn vertex_batch(&self, first: u64) -> (Builder, u64) {
        let mut builder = Builder::new(Kind::Vertices);
        let labels = VERTEX_LABELS.map(|label| builder.name(label.as_bytes()));
        let [name, created, namespace, tags, data] =
            ["name", "created", "namespace", "tags", "data"]
                .map(|key| builder.name(key.as_bytes()));
        let mut scratch = Vec::new();
        let mut lid = first;
        while lid < self.vertices
            && builder.len() < MAX_ELEMENTS
            && builder.raw_bytes() < TARGET_BYTES
        {
            let noise = mix(lid);
            let kind = pick(&VERTEX_LABELS, lid);
            let label = *pick(&labels, lid);
            builder.begin_vertex(lid, self.tx(lid), false, label);
            let text = format!("{kind}-{:06x}", noise & 0xff_ffff);
            let space = format!("team-{}", noise % 40);
            builder.identifier(format!("urn:{kind}:/{space}/{text}-{lid}").as_bytes());
            builder.prop(name, ValueRef::Text(text.as_bytes()));
            let created_at = START + (lid * 37).cast_signed() + (noise % 1000).cast_signed();
            builder.prop(created, ValueRef::Time(created_at));
            builder.prop(namespace, ValueRef::Text(space.as_bytes()));
            scratch.clear();
            builder.prop(tags, value_ref(&tags_of(noise), &mut scratch));
            let json = format!(
                "{{\"kind\":\"{kind}\",\"image\":\"registry/{space}:{}\",\"replicas\":{},\"node\":\"node-{:03}\",\"cpu\":\"{}m\",\"memory\":\"{}Mi\",\"ready\":{}}}",
                noise >> 8 & 0xff,
                noise >> 16 & 7,
                noise >> 20 & 0xff,
                (noise >> 28 & 0x3f) * 50,
                (noise >> 34 & 0x1f) * 128,
                noise >> 40 & 1 == 1,
            );
            builder.prop(data, ValueRef::Text(json.as_bytes()));
            lid += 1;
        }
        (builder, lid)
    }

    fn edge_batch(&self, first: u64) -> (Builder, u64) {
        let mut builder = Builder::new(Kind::Edges);
        let labels = EDGE_LABELS.map(|label| builder.name(label.as_bytes()));
        let [weight, direction] = ["weight", "direction"].map(|key| builder.name(key.as_bytes()));
        let mut index = first;
        while index < self.vertices * EDGES_EACH
            && builder.len() < MAX_ELEMENTS
            && builder.raw_bytes() < TARGET_BYTES
        {
            let noise = mix(index ^ 1 << 63);
            let lid = self.vertices + index;
            let label = *pick(&labels, index);
            let (src, dst) = (index / EDGES_EACH, noise % self.vertices);
            builder.begin_edge(lid, self.tx(lid), false, label, src, dst);
            builder.prop(weight, ValueRef::Int((noise >> 50).cast_signed() & 0xff));
            let word = *pick(&["one-way", "both", "none"], noise);
            builder.prop(direction, ValueRef::Text(word.as_bytes()));
            index += 1;
        }
        (builder, index)
    }
}

impl Snapshot for Synthetic {
    fn totals(&self) -> &Totals {
        &self.totals
    }

    fn consistency(&self) -> Consistency {
        Consistency::Snapshot
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        let (builder, next) = match self.next {
            Next::Transactions => {
                self.next = Next::Vertex(0);
                return Ok(Some(Piece::Transactions(self.transactions())));
            }
            Next::Vertex(lid) if lid < self.vertices => {
                let (builder, lid) = self.vertex_batch(lid);
                (builder, Next::Vertex(lid))
            }
            Next::Vertex(_) => {
                let (builder, index) = self.edge_batch(0);
                (builder, Next::Edge(index))
            }
            Next::Edge(index) => {
                let (builder, index) = self.edge_batch(index);
                (builder, Next::Edge(index))
            }
        };
        self.next = next;
        let batch = builder.finish();
        Ok((!batch.is_empty()).then(|| Piece::Elements(Box::new(batch))))
    }
}

fn tags_of(noise: u64) -> Value {
    Value::set(
        [
            ("env", 3),
            ("zone", 6),
            ("owner", 20),
            ("tier", 4),
            ("app", 200),
        ]
        .into_iter()
        .zip((0..).step_by(12))
        .map(|((key, count), shift)| Value::Text(format!("{key}:{}", (noise >> shift) % count)))
        .collect(),
    )
}

fn pick<T>(choices: &[T], number: u64) -> &T {
    let index = number % choices.len() as u64;
    &choices[usize::try_from(index).expect("it is less than a length")]
}

/// Spreads a number over 64 bits (the finaliser of `SplitMix64`), so that the graph needs no random generator.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
