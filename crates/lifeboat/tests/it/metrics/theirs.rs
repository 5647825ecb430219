//! What vmbackup left half done, what it makes of what we left half done, and what somebody put there who means no good.

use std::fs;
use std::time::Duration;

use lifeboat_testkit::http;
use lifeboat_testkit::process::Process;
use lifeboat_testkit::random::Seeded;
use lifeboat_testkit::servers::victoria_metrics::Release;
use lifeboat_victoria_metrics::manifest::{Held, Manifest};
use rand::RngExt;

use super::restore::release_lease;
use super::{INSTANCE, Metrics, files, import, samples, snapshots};

/// Each round one of the two begins a backup and is killed at a random instant, and the other one ends it.
fn a_killed_run_of_either_is_continued_by_the_other(release: Release) {
    let Some(mut metrics) = Metrics::start(release) else {
        return;
    };
    import(metrics.server(), "boat", 3, 2_000);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let mut seeded = Seeded::from_environment();
    let mut killed = [0, 0];
    for round in 0..12 {
        import(metrics.server(), &format!("round{round}"), 2, 500);
        let ours = round % 2 == 0;
        let mut command = if ours {
            metrics
                .world
                .command(&["victoria-metrics", "backup", INSTANCE])
        } else {
            metrics.vmbackup_command(release, &version)
        };
        let after = Duration::from_millis(seeded.rng.random_range(5..150));
        let process = Process::start(&mut command).unwrap();
        if process.ends_within(after) {
            process.finish().unwrap().success().unwrap();
        } else {
            process.kill().unwrap();
            killed[usize::from(ours)] += 1;
        }
        release_lease(&metrics);
        if !ours {
            // What a killed vmbackup leaves on the server is not ours to delete. It may be in the making yet, and a server ends with a panic if it is deleted then; it makes
            // one after the other.
            for path in ["/snapshot/create", "/snapshot/delete_all"] {
                http::get(metrics.server().address(), path).unwrap();
            }
        }
        if ours {
            metrics.vmbackup(release, &version);
        } else {
            assert_eq!(metrics.back_up()["version"], version.as_str());
        }
        metrics
            .world
            .ok(&["victoria-metrics", "verify", INSTANCE, &version]);
    }
    assert!(killed[0] + killed[1] > 2, "{killed:?}");
    metrics.back_up();
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    let left = snapshots(metrics.server());
    assert!(left <= 1, "{left} of {killed:?}");
    metrics.halt();
    for theirs in [false, true] {
        metrics.wipe();
        if theirs {
            metrics.vmrestore(release, &version);
        } else {
            metrics.restore(&version);
        }
        assert!(metrics.boot(release));
        assert_eq!(samples(metrics.server(), "boat"), 6_000);
        for round in 0..12 {
            assert_eq!(samples(metrics.server(), &format!("round{round}")), 1_000);
        }
        metrics.halt();
    }
}

#[test]
fn a_killed_run_of_either_is_continued_by_the_other_at_1_112() {
    a_killed_run_of_either_is_continued_by_the_other(Release::V1_112);
}

#[test]
fn a_killed_run_of_either_is_continued_by_the_other_at_1_79() {
    a_killed_run_of_either_is_continued_by_the_other(Release::V1_79);
}

/// As it did before 2021, of files from 128 MiB on.
#[test]
fn what_vmbackup_stored_in_smaller_pieces_is_refused_before_anything_is_touched() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let stored = metrics.stored(&version);
    fs::remove_file(stored.join("lifeboat_manifest.ignore")).unwrap();
    let (name, content) = files(&stored)
        .into_iter()
        .find(|(name, content)| name.contains("/items.bin/") && content.len() > 1)
        .unwrap();
    let size = content.len();
    fs::remove_file(stored.join(&name)).unwrap();
    for (from, to) in [(0, 1), (1, size)] {
        let piece = format!("{size:016X}_{from:016X}_{:016X}", to - from);
        let path = stored.join(&name).with_file_name(piece);
        fs::write(path, &content[from..to]).unwrap();
    }
    let before = files(&metrics.data());
    for command in [&["restore", "--yes"][..], &["verify"]] {
        let mut arguments = vec!["victoria-metrics", command[0], INSTANCE, &version];
        arguments.extend(&command[1..]);
        let seen = metrics.world.run(&arguments);
        assert_eq!(seen.code, 6, "{}{}", seen.stdout, seen.stderr);
        let all = seen.stdout + &seen.stderr;
        let told = "is stored in pieces of another size than 1 GiB";
        assert!(all.contains(told), "{all}");
    }
    assert_eq!(files(&metrics.data()), before);
    assert_eq!(metrics.listed(), [version]);
}

/// As a run of ours leaves it that was frozen, lost its lease and went on while its successor ended, or one of vmbackup that missed an object.
#[test]
fn what_would_not_restore_leaves_the_backup_that_it_was_written_over() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let stored = metrics.stored(&version);
    fs::write(stored.join("backup_metadata.ignore"), b"{}").unwrap();
    let list = stored.join("data/small/2023_11/parts.json");
    fs::remove_dir_all(&list).unwrap();
    fs::create_dir(&list).unwrap();
    let gone = br#"{"Small":["17983B4A5D05A3A1"],"Big":[]}"#;
    let name = format!("{:016X}_{:016X}_{:016X}", gone.len(), 0, gone.len());
    fs::write(list.join(name), gone).unwrap();
    assert_eq!(metrics.listed(), [version.as_str()]);
    let verify = ["victoria-metrics", "verify", INSTANCE, &version, "--deep"];
    let lacks = metrics.world.json(&verify)["vmrestore_lacks"].clone();
    let told = "what was written to it last is damaged";
    assert!(lacks.as_str().unwrap().contains(told), "{lacks}");
    metrics.halt();
    metrics.wipe();
    let seen = metrics
        .world
        .run(&["victoria-metrics", "restore", INSTANCE, &version, "--yes"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let told = "this is Lifeboat's backup from before that";
    assert!(seen.stderr.contains(told), "{}", seen.stderr);
    assert!(metrics.boot(Release::V1_112));
    assert_eq!(samples(metrics.server(), "boat"), 100);
    // The next backup continues it, and puts right what is beside it.
    assert_eq!(metrics.back_up()["version"], version.as_str());
    let lacks = metrics.world.json(&verify)["vmrestore_lacks"].clone();
    assert_eq!(lacks, serde_json::Value::Null);
}

/// Who can write to the bucket can write nothing outside the data folder of who restores from it.
#[test]
fn a_manifest_that_leads_out_of_the_data_folder_is_refused() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let stored = metrics.stored(&version);
    let manifest = stored.join("lifeboat_manifest.ignore");
    let mut evil = Manifest::read(&fs::read(&manifest).unwrap()).unwrap();
    let held = Held(b"evil".to_vec());
    evil.held.insert("../../../evil".to_owned(), held);
    fs::write(&manifest, evil.write()).unwrap();
    // Without the mark of vmbackup there is nothing else that the version could be restored by.
    fs::remove_file(stored.join("backup_complete.ignore")).unwrap();
    let before = files(&metrics.data());
    let seen = metrics
        .world
        .run(&["victoria-metrics", "restore", INSTANCE, &version, "--yes"]);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("which leads out of the data folder"),
        "{}",
        seen.stderr
    );
    assert_eq!(files(&metrics.data()), before);
    assert!(!metrics.world.path("evil").exists());
    assert_eq!(metrics.listed(), Vec::<String>::new());
}
