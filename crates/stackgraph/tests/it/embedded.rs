//! The embedded store: what it promises beyond the contract of all stores.

use std::collections::BTreeMap;
use std::path::Path;

use lifeboat_core::error::Kind;
use lifeboat_stackgraph::embedded::Store;
use lifeboat_stackgraph::embedded::write::{Identity, Writer};
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::model::Value;
use lifeboat_stackgraph::store::{Expected, GraphStore, LoadMode};
use proptest::prelude::*;

use crate::sample::{Whole, any_whole, create, edge, options, varied, vertex};

fn amount(number: i64) -> BTreeMap<String, Value> {
    BTreeMap::from([("amount".to_owned(), Value::Int(number))])
}

fn put(writer: &mut Writer, name: &str, number: i64) -> u64 {
    writer
        .upsert_vertex("account", &[name.to_owned()], amount(number))
        .unwrap()
}

fn generations(store: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("gen-"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_reader_is_told_that_there_is_no_store() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("store");
    let error = Store::open(&path, options("stackgraph show")).unwrap_err();
    assert!(matches!(error, Error::NoStore { .. }), "{error}");
    assert!(!path.exists());
    create(&path);
    Store::open(&path, options("stackgraph show")).unwrap();
}

#[test]
fn a_snapshot_stays_while_a_writer_moves_value_between_vertices() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let mut writer = store.write(0).unwrap();
    for name in ["left", "right"] {
        put(&mut writer, name, 100);
    }
    writer.commit().unwrap();
    let sum = |whole: &Whole| -> i64 {
        let current: BTreeMap<_, _> = whole
            .vertices
            .iter()
            .map(|vertex| (vertex.lid, &vertex.props["amount"]))
            .collect();
        current
            .values()
            .map(|value| match value {
                Value::Int(number) => number,
                other => panic!("{other:?}"),
            })
            .sum()
    };
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            for step in 1..40 {
                let mut writer = store.write(step).unwrap();
                put(&mut writer, "left", 100 - step);
                put(&mut writer, "right", 100 + step);
                writer.commit().unwrap();
            }
        });
        let reader = Store::open(scratch.path(), options("stackgraph backup")).unwrap();
        let mut versions = 0;
        while !moving.is_finished() {
            let whole = Whole::of(&reader);
            assert_eq!(sum(&whole), 200);
            assert!(whole.vertices.len() >= versions);
            versions = whole.vertices.len();
        }
    });
    assert_eq!(Whole::of(&store).vertices.len(), 80);
}

#[test]
fn a_snapshot_keeps_a_restore_out_and_a_restore_everybody_else() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let other = Store::open(scratch.path(), options("stackgraph backup")).unwrap();
    let snapshot = other.snapshot().unwrap();
    let refused = store.begin_load(LoadMode::Replace, &Expected::default());
    let text = refused.err().unwrap().to_string();
    assert!(
        text.contains("`stackgraph backup` (process 7 on `node-1`) since 2023"),
        "{text}"
    );
    drop(snapshot);
    let loader = store
        .begin_load(LoadMode::Replace, &Expected::default())
        .unwrap();
    let refusals = [
        other.snapshot().err(),
        other.view().err(),
        other.write(0).err(),
        other
            .begin_load(LoadMode::Replace, &Expected::default())
            .err(),
    ];
    for refusal in refusals {
        let refusal = refusal.unwrap();
        assert!(matches!(refusal, Error::Held { .. }), "{refusal}");
        assert_eq!(refusal.kind(), Kind::Conflict);
    }
    drop(loader);
    other.snapshot().unwrap();
}

#[test]
fn a_generation_that_does_not_serve_is_removed_by_the_next_who_writes() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    varied().load(&store, LoadMode::IntoEmpty).unwrap();
    assert_eq!(generations(scratch.path()), ["gen-000002"]);
    let leftover = scratch.path().join("gen-000003");
    std::fs::create_dir(&leftover).unwrap();
    std::fs::write(leftover.join("graph.redb"), "cut off").unwrap();
    assert_eq!(Whole::of(&store), varied());
    drop(store.write(0).unwrap());
    assert_eq!(generations(scratch.path()), ["gen-000002"]);
    std::fs::create_dir(&leftover).unwrap();
    varied().load(&store, LoadMode::Replace).unwrap();
    assert_eq!(generations(scratch.path()), ["gen-000003"]);
    assert_eq!(Whole::of(&store), varied());
}

/// What the disk would show after a kill at this moment.
fn copy_as_if_killed(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_as_if_killed(&path, &copy);
        } else {
            std::fs::copy(path, copy).unwrap();
        }
    }
}

#[test]
fn a_process_killed_meanwhile_leaves_the_graph_as_it_was() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("store");
    let store = create(&path);
    varied().load(&store, LoadMode::IntoEmpty).unwrap();

    let mut writer = store.write(9).unwrap();
    put(&mut writer, "left", 1);
    let killed = scratch.path().join("killed while writing");
    copy_as_if_killed(&path, &killed);
    drop(writer);
    let reader = Store::open(&killed, options("stackgraph show")).unwrap();
    assert_eq!(Whole::of(&reader), varied());

    let mut loader = store
        .begin_load(LoadMode::Replace, &Expected::default())
        .unwrap();
    for piece in varied().pieces(1) {
        loader.add(piece).unwrap();
    }
    let killed = scratch.path().join("killed while loading");
    copy_as_if_killed(&path, &killed);
    drop(loader);
    let store = Store::open(&killed, options("stackgraph load")).unwrap();
    assert_eq!(generations(&killed), ["gen-000002", "gen-000003"]);
    assert_eq!(Whole::of(&store), varied());
    let mut writer = store.write(9).unwrap();
    put(&mut writer, "left", 1);
    writer.commit().unwrap();
    assert_eq!(generations(&killed), ["gen-000002"]);
    assert_eq!(
        Whole::of(&store).vertices.len(),
        varied().vertices.len() + 1
    );
}

#[test]
fn a_graph_that_cannot_fit_is_refused_before_anything_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let expected = Expected {
        raw_bytes: u64::MAX / 4,
        ..Expected::default()
    };
    let error = store
        .begin_load(LoadMode::Replace, &expected)
        .err()
        .unwrap();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert_eq!(generations(scratch.path()), ["gen-000001"]);
}

#[test]
fn putting_the_same_in_again_writes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let change = |millis, number| {
        let mut writer = store.write(millis).unwrap();
        let left = put(&mut writer, "left", 1);
        let right = put(&mut writer, "right", number);
        for ordinal in 0..2 {
            let identity = Identity::Ordinal(ordinal);
            writer
                .upsert_edge("owes", (left, right), identity, amount(number))
                .unwrap();
        }
        let named = Identity::External("urn:debt");
        writer
            .upsert_edge("owes", (left, right), named, amount(1))
            .unwrap();
        writer.commit().unwrap()
    };
    let first = change(10, 2);
    assert_eq!((first.vertices.created, first.edges.created), (2, 3));
    let whole = Whole::of(&store);
    let second = change(20, 2);
    assert!(second.is_nothing());
    assert_eq!((second.vertices.unchanged, second.edges.unchanged), (2, 3));
    assert_eq!(Whole::of(&store), whole);
    let third = change(30, 3);
    assert_eq!((third.vertices.updated, third.edges.updated), (1, 2));
    assert_eq!(Whole::of(&store).transactions.len(), 2);
    let view = store.view().unwrap();
    assert_eq!(view.counts().unwrap().edges["owes"], 3);
    let found = view.find("right", 2).unwrap().remove(0);
    assert_eq!((found.incoming.shown.len(), found.incoming.total), (2, 3));
    assert_eq!(found.incoming.shown[0].vertex.identifiers, ["left"]);
    let history = view.history(found.vertex.lid).unwrap();
    let times: Vec<_> = history.iter().map(|version| version.millis).collect();
    assert_eq!(times, [Some(10), Some(30)]);
}

#[test]
fn a_dropped_change_did_not_happen() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let mut writer = store.write(0).unwrap();
    put(&mut writer, "left", 1);
    drop(writer);
    assert_eq!(Whole::of(&store), Whole::default());
}

#[test]
fn a_restored_graph_is_found_and_changed_like_the_one_before() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    varied().load(&store, LoadMode::IntoEmpty).unwrap();
    let view = store.view().unwrap();
    let found = view.find("urn:host:/1", 10).unwrap().remove(0);
    assert_eq!(found.vertex, varied().vertices[1]);
    assert_eq!(found.millis, Some(1_700_000_000_000));
    assert_eq!((found.outgoing.total, found.incoming.total), (1, 3));
    assert_eq!(view.find("urn:process:/3", 10).unwrap(), []);
    let counts = view.counts().unwrap();
    assert_eq!(
        counts.vertices,
        BTreeMap::from([("host".to_owned(), 1), ("process".to_owned(), 1)])
    );
    assert_eq!(counts.edges, BTreeMap::from([("runs on".to_owned(), 3)]));
    drop(view);
    let mut writer = store.write(40).unwrap();
    writer.delete_vertex(1).unwrap();
    let changes = writer.commit().unwrap();
    assert_eq!((changes.vertices.deleted, changes.edges.deleted), (1, 3));
    let view = store.view().unwrap();
    assert_eq!(view.find("urn:host:/1", 10).unwrap(), []);
    assert!(view.counts().unwrap().edges.is_empty());
    assert_eq!(view.history(1).unwrap().len(), 3);
}

#[test]
fn identifiers_of_two_vertices_are_refused_and_those_given_up_can_be_taken() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let ids = |all: &[&str]| -> Vec<String> { all.iter().map(|&id| id.to_owned()).collect() };
    let mut writer = store.write(0).unwrap();
    writer
        .upsert_vertex("host", &ids(&["a", "x"]), amount(1))
        .unwrap();
    writer
        .upsert_vertex("host", &ids(&["b"]), amount(1))
        .unwrap();
    writer.commit().unwrap();
    let mut writer = store.write(1).unwrap();
    let error = writer.upsert_vertex("host", &ids(&["b", "x"]), amount(1));
    insta::assert_snapshot!(
        error.unwrap_err(),
        @"identifier `x`: belongs to another vertex of label `host` than `b`, which the same element has"
    );
    drop(writer);
    let mut writer = store.write(2).unwrap();
    writer
        .upsert_vertex("host", &ids(&["a"]), amount(1))
        .unwrap();
    writer.commit().unwrap();
    let mut writer = store.write(3).unwrap();
    writer
        .upsert_vertex("host", &ids(&["b", "x"]), amount(1))
        .unwrap();
    writer
        .upsert_vertex("process", &ids(&["x"]), amount(1))
        .unwrap();
    writer.commit().unwrap();
    let labels: Vec<_> = store
        .view()
        .unwrap()
        .find("x", 0)
        .unwrap()
        .into_iter()
        .map(|found| found.vertex.label)
        .collect();
    assert_eq!(labels, ["host", "process"]);
}

#[test]
fn many_elements_of_any_size_come_back_in_bounded_batches() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let mut whole = Whole::default();
    for lid in 0..70_000 {
        whole.vertices.push(vertex(lid, 1, "host"));
        whole
            .edges
            .push(edge(100_000 + lid, 1, lid, (lid * 7919) % 70_000));
    }
    let long = Value::Text("x".repeat(16 << 20));
    whole.vertices[40_000].props.insert("long".to_owned(), long);
    whole.load_in(&store, LoadMode::IntoEmpty, 65_536).unwrap();
    assert_eq!(Whole::of(&store), whole);
    let found = store.view().unwrap().find("urn:host:/7919", 1).unwrap();
    assert_eq!(found[0].incoming.shown[0].vertex.lid, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_graph_comes_back_as_it_went_in(whole in any_whole(), size in 1_usize..8) {
        let scratch = tempfile::tempdir().unwrap();
        let store = create(scratch.path());
        whole.load_in(&store, LoadMode::IntoEmpty, size).unwrap();
        prop_assert_eq!(Whole::of(&store), whole);
    }
}
