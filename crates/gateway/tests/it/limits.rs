//! What the gateway does not let clients do to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use lifeboat_gateway::Config;
use object_store::ObjectStoreExt as _;

use crate::gateway::{Gateway, config, path, raw};

/// Sends the beginning of a request and waits until it is asked for the rest.
async fn begin(address: SocketAddr, head: String) -> TcpStream {
    let request = format!("{head}expect: 100-continue\r\n\r\n");
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut goes_on = [0; 25];
        stream.read_exact(&mut goes_on).unwrap();
        assert!(goes_on.starts_with(b"HTTP/1.1 100"));
        stream
    })
    .await
    .unwrap()
}

async fn end(mut stream: TcpStream, body: Vec<u8>) -> String {
    tokio::task::spawn_blocking(move || {
        stream.write_all(&body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_request_that_finds_no_memory_left_is_told_to_slow_down() {
    let gateway = Gateway::start_with(Config {
        memory: 256 * 1024,
        memory_patience: Duration::from_millis(20),
        ..config()
    })
    .await;
    let length = 2_000_000;
    let head = gateway.signed(http::Method::PUT, "first").await;
    let head = format!("{head}connection: close\r\ncontent-length: {length}\r\n");
    let first = begin(gateway.address, head).await;
    // The second sends all of its content before it looks at the answer, as most clients do.
    let head = gateway.signed(http::Method::PUT, "second").await;
    let mut second =
        format!("{head}connection: close\r\ncontent-length: {length}\r\n\r\n").into_bytes();
    second.resize(second.len() + length, b'x');
    let answer = raw(gateway.address, second).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: 1"), "{answer}");
    assert!(
        answer.contains("<Code>SlowDown</Code>") && answer.ends_with("</Error>"),
        "{answer}"
    );
    let metrics = gateway.monitored("/metrics").await;
    for line in [
        "memory_refused_total 1",
        "memory_used_bytes 262144",
        "errors_total{code=\"SlowDown\"} 1",
    ] {
        assert!(
            metrics.contains(&format!("lifeboat_gateway_{line}\n")),
            "{line}\n{metrics}"
        );
    }
    let answer = end(first, vec![b'x'; length]).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let client = gateway.impatient().build().unwrap();
    assert!(client.head(&path("second")).await.is_err());
    assert_eq!(client.head(&path("first")).await.unwrap().size, 2_000_000);
    let metrics = gateway.monitored("/metrics").await;
    assert!(
        metrics.contains("lifeboat_gateway_memory_used_bytes 0\n"),
        "{metrics}"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn more_than_fits_into_one_request_is_refused_by_its_length_alone() {
    let gateway = Gateway::start().await;
    let head = gateway.signed(http::Method::PUT, "huge").await;
    let request = format!("{head}connection: close\r\ncontent-length: 5368709121\r\n\r\n");
    let answer = gateway.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("<Code>EntityTooLarge</Code>"), "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn forms_and_old_signatures_are_refused_before_anything_is_read() {
    let gateway = Gateway::start().await;
    let form = "POST /bucket HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 900000000\r\n\
                content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n";
    let answer = gateway.raw(form).await;
    assert!(answer.starts_with("HTTP/1.1 501"), "{answer}");
    for request in [
        "GET /bucket HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nauthorization: AWS lifeboat:c2lnbmF0dXJl\r\n\r\n",
        "GET /bucket/k?AWSAccessKeyId=lifeboat&Expires=9999999999&Signature=abc HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
    ] {
        let answer = gateway.raw(request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("version 4"), "{answer}");
    }
    gateway.stop().await;
}
