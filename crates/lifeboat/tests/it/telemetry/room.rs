//! Restores that the engine would refuse only after their deletions: they are refused before, and only where it refuses.

use lifeboat_testkit::servers::elasticsearch::Release;
use serde_json::{Value, json};

use super::Telemetry;
use super::elasticsearch::{Engine, started};
use crate::world::Seen;

const INDICES: [&str; 2] = ["sts_events", "sts_more"];

fn restore(telemetry: &Telemetry, more: &[&str]) -> Seen {
    let restore = ["elasticsearch", "restore", "latest", "--delete-existing"];
    telemetry.world.run(&[&restore, more].concat())
}

/// Fails with this, and leaves what is there, whether it is tried or only planned.
fn is_refused(telemetry: &Telemetry, code: i32, told: &str) {
    let before = telemetry.documents("sts_more");
    for how in ["--yes", "--dry-run"] {
        let seen = restore(telemetry, &[how]);
        assert_eq!(seen.code, code, "{how}: {}", seen.stderr);
        assert!(seen.stderr.contains(told), "{how}: {}", seen.stderr);
        assert!(seen.stderr.contains("nothing was changed"), "{how}");
    }
    assert_eq!(telemetry.documents("sts_more"), before);
}

/// What the engine itself says to a restore of one index.
fn asked(telemetry: &Telemetry, snapshot: &str, rename: (&str, &str)) -> (u16, String) {
    let path = format!("/_snapshot/sts-backup/{snapshot}/_restore?wait_for_completion=true");
    let body = json!({"indices": "sts_events", "rename_pattern": rename.0, "rename_replacement": rename.1});
    let answer = telemetry.ask("POST", &path, &body.to_string());
    (answer.status, answer.body)
}

fn an_alias_in_the_way_is_refused(telemetry: &Telemetry, snapshot: &str) {
    telemetry.ok("DELETE", "/sts_events", "");
    let alias = |action: &str| {
        let body = json!({"actions": [{action: {"index": "other", "alias": "sts_events"}}]});
        telemetry.ok("POST", "/_aliases", &body.to_string());
    };
    alias("add");
    is_refused(telemetry, 4, "`sts_events` is an alias of `other`");
    let (status, said) = asked(telemetry, snapshot, ("nobody", ""));
    assert!(status >= 400 && said.contains("alias"), "{status} {said}");
    let beside = ["--rename", "sts_(.+)=restored_$1", "--yes"];
    assert_eq!(restore(telemetry, &beside).code, 0);
    telemetry.ok("DELETE", "/restored_events,restored_more", "");
    alias("remove");
    // It goes with the index that it stands for.
    let body = json!({"actions": [{"add": {"index": "sts_more", "alias": "sts_events"}}]});
    telemetry.ok("POST", "/_aliases", &body.to_string());
    let seen = restore(telemetry, &["--yes"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert_eq!(telemetry.documents("sts_events").len(), 30);
}

fn limit(telemetry: &Telemetry, shards: Option<u64>) {
    let body = json!({"persistent": {"cluster.max_shards_per_node": shards}});
    telemetry.ok("PUT", "/_cluster/settings", &body.to_string());
}

/// Shards of open indices with these names.
fn shards(telemetry: &Telemetry, is_meant: impl Fn(&str) -> bool) -> u64 {
    let path = "/_cat/indices?format=json&expand_wildcards=all&h=index,pri,rep";
    let found = telemetry.ok("GET", path, "");
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    let found = found.as_array().unwrap().iter();
    let meant = found.filter(|one| is_meant(one["index"].as_str().unwrap()));
    meant
        .map(|one| number(&one["pri"]) * (1 + number(&one["rep"])))
        .sum()
}

fn a_full_cluster_is_told_before_anything_is_deleted(telemetry: &Telemetry, snapshot: &str) {
    let stays = shards(telemetry, |name| !name.starts_with("sts_"));
    let of_one = shards(telemetry, |name| name == "sts_events");
    assert!(stays > 0 && of_one > 1, "{stays} {of_one}");
    limit(telemetry, Some(stays));
    let told = format!("{stays} are open besides what is deleted, and it allows for {stays}");
    is_refused(telemetry, 2, &told);
    let (status, said) = asked(telemetry, snapshot, ("sts_", "full_"));
    assert_eq!(status, 400, "{said}");
    assert!(said.contains("shards"), "{said}");

    // There is room for each of them, and not for both: the engine does not mind.
    limit(telemetry, Some(stays + of_one));
    let seen = restore(telemetry, &["--yes"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let told = format!("about {} shards would be open", stays + 2 * of_one);
    assert!(seen.stderr.contains(&told), "{}", seen.stderr);
    assert_eq!(telemetry.documents("sts_events").len(), 30);
    limit(telemetry, Some(stays + 2 * of_one));
    let seen = restore(telemetry, &["--yes"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(!seen.stderr.contains("would be open"), "{}", seen.stderr);
    limit(telemetry, None);
}

fn what_has_no_room_is_refused_before_anything_is_deleted(telemetry: &Telemetry) {
    for index in INDICES {
        telemetry.index(index, 30);
    }
    telemetry.index("other", 5);
    let snapshot = telemetry.back_up();
    an_alias_in_the_way_is_refused(telemetry, &snapshot);
    a_full_cluster_is_told_before_anything_is_deleted(telemetry, &snapshot);
}

#[test]
fn what_has_no_room_in_opensearch_is_refused_before_anything_is_deleted() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    telemetry.run_json(&["configure"]);
    what_has_no_room_is_refused_before_anything_is_deleted(&telemetry);
    // A data stream has that name, and an index where a stream was.
    let template = r#"{"index_patterns":["sts_events*"],"data_stream":{}}"#;
    telemetry.ok("DELETE", "/sts_events", "");
    telemetry.ok("PUT", "/_index_template/events", template);
    telemetry.index("sts_events", 7);
    is_refused(&telemetry, 4, "`sts_events` is a data stream");
    telemetry.back_up();
    telemetry.ok("DELETE", "/_data_stream/sts_events", "");
    telemetry.ok("DELETE", "/_index_template/events", "");
    telemetry.index("sts_events", 1);
    let seen = restore(&telemetry, &["--yes"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert_eq!(telemetry.documents("sts_events").len(), 7);
}

#[test]
fn what_has_no_room_in_elasticsearch_is_refused_before_anything_is_deleted() {
    for release in [Release::V7_17, Release::V8_19] {
        if let Some(telemetry) = started(Engine::Elasticsearch(release)) {
            what_has_no_room_is_refused_before_anything_is_deleted(&telemetry);
        }
    }
}
