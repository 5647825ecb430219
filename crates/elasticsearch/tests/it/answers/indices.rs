//! Indices and data streams.

use std::fmt::Write as _;

use lifeboat_elasticsearch::indices;

use crate::exchanges;
use crate::server::{Reply, Server};

const CAT: &str = "GET /_cat/indices";
const STREAMS: &str = "GET /_data_stream";

#[tokio::test]
async fn indices_of_all_engines_are_read() {
    let mut told = String::new();
    for recorded in exchanges::all() {
        let server = Server::knowing(&[(CAT, recorded.get("cat-indices").into())]).await;
        writeln!(told, "{}", recorded.engine).unwrap();
        for index in indices::all(&server.client()).await.unwrap() {
            writeln!(
                told,
                "{} {:?} {:?} primaries {} documents {:?} size {:?}",
                index.name,
                index.status,
                index.health,
                index.primaries,
                index.documents,
                index.size
            )
            .unwrap();
        }
    }
    // The sizes were not recorded in bytes, and so are none.
    insta::assert_snapshot!(told, @r#"
    Elasticsearch 7.17.29
    restored_internal_events-2022.09.20 Open Some("green") primaries 1 documents Some(5) size None
    sts_internal_events-2022.09.20 Open Some("yellow") primaries 1 documents Some(5) size None
    Elasticsearch 8.19.21
    restored_internal_events-2022.09.20 Open Some("green") primaries 1 documents Some(5) size None
    sts_internal_events-2022.09.20 Open Some("yellow") primaries 1 documents Some(5) size None
    OpenSearch 2.19.1
    restored_internal_events-2022.09.20 Open Some("green") primaries 1 documents Some(5) size None
    sts_internal_events-2022.09.20 Open Some("yellow") primaries 1 documents Some(5) size None
    OpenSearch 3.6.0
    restored_internal_events-2022.09.20 Open Some("green") primaries 1 documents Some(5) size None
    sts_internal_events-2022.09.20 Open Some("yellow") primaries 1 documents Some(5) size None
    "#);
}

#[tokio::test]
async fn a_closed_index_has_no_documents_and_a_size_is_in_bytes() {
    let body = r#"[{"index":"b","status":"close","health":null,"pri":"3","docs.count":null,"store.size":null},
        {"index":"a","status":"open","health":"green","pri":"1","docs.count":"5","store.size":"4635"},{"odd":1},7]"#;
    let server = Server::knowing(&[(CAT, Reply::good(body))]).await;
    let found = indices::all(&server.client()).await.unwrap();
    let [a, b] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((a.size, a.documents), (Some(4635), Some(5)));
    assert_eq!((b.status, b.documents), (indices::Status::Closed, None));
    assert_eq!((b.size, &b.health, b.primaries), (None, &None, 3));
}

/// What is published of Elasticsearch for tests has no data streams, as very old servers have none.
#[tokio::test]
async fn data_streams_are_those_of_who_has_any() {
    for recorded in exchanges::all() {
        let server = Server::knowing(&[(STREAMS, recorded.get("ds-get").into())]).await;
        let found = indices::streams(&server.client()).await.unwrap();
        if recorded.engine.has_slm() {
            assert_eq!(found, []);
            continue;
        }
        let [stream] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(stream.name, "sts_k8s_logs");
        assert_eq!(
            stream.indices,
            [".ds-sts_k8s_logs-000001", ".ds-sts_k8s_logs-000002"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn data_streams_that_cannot_be_told_now_are_not_none() {
    let server = Server::knowing(&[(STREAMS, Reply::status(503, "{}"))]).await;
    assert!(indices::streams(&server.client()).await.is_err());
}

#[tokio::test]
async fn a_stream_that_was_rolled_over_tells_its_new_index() {
    let rolled = "POST /sts_k8s_logs/_rollover";
    for recorded in exchanges::all() {
        let exchange = recorded.get("ds-rollover");
        let server = Server::knowing(&[(rolled, exchange.into())]).await;
        let new = indices::roll_over(&server.client(), "sts_k8s_logs").await;
        match new {
            Ok(new) => {
                assert_eq!(exchange.status, 200);
                assert!(
                    new.starts_with(".ds-sts_k8s_logs-") && new.ends_with("-000002"),
                    "{new}"
                );
            }
            Err(error) => {
                assert_eq!(exchange.status, 400);
                insta::assert_snapshot!(error, @"the cluster refused to roll the data stream `sts_k8s_logs` over: rollover target is a [concrete index] but one of [alias,data_stream] was expected");
            }
        }
    }
}
