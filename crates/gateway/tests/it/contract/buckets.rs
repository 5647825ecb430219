//! Buckets and the listings of what is in them.

use lifeboat_gateway::backend::listing::{Entry, ListQuery};
use lifeboat_gateway::backend::{Backend, Error};

use crate::support::{all_keys, at, begin, delete, keys, put, read};

pub(super) async fn lists_in_byte_order_with_prefix_and_delimiter(backend: &dyn Backend) {
    for key in ["a", "a!", "a/b", "a/b/c", "a0", "b/c", "é", "B"] {
        put(backend, key, key).await.unwrap();
    }
    assert_eq!(
        all_keys(backend).await,
        ["B", "a", "a!", "a/b", "a/b/c", "a0", "b/c", "é"]
    );
    let query = ListQuery {
        delimiter: Some("/".to_owned()),
        limit: 100,
        ..ListQuery::default()
    };
    assert_eq!(
        keys(backend, &query).await,
        ["B", "a", "a!", "a/", "a0", "b/", "é"]
    );
    let page = backend.list("bucket", &query).await.unwrap();
    let prefixes = page
        .entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Prefix(_)));
    assert_eq!(prefixes.count(), 2);
    let query = ListQuery {
        prefix: "a/b".to_owned(),
        ..query
    };
    assert_eq!(keys(backend, &query).await, ["a/b", "a/b/"]);
    let query = ListQuery {
        prefix: "nothing/here".to_owned(),
        ..query
    };
    assert!(keys(backend, &query).await.is_empty());
    assert!(matches!(
        backend.list("no-such-bucket", &query).await,
        Err(Error::NoSuchBucket { .. })
    ));
}

pub(super) async fn pages_through_a_listing(backend: &dyn Backend) {
    let mut expected = Vec::new();
    for number in 0..25 {
        let key = format!("d{}/k{number:02}", number % 3);
        put(backend, &key, "x").await.unwrap();
        expected.push(key);
    }
    expected.sort();
    let mut found = Vec::new();
    let mut query = ListQuery {
        limit: 4,
        ..ListQuery::default()
    };
    loop {
        let page = backend.list("bucket", &query).await.unwrap();
        found.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
        query.after = found.last().cloned();
        if !page.truncated {
            break;
        }
    }
    assert_eq!(found, expected);
}

pub(super) async fn manages_buckets(backend: &dyn Backend) {
    assert!(matches!(
        backend.create_bucket("bucket").await,
        Err(Error::BucketExists { .. })
    ));
    assert!(matches!(
        backend.create_bucket("../out").await,
        Err(Error::InvalidBucketName { .. })
    ));
    backend.create_bucket("another").await.unwrap();
    let names = async || {
        let buckets = backend.buckets().await.unwrap();
        buckets
            .into_iter()
            .map(|bucket| bucket.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["another", "bucket"]);
    put(backend, "deep/down/object", "x").await.unwrap();
    assert!(matches!(
        backend.delete_bucket("bucket").await,
        Err(Error::BucketNotEmpty { .. })
    ));
    assert_eq!(read(backend, "deep/down/object").await.unwrap(), "x");
    delete(backend, "deep/down/object").await.unwrap();
    let upload = begin(backend, "u").await.unwrap();
    backend.delete_bucket("bucket").await.unwrap();
    assert_eq!(names().await, ["another"]);
    assert!(matches!(
        backend.bucket("bucket").await,
        Err(Error::NoSuchBucket { .. })
    ));
    assert!(matches!(
        backend.delete_bucket("bucket").await,
        Err(Error::NoSuchBucket { .. })
    ));
    assert!(matches!(
        put(backend, "k", "x").await,
        Err(Error::NoSuchBucket { .. })
    ));
    assert!(matches!(
        backend.abort_upload(&at("u"), &upload).await,
        Err(Error::NoSuchUpload { .. })
    ));
}
