//! Entity tags, where the sender wants no MD5. A backend may take it all the same.

use bytes::Bytes;
use lifeboat_gateway::backend::condition::{EtagMatch, ReadConditions};
use lifeboat_gateway::backend::digest::{Algorithm, Expected, Hasher};
use lifeboat_gateway::backend::options::PutOptions;
use lifeboat_gateway::backend::tag::TagBy;
use lifeboat_gateway::backend::{Error, MIN_PART_BYTES};

use super::uploads::listed;
use crate::support::{
    Place, all_keys, assert_agree, begin, content_expecting, head, hex, put_part, read, read_if,
};

/// Content with its checksum, of a sender who wants no MD5.
fn wish(bytes: &[u8]) -> Expected {
    let mut hasher = Hasher::new(Some(Algorithm::Crc64Nvme));
    hasher.update(bytes);
    Expected {
        checksum: hasher.finish().checksum,
        tag: TagBy::Checksum,
        ..Expected::default()
    }
}

fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut hasher = Hasher::new(None);
    hasher.update(bytes);
    *hasher.finish().tag.bytes()
}

async fn put(place: &dyn Place, bytes: &[u8], expected: Expected) -> Result<String, Error> {
    let content = content_expecting(bytes, expected);
    let stored = place
        .backend()
        .put(&place.at("k"), PutOptions::default(), content)
        .await?;
    let info = head(place, "k").await?;
    assert_agree(&stored, &info);
    assert_eq!(stored.checksum, wish(bytes).checksum);
    Ok(stored.etag)
}

pub(super) async fn tells_content_apart_without_an_md5(place: &dyn Place) {
    for size in [0, 70_000, 700_000] {
        let (one, other) = (vec![b'x'; size], [vec![b'x'; size], vec![b'y']].concat());
        let first = put(place, &one, wish(&one)).await.unwrap();
        let second = put(place, &other, wish(&other)).await.unwrap();
        assert_ne!(first, second);
        for (etag, bytes) in [(&first, &one), (&second, &other)] {
            // What could be taken for an MD5 is one.
            assert!(etag.contains('-') || *etag == hex(&md5(bytes)), "{etag}");
        }
        let only = |etag: &str| ReadConditions {
            matches: Some(EtagMatch::Exactly(etag.to_owned())),
            ..ReadConditions::default()
        };
        assert!(read_if(place, "k", only(&second)).await.is_ok());
        assert!(read_if(place, "k", only(&first)).await.is_err());
    }
}

pub(super) async fn compares_what_was_promised_without_an_md5(place: &dyn Place) {
    for size in [5, 70_000, 700_000] {
        let bytes = vec![b'x'; size];
        let refused = put(place, &bytes, wish(b"other")).await;
        assert!(
            matches!(refused, Err(Error::DigestMismatch { .. })),
            "{refused:?}"
        );
        let wrong = Expected {
            md5: Some([0; 16]),
            ..wish(&bytes)
        };
        let refused = put(place, &bytes, wrong).await;
        assert!(
            matches!(refused, Err(Error::DigestMismatch { .. })),
            "{refused:?}"
        );
        assert!(all_keys(place).await.is_empty());
    }
    // Who sends an MD5 gets it back.
    let right = Expected {
        md5: Some(md5(b"bytes")),
        ..wish(b"bytes")
    };
    let etag = put(place, b"bytes", right).await.unwrap();
    assert_eq!(etag, hex(&md5(b"bytes")));
}

pub(super) async fn joins_parts_without_an_md5(place: &dyn Place) {
    let upload = begin(place, "big").await.unwrap();
    let full = vec![b'x'; usize::try_from(MIN_PART_BYTES).unwrap()];
    let mut parts = Vec::new();
    for (number, bytes) in [(1, Bytes::from(full)), (2, Bytes::from_static(b"rest"))] {
        let content = content_expecting(&bytes, wish(&bytes));
        let part = put_part(place, "big", &upload, number, content).await;
        parts.push(part.unwrap());
    }
    place
        .backend()
        .complete_upload(&place.at("big"), &upload, listed(&parts))
        .await
        .unwrap();
    let info = head(place, "big").await.unwrap();
    assert!(info.etag.ends_with("-2"), "{}", info.etag);
    let read = read(place, "big").await.unwrap();
    assert_eq!(read.len(), usize::try_from(MIN_PART_BYTES).unwrap() + 4);
    assert!(read.ends_with("xrest"));
}
