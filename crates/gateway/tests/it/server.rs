//! The server in process, driven by a real S3 client over HTTP, and by hand where that client cannot misbehave.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use lifeboat_gateway::server::Error;
use lifeboat_gateway::{Config, Server};
use object_store::aws::Checksum;
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _,
    PutMode, PutOptions, PutPayload, WriteMultipart,
};
use tempfile::TempDir;

use crate::gateway::{Gateway, config, local, path};

#[tokio::test]
async fn a_client_puts_reads_lists_and_deletes() {
    let gateway = Gateway::start().await;
    let client = gateway.client();
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, AttributeValue::from("text/plain"));
    attributes.insert(
        Attribute::Metadata("owner".into()),
        AttributeValue::from("graph"),
    );
    let options = PutOptions {
        attributes: attributes.clone(),
        ..PutOptions::default()
    };
    client
        .put_opts(&path("a/b c/é.txt"), "hello".into(), options)
        .await
        .unwrap();
    client.put(&path("a/other"), "x".into()).await.unwrap();
    let got = client.get(&path("a/b c/é.txt")).await.unwrap();
    assert_eq!(got.attributes, attributes);
    assert_eq!(got.meta.size, 5);
    assert_eq!(got.bytes().await.unwrap(), Bytes::from_static(b"hello"));
    assert_eq!(
        client.get_range(&path("a/b c/é.txt"), 1..3).await.unwrap(),
        Bytes::from_static(b"el")
    );
    let options = GetOptions {
        range: Some(GetRange::Suffix(2)),
        ..GetOptions::default()
    };
    let suffix = client
        .get_opts(&path("a/b c/é.txt"), options)
        .await
        .unwrap();
    assert_eq!(suffix.bytes().await.unwrap(), Bytes::from_static(b"lo"));
    let keys: Vec<_> = client
        .list(None)
        .map_ok(|meta| meta.location.to_string())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(keys, ["a/b c/é.txt", "a/other"]);
    let level = client.list_with_delimiter(Some(&path("a"))).await.unwrap();
    assert_eq!(level.common_prefixes, [path("a/b c")]);
    assert_eq!(level.objects.len(), 1);
    let all = futures::stream::iter([Ok(path("a/b c/é.txt")), Ok(path("a/other"))]).boxed();
    let deleted: Vec<_> = client.delete_stream(all).try_collect().await.unwrap();
    assert_eq!(deleted.len(), 2);
    let missing = client.get(&path("a/other")).await;
    assert!(matches!(missing, Err(object_store::Error::NotFound { .. })));
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_uploads_in_parts() {
    let gateway = Gateway::start().await;
    let client = gateway.client();
    let bytes: Vec<u8> = (0..12_000_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let upload = client.put_multipart(&path("big")).await.unwrap();
    let mut writer = WriteMultipart::new_with_chunk_size(upload, 5 * 1024 * 1024);
    writer.write(&bytes);
    writer.finish().await.unwrap();
    assert_eq!(
        client
            .get(&path("big"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        bytes
    );
    let mut aborted = client.put_multipart(&path("none")).await.unwrap();
    aborted
        .put_part(PutPayload::from_static(b"part"))
        .await
        .unwrap();
    aborted.abort().await.unwrap();
    assert!(client.head(&path("none")).await.is_err());
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_writes_on_condition_and_copies() {
    let gateway = Gateway::start().await;
    let client = gateway.client();
    let create = || PutOptions::from(PutMode::Create);
    let first = client
        .put_opts(&path("k"), "one".into(), create())
        .await
        .unwrap();
    let second = client.put_opts(&path("k"), "two".into(), create()).await;
    assert!(
        matches!(second, Err(object_store::Error::AlreadyExists { .. })),
        "{second:?}"
    );
    let update = PutOptions::from(PutMode::Update(first.into()));
    client
        .put_opts(&path("k"), "three".into(), update.clone())
        .await
        .unwrap();
    let stale = client.put_opts(&path("k"), "four".into(), update).await;
    assert!(
        matches!(stale, Err(object_store::Error::Precondition { .. })),
        "{stale:?}"
    );
    client.copy(&path("k"), &path("copy")).await.unwrap();
    assert_eq!(
        client
            .get(&path("copy"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        Bytes::from_static(b"three")
    );
    let etag = client.head(&path("copy")).await.unwrap().e_tag;
    let known = GetOptions {
        if_none_match: etag.clone(),
        ..GetOptions::default()
    };
    let known = client.get_opts(&path("copy"), known).await;
    assert!(
        matches!(known, Err(object_store::Error::NotModified { .. })),
        "{known:?}"
    );
    let wanted = GetOptions {
        if_match: etag,
        ..GetOptions::default()
    };
    assert!(client.get_opts(&path("copy"), wanted).await.is_ok());
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_sends_checksums() {
    let gateway = Gateway::start().await;
    let client = gateway
        .builder()
        .with_checksum_algorithm(Checksum::SHA256)
        .build()
        .unwrap();
    client.put(&path("k"), "content".into()).await.unwrap();
    assert_eq!(
        client.get(&path("k")).await.unwrap().bytes().await.unwrap(),
        Bytes::from_static(b"content")
    );
    gateway.stop().await;
}

#[tokio::test]
async fn wrong_keys_and_missing_buckets_are_refused() {
    let gateway = Gateway::start().await;
    let wrong = gateway
        .builder()
        .with_secret_access_key("another")
        .build()
        .unwrap();
    let error = wrong.put(&path("k"), "x".into()).await.unwrap_err();
    assert!(
        format!("{error:?}").contains("SignatureDoesNotMatch"),
        "{error:?}"
    );
    let unknown = gateway
        .builder()
        .with_access_key_id("nobody")
        .build()
        .unwrap();
    let error = unknown.get(&path("k")).await.unwrap_err();
    assert!(
        format!("{error:?}").contains("InvalidAccessKeyId"),
        "{error:?}"
    );
    let elsewhere = gateway
        .builder()
        .with_bucket_name("missing")
        .build()
        .unwrap();
    let error = elsewhere.put(&path("k"), "x".into()).await.unwrap_err();
    assert!(format!("{error:?}").contains("NoSuchBucket"), "{error:?}");
    assert_eq!(
        fs::read_dir(gateway.volume.path().join("bucket"))
            .unwrap()
            .count(),
        0
    );
    gateway.stop().await;
}

#[tokio::test]
async fn nobody_is_served_without_a_signature() {
    let gateway = Gateway::start().await;
    for request in [
        "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
        "GET /bucket?list-type=2 HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n",
        "PUT /bucket/k HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx",
        "POST /bucket?delete HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx",
    ] {
        let answer = gateway.raw(request).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("AccessDenied"), "{answer}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_cut_off_in_the_middle_leaves_nothing() {
    let gateway = Gateway::start().await;
    let client = gateway.client();
    let url = object_store::signer::Signer::signed_url(
        &client,
        http::Method::PUT,
        &path("cut"),
        std::time::Duration::from_mins(10),
    )
    .await
    .unwrap();
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let head =
        format!("PUT {target} HTTP/1.1\r\nhost: {{host}}\r\ncontent-length: 9000000\r\n\r\n");
    let request = head.replace("{host}", &gateway.address.to_string());
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(&vec![b'x'; 2_000_000]).unwrap();
    drop(stream);
    let volume = gateway.stop_keeping_volume().await;
    let volume = volume.path();
    assert_eq!(fs::read_dir(volume.join("bucket")).unwrap().count(), 0);
    assert_eq!(
        fs::read_dir(volume.join(".lifeboat/tmp")).unwrap().count(),
        0
    );
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let gateway = Gateway::start().await;
    let client = gateway.client();
    let url = object_store::signer::Signer::signed_url(
        &client,
        http::Method::PUT,
        &path("late"),
        std::time::Duration::from_mins(10),
    )
    .await
    .unwrap();
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: {}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n",
        gateway.address
    );
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    let (mut stream, goes_on) = tokio::task::spawn_blocking(move || {
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 25];
        stream.read_exact(&mut answer).unwrap();
        (stream, String::from_utf8_lossy(&answer).into_owned())
    })
    .await
    .unwrap();
    assert!(goes_on.starts_with("HTTP/1.1 100"), "{goes_on}");
    gateway.stop.send(()).unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        stream.write_all(b"late").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    gateway.running.await.unwrap().unwrap();
    assert_eq!(
        fs::read(gateway.volume.path().join("bucket/late")).unwrap(),
        b"late"
    );
}

#[tokio::test]
async fn a_gateway_that_cannot_start_says_what_to_do() {
    let volume = TempDir::new().unwrap();
    let none = Config {
        credentials: Vec::new(),
        ..config()
    };
    let error = Server::bind(none, local(&volume)).await.unwrap_err();
    assert!(error.to_string().contains("minio.accessKey"), "{error}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let busy = Config { listen, ..config() };
    let error = Server::bind(busy, local(&volume)).await.unwrap_err();
    assert!(
        matches!(error, Error::Listen { .. }) && error.to_string().contains(&listen.to_string()),
        "{error}"
    );
    let bad = Config {
        buckets: vec!["Not A Bucket".to_owned()],
        ..config()
    };
    let error = Server::bind(bad, local(&volume)).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("Not A Bucket"), "{cause}");
}
