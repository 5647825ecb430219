//! Objects: written whole, read as asked, copied, removed.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::join_all;
use futures::{TryStreamExt as _, stream};
use lifeboat_gateway::backend::condition::{EtagMatch, ReadConditions, WriteCondition};
use lifeboat_gateway::backend::digest::{Expected, Hasher};
use lifeboat_gateway::backend::{Attributes, Backend, ByteRange, Content, CopyOptions, Error};

use crate::support::{all_keys, at, content, hex, put, read};

pub(super) async fn gives_back_what_was_put(backend: &dyn Backend) {
    let attributes = Attributes {
        headers: BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]),
        user: BTreeMap::from([("owner".to_owned(), "graph é".to_owned())]),
    };
    for size in [0, 1, 600_000, 3_000_000] {
        let bytes = Bytes::from(vec![b'x'; size]);
        let stored = backend
            .put(
                &at("a/b"),
                attributes.clone(),
                content(bytes.clone()),
                WriteCondition::None,
            )
            .await
            .unwrap();
        let mut hasher = Hasher::new(None);
        hasher.update(&bytes);
        assert_eq!(stored.etag, hex(&hasher.finish().md5));
        assert_eq!(stored.attributes, attributes);
        assert_eq!(backend.head(&at("a/b")).await.unwrap(), stored);
        assert_eq!(read(backend, "a/b").await.unwrap().len(), size);
    }
}

pub(super) async fn reads_ranges_of_an_object(backend: &dyn Backend) {
    put(backend, "k", "0123456789").await.unwrap();
    let get = async |range| {
        let opened = backend
            .get(&at("k"), Some(range), &ReadConditions::default())
            .await?;
        let pieces: Vec<Bytes> = opened.body.try_collect().await.unwrap();
        Ok::<_, Error>(String::from_utf8(pieces.concat()).unwrap())
    };
    let from = |first, last| ByteRange::From { first, last };
    assert_eq!(get(from(2, Some(4))).await.unwrap(), "234");
    assert_eq!(get(from(8, None)).await.unwrap(), "89");
    assert_eq!(get(ByteRange::Suffix { length: 3 }).await.unwrap(), "789");
    assert!(matches!(
        get(from(10, None)).await,
        Err(Error::RangeNotSatisfiable { size: 10 })
    ));
}

pub(super) async fn keeps_the_old_object_when_a_put_fails(backend: &dyn Backend) {
    put(backend, "k", "old").await.unwrap();
    let broken = || {
        let pieces = [Ok(Bytes::from_static(b"new")), Err("cut off".into())];
        Content {
            stream: Box::pin(stream::iter(pieces)),
            length: None,
            expected: Expected::default(),
        }
    };
    let short = || Content {
        length: Some(9),
        ..content("new")
    };
    let long = || Content {
        length: Some(2),
        ..content("new")
    };
    let damaged = || Content {
        expected: Expected {
            md5: Some([0; 16]),
            ..Expected::default()
        },
        ..content("new")
    };
    for content in [broken(), short(), long(), damaged()] {
        let failed = backend
            .put(
                &at("k"),
                Attributes::default(),
                content,
                WriteCondition::None,
            )
            .await;
        assert!(failed.is_err());
        assert_eq!(read(backend, "k").await.unwrap(), "old");
    }
    for content in [broken(), short(), long(), damaged()] {
        let failed = backend
            .put(
                &at("n"),
                Attributes::default(),
                content,
                WriteCondition::None,
            )
            .await;
        assert!(failed.is_err());
    }
    assert_eq!(all_keys(backend).await, ["k"]);
}

pub(super) async fn judges_conditions_of_reads(backend: &dyn Backend) {
    let etag = put(backend, "k", "x").await.unwrap().etag;
    let matches = |etag: &str| ReadConditions {
        matches: Some(EtagMatch::Exactly(etag.to_owned())),
        ..ReadConditions::default()
    };
    let differs = |etag: &str| ReadConditions {
        differs: Some(EtagMatch::Exactly(etag.to_owned())),
        ..ReadConditions::default()
    };
    assert!(backend.get(&at("k"), None, &matches(&etag)).await.is_ok());
    assert!(matches!(
        backend.get(&at("k"), None, &matches("other")).await,
        Err(Error::PreconditionFailed { .. })
    ));
    assert!(matches!(
        backend.get(&at("k"), None, &differs(&etag)).await,
        Err(Error::NotModified { .. })
    ));
    assert!(backend.get(&at("k"), None, &differs("other")).await.is_ok());
}

pub(super) async fn lets_one_of_many_creators_win(backend: &dyn Backend) {
    for round in 0..10 {
        let key = format!("race/{round}/object");
        let writers = (0..16).map(|writer| {
            let key = key.clone();
            async move {
                let content = content(format!("writer {writer}"));
                let put = backend
                    .put(
                        &at(&key),
                        Attributes::default(),
                        content,
                        WriteCondition::Absent,
                    )
                    .await;
                (writer, put)
            }
        });
        let outcomes = join_all(writers).await;
        let winners: Vec<_> = outcomes
            .iter()
            .filter(|(_, put)| put.is_ok())
            .map(|(writer, _)| *writer)
            .collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(
            read(backend, &key).await.unwrap(),
            format!("writer {}", winners[0])
        );
        let refused = outcomes
            .iter()
            .filter(|(_, put)| matches!(put, Err(Error::PreconditionFailed { .. })));
        assert_eq!(refused.count(), 15);
    }
}

pub(super) async fn lets_each_conditional_replacement_see_the_one_before(backend: &dyn Backend) {
    put(backend, "counter", "0").await.unwrap();
    let increment = async || {
        loop {
            let etag = backend.head(&at("counter")).await.unwrap().etag;
            let opened = backend
                .get(&at("counter"), None, &ReadConditions::default())
                .await
                .unwrap();
            if opened.info.etag != etag {
                continue;
            }
            let pieces: Vec<Bytes> = opened.body.try_collect().await.unwrap();
            let value: u32 = String::from_utf8(pieces.concat()).unwrap().parse().unwrap();
            let condition = WriteCondition::Matches(EtagMatch::Exactly(etag));
            let content = content((value + 1).to_string());
            match backend
                .put(&at("counter"), Attributes::default(), content, condition)
                .await
            {
                Ok(_) => return,
                Err(Error::PreconditionFailed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    join_all((0..8).map(|_| increment())).await;
    assert_eq!(read(backend, "counter").await.unwrap(), "8");
    let missing = backend
        .put(
            &at("none"),
            Attributes::default(),
            content("x"),
            WriteCondition::Matches(EtagMatch::Any),
        )
        .await;
    assert!(matches!(missing, Err(Error::NoSuchKey { .. })));
}

pub(super) async fn removes_objects_and_does_not_mind_missing_ones(backend: &dyn Backend) {
    for key in ["a", "a/b", "a/b/c", "d/"] {
        put(backend, key, key).await.unwrap();
    }
    backend.delete(&at("a/b")).await.unwrap();
    backend.delete(&at("a/b")).await.unwrap();
    backend.delete(&at("never/was")).await.unwrap();
    assert_eq!(all_keys(backend).await, ["a", "a/b/c", "d/"]);
    assert!(matches!(
        read(backend, "a/b").await,
        Err(Error::NoSuchKey { .. })
    ));
    for key in ["a", "a/b/c", "d/"] {
        backend.delete(&at(key)).await.unwrap();
    }
    assert!(all_keys(backend).await.is_empty());
    backend.delete_bucket("bucket").await.unwrap();
}

pub(super) async fn copies_with_a_record_of_its_own(backend: &dyn Backend) {
    let source = put(backend, "source", "bytes").await.unwrap();
    let attributes = Attributes {
        user: BTreeMap::from([("day".to_owned(), "monday".to_owned())]),
        ..Attributes::default()
    };
    let options = CopyOptions {
        attributes: Some(attributes.clone()),
        ..CopyOptions::default()
    };
    let copy = backend
        .copy(&at("source"), &at("deep/copy"), options)
        .await
        .unwrap();
    assert!(copy.modified > source.modified);
    assert_eq!(copy.etag, source.etag);
    assert_eq!(backend.head(&at("deep/copy")).await.unwrap(), copy);
    assert_eq!(copy.attributes, attributes);
    assert_eq!(backend.head(&at("source")).await.unwrap(), source);
    backend.delete(&at("source")).await.unwrap();
    assert_eq!(backend.head(&at("deep/copy")).await.unwrap(), copy);
    put(backend, "source", "other").await.unwrap();
    assert_eq!(read(backend, "deep/copy").await.unwrap(), "bytes");
}

pub(super) async fn replaces_the_metadata_of_an_object_in_place(backend: &dyn Backend) {
    let before = put(backend, "k", "bytes").await.unwrap();
    for day in ["monday", "tuesday"] {
        let attributes = Attributes {
            user: BTreeMap::from([("day".to_owned(), day.to_owned())]),
            ..Attributes::default()
        };
        let options = CopyOptions {
            attributes: Some(attributes.clone()),
            ..CopyOptions::default()
        };
        backend.copy(&at("k"), &at("k"), options).await.unwrap();
        let after = backend.head(&at("k")).await.unwrap();
        assert_eq!(after.attributes, attributes);
        assert!(after.modified > before.modified);
        assert_eq!(read(backend, "k").await.unwrap(), "bytes");
    }
}

pub(super) async fn copies_over_a_copy(backend: &dyn Backend) {
    put(backend, "one", "first").await.unwrap();
    put(backend, "two", "second").await.unwrap();
    let copy = async |from, to| {
        backend
            .copy(&at(from), &at(to), CopyOptions::default())
            .await
            .unwrap()
    };
    copy("one", "target").await;
    let again = copy("one", "target").await;
    assert_eq!(backend.head(&at("target")).await.unwrap(), again);
    let other = copy("two", "target").await;
    assert_eq!(backend.head(&at("target")).await.unwrap(), other);
    assert_eq!(read(backend, "target").await.unwrap(), "second");
    copy("target", "one").await;
    assert_eq!(read(backend, "one").await.unwrap(), "second");
    assert_eq!(all_keys(backend).await, ["one", "target", "two"]);
}

pub(super) async fn judges_conditions_of_copies(backend: &dyn Backend) {
    let etag = put(backend, "k", "x").await.unwrap().etag;
    let source = ReadConditions {
        differs: Some(EtagMatch::Exactly(etag)),
        ..ReadConditions::default()
    };
    let options = CopyOptions {
        source,
        ..CopyOptions::default()
    };
    let refused = backend.copy(&at("k"), &at("copy"), options).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
    let options = CopyOptions {
        destination: WriteCondition::Absent,
        ..CopyOptions::default()
    };
    assert!(
        backend
            .copy(&at("k"), &at("copy"), options.clone())
            .await
            .is_ok()
    );
    assert!(matches!(
        backend.copy(&at("k"), &at("copy"), options).await,
        Err(Error::PreconditionFailed { .. })
    ));
    assert!(matches!(
        backend
            .copy(&at("none"), &at("copy"), CopyOptions::default())
            .await,
        Err(Error::NoSuchKey { .. })
    ));
}
