//! Restores: begun, followed, and those that the cluster remembers.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::{Progress, Reading};
use lifeboat_elasticsearch::catalog::Repository;
use lifeboat_elasticsearch::client::Client;
use lifeboat_elasticsearch::engine::Engine;
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::pattern::Patterns;
use lifeboat_elasticsearch::restore::{self, Existing, Known, Partial, Plan, Restored, Wish};

use crate::exchanges::{self, Recorded};
use crate::server::{Reply, Server};

const SNAPSHOT: &str = "sts-backup-20221123-0300";
const INDEX: &str = "sts_internal_events-2022.09.20";
const RESTORE: &str = "POST /_snapshot/sts-backup/sts-backup-20221123-0300/_restore";
const CAT: &str = "GET /_cat/indices";

fn repository(client: &Client, engine: Engine) -> Repository<'_> {
    Repository {
        client,
        engine,
        name: "sts-backup",
    }
}

async fn run(client: &Client, engine: Engine, progress: &Progress) -> Result<Restored, Error> {
    let plan = Plan {
        snapshot: SNAPSHOT.to_owned(),
        indices: vec![INDEX.to_owned()],
        data_streams: Vec::new(),
        documents: None,
        targets: vec![INDEX.to_owned()],
        delete_indices: Vec::new(),
        delete_streams: Vec::new(),
        roll_over: Vec::new(),
        over_closed: Vec::new(),
        left_out: Vec::new(),
        missing_shards: 0,
        crowd: None,
    };
    let wish = Wish {
        patterns: &Patterns::parse("sts*"),
        rename: None,
        partial: Partial::Refused,
        existing: Existing::Refused,
    };
    let clock = || Timestamp::UNIX_EPOCH;
    let repository = repository(client, engine);
    let followed = restore::run(repository, &plan, &wish, progress, &clock).await;
    followed.result
}

/// Yellow all along.
fn health() -> String {
    format!(
        r#"{{"indices":{{"{INDEX}":{{"status":"yellow","number_of_shards":1,"active_primary_shards":1}}}}}}"#
    )
}

/// What a cluster says that takes no snapshots by itself.
fn unscheduled(asked: &str) -> Reply {
    match asked {
        "GET /_cluster/state/routing_table" | "GET /_cluster/state/customs" => Reply::good("{}"),
        "GET /_cluster/settings" => Reply::good(r#"{"persistent":{},"transient":{}}"#),
        "GET /_slm/status" => Reply::status(
            405,
            r#"{"error":"Incorrect HTTP method for uri [/_slm/status] and method [GET], allowed: [POST]","status":405}"#,
        ),
        "GET /_plugins/_sm/policies" => Reply::status(
            400,
            r#"{"error":"no handler found for uri [/_plugins/_sm/policies] and method [GET]"}"#,
        ),
        asked => panic!("{asked}"),
    }
}

/// A cluster that restores the snapshot of a recording, and says this when it is asked to.
async fn cluster(recorded: &Recorded, begun: Reply) -> Server {
    let mut recoveries: Vec<Reply> = ["recovery2", "recovery"]
        .map(|name| recorded.get(name).into())
        .to_vec();
    let indices: Reply = recorded.get("cat-indices").into();
    Server::answering(move |seen| match &*seen.asked {
        RESTORE => begun.clone(),
        CAT => indices.clone(),
        asked if asked == format!("GET /_cluster/health/{INDEX}") => Reply::good(&health()),
        asked if asked == format!("GET /{INDEX}/_recovery") => match recoveries.len() {
            1 => recoveries[0].clone(),
            _ => recoveries.pop().unwrap(),
        },
        asked => unscheduled(asked),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_done_when_its_recoveries_are_and_not_before() {
    for recorded in exchanges::all() {
        let begun = Reply::good(r#"{"accepted":true}"#);
        let server = cluster(&recorded, begun).await;
        let progress = Progress::default();
        let client = server.client();
        let restored = run(&client, recorded.engine, &progress).await.unwrap();
        assert_eq!(restored.indices, [INDEX]);
        assert_eq!((restored.shards.total, restored.documents), (1, 5));
        // The first list of recoveries was empty.
        let recoveries = format!("GET /{INDEX}/_recovery");
        let looks = server.asked();
        let looks = looks.iter().filter(|asked| **asked == recoveries).count();
        assert_eq!(looks, 2);
        let recovered = &recorded.get("recovery2").json()[INDEX]["shards"][0];
        let bytes = recovered["index"]["size"]["total_in_bytes"]
            .as_u64()
            .unwrap();
        assert_eq!(
            progress.read(),
            Reading {
                elements: 1,
                bytes,
                total_elements: 1,
                total_bytes: bytes
            }
        );
    }
}

/// Of all refusals the one with the oddest status.
#[tokio::test(start_paused = true)]
async fn an_open_index_in_the_way_is_a_conflict_and_is_not_asked_about_again() {
    for recorded in exchanges::all() {
        let server = cluster(&recorded, recorded.get("restore-open").into()).await;
        let client = server.client();
        let error = run(&client, recorded.engine, &Progress::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(
            error.to_string().contains("open index with same name"),
            "{error}"
        );
        let asked = server.asked();
        let asked: Vec<_> = asked.iter().filter(|one| one.as_str() == RESTORE).collect();
        assert_eq!(asked.len(), 1);
    }
}

#[tokio::test]
async fn a_snapshot_that_went_away_meanwhile_is_not_found() {
    for recorded in exchanges::all() {
        let server = cluster(&recorded, recorded.get("restore-missing").into()).await;
        let client = server.client();
        let error = run(&client, recorded.engine, &Progress::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_whose_answer_was_lost_is_found_by_its_indices() {
    let recorded = exchanges::opensearch();
    for loss in [Reply::HangUp, Reply::status(504, "<html>")] {
        // Nothing is there before, and the index is after it.
        let there: Reply = recorded.get("cat-indices").into();
        let mut is_begun = false;
        let recovery: Reply = recorded.get("recovery2").into();
        let server = Server::answering(move |seen| match &*seen.asked {
            RESTORE => {
                is_begun = true;
                loss.clone()
            }
            CAT if is_begun => there.clone(),
            CAT => Reply::good("[]"),
            asked if asked.ends_with("/_recovery") => recovery.clone(),
            _ => Reply::good(&health()),
        })
        .await;
        let client = server.client();
        let restored = run(&client, recorded.engine, &Progress::default()).await;
        assert_eq!(restored.unwrap().documents, 5);
        let asked = server.asked();
        assert_eq!(asked.iter().filter(|asked| *asked == RESTORE).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_stop_does_not_wait_for_a_cluster_that_says_nothing() {
    let recorded = exchanges::opensearch();
    let health = format!("GET /_cluster/health/{INDEX}");
    let (health_of, begun) = (health.clone(), Reply::good(r#"{"accepted":true}"#));
    let indices: Reply = recorded.get("cat-indices").into();
    let server = Server::answering(move |seen| match &*seen.asked {
        RESTORE => begun.clone(),
        CAT => indices.clone(),
        asked if asked == health_of => {
            Reply::After(Duration::from_secs(90), Box::new(Reply::good("{}")))
        }
        asked => unscheduled(asked),
    })
    .await;
    let progress = Progress::default();
    let client = server.client();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        progress.stop();
    };
    let (restored, ()) = tokio::join!(run(&client, recorded.engine, &progress), stop);
    let error = restored.unwrap_err();
    assert!(matches!(error, Error::Stopped), "{error:?}");
    // What follows is whether something was stopped. Nobody asked again.
    let asked = server.asked();
    let looks = asked.iter().filter(|asked| **asked == health).count();
    assert_eq!(looks, 1, "{asked:?}");
}

#[tokio::test]
async fn restores_that_the_cluster_remembers_are_read() {
    for recorded in exchanges::all() {
        let remembered = |name: &str| {
            let nothing = Reply::good("{}");
            [
                ("GET /_cluster/state/customs", nothing.clone()),
                ("GET /_cluster/state/routing_table", nothing),
                ("GET /_recovery", recorded.get(name).into()),
            ]
        };
        let server = Server::knowing(&remembered("recovery")).await;
        let found = restore::known(&server.client(), "sts-backup")
            .await
            .unwrap();
        assert_eq!(found, []);
        let server = Server::knowing(&remembered("recovery2")).await;
        let found = restore::known(&server.client(), "sts-backup")
            .await
            .unwrap();
        let expected = Known {
            snapshot: SNAPSHOT.to_owned(),
            indices: vec![INDEX.to_owned()],
            sources: vec![INDEX.to_owned()],
            is_active: false,
        };
        assert_eq!(found, [expected]);
        // Of another repository there are none.
        let found = restore::known(&server.client(), "other").await.unwrap();
        assert_eq!(found, []);
    }
}
