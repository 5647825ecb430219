//! What the cluster or the gateway meets in the middle of the work: a kill, a full disk. It is told plainly, and the next run ends well.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use lifeboat_testkit::process::{Finished, Process};
use lifeboat_testkit::servers::opensearch::{self, Repositories};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Telemetry;
use crate::disk_full::{SmallDisk, fill};
use crate::world::World;

const INDICES: [&str; 2] = ["sts_large-1", "sts_large-2"];
const DOCUMENTS: u32 = 1_500;

/// Some megabytes that hardly compress.
fn store_noise(telemetry: &Telemetry, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut noise = [0_u8; 1_500];
    for index in INDICES {
        let mapping = r#"{"mappings":{"properties":{"noise":{"type":"keyword","index":false,"doc_values":false}}},"settings":{"number_of_shards":2,"number_of_replicas":0}}"#;
        telemetry.ok("PUT", &format!("/{index}"), mapping);
        let mut lines = String::new();
        for number in 0..DOCUMENTS {
            rng.fill(&mut noise);
            let noise = hex::encode(noise);
            writeln!(
                lines,
                "{{\"index\":{{\"_id\":\"{number}\"}}}}\n{{\"noise\":\"{noise}\"}}"
            )
            .unwrap();
        }
        let stored = telemetry.ok("POST", &format!("/{index}/_bulk?refresh=true"), &lines);
        assert_eq!(stored["errors"], false);
    }
}

fn all(telemetry: &Telemetry) -> [BTreeMap<String, String>; 2] {
    INDICES.map(|index| telemetry.documents(index))
}

fn configure(telemetry: &Telemetry, setting: &str) {
    let setting = format!("lifeboat.elasticsearch.repositorySettings={setting}");
    let arguments = ["--set", &setting, "elasticsearch", "configure"];
    telemetry.world.json(&arguments);
}

/// The gateway stays where it is when it is started again.
fn nail_gateway(world: &World) {
    let file = world.path("values.yaml");
    let address = world.endpoint().trim_start_matches("http://");
    let values = fs::read_to_string(&file).unwrap();
    let nailed = values.replacen("listen: '127.0.0.1:0'", &format!("listen: '{address}'"), 1);
    assert_ne!(nailed, values);
    fs::write(file, nailed).unwrap();
}

fn started(telemetry: &Telemetry, arguments: &[&str]) -> Process {
    let arguments = [&["elasticsearch"], arguments].concat();
    Process::start(&mut telemetry.world.command(&arguments)).unwrap()
}

/// Waits until what the cluster says of itself is as it should be.
fn wait_for(telemetry: &Telemetry, path: &str, is_so: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    loop {
        let answer = telemetry.ok("GET", path, "");
        if is_so(&answer) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{path}: {answer}");
    }
}

/// Some of the snapshot has been sent, and not all of it.
fn wait_until_some_is_sent(telemetry: &Telemetry) {
    wait_for(telemetry, "/_snapshot/_status", |answer| {
        let snapshot = &answer["snapshots"][0];
        let shards = &snapshot["shards_stats"];
        snapshot["stats"]["processed"]["size_in_bytes"].as_u64() > Some(200_000)
            && shards["done"].as_u64() < shards["total"].as_u64()
    });
}

/// How snapshots ended, by name.
fn states(telemetry: &Telemetry) -> BTreeMap<String, String> {
    let listed = telemetry.run_json(&["list"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let snapshots = listed["snapshots"].as_array().unwrap().iter();
    snapshots
        .map(|one| (text(&one["name"]), text(&one["state"])))
        .collect()
}

/// Takes a snapshot slowly, does something in the middle of it, and returns how it ended.
fn back_up_slowly(telemetry: &mut Telemetry, meanwhile: impl FnOnce(&mut Telemetry)) -> Finished {
    configure(telemetry, "max_snapshot_bytes_per_sec=1mb");
    let backup = started(telemetry, &["backup"]);
    wait_until_some_is_sent(telemetry);
    meanwhile(telemetry);
    backup.finish().unwrap()
}

fn restores(telemetry: &Telemetry, snapshot: &str, documents: &[BTreeMap<String, String>; 2]) {
    telemetry.run_json(&["restore", snapshot, "--delete-existing", "--yes"]);
    assert!(all(telemetry) == *documents, "`{snapshot}` differs");
}

fn a_gateway_that_is_killed(telemetry: &mut Telemetry) {
    let before = telemetry.back_up();
    store_noise(telemetry, 1);
    let documents = all(telemetry);
    let ended = back_up_slowly(telemetry, |telemetry| {
        telemetry.world.take_gateway().kill().unwrap();
    });
    assert_eq!(ended.status.code(), Some(5), "{ended}");
    let told = "nobody listens at the endpoint of the repository";
    assert!(ended.stderr.contains(told), "{ended}");
    telemetry.world.start_gateway();
    // It was waited for until the cluster had given it up.
    let known = states(telemetry);
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(known[&before], "SUCCESS");

    // It comes back so soon that the cluster may not have given up: whatever becomes of the snapshot, it is told as it is.
    let ended = back_up_slowly(telemetry, |telemetry| {
        telemetry.world.take_gateway().kill().unwrap();
        telemetry.world.start_gateway();
    });
    let mut new = states(telemetry);
    new.retain(|name, _| !known.contains_key(name));
    let new: Vec<&str> = new.values().map(String::as_str).collect();
    match ended.status.code() {
        Some(0) => assert_eq!(new, ["SUCCESS"], "{ended}"),
        Some(6) => {
            assert_eq!(new, ["PARTIAL"], "{ended}");
            assert!(ended.stderr.contains("is PARTIAL"), "{ended}");
        }
        code => {
            assert_eq!(code, Some(5), "{ended}");
            assert!(new.is_empty(), "{new:?}: {ended}");
        }
    }
    configure(telemetry, "max_snapshot_bytes_per_sec=40mb");
    let name = telemetry.back_up();
    restores(telemetry, &name, &documents);
}

fn a_volume_that_is_full(telemetry: &mut Telemetry, disk: &SmallDisk) {
    let before = telemetry.back_up();
    let first = all(telemetry);
    telemetry.ok("DELETE", "/sts_large-1,sts_large-2", "");
    store_noise(telemetry, 2);
    let second = all(telemetry);
    let filler = disk.path.join("filler");
    let known = states(telemetry);
    let ended = back_up_slowly(telemetry, |_| fill(&filler));
    assert_eq!(ended.status.code(), Some(5), "{ended}");
    let told = ["the cluster gave up the snapshot", "no space left"];
    assert!(
        told.iter().all(|told| ended.stderr.contains(told)),
        "{ended}"
    );
    assert_eq!(states(telemetry), known);
    fs::remove_file(filler).unwrap();
    configure(telemetry, "max_snapshot_bytes_per_sec=40mb");
    let name = telemetry.back_up();
    restores(telemetry, &before, &first);
    restores(telemetry, &name, &second);
}

#[test]
fn a_gateway_that_is_killed_or_full_in_mid_snapshot() {
    let mut world = World::without_gateway();
    let disk = SmallDisk::mount(&world.volume(), 64);
    world.start_gateway();
    let Some(mut telemetry) = Telemetry::in_world(world) else {
        return;
    };
    nail_gateway(&telemetry.world);
    telemetry.run_json(&["configure"]);
    telemetry.index("sts_events", 100);
    a_gateway_that_is_killed(&mut telemetry);
    match disk {
        Ok(disk) => a_volume_that_is_full(&mut telemetry, &disk),
        Err(reason) => {
            lifeboat_testkit::skip!("no small file system can be mounted: {reason}");
        }
    }
}

/// The node is killed and started again with what it has on its disk.
fn killed_and_started_again(telemetry: Telemetry) -> Telemetry {
    let Telemetry { cluster, world } = telemetry;
    let address = cluster.address();
    cluster.kill().unwrap();
    let repositories = Repositories {
        endpoint: world.endpoint(),
        keys: world.keys(),
    };
    let work = world.path("opensearch");
    let cluster = opensearch::start_again(&work, address, repositories).unwrap();
    Telemetry { cluster, world }
}

#[test]
fn a_node_that_is_killed_in_mid_restore() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    telemetry.run_json(&["configure"]);
    store_noise(&telemetry, 1);
    let documents = all(&telemetry);
    let name = telemetry.back_up();
    configure(&telemetry, "max_restore_bytes_per_sec=1mb");
    telemetry.ok("DELETE", "/sts_large-1,sts_large-2", "");
    let restore = started(&telemetry, &["restore", &name, "--yes"]);
    wait_for(&telemetry, "/_recovery?active_only=true", |answer| {
        let size = &answer[INDICES[1]]["shards"][0]["index"]["size"];
        size["recovered_in_bytes"].as_u64() > Some(100_000)
    });
    assert!(!restore.ends_within(Duration::ZERO));
    let telemetry = killed_and_started_again(telemetry);
    let ended = restore.finish().unwrap();
    // The command waited for the node. The cluster has forgotten the restore; its indices stay red.
    assert_eq!(ended.status.code(), Some(6), "{ended}");
    assert!(ended.stderr.contains("shards failed"), "{ended}");
    let arguments = ["elasticsearch", "restore", "--attach"];
    let seen = telemetry.world.run(&arguments);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    assert!(seen.stderr.contains("nothing is being restored"));
    let seen = telemetry
        .world
        .run(&["elasticsearch", "restore", &name, "--yes"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    configure(&telemetry, "max_restore_bytes_per_sec=40mb");
    restores(&telemetry, &name, &documents);
}

/// It is not reaped before it is dropped, so its id cannot be another's.
fn send(id: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn a_cluster_that_hangs_while_its_snapshot_is_given_up() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    configure(&telemetry, "max_snapshot_bytes_per_sec=1mb");
    store_noise(&telemetry, 1);
    let documents = all(&telemetry);
    let backup = started(&telemetry, &["backup"]);
    wait_until_some_is_sent(&telemetry);
    send(telemetry.cluster.id(), Signal::STOP);
    send(backup.id(), Signal::TERM);
    let ended = backup.finish().unwrap();
    send(telemetry.cluster.id(), Signal::CONT);
    assert_eq!(ended.status.code(), Some(130), "{ended}");
    assert!(ended.stderr.contains("was to be given up"), "{ended}");
    assert!(ended.stderr.contains("it may go on"), "{ended}");
    // Whatever the cluster heard of it, in the end the snapshot is whole or none.
    wait_for(&telemetry, "/_snapshot/sts-backup/_all", |answer| {
        let mut left = answer["snapshots"].as_array().unwrap().iter();
        left.all(|one| one["state"] == "SUCCESS")
    });
    configure(&telemetry, "max_snapshot_bytes_per_sec=40mb");
    let name = telemetry.back_up();
    restores(&telemetry, &name, &documents);
}
