//! The second port: health, readiness, metrics, and what they say of requests.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_gateway::Config;
use lifeboat_gateway::backends::s3::{Options, Patience, S3};
use object_store::ObjectStoreExt as _;
use tempfile::TempDir;

use crate::gateway::{Gateway, config, path, raw};
use crate::remote::{options_behind, quick};
use crate::support::wall_clock;

/// The value of the first sample that begins so.
fn sample(metrics: &str, beginning: &str) -> f64 {
    let line = metrics
        .lines()
        .find(|line| line.starts_with(beginning))
        .unwrap_or_else(|| panic!("no `{beginning}` in\n{metrics}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn a_gateway_says_that_it_lives_and_is_ready() {
    let gateway = Gateway::start().await;
    let answer = gateway.monitored("/-/healthy").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("healthy\n"),
        "{answer}"
    );
    gateway
        .wait_for("/-/ready", |answer| answer.starts_with("HTTP/1.1 200"))
        .await;
    let answer = gateway.monitored("/anything").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let post = b"POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec();
    let answer = raw(gateway.monitor.unwrap(), post).await;
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn metrics_count_what_clients_do() {
    let gateway = Gateway::start().await;
    let client = gateway.client();
    client.put(&path("k"), "content".into()).await.unwrap();
    assert_eq!(
        client.get(&path("k")).await.unwrap().bytes().await.unwrap(),
        "content"
    );
    client.get(&path("none")).await.unwrap_err();
    let metrics = gateway
        .wait_for("/metrics", |metrics| {
            metrics.contains("lifeboat_gateway_requests_running 0")
                && metrics.contains("lifeboat_gateway_store_up 1")
        })
        .await;
    let value = |name: &str| sample(&metrics, &format!("lifeboat_gateway_{name}"));
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"));
    assert!(value("requests_total{operation=\"PutObject\",status=\"200\"}") >= 1.0);
    assert!(value("requests_total{operation=\"GetObject\",status=\"404\"}") >= 1.0);
    assert!(value("request_duration_seconds_count{operation=\"PutObject\"}") >= 1.0);
    assert!(value("errors_total{code=\"NoSuchKey\"}") >= 1.0);
    assert!(value("received_bytes_total") >= 7.0);
    assert!(value("sent_bytes_total") >= 7.0);
    assert!(value("volume_size_bytes") > value("volume_free_bytes"));
    assert!(value("connections") >= 1.0);
    assert!(value("memory_used_bytes") < 1.0);
    assert!(value("open_uploads") < 1.0);
    gateway.stop().await;
}

#[tokio::test]
async fn an_answer_has_an_id_of_its_own() {
    let gateway = Gateway::start().await;
    let request = "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n";
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = gateway.raw(request).await;
        let id = answer
            .lines()
            .find_map(|line| line.strip_prefix("x-amz-request-id: "));
        ids.push(id.unwrap().to_owned());
    }
    assert!(ids[0].len() == 16 && ids[0] != ids[1], "{ids:?}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_drains_is_not_ready_while_it_finishes() {
    let gateway = Gateway::start().await;
    let head = gateway.signed(http::Method::PUT, "late").await;
    let head = format!("{head}expect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    let mut stream = tokio::task::spawn_blocking(move || {
        stream.write_all(head.as_bytes()).unwrap();
        let mut goes_on = [0; 25];
        stream.read_exact(&mut goes_on).unwrap();
        stream
    })
    .await
    .unwrap();
    gateway
        .wait_for("/-/ready", |answer| answer.starts_with("HTTP/1.1 200"))
        .await;
    let Gateway {
        stop,
        running,
        monitor,
        volume,
        ..
    } = gateway;
    stop.send(()).unwrap();
    let ready = b"GET /-/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec();
    let ending = async {
        loop {
            let answer = raw(monitor.unwrap(), ready.clone()).await;
            if answer.starts_with("HTTP/1.1 503") {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(Duration::from_mins(1), ending)
        .await
        .unwrap();
    assert!(
        answer.ends_with("not ready: the gateway is ending\n"),
        "{answer}"
    );
    let answer = tokio::task::spawn_blocking(move || {
        stream.write_all(b"late").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    running.await.unwrap().unwrap();
    drop(volume);
}

#[tokio::test]
async fn a_gateway_whose_store_has_gone_is_not_ready_and_says_why() {
    let store = Gateway::start().await;
    let options = Options {
        patience: Patience {
            attempts: 1,
            ..quick()
        },
        ..options_behind(&store)
    };
    let backend = Arc::new(S3::open(options, wall_clock()).unwrap());
    let config = Config {
        probe: Duration::from_millis(20),
        ..config()
    };
    let gateway = Gateway::start_on(TempDir::new().unwrap(), backend, config).await;
    gateway
        .wait_for("/-/ready", |answer| answer.starts_with("HTTP/1.1 200"))
        .await;
    store.stop().await;
    let answer = gateway
        .wait_for("/-/ready", |answer| answer.starts_with("HTTP/1.1 503"))
        .await;
    assert!(answer.contains("not ready: the store "), "{answer}");
    // The silence may be noticed before the first question has failed.
    gateway
        .wait_for("/-/ready", |answer| {
            answer.contains("not ready: the store does not answer: ")
        })
        .await;
    let client = gateway.impatient().build().unwrap();
    client.get(&path("k")).await.unwrap_err();
    let metrics = gateway.monitored("/metrics").await;
    for line in ["store_up 0", "upstream_errors_total 1"] {
        let line = format!("lifeboat_gateway_{line}\n");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    gateway.stop().await;
}
