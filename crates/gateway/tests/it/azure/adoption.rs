//! Blobs that MinIO's gateway of 2021 wrote, seen through ours: with the etags that it answered, which its own listings did
//! not show.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lifeboat_gateway::backend::listing::{Entry, ListQuery};
use lifeboat_gateway::backend::options::{CopyOptions, ReadOptions};
use lifeboat_gateway::backends::azure::Azure;
use lifeboat_testkit::servers::minio::{self, Mode};
use lifeboat_testkit::{scratch, skip};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::multipart::MultipartStore as _;
use object_store::{Attribute, Attributes, ObjectStore as _, ObjectStoreExt as _, PutOptions};

use super::account::{Account, azurite, options};
use crate::support::{Place as _, head, put, read, wall_clock};

const FULL: usize = 5 * 1024 * 1024;

fn client(endpoint: &str, keys: lifeboat_testkit::servers::Keys, bucket: &str) -> AmazonS3 {
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id(keys.access)
        .with_secret_access_key(keys.secret)
        .with_bucket_name(bucket)
        .build()
        .unwrap()
}

fn unquoted(etag: Option<String>) -> String {
    etag.unwrap().trim_matches('"').to_owned()
}

/// Has their gateway write objects in every way, and returns their keys with the etags that it answered.
async fn write(theirs: &AmazonS3) -> Vec<(&'static str, String)> {
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/plain"),
        (Attribute::Metadata("mtime".into()), "1600000000.5"),
        (Attribute::Metadata("s3cmd-attrs_x".into()), "uid:0"),
    ]);
    let mut answered = Vec::new();
    // One call of theirs, and a list of blocks.
    for (key, size) in [("a/small", 300), ("b/empty", 0), ("c/blocks", 3_000_000)] {
        let options = PutOptions {
            attributes: attributes.clone(),
            ..PutOptions::default()
        };
        let bytes = Bytes::from(vec![b'x'; size]);
        let put = theirs.put_opts(&key.into(), bytes.into(), options).await;
        answered.push((key, unquoted(put.unwrap().e_tag)));
    }
    let upload = theirs
        .create_multipart(&"d/multipart".into())
        .await
        .unwrap();
    let mut parts = Vec::new();
    for (index, size) in [(0, FULL), (1, 17)] {
        let bytes = Bytes::from(vec![b'y'; size]);
        let part = theirs
            .put_part(&"d/multipart".into(), &upload, index, bytes.into())
            .await;
        parts.push(part.unwrap());
    }
    // What was begun and never completed is no object.
    theirs
        .create_multipart(&"d/unfinished".into())
        .await
        .unwrap();
    let done = theirs
        .complete_multipart(&"d/multipart".into(), &upload, parts)
        .await;
    answered.push(("d/multipart", unquoted(done.unwrap().e_tag)));
    answered
}

#[tokio::test]
async fn blobs_of_minios_gateway_show_the_etags_that_it_answered() {
    let Some(azurite) = azurite() else {
        return;
    };
    let work = scratch::folder(Path::new(env!("CARGO_TARGET_TMPDIR")), "minio-azure").unwrap();
    let minio = match minio::start_2021(work.path(), Mode::Azure(&azurite.server)) {
        Ok(minio) => minio,
        Err(error) => {
            skip!("no MinIO of 2021: {error:#}");
            return;
        }
    };
    let azure = Azure::open(options(azurite.server.endpoint()), wall_clock()).unwrap();
    let account = Account::new(azure, Arc::clone(&azurite)).await;
    let theirs = client(minio.endpoint(), minio.keys(), account.bucket());
    let answered = write(&theirs).await;
    assert!(answered[3].1.ends_with("-2"));

    for (key, etag) in &answered {
        let info = head(&account, key).await.unwrap();
        assert_eq!(&info.etag, etag, "HEAD {key}");
        let opened = account
            .backend()
            .get(&account.at(key), &ReadOptions::default())
            .await
            .unwrap();
        assert_eq!(&opened.info.etag, etag, "GET {key}");
    }
    let query = ListQuery {
        limit: 100,
        ..ListQuery::default()
    };
    let page = account
        .backend()
        .list(account.bucket(), &query)
        .await
        .unwrap();
    let listed: Vec<_> = page
        .entries
        .iter()
        .map(|entry| match entry {
            Entry::Object { key, info } => (key.as_str(), info.etag.clone()),
            Entry::Prefix(prefix) => panic!("{prefix}"),
        })
        .collect();
    assert_eq!(listed, answered);

    let info = head(&account, "a/small").await.unwrap();
    assert_eq!(info.attributes.headers["content-type"], "text/plain");
    assert_eq!(info.attributes.user["mtime"], "1600000000.5");
    assert_eq!(info.attributes.user["s3cmd-attrs_x"], "uid:0");
    assert_eq!(info.attributes.user.len(), 2);
    // A copy keeps the etag too.
    let copied = account
        .backend()
        .copy(
            &account.at("d/multipart"),
            &account.at("copy"),
            CopyOptions::default(),
        )
        .await
        .unwrap();
    assert_eq!(copied.etag, answered[3].1);
    assert_eq!(
        read(&account, "d/multipart").await.unwrap().len(),
        FULL + 17
    );

    // And back: the old gateway shows what ours answered.
    let ours = put(&account, "e/ours", "bytes of ours").await.unwrap();
    let seen = theirs.head(&"e/ours".into()).await.unwrap();
    assert_eq!(unquoted(seen.e_tag), ours.etag);
    let seen = theirs.head(&"copy".into()).await.unwrap();
    assert_eq!(unquoted(seen.e_tag), copied.etag);
    minio.stop().unwrap();
}
