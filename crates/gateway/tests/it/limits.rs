//! What the gateway does not let clients do to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use lifeboat_gateway::{Config, Limits};
use object_store::ObjectStoreExt as _;

use crate::gateway::{Gateway, config, path, raw};

async fn limited(limits: Limits) -> Gateway {
    Gateway::start_with(Config { limits, ..config() }).await
}

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
    let gateway = limited(Limits {
        memory: 256 * 1024,
        memory_patience: Duration::from_millis(20),
        ..Limits::default()
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

/// Reads until the other side ends the connection, and returns how many bytes came.
async fn read_to_end(mut stream: TcpStream) -> usize {
    tokio::task::spawn_blocking(move || {
        let mut all = Vec::new();
        // A reset is an end, too.
        match stream.read_to_end(&mut all) {
            Ok(_) | Err(_) => all.len(),
        }
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_given_up() {
    let gateway = limited(Limits {
        stall: Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    // More than the buffers of both sides hold.
    let size = 64 << 20;
    let client = gateway.impatient().build().unwrap();
    client
        .put(&path("large"), vec![b'x'; size].into())
        .await
        .unwrap();
    let head = gateway.signed(http::Method::GET, "large").await;
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let metrics = gateway
        .wait_for("/metrics", |metrics| {
            metrics.contains("lifeboat_gateway_requests_total{operation=\"GetObject\"")
        })
        .await;
    assert!(
        metrics.contains("lifeboat_gateway_memory_used_bytes 0\n"),
        "{metrics}"
    );
    assert!(read_to_end(stream).await < size);
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_idle_makes_room_for_one_that_waits() {
    let gateway = limited(Limits {
        connections: 1,
        head: Duration::from_secs(1),
        ..Limits::default()
    })
    .await;
    let mut idle = TcpStream::connect(gateway.address).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", gateway.address);
    idle.write_all(request.as_bytes()).unwrap();
    // Accepted only once the first is gone, of which the one place is.
    let answer = gateway
        .raw("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(read_to_end(idle).await > 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_is_refused_before_its_body_is_told_that_the_connection_ends() {
    let gateway = Gateway::start().await;
    let address = gateway.address;
    let asks = "expect: 100-continue\r\n";
    for (expect, length, ends) in [(asks, 5_000_000, true), (asks, 0, true), ("", 0, false)] {
        // Without a signature, so nobody asks for the body.
        let head = format!(
            "PUT /bucket/key HTTP/1.1\r\nhost: {address}\r\n{expect}content-length: {length}\r\n\r\n"
        );
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            while !answer.ends_with("</Error>") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).unwrap();
                assert!(count > 0, "{answer}");
                answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
            answer
        })
        .await
        .unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert_eq!(answer.contains("connection: close"), ends, "{answer}");
    }
}

/// botocore takes an answer that no "100 Continue" came before for that of its next request on the connection, too: an
/// empty file, and the one after it loses its etag, or a failure of it passes for a success.
#[tokio::test]
async fn a_client_that_asks_before_it_sends_nothing_is_told_that_the_connection_ends() {
    let gateway = Gateway::start().await;
    let url = object_store::signer::Signer::signed_url(
        &gateway.client(),
        http::Method::PUT,
        &"empty".into(),
        Duration::from_mins(10),
    )
    .await
    .unwrap();
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    for (expect, ends) in [("expect: 100-continue\r\n", true), ("", false)] {
        let head = format!("PUT {target} HTTP/1.1\r\nhost: {}\r\n", gateway.address);
        let request = format!("{head}{expect}content-length: 0\r\n\r\n");
        let mut stream = TcpStream::connect(gateway.address).unwrap();
        let answer = tokio::task::spawn_blocking(move || {
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            while !answer.ends_with("\r\n\r\n") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).unwrap();
                assert!(count > 0, "{answer}");
                answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
            answer
        })
        .await
        .unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(answer.contains("connection: close"), ends, "{answer}");
    }
    gateway.stop().await;
}
