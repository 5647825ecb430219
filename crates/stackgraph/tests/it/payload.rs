//! Topology payloads, as they come from outside.

use std::path::Path;

use lifeboat_core::error::Kind;
use lifeboat_stackgraph::embedded::Store;
use lifeboat_stackgraph::embedded::write::Changes;
use lifeboat_stackgraph::model::Value;
use lifeboat_stackgraph::payload::{Error, Loaded, Payload, load};

use crate::sample::{Whole, create};

fn try_load(store: &Store, texts: &[&str]) -> Result<(Loaded, Changes), Error> {
    let payloads: Vec<Payload> = texts
        .iter()
        .zip('a'..)
        .map(|(text, name)| Payload {
            file: format!("{name}.json"),
            text: (*text).to_owned(),
        })
        .collect();
    let mut writer = store.write(1_700_000_000_000)?;
    let loaded = load(
        &mut writer,
        &payloads,
        &lifeboat_core::progress::Progress::default(),
    )?;
    Ok((loaded, writer.commit()?))
}

const AGENT: &str = r#"{"relations": [{"source_id": "urn:a", "target_id": "urn:b", "type": "runs", "data": {}}],
  "components": [
    {"id": "urn:a", "type": "agent", "data": {"name": "A", "identifiers": ["urn:a", "urn:a2"], "tags": ["x", "y"], "port": 8080}},
    {"id": "urn:b", "type": "host", "data": {"big": 18446744073709551616}}]}"#;

const RECEIVER: &str = r#"{"internalHostname": "h", "topologies": [{"instance": {"type": "t", "url": "u"},
  "components": [
    {"externalId": "urn:a", "type": {"name": "agent"}, "sourceProperties": {"k": 1}, "data": {"name": "A"}},
    {"externalId": "urn:b", "type": {"name": "host"}}],
  "relations": [
    {"externalId": "r1", "sourceId": "urn:a", "targetId": "urn:b", "type": {"name": "runs"}, "data": {}},
    {"externalId": "r2", "sourceId": "urn:a", "targetId": "urn:b", "type": {"name": "runs"}, "data": {}}]}]}"#;

#[test]
fn both_spellings_are_understood() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(&scratch.path().join("agent"));
    try_load(&store, &[AGENT]).unwrap();
    let view = store.view().unwrap();
    let found = view.find("urn:a2", 9).unwrap().remove(0);
    assert_eq!(found.vertex.label, "agent");
    assert_eq!(found.vertex.identifiers, ["urn:a", "urn:a2"]);
    let keys: Vec<_> = found.vertex.props.keys().collect();
    assert_eq!(keys, ["name", "port", "tags"]);
    let other = &found.outgoing.shown[0].vertex;
    assert_eq!(
        other.props["big"],
        Value::Text("18446744073709551616".to_owned())
    );

    let store = create(&scratch.path().join("receiver"));
    try_load(&store, &[RECEIVER]).unwrap();
    let found = store.view().unwrap().find("urn:a", 9).unwrap().remove(0);
    assert_eq!(found.outgoing.total, 2);
    assert!(found.vertex.props.contains_key("sourceProperties"));
}

#[test]
fn loading_twice_changes_nothing() {
    for text in [AGENT, RECEIVER] {
        let scratch = tempfile::tempdir().unwrap();
        let store = create(scratch.path());
        let (_, first) = try_load(&store, &[text]).unwrap();
        assert!(!first.is_nothing());
        let whole = Whole::of(&store);
        let (_, second) = try_load(&store, &[text]).unwrap();
        assert!(second.is_nothing(), "{second:?}");
        assert_eq!(Whole::of(&store), whole);
    }
}

#[test]
fn parallel_relations_are_kept_and_components_of_one_identifier_are_merged() {
    let text = r#"{"components": [
        {"id": "a", "type": "t", "data": {"one": 1, "both": 1, "identifiers": ["x"]}},
        {"id": "b", "type": "t", "data": {"two": 2, "both": 2, "identifiers": ["x"]}}],
      "relations": [{"source_id": "a", "target_id": "b", "type": "r"}, {"source_id": "a", "target_id": "b", "type": "r"}]}"#;
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let (loaded, changes) = try_load(&store, &[text]).unwrap();
    assert_eq!((loaded.components, loaded.relations), (2, 2));
    assert_eq!((changes.vertices.created, changes.edges.created), (1, 2));
    let found = store.view().unwrap().find("b", 9).unwrap().remove(0);
    assert_eq!(found.vertex.identifiers, ["a", "x", "b"]);
    assert_eq!(found.vertex.props["both"], Value::Int(2));
    assert_eq!(found.outgoing.total, 2);
    assert!(try_load(&store, &[text]).unwrap().1.is_nothing());
}

#[test]
fn the_order_of_files_does_not_matter() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let relations = r#"{"relations": [{"source_id": "a", "target_id": "a", "type": "r"}]}"#;
    let components = r#"{"components": [{"id": "a", "type": "t"}]}"#;
    let (_, changes) = try_load(&store, &[relations, components]).unwrap();
    assert_eq!((changes.vertices.created, changes.edges.created), (1, 1));
}

#[test]
fn what_delete_ids_names_goes_with_its_relations() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    try_load(&store, &[RECEIVER]).unwrap();
    let (loaded, changes) = try_load(
        &store,
        &[r#"{"components": [], "delete_ids": ["r1", "nobody"]}"#],
    )
    .unwrap();
    assert_eq!((loaded.deleted, changes.edges.deleted), (1, 1));
    let (_, changes) =
        try_load(&store, &[r#"{"components": [], "delete_ids": ["urn:b"]}"#]).unwrap();
    assert_eq!((changes.vertices.deleted, changes.edges.deleted), (1, 1));
    let (_, changes) = try_load(&store, &[RECEIVER]).unwrap();
    assert_eq!((changes.vertices.created, changes.edges.created), (1, 2));
}

#[test]
fn errors_name_the_place_and_change_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    try_load(&store, &[AGENT]).unwrap();
    let whole = Whole::of(&store);
    let error = |text| {
        let error = try_load(&store, &[text]).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert_eq!(Whole::of(&store), whole);
        error.to_string()
    };
    insta::assert_snapshot!(error("{\"components\": [\n  {\"id\": 7, \"type\": \"t\"}]}"), @"a.json:2:10: expected a text, found a number");
    insta::assert_snapshot!(error("{\"components\": [\n  {\"type\": \"t\"}]}"), @"a.json:2:3: expected `id` or `externalId` in this component");
    insta::assert_snapshot!(error("{\"components\": [{\"id\": \"new\"}]}"), @"a.json:1:17: expected `type` in this component");
    insta::assert_snapshot!(error("[1]"), @"a.json:1:1: expected an object, found a list");
    insta::assert_snapshot!(error("{\"x\": 1}"), @"a.json:1:1: expected `components` and `relations`, or `topologies`");
    insta::assert_snapshot!(error("{\"components\": [}"), @"a.json:1:17: expected value");
}

#[test]
fn a_relation_whose_end_is_missing_is_left_out_until_the_end_is_there() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let relation = r#"{"components": [{"id": "here", "type": "t"}],
        "relations": [{"source_id": "here", "target_id": "elsewhere", "type": "r"}]}"#;
    let (loaded, changes) = try_load(&store, &[relation]).unwrap();
    assert_eq!(
        (loaded.components, loaded.relations, changes.edges.created),
        (1, 0, 0)
    );
    insta::assert_snapshot!(
        loaded.left_out[0],
        @"a.json:2:23: relation of type `r` from `here` to `elsewhere`: there is no component `elsewhere`"
    );
    try_load(
        &store,
        &[r#"{"components": [{"id": "elsewhere", "type": "t"}]}"#],
    )
    .unwrap();
    let (loaded, changes) = try_load(&store, &[relation]).unwrap();
    assert_eq!((loaded.left_out.len(), changes.edges.created), (0, 1));
}

#[test]
fn real_payloads_load_and_load_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/topology");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return lifeboat_testkit::skip!("no real payloads beside the checkout");
    };
    let texts: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    assert!(!texts.is_empty());
    for text in texts {
        let scratch = tempfile::tempdir().unwrap();
        let store = create(scratch.path());
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let count = |name: &str| json[name].as_array().unwrap().len() as u64;
        let (loaded, changes) = try_load(&store, &[&text]).unwrap();
        assert_eq!(loaded.components, count("components"));
        assert_eq!(
            loaded.relations + loaded.left_out.len() as u64,
            count("relations")
        );
        for left_out in &loaded.left_out {
            let components = json["components"].as_array().unwrap();
            assert!(
                components
                    .iter()
                    .all(|component| component["id"] != left_out.missing.as_str()),
                "{left_out}, but it is there"
            );
        }
        assert_eq!(changes.edges.created, loaded.relations);
        let again = try_load(&store, &[&text]).unwrap().1;
        assert!(again.is_nothing(), "{again:?}");
    }
}

#[test]
fn what_a_payload_sends_and_deletes_at_once_is_gone_however_often_it_comes() {
    let scratch = tempfile::tempdir().unwrap();
    let store = create(scratch.path());
    let text = r#"{"components": [{"id": "a", "type": "t"}, {"id": "b", "type": "t"}],
        "relations": [{"externalId": "r1", "sourceId": "a", "targetId": "a", "type": "r"},
                      {"externalId": "r2", "sourceId": "a", "targetId": "a", "type": "r"}],
        "delete_ids": ["b", "r2"]}"#;
    for _ in 0..3 {
        try_load(&store, &[text]).unwrap();
        let counts = store.view().unwrap().counts().unwrap();
        assert_eq!((counts.vertices["t"], counts.edges["r"]), (1, 1));
    }
}
