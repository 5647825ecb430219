//! Objects uploaded in parts.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt as _;
use lifeboat_gateway::backend::condition::{EtagMatch, ReadConditions, WriteCondition};
use lifeboat_gateway::backend::digest::{Algorithm, Checksum, Expected, Hasher};
use lifeboat_gateway::backend::options::{ByteRange, PutOptions, ReadOptions};
use lifeboat_gateway::backend::upload::{
    ChecksumType, CompleteOptions, CompletedPart, PartInfo, UploadOptions,
};
use lifeboat_gateway::backend::{Attributes, Error, MIN_PART_BYTES};

use crate::support::{
    Place, all_keys, assert_agree, assert_carries, begin, begin_with, code, content,
    content_expecting, head, hex, put, put_part, read,
};

fn piece(letter: u8, size: u64) -> Bytes {
    Bytes::from(vec![letter; usize::try_from(size).unwrap()])
}

async fn part(place: &dyn Place, upload: &str, number: u16, bytes: Bytes) -> PartInfo {
    put_part(place, "big", upload, number, content(bytes))
        .await
        .unwrap()
}

/// The parts that have arrived: number, size and etag of each.
async fn arrived(place: &dyn Place, upload: &str) -> Vec<(u16, u64, String)> {
    let arrived = place.backend().parts(&place.at("big"), upload).await;
    facts(&arrived.unwrap().parts)
}

/// Not the time: of a part just stored, a store says when it answered.
fn facts(parts: &[PartInfo]) -> Vec<(u16, u64, String)> {
    parts
        .iter()
        .map(|part| (part.number, part.size, part.etag.clone()))
        .collect()
}

pub(super) fn listed(parts: &[PartInfo]) -> CompleteOptions {
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

async fn digest(place: &dyn Place, key: &str) -> String {
    let opened = place
        .backend()
        .get(&place.at(key), &ReadOptions::default())
        .await
        .unwrap();
    let mut hasher = Hasher::new(None);
    let mut body = opened.body;
    while let Some(bytes) = body.next().await {
        hasher.update(&bytes.unwrap());
    }
    hex(hasher.finish().tag.bytes())
}

fn digest_of(pieces: &[&Bytes]) -> String {
    let mut hasher = Hasher::new(None);
    for piece in pieces {
        hasher.update(piece);
    }
    hex(hasher.finish().tag.bytes())
}

pub(super) async fn makes_an_object_of_parts(place: &dyn Place) {
    let attributes = Attributes {
        user: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        ..Attributes::default()
    };
    let options = UploadOptions {
        attributes: attributes.clone(),
        ..UploadOptions::default()
    };
    let upload = begin_with(place, "big", options).await.unwrap();
    let pieces = [
        piece(1, MIN_PART_BYTES),
        piece(2, MIN_PART_BYTES),
        piece(3, 17),
    ];
    let mut parts = Vec::new();
    for (number, bytes) in (1..).zip(&pieces) {
        parts.push(part(place, &upload, number, bytes.clone()).await);
    }
    assert!(all_keys(place).await.is_empty());
    assert_eq!(arrived(place, &upload).await, facts(&parts));
    let stored = place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&parts))
        .await
        .unwrap();
    let info = head(place, "big").await.unwrap();
    assert_agree(&stored, &info);
    assert_carries(&info, &attributes);
    assert_eq!(info.size, 2 * MIN_PART_BYTES + 17);
    assert!(info.etag.ends_with("-3"));
    assert!(matches!(info.parts, None | Some(3)));
    assert_eq!(
        digest(place, "big").await,
        digest_of(&pieces.iter().collect::<Vec<_>>())
    );
    assert!(
        place
            .backend()
            .uploads(place.bucket(), "")
            .await
            .unwrap()
            .is_empty()
    );
}

pub(super) async fn makes_an_object_of_parts_that_came_in_any_order(place: &dyn Place) {
    let upload = begin(place, "big").await.unwrap();
    let last = part(place, &upload, 9, piece(9, 100)).await;
    let second = part(place, &upload, 4, piece(4, MIN_PART_BYTES + 1)).await;
    let first = part(place, &upload, 2, piece(2, MIN_PART_BYTES)).await;
    place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&[first, second, last]))
        .await
        .unwrap();
    let info = head(place, "big").await.unwrap();
    assert_eq!(info.size, 2 * MIN_PART_BYTES + 101);
    let pieces = [
        piece(2, MIN_PART_BYTES),
        piece(4, MIN_PART_BYTES + 1),
        piece(9, 100),
    ];
    assert_eq!(
        digest(place, "big").await,
        digest_of(&pieces.iter().collect::<Vec<_>>())
    );
}

pub(super) async fn lets_the_last_upload_of_a_part_count(place: &dyn Place) {
    let upload = begin(place, "big").await.unwrap();
    let old = part(place, &upload, 1, piece(1, MIN_PART_BYTES)).await;
    let new = part(place, &upload, 1, piece(7, MIN_PART_BYTES)).await;
    let last = part(place, &upload, 2, piece(2, 5)).await;
    let refused = place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&[old, last.clone()]))
        .await;
    assert_eq!(code(refused), "InvalidPart");
    place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&[new, last]))
        .await
        .unwrap();
    assert_eq!(
        digest(place, "big").await,
        digest_of(&[&piece(7, MIN_PART_BYTES), &piece(2, 5)])
    );
}

pub(super) async fn refuses_wrong_lists_of_parts(place: &dyn Place) {
    let upload = begin(place, "big").await.unwrap();
    let small = part(place, &upload, 1, piece(1, 10)).await;
    let other = part(place, &upload, 2, piece(2, 10)).await;
    let complete = async |parts: &[PartInfo]| {
        place
            .backend()
            .complete_upload(&place.at("big"), &upload, listed(parts))
            .await
    };
    assert!(matches!(complete(&[]).await, Err(Error::NoParts)));
    assert!(matches!(
        complete(&[other.clone(), small.clone()]).await,
        Err(Error::InvalidPartOrder { number: 1 })
    ));
    assert_eq!(
        code(complete(&[small.clone(), other.clone()]).await),
        "EntityTooSmall"
    );
    assert!(matches!(
        put_part(place, "big", &upload, 0, content("x")).await,
        Err(Error::InvalidPartNumber { number: 0 })
    ));
    assert_eq!(
        arrived(place, &upload).await,
        facts(&[small.clone(), other])
    );
    complete(&[small]).await.unwrap();
    assert_eq!(head(place, "big").await.unwrap().size, 10);
}

pub(super) async fn lists_all_live_uploads_and_only_those(place: &dyn Place) {
    let first = begin(place, "lock/a").await.unwrap();
    let second = begin(place, "lock/a").await.unwrap();
    let other = begin(place, "other").await.unwrap();
    let live = async |prefix| {
        let uploads = place
            .backend()
            .uploads(place.bucket(), prefix)
            .await
            .unwrap();
        let ids = uploads.into_iter().map(|upload| (upload.key, upload.id));
        ids.collect::<Vec<_>>()
    };
    let of = |key: &str, id: &str| (key.to_owned(), id.to_owned());
    let mut two = [of("lock/a", &first), of("lock/a", &second)];
    two.sort();
    assert_eq!(live("lock/").await, two);
    let [one, two] = two;
    assert_eq!(live("").await, [one, two, of("other", &other)]);
    place
        .backend()
        .abort_upload(&place.at("lock/a"), &first)
        .await
        .unwrap();
    assert_eq!(live("lock/").await, [of("lock/a", &second)]);
    assert!(matches!(
        place.backend().uploads("nowhere", "").await,
        Err(Error::NoSuchBucket { .. })
    ));
}

pub(super) async fn gives_uploads_ids_that_sort_by_time(place: &dyn Place) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(begin(place, "lock").await.unwrap());
    }
    assert!(ids.is_sorted(), "{ids:?}");
}

pub(super) async fn does_not_know_an_upload_that_has_ended(place: &dyn Place) {
    let upload = begin(place, "big").await.unwrap();
    let abort = async || {
        place
            .backend()
            .abort_upload(&place.at("big"), &upload)
            .await
    };
    abort().await.unwrap();
    assert!(matches!(abort().await, Err(Error::NoSuchUpload { .. })));
}

pub(super) async fn ends_an_upload_once(place: &dyn Place) {
    let upload = begin(place, "big").await.unwrap();
    let only = part(place, &upload, 1, piece(1, 3)).await;
    let elsewhere = put_part(place, "other", &upload, 1, content("x")).await;
    assert!(matches!(elsewhere, Err(Error::NoSuchUpload { .. })));
    place
        .backend()
        .abort_upload(&place.at("big"), &upload)
        .await
        .unwrap();
    let completed = place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&[only]))
        .await;
    assert!(matches!(completed, Err(Error::NoSuchUpload { .. })));
    let late = put_part(place, "big", &upload, 2, content("x")).await;
    assert!(matches!(late, Err(Error::NoSuchUpload { .. })));
    assert!(all_keys(place).await.is_empty());
}

pub(super) async fn answers_a_repeated_completion_alike(place: &dyn Place) {
    let upload = begin(place, "big").await.unwrap();
    let only = part(place, &upload, 1, piece(1, 3)).await;
    let first = place
        .backend()
        .complete_upload(
            &place.at("big"),
            &upload,
            listed(std::slice::from_ref(&only)),
        )
        .await
        .unwrap();
    let again = place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&[only]))
        .await
        .unwrap();
    assert_eq!(first.etag, again.etag);
}

pub(super) async fn completes_only_on_condition(place: &dyn Place) {
    put(place, "big", "there already").await.unwrap();
    let upload = begin(place, "big").await.unwrap();
    let only = part(place, &upload, 1, piece(1, 3)).await;
    let absent = CompleteOptions {
        condition: WriteCondition::Absent,
        ..listed(std::slice::from_ref(&only))
    };
    let refused = place
        .backend()
        .complete_upload(&place.at("big"), &upload, absent)
        .await;
    assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
    assert_eq!(read(place, "big").await.unwrap(), "there already");
    assert_eq!(
        place
            .backend()
            .uploads(place.bucket(), "")
            .await
            .unwrap()
            .len(),
        1
    );
    place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&[only]))
        .await
        .unwrap();
    assert_eq!(head(place, "big").await.unwrap().size, 3);
}

pub(super) async fn joins_the_checksums_of_parts(place: &dyn Place) {
    let pieces = [piece(1, MIN_PART_BYTES), piece(2, 9)];
    for kind in [ChecksumType::Full, ChecksumType::Composite] {
        let options = UploadOptions {
            checksum: Some((Algorithm::Crc32c, kind)),
            ..UploadOptions::default()
        };
        let upload = begin_with(place, "big", options).await.unwrap();
        let mut parts = Vec::new();
        for (number, bytes) in (1..).zip(&pieces) {
            let mut hasher = Hasher::new(Some(Algorithm::Crc32c));
            hasher.update(bytes);
            let expected = Expected {
                checksum: hasher.finish().checksum,
                ..Expected::default()
            };
            let content = content_expecting(bytes, expected);
            let part = put_part(place, "big", &upload, number, content).await;
            parts.push(part.unwrap());
        }
        let mut named = listed(&parts);
        for (named, part) in named.parts.iter_mut().zip(&parts) {
            named.checksum.clone_from(&part.checksum);
        }
        let (value, kind_header) = match kind {
            ChecksumType::Full => ("AAAAAA==", "FULL_OBJECT"),
            ChecksumType::Composite => ("AAAAAA==-2", "COMPOSITE"),
        };
        named.relayed.insert("x-amz-checksum-type", kind_header);
        let refused = CompleteOptions {
            checksum: Some(Checksum {
                algorithm: Algorithm::Crc32c,
                value: value.to_owned(),
            }),
            ..named.clone()
        };
        let refused = place
            .backend()
            .complete_upload(&place.at("big"), &upload, refused)
            .await;
        let code = code(refused);
        assert!(
            ["BadDigest", "XAmzContentChecksumMismatch"].contains(&code.as_str()),
            "{code}"
        );
        let info = place
            .backend()
            .complete_upload(&place.at("big"), &upload, named)
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

pub(super) async fn makes_parts_of_what_is_stored_already(place: &dyn Place) {
    let source = piece(1, MIN_PART_BYTES + 1000);
    let stored = place
        .backend()
        .put(
            &place.at("source é+"),
            PutOptions::default(),
            content(&source),
        )
        .await
        .unwrap();
    let upload = begin(place, "big").await.unwrap();
    let copy = async |number, range, etag: &str| {
        let read = ReadOptions {
            range,
            conditions: ReadConditions {
                matches: Some(EtagMatch::Exactly(etag.to_owned())),
                ..ReadConditions::default()
            },
            ..ReadOptions::default()
        };
        let (from, to) = (place.at("source é+"), place.at("big"));
        place
            .backend()
            .copy_part(&from, &read, &to, &upload, number)
            .await
    };
    let range = |first, last| Some(ByteRange::From { first, last });
    let refused = copy(1, None, "other").await;
    assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
    let parts = [
        copy(1, None, &stored.etag).await.unwrap(),
        copy(2, range(100, Some(MIN_PART_BYTES + 99)), &stored.etag)
            .await
            .unwrap(),
        copy(3, range(MIN_PART_BYTES, None), &stored.etag)
            .await
            .unwrap(),
    ];
    let sizes = parts.each_ref().map(|part| part.size);
    assert_eq!(sizes, [MIN_PART_BYTES + 1000, MIN_PART_BYTES, 1000]);
    assert_eq!(arrived(place, &upload).await, facts(&parts));
    place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&parts))
        .await
        .unwrap();
    assert_eq!(
        head(place, "big").await.unwrap().size,
        2 * MIN_PART_BYTES + 2000
    );
}
