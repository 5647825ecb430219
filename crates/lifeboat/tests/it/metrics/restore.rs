//! Damage, cuts and kills: a backup that is listed restores, and a data folder is old or new.

use std::fs;
use std::time::{Duration, Instant};

use lifeboat_testkit::process::Process;
use lifeboat_testkit::random::Seeded;
use lifeboat_testkit::servers::victoria_metrics::Release;
use rand::RngExt;

use super::{INSTANCE, Metrics, files, import, samples, snapshots};

const RELEASE: Release = Release::V1_112;

fn started(series: u64) -> Option<(Metrics, String)> {
    let metrics = Metrics::start(RELEASE)?;
    import(metrics.server(), "old", 2, series);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    Some((metrics, version))
}

#[test]
fn every_missing_object_is_found_before_anything_is_touched() {
    let Some((mut metrics, version)) = started(200) else {
        return;
    };
    metrics.halt();
    let before = files(&metrics.data());
    let stored = metrics.stored(&version);
    let objects: Vec<_> = files(&stored)
        .into_keys()
        .filter(|name| {
            !name.ends_with(".ignore")
                && !name.contains("parts.json")
                && !name.contains("metadata/")
        })
        .collect();
    assert!(objects.len() > 5);
    for name in objects {
        let (path, aside) = (stored.join(&name), metrics.world.path("aside"));
        fs::rename(&path, &aside).unwrap();
        let seen = metrics
            .world
            .run(&["victoria-metrics", "restore", INSTANCE, &version, "--yes"]);
        assert!(matches!(seen.code, 3 | 6), "{name}: {}", seen.stderr);
        assert_eq!(files(&metrics.data()), before, "{name}");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
}

/// A deletion that was cut leaves the mark of vmbackup and not all of its objects.
#[test]
fn a_backup_of_vmbackup_that_lacks_an_object_is_not_listed() {
    let Some((mut metrics, version)) = started(200) else {
        return;
    };
    let theirs = format!("{INSTANCE}-20200101000000");
    metrics.vmbackup(RELEASE, &theirs);
    metrics.halt();
    assert_eq!(metrics.listed(), [theirs.as_str(), &version]);
    let stored = metrics.stored(&theirs);
    let name = files(&stored)
        .into_keys()
        .find(|name| name.contains("items.bin"))
        .unwrap();
    fs::remove_file(stored.join(name)).unwrap();
    assert_eq!(metrics.listed(), [version.as_str()]);
    let shown = metrics.world.ok(&["victoria-metrics", "list", "--all"]);
    assert!(shown.contains("items.bin` is missing"), "{shown}");
}

#[test]
fn a_flipped_bit_is_found_by_a_deep_verification_and_stops_a_restore() {
    let Some((mut metrics, version)) = started(200) else {
        return;
    };
    metrics.halt();
    let stored = metrics.stored(&version);
    let name = files(&stored)
        .into_iter()
        .find(|(name, content)| name.contains("items.bin") && !content.is_empty())
        .unwrap()
        .0;
    let mut content = fs::read(stored.join(&name)).unwrap();
    content[0] ^= 1;
    fs::write(stored.join(&name), content).unwrap();
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version]);
    let seen = metrics
        .world
        .run(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(
        seen.stdout.contains("items.bin` does not have the bytes"),
        "{}",
        seen.stdout
    );
    // Without data to share, all bytes have to come from the bucket.
    metrics.wipe();
    let seen = metrics
        .world
        .run(&["victoria-metrics", "restore", INSTANCE, &version, "--yes"]);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(!metrics.data().join("data").exists());
}

/// A backup keeps what has its name and its size. What is sound stays, also where the server's own file is not.
#[test]
fn what_is_damaged_is_sent_again_when_that_is_asked_for() {
    let Some((mut metrics, version)) = started(200) else {
        return;
    };
    let stored = metrics.stored(&version);
    let sound = files(&stored);
    // A month that came at once is one part, which the server merges with no other meanwhile.
    let is_it =
        |name: &str, file: &str| name.starts_with("data/small/2023_11/") && name.contains(file);
    let find = |file: &str| sound.keys().find(|name| is_it(name, file)).unwrap();
    let (damaged, sound_one) = (find("/index.bin"), find("/metaindex.bin"));
    assert!(!sound[damaged].is_empty() && !sound[sound_one].is_empty());
    let flip = |path: &std::path::Path| {
        let mut content = fs::read(path).unwrap();
        content[0] ^= 1;
        fs::write(path, content).unwrap();
    };
    flip(&stored.join(damaged));
    let back_up = |more: &[&str]| {
        let backup = ["victoria-metrics", "backup", INSTANCE];
        metrics.world.json(&[&backup, more].concat())
    };
    let deep = ["victoria-metrics", "verify", INSTANCE, &version, "--deep"];
    assert_eq!(back_up(&[])["objects_resent"], 0);
    let seen = metrics.world.run(&deep);
    assert_eq!(seen.code, 6, "{}", seen.stdout);
    assert!(
        seen.stdout
            .contains("backup victoria-metrics-0 --resend-damaged`"),
        "{}",
        seen.stdout
    );
    // What the server has of this one is damaged itself.
    let path = std::path::Path::new(sound_one).parent().unwrap();
    flip(&metrics.data().join(path));
    let before = files(&stored);
    let plan = back_up(&["--resend-damaged", "--dry-run"]);
    assert_eq!(plan["objects_to_resend"], 1, "{plan}");
    assert_eq!(files(&stored), before);
    let done = back_up(&["--resend-damaged"]);
    assert_eq!(done["version"], version.as_str());
    assert_eq!(done["objects_resent"], 1, "{done}");
    metrics.world.ok(&deep);
    for name in [damaged, sound_one] {
        assert_eq!(fs::read(stored.join(name)).unwrap(), sound[name], "{name}");
    }
    assert_eq!(back_up(&["--resend-damaged"])["objects_resent"], 0);
    // Damaged in both: it stays to be found, and nothing else is called sound for it.
    flip(&stored.join(sound_one));
    let before = files(&stored);
    let command = [
        "-o",
        "json",
        "victoria-metrics",
        "backup",
        INSTANCE,
        "--resend-damaged",
    ];
    let seen = metrics.world.run(&command);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    let told: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    let counts = (&told["objects_beyond_repair"], &told["objects_resent"]);
    assert_eq!(counts, (&1.into(), &0.into()), "{told}");
    assert_eq!(files(&stored)[sound_one], before[sound_one]);
    assert_eq!(metrics.world.run(&deep).code, 6);
    flip(&stored.join(sound_one));
    metrics.world.ok(&deep);
    metrics.halt();
    metrics.wipe();
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "old"), 400);
}

#[test]
fn what_is_equal_is_shared_with_the_data_that_is_there() {
    let Some((mut metrics, version)) = started(3000) else {
        return;
    };
    import(metrics.server(), "later", 1, 10);
    metrics.halt();
    let restored = metrics.restore(&version);
    let reused = restored["bytes_reused"].as_u64().unwrap();
    let fetched = restored["bytes_fetched"].as_u64().unwrap();
    assert!(reused > 0, "{restored}");
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "old"), 6000, "{fetched}");
    assert_eq!(samples(metrics.server(), "later"), 0);
}

#[test]
fn same_size_garbage_in_the_data_is_not_shared() {
    let Some((mut metrics, version)) = started(500) else {
        return;
    };
    metrics.halt();
    for (name, content) in files(&metrics.data()) {
        if std::path::Path::new(&name)
            .extension()
            .is_some_and(|kind| kind == "bin")
        {
            fs::write(metrics.data().join(name), vec![7; content.len()]).unwrap();
        }
    }
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "old"), 1000);
}

#[test]
fn data_is_old_or_new_whenever_its_restore_was_killed() {
    let Some((mut metrics, version)) = started(400) else {
        return;
    };
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(RELEASE));
    import(metrics.server(), "new", 1, 300);
    metrics.halt();
    let arguments = ["victoria-metrics", "restore", INSTANCE, &version, "--yes"];
    let begun = Instant::now();
    metrics.restore(&version);
    let mut whole = begun.elapsed();
    metrics
        .world
        .ok(&["victoria-metrics", "undo", INSTANCE, "--yes"]);
    let mut seeded = Seeded::from_environment();
    let mut killed = 0;
    for _ in 0..60 {
        let after = whole.mul_f64(seeded.rng.random_range(0.0..1.0));
        let begun = Instant::now();
        let process = Process::start(&mut metrics.world.command(&arguments)).unwrap();
        if process.ends_within(after) {
            process.finish().unwrap().success().unwrap();
            // The machine was slower when it was measured.
            whole = whole.min(begun.elapsed());
        } else {
            process.kill().unwrap();
            killed += 1;
        }
        let has_barrier = metrics.data().join("restore-in-progress").exists();
        if has_barrier {
            // No server opens it; the same command ends it.
            metrics.restore(&version);
        }
        assert!(metrics.boot(RELEASE));
        let counts = ["old", "new"].map(|metric| samples(metrics.server(), metric));
        assert!(counts == [800, 0] || counts == [0, 300], "{counts:?}");
        metrics.halt();
        metrics
            .world
            .run(&["victoria-metrics", "undo", INSTANCE, "--yes"]);
    }
    assert!(killed > 20, "{killed} of 60 runs were killed");
    assert!(metrics.boot(RELEASE));
    assert_eq!(
        samples(metrics.server(), "new"),
        300,
        "undo brings back what was"
    );
}

#[test]
fn a_backup_that_is_listed_restores_whenever_its_run_was_killed() {
    let Some((mut metrics, version)) = started(400) else {
        return;
    };
    let arguments = ["victoria-metrics", "backup", INSTANCE];
    import(metrics.server(), "first", 1, 50);
    let begun = Instant::now();
    metrics.back_up();
    let mut whole = begun.elapsed();
    let mut seeded = Seeded::from_environment();
    let mut killed = 0;
    for round in 0..30 {
        import(metrics.server(), &format!("round{round}"), 1, 50);
        let after = whole.mul_f64(seeded.rng.random_range(0.0..1.0));
        let begun = Instant::now();
        let process = Process::start(&mut metrics.world.command(&arguments)).unwrap();
        if process.ends_within(after.max(Duration::from_millis(1))) {
            process.finish().unwrap().success().unwrap();
            // The machine was slower when it was measured.
            whole = whole.min(begun.elapsed());
        } else {
            process.kill().unwrap();
            killed += 1;
        }
        assert_eq!(metrics.listed(), [version.as_str()]);
        metrics
            .world
            .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
        release_lease(&metrics);
    }
    assert!(killed > 8, "{killed} of 30 runs were killed");
    // The next run deletes what those left on the server.
    metrics.back_up();
    let left = snapshots(metrics.server());
    assert!(left <= 1, "{left} snapshots are left of {killed} kills");
    metrics.halt();
    metrics.wipe();
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "old"), 800);
    assert_eq!(samples(metrics.server(), "round29"), 50);
}

/// A run that was killed keeps its lease for two minutes: nobody wants to wait for that here, but until the server has ended what the run asked of it.
pub(super) fn release_lease(metrics: &Metrics) {
    wait_for_the_server(metrics);
    let lease = metrics.stored("victoria-metrics-0-lifeboat_lease.ignore");
    if let Ok(text) = fs::read_to_string(&lease) {
        let mut card: serde_json::Value = serde_json::from_str(&text).unwrap();
        card["until"] = "2020-01-01T00:00:00Z".into();
        fs::write(&lease, card.to_string()).unwrap();
    }
}

/// Until no snapshot comes or goes.
fn wait_for_the_server(metrics: &Metrics) {
    let names = || {
        let mut names = Vec::new();
        for folder in [
            "snapshots",
            "data/small/snapshots",
            "data/big/snapshots",
            "indexdb/snapshots",
        ] {
            for entry in fs::read_dir(metrics.data().join(folder))
                .into_iter()
                .flatten()
                .flatten()
            {
                names.push((folder, entry.file_name()));
            }
        }
        names.sort();
        names
    };
    let mut before = names();
    let mut same = 0;
    while same < 4 {
        #[expect(
            clippy::disallowed_methods,
            reason = "the server does not say when it has ended"
        )]
        std::thread::sleep(Duration::from_millis(25));
        let now = names();
        same = if now == before { same + 1 } else { 0 };
        before = now;
    }
}
