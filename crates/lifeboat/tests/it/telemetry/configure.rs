//! A configuration that is cut off, by a kill or by the network: the repository is the old one or the new one, what is told of it is true, and the same command goes on.

use std::fs;

use lifeboat_testkit::turnstile::{Disturbance, Fault, Turnstile};
use serde_json::Value;

use super::kill::{at_every_request, through};
use super::{REPOSITORY, Telemetry};

const SPEED: &str = "max_restore_bytes_per_sec";

/// How fast the repository that is registered may be, where there is one.
fn speed(telemetry: &Telemetry) -> Option<String> {
    let found = telemetry.ask("GET", "/_snapshot", "");
    let found: Value = serde_json::from_str(&found.body).unwrap();
    let repository = found.get(REPOSITORY)?;
    let speed = repository["settings"][SPEED].as_str();
    Some(speed.unwrap_or_default().to_owned())
}

/// Configures while all requests from each one on get lost, and again when they do not.
fn lost_from_each_request_on(telemetry: &Telemetry, gate: &Turnstile, fault: Fault) -> [u32; 2] {
    let set = |speed: &str| format!("lifeboat.elasticsearch.repositorySettings={SPEED}={speed}");
    let (old, new) = (set("41mb"), set("42mb"));
    let mut seen = [0, 0];
    for from in 1.. {
        let before = speed(telemetry);
        gate.reset(None);
        let every = 1;
        gate.disturb(Some(Disturbance {
            fault,
            of: "",
            from,
            every,
        }));
        let mut command = through(telemetry, gate, &["configure", "--set", &new]);
        let ended = command.output().unwrap();
        gate.disturb(None);
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        let after = speed(telemetry);
        if ended.status.success() {
            assert_eq!(after.as_deref(), Some("42mb"), "{from}: {told}");
            break;
        }
        assert_eq!(ended.status.code(), Some(5), "{from}: {told}");
        if told.contains("could not be put back") {
            seen[0] += 1;
        } else if told.contains("cannot be listed") {
            seen[1] += 1;
            assert_eq!(after.as_deref(), Some("42mb"), "{from}: {told}");
        } else {
            assert_eq!(after, before, "{from}: {told}");
        }
        let is_either = after == before || after.as_deref() == Some("42mb");
        assert!(is_either, "{from}: {after:?}: {told}");
        // The same command goes on, and what was there before is there for the next one.
        telemetry.run_json(&["configure", "--set", &new]);
        assert_eq!(speed(telemetry).as_deref(), Some("42mb"));
        telemetry.run_json(&["configure", "--set", &old]);
    }
    seen
}

#[test]
fn a_configuration_whose_answers_get_lost_says_what_is_registered() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    telemetry.run_json(&["configure"]);
    telemetry.index("sts_events", 20);
    telemetry.back_up();
    let gate = Turnstile::start(telemetry.cluster.address()).unwrap();
    for fault in [Fault::Cut, Fault::Status(503)] {
        let [not_put_back, not_listed] = lost_from_each_request_on(&telemetry, &gate, fault);
        // At the change and at its proof; a proxy may answer 503 to what it never passed on.
        assert!(not_put_back > 0, "{fault:?}");
        assert!(not_listed > 0, "{fault:?}");
    }
}

#[test]
fn a_repository_that_is_begun_anew_is_there_whenever_that_was_killed_and_done_again() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    telemetry.run_json(&["configure"]);
    telemetry.index("sts_events", 20);
    let bucket = telemetry.world.volume().join("sts-elasticsearch-backup");
    let lose = || {
        // Of a repository that was not written to since it was registered, the cluster remembers nothing.
        telemetry.back_up();
        fs::remove_dir_all(&bucket).unwrap();
        fs::create_dir(&bucket).unwrap();
        assert_eq!(telemetry.world.run(&["elasticsearch", "list"]).code, 6);
    };
    lose();
    let gate = Turnstile::start(telemetry.cluster.address()).unwrap();
    let anew = ["configure", "--accept-loss"];
    let mut forgotten = 0;
    let killed = at_every_request(&telemetry, &gate, &anew, |stop| {
        let left = speed(&telemetry);
        forgotten += u32::from(left.is_none());
        let begun = telemetry.run_json(&anew);
        assert_eq!(begun["snapshots"], 0, "{stop:?}: {begun}");
        telemetry.back_up();
        let listed = telemetry.run_json(&["list"]);
        let there = listed["snapshots"].as_array().unwrap().len();
        assert_eq!(there, 1, "{stop:?}: {listed}");
        lose();
    });
    assert!(killed > 8, "{killed}");
    assert!(forgotten > 0, "killed between its end and its beginning");
}
