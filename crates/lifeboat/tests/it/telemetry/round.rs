//! From the first configuration to documents that are there again, through each kind of storage.

use std::fs;

use super::{REPOSITORY, Telemetry};
use crate::world::storage::Storage;

fn what_was_taken_comes_back(telemetry: &Telemetry) {
    let configured = telemetry.run_json(&["configure", "--dry-run"]);
    assert_eq!(configured["change"], "register");
    let configured = telemetry.run_json(&["configure"]);
    assert_eq!(configured["nodes"], 1, "{configured}");
    assert_eq!(telemetry.run_json(&["configure"])["change"], "nothing");
    assert_eq!(configured["found_in_bucket"], false, "{configured}");

    telemetry.index("sts_events", 300);
    telemetry.index("sts_metrics-2026.11", 120);
    telemetry.index("other", 5);
    let plan = telemetry.run_json(&["backup", "--dry-run"]);
    assert_eq!(plan["indices"].as_array().unwrap().len(), 2, "{plan}");
    let before = ["sts_events", "sts_metrics-2026.11"].map(|name| telemetry.documents(name));
    let name = telemetry.back_up();
    let listed = telemetry.run_json(&["list"]);
    assert_eq!(listed["snapshots"][0]["name"], name.as_str());
    assert_eq!(listed["snapshots"][0]["policy"], "auto-sts-backup");
    let script = telemetry
        .world
        .ok(&["-o", "script", "elasticsearch", "list"]);
    assert_eq!(
        script,
        format!(
            "=== Listing Elasticsearch snapshots in snapshot repository \"sts-backup\" in bucket \"sts-elasticsearch-backup\"...\n{name}\n===\n"
        )
    );

    // What exists is never overwritten.
    let seen = telemetry
        .world
        .run(&["elasticsearch", "restore", &name, "--yes"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(
        seen.stderr
            .contains("2 indices exist already: `sts_events`, `sts_metrics-2026.11`"),
        "{}",
        seen.stderr
    );
    let beside = telemetry.run_json(&["restore", &name, "--rename", "sts_(.+)=restored_$1"]);
    assert_eq!(beside["documents"], 420, "{beside}");
    assert_eq!(beside["documents_when_taken"], 420, "{beside}");
    assert_eq!(telemetry.documents("restored_events"), before[0]);

    let deleted = telemetry.run_json(&["delete-indices", "sts*", "--yes"]);
    assert_eq!(deleted["documents"], 420, "{deleted}");
    let script = telemetry
        .world
        .ok(&["-o", "script", "elasticsearch", "restore", &name, "--yes"]);
    assert_eq!(
        script,
        format!(
            "=== Restoring Elasticsearch snapshot \"{name}\" from snapshot repository \"sts-backup\" in bucket \"sts-elasticsearch-backup\"...\n\
             {{\n  \"snapshot\" : {{\n    \"snapshot\" : \"{name}\",\n    \"indices\" : [\n      \"sts_events\",\n      \"sts_metrics-2026.11\"\n    ],\n    \
             \"shards\" : {{\n      \"total\" : 2,\n      \"failed\" : 0,\n      \"successful\" : 2\n    }}\n  }}\n}}\n===\n"
        )
    );
    let after = ["sts_events", "sts_metrics-2026.11"].map(|name| telemetry.documents(name));
    assert_eq!(after, before);
    // One of them, over itself, deleted first; the other stays as it is.
    telemetry.ok("DELETE", "/sts_events/_doc/7?refresh=true", "");
    let arguments = [
        "restore",
        &name,
        "--indices",
        "sts_events",
        "--delete-existing",
        "--yes",
    ];
    let restored = telemetry.run_json(&arguments);
    assert_eq!(restored["documents"], 300);
    assert_eq!(telemetry.documents("sts_events"), before[0]);
    // A closed one is replaced on demand only.
    telemetry.ok("POST", "/sts_events/_close", "");
    let seen = telemetry
        .world
        .run(&["elasticsearch", "restore", &name, "sts_events", "--yes"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    telemetry.run_json(&["restore", &name, "sts_events", "--over-closed", "--yes"]);
    assert_eq!(telemetry.documents("sts_events"), before[0]);
}

/// Somebody changed a setting, and somebody took the repository away; the bucket still has everything.
fn what_drifted_is_corrected(telemetry: &Telemetry) {
    let found = telemetry.ok("GET", "/_snapshot/sts-backup", "");
    let settings = &found[REPOSITORY]["settings"];
    assert_eq!(settings["shard_path_type"], "FIXED", "{found}");
    let mut changed = settings.clone();
    changed["readonly"] = "true".into();
    let body = serde_json::json!({"type": "s3", "settings": changed});
    telemetry.ok("PUT", "/_snapshot/sts-backup", &body.to_string());
    let seen = telemetry.world.run(&["elasticsearch", "backup"]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(seen.stderr.contains("is read only"), "{}", seen.stderr);
    let corrected = telemetry.run_json(&["configure"]);
    assert_eq!(corrected["change"], "correct", "{corrected}");
    assert_eq!(corrected["drift"][0]["setting"], "readonly");
    let there = corrected["snapshots"].as_u64().unwrap();
    assert!(there > 0);
    telemetry.ok("DELETE", "/_snapshot/sts-backup", "");
    let seen = telemetry.world.run(&["elasticsearch", "list"]);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    let again = telemetry.run_json(&["configure"]);
    assert_eq!(
        (&again["change"], again["snapshots"].as_u64()),
        (&"register".into(), Some(there))
    );
    assert_eq!(again["found_in_bucket"], true, "{again}");
}

/// A volume that is lost is told from a repository that never was, and is begun anew on demand only.
fn a_lost_volume_is_told(telemetry: &Telemetry) {
    let bucket = telemetry.world.volume().join("sts-elasticsearch-backup");
    let aside = telemetry.world.path("aside");
    // Of a repository that was registered and not written to since, the cluster remembers nothing.
    telemetry.back_up();
    fs::rename(&bucket, &aside).unwrap();
    fs::create_dir(&bucket).unwrap();
    // Whoever looks first, and whoever writes: it stays an error.
    let seen = telemetry.world.run(&["elasticsearch", "list"]);
    assert_eq!(seen.code, 6, "{}", seen.stdout);
    let seen = telemetry.world.run(&["elasticsearch", "backup"]);
    assert_ne!(seen.code, 0, "{}", seen.stdout);
    for arguments in [&["configure"][..], &["configure", "--dry-run"]] {
        let seen = telemetry
            .world
            .run(&[&["elasticsearch"], arguments].concat());
        assert_eq!(seen.code, 6, "{}", seen.stderr);
        assert!(
            seen.stderr.contains("has lost what it held"),
            "{}",
            seen.stderr
        );
    }
    // The volume comes back. The cluster had disabled the repository, and gets it anew.
    fs::remove_dir_all(&bucket).unwrap();
    fs::rename(&aside, &bucket).unwrap();
    let found = telemetry.run_json(&["configure"]);
    assert_eq!(found["change"], "register", "{found}");
    assert_eq!(found["found_in_bucket"], true, "{found}");
    let there = found["snapshots"].as_u64().unwrap();
    assert!(there > 0, "{found}");

    telemetry.back_up();
    fs::rename(&bucket, &aside).unwrap();
    fs::create_dir(&bucket).unwrap();
    let begun = telemetry.run_json(&["configure", "--accept-loss"]);
    assert_eq!(begun["change"], "register", "{begun}");
    assert_eq!(begun["snapshots"], 0, "{begun}");
    assert_eq!(begun["found_in_bucket"], false, "{begun}");
    telemetry.back_up();
    // An older volume, of which the cluster remembers less: whatever it holds is there.
    fs::remove_dir_all(&bucket).unwrap();
    fs::rename(&aside, &bucket).unwrap();
    telemetry.ok("DELETE", "/_snapshot/sts-backup", "");
    assert_eq!(telemetry.run_json(&["configure"])["snapshots"], there + 1);
}

/// The rules are tested by themselves; here, that only what is ours goes.
fn only_our_own_expire(telemetry: &Telemetry) {
    let body = "{\"indices\":\"sts*\",\"include_global_state\":false}";
    let path = "/_snapshot/sts-backup/sts-backup-by-hand?wait_for_completion=true";
    telemetry.ok("PUT", path, body);
    let last = telemetry.back_up();
    let set = [
        "--set",
        "backup.elasticsearch.scheduled.snapshotRetentionMinCount=1",
        "--set",
        "backup.elasticsearch.scheduled.snapshotRetentionMaxCount=1",
    ];
    let expire = |more: &[&str]| {
        let arguments = [&set[..], &["elasticsearch", "expire"], more].concat();
        telemetry.world.json(&arguments)
    };
    let plan = expire(&["--dry-run"]);
    let verdicts = plan["verdicts"].as_array().unwrap();
    let expired = |verdict: &&serde_json::Value| verdict["verdict"] == "expire";
    let count = verdicts.iter().filter(expired).count();
    assert_eq!(count, verdicts.len() - 2, "{plan}");
    assert!(count > 0, "{plan}");
    let listed = telemetry.run_json(&["list"]);
    let there = listed["snapshots"].as_array().unwrap().len();
    assert_eq!(there, verdicts.len());
    expire(&["--yes"]);
    let listed = telemetry.run_json(&["list"]);
    let listed = listed["snapshots"].as_array().unwrap().iter();
    let name = |one: &serde_json::Value| one["name"].as_str().unwrap().to_owned();
    let names: Vec<_> = listed.map(name).collect();
    assert_eq!(names, ["sts-backup-by-hand".to_owned(), last]);
}

#[test]
fn what_was_taken_comes_back_from_a_volume() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    what_was_taken_comes_back(&telemetry);
    what_drifted_is_corrected(&telemetry);
    a_lost_volume_is_told(&telemetry);
    only_our_own_expire(&telemetry);
}

#[test]
fn what_was_taken_comes_back_from_s3() {
    if let Some(telemetry) = Telemetry::behind(Storage::Versitygw) {
        what_was_taken_comes_back(&telemetry);
    }
}

#[test]
fn what_was_taken_comes_back_from_azure() {
    if let Some(telemetry) = Telemetry::behind(Storage::Azurite) {
        what_was_taken_comes_back(&telemetry);
    }
}
