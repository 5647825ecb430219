//! A peer that a person could write in an afternoon: one line of JSON for each element, through `zstd -1`.
//!
//! It reads the same snapshots and fills the same loaders as Lifeboat's own file. Compression runs beside it in a
//! thread of its own, as `dump | zstd -1 > file` would. What JSON has no form for is an object of one key (`$time`,
//! `$set`, `$bytes`, `$float`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, PipeReader, PipeWriter, Write};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use lifeboat_stackgraph::batch::{Builder, Kind};
use lifeboat_stackgraph::digest::Digest;
use lifeboat_stackgraph::format::{MAX_ELEMENTS, TARGET_BYTES};
use lifeboat_stackgraph::model::{Edge, Transaction, Value, Vertex};
use lifeboat_stackgraph::store::{Loader, Piece, Snapshot, Totals};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value as Json};

const LEVEL: i32 = 1;
const BUFFER: usize = 1 << 18;

/// A line. Which fields there are says what it is.
#[derive(Default, Serialize, Deserialize)]
struct Line<P> {
    #[serde(skip_serializing_if = "Option::is_none")]
    millis: Option<i64>,
    #[serde(default)]
    lid: u64,
    tx: u64,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    label: String,
    /// Source and target of an edge.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    identifiers: Vec<String>,
    props: P,
}

/// Writes all that the snapshot yields; returns its counts.
pub(crate) fn export(mut snapshot: Box<dyn Snapshot>, sink: &mut File) -> Result<Totals> {
    let (reader, writer) = io::pipe()?;
    thread::scope(|scope| {
        let compressor = scope.spawn(|| compress(reader, sink));
        let written = write_lines(snapshot.as_mut(), writer);
        joined(compressor)?;
        written
    })?;
    Ok(snapshot.totals().clone())
}

fn compress(mut lines: PipeReader, sink: &mut File) -> Result<()> {
    let mut encoder = zstd::Encoder::new(sink, LEVEL)?;
    io::copy(&mut lines, &mut encoder)?;
    encoder.finish()?;
    Ok(())
}

fn write_lines(snapshot: &mut dyn Snapshot, sink: PipeWriter) -> Result<()> {
    let mut sink = BufWriter::with_capacity(BUFFER, sink);
    while let Some(piece) = snapshot.next()? {
        write_piece(piece, &mut sink)?;
    }
    sink.flush()?;
    Ok(())
}

fn write_piece(piece: Piece, sink: &mut impl Write) -> Result<()> {
    let mut put = |line: Line<Props<'_>>| -> Result<()> {
        serde_json::to_writer(&mut *sink, &line)?;
        Ok(sink.write_all(b"\n")?)
    };
    let batch = match piece {
        Piece::Transactions(transactions) => {
            let none = BTreeMap::new();
            return transactions.iter().try_for_each(|transaction| {
                put(Line {
                    millis: Some(transaction.millis),
                    lid: 0,
                    tx: transaction.tx,
                    deleted: false,
                    label: String::new(),
                    ends: None,
                    identifiers: Vec::new(),
                    props: Props(&none),
                })
            });
        }
        Piece::Elements(batch) => batch,
    };
    match batch.kind {
        Kind::Vertices => batch.vertices()?.into_iter().try_for_each(|vertex| {
            put(Line {
                millis: None,
                lid: vertex.lid,
                tx: vertex.tx,
                deleted: vertex.deleted,
                label: vertex.label,
                ends: None,
                identifiers: vertex.identifiers,
                props: Props(&vertex.props),
            })
        }),
        Kind::Edges => batch.edges()?.into_iter().try_for_each(|edge| {
            put(Line {
                millis: None,
                lid: edge.lid,
                tx: edge.tx,
                deleted: edge.deleted,
                label: edge.label,
                ends: Some((edge.src, edge.dst)),
                identifiers: Vec::new(),
                props: Props(&edge.props),
            })
        }),
    }
}

struct Props<'a>(&'a BTreeMap<String, Value>);

impl Serialize for Props<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, Plain(value))))
    }
}

struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => items_of(items, serializer),
            Value::Map(entries) => Props(entries).serialize(serializer),
            Value::Float(value) => tagged("$float", &value.to_bits(), serializer),
            Value::Time(millis) => tagged("$time", millis, serializer),
            Value::Bytes(bytes) => tagged("$bytes", bytes, serializer),
            Value::Set(items) => tagged("$set", &Items(items), serializer),
        }
    }
}

struct Items<'a>(&'a [Value]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        items_of(self.0, serializer)
    }
}

fn items_of<S: Serializer>(items: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
    let mut sequence = serializer.serialize_seq(Some(items.len()))?;
    for item in items {
        sequence.serialize_element(&Plain(item))?;
    }
    sequence.end()
}

fn tagged<S: Serializer, T: Serialize>(
    tag: &str,
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, value)?;
    map.end()
}

/// Feeds a loader; returns what was read, with its digest.
pub(crate) fn import(file: File, loader: &mut dyn Loader) -> Result<Totals> {
    let (reader, writer) = io::pipe()?;
    thread::scope(|scope| {
        let decompressor = scope.spawn(|| -> Result<()> {
            let mut writer = writer;
            zstd::stream::copy_decode(file, &mut writer)?;
            Ok(())
        });
        let read = read_lines(BufReader::with_capacity(BUFFER, reader), loader);
        let decompressed = joined(decompressor);
        // Where reading ended early, the other end of the pipe only failed because of it.
        let totals = read?;
        decompressed?;
        Ok(totals)
    })
}

fn read_lines(mut lines: impl BufRead, loader: &mut dyn Loader) -> Result<Totals> {
    let mut intake = Intake {
        loader,
        totals: Totals::default(),
        transactions: Vec::new(),
        builder: Builder::new(Kind::Vertices),
        kind: Kind::Vertices,
    };
    let mut text = String::new();
    while lines.read_line(&mut text)? > 0 {
        intake.take(serde_json::from_str(&text)?)?;
        text.clear();
    }
    intake.flush(Kind::Edges)?;
    Ok(intake.totals)
}

struct Intake<'a> {
    loader: &'a mut dyn Loader,
    totals: Totals,
    transactions: Vec<Transaction>,
    builder: Builder,
    kind: Kind,
}

impl Intake<'_> {
    fn take(&mut self, line: Line<Map<String, Json>>) -> Result<()> {
        let (lid, tx, deleted) = (line.lid, line.tx, line.deleted);
        if let Some(millis) = line.millis {
            self.transactions.push(Transaction { tx, millis });
            self.totals.transactions += 1;
            return Ok(());
        }
        let kind = line.ends.map_or(Kind::Vertices, |_| Kind::Edges);
        let full = self.builder.len() >= MAX_ELEMENTS || self.builder.raw_bytes() >= TARGET_BYTES;
        if kind != self.kind || full {
            self.flush(kind)?;
        }
        let props = values(line.props)?;
        let label = line.label;
        let counts = match kind {
            Kind::Vertices => &mut self.totals.vertices,
            Kind::Edges => &mut self.totals.edges,
        };
        match counts.get_mut(&label) {
            Some(count) => *count += 1,
            None => {
                counts.insert(label.clone(), 1);
            }
        }
        match line.ends {
            None => self.builder.push_vertex(&Vertex {
                lid,
                tx,
                deleted,
                label,
                identifiers: line.identifiers,
                props,
            }),
            Some((src, dst)) => self.builder.push_edge(&Edge {
                lid,
                tx,
                deleted,
                label,
                src,
                dst,
                props,
            }),
        }
        Ok(())
    }

    /// Passes on what is complete; what comes next is of kind `next`.
    fn flush(&mut self, next: Kind) -> Result<()> {
        if !self.transactions.is_empty() {
            let transactions = std::mem::take(&mut self.transactions);
            self.pass(Piece::Transactions(transactions))?;
        }
        let builder = std::mem::replace(&mut self.builder, Builder::new(next));
        self.kind = next;
        if builder.is_empty() {
            return Ok(());
        }
        self.pass(Piece::Elements(Box::new(builder.finish())))
    }

    fn pass(&mut self, piece: Piece) -> Result<()> {
        self.totals.digest.add(Digest::of_piece(&piece));
        Ok(self.loader.add(piece)?)
    }
}

fn values(map: Map<String, Json>) -> Result<BTreeMap<String, Value>> {
    map.into_iter()
        .map(|(key, json)| Ok((key, value(json)?)))
        .collect()
}

fn value(json: Json) -> Result<Value> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => Value::Int(number.as_i64().context("not a whole number")?),
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(list(items)?),
        Json::Object(map) => match map.iter().next() {
            Some((tag, inner)) if map.len() == 1 && tag.starts_with('$') => untagged(tag, inner)?,
            _ => Value::Map(values(map)?),
        },
    })
}

fn untagged(tag: &str, inner: &Json) -> Result<Value> {
    Ok(match (tag, inner) {
        ("$float", Json::Number(bits)) => {
            Value::Float(f64::from_bits(bits.as_u64().context("no bits")?))
        }
        ("$time", Json::Number(millis)) => Value::Time(millis.as_i64().context("no time")?),
        ("$bytes", bytes) => Value::Bytes(Vec::deserialize(bytes)?),
        ("$set", Json::Array(items)) => Value::set(list(items.clone())?),
        _ => bail!("no value is called `{tag}`"),
    })
}

fn list(items: Vec<Json>) -> Result<Vec<Value>> {
    items.into_iter().map(value).collect()
}

fn joined(thread: thread::ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread
        .join()
        .map_err(|_| anyhow!("the thread for zstd panicked"))?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let plain = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
            any::<i64>().prop_map(Value::Time),
            any::<String>().prop_map(Value::Text),
            any::<Vec<u8>>().prop_map(Value::Bytes),
        ];
        plain.prop_recursive(3, 16, 4, |inner| {
            let items = prop::collection::vec(inner.clone(), 0..4);
            prop_oneof![
                items.clone().prop_map(Value::List),
                items.prop_map(Value::set),
                prop::collection::btree_map("[a-z]{0,3}", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_line_brings_every_value_back(
            props in prop::collection::btree_map("[a-z]{0,3}", any_value(), 0..4),
        ) {
            let text = serde_json::to_string(&Props(&props)).unwrap();
            prop_assert_eq!(values(serde_json::from_str(&text).unwrap()).unwrap(), props);
        }
    }
}
