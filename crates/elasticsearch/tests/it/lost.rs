//! Answers that were lost: whether the cluster heard is found out by what is there, never by asking twice.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::progress::{Progress, Reading};
use lifeboat_elasticsearch::backup::{self, Options, Plan};
use lifeboat_elasticsearch::catalog::Repository;
use lifeboat_elasticsearch::client::Client;
use lifeboat_elasticsearch::counts::Counts;
use lifeboat_elasticsearch::engine::Engine;
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::name::Template;
use lifeboat_elasticsearch::pattern::Patterns;
use lifeboat_elasticsearch::snapshot::{Snapshot, State};

use crate::exchanges::{self, Recorded};
use crate::server::{Reply, Server};

/// The snapshot of the recordings.
const NAME: &str = "sts-backup-20221123-0300";
const SNAPSHOT: &str = "/_snapshot/sts-backup/sts-backup-20221123-0300";

/// What a proxy or a wire makes of an answer.
fn losses() -> Vec<Reply> {
    let mut losses: Vec<Reply> = [502, 503, 504]
        .map(|status| Reply::status(status, "<html>try later</html>"))
        .to_vec();
    losses.push(Reply::HangUp);
    losses.push(Reply::Cut(r#"{"accepted":true}"#.to_owned()));
    losses
}

async fn back_up(client: &Client, engine: Engine, progress: &Progress) -> Result<Snapshot, Error> {
    let repository = Repository {
        client,
        engine,
        name: "sts-backup",
    };
    let plan = Plan {
        name: NAME.to_owned(),
        indices: vec!["sts_internal_events-2022.09.20".to_owned()],
        data_streams: Vec::new(),
        size: 0,
        counts: Counts::new(Vec::new()),
    };
    let options = Options {
        template: &Template::parse("<sts-backup-{now{yyyyMMdd-HHmm}}>").unwrap(),
        patterns: &Patterns::parse("sts*"),
        policy: "auto-sts-backup",
        program: "lifeboat 0.1.0",
        now: Timestamp::UNIX_EPOCH,
        random: [0; 16],
    };
    backup::run(repository, &plan, &options, progress).await
}

/// A cluster that takes the snapshot of a recording, and says this when it is asked to.
async fn cluster(recorded: &Recorded, created: Reply) -> Server {
    let of = |name: &str| Reply::from(recorded.get(name));
    let mut statuses = vec![of("status-finished"), of("status-running")];
    let described = of("list");
    Server::answering(move |seen| match &*seen.asked {
        asked if asked == format!("PUT {SNAPSHOT}") => created.clone(),
        asked if asked == format!("GET {SNAPSHOT}") => described.clone(),
        asked if asked == format!("GET {SNAPSHOT}/_status") => match statuses.len() {
            1 => statuses[0].clone(),
            _ => statuses.pop().unwrap(),
        },
        asked => panic!("{asked}"),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_followed_until_it_is_whole() {
    for recorded in exchanges::all() {
        let server = cluster(&recorded, recorded.get("create-async").into()).await;
        let progress = Progress::default();
        let taken = back_up(&server.client(), recorded.engine, &progress).await;
        assert_eq!(taken.unwrap().state, State::Success);
        let status = format!("GET {SNAPSHOT}/_status");
        let asked = [
            &format!("PUT {SNAPSHOT}"),
            &status,
            &status,
            &format!("GET {SNAPSHOT}"),
        ];
        assert_eq!(server.asked(), asked.map(String::clone));
        let finished = recorded.get("status-finished").json();
        let bytes = finished["snapshots"][0]["stats"]["total"]["size_in_bytes"].as_u64();
        let bytes = bytes.unwrap();
        assert_eq!(
            progress.read(),
            Reading {
                elements: 1,
                bytes,
                total_elements: 1,
                total_bytes: bytes
            }
        );
        let body: serde_json::Value = serde_json::from_str(&server.seen()[0].body).unwrap();
        assert_eq!(body["metadata"]["policy"], "auto-sts-backup");
        assert_eq!(body["include_global_state"], false);
        assert_eq!(body["feature_states"].is_array(), recorded.engine.has_slm());
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_whose_answer_was_lost_is_found_by_its_name() {
    let recorded = exchanges::opensearch();
    for loss in losses() {
        let server = cluster(&recorded, loss).await;
        let taken = back_up(&server.client(), recorded.engine, &Progress::default()).await;
        assert_eq!(taken.unwrap().name, NAME);
        let asked = server.asked();
        assert_eq!(
            asked[..2],
            [format!("PUT {SNAPSHOT}"), format!("GET {SNAPSHOT}")]
        );
        assert_eq!(
            asked
                .iter()
                .filter(|asked| asked.starts_with("PUT"))
                .count(),
            1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_was_not_heard_of_is_not_asked_for_again() {
    let recorded = exchanges::opensearch();
    for loss in losses() {
        let routes = [
            (&*format!("PUT {SNAPSHOT}"), loss),
            (
                &*format!("GET {SNAPSHOT}"),
                recorded.get("get-missing").into(),
            ),
        ];
        let server = Server::knowing(&routes).await;
        let taken = back_up(&server.client(), recorded.engine, &Progress::default()).await;
        let text = taken.unwrap_err().to_string();
        assert!(text.contains("to take the snapshot"), "{text}");
        assert_eq!(server.asked(), [routes[0].0, routes[1].0]);
    }
}

/// Another one holds the name: what is there is not ours.
#[tokio::test]
async fn a_refusal_of_the_engine_is_believed() {
    for recorded in exchanges::all() {
        let server = cluster(&recorded, recorded.get("create-same").into()).await;
        let taken = back_up(&server.client(), recorded.engine, &Progress::default()).await;
        let text = taken.unwrap_err().to_string();
        assert!(text.contains("same name already exists"), "{text}");
        assert_eq!(server.asked().len(), 1);
    }
}

/// Stopped while the cluster takes it, and says this to its deletion, or to its beginning.
async fn stopped(recorded: &Recorded, method: &str, reply: Reply) -> Error {
    let asked = format!("{method} {SNAPSHOT}");
    let created: Reply = recorded.get("create-async").into();
    let running: Reply = recorded.get("status-running").into();
    let server = Server::answering(move |seen| match &*seen.asked {
        one if one == asked => reply.clone(),
        one if one == format!("PUT {SNAPSHOT}") => created.clone(),
        one if one == format!("GET {SNAPSHOT}/_status") => running.clone(),
        one => panic!("{one}"),
    })
    .await;
    let progress = Progress::default();
    let client = server.client();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        progress.stop();
    };
    let (taken, ()) = tokio::join!(back_up(&client, recorded.engine, &progress), stop);
    taken.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_given_up_is_waited_for_only_a_little_and_said_to_be_left() {
    for recorded in exchanges::all() {
        let gone = Reply::good(r#"{"acknowledged":true}"#);
        let error = stopped(&recorded, "DELETE", gone.clone()).await;
        assert!(matches!(error, Error::Stopped), "{error:?}");
        let minutes = Duration::from_mins(9);
        for method in ["DELETE", "PUT"] {
            let late = Reply::After(minutes, Box::new(gone.clone()));
            let error = stopped(&recorded, method, late).await;
            assert!(
                matches!(&error, Error::NotGivenUp { snapshot, source: None } if snapshot == NAME),
                "{method}: {error:?}"
            );
        }
        let refused = Reply::status(500, r#"{"error":{"type":"repository_exception"}}"#);
        let error = stopped(&recorded, "DELETE", refused).await;
        assert!(
            matches!(
                &error,
                Error::NotGivenUp {
                    source: Some(_),
                    ..
                }
            ),
            "{error:?}"
        );
    }
}
