//! What is refused for its name or its shards, and what is not.

use proptest::prelude::*;
use serde_json::json;

use super::super::plan::{Existing, Partial, Rename, Wish, make};
use super::*;
use crate::engine::{Engine, Family, Version};
use crate::indices::Status;
use crate::odd;
use crate::pattern::Patterns;
use crate::snapshot::Snapshot;

fn index(name: &str) -> Index {
    Index {
        name: name.to_owned(),
        status: Status::Open,
        health: None,
        primaries: 1,
        shards: 1,
        documents: None,
        size: None,
    }
}

fn alias(name: &str, of: &str) -> Alias {
    Alias {
        name: name.to_owned(),
        of: of.to_owned(),
    }
}

/// Of the indices `sts_a` and `sts_b` and the data stream `sts_logs`.
fn plan(cluster: &Cluster, existing: Existing, rename: Option<&Rename>) -> Result<Plan, Error> {
    let snapshot = Snapshot::read(&json!({
        "snapshot": "s", "uuid": "u", "state": "SUCCESS", "version": "3.6.0",
        "indices": ["sts_a", "sts_b", ".ds-sts_logs-000001"], "data_streams": ["sts_logs"],
        "shards": {"total": 3, "failed": 0, "successful": 3}
    }));
    let patterns = Patterns::parse("sts*");
    let wish = Wish {
        patterns: &patterns,
        rename,
        partial: Partial::Refused,
        existing,
    };
    let engine = Engine {
        family: Family::OpenSearch,
        version: Version::new(3, 6, 0),
    };
    make(&snapshot.unwrap(), &wish, engine, cluster)
}

fn refusal(cluster: &Cluster) -> String {
    let error = plan(cluster, Existing::Deleted, None).unwrap_err();
    assert_eq!(error.kind(), lifeboat_core::error::Kind::Conflict);
    error.to_string()
}

#[test]
fn an_alias_or_a_stream_of_that_name_is_refused_whatever_may_be_deleted() {
    let mut cluster = Cluster {
        indices: vec![index("x"), index("y"), index("sts_b")],
        aliases: vec![
            alias("sts_a", "x"),
            alias("sts_a", "y"),
            alias("sts_logs", "x"),
            alias("other", "x"),
        ],
        ..Cluster::default()
    };
    let told = "the cluster has other things of these names: `sts_a` is an alias of `x`, `y`; `sts_logs` is an alias of `x`";
    assert_eq!(refusal(&cluster), told);
    // Whoever has to delete something first hears of it at once.
    let error = plan(&cluster, Existing::Refused, None).unwrap_err();
    assert_eq!(error.to_string(), told);
    // Beside it there is room.
    let rename = Rename::parse("sts_=restored_").unwrap();
    assert!(plan(&cluster, Existing::Refused, Some(&rename)).is_ok());
    cluster.aliases.clear();
    assert!(plan(&cluster, Existing::Deleted, None).is_ok());
    cluster.streams.push(Stream {
        name: "sts_a".to_owned(),
        indices: vec![".ds-sts_a-000001".to_owned()],
    });
    assert_eq!(
        refusal(&cluster),
        "the cluster has other things of these names: `sts_a` is a data stream"
    );
}

#[test]
fn an_alias_that_goes_with_its_indices_is_in_nobodys_way() {
    let stream = Stream {
        name: "sts_logs".to_owned(),
        indices: vec![".ds-sts_logs-000007".to_owned()],
    };
    let mut cluster = Cluster {
        indices: vec![index("sts_b"), index(".ds-sts_logs-000007"), index("x")],
        streams: vec![stream],
        aliases: vec![alias("sts_a", "sts_b"), alias("sts_a", "sts_logs")],
        limit: None,
    };
    let made = plan(&cluster, Existing::Deleted, None).unwrap();
    assert_eq!(made.delete_indices, ["sts_b"]);
    // Unless one of them stays.
    cluster.aliases.push(alias("sts_a", "x"));
    assert!(refusal(&cluster).contains("`sts_a` is an alias of `sts_b`, `sts_logs`, `x`"));
}

#[test]
fn an_index_with_the_name_of_a_stream_is_deleted_on_demand() {
    let cluster = Cluster {
        indices: vec![index("sts_logs")],
        ..Cluster::default()
    };
    let error = plan(&cluster, Existing::Refused, None).unwrap_err();
    assert_eq!(error.to_string(), "1 index does exist already: `sts_logs`");
    let made = plan(&cluster, Existing::Deleted, None).unwrap();
    assert_eq!(made.delete_indices, ["sts_logs"]);
}

#[test]
fn a_restore_that_has_no_room_for_one_of_its_shards_is_refused() {
    let mut there = index("sts_a");
    there.shards = 3;
    let mut closed = index("closed");
    closed.status = Status::Closed;
    closed.shards = 100;
    let mut cluster = Cluster {
        indices: vec![there, index("x"), index("y"), closed],
        limit: Some(2),
        ..Cluster::default()
    };
    let error = plan(&cluster, Existing::Deleted, None).unwrap_err();
    assert_eq!(error.kind(), lifeboat_core::error::Kind::Invalid);
    assert_eq!(
        error.to_string(),
        "the cluster would refuse `sts_a` with 1 shards or more: 2 are open besides what is deleted, and it allows for 2"
    );
    // One has room, and each is judged by itself: 2, and 3 of `sts_a` as there are now, and 1 of each other.
    for (limit, crowd) in [(3, true), (6, true), (7, false)] {
        cluster.limit = Some(limit);
        let made = plan(&cluster, Existing::Deleted, None).unwrap();
        let expected = crowd.then_some(Crowd { after: 7, limit });
        assert_eq!(made.crowd, expected);
    }
    cluster.limit = None;
    assert_eq!(plan(&cluster, Existing::Deleted, None).unwrap().crowd, None);
}

#[test]
fn the_limit_is_of_all_nodes_that_hold_data() {
    let of = |settings, nodes| read_limit(&settings, nodes);
    let at = |limit: &str| json!({"cluster": {"max_shards_per_node": limit}});
    let all = json!({"transient": at("3"), "persistent": at("4"), "defaults": at("5")});
    assert_eq!(of(all, 2), Some(6));
    assert_eq!(of(json!({"persistent": at("4")}), 1), Some(4));
    assert_eq!(of(json!({"defaults": at("1000")}), 3), Some(3000));
    assert_eq!(of(json!({"defaults": at("1000")}), 0), None);
    assert_eq!(of(json!(null), 1), None);
}

proptest! {
    #[test]
    fn no_settings_panic(settings in odd::answer(&json!({"defaults": {"cluster": {"max_shards_per_node": "1000"}}})), nodes: u64) {
        read_limit(&settings, nodes);
    }
}
