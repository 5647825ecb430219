//! A server that takes no samples for want of room, and still makes snapshots.

use lifeboat_testkit::servers::victoria_metrics::{Release, Unusual};

use super::{INSTANCE, Metrics, import, samples, snapshots};

/// More than any volume has.
const NO_ROOM: Unusual<'_> = Unusual {
    address: None,
    arguments: &["-storage.minFreeDiskSpaceBytes=1000000000000000"],
    ready: None,
};

fn is_backed_up_by_the_label_that_it_has(release: Release) {
    let Some(mut metrics) = Metrics::start(release) else {
        return;
    };
    let backup = ["-o", "json", "victoria-metrics", "backup", INSTANCE];
    import(metrics.server(), "boat", 1, 100);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    import(metrics.server(), "late", 1, 30);
    metrics.halt();
    assert!(metrics.boot_unusual(release, NO_ROOM));
    for dry_run in [true, false] {
        let more: &[&str] = if dry_run { &["--dry-run"] } else { &[] };
        let seen = metrics.world.run(&[&backup[..], more].concat());
        assert_eq!(seen.code, 0, "{}", seen.stderr);
        let done: serde_json::Value = serde_json::from_str(&seen.stdout).unwrap();
        assert_eq!(done["version"], version.as_str());
        let is_told = seen.stderr.contains("`-storage.minFreeDiskSpaceBytes`");
        assert_eq!(is_told, !dry_run, "{}", seen.stderr);
    }
    assert_eq!(snapshots(metrics.server()), 0);
    // It has room again, and nothing was put back.
    metrics.halt();
    assert!(metrics.boot(release));
    assert_eq!(metrics.back_up()["version"], version.as_str());
    metrics.halt();
    metrics.wipe();
    metrics.restore(&version);
    assert!(metrics.boot(release));
    let counts = ["boat", "late"].map(|metric| samples(metrics.server(), metric));
    assert_eq!(counts, [100, 30]);
}

#[test]
fn is_backed_up_by_the_label_that_it_has_at_1_79() {
    is_backed_up_by_the_label_that_it_has(Release::V1_79);
}

#[test]
fn is_backed_up_by_the_label_that_it_has_at_1_145() {
    is_backed_up_by_the_label_that_it_has(Release::V1_145);
}

/// What would be backed up by no label could not be told from what comes after it.
#[test]
fn without_a_label_it_is_told_why_it_is_not_backed_up() {
    let Some(mut metrics) = Metrics::start(Release::V1_145) else {
        return;
    };
    import(metrics.server(), "boat", 1, 100);
    metrics.halt();
    assert!(metrics.boot_unusual(Release::V1_145, NO_ROOM));
    for more in [&["--dry-run"][..], &[]] {
        let backup = ["victoria-metrics", "backup", INSTANCE];
        let seen = metrics.world.seen(&[&backup, more].concat());
        let seen = seen.replace(metrics.server().endpoint(), "[SERVER]");
        insta::allow_duplicates! {
            insta::assert_snapshot!(seen, @"
            exit code 5
            --- stdout
            --- stderr
            error: the server of `victoria-metrics-0` at [SERVER] takes no samples now, and so cannot keep the label of its backups
            hint: nothing was changed; its volume has no more room than `-storage.minFreeDiskSpaceBytes`: with room it can be backed up
            ");
        }
    }
    assert_eq!(metrics.listed(), Vec::<String>::new());
    assert_eq!(snapshots(metrics.server()), 0);
}
