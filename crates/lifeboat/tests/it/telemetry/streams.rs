//! Data streams, snapshots that lack shards, and restores that are followed or given up.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use lifeboat_testkit::process::Process;

use super::Telemetry;

const TEMPLATE: &str = r#"{"index_patterns":["sts_k8s_logs*"],"data_stream":{},"template":{"settings":{"number_of_replicas":0}}}"#;

fn backing(telemetry: &Telemetry) -> Vec<String> {
    let found = telemetry.ok("GET", "/_data_stream/sts_k8s_logs", "");
    let indices = found["data_streams"][0]["indices"].as_array().unwrap();
    let name = |index: &serde_json::Value| index["index_name"].as_str().unwrap().to_owned();
    indices.iter().map(name).collect()
}

fn streams_come_back_and_go_on(telemetry: &Telemetry) {
    telemetry.ok("PUT", "/_index_template/logs", TEMPLATE);
    telemetry.index("sts_k8s_logs", 200);
    telemetry.ok("POST", "/sts_k8s_logs/_rollover", "");
    let before = telemetry.documents("sts_k8s_logs");
    let name = telemetry.back_up();
    let listed = telemetry.run_json(&["describe", &name]);
    assert_eq!(listed["data_streams"][0], "sts_k8s_logs");
    let seen = telemetry
        .world
        .run(&["elasticsearch", "restore", &name, "--yes"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(seen.stderr.contains("`sts_k8s_logs`"), "{}", seen.stderr);
    let arguments = ["restore", &name, "--delete-existing", "--yes"];
    telemetry.run_json(&arguments);
    assert_eq!(telemetry.documents("sts_k8s_logs"), before);
    // It is a stream again, which rolls over and takes documents.
    telemetry.ok("POST", "/sts_k8s_logs/_rollover", "");
    assert_eq!(backing(telemetry).len(), 3);

    // One index behind it, while the stream goes on.
    let newest = backing(telemetry).remove(1);
    let plan = telemetry.run_json(&["restore", &name, &newest, "--delete-existing", "--dry-run"]);
    assert_eq!(plan["rolls_over"].as_array().unwrap().len(), 0, "{plan}");
    assert_eq!(plan["deletes_indices"][0], newest.as_str());
}

fn a_partial_snapshot_is_refused_unless_it_is_allowed(telemetry: &Telemetry) {
    // Its primary finds no node.
    let nowhere = r#"{"settings":{"number_of_replicas":0,"index.routing.allocation.include._name":"nobody"}}"#;
    telemetry.ok("PUT", "/sts_lost?wait_for_active_shards=0", nowhere);
    let seen = telemetry.world.run(&["elasticsearch", "backup"]);
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("don't have primary shards"),
        "{}",
        seen.stderr
    );
    let body = r#"{"indices":"sts_events,sts_lost","partial":true,"include_global_state":false}"#;
    let path = "/_snapshot/sts-backup/sts-partial?wait_for_completion=true";
    telemetry.ok("PUT", path, body);
    telemetry.ok("DELETE", "/sts_lost", "");
    let restore = [
        "restore",
        "sts-partial",
        "sts_events",
        "--rename",
        "sts=part",
        "--yes",
    ];
    let seen = telemetry
        .world
        .run(&[&["elasticsearch"], &restore[..]].concat());
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(seen.stderr.contains("PARTIAL"), "{}", seen.stderr);
    let restored = telemetry.run_json(&[&restore[..], &["--allow-partial"]].concat());
    assert_eq!(restored["documents"], 300);
    // What the snapshot lacks finds no node again, and its explanation is told.
    let arguments = [
        "elasticsearch",
        "restore",
        "sts-partial",
        "sts_lost",
        "--allow-partial",
    ];
    let seen = telemetry.world.run(&arguments);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("shard 0 of `sts_lost`"),
        "{}",
        seen.stderr
    );
    assert!(seen.stderr.contains("index setting"), "{}", seen.stderr);
    telemetry.ok("DELETE", "/sts_lost", "");
}

/// Where nothing but the snapshot lacks it, it comes back empty.
fn what_a_partial_snapshot_lacks_comes_back_empty(telemetry: &Telemetry) {
    let allocation = |value: &str| {
        let body = format!(r#"{{"transient":{{"cluster.routing.allocation.enable":{value}}}}}"#);
        telemetry.ok("PUT", "/_cluster/settings", &body);
    };
    allocation("\"none\"");
    let single = r#"{"settings":{"number_of_replicas":0}}"#;
    telemetry.ok("PUT", "/sts_empty?wait_for_active_shards=0", single);
    let body = r#"{"indices":"sts_events,sts_empty","partial":true,"include_global_state":false}"#;
    let path = "/_snapshot/sts-backup/sts-lacking?wait_for_completion=true";
    let taken = telemetry.ok("PUT", path, body);
    assert_eq!(taken["snapshot"]["state"], "PARTIAL", "{taken}");
    allocation("null");
    telemetry.ok("DELETE", "/sts_empty", "");
    let arguments = [
        "restore",
        "sts-lacking",
        "--allow-partial",
        "--delete-existing",
        "--yes",
    ];
    let restored = telemetry.run_json(&arguments);
    assert_eq!(restored["documents"], 300, "{restored}");
    assert_eq!(restored["shards"]["total"], 2, "{restored}");
    let arguments = [&["elasticsearch"], &arguments[..]].concat();
    let told = telemetry.world.run(&arguments).stderr;
    assert!(told.contains("were counted and not compared"), "{told}");
    assert!(telemetry.documents("sts_empty").is_empty());
    telemetry.ok("DELETE", "/sts_empty", "");
}

/// A snapshot whose indices are gone, and whose restore is slow enough to be watched.
pub(super) fn large_and_slow(telemetry: &Telemetry) -> String {
    let slow = [
        "--set",
        "lifeboat.elasticsearch.repositorySettings=max_restore_bytes_per_sec=20kb",
    ];
    let words = "lorem ipsum dolor sit amet consectetur adipiscing elit";
    let mut number = 1_u64;
    for index in ["sts_large-1", "sts_large-2"] {
        let mapping = r#"{"mappings":{"properties":{"text":{"type":"keyword","index":false,"doc_values":false}}},"settings":{"number_of_replicas":0}}"#;
        telemetry.ok("PUT", &format!("/{index}"), mapping);
        let mut lines = String::new();
        for _ in 0..2_000 {
            lines += "{\"index\":{}}\n";
            lines += "{\"text\":\"";
            for word in words.split(' ') {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                write!(lines, "{word}{number:x}").unwrap();
            }
            lines += "\"}\n";
        }
        telemetry.ok("POST", &format!("/{index}/_bulk?refresh=true"), &lines);
    }
    let name = telemetry.back_up();
    telemetry.ok("DELETE", "/sts_large-1,sts_large-2", "");
    let configure = [&slow[..], &["elasticsearch", "configure"]].concat();
    telemetry.world.json(&configure);
    name
}

fn a_restore_is_followed_again_and_given_up(telemetry: &Telemetry) {
    let name = large_and_slow(telemetry);
    let world = &telemetry.world;
    let restore = ["elasticsearch", "restore", &name, "sts_large*", "--yes"];
    let process = Process::start(&mut world.command(&restore)).unwrap();
    wait_until_active(telemetry);
    process.kill().unwrap();
    let attach =
        Process::start(&mut world.command(&["-o", "json", "elasticsearch", "restore", "--attach"]))
            .unwrap();
    assert!(!attach.ends_within(Duration::from_millis(500)));
    // Asked to end, it leaves the restore alone.
    let left = attach.stop().unwrap();
    assert_eq!(left.status.code(), Some(130), "{left}");
    let restored = telemetry.run_json(&["restore", "--attach"]);
    assert_eq!(restored["documents"], 4_000, "{restored}");
    assert_eq!(restored["documents_when_taken"], 4_000, "{restored}");
    a_renamed_one_is_compared_as_well(telemetry, &name);

    // What came of the same snapshot before stays.
    telemetry.run_json(&["restore", &name, "sts_events", "--rename", "sts_=kept_"]);
    let process = Process::start(&mut world.command(&restore)).unwrap();
    wait_until_active(telemetry);
    let cancelled = telemetry.run_json(&["restore", "cancel", "--yes"]);
    assert_eq!(cancelled["snapshot"], name.as_str());
    let indices = serde_json::json!(["sts_large-1", "sts_large-2"]);
    assert_eq!(cancelled["indices"], indices);
    assert_eq!(telemetry.documents("kept_events").len(), 300);
    let ended = process.finish().unwrap();
    assert_eq!(ended.status.code(), Some(6), "{ended}");
    assert_eq!(telemetry.ask("HEAD", "/sts_large-1", "").status, 404);
    let seen = world.run(&["elasticsearch", "restore", "cancel", "--yes"]);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
}

fn a_renamed_one_is_compared_as_well(telemetry: &Telemetry, name: &str) {
    telemetry.ok("DELETE", "/sts_large-1,sts_large-2", "");
    let rename = ["--rename", "sts_(.+)=restored_$1", "--yes"];
    let restore = ["elasticsearch", "restore", name, "sts_large*"];
    let restore = [&restore[..], &rename].concat();
    let process = Process::start(&mut telemetry.world.command(&restore)).unwrap();
    wait_until_active(telemetry);
    process.kill().unwrap();
    let restored = telemetry.run_json(&["restore", "--attach"]);
    let indices = serde_json::json!(["restored_large-1", "restored_large-2"]);
    assert_eq!(restored["indices"], indices, "{restored}");
    assert_eq!(restored["documents_when_taken"], 4_000, "{restored}");
    telemetry.ok("DELETE", "/restored_large-1,restored_large-2", "");
}

pub(super) fn wait_until_active(telemetry: &Telemetry) {
    let begun = Instant::now();
    loop {
        let answer = telemetry.ask("GET", "/_recovery?active_only=true", "");
        if answer.body.contains("sts_large-1") && answer.body.contains("sts_large-2") {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "no restore began: {}",
            answer.body
        );
    }
}

#[test]
fn streams_partial_snapshots_and_long_restores() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    telemetry.run_json(&["configure"]);
    telemetry.index("sts_events", 300);
    streams_come_back_and_go_on(&telemetry);
    a_partial_snapshot_is_refused_unless_it_is_allowed(&telemetry);
    what_a_partial_snapshot_lacks_comes_back_empty(&telemetry);
    a_restore_is_followed_again_and_given_up(&telemetry);
}
