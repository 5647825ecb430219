//! Files written by earlier releases, kept for ever: whatever changes, they are still read, and to the same graph.
//!
//! `tests/golden/README.md` says how one is added. The Python reader was written from docs/graph-format.md alone; that
//! it prints the same shows that the document is complete.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_core::backup::Consistency;
use lifeboat_stackgraph::format::{Encoder, Header, Origin, Writer};
use lifeboat_stackgraph::model::{Edge, Transaction, Value, Vertex};
use serde_json::Value as Json;

use crate::support::graphs::{Graph, edge, vertex};
use crate::support::memory::MemoryStore;
use crate::support::{CREATED, export, import, json, verify};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Every golden file with what is expected of it.
fn files() -> Vec<(PathBuf, Json)> {
    let mut files: Vec<_> = fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "graph")
        })
        .map(|path| {
            let expected = fs::read(path.with_extension("json")).unwrap();
            (path, serde_json::from_slice(&expected).unwrap())
        })
        .collect();
    files.sort_by(|(a, _), (b, _)| a.cmp(b));
    files
}

#[test]
fn every_golden_file_is_read_as_it_was_meant() {
    let files = files();
    assert!(files.len() >= graphs().len(), "golden files are missing");
    for (path, expected) in files {
        let file = fs::read(&path).unwrap();
        assert_eq!(json::of_file(&file), expected, "{}", path.display());
        assert!(verify(&file).unwrap().is_sound(), "{}", path.display());
    }
}

#[test]
fn every_golden_file_comes_back_from_a_store_with_its_digest() {
    for (path, _) in files() {
        let file = fs::read(&path).unwrap();
        let store = MemoryStore::default();
        let footer = import(&file, &store).unwrap();
        let mut store = MemoryStore::holding(store.content());
        store.batch = 1000;
        let (_, again) = export(&store, 2).unwrap();
        assert_eq!(again.totals, footer.totals, "{}", path.display());
    }
}

/// Lines of a dump: eight digits of an offset, two spaces, then up to 16 bytes in a field of 47 characters.
#[test]
fn the_bytes_in_the_document_are_those_of_the_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = fs::read_to_string(root.join("docs/graph-format.md")).unwrap();
    let mut bytes = Vec::new();
    for line in document.lines() {
        let Some((offset, rest)) = line.split_once("  ") else {
            continue;
        };
        if offset.len() == 8
            && let Ok(offset) = usize::from_str_radix(offset, 16)
        {
            assert_eq!(offset, bytes.len(), "{line}");
            let dump = rest.get(..47).unwrap_or(rest);
            let digits = dump.split_whitespace();
            bytes.extend(digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        }
    }
    assert_eq!(bytes, fs::read(golden().join("v1-tiny.graph")).unwrap());
}

#[test]
fn the_python_reader_prints_the_same() {
    let python = match lifeboat_testkit::python::interpreter() {
        Ok(python) => python,
        Err(error) => return lifeboat_testkit::skip!("no Python with `zstandard`: {error:#}"),
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/read_graph.py");
    for (path, expected) in files() {
        let output = Command::new(&python)
            .arg(&script)
            .arg(&path)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {stderr}", path.display());
        let printed: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed, expected, "{}", path.display());
    }
}

#[test]
#[ignore = "writes golden files of a new format version; those that exist are never written again"]
fn write_what_is_missing() {
    for (name, graph, batch) in graphs() {
        let path = golden().join(format!("v1-{name}.graph"));
        if path.exists() {
            eprintln!("{} is there and stays as it is", path.display());
            continue;
        }
        let file = written(&graph, batch);
        let expected = json::of_file(&file).to_string();
        fs::write(path.with_extension("json"), expected + "\n").unwrap();
        fs::write(&path, file).unwrap();
    }
}

/// With a comment, which an export never writes.
fn written(graph: &Graph, batch: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let created = jiff::Timestamp::from_millisecond(CREATED).unwrap();
    let header = Header::new(*b"golden file v1\0\xff", created);
    let mut writer = Writer::new(&mut file, header).unwrap();
    writer.comment("kept for ever").unwrap();
    let mut encoder = Encoder::new().unwrap();
    for piece in graph.pieces(batch) {
        writer
            .write(&encoder.encode(&piece).unwrap().unwrap())
            .unwrap();
    }
    let origin = Origin {
        program: "lifeboat 0.1.0".to_owned(),
        driver: "embedded".to_owned(),
        consistency: Consistency::Quiesced,
    };
    writer.finish(origin).unwrap();
    file
}

fn graphs() -> Vec<(&'static str, Graph, usize)> {
    vec![
        ("empty", Graph::default(), 1),
        ("tiny", tiny(), 100),
        ("values", values(), 100),
        ("history", history(), 2),
        ("columns", columns(), 250),
    ]
}

/// The file whose bytes docs/graph-format.md explains.
fn tiny() -> Graph {
    Graph {
        transactions: vec![Transaction {
            tx: 1,
            millis: CREATED,
        }],
        vertices: vec![
            vertex(1, "host", &[("cores", Value::Int(8))]),
            vertex(2, "host", &[("cores", Value::Int(64))]),
        ],
        edges: vec![edge(3, 1, 2, &[])],
    }
}

fn values() -> Graph {
    let text = |text: &str| Value::Text(text.to_owned());
    let map: BTreeMap<String, Value> = [
        (String::new(), Value::Null),
        (
            "nested".to_owned(),
            Value::List(vec![Value::set(vec![text("b"), text("a")])]),
        ),
    ]
    .into();
    let all = [
        ("null", Value::Null),
        ("false", Value::Bool(false)),
        ("true", Value::Bool(true)),
        ("least", Value::Int(i64::MIN)),
        ("greatest", Value::Int(i64::MAX)),
        ("nan", Value::Float(f64::from_bits(0x7ff8_0000_0000_0001))),
        ("minus zero", Value::Float(-0.0)),
        ("before 1970", Value::Time(-1)),
        ("", text("")),
        ("nul", text("\0")),
        ("emoji", text("\u{1f6df} rescue \u{202e} \"quoted\"")),
        ("bytes", Value::Bytes(vec![0, 255, 128])),
        (
            "list",
            Value::List(vec![Value::Int(-1), text("x"), Value::Null]),
        ),
        (
            "set",
            Value::set(vec![
                Value::Int(-1),
                Value::Int(1),
                text("x"),
                Value::Bool(true),
            ]),
        ),
        ("map", Value::Map(map)),
    ];
    let mut alone: Vec<Vertex> = (10..)
        .zip(&all)
        .map(|(lid, one)| vertex(lid, "one", std::slice::from_ref(one)))
        .collect();
    alone[0].identifiers = vec![String::new(), "urn:\u{e9}:/\0".to_owned()];
    alone[1].identifiers.clear();
    let mut graph = Graph {
        vertices: vec![vertex(0, "", &all)],
        edges: vec![
            edge(u64::MAX, 0, 0, &all),
            // One key with two types.
            edge(5, 10, 0, &[("list", Value::Int(1))]),
        ],
        ..Graph::default()
    };
    graph.vertices.append(&mut alone);
    graph
}

fn history() -> Graph {
    let version = |tx: u64, deleted: bool, size: i64| Vertex {
        tx,
        deleted,
        ..vertex(7, "host", &[("size", Value::Int(size))])
    };
    let link = |lid: u64, tx: u64, deleted: bool| Edge {
        tx,
        deleted,
        ..edge(lid, 7, 8, &[])
    };
    Graph {
        transactions: (1..6)
            .zip([-9, 0, 5, 5, i64::MAX])
            .map(|(tx, millis)| Transaction { tx, millis })
            .collect(),
        vertices: vec![
            version(1, false, 10),
            version(3, false, 11),
            version(4, true, 11),
            version(u64::MAX, false, 12),
            vertex(8, "host", &[]),
        ],
        edges: vec![
            link(1, 1, false),
            link(1, 4, true),
            link(2, 1, false),
            edge(3, 8, 8, &[]),
        ],
    }
}

/// Enough elements for every encoding of a column: lines, differences, offsets of several widths, bitmaps, positions,
/// dictionaries.
fn columns() -> Graph {
    let noise = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let mut vertices: Vec<Vertex> = (0..600)
        .map(|n| {
            let mut vertex = vertex(
                n * 3,
                ["host", "pod", "service"][usize::try_from(n % 3).unwrap()],
                &[
                    (
                        "time",
                        Value::Time(CREATED + (n * 1000 + noise(n) % 90).cast_signed()),
                    ),
                    ("noise", Value::Int(noise(n).cast_signed())),
                    ("space", Value::Text(format!("team-{}", noise(n) % 5))),
                    ("name", Value::Text(format!("name-{n}-{}", noise(n)))),
                    (
                        "load",
                        Value::Float(f64::from(u32::try_from(noise(n) % 100).unwrap()) / 8.0),
                    ),
                ],
            );
            if n % 4 == 0 {
                vertex
                    .props
                    .insert("ready".to_owned(), Value::Bool(noise(n) % 2 == 0));
            }
            vertex
        })
        .collect();
    vertices[77].props.insert("rare".to_owned(), Value::Null);
    vertices[78].deleted = true;
    Graph {
        transactions: vec![Transaction { tx: 1, millis: 0 }],
        vertices,
        edges: (0..600)
            .map(|n| edge(5000 - n, n, noise(n) % 600, &[]))
            .collect(),
    }
}
