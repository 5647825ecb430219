//! Clusters with so many indices that their names fill request after request: the first line of one may have 4096 bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use lifeboat_testkit::environment;
use lifeboat_testkit::http;
use lifeboat_testkit::process;
use lifeboat_testkit::servers::elasticsearch::Release;
use lifeboat_testkit::turnstile::Turnstile;
use serde_json::{Value, json};

use super::Telemetry;
use super::elasticsearch::{Engine, folder, started_in};
use crate::disk_full::SmallDisk;
use crate::world::World;

/// Their names are ten times as long as the first line of a request may be.
const LONG: usize = 200;
const CLIENTS: usize = 4;
/// In one request of the test.
const AT_ONCE: usize = 1_000;
const PATIENCE: Duration = Duration::from_mins(15);

/// Unless `LIFEBOAT_TEST_INDICES` says another number. Their names fill twenty requests.
const THOUSANDS: usize = 3_000;
/// Files that a node holds open for an index, with those that it opens while it writes.
const FILES: u64 = 5;
const HEAP_MIB: u32 = 2_048;
const DISK_MIB: u32 = 1_024;

fn long_name(number: usize) -> String {
    format!("sts_{number:04}-{}", "long-name.".repeat(20))
}

fn name(number: usize) -> String {
    format!("sts_logs-2026.11-{number:06}")
}

/// So many that they differ from index to index.
fn documents(number: usize) -> usize {
    1 + number % 3
}

fn set(telemetry: &Telemetry, key: &str, value: usize) {
    let settings = json!({"persistent": {key: value}}).to_string();
    telemetry.ok("PUT", "/_cluster/settings", &settings);
}

fn prepare(telemetry: &Telemetry) {
    set(telemetry, "cluster.max_shards_per_node", 20_000);
    let template = r#"{"index_patterns":["sts_*"],"template":{"settings":{"number_of_shards":1,"number_of_replicas":0,"refresh_interval":"-1"},"mappings":{"dynamic":false}}}"#;
    telemetry.ok("PUT", "/_index_template/many", template);
}

/// Stores so many documents in each index, which is made where it is not there.
fn store(telemetry: &Telemetry, indices: impl IntoIterator<Item = (String, usize)>) {
    let mut lines = String::new();
    for (name, documents) in indices {
        for id in 0..documents {
            let action = json!({"index": {"_index": name, "_id": id.to_string()}});
            let source = json!({"of": name, "number": id});
            writeln!(lines, "{action}\n{source}").unwrap();
        }
    }
    let path = "/_bulk?refresh=true&timeout=5m&filter_path=errors";
    let (address, kind) = (telemetry.cluster.address(), "application/json");
    let stored = http::send_within(PATIENCE, address, "POST", path, kind, &lines).unwrap();
    assert_eq!(stored.body, r#"{"errors":false}"#);
}

#[test]
fn more_indices_than_a_request_can_name_are_deleted_and_restored() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    telemetry.run_json(&["configure"]);
    prepare(&telemetry);
    let numbers: Vec<usize> = (0..LONG).collect();
    thread::scope(|scope| {
        for some in numbers.chunks(LONG.div_ceil(CLIENTS)) {
            let telemetry = &telemetry;
            scope.spawn(move || {
                for number in some {
                    let path = format!("/{}?wait_for_active_shards=0", long_name(*number));
                    telemetry.ok("PUT", &path, "");
                }
            });
        }
    });
    store(&telemetry, numbers.iter().map(|one| (long_name(*one), 1)));
    let snapshot = telemetry.back_up();
    let deleted = telemetry.run_json(&["delete-indices", "sts*", "--yes"]);
    assert_eq!(deleted["indices"].as_array().unwrap().len(), LONG);
    let restored = telemetry.run_json(&["restore", &snapshot, "--yes"]);
    assert_eq!(restored["documents"], LONG);
    for number in [0, LONG / 2, LONG - 1] {
        let found = telemetry.documents(&long_name(number));
        let source = json!({"of": long_name(number), "number": 0});
        assert_eq!(found["0"], source.to_string());
    }
}

fn wanted_number() -> usize {
    environment::variable(environment::INDICES).map_or(THOUSANDS, |text| {
        text.to_str()
            .and_then(|text| text.parse().ok())
            .expect("`LIFEBOAT_TEST_INDICES` is a decimal number")
    })
}

/// Indices and how many documents each has, as `list-indices` says, in so many requests.
fn listed(telemetry: &Telemetry) -> (BTreeMap<String, usize>, usize) {
    let (listed, requests) = counted(telemetry, &["list-indices", "sts*"]);
    let one = |index: &Value| {
        let name = index["name"].as_str().unwrap().to_owned();
        let documents = index["documents"].as_u64().unwrap();
        (name, usize::try_from(documents).unwrap())
    };
    let indices = listed["indices"].as_array().unwrap().iter();
    (indices.map(one).collect(), requests)
}

/// Runs a command, and counts its requests.
fn counted(telemetry: &Telemetry, arguments: &[&str]) -> (Value, usize) {
    let gate = Turnstile::start(telemetry.cluster.address()).unwrap();
    let url = format!("lifeboat.elasticsearch.url={}", gate.endpoint());
    let first = ["--set", &url, "elasticsearch"];
    let result = telemetry.world.json(&[&first[..], arguments].concat());
    (result, gate.passed())
}

/// The counts of all are compared. Elasticsearch 8 makes three thousand indices in a minute; of OpenSearch each takes longer than the one before, and all take many.
#[test]
fn three_thousand_indices_are_listed_replaced_and_deleted_in_a_few_requests() {
    let count = wanted_number();
    let files = process::open_files();
    if files < count as u64 * FILES {
        return lifeboat_testkit::skip!(
            "a process may have only {files} files open here, of which {count} indices need more"
        );
    }
    let world = World::new();
    // Thousands of files wait for a disk three times as long.
    let _memory = SmallDisk::mount(&folder(&world), DISK_MIB);
    let engine = Engine::Elasticsearch(Release::V8_19);
    let Some(telemetry) = started_in(world, engine, HEAP_MIB) else {
        return;
    };
    prepare(&telemetry);
    // A node begins with four shards at a time, and with thousands takes minutes to decide which.
    let at_once = "cluster.routing.allocation.node_initial_primaries_recoveries";
    set(&telemetry, at_once, 1_000);
    let expected = |number| (name(number), documents(number));
    let numbers: Vec<usize> = (0..count).collect();
    for some in numbers.chunks(AT_ONCE) {
        store(&telemetry, some.iter().map(|number| expected(*number)));
    }
    let expected: BTreeMap<String, usize> = numbers.iter().map(|one| expected(*one)).collect();
    let total: usize = expected.values().sum();
    let (before, requests) = listed(&telemetry);
    assert_eq!(before, expected);
    assert!(requests < 10, "{requests}");

    let snapshot = telemetry.back_up();
    let taken = telemetry.run_json(&["describe", &snapshot]);
    assert_eq!(taken["indices"].as_array().unwrap().len(), count);
    // What is there now is none of what comes back: more in some, and one less.
    let more = (0..count).step_by(count.div_ceil(100));
    store(&telemetry, more.map(|number| (name(number), 5)));
    telemetry.ok("DELETE", &format!("/{}", name(1)), "");
    let changed = listed(&telemetry).0;
    assert_eq!(changed.len(), count - 1);
    assert_eq!(changed[&name(0)], 5);

    let restore = ["restore", &snapshot, "--delete-existing", "--yes"];
    let restored = telemetry.run_json(&restore);
    assert_eq!(restored["documents"], total);
    assert_eq!(restored["documents_when_taken"], total);
    assert_eq!(restored["shards"]["successful"], count);
    assert_eq!(listed(&telemetry).0, expected);

    let (deleted, requests) = counted(&telemetry, &["delete-indices", "sts*", "--yes"]);
    assert_eq!(deleted["indices"].as_array().unwrap().len(), count);
    assert_eq!(deleted["documents"], total);
    let names: usize = expected.keys().map(|name| name.len() + 1).sum();
    assert!(requests < 10 + names.div_ceil(3_000), "{requests}");
    assert_eq!(listed(&telemetry).0, BTreeMap::new());
}
