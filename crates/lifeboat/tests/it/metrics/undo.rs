//! The way back from a restore, and what has to hold before it is closed.

use std::fs;

use lifeboat_testkit::servers::victoria_metrics::{self, Release};

use super::{INSTANCE, Metrics, files, import, samples};

const RELEASE: Release = Release::V1_112;

/// A server that holds `new`, and the version of a backup that held `old`.
fn replaced(release: Release) -> Option<(Metrics, String)> {
    let mut metrics = Metrics::start(release)?;
    import(metrics.server(), "old", 2, 400);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(release));
    import(metrics.server(), "new", 1, 300);
    Some((metrics, version))
}

#[test]
fn a_restore_over_a_restore_that_fails_leaves_the_way_back_to_what_was_first() {
    let Some((mut metrics, version)) = replaced(RELEASE) else {
        return;
    };
    let second = metrics.back_up()["version"].as_str().unwrap().to_owned();
    assert_ne!(second, version);
    import(metrics.server(), "newer", 1, 10);
    metrics.halt();
    assert_eq!(metrics.restore(&version)["can_be_undone"], true);
    flip(&metrics, &second);
    let restore = ["victoria-metrics", "restore", INSTANCE, &second, "--yes"];
    let seen = metrics.world.run(&restore);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("the data is as it was"),
        "{}",
        seen.stderr
    );
    // The first restore can be confirmed and undone as if there had been no second.
    let undo = ["victoria-metrics", "undo", INSTANCE, "--yes"];
    let undone = metrics.world.json(&undo);
    assert_eq!(undone["version"], version.as_str());
    assert_eq!(undone["brought_back"], true);
    assert_eq!(metrics.world.run(&undo).code, 3);
    assert!(metrics.boot(RELEASE));
    let counts = ["old", "new", "newer"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [0, 300, 10]);
    metrics.halt();
    // Without a first one nothing is brought back, for nothing was replaced.
    flip(&metrics, &version);
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    assert_eq!(metrics.world.run(&restore).code, 6);
    assert_eq!(metrics.world.json(&undo)["brought_back"], false);
    flip(&metrics, &version);
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    let counts = ["old", "new", "newer"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [800, 0, 0]);
}

/// A run that failed or was cut just before folders were renamed has left the file that keeps servers from starting.
#[test]
fn a_restore_that_fails_says_that_no_server_starts_on_what_is_there() {
    let Some((mut metrics, version)) = replaced(RELEASE) else {
        return;
    };
    metrics.halt();
    flip(&metrics, &version);
    let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    assert_eq!(metrics.world.run(&restore).code, 6);
    let barrier = metrics.data().join("restore-in-progress");
    fs::write(&barrier, "").unwrap();
    let seen = metrics.world.run(&restore);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    let told = "hint: the data is as it was, and the file `restore-in-progress` keeps servers from starting on it; the same command, or `undo`, ends that";
    assert!(seen.stderr.contains(told), "{}", seen.stderr);
    metrics
        .world
        .ok(&["victoria-metrics", "undo", INSTANCE, "--yes"]);
    assert!(!barrier.exists());
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "new"), 300);
}

/// What is there before folders are renamed in place of data that had to be removed: nothing of it can come back.
#[test]
fn a_restore_that_was_cut_with_no_way_back_is_ended_by_an_undo() {
    let Some((mut metrics, version)) = replaced(RELEASE) else {
        return;
    };
    metrics.halt();
    metrics.restore(&version);
    let (data, undo) = (
        metrics.data(),
        ["victoria-metrics", "undo", INSTANCE, "--yes"],
    );
    let work = data.join(".lifeboat-restore");
    let journal = fs::read_to_string(work.join("journal.json")).unwrap();
    let mut journal: serde_json::Value = serde_json::from_str(&journal).unwrap();
    let mut arriving = Vec::new();
    fs::create_dir(work.join("new")).unwrap();
    for name in ["data", "indexdb", "metadata"] {
        if data.join(name).exists() {
            fs::rename(data.join(name), work.join("new").join(name)).unwrap();
            arriving.push(name);
        }
    }
    fs::remove_dir_all(work.join("previous")).unwrap();
    fs::create_dir(work.join("discarded")).unwrap();
    journal["state"] = "switching".into();
    journal["arriving"] = arriving.into();
    fs::write(work.join("journal.json"), journal.to_string()).unwrap();
    let barrier = data.join("restore-in-progress");
    fs::write(&barrier, "").unwrap();
    let seen = metrics.world.run(&undo);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    let told = "hint: the restore that was cut is ended: the data is that of the backup, and a server can be started on it";
    assert!(seen.stderr.contains(told), "{}", seen.stderr);
    assert!(!barrier.exists());
    let seen = metrics.world.run(&undo);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    assert!(!seen.stderr.contains("ended"), "{}", seen.stderr);
    assert!(metrics.boot(RELEASE));
    let counts = ["old", "new"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [800, 0]);
}

/// Damages a stored backup, or mends it again.
fn flip(metrics: &Metrics, version: &str) {
    let stored = metrics.stored(version);
    let (name, mut content) = files(&stored)
        .into_iter()
        .find(|(name, content)| name.contains("items.bin") && !content.is_empty())
        .unwrap();
    content[0] ^= 1;
    fs::write(stored.join(&name), &content).unwrap();
}

#[test]
fn a_server_of_other_data_confirms_nothing() {
    let Some((mut metrics, version)) = replaced(RELEASE) else {
        return;
    };
    metrics.halt();
    metrics.restore(&version);
    let folder = metrics.world.path("other");
    fs::create_dir_all(folder.join("data")).unwrap();
    let other = victoria_metrics::start(&folder, RELEASE).unwrap();
    import(&other, "old", 2, 4000);
    let url = format!("lifeboat.victoria-metrics-0.url={}", other.endpoint());
    let confirm = ["--set", &url, "victoria-metrics", "confirm", INSTANCE];
    let seen = metrics.world.run(&confirm);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(seen.stderr.contains("no server has"), "{}", seen.stderr);
    other.stop().unwrap();
    assert!(metrics.boot(RELEASE));
    let confirmed = metrics
        .world
        .json(&["victoria-metrics", "confirm", INSTANCE]);
    assert_eq!(confirmed["previous_removed"], true);
}

/// It has the samples, counts them, and cannot read the index that leads to them.
#[test]
fn a_server_that_is_too_old_for_what_was_restored_is_found_out() {
    let Some((mut metrics, version)) = replaced(Release::V1_145) else {
        return;
    };
    metrics.halt();
    let override_it = [
        "victoria-metrics",
        "restore",
        INSTANCE,
        &version,
        "--yes",
        "--server-version",
        "1.145.0",
    ];
    metrics.world.ok(&override_it);
    if !metrics.boot(RELEASE) {
        return;
    }
    let seen = metrics
        .world
        .run(&["victoria-metrics", "confirm", INSTANCE]);
    assert_eq!(seen.code, 6, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stderr.contains("finds no sample"), "{}", seen.stderr);
    metrics.halt();
    metrics
        .world
        .ok(&["victoria-metrics", "undo", INSTANCE, "--yes"]);
    assert!(metrics.boot(Release::V1_145));
    assert_eq!(samples(metrics.server(), "new"), 300);
}

/// What came in after the first restore is in no backup, whether that was confirmed or not.
#[test]
fn data_that_a_server_has_opened_since_a_restore_is_not_replaced_before_somebody_has_decided() {
    for release in [Release::V1_79, Release::V1_112, Release::V1_145] {
        let Some((mut metrics, version)) = replaced(release) else {
            return;
        };
        metrics.halt();
        metrics.restore(&version);
        let restore = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
        // No server has opened it yet: the same may be restored again.
        metrics.world.ok(&restore);
        assert!(metrics.boot(release));
        import(metrics.server(), "live", 1, 70);
        let confirm = ["victoria-metrics", "confirm", INSTANCE, "--keep-previous"];
        metrics.world.ok(&confirm);
        metrics.halt();
        for refused in [&restore[..], &[&restore[..], &["--dry-run"]].concat()] {
            let seen = metrics.world.run(refused);
            assert_eq!(seen.code, 4, "{release:?}: {}", seen.stderr);
            let says = "was not confirmed, and a server has had its data open since";
            assert!(seen.stderr.contains(says), "{}", seen.stderr);
        }
        assert!(metrics.boot(release));
        let counts = ["old", "new", "live"].map(|metric| samples(metrics.server(), metric));
        assert_eq!(counts, [800, 0, 70], "{release:?}");
        metrics.world.ok(&["victoria-metrics", "confirm", INSTANCE]);
        metrics.halt();
        // Now it is what was there before.
        metrics.restore(&version);
        metrics
            .world
            .ok(&["victoria-metrics", "undo", INSTANCE, "--yes"]);
        assert!(metrics.boot(release));
        let counts = ["old", "new", "live"].map(|metric| samples(metrics.server(), metric));
        assert_eq!(counts, [800, 0, 70], "{release:?}");
    }
}
