//! What goes into a file comes out of it.

use lifeboat_core::error::Kind as ErrorKind;
use lifeboat_core::progress::Progress;
use lifeboat_stackgraph::batch::{Builder, Kind};
use lifeboat_stackgraph::digest::Digest;
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::format::{Footer, FooterOrMore, MAX_ELEMENTS, TAIL_BYTES};
use lifeboat_stackgraph::model::{Transaction, Value};
use lifeboat_stackgraph::store::{GraphStore, Piece};
use proptest::prelude::*;

use crate::support::graphs::{Graph, any_graph, edge, vertex};
use crate::support::memory::{MemoryStore, Pieces};
use crate::support::{export, import, verify};

fn digest(pieces: &[Piece]) -> Digest {
    let mut digest = Digest::default();
    for piece in pieces {
        digest.add(Digest::of_piece(piece));
    }
    digest
}

/// Reads the footer as a listing does: from the last bytes, more of them where that is not enough.
fn footer_of_the_end(file: &[u8], first_try: usize) -> Footer {
    let size = file.len() as u64;
    let last = |count: usize| &file[file.len() - count.min(file.len())..];
    match Footer::from_tail(last(first_try), size).unwrap() {
        FooterOrMore::Footer(footer) => *footer,
        FooterOrMore::More(count) => {
            match Footer::from_tail(last(usize::try_from(count).unwrap()), size).unwrap() {
                FooterOrMore::Footer(footer) => *footer,
                FooterOrMore::More(_) => panic!("it has all it asked for"),
            }
        }
    }
}

proptest! {
    #[test]
    fn any_graph_comes_back(graph in any_graph(), batch in 1_usize..9, workers in 1_usize..4) {
        let mut source = MemoryStore::holding(graph.clone());
        source.batch = batch;
        let (file, written) = export(&source, workers)?;
        prop_assert_eq!(written.totals.digest, digest(&graph.pieces(1)));
        prop_assert_eq!(written.file_bytes, file.len() as u64);

        let target = MemoryStore::default();
        let read = import(&file, &target)?;
        prop_assert_eq!(target.content(), graph);
        prop_assert_eq!(&read, &written);
        prop_assert_eq!(footer_of_the_end(&file, TAIL_BYTES), written);

        let report = verify(&file)?;
        prop_assert!(report.is_sound(), "{:?}", report.damages);
        prop_assert_eq!(report.found, read.totals);
    }

    #[test]
    fn the_number_of_workers_does_not_change_a_byte(graph in any_graph()) {
        let store = MemoryStore::holding(graph);
        prop_assert_eq!(export(&store, 1)?.0, export(&store, 4)?.0);
    }

    #[test]
    fn the_digest_depends_on_the_graph_alone(graph in any_graph(), batch in 1_usize..9) {
        let mut pieces = graph.pieces(batch);
        let expected = digest(&graph.pieces(100));
        pieces.reverse();
        prop_assert_eq!(digest(&pieces), expected);

        let mut names_first = Builder::new(Kind::Vertices);
        for vertex in graph.vertices.iter().rev() {
            names_first.name(vertex.label.as_bytes());
            for key in vertex.props.keys().rev() {
                names_first.name(key.as_bytes());
            }
        }
        graph.vertices.iter().for_each(|vertex| names_first.push_vertex(vertex));
        let mut vertices_only = graph;
        vertices_only.edges.clear();
        vertices_only.transactions.clear();
        let renamed = Piece::Elements(Box::new(names_first.finish()));
        prop_assert_eq!(Digest::of_piece(&renamed), digest(&vertices_only.pieces(100)));
    }

    #[test]
    fn different_graphs_have_different_digests(one in any_graph(), other in any_graph()) {
        prop_assert_eq!(one == other, digest(&one.pieces(9)) == digest(&other.pieces(9)));
    }

    #[test]
    fn a_digest_is_read_as_it_is_printed(number: u128) {
        let digest = Digest(number);
        prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
    }
}

#[test]
fn a_text_that_is_no_digest_is_refused() {
    for text in [
        "",
        "0",
        "+0000000000000000000000000000000",
        "g0000000000000000000000000000000",
    ] {
        assert!(text.parse::<Digest>().is_err(), "`{text}`");
    }
}

#[test]
fn every_detail_of_an_element_is_in_its_digest() {
    let base = vertex(1, "host", &[("key", Value::Int(5))]);
    let variants = [
        ("the same", base.clone()),
        ("id", vertex(2, "host", &[("key", Value::Int(5))])),
        ("label", vertex(1, "pod", &[("key", Value::Int(5))])),
        ("key", vertex(1, "host", &[("kez", Value::Int(5))])),
        ("value", vertex(1, "host", &[("key", Value::Int(6))])),
        ("type", vertex(1, "host", &[("key", Value::Time(5))])),
        ("null", vertex(1, "host", &[("key", Value::Null)])),
        ("absence", vertex(1, "host", &[])),
        ("version", {
            let mut v = base.clone();
            v.tx = 2;
            v
        }),
        ("tombstone", {
            let mut v = base.clone();
            v.deleted = true;
            v
        }),
        ("identifier", {
            let mut v = base.clone();
            v.identifiers[0].push('x');
            v
        }),
    ];
    let of = |vertex: &lifeboat_stackgraph::model::Vertex| {
        let vertices = vec![vertex.clone()];
        digest(
            &Graph {
                vertices,
                ..Graph::default()
            }
            .pieces(1),
        )
    };
    for (what, variant) in &variants {
        assert_eq!(of(variant) == of(&base), *what == "the same", "{what}");
    }
}

#[test]
fn a_value_of_16_mib_comes_back() {
    let large = Value::Text("lifeboat".repeat(2 << 20));
    let bytes = Value::Bytes(
        (0..16 << 20)
            .map(|n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect(),
    );
    let graph = Graph {
        vertices: vec![
            vertex(1, "host", &[("large", large)]),
            vertex(2, "host", &[("bytes", bytes)]),
        ],
        edges: vec![edge(3, 1, 1, &[])],
        ..Graph::default()
    };
    let mut source = MemoryStore::holding(graph.clone());
    source.batch = 1;
    let (file, _) = export(&source, 2).unwrap();
    let target = MemoryStore::default();
    import(&file, &target).unwrap();
    assert!(
        target.content() == graph,
        "a large value changed on the way"
    );
}

#[test]
fn an_element_that_no_block_can_hold_is_named_before_a_file_exists() {
    let huge = Value::Text("x".repeat(65 << 20));
    let vertices = vec![vertex(7, "host", &[("huge", huge)])];
    let store = MemoryStore::holding(Graph {
        vertices,
        ..Graph::default()
    });
    let error = export(&store, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    insta::assert_snapshot!(error, @"vertex 7, version 1: it, or the batch of 1 that it starts, is larger than 64 MiB");
}

#[test]
fn more_transactions_than_a_block_holds_become_several_blocks() {
    let transactions: Vec<_> = (0..MAX_ELEMENTS as u64 + 10)
        .zip(-5..)
        .map(|(tx, millis)| Transaction { tx, millis })
        .collect();
    let graph = Graph {
        transactions,
        ..Graph::default()
    };
    let (file, footer) = export(&MemoryStore::holding(graph.clone()), 2).unwrap();
    assert_eq!(footer.entries.len(), 2);
    let target = MemoryStore::default();
    import(&file, &target).unwrap();
    assert_eq!(target.content(), graph);
}

#[test]
fn a_snapshot_that_breaks_the_rules_does_not_become_a_backup() {
    let graph = Graph {
        vertices: (0..9).map(|lid| vertex(lid, "host", &[])).collect(),
        ..Graph::default()
    };
    let mut swapped = graph.pieces(3);
    swapped.swap(0, 2);
    let mut one_less = graph.pieces(3);
    one_less.pop();
    let mut outcome = Vec::new();
    for pieces in [swapped, one_less] {
        let snapshot = Pieces {
            totals: graph.totals(),
            pieces: pieces.into_iter(),
        };
        let progress = Progress::default();
        let options = lifeboat_stackgraph::export::Options {
            workers: 2,
            created: jiff::Timestamp::UNIX_EPOCH,
            uuid: [0; 16],
            program: String::new(),
            driver: String::new(),
            progress: &progress,
        };
        let mut file = Vec::new();
        let error =
            lifeboat_stackgraph::export::run(Box::new(snapshot), &mut file, options).unwrap_err();
        assert!(matches!(error, Error::Inconsistent { .. }));
        assert!(!verify(&file).unwrap().is_sound());
        outcome.push(error.to_string());
    }
    insta::assert_snapshot!(outcome.join("\n"), @r"
    the store does not hold what it says: a block does not come after the one before it
    the store does not hold what it says: its counters promise 0 transactions, 9 vertices and 0 edges, it yielded 0, 6 and 0
    ");
}

#[test]
fn an_empty_store_has_a_backup_too() {
    let (file, footer) = export(&MemoryStore::default(), 1).unwrap();
    assert_eq!(footer.totals.digest, Digest(0));
    let target = MemoryStore::holding(Graph {
        vertices: vec![vertex(1, "host", &[])],
        ..Graph::default()
    });
    import(&file, &target).unwrap();
    assert_eq!(target.content(), Graph::default());
    assert_eq!(target.info().unwrap().totals.elements(), 0);
}
