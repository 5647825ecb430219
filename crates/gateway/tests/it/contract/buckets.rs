//! Buckets and the listings of what is in them.

use lifeboat_gateway::backend::Error;
use lifeboat_gateway::backend::listing::{Entry, ListQuery};

use crate::support::{Place, all_keys, begin, delete, keys, put, read};

pub(super) async fn lists_in_byte_order_with_prefix_and_delimiter(place: &dyn Place) {
    for key in ["a!", "a/b", "a/c/d", "a0", "b/c", "é", "B"] {
        put(place, key, key).await.unwrap();
    }
    assert_eq!(
        all_keys(place).await,
        ["B", "a!", "a/b", "a/c/d", "a0", "b/c", "é"]
    );
    let query = ListQuery {
        delimiter: Some("/".to_owned()),
        limit: 100,
        ..ListQuery::default()
    };
    assert_eq!(
        keys(place, &query).await,
        ["B", "a!", "a/", "a0", "b/", "é"]
    );
    let page = place.backend().list(place.bucket(), &query).await.unwrap();
    let prefixes = page
        .entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Prefix(_)));
    assert_eq!(prefixes.count(), 2);
    let query = ListQuery {
        prefix: "a/".to_owned(),
        ..query
    };
    assert_eq!(keys(place, &query).await, ["a/b", "a/c/"]);
    let query = ListQuery {
        prefix: "nothing/here".to_owned(),
        ..query
    };
    assert!(keys(place, &query).await.is_empty());
    assert!(matches!(
        place.backend().list("no-such-bucket", &query).await,
        Err(Error::NoSuchBucket { .. })
    ));
}

pub(super) async fn pages_through_a_listing(place: &dyn Place) {
    let mut expected = Vec::new();
    for number in 0..25 {
        let key = format!("d{}/k{number:02}", number % 3);
        put(place, &key, "x").await.unwrap();
        expected.push(key);
    }
    expected.sort();
    let mut found = Vec::new();
    let mut query = ListQuery {
        limit: 4,
        ..ListQuery::default()
    };
    loop {
        let page = place.backend().list(place.bucket(), &query).await.unwrap();
        found.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
        query.after = found.last().cloned();
        if !page.truncated {
            break;
        }
    }
    assert_eq!(found, expected);
}

pub(super) async fn lists_a_common_prefix_on_one_page_only(place: &dyn Place) {
    for key in ["a/1", "a/2", "a/3/4", "b", "c/1"] {
        put(place, key, "x").await.unwrap();
    }
    let mut found = Vec::new();
    let mut query = ListQuery {
        delimiter: Some("/".to_owned()),
        limit: 1,
        ..ListQuery::default()
    };
    loop {
        let page = place.backend().list(place.bucket(), &query).await.unwrap();
        assert!(page.entries.len() <= 1);
        found.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
        query.after = found.last().cloned();
        if !page.truncated {
            break;
        }
    }
    assert_eq!(found, ["a/", "b", "c/"]);
}

pub(super) async fn manages_buckets(place: &dyn Place) {
    assert!(matches!(
        place.backend().create_bucket(place.bucket()).await,
        Err(Error::BucketExists { .. })
    ));
    assert!(matches!(
        place.backend().create_bucket("../out").await,
        Err(Error::InvalidBucketName { .. })
    ));
    let another = place.another();
    place.backend().create_bucket(&another).await.unwrap();
    let names = async || {
        // Others share the store.
        let buckets = place.backend().buckets().await.unwrap();
        buckets
            .into_iter()
            .map(|bucket| bucket.name)
            .filter(|name| name.starts_with(place.bucket()))
            .collect::<Vec<_>>()
    };
    assert_eq!(names().await, [place.bucket(), &another]);
    put(place, "deep/down/object", "x").await.unwrap();
    assert!(matches!(
        place.backend().delete_bucket(place.bucket()).await,
        Err(Error::BucketNotEmpty { .. })
    ));
    assert_eq!(read(place, "deep/down/object").await.unwrap(), "x");
    delete(place, "deep/down/object").await.unwrap();
    let upload = begin(place, "u").await.unwrap();
    place.backend().delete_bucket(place.bucket()).await.unwrap();
    assert_eq!(names().await, [another.as_str()]);
    assert!(matches!(
        place.backend().bucket(place.bucket()).await,
        Err(Error::NoSuchBucket { .. })
    ));
    assert!(matches!(
        place.backend().delete_bucket(place.bucket()).await,
        Err(Error::NoSuchBucket { .. })
    ));
    assert!(matches!(
        put(place, "k", "x").await,
        Err(Error::NoSuchBucket { .. })
    ));
    assert!(matches!(
        place.backend().abort_upload(&place.at("u"), &upload).await,
        Err(Error::NoSuchUpload { .. } | Error::NoSuchBucket { .. })
    ));
}
