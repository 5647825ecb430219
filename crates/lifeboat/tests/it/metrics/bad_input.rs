//! What a person sees who asks for what cannot be: a clear error, and nothing is changed.

use std::fs;

use lifeboat_testkit::servers::victoria_metrics::Release;

use super::{BUCKET, INSTANCE, Metrics, files, import, samples, snapshots};
use crate::world::World;

fn started() -> Option<Metrics> {
    let metrics = Metrics::start(Release::V1_112)?;
    import(metrics.server(), "boat", 1, 100);
    Some(metrics)
}

/// What is seen, without what differs from run to run.
fn seen(metrics: &Metrics, arguments: &[&str]) -> String {
    let mut text = metrics.world.seen(arguments);
    if let Some(server) = &metrics.server {
        text = text.replace(server.endpoint(), "[SERVER]");
    }
    text
}

#[test]
fn an_unknown_instance_and_an_unknown_version_are_told_with_those_there_are() {
    let Some(mut metrics) = started() else { return };
    insta::assert_snapshot!(seen(&metrics, &["victoria-metrics", "backup", "victoria-metrics-2"]), @"
    exit code 3
    --- stdout
    --- stderr
    error: no instance `victoria-metrics-2` of VictoriaMetrics
    hint: the instances are `victoria-metrics-0` and `victoria-metrics-1`
    ");
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let wrong = format!("{}9", &version[..version.len() - 1]);
    let wrong = if wrong == version {
        format!("{}8", &version[..version.len() - 1])
    } else {
        wrong
    };
    let text = seen(
        &metrics,
        &["victoria-metrics", "restore", INSTANCE, &wrong, "--yes"],
    );
    let text = text
        .replace(&version, "[VERSION]")
        .replace(&wrong, "[WRONG]");
    insta::assert_snapshot!(text, @"
    exit code 3
    --- stdout
    --- stderr
    error: no backup `[WRONG]` of `victoria-metrics-0` in bucket `sts-victoria-metrics-backup`
    hint: the nearest names are `[VERSION]`
    ");
}

#[test]
fn what_is_not_enabled_is_refused_with_the_key() {
    let Some(metrics) = started() else { return };
    let off = |what: &str| format!("victoria-metrics-0: {{{what}: {{enabled: false}}}}\n");
    fs::write(metrics.world.path("off.yaml"), off("restore")).unwrap();
    insta::assert_snapshot!(seen(&metrics, &["-f", "off.yaml", "victoria-metrics", "restore", INSTANCE, "latest"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: restoring victoria-metrics-0 is disabled: set `victoria-metrics-0.restore.enabled` to true
    ");
    fs::write(metrics.world.path("off.yaml"), off("backup")).unwrap();
    insta::assert_snapshot!(seen(&metrics, &["-f", "off.yaml", "victoria-metrics", "backup", INSTANCE]), @"
    exit code 2
    --- stdout
    --- stderr
    error: backing up victoria-metrics-0 is disabled: set `victoria-metrics-0.backup.enabled` to true
    ");
}

#[test]
fn two_instances_with_one_prefix_are_refused() {
    let world = World::without_gateway();
    let more = "victoria-metrics-1: {backup: {enabled: true, s3Prefix: victoria-metrics-0}}\n";
    world.write_values(&format!("{}{more}", world.values()));
    insta::assert_snapshot!(world.seen(&["settings", "check"]), @"
    exit code 2
    --- stdout
    error: `victoria-metrics-1.backup.s3Prefix` is `victoria-metrics-0`, as that of `victoria-metrics-0` in the same bucket: their backups would replace each other
    --- stderr
    ");
    insta::assert_snapshot!(world.seen(&["victoria-metrics", "backup", INSTANCE]), @"
    exit code 2
    --- stdout
    --- stderr
    error: `victoria-metrics-1.backup.s3Prefix` is `victoria-metrics-0`, as that of `victoria-metrics-0` in the same bucket: their backups would replace each other
    ");
}

#[test]
fn a_server_that_is_down_or_wants_another_key_is_told_and_keeps_no_snapshot() {
    let Some(mut metrics) = started() else { return };
    insta::assert_snapshot!(seen(&metrics, &["--set", "lifeboat.victoria-metrics-0.url=http://127.0.0.1:9", "victoria-metrics", "backup", INSTANCE]), @"
    exit code 5
    --- stdout
    --- stderr
    error: no answer from the server of `victoria-metrics-0` at http://127.0.0.1:9
      caused by: error sending request
      caused by: client error (Connect)
      caused by: tcp connect error
      caused by: Connection refused (os error 111)
    hint: is the server running? `lifeboat.victoria-metrics-0.url` says where it is
    ");
    assert_eq!(metrics.listed(), Vec::<String>::new());
    assert_eq!(snapshots(metrics.server()), 0);
    metrics.halt();
}

#[test]
fn a_running_server_is_not_restored_under() {
    let Some(metrics) = started() else { return };
    metrics.back_up();
    let text = seen(
        &metrics,
        &["victoria-metrics", "restore", INSTANCE, "latest", "--yes"],
    );
    insta::assert_snapshot!(text, @"
    exit code 4
    --- stdout
    --- stderr
    error: the data in `[FOLDER]/metrics/data` is in use by a server
    hint: nothing was changed; stop the server first (`restore --final-backup` backs it up once more, and waits for its stop)
    ");
    assert_eq!(samples(metrics.server(), "boat"), 100);
    // A dry run finds it, and where there is nothing to undo nobody has to stop it.
    let plan = metrics.world.json(&[
        "victoria-metrics",
        "restore",
        INSTANCE,
        "latest",
        "--dry-run",
    ]);
    assert_eq!(plan["in_use"], true);
    assert_eq!(plan["target"], metrics.data().to_str().unwrap());
    let text = seen(&metrics, &["victoria-metrics", "undo", INSTANCE, "--yes"]);
    insta::assert_snapshot!(text, @"
    exit code 3
    --- stdout
    --- stderr
    error: nothing was restored into `[FOLDER]/metrics/data` that could be undone
    ");
}

#[test]
fn a_prefix_that_holds_something_else_is_left_alone() {
    let Some(metrics) = started() else { return };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let strange = metrics
        .world
        .volume()
        .join(BUCKET)
        .join(&version)
        .join("holiday.jpg");
    fs::write(&strange, b"beach").unwrap();
    let text = seen(&metrics, &["victoria-metrics", "backup", INSTANCE]);
    insta::assert_snapshot!(text.replace(&version, "[VERSION]"), @"
    exit code 4
    --- stdout
    --- stderr
    error: `[VERSION]` holds something else than a backup of metrics: `holiday.jpg`
    hint: nothing was changed; give the metrics a bucket or a prefix of their own
    ");
    assert!(strange.exists());
    assert_eq!(snapshots(metrics.server()), 0);
}

#[test]
fn a_data_folder_that_is_mounted_in_part_is_an_error_and_no_backup() {
    let Some(mut metrics) = started() else { return };
    metrics.halt();
    // The snapshots without the data that they link to: the server finds them through a link, and their own links lead from where they lie to nowhere.
    let part = metrics.world.path("part");
    fs::create_dir(&part).unwrap();
    let apart = part.join("snapshots");
    fs::rename(metrics.data().join("snapshots"), &apart).unwrap();
    std::os::unix::fs::symlink(&apart, metrics.data().join("snapshots")).unwrap();
    assert!(metrics.boot(Release::V1_112));
    let nothing = metrics.world.path("nothing");
    fs::create_dir(&nothing).unwrap();
    for (folder, missing) in [(&part, "/data/"), (&nothing, "/snapshots/")] {
        let path = format!("lifeboat.victoria-metrics-0.path={}", folder.display());
        let seen = metrics
            .world
            .run(&["--set", &path, "victoria-metrics", "backup", INSTANCE]);
        assert_eq!(seen.code, 6, "{}", seen.stderr);
        for expected in [
            "the snapshot cannot be read",
            missing,
            "No such file or directory",
            "the whole data folder",
        ] {
            assert!(seen.stderr.contains(expected), "{}", seen.stderr);
        }
        assert_eq!(metrics.listed(), Vec::<String>::new());
        assert_eq!(snapshots(metrics.server()), 0);
    }
}

#[test]
fn wrong_keys_of_the_store_are_told_and_the_server_is_not_asked_for_anything() {
    let Some(metrics) = started() else { return };
    for command in ["backup", "list", "verify"] {
        let mut arguments = vec![
            "--set",
            "minio.secretKey=wrong-secret",
            "victoria-metrics",
            command,
        ];
        if command != "list" {
            arguments.push(INSTANCE);
        }
        if command == "verify" {
            arguments.push("latest");
        }
        let seen = metrics.world.run(&arguments);
        assert_eq!(seen.code, 2, "{command}: {}", seen.stderr);
        assert!(
            seen.stderr.contains("refused the key pair"),
            "{}",
            seen.stderr
        );
        assert!(seen.stderr.contains("`minio.accessKey`"), "{}", seen.stderr);
        assert!(!seen.stderr.contains("wrong-secret"), "{}", seen.stderr);
    }
    assert_eq!(samples(metrics.server(), "_sts_generation"), 0);
    assert_eq!(snapshots(metrics.server()), 0);
    assert_eq!(metrics.listed(), Vec::<String>::new());
}

#[test]
fn a_bucket_that_is_not_there_is_told_with_the_key_of_the_metrics() {
    let Some(metrics) = started() else { return };
    let bucket = "victoria-metrics-0.backup.bucketName=nowhere-to-be-found";
    let seen = metrics
        .world
        .run(&["--set", bucket, "victoria-metrics", "list", INSTANCE]);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    assert!(
        seen.stderr
            .contains("`backup.bucketName` below the instance"),
        "{}",
        seen.stderr
    );
    assert!(!seen.stderr.contains("stackGraph"), "{}", seen.stderr);
}

#[test]
fn a_server_that_refuses_the_snapshot_is_told_and_nothing_is_stored() {
    let Some(metrics) = started() else { return };
    // Where its snapshots would lie there is a file.
    let folder = metrics.data().join("snapshots");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, b"in the way").unwrap();
    let seen = metrics.world.run(&["victoria-metrics", "backup", INSTANCE]);
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(seen.stderr.contains("refused to"), "{}", seen.stderr);
    assert!(
        seen.stderr.contains("the log of the server says more"),
        "{}",
        seen.stderr
    );
    assert_eq!(metrics.listed(), Vec::<String>::new());
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    // Nothing keeps the next run.
    metrics.back_up();
    assert_eq!(snapshots(metrics.server()), 0);
}

/// As the first backup of a version looks to others until it is complete.
#[test]
fn a_version_that_is_being_written_is_refused_with_who_writes_it_and_since_when() {
    let Some(mut metrics) = started() else { return };
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    let stored = metrics.stored(&version);
    for name in ["backup_complete.ignore", "lifeboat_manifest.ignore"] {
        fs::remove_file(stored.join(name)).unwrap();
    }
    let lease = metrics.stored("victoria-metrics-0-lifeboat_lease.ignore");
    let card = |version: &str| {
        format!(
            r#"{{"owner":"`lifeboat victoria-metrics backup` on another, process 7","run":"00","version":"{version}","since":"2023-11-28T16:00:00Z","until":"2199-11-28T16:02:00Z"}}"#
        )
    };
    fs::write(&lease, card(&version)).unwrap();
    let before = files(&metrics.data());
    for command in ["restore", "verify"] {
        let mut arguments = vec!["victoria-metrics", command, INSTANCE, &version];
        if command == "restore" {
            arguments.push("--yes");
        }
        let text = seen(&metrics, &arguments).replace(&version, "[VERSION]");
        insta::allow_duplicates! {
            insta::assert_snapshot!(text, @"
            exit code 6
            --- stdout
            --- stderr
            error: `[VERSION]` is not complete: `lifeboat victoria-metrics backup` on another, process 7 began to write it at 2023-11-28T16:00:00Z, with a lease until 2199-11-28T16:02:00Z (it has no completion mark)
            hint: `lifeboat victoria-metrics list` shows those that are complete
            ");
        }
    }
    assert_eq!(files(&metrics.data()), before);
    let shown = metrics.world.ok(&["victoria-metrics", "list", "--all"]);
    assert!(shown.contains("process 7 began to write it"), "{shown}");
    // The lines of the platform's script are of complete ones.
    let script = metrics
        .world
        .ok(&["-o", "script", "victoria-metrics", "list", "--all"]);
    assert!(
        !script.contains(&version) && !script.contains("1970"),
        "{script}"
    );
    // A lease for another version says nothing of this one.
    fs::write(&lease, card("victoria-metrics-0-20200101000000")).unwrap();
    let shown = metrics.world.ok(&["victoria-metrics", "list", "--all"]);
    assert!(!shown.contains("process 7"), "{shown}");
    assert!(shown.contains("it has no completion mark"), "{shown}");
}
