//! What changes under its name or under our feet: lists, retention, a snapshot, much less data than before.

use std::fs;
use std::time::{Duration, Instant};

use lifeboat_testkit::http;
use lifeboat_testkit::servers::victoria_metrics::Release;
use lifeboat_testkit::turnstile::{Moment, Stop, Turnstile};

use super::{INSTANCE, Metrics, files, import, import_at, samples, snapshots};
use crate::killed;

const RELEASE: Release = Release::V1_112;
const MONTH: u64 = 1_700_000_000;

fn started() -> Option<(Metrics, String)> {
    let metrics = Metrics::start(RELEASE)?;
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    Some((metrics, version))
}

/// The one stored object of a file, by the end of its path.
fn stored(metrics: &Metrics, version: &str, file: &str) -> (String, Vec<u8>) {
    let objects = files(&metrics.stored(version));
    let mut found = objects
        .into_iter()
        .filter(|(name, _)| name.contains(&format!("{file}/")));
    let one = found.next().unwrap();
    assert_eq!(found.next(), None);
    one
}

/// Names and sizes say nothing of it: what vmbackup of 1.90 to 1.93.4 overlooked.
#[test]
fn a_list_of_parts_that_changed_and_kept_its_size_is_sent() {
    let Some((mut metrics, version)) = started() else {
        return;
    };
    let list = "data/small/2023_11/parts.json";
    let before = stored(&metrics, &version, list);
    import_at(metrics.server(), "more", MONTH + 1000, 50);
    // All parts of the month become one, as there was one.
    let begun = Instant::now();
    while fs::read(metrics.data().join(list)).unwrap().len() != before.1.len()
        || fs::read(metrics.data().join(list)).unwrap() == before.1
    {
        assert!(begun.elapsed() < Duration::from_mins(1), "it is not merged");
        let merge = "/internal/force_merge?partition_prefix=2023_11";
        http::get(metrics.server().address(), merge).unwrap();
        http::get(metrics.server().address(), "/internal/force_flush").unwrap();
    }
    metrics.back_up();
    let after = stored(&metrics, &version, list);
    assert_eq!(before.0, after.0, "the size is in the name");
    assert_ne!(before.1, after.1);
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    metrics.halt();
    for theirs in [true, false] {
        metrics.wipe();
        if theirs {
            metrics.vmrestore(RELEASE, &version);
        } else {
            metrics.restore(&version);
        }
        assert!(metrics.boot(RELEASE));
        let counts = ["boat", "more"].map(|metric| samples(metrics.server(), metric));
        assert_eq!(counts, [100, 50]);
        metrics.halt();
    }
}

/// The enterprise server writes it; any server takes it into its snapshots.
#[test]
fn the_applied_retention_is_always_sent() {
    let Some((metrics, version)) = started() else {
        return;
    };
    let file = "data/small/2023_11/appliedRetention.txt";
    for content in ["first", "other"] {
        fs::write(metrics.data().join(file), content).unwrap();
        metrics.back_up();
        assert_eq!(stored(&metrics, &version, file).1, content.as_bytes());
    }
}

/// A server deletes snapshots that are too old for it, whoever reads them.
#[test]
fn a_snapshot_that_is_removed_under_our_feet_fails_the_backup_and_leaves_no_mark() {
    let Some(metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 2, 500);
    let address = metrics.world.endpoint().trim_start_matches("http://");
    let gate = Turnstile::start(address.parse().unwrap()).unwrap();
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    let removed = metrics.world.path("removed");
    fs::create_dir_all(&removed).unwrap();
    let mut failed = 0;
    for request in 4..20 {
        let (data, removed) = (metrics.data(), removed.clone());
        let action: Box<dyn FnOnce() + Send> = Box::new(move || {
            // At once, as far as that goes: a server that is deleting it as well ends with a panic.
            for (number, folder) in ["data/small", "data/big", "indexdb"].iter().enumerate() {
                let snapshots = data.join(folder).join("snapshots");
                for snapshot in fs::read_dir(snapshots).into_iter().flatten().flatten() {
                    let name = format!("{request}-{number}-{}", snapshot.file_name().display());
                    fs::rename(snapshot.path(), removed.join(name)).unwrap();
                }
            }
        });
        let moment = Moment::Before;
        gate.reset(Some((Stop { request, moment }, action)));
        let backup = ["--set", &endpoint, "victoria-metrics", "backup", INSTANCE];
        let seen = metrics.world.run(&backup);
        gate.reset(None);
        let listed = metrics.listed();
        if seen.code == 0 {
            // It was removed before it was made, or when all was read.
            let version = &listed[0];
            metrics
                .world
                .ok(&["victoria-metrics", "verify", INSTANCE, version, "--deep"]);
            fs::remove_dir_all(metrics.stored(version)).unwrap();
            continue;
        }
        failed += 1;
        assert!(matches!(seen.code, 5 | 6), "{}", seen.stderr);
        // Gone before its files were listed, while they were, or before they were read.
        assert!(
            ["No such file", "is missing", "the server has"]
                .iter()
                .any(|reason| seen.stderr.contains(reason)),
            "{}",
            seen.stderr
        );
        assert_eq!(listed, Vec::<String>::new(), "request {request}");
        let marks = files(&metrics.stored(""))
            .into_keys()
            .filter(|name| name.contains("backup_complete") || name.contains("lifeboat_manifest"));
        assert_eq!(marks.count(), 0, "request {request}");
    }
    assert!(failed > 0, "it was never read when it was gone");
    assert_eq!(snapshots(metrics.server()), 0);
    metrics.back_up();
}

#[test]
fn a_backup_a_tenth_as_large_replaces_none_unless_that_is_asked_for() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 2, 20_000);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let before = files(&metrics.stored(&version));
    // Nearly all is deleted, and the label is not.
    let label = version.rsplit('-').next().unwrap();
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(RELEASE));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let sample = format!("_sts_generation {label} {now}\n");
    let path = "/api/v1/import/prometheus";
    let address = metrics.server().address();
    http::send(address, "POST", path, "text/plain", &sample).unwrap();
    import(metrics.server(), "rest", 1, 10);
    let seen = metrics.world.run(&["victoria-metrics", "backup", INSTANCE]);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("less than a tenth of"),
        "{}",
        seen.stderr
    );
    assert!(
        seen.stderr.contains("`--allow-shrinking`"),
        "{}",
        seen.stderr
    );
    assert_eq!(files(&metrics.stored(&version)), before);
    assert_eq!(snapshots(metrics.server()), 0);
    let allowed = ["victoria-metrics", "backup", INSTANCE, "--allow-shrinking"];
    assert_eq!(metrics.world.json(&allowed)["version"], version.as_str());
    metrics.halt();
    metrics.wipe();
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    let counts = ["boat", "rest"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [0, 10]);
}

#[test]
fn a_backup_is_not_replaced_by_that_of_younger_data() {
    let Some(metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let history = |seconds: u64| {
        let key = format!("victoria-metrics-0.backup.minHistorySeconds={seconds}");
        metrics
            .world
            .run(&["--set", &key, "victoria-metrics", "backup", INSTANCE])
    };
    // The first replaces none.
    let first = history(3_000_000_000);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let version = metrics.listed()[0].clone();
    let before = files(&metrics.stored(&version));
    let seen = history(3_000_000_000);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(
        seen.stderr
            .contains("`victoria-metrics-0.backup.minHistorySeconds`"),
        "{}",
        seen.stderr
    );
    assert_eq!(files(&metrics.stored(&version)), before);
    assert_eq!(snapshots(metrics.server()), 0);
    assert_eq!(history(86_400).code, 0);
}

/// Of what vmrestore would take, not of what a restore of ours takes from the manifest.
#[test]
fn lists_that_are_not_those_of_the_backup_are_damage_where_the_mark_says_that_they_count() {
    let Some((metrics, version)) = started() else {
        return;
    };
    let verify = ["victoria-metrics", "verify", INSTANCE, &version];
    let (name, content) = stored(&metrics, &version, "data/small/2023_11/parts.json");
    let path = metrics.stored(&version).join(&name);
    let mark = metrics.stored(&version).join("backup_complete.ignore");
    let sane = metrics.world.json(&verify);
    assert_eq!(sane["vmrestore_lacks"], serde_json::Value::Null);
    let mut other = content.clone();
    other[1] ^= 1;
    for (change, expected) in [
        (None, "parts.json` is missing"),
        (Some(&other), "parts.json` does not have the bytes"),
    ] {
        match change {
            None => fs::remove_file(&path).unwrap(),
            Some(bytes) => fs::write(&path, bytes).unwrap(),
        }
        let seen = metrics.world.run(&verify);
        assert_eq!(seen.code, 6, "{}", seen.stdout);
        assert!(seen.stdout.contains(expected), "{}", seen.stdout);
        // As a run leaves it that was cut near its end.
        fs::rename(&mark, metrics.world.path("mark")).unwrap();
        let seen = metrics.world.run(&verify);
        assert_eq!(seen.code, 0, "{}", seen.stdout);
        let note = format!("vmrestore could not restore it: `data/small/2023_11/{expected}");
        assert!(seen.stdout.contains(&note), "{}", seen.stdout);
        assert!(
            seen.stdout
                .contains("the next backup that goes to it puts that right"),
            "{}",
            seen.stdout
        );
        fs::rename(metrics.world.path("mark"), &mark).unwrap();
    }
    // It does, also of a list that no part of the backup was ever in.
    metrics.back_up();
    metrics.world.ok(&verify);
    let foreign = metrics
        .stored(&version)
        .join("metadata/other/0000000000000001_0000000000000000_0000000000000001");
    fs::create_dir_all(foreign.parent().unwrap()).unwrap();
    fs::write(&foreign, b"x").unwrap();
    let (small, big) = name.split_once("/parts.json/").unwrap();
    let second = metrics.stored(&version).join(format!(
        "{small}/parts.json/0000000000000002_0000000000000000_0000000000000002"
    ));
    fs::write(&second, b"{}").unwrap();
    let seen = metrics.world.run(&verify);
    assert_eq!(seen.code, 6, "{} {big}", seen.stdout);
    assert!(seen.stdout.contains("is there with"), "{}", seen.stdout);
    metrics.back_up();
    metrics.world.ok(&verify);
    assert!(!second.exists() && !foreign.exists());
}

/// Beside parts that had none, as servers of before 1.90 write them.
#[test]
fn a_list_of_a_table_that_had_none_is_damage() {
    let Some(metrics) = Metrics::start(Release::V1_79) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let verify = ["victoria-metrics", "verify", INSTANCE, &version];
    metrics.world.ok(&verify);
    let list = metrics
        .stored(&version)
        .join("data/small/2023_11/parts.json/0000000000000015_0000000000000000_0000000000000015");
    fs::create_dir_all(list.parent().unwrap()).unwrap();
    fs::write(&list, br#"{"Small":[],"Big":[]}"#).unwrap();
    let seen = metrics.world.run(&verify);
    assert_eq!(seen.code, 6, "{}", seen.stdout);
    assert!(
        seen.stdout.contains("is none of the backup"),
        "{}",
        seen.stdout
    );
}

/// Dated copies of `latest`, and a server that is down when the next one is made.
#[test]
fn a_copy_needs_no_server_and_goes_on_noting_what_a_killed_run_left_there() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let values =
        "victoria-metrics-0: {backup: {enabled: true, scheduled: {daily: '55 0 * * *'}}}\n";
    fs::write(metrics.world.path("daily.yaml"), values).unwrap();
    let backup = ["-f", "daily.yaml", "victoria-metrics", "backup", INSTANCE];
    let plan = metrics.world.json(&[&backup[..], &["--dry-run"]].concat());
    assert_eq!(plan["new_version"], true);
    assert_eq!(metrics.world.json(&backup)["new_version"], true);
    assert_eq!(metrics.world.json(&backup)["new_version"], false);
    let answer = http::get(metrics.server().address(), "/snapshot/create").unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let left = answer["snapshot"].as_str().unwrap();
    let lease = metrics.stored("victoria-metrics-0-lifeboat_lease.ignore");
    let card = format!(
        r#"{{"owner":"killed","run":"00","version":"victoria-metrics-0-latest","since":"2023-11-28T16:00:00Z","until":"2023-11-28T16:02:00Z","snapshot":"{left}"}}"#
    );
    fs::write(&lease, card).unwrap();
    let address = metrics.server().address();
    metrics.halt();
    let url = format!("lifeboat.victoria-metrics-0.url=http://{address}");
    let copy = [
        "-f",
        "daily.yaml",
        "--set",
        &url,
        "victoria-metrics",
        "copy",
        INSTANCE,
    ];
    let made = metrics.world.json(&copy)["version"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        metrics.listed(),
        [made.as_str(), "victoria-metrics-0-latest"]
    );
    assert!(fs::read_to_string(&lease).unwrap().contains(left));
    // The next backup deletes it.
    assert!(metrics.boot(RELEASE));
    assert_eq!(snapshots(metrics.server()), 1);
    metrics.world.json(&backup);
    assert_eq!(snapshots(metrics.server()), 0);
    assert!(!lease.exists());
    // Two instances in one place are refused what deletes or adds as well.
    let other = "victoria-metrics-1: {backup: {enabled: true, s3Prefix: victoria-metrics-0}}\n";
    fs::write(metrics.world.path("other.yaml"), other).unwrap();
    for command in ["copy", "expire"] {
        let seen = metrics.world.run(&[
            "-f",
            "daily.yaml",
            "-f",
            "other.yaml",
            "victoria-metrics",
            command,
            INSTANCE,
        ]);
        assert_eq!(seen.code, 2, "{command}: {}", seen.stderr);
        assert!(
            seen.stderr.contains("would replace each other"),
            "{}",
            seen.stderr
        );
    }
}

/// Killed at any of its requests, an expiry leaves each version as it was, or one that is not listed.
#[test]
fn what_an_expiry_leaves_that_was_killed_restores_or_is_not_listed() {
    let Some(metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 1, 50);
    metrics.write_daily();
    let ours = |command| ["-f", "daily.yaml", "victoria-metrics", command, INSTANCE];
    metrics.world.json(&ours("backup"));
    metrics.world.json(&ours("copy"));
    let address = metrics.world.endpoint().trim_start_matches("http://");
    let gate = Turnstile::start(address.parse().unwrap()).unwrap();
    let endpoint = format!("lifeboat.endpoint={}", gate.endpoint());
    let mut killed = 0;
    for request in 1.. {
        let mut whole = false;
        for moment in [Moment::Before, Moment::After] {
            let newest = metrics.world.json(&ours("copy"))["version"].clone();
            let mut command = metrics.world.command(&ours("expire"));
            command.arg("--yes").arg("--set").arg(&endpoint);
            let stop = Some(Stop { request, moment });
            whole = killed::runs_to_its_end(&gate, stop, &mut command);
            killed += usize::from(!whole);
            let listed = metrics.listed();
            assert!(listed.iter().any(|version| newest == version.as_str()));
            for version in &listed {
                let verify = ["victoria-metrics", "verify", INSTANCE, version, "--deep"];
                let seen = metrics.world.run(&verify);
                assert_eq!(
                    seen.code, 0,
                    "killed {moment:?} request {request}: {}{}",
                    seen.stdout, seen.stderr
                );
            }
            // What has vmbackup's mark vmrestore takes.
            for (name, _) in files(&metrics.stored("")) {
                if let Some((folder, "backup_complete.ignore")) = name.rsplit_once('/') {
                    let version = folder.rsplit('/').next().unwrap();
                    assert!(
                        listed.iter().any(|listed| listed == version),
                        "killed {moment:?} request {request}: {version}"
                    );
                }
            }
            super::restore::release_lease(&metrics);
            // Whatever was left half, the next one ends.
            metrics
                .world
                .json(&[&ours("expire")[..], &["--yes"]].concat());
            assert_eq!(metrics.listed().len(), 2);
        }
        if whole {
            break;
        }
    }
    assert!(killed > 12, "{killed}");
}
