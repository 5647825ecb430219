//! Backups and restores ended by SIGKILL at random instants: whatever is listed restores, and a store is old or new.

use std::time::{Duration, Instant};

use lifeboat_testkit::process::Process;
use lifeboat_testkit::random::Seeded;
use rand::RngExt;

use crate::world::World;

/// Random instants of each test; with those of the gateway more than 500.
const INSTANTS: usize = 180;
const COMPONENTS: usize = 4_000;
/// With these a backup is longer than one part of an upload.
const NOISY_COMPONENTS: usize = 50_000;

/// Runs a command and kills it at an instant within the shortest duration seen so far. True if it ended by itself
/// before.
fn run_and_kill(
    world: &World,
    arguments: &[&str],
    shortest: &mut Duration,
    seeded: &mut Seeded,
) -> bool {
    let after = shortest.mul_f64(seeded.rng.random_range(0.0..1.05));
    let started = Instant::now();
    let process = Process::start(&mut world.command(arguments)).unwrap();
    if process.ends_within(after) {
        *shortest = started.elapsed().min(*shortest);
        process.finish().unwrap().success().unwrap();
        return true;
    }
    process.kill().unwrap();
    false
}

fn usual_duration(world: &World, arguments: &[&str]) -> Duration {
    let started = Instant::now();
    world.ok(arguments);
    started.elapsed()
}

#[test]
fn a_backup_that_is_listed_restores_whenever_its_run_was_killed() {
    let world = World::new();
    let digest = world.load_noise(NOISY_COMPONENTS);
    let mut seeded = Seeded::from_environment();
    let mut shortest = usual_duration(&world, &["stackgraph", "backup", "--name", "whole.graph"]);
    let mut ended = 0;
    for number in 0..INSTANTS {
        let name = format!("killed-{number}.graph");
        if run_and_kill(
            &world,
            &["stackgraph", "backup", "--name", &name],
            &mut shortest,
            &mut seeded,
        ) {
            ended += 1;
            assert!(
                world.object(&name).exists(),
                "{name} succeeded and is not there"
            );
        }
    }
    assert!(
        ended < INSTANTS * 3 / 4,
        "{ended} of {INSTANTS} runs ended before their kill"
    );
    let size = std::fs::metadata(world.object("whole.graph"))
        .unwrap()
        .len();
    assert!(size > 8 << 20, "{size} bytes are one part");
    let listed = world.json(&["stackgraph", "list"]);
    let listed = listed["backups"].as_array().unwrap();
    assert!(listed.len() > ended, "a run that succeeded is not listed");
    for backup in listed {
        assert_eq!(backup["digest"], digest.as_str());
        world.ok(&["stackgraph", "verify", backup["name"].as_str().unwrap()]);
    }
    world.ok(&[
        "stackgraph",
        "restore",
        listed[0]["name"].as_str().unwrap(),
        "-force",
    ]);
    assert_eq!(world.digest(), digest);
}

#[test]
fn a_store_is_old_or_new_whenever_its_restore_was_killed() {
    let world = World::new();
    let names = ["old.graph", "new.graph"];
    let digests = names.map(|name| {
        let digest = world.load_ring(COMPONENTS, name);
        world.ok(&["stackgraph", "backup", "--name", name]);
        digest
    });
    let mut seeded = Seeded::from_environment();
    let mut shortest = usual_duration(&world, &["stackgraph", "restore", names[0], "-force"]);
    let mut holds = 0;
    let mut killed = 0;
    for _ in 0..INSTANTS {
        let wanted = 1 - holds;
        let ended = run_and_kill(
            &world,
            &["stackgraph", "restore", names[wanted], "-force"],
            &mut shortest,
            &mut seeded,
        );
        killed += usize::from(!ended);
        let digest = world.digest();
        if digest == digests[wanted] {
            holds = wanted;
        } else {
            assert_eq!(digest, digests[holds], "neither old nor new");
            assert!(!ended, "the restore succeeded and the store is the old one");
        }
    }
    assert!(
        killed > INSTANTS / 4,
        "only {killed} of {INSTANTS} runs were killed"
    );
    // The next run cleans up: one generation is left.
    world.ok(&["stackgraph", "restore", names[0], "-force"]);
    let generations = std::fs::read_dir(world.store())
        .unwrap()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("gen-")
        })
        .count();
    assert_eq!(generations, 1);
}

#[test]
fn a_backup_that_is_asked_to_stop_undoes_what_it_began() {
    let world = World::new();
    world.load_noise(NOISY_COMPONENTS);
    let mut seeded = Seeded::from_environment();
    let mut usual = usual_duration(&world, &["stackgraph", "backup", "--name", "whole.graph"]);
    let mut listed = 1;
    for number in 0..20 {
        let name = format!("stopped-{number}.graph");
        let mut command = world.command(&["stackgraph", "backup", "--name", &name]);
        let begun = Instant::now();
        let process = Process::start(&mut command).unwrap();
        process.ends_within(usual.mul_f64(seeded.rng.random_range(0.1..0.9)));
        let ended = process.stop().unwrap();
        match ended.status.code() {
            Some(0) => {
                listed += 1;
                // The machine was slower when it was measured.
                usual = usual.min(begun.elapsed());
            }
            // SIGTERM came before the program listened for it.
            Some(130) | None => {}
            other => panic!("exit code {other:?}: {}", ended.stderr),
        }
        assert_eq!(world.listed().len(), listed);
    }
    assert!(listed < 20, "no run was stopped");
    let uploads = world.volume().join(".lifeboat/uploads");
    assert_eq!(std::fs::read_dir(uploads).unwrap().count(), 0);
}
