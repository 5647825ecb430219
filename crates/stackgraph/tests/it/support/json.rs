//! A file as JSON: what the expected results beside the golden files are, and what the Python reader prints.

use std::fmt::Write;

use lifeboat_stackgraph::batch::Kind;
use lifeboat_stackgraph::format::{Decoder, Footer, Next, Reader};
use lifeboat_stackgraph::model::Value;
use lifeboat_stackgraph::store::Piece;
use serde_json::{Value as Json, json};

/// Reads a file block by block and tells all that is in it.
pub(crate) fn of_file(file: &[u8]) -> Json {
    let mut reader = Reader::new(file).unwrap();
    let mut decoder = Decoder::new().unwrap();
    let (mut transactions, mut vertices, mut edges) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let block = match reader.next_block().unwrap() {
            Next::Block(block) => block,
            Next::End(ending) => {
                return json!({
                    "footer": of_footer(&ending.footer),
                    "transactions": transactions,
                    "vertices": vertices,
                    "edges": edges,
                });
            }
        };
        match decoder.decode(&block).unwrap().content {
            Some((Piece::Transactions(pieces), _)) => {
                transactions.extend(pieces.iter().map(|piece| json!([piece.tx, piece.millis])));
            }
            Some((Piece::Elements(batch), _)) if batch.kind == Kind::Vertices => {
                vertices.extend(batch.vertices().unwrap().iter().map(|vertex| {
                    json!({
                        "lid": vertex.lid, "tx": vertex.tx, "deleted": vertex.deleted,
                        "label": vertex.label, "identifiers": vertex.identifiers,
                        "props": of_props(&vertex.props),
                    })
                }));
            }
            Some((Piece::Elements(batch), _)) => {
                edges.extend(batch.edges().unwrap().iter().map(|edge| {
                    json!({
                        "lid": edge.lid, "tx": edge.tx, "deleted": edge.deleted,
                        "label": edge.label, "src": edge.src, "dst": edge.dst,
                        "props": of_props(&edge.props),
                    })
                }));
            }
            None => {}
        }
    }
}

fn of_footer(footer: &Footer) -> Json {
    json!({
        "version": [footer.major, footer.minor],
        "uuid": hex(&footer.uuid),
        "created": footer.created.as_millisecond(),
        "program": footer.program,
        "driver": footer.driver,
        "consistency": footer.consistency,
        "digest": footer.totals.digest,
        "blake3": hex(&footer.blake3),
        "raw_bytes": footer.raw_bytes,
        "transactions": footer.totals.transactions,
        "vertices": footer.totals.vertices,
        "edges": footer.totals.edges,
        "lids": footer.lids,
        "txs": footer.txs,
        "blocks": footer.entries.iter().map(|entry| {
            json!([entry.kind.code(), entry.at, entry.count, entry.first])
        }).collect::<Vec<_>>(),
    })
}

fn of_props(props: &std::collections::BTreeMap<String, Value>) -> Json {
    props
        .iter()
        .map(|(key, value)| (key.clone(), of_value(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn of_value(value: &Value) -> Json {
    match value {
        Value::Null => json!(["null"]),
        Value::Bool(value) => json!(["bool", value]),
        Value::Int(value) => json!(["int", value]),
        Value::Float(value) => json!(["float", format!("{:016x}", value.to_bits())]),
        Value::Time(millis) => json!(["time", millis]),
        Value::Text(text) => json!(["text", text]),
        Value::Bytes(bytes) => json!(["bytes", hex(bytes)]),
        Value::List(items) => json!(["list", items.iter().map(of_value).collect::<Vec<_>>()]),
        Value::Set(items) => json!(["set", items.iter().map(of_value).collect::<Vec<_>>()]),
        Value::Map(entries) => json!(["map", of_props(entries)]),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
