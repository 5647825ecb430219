//! What was stopped for restores: who starts it, and who leaves it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lifeboat_elasticsearch::native::{self, Living, Restoring, Standing};
use serde_json::{Map, Value, json};

use crate::exchanges;
use crate::server::{Reply, Server};

const SETTINGS: &str = "GET /_cluster/settings";
const SET: &str = "PUT /_cluster/settings";
const STATE: &str = "GET /_cluster/state/customs";
const START: &str = "POST /_slm/start";
/// As it was before restores said that they live.
const NOTE: &str = r#"{"snapshot":"s","since":"1970-01-01T00:00:00Z","lifecycle":true}"#;
const NOTED: &str = "cluster.metadata.lifeboat.stopped";
const HOLD: &str = "cluster.metadata.lifeboat.restores.x";

/// A cluster that keeps settings, and is restoring this.
async fn cluster(settings: Value, restoring: &str) -> (Server, Arc<Mutex<Map<String, Value>>>) {
    let settings = settings.as_object().unwrap().clone();
    let settings = Arc::new(Mutex::new(settings));
    let kept = Arc::clone(&settings);
    let restoring = format!(r#"{{"restore":{{"snapshots":[{restoring}]}}}}"#);
    let server = Server::answering(move |seen| {
        let mut kept = kept.lock().unwrap();
        match &*seen.asked {
            SETTINGS => Reply::good(&json!({"persistent": *kept}).to_string()),
            SET => {
                let body: Value = serde_json::from_str(&seen.body).unwrap();
                kept.extend(body["persistent"].as_object().unwrap().clone());
                kept.retain(|_, value| !value.is_null());
                Reply::good(r#"{"acknowledged":true}"#)
            }
            STATE => Reply::good(&restoring),
            "GET /_slm/status" => Reply::good(r#"{"operation_mode":"RUNNING"}"#),
            "GET /_slm/policy" => Reply::good(r#"{"p":{}}"#),
            START => Reply::good(r#"{"acknowledged":true}"#),
            asked => panic!("{asked}"),
        }
    })
    .await;
    (server, settings)
}

fn hold(renewed: Timestamp) -> String {
    json!({"repository": "r", "snapshot": "t", "renewed": renewed}).to_string()
}

#[tokio::test]
async fn what_was_left_behind_is_started_and_forgotten() {
    let old = hold(Timestamp::UNIX_EPOCH);
    for settings in [json!({NOTED: NOTE}), json!({NOTED: NOTE, HOLD: old})] {
        let (server, kept) = cluster(settings, r#"{"snapshot":"s","state":"SUCCESS"}"#).await;
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(2);
        let standing = native::resume_if_left_behind(&server.client(), now).await;
        let Standing::Started(paused) = standing.unwrap() else {
            panic!("it was left behind");
        };
        assert_eq!(paused.snapshot, "s");
        assert_eq!(server.asked(), [SETTINGS, STATE, START, SET]);
        assert_eq!(*kept.lock().unwrap(), Map::new());
    }
    let (server, _) = cluster(json!({}), "").await;
    let now = Timestamp::UNIX_EPOCH;
    let standing = native::resume_if_left_behind(&server.client(), now).await;
    assert_eq!(standing.unwrap(), Standing::Nothing);
    assert_eq!(server.asked(), [SETTINGS]);
}

#[tokio::test]
async fn for_a_restore_that_lives_it_stays_stopped() {
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(119);
    let settings = json!({NOTED: NOTE, HOLD: hold(Timestamp::UNIX_EPOCH)});
    let (server, kept) = cluster(settings.clone(), "").await;
    let standing = native::resume_if_left_behind(&server.client(), now).await;
    let Standing::Stays(_, Living::AtWork(living)) = standing.unwrap() else {
        panic!("it lives");
    };
    assert_eq!(living.snapshot, "t");
    assert_eq!(server.asked(), [SETTINGS]);
    // Whoever says so starts it, and leaves what lives alone.
    native::resume(&server.client(), now).await.unwrap();
    let left: Vec<String> = kept.lock().unwrap().keys().cloned().collect();
    assert_eq!(left, [HOLD]);

    // Of any repository.
    let restoring = r#"{"snapshot":"u","repository":"q","state":"STARTED"}"#;
    let (server, kept) = cluster(json!({NOTED: NOTE}), restoring).await;
    let standing = native::resume_if_left_behind(&server.client(), now).await;
    let Standing::Stays(_, living) = standing.unwrap() else {
        panic!("the engine is at it");
    };
    assert_eq!(living, Living::InEngine("u".to_owned()));
    assert_eq!(
        *kept.lock().unwrap(),
        *json!({NOTED: NOTE}).as_object().unwrap()
    );
}

#[tokio::test(start_paused = true)]
async fn a_restore_says_again_and_again_that_it_lives_and_in_the_end_no_more() {
    let recorded = exchanges::all();
    let with_lifecycle = recorded.iter().find(|one| one.engine.has_slm());
    let engine = with_lifecycle.unwrap().engine;
    let (server, kept) = cluster(json!({NOTED: NOTE}), "").await;
    let client = server.client();
    let begun = tokio::time::Instant::now();
    let clock = move || {
        let passed = SignedDuration::try_from(begun.elapsed()).unwrap();
        Timestamp::UNIX_EPOCH + passed
    };
    let targets = ["a".to_owned()];
    let restoring = Restoring {
        repository: "r",
        snapshot: "s",
        targets: &targets,
    };
    let pause = native::pause(&client, engine, restoring, clock()).await;
    let pause = pause.unwrap().unwrap();
    let work = tokio::time::sleep(Duration::from_mins(10));
    let others = async {
        for _ in 0..9 {
            tokio::time::sleep(Duration::from_mins(1)).await;
            let standing = native::resume_if_left_behind(&client, clock()).await;
            let standing = standing.unwrap();
            assert!(matches!(standing, Standing::Stays(..)), "{standing:?}");
        }
    };
    pause
        .keep(&clock, async { tokio::join!(work, others) })
        .await;
    assert!(!server.asked().contains(&START.to_owned()));
    let standing = native::release(&client, restoring, &clock).await.unwrap();
    assert!(matches!(standing, Standing::Started(_)), "{standing:?}");
    assert_eq!(*kept.lock().unwrap(), Map::new());
}
