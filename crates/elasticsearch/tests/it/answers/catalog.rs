//! Lists of snapshots, in all their shapes.

use lifeboat_elasticsearch::catalog::{Details, Repository};
use lifeboat_elasticsearch::client::Client;
use lifeboat_elasticsearch::engine::{Engine, Version};
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::snapshot::{Snapshot, State};
use serde_json::json;

use crate::exchanges::{self, Exchange};
use crate::server::{Reply, Server};

const LIST: &str = "GET /_snapshot/sts-backup/_all";

fn repository(client: &Client, engine: Engine) -> Repository<'_> {
    Repository {
        client,
        engine,
        name: "sts-backup",
    }
}

async fn list(engine: Engine, reply: Reply) -> Result<Vec<Snapshot>, Error> {
    let server = Server::knowing(&[(LIST, reply)]).await;
    let client = server.client();
    repository(&client, engine).list(Details::WithSizes).await
}

fn one_line(snapshot: &Snapshot) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "{} {} {} streams {:?} shards {}/{}/{} version {} by {} for {}",
        snapshot.name,
        snapshot.state.word(),
        snapshot.indices.join(","),
        snapshot.data_streams,
        snapshot.shards.total,
        snapshot.shards.failed,
        snapshot.shards.successful,
        or_dash(&snapshot.version),
        or_dash(&snapshot.taken_by),
        or_dash(&snapshot.policy),
    )
}

#[tokio::test]
async fn lists_of_all_engines_are_read() {
    let mut told = Vec::new();
    for recorded in exchanges::all() {
        told.push(recorded.engine.to_string());
        for name in ["list", "list-verbose-false", "current"] {
            let found = list(recorded.engine, recorded.get(name).into())
                .await
                .unwrap();
            told.extend(found.iter().map(one_line));
        }
        let created = &recorded.get("ds-snap").json()["snapshot"];
        told.push(one_line(&Snapshot::read(created).unwrap()));
        let empty = list(recorded.engine, recorded.get("list-empty").into()).await;
        assert_eq!(empty.unwrap(), []);
    }
    insta::assert_snapshot!(told.join("\n"), @r#"
    Elasticsearch 7.17.29
    sts-backup-20221123-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 7.17.29 by me for auto-sts-backup
    sts-backup-20221124-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 7.17.29 by - for -
    sts-backup-20221123-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version - by - for -
    sts-backup-20221124-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version - by - for -
    sts-backup-20221123-0300 IN_PROGRESS sts_internal_events-2022.09.20 streams [] shards 1/1/0 version 7.17.29 by me for auto-sts-backup
    snap-ds SUCCESS sts_internal_events-2022.09.20,sts_k8s_logs streams [] shards 2/0/2 version 7.17.29 by - for -
    Elasticsearch 8.19.21
    sts-backup-20221123-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 8.19.9-8.19.21 by me for auto-sts-backup
    sts-backup-20221124-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 8.19.9-8.19.21 by - for -
    sts-backup-20221123-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version - by - for -
    sts-backup-20221124-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version - by - for -
    sts-backup-20221123-0300 IN_PROGRESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 8.19.9-8.19.21 by me for auto-sts-backup
    snap-ds SUCCESS .ds-sts_k8s_logs-2026.11.23-000001,.ds-sts_k8s_logs-2026.11.23-000002,sts_internal_events-2022.09.20 streams ["sts_k8s_logs"] shards 3/0/3 version 8.19.9-8.19.21 by - for -
    OpenSearch 2.19.1
    sts-backup-20221123-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 2.19.1 by me for auto-sts-backup
    sts-backup-20221124-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 2.19.1 by - for -
    sts-backup-20221123-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version - by - for -
    sts-backup-20221124-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version - by - for -
    sts-backup-20221123-0300 IN_PROGRESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version 2.19.1 by me for auto-sts-backup
    snap-ds SUCCESS .ds-sts_k8s_logs-000002,.ds-sts_k8s_logs-000001,sts_internal_events-2022.09.20 streams ["sts_k8s_logs"] shards 3/0/3 version 2.19.1 by - for -
    OpenSearch 3.6.0
    sts-backup-20221123-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 3.6.0 by me for auto-sts-backup
    sts-backup-20221124-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 1/0/1 version 3.6.0 by - for -
    sts-backup-20221123-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version - by - for -
    sts-backup-20221124-0300 SUCCESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version - by - for -
    sts-backup-20221123-0300 IN_PROGRESS sts_internal_events-2022.09.20 streams [] shards 0/0/0 version 3.6.0 by me for auto-sts-backup
    snap-ds SUCCESS .ds-sts_k8s_logs-000002,sts_internal_events-2022.09.20,.ds-sts_k8s_logs-000001 streams ["sts_k8s_logs"] shards 3/0/3 version 3.6.0 by - for -
    "#);
}

#[test]
fn a_snapshot_that_is_being_taken_has_begun_and_has_no_end() {
    for recorded in exchanges::all() {
        let read = |name: &str| Snapshot::read_list(&recorded.get(name).json()).unwrap();
        let [running] = &read("current")[..] else {
            panic!("{}", recorded.engine);
        };
        assert_eq!(running.state, State::InProgress);
        assert_eq!(running.ended, None);
        let done = &read("list")[0];
        assert_eq!(done.uuid, running.uuid);
        assert_eq!(done.started, running.started);
        assert!(done.ended.unwrap() > done.started);
    }
}

/// The page that another asked for.
#[test]
fn a_page_of_a_list_is_a_list() {
    let paging = |exchange: &&Exchange| exchange.status == 200;
    let recorded = exchanges::all();
    let pages = recorded.iter().map(|one| one.get("list-paged"));
    let pages: Vec<_> = pages.filter(paging).collect();
    assert_eq!(pages.len(), 2);
    for page in pages {
        let found = Snapshot::read_list(&page.json()).unwrap();
        assert_eq!(found.len(), 1);
    }
}

#[tokio::test]
async fn versions_that_are_ranges_end_at_that_of_the_server() {
    for recorded in exchanges::all() {
        for snapshot in list(recorded.engine, recorded.get("list").into())
            .await
            .unwrap()
        {
            let version: Version = snapshot.version.unwrap().parse().unwrap();
            assert_eq!(version, recorded.engine.version);
        }
    }
}

/// Elasticsearch 7.17 says so in an answer of success, the others refuse.
#[tokio::test]
async fn a_repository_that_is_not_there_is_told_whoever_is_asked() {
    for recorded in exchanges::all() {
        let reply: Reply = recorded.get("repo-missing-list").into();
        let server = Server::answering(move |_| reply.clone()).await;
        let client = server.client();
        let repository = Repository {
            name: "norepo",
            ..repository(&client, recorded.engine)
        };
        for error in [
            repository.list(Details::Without).await.unwrap_err(),
            repository.get("s", Details::Without).await.unwrap_err(),
            repository
                .find("latest", Details::Without)
                .await
                .unwrap_err(),
        ] {
            assert_eq!(
                error.to_string(),
                "no repository `norepo` is registered in the cluster",
                "{}",
                recorded.engine
            );
        }
    }
}

/// In both shapes in which an answer of success can say that there is none.
#[tokio::test]
async fn a_repository_that_cannot_be_read_is_neither_missing_nor_empty() {
    let engine = exchanges::all()[0].engine;
    let why = json!({"type": "repository_exception", "reason": "[sts-backup] could not read repository data from index blob",
        "caused_by": {"type": "i_o_exception", "reason": "Connection refused"}});
    for answer in [
        json!({"snapshots": [], "failures": {"sts-backup": why}, "total": 0, "remaining": 0}),
        json!({"responses": [{"repository": "sts-backup", "error": why}]}),
    ] {
        let error = list(engine, Reply::good(&answer.to_string())).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(error.unwrap_err(), @"the cluster refused to list the snapshots of `sts-backup`: [sts-backup] could not read repository data from index blob: nobody listens at the endpoint of the repository (Connection refused)");
        }
    }
}

#[tokio::test]
async fn a_snapshot_that_is_not_there_is_told_with_the_nearest_names() {
    for recorded in exchanges::all() {
        let asked = "GET /_snapshot/sts-backup/sts-backup-20221124-0330";
        let routes = [
            (LIST, recorded.get("list").into()),
            (asked, recorded.get("get-missing").into()),
        ];
        let server = Server::knowing(&routes).await;
        let client = server.client();
        let repository = repository(&client, recorded.engine);
        let name = "sts-backup-20221124-0330";
        let found = repository.get(name, Details::Without).await.unwrap();
        assert_eq!(found, None);
        let error = repository.find(name, Details::Without).await.unwrap_err();
        let Error::UnknownSnapshot { nearest, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(
            nearest,
            ["sts-backup-20221124-0300", "sts-backup-20221123-0300"]
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_list_is_told() {
    let engine = exchanges::opensearch().engine;
    let error = list(engine, Reply::good(r#"{"acknowledged":true}"#))
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @r#"the cluster answered something else than expected when asked to list the snapshots of `sts-backup`: {"acknowledged":true}"#);
}
