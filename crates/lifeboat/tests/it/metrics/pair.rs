//! The two instances of a pair, and one more backup before the server is stopped.

use std::time::{Duration, Instant};

use lifeboat_testkit::process::Process;
use lifeboat_testkit::servers::victoria_metrics::{self, Release};

use super::{INSTANCE, Metrics, import, samples};

const RELEASE: Release = Release::V1_112;

/// Mirrors hold the same, and only one of them is backed up.
#[test]
fn one_backup_is_restored_to_both_instances_of_a_pair() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 2, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    metrics.restore(&version);
    let other = metrics.write_mirror();
    let restore = [
        "-f",
        "mirror.yaml",
        "victoria-metrics",
        "restore",
        "victoria-metrics-1",
        "latest",
        "--yes",
    ];
    let seen = metrics.world.run(&restore);
    assert_eq!(seen.code, 3, "it has no backup of its own: {}", seen.stderr);
    let restored = metrics
        .world
        .json(&[&restore[..], &["--from", INSTANCE]].concat());
    assert_eq!(restored["version"], version.as_str());
    assert!(metrics.boot(RELEASE));
    let mirror = victoria_metrics::start(&other, RELEASE).unwrap();
    for server in [metrics.server(), &mirror] {
        assert_eq!(samples(server, "boat"), 200);
    }
    mirror.stop().unwrap();
}

#[test]
fn a_final_backup_goes_beside_what_is_restored_and_waits_for_the_stop() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "early", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    import(metrics.server(), "late", 1, 30);
    let restore = [
        "-o",
        "json",
        "victoria-metrics",
        "restore",
        INSTANCE,
        &version,
        "--yes",
        "--final-backup",
    ];
    let plan = metrics.world.ok(&[&restore[2..], &["--dry-run"]].concat());
    assert!(plan.contains("back the running server up before"), "{plan}");
    assert_eq!(metrics.listed(), [version.as_str()]);
    let restoring = Process::start(&mut metrics.world.command(&restore)).unwrap();
    let begun = Instant::now();
    while metrics.listed().len() < 2 {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "no final backup came"
        );
    }
    assert!(!restoring.ends_within(Duration::from_millis(300)));
    assert_eq!(samples(metrics.server(), "late"), 30);
    let before_the_stop = now();
    metrics.halt();
    let finished = restoring.finish().unwrap();
    let stdout = finished.stdout.clone();
    finished.success().unwrap();
    let restored: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let last = restored["final_backup"].as_str().unwrap().to_owned();
    assert_ne!(last, version);
    // However long it waited before: what the backup lacks came until the stop.
    let journal = metrics.data().join(".lifeboat-restore/journal.json");
    let journal: serde_json::Value =
        serde_json::from_slice(&std::fs::read(journal).unwrap()).unwrap();
    let begun: jiff::Timestamp = journal["begun"].as_str().unwrap().parse().unwrap();
    assert!(begun >= before_the_stop, "{begun} {before_the_stop}");
    assert!(metrics.boot(RELEASE));
    let count = |metrics: &Metrics| ["early", "late"].map(|name| samples(metrics.server(), name));
    assert_eq!(count(&metrics), [100, 0]);
    let confirmed = metrics.world.ok(&["victoria-metrics", "confirm", INSTANCE]);
    let told = format!("what was there before the restore was backed up to `{last}`");
    assert!(confirmed.contains(&told), "{confirmed}");
    metrics.halt();
    metrics.restore(&last);
    assert!(metrics.boot(RELEASE));
    assert_eq!(count(&metrics), [100, 30]);
}

fn now() -> jiff::Timestamp {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    jiff::Timestamp::UNIX_EPOCH + now
}

/// All backups go to one version there, also the first after the restore, which has the older data.
#[test]
fn a_final_backup_in_the_dialect_of_dated_copies_outlives_the_backups_after_the_restore() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    metrics.write_daily();
    let daily = |arguments: &[&'static str]| -> Vec<&'static str> {
        [&["-f", "daily.yaml", "victoria-metrics"], arguments].concat()
    };
    let back_up = daily(&["backup", INSTANCE]);
    import(metrics.server(), "early", 1, 100);
    metrics.world.json(&back_up);
    let copy = metrics.world.json(&daily(&["copy", INSTANCE]))["version"]
        .as_str()
        .unwrap()
        .to_owned();
    import(metrics.server(), "late", 1, 30);
    metrics.world.json(&back_up);
    let mut restore = vec!["-o", "json"];
    restore.extend(daily(&["restore", INSTANCE, "--yes", "--final-backup"]));
    restore.push(&copy);
    import(metrics.server(), "last", 1, 7);
    let restoring = Process::start(&mut metrics.world.command(&restore)).unwrap();
    restoring
        .wait_for_line(Duration::from_mins(1), |line| {
            line.contains("now stop the server").then_some(())
        })
        .unwrap();
    metrics.halt();
    let finished = restoring.finish().unwrap();
    let stdout = finished.stdout.clone();
    finished.success().unwrap();
    let restored: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let last = restored["final_backup"].as_str().unwrap().to_owned();
    let latest = format!("{INSTANCE}-latest");
    assert_ne!(last, latest);
    assert!(metrics.boot(RELEASE));
    let count =
        |metrics: &Metrics| ["early", "late", "last"].map(|name| samples(metrics.server(), name));
    assert_eq!(count(&metrics), [100, 0, 0]);
    // As every hour.
    assert_eq!(metrics.world.json(&back_up)["version"], latest.as_str());
    let confirmed = metrics
        .world
        .json(&["victoria-metrics", "confirm", INSTANCE]);
    assert_eq!(confirmed["final_backup"], last.as_str());
    metrics.halt();
    metrics.restore(&last);
    assert!(metrics.boot(RELEASE));
    assert_eq!(count(&metrics), [100, 30, 7]);
}
