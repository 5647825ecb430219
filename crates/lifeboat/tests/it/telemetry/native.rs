//! The engines' own schedulers, which stand-ins answer for in front of real servers: installed, reported, and stopped around a restore.

mod around;

use std::net::SocketAddr;

use lifeboat_testkit::scheduler::{Kind, Scheduler};
use lifeboat_testkit::servers::elasticsearch::Release;
use serde_json::{Value, json};

use super::Telemetry;
use super::elasticsearch::{self, Engine};
use crate::world::Seen;

const NATIVE: &str = "backup.elasticsearch.scheduled.mode=native";
const NAMED: &str = "backup.elasticsearch.scheduled.snapshotPolicyName=sts-backup";

const STOP: &str = "POST /_plugins/_sm/policies/sts-backup/_stop";
const START: &str = "POST /_plugins/_sm/policies/sts-backup/_start";

/// Commands go through the stand-in, or through something before it.
struct Native<'a> {
    telemetry: &'a Telemetry,
    url: String,
}

impl Native<'_> {
    fn arguments<'b>(&'b self, arguments: &[&'b str]) -> Vec<&'b str> {
        let set = ["--set", &self.url, "--set", NATIVE, "--set", NAMED];
        [&set[..], &["elasticsearch"], arguments].concat()
    }

    fn run(&self, arguments: &[&str]) -> Seen {
        self.telemetry.world.run(&self.arguments(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.telemetry.world.json(&self.arguments(arguments))
    }
}

fn through<'a>(telemetry: &'a Telemetry, endpoint: &str) -> Native<'a> {
    let url = format!("lifeboat.elasticsearch.url={endpoint}");
    Native { telemetry, url }
}

#[test]
fn snapshot_management_is_installed_reported_and_stopped_around_a_restore() {
    let Some(telemetry) = Telemetry::start() else {
        return;
    };
    // The server itself has none.
    let direct = through(&telemetry, telemetry.cluster.endpoint());
    let seen = direct.run(&["configure"]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("has no Snapshot Management"),
        "{}",
        seen.stderr
    );

    let scheduler = Scheduler::start(Kind::Management, telemetry.cluster.address()).unwrap();
    let native = through(&telemetry, &scheduler.endpoint());
    // What it cannot do is refused before anything is changed.
    for (set, reason) in [
        (
            "snapshotPolicyName=auto-sts-backup",
            "set `snapshotPolicyName` to `sts-backup`",
        ),
        ("schedule=*/30 0 3 * * ?", "it has seconds"),
        ("schedule=0 0 3 L * ?", "`L`, `W` and `#`"),
        (
            "snapshotRetentionMaxCount=5",
            "it has to be more than the 5",
        ),
        ("snapshotRetentionExpireAfter=1 month ago", "months differ"),
    ] {
        let set = format!("backup.elasticsearch.scheduled.{set}");
        let seen = native.run(&["configure", "--set", &set]);
        assert_eq!(seen.code, 2, "{set}: {}", seen.stderr);
        assert!(seen.stderr.contains(reason), "{set}: {}", seen.stderr);
    }
    assert_eq!(scheduler.policy("sts-backup"), None);
    assert_eq!(
        telemetry.ask("GET", "/_snapshot/sts-backup", "").status,
        404
    );

    let plan = native.json(&["configure", "--dry-run"]);
    assert_eq!(plan["policy"]["change"], "register", "{plan}");
    assert_eq!(scheduler.policy("sts-backup"), None);
    let configured = native.json(&["configure"]);
    assert_eq!(configured["policy"]["change"], "register", "{configured}");
    assert_eq!(configured["found_in_bucket"], false, "{configured}");
    insta::assert_snapshot!(scheduler.policy("sts-backup").unwrap(), @r#"{"creation":{"schedule":{"cron":{"expression":"0 3 * * *","timezone":"UTC"}}},"deletion":{"condition":{"max_age":"30d","max_count":30,"min_count":5},"schedule":{"cron":{"expression":"0 3 * * *","timezone":"UTC"}}},"description":"Telemetry, as the values of Lifeboat have it","enabled":true,"snapshot_config":{"date_format":"yyyyMMdd-HHmm","date_format_timezone":"UTC","ignore_unavailable":false,"include_global_state":false,"indices":"sts*","repository":"sts-backup"}}"#);
    assert_eq!(native.json(&["configure"])["policy"]["change"], "nothing");

    what_is_told_of_a_policy(&telemetry, &native, &scheduler);
    around::stopped_around_a_restore(&telemetry, &scheduler, STOP, START);
    around::stopped_for_a_restore_that_goes_on(&native, &scheduler);

    let removed = native.json(&["policy", "remove", "--yes"]);
    assert_eq!(removed["dry_run"], false);
    assert_eq!(scheduler.policy("sts-backup"), None);
    assert_eq!(native.run(&["policy"]).code, 3);
}

/// Of one that drifted and was stopped, of one that failed, and in the other mode.
fn what_is_told_of_a_policy(telemetry: &Telemetry, native: &Native<'_>, scheduler: &Scheduler) {
    // A correction leaves it stopped where somebody stopped it.
    let later = "backup.elasticsearch.scheduled.schedule=0 30 4 ? * 2-6";
    let stop = "/_plugins/_sm/policies/sts-backup/_stop";
    lifeboat_testkit::http::send(scheduler.address(), "POST", stop, "application/json", "")
        .unwrap();
    let corrected = native.json(&["configure", "--set", later]);
    let drift = &corrected["policy"]["drift"];
    assert_eq!(drift.as_array().unwrap().len(), 2, "{corrected}");
    assert_eq!(drift[0]["wanted"], "30 4 * * 1-5", "{corrected}");
    assert!(!scheduler.is_running("sts-backup"));
    let seen = native.run(&["policy"]);
    assert_eq!(seen.code, 5, "{}", seen.stdout);
    assert!(seen.stdout.contains("is stopped"), "{}", seen.stdout);
    assert!(
        seen.stdout.contains("2 settings are not"),
        "{}",
        seen.stdout
    );
    let start = stop.replace("_stop", "_start");
    lifeboat_testkit::http::send(scheduler.address(), "POST", &start, "application/json", "")
        .unwrap();
    assert_eq!(native.run(&["policy"]).code, 0);

    // A policy that fails says why, and the command does not end well.
    let failed = json!({"creation": {"current_state": "CREATION_START", "trigger": {"time": 1_795_500_000_000_u64},
        "latest_execution": {"status": "FAILED", "start_time": 1_795_400_000_000_u64, "end_time": 1_795_400_001_000_u64,
        "info": {"message": "Caught exception while creating snapshot.", "cause": "[sts-backup] missing"}}}});
    scheduler.tell("sts-backup", failed);
    let seen = native.run(&["policy"]);
    assert_eq!(seen.code, 5, "{}", seen.stdout);
    insta::assert_snapshot!(seen.stdout, @"
    policy:       sts-backup of Snapshot Management
    state:        runs
    next:         2026-11-24 06:00:00
    last success: -
    last failure: 2026-11-23 02:13:21 [sts-backup] missing
    2 settings are not as the values have them
    ");

    // Lifeboat's own backups are off, and in the other mode they are told of the policy.
    let seen = native.run(&["backup"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    let seen = telemetry.world.run(&[
        "--set",
        &native.url,
        "--set",
        NAMED,
        "elasticsearch",
        "configure",
    ]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(
        seen.stderr.contains(
            "the policy `sts-backup` of Snapshot Management takes and deletes snapshots as well"
        ),
        "{}",
        seen.stderr
    );
}

#[test]
fn lifecycle_management_is_reported_and_stopped_around_a_restore() {
    let Some(telemetry) = elasticsearch::started(Engine::Elasticsearch(Release::V8_19)) else {
        return;
    };
    let scheduler = Scheduler::start(Kind::Lifecycle, telemetry.cluster.address()).unwrap();
    let native = through(&telemetry, &scheduler.endpoint());
    assert_eq!(native.run(&["policy"]).code, 3);
    around::without_a_policy_nothing_is_stopped(&native, &scheduler);
    install(scheduler.address());
    insta::assert_snapshot!(scheduler.policy("sts-backup").unwrap(), @r#"{"config":{"ignore_unavailable":false,"include_global_state":false,"indices":["sts*","-sts_tmp*"]},"name":"<sts-backup-{now{yyyyMMdd-HHmm}}>","repository":"sts-backup","retention":{"expire_after":"30d","max_count":31,"min_count":5},"schedule":"0 0 3 * * ?"}"#);
    let failed = json!({
        "last_success": {"snapshot_name": "sts-backup-20261125-0300-x", "time": 1_795_400_000_000_u64},
        "last_failure": {"snapshot_name": "sts-backup-20261126-0300-y", "time": 1_795_486_400_000_u64,
            "details": "{\"type\":\"snapshot_exception\",\"reason\":\"[sts-backup] failed to create snapshot successfully, 1 out of 3 total shards failed\"}"},
    });
    scheduler.tell("sts-backup", failed);
    let seen = native.run(&["policy"]);
    assert_eq!(seen.code, 5, "{}", seen.stdout);
    insta::assert_snapshot!(seen.stdout, @"
    policy:       sts-backup of snapshot lifecycle management
    state:        runs
    next:         2026-11-24 06:00:00
    last success: 2026-11-23 02:13:20 sts-backup-20261125-0300-x
    last failure: 2026-11-24 02:13:20 sts-backup-20261126-0300-y [sts-backup] failed to create snapshot successfully, 1 out of 3 total shards failed
    2 settings are not as the values have them
    ");
    scheduler.tell("sts-backup", json!({}));
    let (stop, start) = ("POST /_slm/stop", "POST /_slm/start");
    let snapshot = around::stopped_around_a_restore(&telemetry, &scheduler, stop, start);
    around::never_started_in_the_middle(&native, &scheduler, &snapshot);
}

/// Through the library: for the command the server would need a repository in S3, which what is published of it for tests has not.
fn install(address: SocketAddr) {
    use lifeboat_core::schedule::{Dialect, Schedule};
    use lifeboat_elasticsearch::access::Access;
    use lifeboat_elasticsearch::client::Client;
    use lifeboat_elasticsearch::drift::Change;
    use lifeboat_elasticsearch::engine::Engine;
    use lifeboat_elasticsearch::name::Template;
    use lifeboat_elasticsearch::native::{self, Wanted};

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::new(Access {
            urls: vec![format!("http://{address}")],
            ..Access::default()
        })
        .unwrap();
        let engine = Engine::detect(&client).await.unwrap();
        let schedule = Schedule::parse(Dialect::Elasticsearch, "0 0 3 * * ?").unwrap();
        let template = "<sts-backup-{now{yyyyMMdd-HHmm}}>";
        let age = "30 days ago".parse().unwrap();
        let mut wanted = Wanted {
            name: "sts-backup",
            schedule: &schedule,
            template: (template, &Template::parse(template).unwrap()),
            repository: "sts-backup",
            indices: &["sts*".to_owned(), "-sts_tmp*".to_owned()],
            expire_after: &age,
            min_count: 5,
            max_count: 30,
        };
        let change = native::install(&client, engine, &wanted).await.unwrap();
        assert_eq!(change, Change::Register);
        let change = native::install(&client, engine, &wanted).await.unwrap();
        assert_eq!(change, Change::Nothing);
        wanted.max_count = 31;
        let change = native::install(&client, engine, &wanted).await.unwrap();
        assert_eq!(change.drifts()[0].setting, "retention.max_count");
        let nearest = Schedule::parse(Dialect::Elasticsearch, "0 0 3 LW * ?").unwrap();
        wanted.schedule = &nearest;
        let error = native::install(&client, engine, &wanted).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`backup.elasticsearch.scheduled.schedule` is `0 0 3 LW * ?`, which snapshot lifecycle management cannot do: \
             its own reading of `W` gives days that have passed, or none; name the days"
        );
    });
}
