//! The same of real Elasticsearch, old and new, with a repository on its file system: what is published of it for tests has none in S3.

use std::fs;

use lifeboat_testkit::servers::elasticsearch::{self, Release};
use serde_json::json;

use super::Telemetry;
use crate::world::World;

pub(super) fn started(release: Release) -> Option<Telemetry> {
    let world = World::without_gateway();
    let work = world.path("elasticsearch");
    fs::create_dir_all(&work).unwrap();
    match elasticsearch::start(&work, release) {
        Ok(cluster) => {
            let telemetry = Telemetry { cluster, world };
            telemetry.write_values("");
            let body = json!({"type": "fs", "settings": {"location": elasticsearch::repositories(&work).join("sts-backup")}});
            telemetry.ok("PUT", "/_snapshot/sts-backup", &body.to_string());
            Some(telemetry)
        }
        Err(error) => {
            lifeboat_testkit::skip!("no Elasticsearch {}: {error:#}", release.version());
            None
        }
    }
}

fn what_was_taken_comes_back(release: Release) {
    let Some(telemetry) = started(release) else {
        return;
    };
    telemetry.index("sts_events", 300);
    telemetry.index("sts_metrics-2026.11", 120);
    let before = ["sts_events", "sts_metrics-2026.11"].map(|name| telemetry.documents(name));
    let name = telemetry.back_up();
    let listed = telemetry.run_json(&["list", "--sizes"]);
    let first = &listed["snapshots"][0];
    assert_eq!(first["name"], name.as_str());
    assert!(first["bytes"].as_u64().unwrap() > 1000, "{listed}");
    let described = telemetry.run_json(&["describe", "latest"]);
    assert!(
        described["version"]
            .as_str()
            .unwrap()
            .contains(release.version()),
        "{described}"
    );
    let seen = telemetry
        .world
        .run(&["elasticsearch", "restore", &name, "--yes"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    let beside = ["restore", &name, "--rename", "sts_(.+)=restored_$1"];
    assert_eq!(telemetry.run_json(&beside)["documents"], 420);
    assert_eq!(telemetry.documents("restored_events"), before[0]);
    let restore = ["restore", &name, "--delete-existing", "--yes"];
    assert_eq!(telemetry.run_json(&restore)["documents"], 420);
    telemetry.ok("POST", "/sts_events/_close", "");
    telemetry.run_json(&["restore", &name, "sts_events", "--over-closed", "--yes"]);
    let after = ["sts_events", "sts_metrics-2026.11"].map(|name| telemetry.documents(name));
    assert_eq!(after, before);

    let seen = telemetry
        .world
        .run(&["elasticsearch", "describe", "nobody"]);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    telemetry.ok("DELETE", "/_snapshot/sts-backup", "");
    for command in ["list", "backup"] {
        let seen = telemetry.world.run(&["elasticsearch", command]);
        assert_eq!(seen.code, 3, "{command}: {}", seen.stderr);
    }
}

#[test]
fn what_was_taken_comes_back_to_7_17() {
    what_was_taken_comes_back(Release::V7_17);
}

#[test]
fn what_was_taken_comes_back_to_8_19() {
    what_was_taken_comes_back(Release::V8_19);
}
