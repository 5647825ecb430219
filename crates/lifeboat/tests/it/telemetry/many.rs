//! A repository with a thousand snapshots.

use lifeboat_testkit::http;
use lifeboat_testkit::turnstile::{Moment, Stop, Turnstile};

use super::Telemetry;
use crate::disk_full::SmallDisk;
use crate::world::World;

const SNAPSHOTS: usize = 1_000;

fn names(listed: &serde_json::Value) -> Vec<String> {
    let snapshots = listed["snapshots"].as_array().unwrap().iter();
    let name = |one: &serde_json::Value| one["name"].as_str().unwrap().to_owned();
    snapshots.map(name).collect()
}

#[test]
fn a_thousand_snapshots_are_listed_in_order_and_the_newest_thirty_stay() {
    let mut world = World::without_gateway();
    // It makes them faster, and is of no matter here.
    let _memory = SmallDisk::mount(&world.volume(), 256);
    world.start_gateway();
    let Some(telemetry) = Telemetry::in_world(world) else {
        return;
    };
    telemetry.run_json(&["configure"]);
    telemetry.index("sts_events", 20);
    let before = telemetry.documents("sts_events");
    let mut taken = Vec::new();
    for number in 0..SNAPSHOTS {
        // Most hold nothing, which takes half the time.
        let indices = if number % 10 == 9 { "sts_events" } else { "-*" };
        let name = format!("sts-backup-2026-{number:04}-ppss8nx40ykppss8nx40yk");
        let path = format!("/_snapshot/sts-backup/{name}?wait_for_completion=true");
        let answer = telemetry.ok("PUT", &path, &body(indices));
        assert_eq!(answer["snapshot"]["state"], "SUCCESS", "{answer}");
        taken.push(name);
    }
    assert_eq!(names(&telemetry.run_json(&["list"])), taken);
    let max = most(30);
    let expire = ["--set", &max, "elasticsearch", "expire", "--yes"];
    telemetry.world.json(&expire);
    let newest = taken.split_off(SNAPSHOTS - 30);
    assert_eq!(names(&telemetry.run_json(&["list"])), newest);
    one_that_was_taken_anew_meanwhile_stays(&telemetry, &newest);
    for name in [&newest[9], &newest[29]] {
        telemetry.run_json(&["restore", name, "--delete-existing", "--yes"]);
        assert_eq!(telemetry.documents("sts_events"), before);
    }
}

/// Between the verdict and the deletion somebody deletes the oldest one and takes another under its name.
fn one_that_was_taken_anew_meanwhile_stays(telemetry: &Telemetry, there: &[String]) {
    let address = telemetry.cluster.address();
    let gate = Turnstile::start(address).unwrap();
    let path = format!("/_snapshot/sts-backup/{}", there[0]);
    let action = move || {
        let body = body("sts_events");
        let anew = format!("{path}?wait_for_completion=true");
        for (method, path, body) in [("DELETE", &path, ""), ("PUT", &anew, &body)] {
            let answer = http::send(address, method, path, "application/json", body).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    };
    // What the cluster is, what was stopped in it, all snapshots, and then those that are to go.
    let stop = Stop {
        request: 4,
        moment: Moment::Before,
    };
    gate.reset(Some((stop, Box::new(action))));
    let url = format!("lifeboat.elasticsearch.url={}", gate.endpoint());
    let arguments = ["--set", &url, "--set", &most(29), "elasticsearch", "expire"];
    let judged = telemetry.world.json(&[&arguments[..], &["--yes"]].concat());
    assert_eq!(judged["verdicts"][0]["name"], there[0].as_str());
    assert_eq!(judged["verdicts"][0]["verdict"], "keep", "{judged}");
    let reason = "another one has its name by now";
    assert_eq!(judged["verdicts"][0]["reason"], reason);
    let mut left = there.to_vec();
    left.rotate_left(1);
    assert_eq!(names(&telemetry.run_json(&["list"])), left);
}

fn body(indices: &str) -> String {
    format!(
        r#"{{"indices":"{indices}","include_global_state":false,"metadata":{{"taken_by":"lifeboat 0.1.0","policy":"auto-sts-backup"}}}}"#
    )
}

fn most(count: usize) -> String {
    format!("backup.elasticsearch.scheduled.snapshotRetentionMaxCount={count}")
}
