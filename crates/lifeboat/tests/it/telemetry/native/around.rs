//! What is stopped around a restore, and started again, whatever becomes of it.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use lifeboat_testkit::process::Process;
use lifeboat_testkit::scheduler::Scheduler;
use lifeboat_testkit::turnstile::{Moment, Stop, Turnstile};
use serde_json::{Value, json};

use super::{Native, through};
use crate::killed;
use crate::telemetry::{Telemetry, streams};

/// Where in the changes one is that begins so.
fn position(changes: &[String], beginning: &str) -> usize {
    let found = changes
        .iter()
        .position(|change| change.starts_with(beginning));
    found.unwrap_or_else(|| panic!("no {beginning}: {changes:?}"))
}

/// Restores, looks that the scheduler was stopped before and started after, and does so killed at each request. Returns the snapshot.
pub(super) fn stopped_around_a_restore(
    telemetry: &Telemetry,
    scheduler: &Scheduler,
    stop: &str,
    start: &str,
) -> String {
    let native = through(telemetry, &scheduler.endpoint());
    telemetry.index("sts_events", 200);
    let name = {
        let backup = ["--set", &native.url, "elasticsearch", "backup"];
        let taken = telemetry.world.json(&backup);
        taken["name"].as_str().unwrap().to_owned()
    };
    let restore = ["restore", &name, "--delete-existing", "--yes"];
    let plan = native.json(&["restore", &name, "--delete-existing", "--dry-run"]);
    assert_eq!(plan["stops"].as_array().unwrap().len(), 1, "{plan}");
    scheduler.changes();
    let restored = native.json(&restore);
    assert_eq!(restored["documents"], 200, "{restored}");
    let changes = scheduler.changes();
    let at = |beginning| position(&changes, beginning);
    assert!(at("PUT /_cluster/settings") < at(stop), "{changes:?}");
    assert!(at(stop) < at("DELETE /sts_events"), "{changes:?}");
    assert!(at("POST /_snapshot") < at(start), "{changes:?}");
    assert!(scheduler.is_running("sts-backup"));
    assert_eq!(note(telemetry), Value::Null);

    // A restore that fails starts it as well.
    let seen = native.run(&["restore", &name, "--yes"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(scheduler.is_running("sts-backup"));

    let gate = Turnstile::start(scheduler.address()).unwrap();
    let gated = through(telemetry, &gate.endpoint());
    let mut found_stopped = 0;
    let mut taken_for_living = 0;
    for request in 1.. {
        let mut whole = false;
        for moment in [Moment::Before, Moment::After] {
            let stop = Stop { request, moment };
            let arguments = gated.arguments(&restore);
            let mut command = telemetry.world.command(&arguments);
            whole = killed::runs_to_its_end(&gate, Some(stop), &mut command);
            found_stopped += u32::from(!scheduler.is_running("sts-backup"));
            match request % 3 {
                0 => drop(native.json(&restore)),
                1 => taken_for_living += u32::from(start_by_expiry(&native, scheduler)),
                _ => drop(native.json(&["policy", "start"])),
            }
            assert!(scheduler.is_running("sts-backup"), "{stop:?}");
            assert_eq!(note(telemetry), Value::Null, "{stop:?}");
            say_nobody_lives(telemetry);
        }
        if whole {
            break;
        }
    }
    assert!(found_stopped > 8, "{found_stopped}");
    assert!(taken_for_living > 2, "{taken_for_living}");
    name
}

/// Expiries at each request of a restore that lives leave stopped what it stopped.
pub(super) fn never_started_in_the_middle(
    native: &Native<'_>,
    scheduler: &Scheduler,
    snapshot: &str,
) {
    let telemetry = native.telemetry;
    let gate = Turnstile::start(scheduler.address()).unwrap();
    let restore = ["restore", snapshot, "--delete-existing", "--yes"];
    let gated = through(telemetry, &gate.endpoint());
    let mut found_stopped = 0;
    for request in 1.. {
        let (reached, at_stop) = mpsc::channel();
        let (go_on, waiting) = mpsc::channel::<()>();
        let action = move || {
            reached.send(()).unwrap();
            waiting.recv().unwrap_err();
        };
        let moment = Moment::Before;
        gate.reset(Some((Stop { request, moment }, Box::new(action))));
        let mut command = telemetry.world.command(&gated.arguments(&restore));
        let process = Process::start(&mut command).unwrap();
        let stopped = loop {
            if at_stop.try_recv().is_ok() {
                break true;
            }
            if process.ends_within(Duration::from_millis(5)) {
                break false;
            }
        };
        if stopped && !scheduler.is_running("sts-backup") && !holds(telemetry).is_empty() {
            found_stopped += 1;
            let expired = native.run(&["expire", "--yes"]);
            let told = format!("{request}: {}", expired.stderr);
            assert!(!scheduler.is_running("sts-backup"), "{told}");
            assert!(expired.stderr.contains("stays stopped"), "{told}");
        }
        drop(go_on);
        // What is not said twice, and was not heard, may have ended it.
        let ended = process.finish().unwrap();
        assert!(scheduler.is_running("sts-backup"), "{request}: {ended}");
        assert!(holds(telemetry).is_empty(), "{request}: {ended}");
        if telemetry.ask("GET", "/sts_events", "").status != 200 {
            native.json(&restore);
        }
        if !stopped {
            break;
        }
    }
    assert!(found_stopped > 5, "{found_stopped}");
}

/// What restores say of themselves, by setting.
fn holds(telemetry: &Telemetry) -> BTreeMap<String, Value> {
    let settings = telemetry.ok("GET", "/_cluster/settings?flat_settings=true", "");
    let all = settings["persistent"].as_object().unwrap().iter();
    all.filter(|(name, _)| name.starts_with("cluster.metadata.lifeboat.restores."))
        .map(|(name, text)| {
            let hold = serde_json::from_str(text.as_str().unwrap()).unwrap();
            (name.clone(), hold)
        })
        .collect()
}

/// As if the restores that were killed had been so long ago.
fn say_nobody_lives(telemetry: &Telemetry) {
    for (name, mut hold) in holds(telemetry) {
        hold["renewed"] = json!("2026-01-01T00:00:00Z");
        let body = json!({"persistent": {name: hold.to_string()}});
        telemetry.ok("PUT", "/_cluster/settings", &body.to_string());
    }
}

/// Starts it as soon as nothing is being restored any more. True where the one that was killed was taken for one that lives at first.
fn start_by_expiry(native: &Native<'_>, scheduler: &Scheduler) -> bool {
    let was_stopped = !scheduler.is_running("sts-backup");
    let first = native.run(&["expire", "--yes"]);
    let was_spared = was_stopped && !scheduler.is_running("sts-backup");
    let told = first.stderr.contains("stays stopped");
    assert!(told || !was_spared, "{}", first.stderr);
    say_nobody_lives(native.telemetry);
    let begun = Instant::now();
    loop {
        native.json(&["expire", "--yes"]);
        if scheduler.is_running("sts-backup") && note(native.telemetry) == Value::Null {
            return was_spared;
        }
        assert!(begun.elapsed() < Duration::from_mins(1));
    }
}

/// What a restore wrote down.
fn note(telemetry: &Telemetry) -> Value {
    let settings = telemetry.ok("GET", "/_cluster/settings?flat_settings=true", "");
    settings["persistent"]["cluster.metadata.lifeboat.stopped"].clone()
}

/// A signal ends the command, and the cluster restores on: what was stopped stays so until that has ended.
pub(super) fn stopped_for_a_restore_that_goes_on(native: &Native<'_>, scheduler: &Scheduler) {
    let telemetry = native.telemetry;
    let name = streams::large_and_slow(telemetry);
    let restore = ["restore", &name, "sts_large*", "--yes"];
    let mut command = telemetry.world.command(&native.arguments(&restore));
    let process = Process::start(&mut command).unwrap();
    streams::wait_until_active(telemetry);
    let left = process.stop().unwrap();
    let told = format!("stays stopped while `{name}` is being restored");
    assert_eq!(left.status.code(), Some(130), "{left}");
    assert!(left.stderr.contains(&told), "{left}");
    assert!(holds(telemetry).is_empty());
    let seen = native.run(&["expire", "--yes"]);
    assert!(seen.stderr.contains(&told), "{}", seen.stderr);
    let attach = native.arguments(&["restore", "--attach"]);
    let attach = Process::start(&mut telemetry.world.command(&attach)).unwrap();
    assert!(!attach.ends_within(Duration::from_millis(300)));
    let left = attach.stop().unwrap();
    assert_eq!(left.status.code(), Some(130), "{left}");
    assert!(left.stderr.contains(&told), "{left}");
    assert!(!scheduler.is_running("sts-backup"));
    native.json(&["restore", "--attach"]);
    assert!(scheduler.is_running("sts-backup"));
    assert_eq!(note(telemetry), Value::Null);

    // Given up, it goes on no more.
    telemetry.ok("DELETE", "/sts_large-1,sts_large-2", "");
    let mut command = telemetry.world.command(&native.arguments(&restore));
    let process = Process::start(&mut command).unwrap();
    streams::wait_until_active(telemetry);
    assert_eq!(process.stop().unwrap().status.code(), Some(130));
    assert!(!scheduler.is_running("sts-backup"));
    // Whoever says so starts it at once, and is told.
    let seen = native.run(&["policy", "start"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(seen.stderr.contains("is under way"), "{}", seen.stderr);
    assert!(scheduler.is_running("sts-backup"));
    native.json(&["restore", "cancel", "--yes"]);
    assert!(scheduler.is_running("sts-backup"));
}

pub(super) fn without_a_policy_nothing_is_stopped(native: &Native<'_>, scheduler: &Scheduler) {
    let telemetry = native.telemetry;
    telemetry.index("sts_events", 20);
    let backup = ["--set", &native.url, "elasticsearch", "backup"];
    let taken = telemetry.world.json(&backup);
    let name = taken["name"].as_str().unwrap();
    let plan = native.json(&["restore", name, "--delete-existing", "--dry-run"]);
    assert_eq!(plan["stops"], json!([]), "{plan}");
    scheduler.changes();
    native.json(&["restore", name, "--delete-existing", "--yes"]);
    let changes = scheduler.changes();
    let expected = [
        "DELETE /sts_events",
        &format!("POST /_snapshot/sts-backup/{name}/_restore"),
    ];
    assert_eq!(changes, expected);
    telemetry.ok("DELETE", "/sts_events", "");
}
