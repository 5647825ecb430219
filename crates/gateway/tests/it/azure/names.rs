//! Keys that Azure would change or refuse as names, and metadata likewise.

use std::collections::BTreeMap;

use lifeboat_gateway::backend::listing::ListQuery;
use lifeboat_gateway::backend::options::{CopyOptions, PutOptions, ReadOptions};
use lifeboat_gateway::backend::{Attributes, Error, ObjectPath};

use super::account::Account;
use crate::support::{
    Place as _, all_keys, assert_carries, begin, content, delete, head, keys, put, put_part, read,
};

const ODD: [&str; 19] = [
    "/",
    "//a",
    "/a",
    "a b+c%20?#&=é😀",
    "a!~5Cb",
    "a!~",
    "a.",
    "a./b",
    "a/",
    "a//b",
    "a/./b",
    "a/../b",
    "a\\b",
    "a\u{1}\u{7f}b",
    "a\u{e000}",
    " a ",
    ".",
    "..",
    "...",
];

#[tokio::test]
async fn keys_that_azure_would_change_are_kept_faithfully() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    for key in ODD {
        put(&account, key, key).await.unwrap();
    }
    for key in ODD {
        assert_eq!(read(&account, key).await.unwrap(), key);
        let copy = format!("copy of {key}");
        account
            .backend()
            .copy(&account.at(key), &account.at(&copy), CopyOptions::default())
            .await
            .unwrap();
        assert_eq!(read(&account, &copy).await.unwrap(), key);
        delete(&account, &copy).await.unwrap();
    }
    let mut found = all_keys(&account).await;
    found.sort();
    let mut expected = ODD.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
    for prefix in ["a", "a.", "a/.", "/", ".", "a\\", "a!"] {
        let query = ListQuery {
            prefix: prefix.to_owned(),
            limit: 1000,
            ..ListQuery::default()
        };
        let mut found = keys(&account, &query).await;
        found.sort();
        let begun: Vec<_> = expected
            .iter()
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect();
        assert_eq!(found, begun, "{prefix}");
    }
    for key in ODD {
        delete(&account, key).await.unwrap();
    }
    assert!(all_keys(&account).await.is_empty());
}

#[tokio::test]
async fn uploads_to_odd_keys_become_objects() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    for key in ["a/..", "x\\y", "é😀 "] {
        let upload = begin(&account, key).await.unwrap();
        let part = put_part(&account, key, &upload, 1, content("bytes")).await;
        let listed = account
            .backend()
            .uploads(account.bucket(), "")
            .await
            .unwrap();
        assert_eq!((listed[0].key.as_str(), &listed[0].id), (key, &upload));
        super::uploads::complete(&account, key, &upload, &[part.unwrap()])
            .await
            .unwrap();
        assert_eq!(read(&account, key).await.unwrap(), "bytes");
    }
}

#[tokio::test]
async fn what_is_the_gateways_own_can_be_neither_read_nor_written() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let upload = begin(&account, "k").await.unwrap();
    put_part(&account, "k", &upload, 1, content("x"))
        .await
        .unwrap();
    for key in [".lifeboat/uploads/x", "minio.sys.tmp/x"] {
        assert!(matches!(
            put(&account, key, "x").await,
            Err(Error::InvalidKey { .. })
        ));
        assert!(matches!(
            head(&account, key).await,
            Err(Error::InvalidKey { .. })
        ));
        assert!(delete(&account, key).await.is_err());
    }
    for (prefix, delimiter) in [
        ("", None),
        ("", Some("/")),
        (".life", None),
        (".lifeboat/", None),
    ] {
        let query = ListQuery {
            prefix: prefix.to_owned(),
            delimiter: delimiter.map(str::to_owned),
            limit: 10,
            ..ListQuery::default()
        };
        assert!(keys(&account, &query).await.is_empty(), "{prefix}");
    }
}

#[tokio::test]
async fn metadata_of_any_name_and_value_is_given_back() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let user = [
        ("plain", "value"),
        ("with-dash", "1"),
        ("with_underscore", "2"),
        ("a1", "digits sort"),
        ("a_b", "after underscores"),
        ("a-_b", "both"),
        ("9lives", "begins with a digit"),
        ("dots.in.it", "x"),
        ("md5sum", "not the etag"),
        ("lifeboat", "not the record"),
        ("empty", ""),
        ("blanks", "  two  "),
        ("é", "graph é 😀\n"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = [
        ("cache-control", "no-store"),
        ("content-disposition", "attachment; filename=\"é.txt\""),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("content-type", "text/plain"),
        ("expires", "Wed, 25 Nov 2026 08:32:28 GMT"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let attributes = Attributes {
        headers: BTreeMap::from(headers),
        user: BTreeMap::from(user),
    };
    let options = PutOptions {
        attributes: attributes.clone(),
        ..PutOptions::default()
    };
    account
        .backend()
        .put(&account.at("k"), options, content("x"))
        .await
        .unwrap();
    let info = head(&account, "k").await.unwrap();
    assert_carries(&info, &attributes);
    // A copy onto itself that says other things of the content is one step too.
    let other = Attributes {
        headers: BTreeMap::from([("content-type".to_owned(), "text/html".to_owned())]),
        user: BTreeMap::from([("day".to_owned(), "monday".to_owned())]),
    };
    let options = CopyOptions {
        attributes: Some(other.clone()),
        ..CopyOptions::default()
    };
    let copied = account
        .backend()
        .copy(&account.at("k"), &account.at("k"), options)
        .await
        .unwrap();
    let after = head(&account, "k").await.unwrap();
    assert_eq!(after.attributes, other);
    assert_eq!((&after.etag, &copied.etag), (&info.etag, &info.etag));
    assert_eq!(read(&account, "k").await.unwrap(), "x");
}

#[tokio::test]
async fn metadata_without_room_is_refused() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let options = PutOptions {
        attributes: Attributes {
            user: BTreeMap::from([("x".to_owned(), "y".repeat(2048))]),
            ..Attributes::default()
        },
        ..PutOptions::default()
    };
    let refused = account
        .backend()
        .put(&account.at("k"), options, content("x"))
        .await;
    assert!(matches!(
        refused,
        Err(Error::MetadataTooLarge { bytes: 2049 })
    ));
}

#[tokio::test]
async fn buckets_that_cannot_be_containers_are_refused_by_name() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    for bucket in ["with.dots", "two--hyphens"] {
        assert!(matches!(
            account.backend().create_bucket(bucket).await,
            Err(Error::InvalidBucketName { .. })
        ));
        let path = ObjectPath::new(bucket, "k").unwrap();
        let read = account.backend().head(&path, &ReadOptions::default()).await;
        assert!(matches!(read, Err(Error::NoSuchBucket { .. })));
    }
}
