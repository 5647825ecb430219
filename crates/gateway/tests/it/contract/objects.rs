//! Objects: written whole, read as asked, copied, removed.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::join_all;
use futures::{TryStreamExt as _, stream};
use lifeboat_gateway::backend::condition::{EtagMatch, ReadConditions, WriteCondition};
use lifeboat_gateway::backend::content::Content;
use lifeboat_gateway::backend::digest::{Algorithm, Checksum, Expected, Hasher};
use lifeboat_gateway::backend::options::{
    ByteRange, CopyOptions, DeleteOptions, PutOptions, ReadOptions,
};
use lifeboat_gateway::backend::{Attributes, Error};

use crate::support::{
    Place, all_keys, assert_agree, assert_carries, content, content_expecting, delete, head, hex,
    pieces, put, put_if, read, read_bytes, read_if, read_range,
};

pub(super) async fn gives_back_what_was_put(place: &dyn Place) {
    let attributes = Attributes {
        headers: BTreeMap::from([("content-type".to_owned(), "text/plain".to_owned())]),
        user: BTreeMap::from([("owner".to_owned(), "graph é".to_owned())]),
    };
    for size in [0, 1, 600_000, 3_000_000] {
        let bytes = Bytes::from(vec![b'x'; size]);
        let options = PutOptions {
            attributes: attributes.clone(),
            ..PutOptions::default()
        };
        let stored = place
            .backend()
            .put(&place.at("a/b"), options, content(&bytes))
            .await
            .unwrap();
        let mut hasher = Hasher::new(None);
        hasher.update(&bytes);
        assert_eq!(stored.etag, hex(hasher.finish().tag.bytes()));
        let info = head(place, "a/b").await.unwrap();
        assert_agree(&stored, &info);
        assert_carries(&info, &attributes);
        assert_eq!(info.size, u64::try_from(size).unwrap());
        assert_eq!(read(place, "a/b").await.unwrap().len(), size);
    }
}

pub(super) async fn reads_ranges_of_an_object(place: &dyn Place) {
    put(place, "k", "0123456789").await.unwrap();
    let get = async |range| read_range(place, "k", range).await;
    let from = |first, last| ByteRange::From { first, last };
    assert_eq!(get(from(2, Some(4))).await.unwrap(), "234");
    assert_eq!(get(from(8, None)).await.unwrap(), "89");
    assert_eq!(get(ByteRange::Suffix { length: 3 }).await.unwrap(), "789");
    assert!(matches!(
        get(from(10, None)).await,
        Err(Error::RangeNotSatisfiable { size: 10 })
    ));
}

pub(super) async fn keeps_the_old_object_when_a_put_fails(place: &dyn Place) {
    put(place, "k", "old").await.unwrap();
    let broken = || {
        let pieces = [Ok(Bytes::from_static(b"new")), Err("cut off".into())];
        Content::new(Box::pin(stream::iter(pieces)), None, Expected::default())
    };
    let short = || Content::new(pieces(b"new"), Some(9), Expected::default());
    let long = || Content::new(pieces(b"new"), Some(2), Expected::default());
    let damaged = || {
        let expected = Expected {
            md5: Some([0; 16]),
            ..Expected::default()
        };
        content_expecting("new", expected)
    };
    for content in [broken(), short(), long(), damaged()] {
        let failed = place
            .backend()
            .put(&place.at("k"), PutOptions::default(), content)
            .await;
        assert!(failed.is_err());
        assert_eq!(read(place, "k").await.unwrap(), "old");
    }
    for content in [broken(), short(), long(), damaged()] {
        let failed = place
            .backend()
            .put(&place.at("n"), PutOptions::default(), content)
            .await;
        assert!(failed.is_err());
    }
    assert_eq!(all_keys(place).await, ["k"]);
}

pub(super) async fn judges_conditions_of_reads(place: &dyn Place) {
    let etag = put(place, "k", "x").await.unwrap().etag;
    let matches = |etag: &str| ReadConditions {
        matches: Some(EtagMatch::Exactly(etag.to_owned())),
        ..ReadConditions::default()
    };
    let differs = |etag: &str| ReadConditions {
        differs: Some(EtagMatch::Exactly(etag.to_owned())),
        ..ReadConditions::default()
    };
    assert!(read_if(place, "k", matches(&etag)).await.is_ok());
    assert!(matches!(
        read_if(place, "k", matches("other")).await,
        Err(Error::PreconditionFailed { .. })
    ));
    assert!(matches!(
        read_if(place, "k", differs(&etag)).await,
        Err(Error::NotModified { .. })
    ));
    assert!(read_if(place, "k", differs("other")).await.is_ok());
}

pub(super) async fn lets_one_of_many_creators_win(place: &dyn Place) {
    for round in 0..10 {
        let key = format!("race/{round}/object");
        let writers = (0..16).map(|writer| {
            let key = key.clone();
            async move {
                let text = format!("writer {writer}");
                let put = put_if(place, &key, &text, WriteCondition::Absent).await;
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
            read(place, &key).await.unwrap(),
            format!("writer {}", winners[0])
        );
        let refused = outcomes
            .iter()
            .filter(|(_, put)| matches!(put, Err(Error::PreconditionFailed { .. })));
        assert_eq!(refused.count(), 15);
    }
}

pub(super) async fn lets_each_conditional_replacement_see_the_one_before(place: &dyn Place) {
    put(place, "counter", "0").await.unwrap();
    let increment = async || {
        loop {
            let etag = head(place, "counter").await.unwrap().etag;
            let opened = place
                .backend()
                .get(&place.at("counter"), &ReadOptions::default())
                .await
                .unwrap();
            if opened.info.etag != etag {
                continue;
            }
            let pieces: Vec<Bytes> = opened.body.try_collect().await.unwrap();
            let value: u32 = String::from_utf8(pieces.concat()).unwrap().parse().unwrap();
            let condition = WriteCondition::Matches(EtagMatch::Exactly(etag));
            let text = (value + 1).to_string();
            match put_if(place, "counter", &text, condition).await {
                Ok(_) => return,
                Err(Error::PreconditionFailed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    join_all((0..8).map(|_| increment())).await;
    assert_eq!(read(place, "counter").await.unwrap(), "8");
    let any = WriteCondition::Matches(EtagMatch::Any);
    let missing = put_if(place, "none", "x", any).await;
    assert!(matches!(missing, Err(Error::NoSuchKey { .. })));
}

pub(super) async fn removes_objects_and_does_not_mind_missing_ones(place: &dyn Place) {
    for key in ["a", "b/c", "b/d/e", "f"] {
        put(place, key, "x").await.unwrap();
    }
    delete(place, "b/c").await.unwrap();
    delete(place, "b/c").await.unwrap();
    delete(place, "never/was").await.unwrap();
    assert_eq!(all_keys(place).await, ["a", "b/d/e", "f"]);
    assert!(matches!(
        read(place, "b/c").await,
        Err(Error::NoSuchKey { .. })
    ));
    for key in ["a", "b/d/e", "f"] {
        delete(place, key).await.unwrap();
    }
    assert!(all_keys(place).await.is_empty());
    place.backend().delete_bucket(place.bucket()).await.unwrap();
}

pub(super) async fn removes_many_objects_and_tells_of_each(place: &dyn Place) {
    let mut targets = Vec::new();
    for number in 0..30 {
        let key = format!("many/{number:02} é&<");
        if number % 3 > 0 {
            put(place, &key, "x").await.unwrap();
        }
        targets.push((place.at(&key), DeleteOptions::default()));
    }
    put(place, "kept", "x").await.unwrap();
    put(place, "changed", "x").await.unwrap();
    let outcomes = place.backend().delete_many(targets).await;
    assert_eq!(outcomes.len(), 30);
    for outcome in outcomes {
        outcome.unwrap();
    }
    assert_eq!(all_keys(place).await, ["changed", "kept"]);
}

pub(super) async fn keeps_objects_below_the_key_of_another(place: &dyn Place) {
    for key in ["a", "a/b", "a/b/c", "d/"] {
        put(place, key, key).await.unwrap();
    }
    assert_eq!(all_keys(place).await, ["a", "a/b", "a/b/c", "d/"]);
    delete(place, "a/b").await.unwrap();
    assert_eq!(all_keys(place).await, ["a", "a/b/c", "d/"]);
    for key in ["a", "a/b/c", "d/"] {
        assert_eq!(read(place, key).await.unwrap(), key);
    }
}

pub(super) async fn keeps_keys_to_the_letter(place: &dyn Place) {
    let mut keys = vec![
        "+plus and blank ",
        "100%",
        "a%2Fb",
        "q?x=1&y#z",
        "quote'\"<&>",
        "back\\slash",
        "世/é/🚢",
    ];
    for key in &keys {
        put(place, key, key).await.unwrap();
    }
    keys.sort_unstable();
    assert_eq!(all_keys(place).await, keys);
    for key in keys {
        assert_eq!(read(place, key).await.unwrap(), key);
        let copy = format!("copies/{key}");
        place
            .backend()
            .copy(&place.at(key), &place.at(&copy), CopyOptions::default())
            .await
            .unwrap();
        assert_eq!(read(place, &copy).await.unwrap(), key);
        delete(place, key).await.unwrap();
    }
}

pub(super) async fn keeps_keys_that_end_in_a_slash(place: &dyn Place) {
    for (key, text) in [("d/", ""), ("d/e/", "content")] {
        put(place, key, text).await.unwrap();
        assert_eq!(read(place, key).await.unwrap(), text);
    }
    assert_eq!(all_keys(place).await, ["d/", "d/e/"]);
}

/// Small content and large take different ways, and so do checksums sent before and after it.
pub(super) async fn stores_only_what_was_promised(place: &dyn Place) {
    for size in [0, 70_000, 700_000] {
        let bytes = vec![b'x'; size];
        for algorithm in Algorithm::ALL {
            let mut hasher = Hasher::new(Some(algorithm));
            hasher.update(&bytes);
            let digests = hasher.finish();
            let right = digests.checksum.unwrap();
            let mut other = Hasher::new(Some(algorithm));
            other.update(b"other");
            let wrong = other.finish().checksum.unwrap();
            let before = |checksum: &Checksum| Expected {
                checksum: Some(checksum.clone()),
                ..Expected::default()
            };
            let after = |checksum: &Checksum| {
                let checksum = checksum.clone();
                Expected {
                    trailer: Some((algorithm, Box::new(move || Ok(checksum)))),
                    ..Expected::default()
                }
            };
            let put = async |expected| {
                let content = content_expecting(&bytes, expected);
                let options = PutOptions::default();
                place.backend().put(&place.at("k"), options, content).await
            };
            for expected in [before(&wrong), after(&wrong)] {
                let refused = put(expected).await;
                assert!(
                    matches!(refused, Err(Error::DigestMismatch { .. })),
                    "{refused:?}"
                );
                assert!(all_keys(place).await.is_empty());
            }
            for expected in [before(&right), after(&right)] {
                let stored = put(expected).await.unwrap();
                assert_eq!(stored.checksum.as_ref(), Some(&right));
                delete(place, "k").await.unwrap();
            }
            let expected = Expected {
                md5: digests.tag.md5(),
                ..Expected::default()
            };
            put(expected).await.unwrap();
            delete(place, "k").await.unwrap();
        }
    }
}

pub(super) async fn stores_content_of_a_length_that_nobody_knows(place: &dyn Place) {
    for size in [0, 5, 9_000_000, 20_000_000] {
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        let expected = || Expected {
            checksum: hasher_of(&bytes).finish().checksum,
            ..Expected::default()
        };
        let content = Content::new(pieces(&bytes), None, expected());
        let options = PutOptions {
            attributes: Attributes {
                user: BTreeMap::from([("owner".to_owned(), "graph".to_owned())]),
                ..Attributes::default()
            },
            ..PutOptions::default()
        };
        let stored = place
            .backend()
            .put(&place.at("k"), options.clone(), content)
            .await
            .unwrap();
        let info = head(place, "k").await.unwrap();
        assert_agree(&stored, &info);
        assert_carries(&info, &options.attributes);
        assert_eq!(read_bytes(place, "k").await, bytes);
        let damaged = Content::new(pieces(&[&bytes[..], b"x"].concat()), None, expected());
        let refused = place.backend().put(&place.at("k"), options, damaged).await;
        assert!(matches!(refused, Err(Error::DigestMismatch { .. })));
        assert_eq!(head(place, "k").await.unwrap(), info);
        let uploads = place.backend().uploads(place.bucket(), "k").await;
        assert!(uploads.unwrap().is_empty());
    }
}

fn hasher_of(bytes: &[u8]) -> Hasher {
    let mut hasher = Hasher::new(Some(Algorithm::Crc32c));
    hasher.update(bytes);
    hasher
}

pub(super) async fn copies_with_a_record_of_its_own(place: &dyn Place) {
    put(place, "source", "bytes").await.unwrap();
    let source = head(place, "source").await.unwrap();
    let attributes = Attributes {
        user: BTreeMap::from([("day".to_owned(), "monday".to_owned())]),
        ..Attributes::default()
    };
    let options = CopyOptions {
        attributes: Some(attributes.clone()),
        ..CopyOptions::default()
    };
    let stored = place
        .backend()
        .copy(&place.at("source"), &place.at("deep/copy"), options)
        .await
        .unwrap();
    let copy = head(place, "deep/copy").await.unwrap();
    assert_agree(&stored, &copy);
    assert_carries(&copy, &attributes);
    assert!(copy.modified >= source.modified);
    assert_eq!((copy.size, &copy.etag), (source.size, &source.etag));
    assert_eq!(head(place, "source").await.unwrap(), source);
    delete(place, "source").await.unwrap();
    assert_eq!(head(place, "deep/copy").await.unwrap(), copy);
    put(place, "source", "other").await.unwrap();
    assert_eq!(read(place, "deep/copy").await.unwrap(), "bytes");
}

pub(super) async fn replaces_the_metadata_of_an_object_in_place(place: &dyn Place) {
    put(place, "k", "bytes").await.unwrap();
    let before = head(place, "k").await.unwrap();
    for day in ["monday", "tuesday"] {
        let attributes = Attributes {
            user: BTreeMap::from([("day".to_owned(), day.to_owned())]),
            ..Attributes::default()
        };
        let options = CopyOptions {
            attributes: Some(attributes.clone()),
            ..CopyOptions::default()
        };
        place
            .backend()
            .copy(&place.at("k"), &place.at("k"), options)
            .await
            .unwrap();
        let after = head(place, "k").await.unwrap();
        assert_carries(&after, &attributes);
        assert!(after.modified >= before.modified);
        assert_eq!(read(place, "k").await.unwrap(), "bytes");
    }
}

pub(super) async fn copies_over_a_copy(place: &dyn Place) {
    put(place, "one", "first").await.unwrap();
    put(place, "two", "second").await.unwrap();
    let copy = async |from, to| {
        place
            .backend()
            .copy(&place.at(from), &place.at(to), CopyOptions::default())
            .await
            .unwrap()
    };
    copy("one", "target").await;
    let again = copy("one", "target").await;
    assert_agree(&again, &head(place, "target").await.unwrap());
    let other = copy("two", "target").await;
    assert_agree(&other, &head(place, "target").await.unwrap());
    assert_eq!(read(place, "target").await.unwrap(), "second");
    copy("target", "one").await;
    assert_eq!(read(place, "one").await.unwrap(), "second");
    assert_eq!(all_keys(place).await, ["one", "target", "two"]);
}

pub(super) async fn judges_conditions_of_copies(place: &dyn Place) {
    let etag = put(place, "k", "x").await.unwrap().etag;
    let source = ReadConditions {
        differs: Some(EtagMatch::Exactly(etag)),
        ..ReadConditions::default()
    };
    let options = CopyOptions {
        source,
        ..CopyOptions::default()
    };
    let refused = place
        .backend()
        .copy(&place.at("k"), &place.at("copy"), options)
        .await;
    assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
    assert!(matches!(
        place
            .backend()
            .copy(&place.at("none"), &place.at("copy"), CopyOptions::default())
            .await,
        Err(Error::NoSuchKey { .. })
    ));
    assert_eq!(all_keys(place).await, ["k"]);
}

pub(super) async fn judges_what_a_copy_would_replace(place: &dyn Place) {
    let etag = put(place, "k", "x").await.unwrap().etag;
    let copy = async |destination| {
        let options = CopyOptions {
            destination,
            ..CopyOptions::default()
        };
        place
            .backend()
            .copy(&place.at("k"), &place.at("copy"), options)
            .await
    };
    copy(WriteCondition::Absent).await.unwrap();
    assert!(matches!(
        copy(WriteCondition::Absent).await,
        Err(Error::PreconditionFailed { .. })
    ));
    let matches = |etag: &str| WriteCondition::Matches(EtagMatch::Exactly(etag.to_owned()));
    assert!(matches!(
        copy(matches("other")).await,
        Err(Error::PreconditionFailed { .. })
    ));
    copy(matches(&etag)).await.unwrap();
}
