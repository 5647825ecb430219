//! Snapshots by our own schedule.

use std::time::{Duration, Instant};

use lifeboat_testkit::process::Process;

use super::Telemetry;
use crate::world::World;

const EVERY_THREE_SECONDS: &str = "backup.elasticsearch.scheduled.schedule=*/3 * * * * ?";

#[test]
fn snapshots_are_taken_and_expire_in_their_time_until_a_signal_comes() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    telemetry.run_json(&["configure"]);
    telemetry.index("sts_events", 50);
    let arguments = [
        "--set",
        EVERY_THREE_SECONDS,
        "--set",
        "backup.elasticsearch.scheduled.snapshotRetentionMinCount=1",
        "--set",
        "backup.elasticsearch.scheduled.snapshotRetentionMaxCount=2",
        "--set",
        // A name of its own for each.
        "backup.elasticsearch.scheduled.snapshotNameTemplate=<sts-backup-{now{yyyyMMdd-HHmmss}}>",
        "elasticsearch",
        "serve",
    ];
    let process = Process::start(&mut telemetry.world.command(&arguments)).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let begun = Instant::now();
    // More than are kept.
    while seen.len() < 4 {
        assert!(begun.elapsed() < Duration::from_mins(3), "{seen:?}");
        let listed = telemetry.run_json(&["list"]);
        for snapshot in listed["snapshots"].as_array().unwrap() {
            if snapshot["state"] == "SUCCESS" {
                seen.insert(snapshot["name"].as_str().unwrap().to_owned());
            }
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "it looks at the clock, and so does this"
        )]
        std::thread::sleep(Duration::from_millis(200));
    }
    let ended = process.stop().unwrap();
    // Between two snapshots it ends well, within one it gives that up.
    assert!(matches!(ended.status.code(), Some(0 | 130)), "{ended}");
    let listed = telemetry.run_json(&["list"]);
    let left = listed["snapshots"].as_array().unwrap();
    assert!((1..=3).contains(&left.len()), "{left:?}");
    assert!(
        left.iter().all(|snapshot| snapshot["state"] == "SUCCESS"),
        "{left:?}"
    );
}

#[test]
fn what_is_scheduled_is_shown_by_the_clock_of_the_settings() {
    let world = World::without_gateway();
    let arguments = [
        "--set",
        "lifeboat.timeZone=Europe/Amsterdam",
        "--set",
        "backup.elasticsearch.scheduled.schedule=0 15 4 * * ?",
        "elasticsearch",
        "serve",
    ];
    let shown = world.ok(&[&arguments[..], &["--dry-run"]].concat());
    assert_eq!(shown.lines().count(), 5, "{shown}");
    for line in shown.lines() {
        assert!(line.contains("T04:15:00+0"), "{line}");
        assert!(line.ends_with("[Europe/Amsterdam]"), "{line}");
    }
    for (setting, said) in [
        (
            "backup.elasticsearch.scheduled.enabled=false",
            "nothing is scheduled",
        ),
        (
            "backup.elasticsearch.scheduled.mode=native",
            "taken by the engine itself",
        ),
        (
            "backup.elasticsearch.scheduled.schedule=0 0 0 1 1 ? 2020",
            "the schedule has no further time",
        ),
    ] {
        let refused = world.run(&[&["--set", setting], &arguments[4..]].concat());
        assert_eq!(refused.code, 4, "{}", refused.stderr);
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
}
