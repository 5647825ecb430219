//! What every graph store promises, whatever its driver: the suite for `GraphStore`.

use lifeboat_core::error::Kind;
use lifeboat_stackgraph::error::Error;
use lifeboat_stackgraph::model::Transaction;
use lifeboat_stackgraph::store::{Expected, GraphStore, LoadMode};

use crate::sample::{Whole, create, edge, varied, vertex};

type Promise = fn(&dyn GraphStore);

/// Every promise, each on an empty store of its own.
const PROMISES: [(&str, Promise); 6] = [
    ("what goes in comes out", what_goes_in_comes_out),
    (
        "a dropped load changes nothing",
        a_dropped_load_changes_nothing,
    ),
    (
        "a store with content is refused",
        a_store_with_content_is_refused,
    ),
    ("a forced load replaces everything", a_forced_load_replaces),
    (
        "what is wrong is refused as a whole",
        what_is_wrong_is_refused,
    ),
    (
        "counts must be those promised",
        counts_must_be_those_promised,
    ),
];

#[test]
fn the_embedded_store_keeps_the_contract() {
    for (name, promise) in PROMISES {
        let scratch = tempfile::tempdir().unwrap();
        println!("{name}");
        promise(&create(&scratch.path().join("store")));
    }
}

fn what_goes_in_comes_out(store: &dyn GraphStore) {
    assert_eq!(Whole::of(store), Whole::default());
    let whole = varied();
    whole.load(store, LoadMode::IntoEmpty).unwrap();
    assert_eq!(Whole::of(store), whole);
    assert_eq!(store.info().unwrap().totals, whole.totals());
}

fn a_dropped_load_changes_nothing(store: &dyn GraphStore) {
    let whole = varied();
    whole.load(store, LoadMode::IntoEmpty).unwrap();
    for cut in 0..=whole.pieces(2).len() {
        let mut loader = store
            .begin_load(LoadMode::Replace, &Expected::default())
            .unwrap();
        for piece in whole.pieces(2).into_iter().take(cut) {
            loader.add(piece).unwrap();
        }
        drop(loader);
        assert_eq!(Whole::of(store), whole);
    }
}

fn a_store_with_content_is_refused(store: &dyn GraphStore) {
    let whole = varied();
    whole.load(store, LoadMode::IntoEmpty).unwrap();
    let error = whole.load(store, LoadMode::IntoEmpty).unwrap_err();
    assert!(matches!(
        error,
        Error::NotEmpty {
            vertices: 5,
            edges: 5
        }
    ));
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.to_string(),
        "ERROR com.stackvista.graph.migration.Restore - Restore isn't possible in a non empty."
    );
    assert_eq!(Whole::of(store), whole);
}

fn a_forced_load_replaces(store: &dyn GraphStore) {
    varied().load(store, LoadMode::IntoEmpty).unwrap();
    let other = Whole {
        vertices: vec![vertex(9, 1, "only")],
        ..Whole::default()
    };
    other.load(store, LoadMode::Replace).unwrap();
    assert_eq!(Whole::of(store), other);
    Whole::default().load(store, LoadMode::Replace).unwrap();
    assert_eq!(Whole::of(store), Whole::default());
    other.load(store, LoadMode::IntoEmpty).unwrap();
    assert_eq!(Whole::of(store), other);
}

fn what_is_wrong_is_refused(store: &dyn GraphStore) {
    let kept = Whole {
        vertices: vec![vertex(5, 1, "kept")],
        ..Whole::default()
    };
    kept.load(store, LoadMode::IntoEmpty).unwrap();
    let refused = |what: &str, spoil: fn(&mut Whole)| {
        let mut whole = varied();
        spoil(&mut whole);
        let error = whole.load_in(store, LoadMode::Replace, 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{what}: {error}");
        assert!(error.to_string().contains(what), "{error}");
        assert_eq!(Whole::of(store), kept);
    };
    refused("vertex `1`: is repeated", |whole| whole.vertices.swap(0, 1));
    refused("vertex `2`: is repeated", |whole| {
        whole.vertices.insert(3, whole.vertices[2].clone());
    });
    refused("edge `10`: is repeated", |whole| whole.edges.swap(1, 2));
    refused("transaction `1`: is repeated", |whole| {
        whole.transactions.push(Transaction { tx: 1, millis: 0 });
    });
    refused("edge `14`: refers to vertex `77`", |whole| {
        whole.edges.push(edge(14, 1, 2, 77));
    });
    refused("edge `14`: refers to vertex `77`", |whole| {
        whole.edges.push(edge(14, 1, 77, 2));
    });
    refused("edge `13`: leaves two vertices", |whole| {
        whole.edges.push(edge(13, 1, 2, 1));
    });
    refused("edge `3`: has the number of a vertex", |whole| {
        whole.edges.insert(1, edge(3, 1, 2, 1));
    });
    refused("edge `12`: points at different vertices", |whole| {
        whole.edges[4].dst = 3;
    });
    refused(
        "identifier `urn:process:/2`: belongs to two vertices of label `process`, `2` and `4`",
        |whole| {
            let mut twin = vertex(4, 1, "process");
            twin.identifiers = vec!["urn:process:/2".to_owned()];
            whole.vertices.push(twin);
        },
    );
}

fn counts_must_be_those_promised(store: &dyn GraphStore) {
    let whole = varied();
    let load = |promise: fn(&mut lifeboat_stackgraph::store::Totals)| {
        let mut loader = store
            .begin_load(LoadMode::IntoEmpty, &Expected::default())
            .unwrap();
        for piece in whole.pieces(2) {
            loader.add(piece).unwrap();
        }
        let mut promised = whole.totals();
        promise(&mut promised);
        let error = loader.commit(&promised).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
        assert_eq!(Whole::of(store), Whole::default());
        error.to_string()
    };
    insta::assert_snapshot!(
        load(|promised| *promised.vertices.get_mut("host").unwrap() = 3),
        @"the imported graph does not match its file: 3 vertices of label `host` were promised, 2 came"
    );
    load(|promised| {
        promised.edges.insert("more".to_owned(), 1);
    });
    load(|promised| {
        promised.edges.clear();
    });
    load(|promised| promised.transactions = 0);
}
