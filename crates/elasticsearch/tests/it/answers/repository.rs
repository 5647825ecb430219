//! Repositories: what is registered, and what comes of registering one.

use lifeboat_elasticsearch::catalog::Repository;
use lifeboat_elasticsearch::client::Client;
use lifeboat_elasticsearch::drift::Change;
use lifeboat_elasticsearch::engine::Engine;
use lifeboat_elasticsearch::error::{Error, Undone};
use lifeboat_elasticsearch::repository::{Keys, Loss, States, Wanted};

use crate::exchanges;
use crate::server::{Reply, Server};

const GET: &str = "GET /_snapshot/sts-backup";
const PUT: &str = "PUT /_snapshot/sts-backup";
const DELETE: &str = "DELETE /_snapshot/sts-backup";
const VERIFY: &str = "POST /_snapshot/sts-backup/_verify";
const RELOAD: &str = "POST /_nodes/reload_secure_settings";
const NODES: &str = "GET /_nodes/data:true,master:true";
const LIST: &str = "GET /_snapshot/sts-backup/_all";

/// As OpenSearch tells it; Elasticsearch 8 adds a `uuid`. All settings are texts, whatever they were.
const REGISTERED: &str = r#"{"sts-backup":{"type":"s3","uuid":"u","settings":{"bucket":"b","endpoint":"http://gateway:9000",
    "protocol":"http","region":"us-east-1","path_style_access":"true","shard_path_type":"FIXED"}}}"#;

fn wanted(keys: Keys) -> Wanted {
    Wanted {
        bucket: "b".to_owned(),
        base_path: String::new(),
        endpoint: "http://gateway:9000".to_owned(),
        region: "us-east-1".to_owned(),
        keys,
        more: Vec::new(),
    }
}

fn in_settings() -> Keys {
    Keys::InSettings {
        access: "key".to_owned(),
        secret: "hush".to_owned(),
    }
}

fn repository(client: &Client, engine: Engine) -> Repository<'_> {
    Repository {
        client,
        engine,
        name: "sts-backup",
    }
}

fn done() -> Reply {
    Reply::good(r#"{"acknowledged":true}"#)
}

fn one_node() -> Reply {
    Reply::good(r#"{"nodes":{"a":{"name":"vm"}}}"#)
}

#[tokio::test]
async fn a_repository_that_is_not_registered_is_nothing() {
    for recorded in exchanges::all() {
        let server = Server::knowing(&[(GET, recorded.get("repo-missing").into())]).await;
        let client = server.client();
        let repository = repository(&client, recorded.engine);
        assert_eq!(repository.registered().await.unwrap(), None);
        let change = repository
            .foresee(&wanted(Keys::Keystore), States::default(), Loss::Refused)
            .await
            .unwrap();
        assert_eq!(change, Change::Register);
    }
}

#[tokio::test]
async fn settings_are_read_as_they_are_told() {
    let server = Server::knowing(&[(GET, Reply::good(REGISTERED))]).await;
    let client = server.client();
    let repository = repository(&client, exchanges::opensearch().engine);
    let found = repository.registered().await.unwrap().unwrap();
    assert_eq!(found.kind, "s3");
    assert_eq!(found.settings["bucket"], "b");
    assert!(!found.is_read_only());
    let change = repository
        .foresee(&wanted(Keys::Keystore), States::default(), Loss::Refused)
        .await
        .unwrap();
    assert_eq!(change, Change::Nothing);
}

#[tokio::test]
async fn a_repository_is_registered_and_every_node_proves_it() {
    let recorded = exchanges::opensearch();
    let nodes = one_node();
    let server = Server::knowing(&[
        (GET, recorded.get("repo-missing").into()),
        (RELOAD, recorded.get("reload-secure").into()),
        (NODES, nodes.clone()),
        (PUT, done()),
        (VERIFY, nodes),
        (LIST, recorded.get("list").into()),
    ])
    .await;
    let client = server.client();
    let repository = repository(&client, recorded.engine);
    let configured = repository
        .configure(&wanted(Keys::Keystore), States::default(), Loss::Refused)
        .await
        .unwrap();
    assert_eq!(configured.nodes, 1);
    assert_eq!(configured.snapshots.len(), 2);
    assert_eq!(server.asked(), [GET, RELOAD, NODES, PUT, VERIFY, LIST]);
    let sent: serde_json::Value = serde_json::from_str(&server.seen()[3].body).unwrap();
    assert_eq!(sent["settings"]["shard_path_type"], "FIXED");
    assert_eq!(sent["settings"]["access_key"], serde_json::Value::Null);
}

/// Elasticsearch 7 has it only as a plugin.
#[tokio::test]
async fn an_engine_without_repositories_in_s3_is_told_as_such() {
    for recorded in exchanges::all() {
        let server = Server::knowing(&[
            (GET, recorded.get("repo-missing").into()),
            (NODES, one_node()),
            (PUT, recorded.get("repo-bad-type").into()),
        ])
        .await;
        let client = server.client();
        let repository = repository(&client, recorded.engine);
        let error = repository
            .configure(&wanted(in_settings()), States::default(), Loss::Refused)
            .await;
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            format!("{} has no repositories of type `s3`", recorded.engine)
        );
        assert_eq!(server.asked(), [GET, NODES, PUT]);
    }
}

#[tokio::test]
async fn a_repository_that_cannot_be_used_says_why_and_is_taken_away_again() {
    let recorded = exchanges::opensearch();
    let mut told = Vec::new();
    for name in ["repo-with-keys", "repo-no-bucket", "repo-bad-ep"] {
        let server = Server::knowing(&[
            (GET, recorded.get("repo-missing").into()),
            (NODES, one_node()),
            (PUT, done()),
            (VERIFY, recorded.get(name).into()),
            (DELETE, done()),
        ])
        .await;
        let client = server.client();
        let repository = repository(&client, recorded.engine);
        let error = repository
            .configure(&wanted(in_settings()), States::default(), Loss::Refused)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                Error::Unverified {
                    undone: Undone::Removed,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(server.asked(), [GET, NODES, PUT, VERIFY, DELETE]);
        told.push(error.to_string());
    }
    insta::assert_snapshot!(told.join("\n"), @"
    the repository `sts-backup` cannot be used: [insec] path [b2] is not accessible on cluster-manager node: the nodes do not allow keys in the settings of a repository (Setting [access_key] is insecure, but property [allow_insecure_settings] is not set)
    the repository `sts-backup` cannot be used: [nobucket] path  is not accessible on cluster-manager node: the bucket does not exist (The specified bucket does not exist (Service: S3, Status Code: 404, Request ID: B3hI) (SDK Attempt Count: 1))
    the repository `sts-backup` cannot be used: [badep] path  is not accessible on cluster-manager node: nobody listens at the endpoint of the repository (Connection refused)
    ");
}

/// Whatever goes wrong after it was written, and where it is not known whether it was.
#[tokio::test(start_paused = true)]
async fn what_was_registered_before_is_put_back_after_any_failure() {
    let engine = exchanges::opensearch().engine;
    let missing = exchanges::opensearch().get("repo-missing").into();
    let drifted = Reply::good(&REGISTERED.replace("us-east-1", "eu-west-1"));
    let two = Reply::good(r#"{"nodes":{"a":{"name":"vm"},"b":{"name":"vn"}}}"#);
    let refused = Reply::refusal(403, "security_exception", "no permissions");
    let failures = [
        (done(), Reply::HangUp, "no answer from the cluster"),
        (done(), Reply::Cut("{}".to_owned()), "no answer from"),
        (
            done(),
            Reply::good("<html>"),
            "something else than expected",
        ),
        (done(), refused, "did not accept the credentials"),
        (done(), one_node(), "only 1 of 2 nodes can use"),
        (Reply::HangUp, two.clone(), "no answer from the cluster"),
    ];
    for (before, undoing) in [(missing, Undone::Removed), (drifted, Undone::Reset)] {
        for (put, verified, told) in failures.clone() {
            let (before, two) = (before.clone(), two.clone());
            let is_heard = matches!(put, Reply::Answer(..));
            let server = Server::answering(move |seen| match &*seen.asked {
                GET => before.clone(),
                NODES => two.clone(),
                // What is put back carries what was there.
                PUT if seen.body.contains("us-east-1") => put.clone(),
                PUT | DELETE => done(),
                VERIFY => verified.clone(),
                asked => panic!("{asked}"),
            })
            .await;
            let client = server.client();
            let repository = repository(&client, engine);
            let wanted = wanted(in_settings());
            let configured = repository.configure(&wanted, States::default(), Loss::Refused);
            let error = configured.await.unwrap_err();
            let Error::Unconfigured { undone, source, .. } = error else {
                panic!("{error:?}");
            };
            assert_eq!(undone, undoing, "{source}");
            assert!(source.to_string().contains(told), "{source}");
            let last = server.seen().pop().unwrap();
            match undone {
                Undone::Removed => assert_eq!(last.asked, DELETE),
                _ => assert!(last.body.contains("eu-west-1"), "{}", last.body),
            }
            assert_eq!(server.asked().contains(&VERIFY.to_owned()), is_heard);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_back_is_told_and_what_was_never_heard_is_left_alone() {
    let engine = exchanges::opensearch().engine;
    let of = |put: Reply, delete: Reply| {
        let missing = exchanges::opensearch().get("repo-missing").into();
        let routes = [
            (GET, missing),
            (NODES, one_node()),
            (PUT, put),
            (VERIFY, Reply::HangUp),
            (DELETE, delete),
        ];
        async move {
            let server = Server::knowing(&routes).await;
            let client = server.client();
            let repository = repository(&client, engine);
            let wanted = wanted(in_settings());
            let configured = repository.configure(&wanted, States::default(), Loss::Refused);
            (configured.await.unwrap_err(), server.asked())
        }
    };
    let (error, _) = of(done(), Reply::HangUp).await;
    assert!(
        matches!(
            error,
            Error::Unconfigured {
                undone: Undone::Failed,
                ..
            }
        ),
        "{error:?}"
    );
    let refused = Reply::refusal(403, "security_exception", "no permissions");
    let (error, asked) = of(refused, done()).await;
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    assert_eq!(asked, [GET, NODES, PUT]);
}

/// OpenSearch and Elasticsearch say it each in a way of its own.
#[tokio::test]
async fn a_repository_that_is_in_use_keeps_what_it_has() {
    let engine = exchanges::opensearch().engine;
    let drifted = REGISTERED.replace("us-east-1", "eu-west-1");
    let reason = "trying to modify or unregister repository that is currently used";
    for refusal in [
        Reply::refusal(500, "illegal_state_exception", reason),
        Reply::refusal(
            409,
            "repository_conflict_exception",
            "[sts-backup] trying (snapshot is in progress)",
        ),
    ] {
        let server = Server::knowing(&[
            (GET, Reply::good(&drifted)),
            (NODES, one_node()),
            (PUT, refusal),
        ])
        .await;
        let client = server.client();
        let repository = repository(&client, engine);
        let error = repository
            .configure(&wanted(in_settings()), States::default(), Loss::Refused)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::RepositoryInUse { .. }), "{error:?}");
        assert_eq!(server.asked(), [GET, NODES, PUT]);
    }
}

#[tokio::test]
async fn an_answer_that_tells_of_another_repository_is_told_short() {
    let long = format!(r#"{{"other":"{}"}}"#, "long".repeat(1000));
    let server = Server::knowing(&[(GET, Reply::good(&long))]).await;
    let client = server.client();
    let repository = repository(&client, exchanges::opensearch().engine);
    let error = repository.registered().await.unwrap_err();
    assert!(matches!(error, Error::Strange { .. }), "{error:?}");
    assert!(error.to_string().len() < 600, "{error}");
}
