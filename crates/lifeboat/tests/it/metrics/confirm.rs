//! When the data from before a restore may go: only once the server that has the folder open has what the backup held.

use std::fs;

use lifeboat_testkit::servers::victoria_metrics::{self, Release};

use super::{INSTANCE, Metrics, import, samples, snapshots};

const CONFIRM: [&str; 3] = ["victoria-metrics", "confirm", INSTANCE];

impl Metrics {
    /// Whether the data from before the restore is there yet.
    fn has_previous(&self) -> bool {
        self.data().join(".lifeboat-restore/previous/data").exists()
    }
}

/// A server of `release` on a restored backup of `old`; what was there before, `new`, lies beside.
fn restored(release: Release) -> Option<(Metrics, String)> {
    let mut metrics = Metrics::start(release)?;
    import(metrics.server(), "old", 2, 400);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    metrics.halt();
    metrics.wipe();
    assert!(metrics.boot(release));
    import(metrics.server(), "new", 1, 300);
    metrics.halt();
    metrics.restore(&version);
    assert!(metrics.boot(release));
    Some((metrics, version))
}

/// Both of a pair were restored from one backup: nothing that they say of their data tells them apart.
fn the_other_of_a_pair_confirms_nothing(release: Release) {
    let Some((metrics, version)) = restored(release) else {
        return;
    };
    let folder = metrics.write_mirror();
    metrics.world.ok(&[
        "-f",
        "mirror.yaml",
        "victoria-metrics",
        "restore",
        "victoria-metrics-1",
        &version,
        "--from",
        INSTANCE,
        "--yes",
    ]);
    let mirror = victoria_metrics::start(&folder, release).unwrap();
    assert_eq!(samples(&mirror, "old"), 800);
    let url = format!("lifeboat.victoria-metrics-0.url={}", mirror.endpoint());
    let text = metrics
        .world
        .seen(&[&["--set", &url][..], &CONFIRM].concat())
        .replace(mirror.endpoint(), "[MIRROR]");
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @"
        exit code 4
        --- stdout
        --- stderr
        error: the server at [MIRROR] has other data open than `[FOLDER]/metrics/data`
        hint: nothing was removed; correct `lifeboat.victoria-metrics-0.url` or `.path`: they have to be those of one and the same server
        ");
    }
    assert!(metrics.has_previous());
    assert_eq!(snapshots(&mirror), 0, "the snapshot was left");
    mirror.stop().unwrap();
    assert_eq!(metrics.world.json(&CONFIRM)["previous_removed"], true);
    assert!(!metrics.has_previous());
    assert_eq!(snapshots(metrics.server()), 0, "the snapshot was left");
    assert!(
        fs::read_dir(metrics.data().join("snapshots"))
            .unwrap()
            .next()
            .is_none()
    );
}

#[test]
fn the_other_of_a_pair_confirms_nothing_at_1_79() {
    the_other_of_a_pair_confirms_nothing(Release::V1_79);
}

#[test]
fn the_other_of_a_pair_confirms_nothing_at_1_112() {
    the_other_of_a_pair_confirms_nothing(Release::V1_112);
}

#[test]
fn the_other_of_a_pair_confirms_nothing_at_1_145() {
    the_other_of_a_pair_confirms_nothing(Release::V1_145);
}
