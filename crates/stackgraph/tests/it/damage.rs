//! What is not whole is never taken for whole, and what was there before stays.

use std::io::{self, Read, Write};

use lifeboat_core::error::Kind as ErrorKind;
use lifeboat_core::progress::Progress;
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::format::{Footer, TAIL_BYTES};
use lifeboat_stackgraph::model::{Transaction, Value};
use lifeboat_stackgraph::store::{Expected, GraphStore, LoadMode};
use lifeboat_stackgraph::{export, import as import_module};
use proptest::prelude::*;

use crate::support::graphs::{Graph, edge, vertex};
use crate::support::memory::MemoryStore;
use crate::support::{export, import, verify};

/// A graph with a bit of everything, and a block for every three elements.
fn graph() -> Graph {
    Graph {
        transactions: vec![Transaction { tx: 1, millis: -7 }],
        vertices: (1..8)
            .map(|lid| {
                vertex(
                    lid,
                    "host",
                    &[("n", Value::Int(5)), ("t", Value::Text("x".into()))],
                )
            })
            .collect(),
        edges: (1..8).map(|lid| edge(lid + 100, lid, 1, &[])).collect(),
    }
}

fn small_file() -> Vec<u8> {
    let mut small = graph();
    small.vertices.truncate(2);
    small.edges.truncate(1);
    export(&MemoryStore::holding(small), 1).unwrap().0
}

/// Neither imported nor verified, and the store holds what it held.
fn assert_refused(file: &[u8], what: &str) {
    let before = Graph {
        vertices: vec![vertex(99, "before", &[])],
        ..Graph::default()
    };
    let store = MemoryStore::holding(before.clone());
    let error = import(file, &store).expect_err(what);
    assert!(
        matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Invalid),
        "{what}: {error}"
    );
    assert_eq!(store.content(), before, "{what}");
    match verify(file) {
        Ok(report) => assert!(!report.is_sound(), "{what}: verified as sound"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{what}: {error}"),
    }
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let file = small_file();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_refused(&flipped, &format!("bit {bit} flipped"));
        // The end alone is enough for a listing, which must not panic; what it shows is checked by whoever restores.
        let last = &flipped[file.len() / 2..];
        drop(Footer::from_tail(last, file.len() as u64));
    }
}

#[test]
fn a_file_cut_at_any_length_is_incomplete() {
    let file = small_file();
    for length in 0..file.len() {
        let cut = &file[..length];
        assert_refused(cut, &format!("cut at {length}"));
        let error = import(cut, &MemoryStore::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the file is incomplete: it ends without its end mark at byte {length}")
        );
        assert!(
            Footer::from_tail(cut, length as u64).is_err(),
            "cut at {length}"
        );
    }
}

#[test]
fn a_byte_too_many_or_too_few_anywhere_is_seen() {
    let file = small_file();
    for at in 0..=file.len() {
        let mut longer = file.clone();
        longer.insert(at, 0x55);
        assert_refused(&longer, &format!("a byte inserted at {at}"));
        if at < file.len() {
            let mut shorter = file.clone();
            shorter.remove(at);
            assert_refused(&shorter, &format!("the byte at {at} removed"));
        }
    }
}

#[test]
fn verify_lists_every_damaged_block_and_counts_what_is_left() {
    let (mut file, footer) = export(&MemoryStore::holding(graph()), 2).unwrap();
    let at = |block: usize| usize::try_from(footer.entries[block].at).unwrap();
    // The payload of the first block of vertices, the head of the second, the length in the head of an edge block.
    file[at(1) + 45] ^= 1;
    file[at(2)] ^= 1;
    file[at(5) + 12] ^= 0x80;
    let report = verify(&file).unwrap();
    let places: Vec<String> = report.damages.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(places.join("\n"), @r"
    block 1 is damaged, it does not match its checksum, at byte 134
    no block starts where one should, at byte 255
    the head of a block does not match its checksum, at byte 575
    ");
    assert_eq!(report.sound_blocks, 4);
    assert_eq!(report.found.vertex_count(), 1);
    assert_eq!(report.found.edge_count(), 4);
    assert_eq!(report.footer, Some(footer));
    assert_eq!(report.file_bytes, file.len() as u64);
}

#[test]
fn verify_finds_the_blocks_behind_a_damaged_header() {
    let (mut file, footer) = export(&MemoryStore::holding(graph()), 2).unwrap();
    file[30] ^= 1;
    let report = verify(&file).unwrap();
    assert_eq!(report.damaged_places, 1);
    assert_eq!(
        report.damages[0].to_string(),
        "the header does not match its checksum at byte 0"
    );
    assert_eq!(report.found, footer.totals);
}

#[test]
fn the_blocks_of_an_unfinished_file_are_counted() {
    let (file, footer) = export(&MemoryStore::holding(graph()), 2).unwrap();
    let end = usize::try_from(footer.entries[5].at).unwrap();
    let report = verify(&file[..end]).unwrap();
    assert_eq!(report.sound_blocks, 5);
    assert_eq!(report.footer, None);
    assert_eq!(report.damaged_places, 1);
    assert_eq!(report.found.vertex_count(), 7);
}

#[test]
fn blocks_exchanged_between_two_files_are_seen() {
    let (file, footer) = export(&MemoryStore::holding(graph()), 2).unwrap();
    let at = |block: usize| usize::try_from(footer.entries[block].at).unwrap();
    let mut swapped = file[..at(1)].to_vec();
    swapped.extend_from_slice(&file[at(2)..at(3)]);
    swapped.extend_from_slice(&file[at(1)..at(2)]);
    swapped.extend_from_slice(&file[at(3)..]);
    assert_refused(&swapped, "two blocks exchanged");
    let repeated = [&file[..at(2)], &file[at(1)..]].concat();
    assert_refused(&repeated, "a block repeated");
    let without = [&file[..at(1)], &file[at(2)..]].concat();
    assert_refused(&without, "a block left out");
    let twice = [file.as_slice(), &file].concat();
    assert_refused(&twice, "two files in one");
}

#[test]
fn a_listing_names_a_file_without_its_end() {
    let file = small_file();
    let size = file.len() as u64;
    let cut = &file[..file.len() - TAIL_BYTES - 5];
    insta::assert_snapshot!(
        Footer::from_tail(cut, cut.len() as u64).unwrap_err().to_string().replace(&cut.len().to_string(), "N"),
        @"the file is incomplete: it ends without its end mark at byte N"
    );
    for other in [0, 1, size - 1, size + 1, u64::MAX] {
        let wrong = Footer::from_tail(&file, other);
        assert!(wrong.is_err(), "a length of {other}, not {size}");
    }
}

proptest! {
    #[test]
    fn any_bytes_after_a_header_are_refused_without_a_panic(bytes: Vec<u8>) {
        let mut file = small_file();
        file.truncate(64);
        file.extend(bytes);
        assert_refused(&file, "random bytes");
    }

    #[test]
    fn any_bytes_are_no_footer(bytes: Vec<u8>, size: u64) {
        prop_assert!(Footer::from_tail(&bytes, size).is_err());
    }
}

/// Fails after so many bytes.
struct Failing {
    left: usize,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn a_full_disk_ends_an_export_at_any_byte() {
    let store = MemoryStore::holding(graph());
    let progress = Progress::default();
    let export_into = |left: usize| {
        let options = export::Options {
            workers: 2,
            created: jiff::Timestamp::UNIX_EPOCH,
            uuid: [0; 16],
            program: String::new(),
            driver: String::new(),
            progress: &progress,
        };
        export::run(store.snapshot().unwrap(), Failing { left }, options)
    };
    let size = export_into(usize::MAX).unwrap().file_bytes;
    for left in 0..usize::try_from(size).unwrap() {
        let error = export_into(left).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.to_string(), "cannot write the backup");
    }
}

#[test]
fn a_lost_connection_ends_an_import_and_changes_nothing() {
    let (file, _) = export(&MemoryStore::holding(graph()), 2).unwrap();
    let store = MemoryStore::holding(graph());
    let progress = Progress::default();
    let options = import_module::Options {
        workers: 2,
        mode: LoadMode::Replace,
        expected: Expected::default(),
        progress: &progress,
    };
    for length in [0, 10, 64, 70, file.len() / 2, file.len() - 1] {
        let reader = file[..length].chain(Failing { left: 0 });
        let error = import_module::run(reader, &store, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{length}");
        assert_eq!(store.content(), graph(), "{length}");
    }
}

#[test]
fn a_store_that_refuses_a_piece_ends_the_import() {
    let (file, footer) = export(&MemoryStore::holding(graph()), 2).unwrap();
    for refuses in 0..footer.entries.len() {
        let mut store = MemoryStore::holding(Graph::default());
        store.refuses = Some(refuses);
        assert!(matches!(import(&file, &store), Err(Error::Mismatch { .. })));
        assert_eq!(store.content(), Graph::default());
    }
}

#[test]
fn a_store_that_is_not_empty_is_left_alone_unless_forced() {
    let (file, _) = export(&MemoryStore::default(), 1).unwrap();
    let store = MemoryStore::holding(graph());
    let progress = Progress::default();
    let options = import_module::Options {
        workers: 1,
        mode: LoadMode::IntoEmpty,
        expected: Expected::default(),
        progress: &progress,
    };
    let error = import_module::run(file.as_slice(), &store, &options).unwrap_err();
    assert!(matches!(
        error,
        Error::NotEmpty {
            vertices: 7,
            edges: 7
        }
    ));
    assert_eq!(store.content(), graph());
}
