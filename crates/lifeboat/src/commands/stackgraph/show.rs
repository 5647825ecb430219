//! `lifeboat stackgraph show`.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_stackgraph::digest::Digest;
use lifeboat_stackgraph::embedded::Store;
use lifeboat_stackgraph::embedded::lookup::{Found, Neighbours};
use lifeboat_stackgraph::model::Value;
use lifeboat_stackgraph::store::{GraphStore, Piece};
use serde::Serialize;

use crate::context::{Context, StoreUse, blocking};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View, columns};

/// Edges shown on each side of a vertex.
const NEIGHBOURS: usize = 20;

/// Show what the store holds
///
/// Counts by type, or one element with what is around it, looked up by one of its identifiers.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// An identifier, for example `urn:host:/web-1`
    identifier: Option<String>,
    /// Also compute the digest of the whole graph, which a backup of it would carry
    #[arg(long, conflicts_with = "identifier")]
    digest: bool,
}

#[derive(Debug, Serialize)]
struct CountsView {
    vertices: BTreeMap<String, u64>,
    edges: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

#[derive(Debug, Serialize)]
struct FoundView {
    found: Vec<Element>,
}

#[derive(Debug, Serialize)]
struct Element {
    #[serde(rename = "type")]
    label: String,
    identifiers: Vec<String>,
    properties: BTreeMap<String, serde_json::Value>,
    outgoing: Side,
    incoming: Side,
}

#[derive(Debug, Serialize)]
struct Side {
    total: u64,
    /// The first ones.
    shown: Vec<Relation>,
}

#[derive(Debug, Serialize)]
struct Relation {
    #[serde(rename = "type")]
    label: String,
    other: String,
}

pub(crate) async fn run(ctx: &Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let store = ctx.stackgraph_store(StoreUse::Read, "show")?;
    if let Some(identifier) = &args.identifier {
        let found = store.view()?.find(identifier, NEIGHBOURS)?;
        if found.is_empty() {
            let error = format!("no element has the identifier `{identifier}`");
            return Err(Failure::new(Kind::NotFound, error)
                .hint("identifiers are compared letter by letter; `lifeboat stackgraph show` counts what is there"));
        }
        let found = found.into_iter().map(Element::from).collect();
        ctx.out.show(&FoundView { found })?;
        return Ok(Exit::Success);
    }
    let counts = store.view()?.counts()?;
    let digest = if args.digest {
        Some(digest(ctx, store).await?.to_string())
    } else {
        None
    };
    ctx.out.show(&CountsView {
        vertices: counts.vertices,
        edges: counts.edges,
        digest,
    })?;
    Ok(Exit::Success)
}

/// Reads the whole graph.
async fn digest(ctx: &Context, store: Arc<Store>) -> Result<Digest, Failure> {
    let progress = Arc::new(Progress::default());
    let _bar = ctx.bar("digest", &progress);
    let counted = Arc::clone(&progress);
    let summing = move || -> Result<Digest, Failure> {
        let mut snapshot = store.snapshot()?;
        counted.expect(snapshot.totals().elements(), 0);
        let mut sum = Digest::default();
        while let Some(piece) = snapshot.next()? {
            sum.add(Digest::of_piece(&piece));
            if let Piece::Elements(batch) = &piece {
                counted.add(batch.len() as u64, 0);
            }
            if counted.is_stopped() {
                return Err(Failure::interrupted());
            }
        }
        Ok(sum)
    };
    ctx.interruptible(&progress, blocking(summing)).await
}

impl From<Found> for Element {
    fn from(found: Found) -> Self {
        let properties = found
            .vertex
            .props
            .into_iter()
            .map(|(key, value)| (key, json(value)));
        Self {
            label: found.vertex.label,
            identifiers: found.vertex.identifiers,
            properties: properties.collect(),
            outgoing: found.outgoing.into(),
            incoming: found.incoming.into(),
        }
    }
}

impl From<Neighbours> for Side {
    fn from(side: Neighbours) -> Self {
        let shown = side.shown.into_iter().map(|neighbour| Relation {
            label: neighbour.edge.label,
            other: neighbour
                .vertex
                .identifiers
                .into_iter()
                .next()
                .unwrap_or_else(|| format!("#{}", neighbour.vertex.lid)),
        });
        Self {
            total: side.total,
            shown: shown.collect(),
        }
    }
}

/// A value for people and programs that read JSON; what JSON lacks becomes text.
fn json(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) if value.is_finite() => value.into(),
        Value::Float(value) => value.to_string().into(),
        Value::Time(millis) => jiff::Timestamp::from_millisecond(millis)
            .map_or_else(|_| millis.into(), |time| time.to_string().into()),
        Value::Text(text) => text.into(),
        Value::Bytes(bytes) => hex::encode(bytes).into(),
        Value::List(items) | Value::Set(items) => items.into_iter().map(json).collect(),
        Value::Map(entries) => serde_json::Value::Object(
            entries
                .into_iter()
                .map(|(key, value)| (key, json(value)))
                .collect(),
        ),
    }
}

impl View for CountsView {
    fn table(&self) -> String {
        let row = |kind: &str, (label, count): (&String, &u64)| {
            [kind.to_owned(), label.clone(), count.to_string()]
        };
        let mut rows: Vec<_> = self
            .vertices
            .iter()
            .map(|entry| row("vertex", entry))
            .collect();
        rows.extend(self.edges.iter().map(|entry| row("edge", entry)));
        if rows.is_empty() {
            return "the store is empty\n".to_owned();
        }
        let mut text = Text::from(columns(["kind", "type", "count"], &rows));
        if let Some(digest) = &self.digest {
            text.line(format_args!("\ndigest {digest}"));
        }
        text.into()
    }
}

impl View for FoundView {
    fn table(&self) -> String {
        let mut text = Text::default();
        for element in &self.found {
            text.line(format_args!(
                "{} {}",
                element.label,
                element.identifiers.join(" ")
            ));
            for (key, value) in &element.properties {
                text.line(format_args!("  {key}: {value}"));
            }
            for (arrow, side) in [("->", &element.outgoing), ("<-", &element.incoming)] {
                for relation in &side.shown {
                    text.line(format_args!(
                        "  {arrow} {} {}",
                        relation.label, relation.other
                    ));
                }
                let more = side.total - side.shown.len() as u64;
                if more > 0 {
                    text.line(format_args!("  {arrow} and {more} more"));
                }
            }
        }
        text.into()
    }
}
