//! Commands killed at each of their requests to the cluster, before and after it has heard them: the same command, run again, ends well.

use std::process::Command;
use std::time::{Duration, Instant};

use lifeboat_testkit::turnstile::{Moment, Stop, Turnstile};

use super::Telemetry;
use crate::killed;

pub(super) fn through(telemetry: &Telemetry, gate: &Turnstile, arguments: &[&str]) -> Command {
    let url = format!("lifeboat.elasticsearch.url={}", gate.endpoint());
    let arguments = [&["--set", &url, "elasticsearch"], arguments].concat();
    telemetry.world.command(&arguments)
}

/// Kills the command at every request, until it has fewer than that, and calls `after` each time. Returns how often it was killed.
pub(super) fn at_every_request(
    telemetry: &Telemetry,
    gate: &Turnstile,
    arguments: &[&str],
    mut after: impl FnMut(Stop),
) -> u32 {
    let mut killed = 0;
    for request in 1.. {
        let mut whole = false;
        for moment in [Moment::Before, Moment::After] {
            let stop = Stop { request, moment };
            let mut command = through(telemetry, gate, arguments);
            whole = killed::runs_to_its_end(gate, Some(stop), &mut command);
            killed += u32::from(!whole);
            after(stop);
        }
        if whole {
            break;
        }
    }
    killed
}

/// A snapshot that is being taken is finished by the cluster.
fn wait_until_idle(telemetry: &Telemetry) {
    let begun = Instant::now();
    loop {
        let running = telemetry.ok("GET", "/_snapshot/_status", "");
        if running["snapshots"].as_array().unwrap().is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{running}");
    }
}

#[test]
fn backups_expiries_and_restores_that_were_killed_end_well_when_they_are_run_again() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    telemetry.run_json(&["configure"]);
    telemetry.index("sts_events", 200);
    telemetry.index("sts_more", 50);
    let before = ["sts_events", "sts_more"].map(|name| telemetry.documents(name));
    let address = telemetry.cluster.address();
    let gate = Turnstile::start(address).unwrap();

    let killed = at_every_request(&telemetry, &gate, &["backup"], |stop| {
        wait_until_idle(&telemetry);
        let listed = telemetry.run_json(&["list"]);
        for snapshot in listed["snapshots"].as_array().unwrap() {
            assert_eq!(snapshot["state"], "SUCCESS", "{stop:?}: {listed}");
        }
    });
    assert!(killed > 8, "{killed}");
    let listed = telemetry.run_json(&["list"]);
    let count = listed["snapshots"].as_array().unwrap().len();
    assert!(count > 1, "some were finished by the cluster alone");

    let name = telemetry.back_up();
    let restore = ["restore", &name, "--delete-existing", "--yes"];
    let killed = at_every_request(&telemetry, &gate, &restore, |stop| {
        // Whatever is left, the same command ends it.
        telemetry.run_json(&restore);
        let found = ["sts_events", "sts_more"].map(|name| telemetry.documents(name));
        assert_eq!(found, before, "{stop:?}");
    });
    assert!(killed > 12, "{killed}");

    let expire = [
        "expire",
        "--yes",
        "--set",
        "backup.elasticsearch.scheduled.snapshotRetentionMinCount=2",
        "--set",
        "backup.elasticsearch.scheduled.snapshotRetentionMaxCount=2",
    ];
    let mut killed = 0;
    for request in 1..12 {
        for moment in [Moment::Before, Moment::After] {
            let mut command = through(&telemetry, &gate, &expire);
            let stop = Some(Stop { request, moment });
            killed += u32::from(!killed::runs_to_its_end(&gate, stop, &mut command));
            let listed = telemetry.run_json(&["list"]);
            let left = listed["snapshots"].as_array().unwrap();
            assert!(left.len() >= 2, "{request} {moment:?}: {listed}");
            let last = left.last().unwrap();
            assert_eq!(last["name"], name.as_str(), "{request} {moment:?}");
        }
    }
    assert!(killed > 3, "{killed}");
    let left = telemetry.run_json(&["list"]);
    assert_eq!(left["snapshots"].as_array().unwrap().len(), 2, "{left}");
}
