//! What every backend promises, tested on each. A new backend adds one module to `suite!`.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lifeboat_gateway::backend::condition::{EtagMatch, ReadConditions, WriteCondition};
use lifeboat_gateway::backend::digest::{Algorithm, Checksum, Expected, Hasher};
use lifeboat_gateway::backend::{
    Attributes, Backend, ByteRange, ChecksumType, CompleteOptions, CompletedPart, Content,
    CopyOptions, Entry, Error, ListQuery, MIN_PART_BYTES, PartInfo, UploadOptions,
};

use crate::support::{all_keys, at, content, keys, put, read};

macro_rules! suite {
    ($backend:ident: $make:expr; $($promise:ident)*) => {
        mod $backend {
            $(
                #[tokio::test]
                async fn $promise() {
                    let place = $make.await;
                    super::$promise(&place.local).await;
                }
            )*
        }
    };
}

suite! {
    local: crate::support::Volume::new();
    gives_back_what_was_put
    reads_ranges_of_an_object
    keeps_the_old_object_when_a_put_fails
    judges_conditions_of_reads
    lets_one_of_many_creators_win
    lets_each_conditional_replacement_see_the_one_before
    removes_objects_and_does_not_mind_missing_ones
    copies_with_a_record_of_its_own
    replaces_the_metadata_of_an_object_in_place
    copies_over_a_copy
    judges_conditions_of_copies
    lists_in_byte_order_with_prefix_and_delimiter
    pages_through_a_listing
    manages_buckets
    makes_an_object_of_parts
    makes_an_object_of_parts_that_came_in_any_order
    lets_the_last_upload_of_a_part_count
    refuses_wrong_lists_of_parts
    lists_all_live_uploads_and_only_those
    ends_an_upload_once
    answers_a_repeated_completion_alike
    completes_only_on_condition
    joins_the_checksums_of_parts
}

async fn gives_back_what_was_put(backend: &dyn Backend) {
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

async fn reads_ranges_of_an_object(backend: &dyn Backend) {
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

async fn keeps_the_old_object_when_a_put_fails(backend: &dyn Backend) {
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

async fn judges_conditions_of_reads(backend: &dyn Backend) {
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

async fn lets_one_of_many_creators_win(backend: &dyn Backend) {
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

async fn lets_each_conditional_replacement_see_the_one_before(backend: &dyn Backend) {
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

async fn removes_objects_and_does_not_mind_missing_ones(backend: &dyn Backend) {
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

async fn copies_with_a_record_of_its_own(backend: &dyn Backend) {
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

async fn replaces_the_metadata_of_an_object_in_place(backend: &dyn Backend) {
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

async fn copies_over_a_copy(backend: &dyn Backend) {
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

async fn judges_conditions_of_copies(backend: &dyn Backend) {
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

async fn lists_in_byte_order_with_prefix_and_delimiter(backend: &dyn Backend) {
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

async fn pages_through_a_listing(backend: &dyn Backend) {
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

async fn manages_buckets(backend: &dyn Backend) {
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
    backend.delete(&at("deep/down/object")).await.unwrap();
    let upload = backend
        .begin_upload(&at("u"), UploadOptions::default())
        .await
        .unwrap();
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

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn piece(letter: u8, size: u64) -> Bytes {
    Bytes::from(vec![letter; usize::try_from(size).unwrap()])
}

async fn part(backend: &dyn Backend, upload: &str, number: u16, bytes: Bytes) -> PartInfo {
    backend
        .put_part(&at("big"), upload, number, content(bytes))
        .await
        .unwrap()
}

fn listed(parts: &[PartInfo]) -> CompleteOptions {
    let parts = parts
        .iter()
        .map(|part| CompletedPart {
            number: part.number,
            etag: part.etag.clone(),
            checksum: None,
        })
        .collect();
    CompleteOptions {
        parts,
        ..CompleteOptions::default()
    }
}

async fn digest(backend: &dyn Backend, key: &str) -> String {
    let opened = backend
        .get(&at(key), None, &ReadConditions::default())
        .await
        .unwrap();
    let mut hasher = Hasher::new(None);
    let mut body = opened.body;
    while let Some(bytes) = body.next().await {
        hasher.update(&bytes.unwrap());
    }
    hex(&hasher.finish().md5)
}

fn digest_of(pieces: &[&Bytes]) -> String {
    let mut hasher = Hasher::new(None);
    for piece in pieces {
        hasher.update(piece);
    }
    hex(&hasher.finish().md5)
}

async fn makes_an_object_of_parts(backend: &dyn Backend) {
    let attributes = Attributes {
        user: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        ..Attributes::default()
    };
    let options = UploadOptions {
        attributes: attributes.clone(),
        ..UploadOptions::default()
    };
    let upload = backend.begin_upload(&at("big"), options).await.unwrap();
    let pieces = [
        piece(1, MIN_PART_BYTES),
        piece(2, MIN_PART_BYTES),
        piece(3, 17),
    ];
    let mut parts = Vec::new();
    for (number, bytes) in (1..).zip(&pieces) {
        parts.push(part(backend, &upload, number, bytes.clone()).await);
    }
    assert!(all_keys(backend).await.is_empty());
    assert_eq!(backend.parts(&at("big"), &upload).await.unwrap().1, parts);
    let info = backend
        .complete_upload(&at("big"), &upload, listed(&parts))
        .await
        .unwrap();
    assert_eq!(info.size, 2 * MIN_PART_BYTES + 17);
    assert_eq!(info.parts, Some(3));
    assert!(info.etag.ends_with("-3"));
    assert_eq!(info.attributes, attributes);
    assert_eq!(backend.head(&at("big")).await.unwrap(), info);
    assert_eq!(
        digest(backend, "big").await,
        digest_of(&pieces.iter().collect::<Vec<_>>())
    );
    assert!(backend.uploads("bucket", "").await.unwrap().is_empty());
}

async fn makes_an_object_of_parts_that_came_in_any_order(backend: &dyn Backend) {
    let upload = backend
        .begin_upload(&at("big"), UploadOptions::default())
        .await
        .unwrap();
    let last = part(backend, &upload, 9, piece(9, 100)).await;
    let second = part(backend, &upload, 4, piece(4, MIN_PART_BYTES + 1)).await;
    let first = part(backend, &upload, 2, piece(2, MIN_PART_BYTES)).await;
    let info = backend
        .complete_upload(&at("big"), &upload, listed(&[first, second, last]))
        .await
        .unwrap();
    assert_eq!(info.size, 2 * MIN_PART_BYTES + 101);
    let pieces = [
        piece(2, MIN_PART_BYTES),
        piece(4, MIN_PART_BYTES + 1),
        piece(9, 100),
    ];
    assert_eq!(
        digest(backend, "big").await,
        digest_of(&pieces.iter().collect::<Vec<_>>())
    );
}

async fn lets_the_last_upload_of_a_part_count(backend: &dyn Backend) {
    let upload = backend
        .begin_upload(&at("big"), UploadOptions::default())
        .await
        .unwrap();
    let old = part(backend, &upload, 1, piece(1, MIN_PART_BYTES)).await;
    let new = part(backend, &upload, 1, piece(7, MIN_PART_BYTES)).await;
    let last = part(backend, &upload, 2, piece(2, 5)).await;
    let refused = backend
        .complete_upload(&at("big"), &upload, listed(&[old, last.clone()]))
        .await;
    assert!(matches!(refused, Err(Error::InvalidPart { number: 1 })));
    backend
        .complete_upload(&at("big"), &upload, listed(&[new, last]))
        .await
        .unwrap();
    assert_eq!(
        digest(backend, "big").await,
        digest_of(&[&piece(7, MIN_PART_BYTES), &piece(2, 5)])
    );
}

async fn refuses_wrong_lists_of_parts(backend: &dyn Backend) {
    let upload = backend
        .begin_upload(&at("big"), UploadOptions::default())
        .await
        .unwrap();
    let small = part(backend, &upload, 1, piece(1, 10)).await;
    let other = part(backend, &upload, 2, piece(2, 10)).await;
    let complete = async |parts: &[PartInfo]| {
        backend
            .complete_upload(&at("big"), &upload, listed(parts))
            .await
    };
    assert!(matches!(complete(&[]).await, Err(Error::NoParts)));
    assert!(matches!(
        complete(&[other.clone(), small.clone()]).await,
        Err(Error::InvalidPartOrder { number: 1 })
    ));
    assert!(matches!(
        complete(&[small.clone(), other.clone()]).await,
        Err(Error::PartTooSmall { number: 1, .. })
    ));
    assert!(matches!(
        backend.put_part(&at("big"), &upload, 0, content("x")).await,
        Err(Error::InvalidPartNumber { number: 0 })
    ));
    assert_eq!(
        backend.parts(&at("big"), &upload).await.unwrap().1,
        [small.clone(), other]
    );
    complete(&[small]).await.unwrap();
    assert_eq!(backend.head(&at("big")).await.unwrap().size, 10);
}

async fn lists_all_live_uploads_and_only_those(backend: &dyn Backend) {
    let begin = async |key| {
        backend
            .begin_upload(&at(key), UploadOptions::default())
            .await
            .unwrap()
    };
    let first = begin("lock/a").await;
    let second = begin("lock/a").await;
    let other = begin("other").await;
    assert!(first < second);
    let live = async |prefix| {
        let uploads = backend.uploads("bucket", prefix).await.unwrap();
        uploads
            .into_iter()
            .map(|upload| upload.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(live("lock/").await, [first.clone(), second.clone()]);
    assert_eq!(live("").await, [first.clone(), second.clone(), other]);
    backend.abort_upload(&at("lock/a"), &first).await.unwrap();
    assert_eq!(live("lock/").await, [second]);
    assert!(matches!(
        backend.uploads("nowhere", "").await,
        Err(Error::NoSuchBucket { .. })
    ));
}

async fn ends_an_upload_once(backend: &dyn Backend) {
    let upload = backend
        .begin_upload(&at("big"), UploadOptions::default())
        .await
        .unwrap();
    let only = part(backend, &upload, 1, piece(1, 3)).await;
    let elsewhere = backend
        .put_part(&at("other"), &upload, 1, content("x"))
        .await;
    assert!(matches!(elsewhere, Err(Error::NoSuchUpload { .. })));
    backend.abort_upload(&at("big"), &upload).await.unwrap();
    assert!(matches!(
        backend.abort_upload(&at("big"), &upload).await,
        Err(Error::NoSuchUpload { .. })
    ));
    let completed = backend
        .complete_upload(&at("big"), &upload, listed(&[only]))
        .await;
    assert!(matches!(completed, Err(Error::NoSuchUpload { .. })));
    let late = backend.put_part(&at("big"), &upload, 2, content("x")).await;
    assert!(matches!(late, Err(Error::NoSuchUpload { .. })));
    assert!(all_keys(backend).await.is_empty());
}

async fn answers_a_repeated_completion_alike(backend: &dyn Backend) {
    let upload = backend
        .begin_upload(&at("big"), UploadOptions::default())
        .await
        .unwrap();
    let only = part(backend, &upload, 1, piece(1, 3)).await;
    let first = backend
        .complete_upload(&at("big"), &upload, listed(std::slice::from_ref(&only)))
        .await
        .unwrap();
    let again = backend
        .complete_upload(&at("big"), &upload, listed(&[only]))
        .await
        .unwrap();
    assert_eq!(first, again);
}

async fn completes_only_on_condition(backend: &dyn Backend) {
    put(backend, "big", "there already").await.unwrap();
    let upload = backend
        .begin_upload(&at("big"), UploadOptions::default())
        .await
        .unwrap();
    let only = part(backend, &upload, 1, piece(1, 3)).await;
    let absent = CompleteOptions {
        condition: WriteCondition::Absent,
        ..listed(std::slice::from_ref(&only))
    };
    let refused = backend.complete_upload(&at("big"), &upload, absent).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
    assert_eq!(read(backend, "big").await.unwrap(), "there already");
    assert_eq!(backend.uploads("bucket", "").await.unwrap().len(), 1);
    backend
        .complete_upload(&at("big"), &upload, listed(&[only]))
        .await
        .unwrap();
    assert_eq!(backend.head(&at("big")).await.unwrap().size, 3);
}

async fn joins_the_checksums_of_parts(backend: &dyn Backend) {
    let pieces = [piece(1, MIN_PART_BYTES), piece(2, 9)];
    for kind in [ChecksumType::Full, ChecksumType::Composite] {
        let options = UploadOptions {
            checksum: Some((Algorithm::Crc32c, kind)),
            ..UploadOptions::default()
        };
        let upload = backend.begin_upload(&at("big"), options).await.unwrap();
        let first = part(backend, &upload, 1, pieces[0].clone()).await;
        let second = part(backend, &upload, 2, pieces[1].clone()).await;
        let parts = [first, second];
        let wrong = Checksum {
            algorithm: Algorithm::Crc32c,
            value: "AAAAAA==".to_owned(),
        };
        let refused = CompleteOptions {
            checksum: Some(wrong),
            ..listed(&parts)
        };
        let refused = backend.complete_upload(&at("big"), &upload, refused).await;
        assert!(matches!(refused, Err(Error::DigestMismatch { .. })));
        let info = backend
            .complete_upload(&at("big"), &upload, listed(&parts))
            .await
            .unwrap();
        let checksum = info.checksum.unwrap();
        match kind {
            ChecksumType::Composite => assert!(checksum.value.ends_with("-2")),
            ChecksumType::Full => {
                let mut hasher = Hasher::new(Some(Algorithm::Crc32c));
                for piece in &pieces {
                    hasher.update(piece);
                }
                assert_eq!(Some(checksum), hasher.finish().checksum);
            }
        }
    }
}
