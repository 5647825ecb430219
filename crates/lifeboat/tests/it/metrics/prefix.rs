//! Where versions lie in their bucket, and what else may lie there.

use std::fs;

use lifeboat_testkit::servers::victoria_metrics::Release;

use super::{BUCKET, INSTANCE, Metrics, import, samples};
use crate::world::World;

const RELEASE: Release = Release::V1_112;

/// All that is asked of a version is asked of one in this folder of its bucket.
fn is_listed_continued_copied_expired_and_restored(folder: &str) {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    let daily = "scheduled: {daily: '55 0 * * *'}, keepLastDaily: 1, keepLastWeekly: 0";
    for (name, more) in [("folder.yaml", ""), ("daily.yaml", daily)] {
        let values = format!(
            "victoria-metrics-0: {{restore: {{enabled: true}}, backup: {{enabled: true, s3Prefix: '{folder}/vm-0', {more}}}}}\n"
        );
        fs::write(metrics.world.path(name), values).unwrap();
    }
    let run = |metrics: &Metrics, file: &str, arguments: &[&str]| {
        metrics
            .world
            .json(&[&["-f", file, "victoria-metrics"], arguments].concat())
    };
    let listed = |metrics: &Metrics| {
        let listed = run(metrics, "folder.yaml", &["list"]);
        let backups = listed["backups"].as_array().unwrap().iter();
        let names = backups.map(|backup| backup["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    import(metrics.server(), "boat", 1, 100);
    // Another prefix in the same folder.
    let other = metrics.stored(&format!("{folder}/vm-00-20200101000000"));
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("backup_complete.ignore"), b"").unwrap();
    // A key with an empty name in it, for which the listing is asked for in another way.
    let odd = metrics.stored(&format!("{folder}/.lifeboat.empty"));
    fs::create_dir_all(&odd).unwrap();
    fs::write(odd.join("x"), b"odd").unwrap();
    let version = run(&metrics, "folder.yaml", &["backup", INSTANCE])["version"]
        .as_str()
        .unwrap()
        .to_owned();
    let label = version
        .strip_prefix(&format!("{folder}/vm-0-"))
        .unwrap()
        .to_owned();
    assert_eq!(listed(&metrics), [version.as_str()]);
    assert_eq!(
        run(&metrics, "folder.yaml", &["backup", INSTANCE])["version"],
        version.as_str()
    );
    for name in [&version, &label, &format!("vm-0-{label}"), "latest"] {
        let verified = run(
            &metrics,
            "folder.yaml",
            &["verify", INSTANCE, name, "--deep"],
        );
        assert_eq!(verified["version"], version.as_str(), "{name}");
    }
    // A server whose data was emptied begins a version that is not there yet.
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(RELEASE));
    import(metrics.server(), "new", 1, 10);
    let second = run(&metrics, "folder.yaml", &["backup", INSTANCE])["version"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(listed(&metrics), [version.as_str(), &second]);
    // Dated copies, of which the newest stays.
    run(&metrics, "daily.yaml", &["backup", INSTANCE]);
    let [older, copy] = [(), ()].map(|()| {
        let copied = run(&metrics, "daily.yaml", &["copy", INSTANCE]);
        copied["version"].as_str().unwrap().to_owned()
    });
    run(&metrics, "daily.yaml", &["expire", INSTANCE, "--yes"]);
    // What has a label of the server is no copy.
    let latest = format!("{folder}/vm-0-latest");
    assert_eq!(
        listed(&metrics),
        [version, second, copy.clone(), latest],
        "without `{older}`"
    );
    metrics.halt();
    metrics.wipe();
    run(
        &metrics,
        "folder.yaml",
        &["restore", INSTANCE, &copy, "--yes"],
    );
    assert!(metrics.boot(RELEASE));
    assert_eq!(samples(metrics.server(), "new"), 10);
}

#[test]
fn a_prefix_with_a_folder_in_it_is_listed_continued_copied_expired_and_restored() {
    is_listed_continued_copied_expired_and_restored("prod");
}

/// The client of S3 has another form of these for names that it makes than for those that it is told.
#[test]
fn a_prefix_of_any_characters_is_listed_continued_copied_expired_and_restored() {
    is_listed_continued_copied_expired_and_restored("~#%[]{}^|*?<>\"\\`/%41 +&=ü");
}

#[test]
fn a_prefix_that_nothing_can_be_written_below_is_refused() {
    let world = World::without_gateway();
    for prefix in ["a//b", "./a", "a/..", "a\u{7}b"] {
        let key = format!("victoria-metrics-0.backup.s3Prefix={prefix}");
        let seen = world.run(&["--set", &key, "settings", "check"]);
        assert_eq!(seen.code, 2, "{prefix:?}: {}", seen.stdout);
        let said = format!("{}{}", seen.stdout, seen.stderr);
        assert!(
            said.contains("`victoria-metrics-0.backup.s3Prefix` must not hold"),
            "{said}"
        );
    }
}

/// Programs with windows put an object without bytes where they show a folder; its key ends in `/`.
#[test]
fn objects_that_mark_a_folder_are_passed_over() {
    let Some(mut metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let empty = format!("{INSTANCE}-20200101000000");
    for folder in [
        empty.clone(),
        version.clone(),
        format!("{version}/data"),
        format!("{version}/data/small"),
        format!("{version}/data/small/2023_11"),
        format!("{version}/indexdb"),
        format!("{version}/other"),
    ] {
        let marker = metrics.stored(&folder).join(".lifeboat.empty");
        fs::create_dir_all(marker.parent().unwrap()).unwrap();
        fs::write(marker, b"").unwrap();
    }
    assert_eq!(metrics.listed(), [version.as_str()]);
    let shown = metrics.world.ok(&["victoria-metrics", "list", "--all"]);
    assert!(!shown.contains(&empty), "there is nothing of it: {shown}");
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    import(metrics.server(), "later", 1, 20);
    assert_eq!(metrics.back_up()["version"], version.as_str());
    metrics.halt();
    metrics.wipe();
    metrics.restore(&version);
    assert!(metrics.boot(RELEASE));
    let counts = ["boat", "later"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [100, 20]);
}

#[test]
fn a_key_with_an_empty_name_in_it_fails_no_listing_and_is_left_alone() {
    let Some(metrics) = Metrics::start(RELEASE) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    for (folder, count) in [
        // Keys `//x0` and `VERSION//x0`; and so many of `VERSION/data/small//x0` that what follows them comes on another page.
        (String::new(), 1),
        (version.clone(), 1),
        (format!("{version}/data/small"), 1100),
    ] {
        let folder = metrics.world.volume().join(BUCKET).join(folder);
        let odd = folder.join(".lifeboat.empty");
        fs::create_dir_all(&odd).unwrap();
        for number in 0..count {
            fs::write(odd.join(format!("x{number}")), b"odd").unwrap();
        }
    }
    assert_eq!(metrics.listed(), [version.as_str()]);
    metrics
        .world
        .ok(&["victoria-metrics", "verify", INSTANCE, &version, "--deep"]);
    let seen = metrics.world.run(&["victoria-metrics", "backup", INSTANCE]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(
        seen.stderr
            .contains("holds something else than a backup of metrics"),
        "{}",
        seen.stderr
    );
}
