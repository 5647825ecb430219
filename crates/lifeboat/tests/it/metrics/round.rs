//! The way an operator goes: back up, list, lose everything, restore, confirm.

use std::fs;

use lifeboat_testkit::servers::victoria_metrics::Release;

use super::{INSTANCE, Metrics, files, import, import_at, samples, snapshots};

fn what_was_backed_up_comes_back(release: Release) {
    let Some(mut metrics) = Metrics::start(release) else {
        return;
    };
    import(metrics.server(), "boat", 3, 2000);
    let backup = metrics.back_up();
    assert_eq!(backup["new_version"], true);
    // The label of the version is a sample too.
    assert_eq!(backup["samples"], 6001);
    let version = backup["version"].as_str().unwrap().to_owned();
    assert_eq!(metrics.listed(), [version.as_str()]);
    assert_eq!(snapshots(metrics.server()), 0, "the snapshot was left");

    metrics.halt();
    metrics.wipe();
    let restored = metrics.restore(&version);
    assert_eq!(restored["samples"], 6001);
    assert!(metrics.boot(release));
    assert_eq!(samples(metrics.server(), "boat"), 6000);
    let confirmed = metrics
        .world
        .json(&["victoria-metrics", "confirm", INSTANCE]);
    assert_eq!(confirmed["samples"], 6001);
    assert!(!metrics.data().join(".lifeboat-restore").exists());

    // The label came back, so the version is continued, and only what is new is sent.
    let next = metrics.back_up();
    assert_eq!(next["version"], version.as_str());
    assert_eq!(next["new_version"], false);
    assert_eq!(metrics.listed(), [version.as_str()]);
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
}

#[test]
fn what_was_backed_up_comes_back_to_1_79() {
    what_was_backed_up_comes_back(Release::V1_79);
}

#[test]
fn what_was_backed_up_comes_back_to_1_112() {
    what_was_backed_up_comes_back(Release::V1_112);
}

#[test]
fn what_was_backed_up_comes_back_to_1_145() {
    what_was_backed_up_comes_back(Release::V1_145);
}

#[test]
fn an_emptied_server_begins_a_version_and_the_one_before_stays() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "old", 1, 500);
    let first = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(Release::V1_112));
    import(metrics.server(), "new", 1, 300);
    let second = metrics.back_up()["version"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(metrics.listed(), [first.as_str(), second.as_str()]);

    metrics.halt();
    metrics.restore(&first);
    assert!(metrics.boot(Release::V1_112));
    assert_eq!(samples(metrics.server(), "old"), 500);
    assert_eq!(samples(metrics.server(), "new"), 0);
    metrics.halt();
    metrics
        .world
        .ok(&["victoria-metrics", "undo", INSTANCE, "--yes"]);
    assert!(metrics.boot(Release::V1_112));
    assert_eq!(samples(metrics.server(), "old"), 0);
    assert_eq!(samples(metrics.server(), "new"), 300);
}

/// The volume goes back in time with its label: its backup has what it lacks.
#[test]
fn a_version_that_has_what_the_server_lacks_is_not_continued() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "old", 1, 500);
    let first = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let aside = metrics.world.path("aside");
    copy(&metrics.data(), &aside);
    assert!(metrics.boot(Release::V1_112));
    // Of tomorrow: later than any label.
    import_at(metrics.server(), "late", now() + 86_400, 10);
    assert_eq!(metrics.back_up()["version"], first.as_str());
    metrics.halt();
    metrics.wipe();
    copy(&aside, &metrics.data());
    assert!(metrics.boot(Release::V1_112));
    let next = metrics.back_up();
    assert_ne!(next["version"], first.as_str());
    assert_eq!(next["new_version"], true);
    assert_eq!(snapshots(metrics.server()), 0, "a snapshot was left");
    // From now on it is the new one that is continued.
    assert_eq!(metrics.back_up()["version"], next["version"]);
    metrics.halt();
    metrics.restore(&first);
    assert!(metrics.boot(Release::V1_112));
    assert_eq!(samples(metrics.server(), "late"), 10);
}

/// Backs up twice, does more, puts the volume back to what it was in between, and has the server run on. Returns the version that both backups went to.
fn back_up_and_put_back(metrics: &mut Metrics, more: impl FnOnce(&Metrics, &str)) -> String {
    import(metrics.server(), "old", 1, 500);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let aside = metrics.world.path("aside");
    copy(&metrics.data(), &aside);
    // Not put back, it is continued after a stop.
    assert!(metrics.boot(Release::V1_112));
    import(metrics.server(), "lost", 1, 40);
    assert_eq!(metrics.back_up()["version"], version.as_str());
    more(metrics, &version);
    metrics.halt();
    metrics.wipe();
    copy(&aside, &metrics.data());
    assert!(metrics.boot(Release::V1_112));
    import_at(metrics.server(), "late", now() - 60, 10);
    version
}

/// The volume goes back in time with its label and the server runs on, so that its last sample is the latest of all.
#[test]
fn a_server_that_ran_on_after_its_volume_was_put_back_does_not_replace_what_only_the_backup_has() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    let first = back_up_and_put_back(&mut metrics, |_, _| ());
    let seen = metrics
        .world
        .run(&["victoria-metrics", "backup", INSTANCE, "--dry-run"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(
        seen.stdout.contains("put back to an earlier state"),
        "{}",
        seen.stdout
    );
    let seen = metrics
        .world
        .run(&["-o", "json", "victoria-metrics", "backup", INSTANCE]);
    assert!(
        seen.stderr.contains("put back to an earlier state"),
        "{}",
        seen.stderr
    );
    let next: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
    assert_ne!(next["version"], first.as_str());
    assert_eq!(next["new_version"], true);
    assert_eq!(snapshots(metrics.server()), 0, "a snapshot was left");
    // From now on it is the new one that is continued.
    let again = metrics.back_up();
    assert_eq!(again["version"], next["version"]);
    assert_eq!(again["new_version"], false);
    metrics.halt();
    metrics.restore(&first);
    assert!(metrics.boot(Release::V1_112));
    let count = |name| samples(metrics.server(), name);
    assert_eq!(["old", "lost", "late"].map(count), [500, 40, 0]);
    // The restored version has its own label, and is continued.
    assert_eq!(metrics.back_up()["version"], first.as_str());
}

/// The settings for dated copies were there for a while: what their version is called says nothing of its age.
#[test]
fn latest_is_what_was_completed_last_whatever_it_is_called() {
    let Some(metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    metrics.write_daily();
    import(metrics.server(), "old", 1, 50);
    let daily = |command| {
        let command = ["-f", "daily.yaml", "victoria-metrics", command, INSTANCE];
        metrics.world.json(&command)["version"].clone()
    };
    let latest = || {
        let verify = ["victoria-metrics", "verify", INSTANCE, "latest"];
        metrics.world.json(&verify)["version"].clone()
    };
    let called_so = daily("backup");
    assert_eq!(called_so, "victoria-metrics-0-latest");
    // A copy comes after what it was made of, and holds nothing newer.
    assert_ne!(daily("copy"), called_so);
    assert_eq!(latest(), called_so);
    let by_label = metrics.back_up()["version"].clone();
    assert_ne!(by_label, called_so);
    assert_eq!(latest(), by_label);
    assert_eq!(daily("backup"), called_so);
    assert_eq!(latest(), called_so);
    let stored = metrics.stored(called_so.as_str().unwrap());
    for name in ["backup_complete.ignore", "lifeboat_manifest.ignore"] {
        fs::remove_file(stored.join(name)).unwrap();
    }
    assert_eq!(latest(), by_label);
}

/// What vmbackup writes has no such time; the manifest that it was written over has.
#[test]
fn a_vmbackup_over_the_last_backup_does_not_hide_that_the_volume_was_put_back() {
    let Some(mut metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    let first = back_up_and_put_back(&mut metrics, |metrics, version| {
        metrics.vmbackup(Release::V1_112, version);
    });
    assert_ne!(metrics.back_up()["version"], first.as_str());
    metrics.halt();
    metrics.restore(&first);
    assert!(metrics.boot(Release::V1_112));
    assert_eq!(samples(metrics.server(), "lost"), 40);
}

fn now() -> u64 {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    now.as_secs()
}

pub(super) fn copy(from: &std::path::Path, to: &std::path::Path) {
    for (name, content) in files(from) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

#[test]
fn script_output_is_that_of_the_platforms_script() {
    let Some(metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    import(metrics.server(), "boat", 1, 10);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let printed = metrics
        .world
        .ok(&["-o", "script", "victoria-metrics", "list"]);
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(
        lines[0],
        "=== Fetching timestamps of last completed incremental backups"
    );
    let line = lines[1]
        .strip_prefix(&format!("{INSTANCE} {version} \""))
        .unwrap();
    let date = line.strip_suffix('"').unwrap();
    let read = jiff::fmt::rfc2822::parse(date);
    assert!(
        read.is_ok() && date.ends_with(" GMT") && date.len() == 29,
        "{date}"
    );
    assert_eq!(&lines[2..], ["", "==="]);
}
