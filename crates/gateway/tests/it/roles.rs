//! Key pairs with roles, over HTTP.

use std::fs;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use lifeboat_gateway::auth::file::Users;
use lifeboat_gateway::auth::policy::Role;
use lifeboat_gateway::{Config, Credentials, Server, User};
use object_store::aws::AmazonS3;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use tempfile::TempDir;

use crate::gateway::{Gateway, config, local, path};
use crate::guard::grant;

fn user(name: &str, role: Role, prefix: &str) -> User {
    User {
        credentials: Credentials {
            access_key: name.to_owned(),
            secret_key: format!("the-secret-of-{name}"),
        },
        grants: vec![grant(role, "bucket", prefix)],
    }
}

async fn gateway() -> Gateway {
    Gateway::start_with(Config {
        users: Users::Fixed(vec![
            user("reader", Role::Read, ""),
            user("adder", Role::AppendOnly, "mine/"),
            user("writer", Role::Write, "mine/"),
        ]),
        buckets: vec!["bucket".to_owned(), "other".to_owned()],
        ..config()
    })
    .await
}

fn client(gateway: &Gateway, name: &str) -> AmazonS3 {
    gateway
        .impatient()
        .with_access_key_id(name)
        .with_secret_access_key(format!("the-secret-of-{name}"))
        .build()
        .unwrap()
}

/// Fails unless it is `AccessDenied` with words that contain `reason`.
fn assert_denied<T: std::fmt::Debug>(result: object_store::Result<T>, reason: &str) {
    let error = format!("{:?}", result.unwrap_err());
    assert!(error.contains("AccessDenied"), "{error}");
    assert!(error.contains(reason), "{error}");
}

#[tokio::test]
async fn each_key_pair_may_do_what_its_role_says() {
    let gateway = gateway().await;
    let admin = gateway.client();
    admin.put(&path("theirs"), "x".into()).await.unwrap();
    let reader = client(&gateway, "reader");
    assert_eq!(
        reader
            .get(&path("theirs"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        "x"
    );
    assert_denied(reader.put(&path("k"), "x".into()).await, "role `read`");
    let adder = client(&gateway, "adder");
    adder.put(&path("mine/k"), "one".into()).await.unwrap();
    assert_denied(adder.put(&path("mine/k"), "two".into()).await, "overwrite");
    assert_denied(
        adder.put(&path("k"), "x".into()).await,
        "only below `mine/`",
    );
    assert_denied(adder.delete(&path("mine/k")).await, "delete objects");
    assert_denied(
        adder.copy(&path("theirs"), &path("mine/copy")).await,
        "only below",
    );
    let mut upload = adder.put_multipart(&path("mine/parts")).await.unwrap();
    upload.put_part("part".into()).await.unwrap();
    upload.complete().await.unwrap();
    let mut upload = adder.put_multipart(&path("mine/k")).await.unwrap();
    upload.put_part("part".into()).await.unwrap();
    assert_denied(upload.complete().await, "overwrite");
    upload.abort().await.unwrap();
    let writer = client(&gateway, "writer");
    writer.put(&path("mine/k"), "three".into()).await.unwrap();
    let listed: Vec<_> = writer
        .list(Some(&path("mine")))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed.len(), 2);
    assert_denied(
        writer.list(None).try_collect::<Vec<_>>().await,
        "only below",
    );
    let both = futures::stream::iter([Ok(path("mine/k")), Ok(path("theirs"))]).boxed();
    let deleted: Vec<_> = writer.delete_stream(both).collect().await;
    assert!(deleted[0].is_ok(), "{deleted:?}");
    assert!(
        format!("{:?}", deleted[1]).contains("AccessDenied"),
        "{deleted:?}"
    );
    assert_eq!(
        admin
            .get(&path("theirs"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        "x"
    );
    gateway.stop().await;
}

#[tokio::test]
async fn a_signed_url_gives_no_more_than_its_key_pair_has() {
    let gateway = gateway().await;
    let reader = client(&gateway, "reader");
    let url = object_store::signer::Signer::signed_url(
        &reader,
        http::Method::PUT,
        &path("k"),
        std::time::Duration::from_mins(1),
    )
    .await
    .unwrap();
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let request = format!(
        "PUT {target} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx"
    );
    let answer = gateway.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn one_access_key_is_not_two_key_pairs() {
    let volume = TempDir::new().unwrap();
    let readers = ["", "mine/"].map(|prefix| user("reader", Role::Read, prefix));
    let twice = Config {
        users: Users::Fixed(readers.into()),
        ..config()
    };
    let error = Server::bind(twice, local(&volume)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "access key `reader` belongs to two key pairs"
    );
}

#[tokio::test]
async fn users_come_and_go_with_their_file_and_a_broken_file_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("users.yaml");
    let entry = |name: &str| {
        format!(
            "  - accessKey: {name}\n    secretKey: the-secret-of-{name}\n    grants:\n      - {{role: write, buckets: [bucket]}}\n"
        )
    };
    let write = |text: &str| {
        // As a mounted Secret changes: all at once.
        let aside = folder.path().join("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(&aside, &file).unwrap();
    };
    write(&format!("users:\n{}", entry("first")));
    let gateway = Gateway::start_with(Config {
        users: Users::File(file.clone()),
        reload: Duration::from_millis(5),
        ..config()
    })
    .await;
    let first = client(&gateway, "first");
    let second = client(&gateway, "second");
    first.put(&path("k"), "x".into()).await.unwrap();
    assert!(second.get(&path("k")).await.is_err());
    write("users: [broken");
    let failures =
        |metrics: &str| metrics.contains("lifeboat_gateway_reload_failures_total{what=\"users\"}");
    gateway.wait_for("/metrics", failures).await;
    first.get(&path("k")).await.unwrap();
    write(&format!("users:\n{}", entry("second")));
    let waiting = async { while second.get(&path("k")).await.is_err() {} };
    tokio::time::timeout(Duration::from_mins(1), waiting)
        .await
        .unwrap();
    let gone = format!("{:?}", first.get(&path("k")).await.unwrap_err());
    assert!(gone.contains("InvalidAccessKeyId"), "{gone}");
    gateway.stop().await;
}
