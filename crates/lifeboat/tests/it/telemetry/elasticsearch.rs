//! The same of real Elasticsearch, old and new, and of the older OpenSearch, with a repository on their file system: what is published of them for tests has none in S3.

use std::fs;
use std::path::{Path, PathBuf};

use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::elasticsearch::{self, Release};
use lifeboat_testkit::servers::opensearch::older;
use serde_json::json;

use super::Telemetry;
use crate::world::World;

/// Engines whose repositories are folders.
#[derive(Clone, Copy)]
pub(super) enum Engine {
    Elasticsearch(Release),
    OpenSearch2,
}

impl Engine {
    fn version(self) -> &'static str {
        match self {
            Self::Elasticsearch(release) => release.version(),
            Self::OpenSearch2 => older::VERSION,
        }
    }

    fn name(self) -> String {
        let name = match self {
            Self::Elasticsearch(_) => "Elasticsearch",
            Self::OpenSearch2 => "OpenSearch",
        };
        format!("{name} {}", self.version())
    }

    /// The server, and where it may keep repositories. Elasticsearch has so many MiB for its objects.
    fn start(self, work: &Path, heap: u32) -> anyhow::Result<(Server, PathBuf)> {
        Ok(match self {
            Self::Elasticsearch(release) => (
                elasticsearch::start(work, release, heap)?,
                elasticsearch::repositories(work),
            ),
            Self::OpenSearch2 => (older::start(work)?, older::repositories(work)),
        })
    }
}

pub(super) fn started(engine: Engine) -> Option<Telemetry> {
    started_in(World::new(), engine, elasticsearch::HEAP_MIB)
}

pub(super) fn started_in(world: World, engine: Engine, heap: u32) -> Option<Telemetry> {
    let work = folder(&world);
    fs::create_dir_all(&work).unwrap();
    match engine.start(&work, heap) {
        Ok((cluster, repositories)) => {
            let telemetry = Telemetry { cluster, world };
            telemetry.write_values("");
            let body =
                json!({"type": "fs", "settings": {"location": repositories.join("sts-backup")}});
            telemetry.ok("PUT", "/_snapshot/sts-backup", &body.to_string());
            Some(telemetry)
        }
        Err(error) => {
            lifeboat_testkit::skip!("no {}: {error:#}", engine.name());
            None
        }
    }
}

/// Where the node keeps its data and its repositories.
pub(super) fn folder(world: &World) -> PathBuf {
    world.path("cluster")
}

fn what_was_taken_comes_back(engine: Engine) {
    let Some(telemetry) = started(engine) else {
        return;
    };
    the_lack_of_repositories_in_s3_is_told(&telemetry, engine);
    telemetry.index("sts_events", 300);
    telemetry.index("sts_metrics-2026.11", 120);
    let before = ["sts_events", "sts_metrics-2026.11"].map(|name| telemetry.documents(name));
    let name = telemetry.back_up();
    let listed = telemetry.run_json(&["list", "--sizes"]);
    let first = &listed["snapshots"][0];
    assert_eq!(first["name"], name.as_str());
    // The other one says none.
    if matches!(engine, Engine::Elasticsearch(_)) {
        assert!(first["bytes"].as_u64().unwrap() > 1000, "{listed}");
    }
    let described = telemetry.run_json(&["describe", "latest"]);
    assert!(
        described["version"]
            .as_str()
            .unwrap()
            .contains(engine.version()),
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

    what_is_expired_goes(&telemetry);
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

/// What is registered stays as it is.
fn the_lack_of_repositories_in_s3_is_told(telemetry: &Telemetry, engine: Engine) {
    let before = telemetry.ok("GET", "/_snapshot", "");
    let other = "backup.elasticsearch.snapshotRepositoryName=another";
    for set in [&["--set", other][..], &[]] {
        let arguments = [set, &["elasticsearch", "configure"]].concat();
        let seen = telemetry.world.run(&arguments);
        assert_eq!(seen.code, 2, "{}", seen.stderr);
        let told = format!("{} has no repositories of type `s3`", engine.name());
        assert!(seen.stderr.contains(&told), "{}", seen.stderr);
        assert_eq!(telemetry.ok("GET", "/_snapshot", ""), before);
    }
}

/// All that is ours but the newest goes, several at once.
fn what_is_expired_goes(telemetry: &Telemetry) {
    let body = r#"{"indices":"sts*","include_global_state":false}"#;
    let path = "/_snapshot/sts-backup/by-hand?wait_for_completion=true";
    telemetry.ok("PUT", path, body);
    telemetry.back_up();
    telemetry.back_up();
    let last = telemetry.back_up();
    let set = |key: &str| format!("backup.elasticsearch.scheduled.snapshotRetention{key}=1");
    let (fewest, most) = (set("MinCount"), set("MaxCount"));
    let arguments = [
        "--set",
        &fewest,
        "--set",
        &most,
        "elasticsearch",
        "expire",
        "--yes",
    ];
    let done = telemetry.world.json(&arguments);
    let verdicts = done["verdicts"].as_array().unwrap().iter();
    let gone = verdicts.filter(|one| one["verdict"] == "expire").count();
    assert_eq!(gone, 3, "{done}");
    let listed = telemetry.run_json(&["list"]);
    let listed = listed["snapshots"].as_array().unwrap().iter();
    let names: Vec<_> = listed.map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["by-hand", &last]);
}

#[test]
fn what_was_taken_comes_back_to_7_17() {
    what_was_taken_comes_back(Engine::Elasticsearch(Release::V7_17));
}

#[test]
fn what_was_taken_comes_back_to_8_19() {
    what_was_taken_comes_back(Engine::Elasticsearch(Release::V8_19));
}

#[test]
fn what_was_taken_comes_back_to_opensearch_2() {
    what_was_taken_comes_back(Engine::OpenSearch2);
}
