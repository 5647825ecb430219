//! A real graph store's own dump and load, on the same synthetic graph: Ladybug, through `peers/ladybug.py`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use lifeboat_stackgraph::batch::Kind;
use lifeboat_stackgraph::model::{Edge, Value, Vertex};
use lifeboat_stackgraph::store::{Piece, Snapshot, Totals};

const SCRIPT: &str = include_str!("../peers/ladybug.py");

/// Returns the command for one step; what it prints is an [`Outcome`](crate::step::Outcome).
pub(crate) fn command(interpreter: &Path, step: &str, database: &Path, folder: &Path) -> Command {
    let mut command = Command::new(interpreter);
    command.args(["-c", SCRIPT, step]).args([database, folder]);
    command
}

/// Writes `vertices.csv` and `edges.csv`. Only for graphs of [`synthetic`](crate::synthetic), whose keys the peer's
/// tables have as columns.
pub(crate) fn write_csv(snapshot: &mut dyn Snapshot, folder: &Path) -> Result<Totals> {
    std::fs::create_dir_all(folder)?;
    let mut vertices = BufWriter::new(File::create(folder.join("vertices.csv"))?);
    let mut edges = BufWriter::new(File::create(folder.join("edges.csv"))?);
    while let Some(piece) = snapshot.next()? {
        let Piece::Elements(batch) = piece else {
            continue;
        };
        match batch.kind {
            Kind::Vertices => batch
                .vertices()?
                .iter()
                .try_for_each(|vertex| write_vertex(vertex, &mut vertices))?,
            Kind::Edges => batch
                .edges()?
                .iter()
                .try_for_each(|edge| write_edge(edge, &mut edges))?,
        }
    }
    vertices.flush()?;
    edges.flush()?;
    Ok(snapshot.totals().clone())
}

fn write_vertex(vertex: &Vertex, out: &mut impl Write) -> Result<()> {
    let Vertex { lid, tx, label, .. } = vertex;
    write!(out, "{lid},{tx},{label}")?;
    write_field(&vertex.identifiers.join(" "), out)?;
    for key in ["name", "created", "namespace", "tags", "data"] {
        write_field(&vertex.props.get(key).map_or_else(String::new, text), out)?;
    }
    Ok(writeln!(out)?)
}

/// The table of edges begins with both ends.
fn write_edge(edge: &Edge, out: &mut impl Write) -> Result<()> {
    let Edge {
        lid,
        tx,
        label,
        src,
        dst,
        ..
    } = edge;
    write!(out, "{src},{dst},{lid},{tx},{label}")?;
    for key in ["weight", "direction"] {
        write_field(&edge.props.get(key).map_or_else(String::new, text), out)?;
    }
    Ok(writeln!(out)?)
}

fn write_field(text: &str, out: &mut impl Write) -> Result<()> {
    Ok(write!(out, ",\"{}\"", text.replace('"', "\"\""))?)
}

fn text(value: &Value) -> String {
    match value {
        Value::Int(number) | Value::Time(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Set(items) => {
            let items: Vec<String> = items.iter().map(self::text).collect();
            format!("[{}]", items.join(","))
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_quote_inside_a_field_is_doubled_and_a_set_is_a_list() {
        let vertex = Vertex {
            lid: 7,
            tx: 1,
            deleted: false,
            label: "pod".to_owned(),
            identifiers: vec!["urn:pod:/a".to_owned()],
            props: BTreeMap::from([
                ("created".to_owned(), Value::Time(5)),
                ("data".to_owned(), Value::Text("{\"a\":1}".to_owned())),
                (
                    "tags".to_owned(),
                    Value::set(vec![Value::Text("b:1".into()), Value::Text("a:2".into())]),
                ),
            ]),
        };
        let mut out = Vec::new();
        write_vertex(&vertex, &mut out).unwrap();
        insta::assert_snapshot!(
            String::from_utf8(out).unwrap(),
            @r#"7,1,pod,"urn:pod:/a","","5","","[a:2,b:1]","{""a"":1}""#
        );
    }
}
