//! Content of every size and kind: whole in one call, as it comes, or aside first. The limits are small here, so that the
//! bytes need not be many.

use lifeboat_gateway::backend::condition::{EtagMatch, WriteCondition};
use lifeboat_gateway::backend::content::Content;
use lifeboat_gateway::backend::digest::{Algorithm, Checksum, Expected, Hasher};
use lifeboat_gateway::backend::options::{CopyOptions, PutOptions};
use lifeboat_gateway::backend::{Error, Stored};
use lifeboat_gateway::backends::azure::Limits;

use super::account::Account;
use super::proxy::Proxy;
use crate::support::{
    Place, all_keys, begin, content, content_expecting, head, hex, pieces, put, put_part, read,
};

/// Every way is taken by half a megabyte.
const SMALL: Limits = Limits {
    window: 200_000,
    put: 1_000_000,
    block: 300_000,
    copy: 250_000,
    range: 150_000,
    metadata: 8 * 1024,
};

fn letters(size: usize) -> String {
    (b'a'..=b'z').map(char::from).cycle().take(size).collect()
}

fn digest(text: &str, algorithm: Option<Algorithm>) -> (String, Option<Checksum>) {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(text.as_bytes());
    let digests = hasher.finish();
    (hex(digests.tag.bytes()), digests.checksum)
}

async fn stored(place: &dyn Place, key: &str, content: Content) -> Result<Stored, Error> {
    place
        .backend()
        .put(&place.at(key), PutOptions::default(), content)
        .await
}

/// Stores content, reads it back, and returns the calls it took.
async fn kept(account: &Account, proxy: &Proxy, text: &str, content: Content) -> Vec<String> {
    let algorithm = content.expected().algorithm();
    proxy.calls();
    let done = stored(account, "k", content).await.unwrap();
    let calls = proxy.calls();
    let (etag, checksum) = digest(text, algorithm);
    assert_eq!((&done.etag, &done.checksum), (&etag, &checksum));
    let info = head(account, "k").await.unwrap();
    assert_eq!((&info.etag, &info.checksum), (&etag, &checksum));
    assert!(read(account, "k").await.unwrap() == text);
    assert_eq!(all_keys(account).await, ["k"]);
    calls
}

#[tokio::test]
async fn content_goes_the_shortest_way_that_its_checksum_allows() {
    let Some((account, proxy)) = Account::behind_proxy(SMALL).await else {
        return;
    };
    let (small, large) = (letters(150_000), letters(700_000));
    let compute = || Expected {
        compute: Some(Algorithm::Crc64Nvme),
        ..Expected::default()
    };
    let sent = |text: &str| Expected {
        checksum: digest(text, Some(Algorithm::Crc32)).1,
        ..Expected::default()
    };
    for expected in [Expected::default(), compute(), sent(&small)] {
        let content = content_expecting(&small, expected);
        assert_eq!(kept(&account, &proxy, &small, content).await, ["PUT blob"]);
    }
    for expected in [Expected::default(), sent(&large)] {
        let content = content_expecting(&large, expected);
        assert_eq!(kept(&account, &proxy, &large, content).await, ["PUT blob"]);
    }
    let aside = [
        "PUT aside block",
        "PUT aside block",
        "PUT aside block",
        "PUT aside blocklist",
    ];
    let content = content_expecting(&large, compute());
    let calls = kept(&account, &proxy, &large, content).await;
    assert_eq!(calls[..4], aside);
    let unknown = Content::new(pieces(large.as_bytes()), None, Expected::default());
    let calls = kept(&account, &proxy, &large, unknown).await;
    assert_eq!(calls[..3], aside[..3]);
    assert_eq!(calls.last().unwrap(), "DELETE aside");
    let unknown = Content::new(pieces(small.as_bytes()), None, Expected::default());
    assert_eq!(kept(&account, &proxy, &small, unknown).await, ["PUT blob"]);
}

#[tokio::test]
async fn nothing_is_stored_of_content_that_is_not_as_promised() {
    let Some(account) = Account::with(SMALL).await else {
        return;
    };
    put(&account, "k", "old").await.unwrap();
    for size in [10, 400_000, 2_000_000] {
        let text = letters(size);
        let damaged = Expected {
            md5: Some([0; 16]),
            ..Expected::default()
        };
        let wrong = Expected {
            checksum: digest("other", Some(Algorithm::Sha256)).1,
            ..Expected::default()
        };
        let length = u64::try_from(size).unwrap();
        let cases = [
            content_expecting(&text, damaged),
            content_expecting(&text, wrong),
            Content::new(
                pieces(text.as_bytes()),
                Some(length + 1),
                Expected::default(),
            ),
            Content::new(
                pieces(text.as_bytes()),
                Some(length - 1),
                Expected::default(),
            ),
        ];
        for content in cases {
            let refused = stored(&account, "k", content).await.unwrap_err();
            assert!(
                matches!(
                    refused,
                    Error::DigestMismatch { .. } | Error::IncompleteBody { .. }
                ),
                "{refused}"
            );
            assert_eq!(read(&account, "k").await.unwrap(), "old");
        }
    }
}

#[tokio::test]
async fn conditions_hold_whatever_the_way() {
    let Some(account) = Account::with(SMALL).await else {
        return;
    };
    for size in [10, 700_000, 2_000_000] {
        let text = letters(size);
        let key = format!("k{size}");
        let put_if = async |condition| {
            let options = PutOptions {
                condition,
                ..PutOptions::default()
            };
            let path = account.at(&key);
            account.backend().put(&path, options, content(&text)).await
        };
        let missing = put_if(WriteCondition::Matches(EtagMatch::Any)).await;
        assert!(matches!(missing, Err(Error::NoSuchKey { .. })));
        let first = put_if(WriteCondition::Absent).await.unwrap();
        let exactly = |etag: &str| WriteCondition::Matches(EtagMatch::Exactly(etag.to_owned()));
        for unmet in [
            WriteCondition::Absent,
            exactly("other"),
            WriteCondition::Differs(first.etag.clone()),
        ] {
            let refused = put_if(unmet).await;
            assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
        }
        put_if(exactly(&first.etag)).await.unwrap();
        put_if(WriteCondition::Differs("other".to_owned()))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn parts_larger_than_a_window_are_passed_on_as_they_come() {
    let Some((account, proxy)) = Account::behind_proxy(SMALL).await else {
        return;
    };
    let upload = begin(&account, "k").await.unwrap();
    let text = letters(700_000);
    for length in [Some(700_000), None] {
        proxy.calls();
        let content = Content::new(pieces(text.as_bytes()), length, Expected::default());
        let part = put_part(&account, "k", &upload, 1, content).await.unwrap();
        let calls = proxy.calls();
        assert_eq!(calls[0], "HEAD aside");
        assert!(calls[1..].iter().all(|call| call == "PUT aside block"));
        assert_eq!((part.size, part.etag), (700_000, digest(&text, None).0));
    }
    let listed = account
        .backend()
        .parts(&account.at("k"), &upload)
        .await
        .unwrap();
    super::uploads::complete(&account, "k", &upload, &listed.parts)
        .await
        .unwrap();
    assert!(read(&account, "k").await.unwrap() == text);
}

#[tokio::test]
async fn large_objects_are_copied_range_by_range() {
    let Some((account, proxy)) = Account::behind_proxy(SMALL).await else {
        return;
    };
    let text = letters(700_000);
    let source = stored(&account, "source", content(&text)).await.unwrap();
    proxy.calls();
    let copied = account
        .backend()
        .copy(
            &account.at("source"),
            &account.at("copy"),
            CopyOptions::default(),
        )
        .await
        .unwrap();
    let calls = proxy.calls();
    let ranges = calls.iter().filter(|call| *call == "PUT blob block");
    assert_eq!(
        (ranges.count(), calls.last().unwrap().as_str()),
        (5, "PUT blob blocklist")
    );
    // The service itself read the source: nothing came through the gateway.
    assert!(!calls.iter().any(|call| call == "GET blob"));
    assert_eq!(copied.etag, source.etag);
    assert_eq!(head(&account, "copy").await.unwrap().etag, source.etag);
    assert!(read(&account, "copy").await.unwrap() == text);
}

#[tokio::test]
async fn what_the_service_cannot_copy_the_gateway_copies() {
    // Azurite has no way to put a block from an address.
    let Some(account) = Account::with(SMALL).await else {
        return;
    };
    let text = letters(700_000);
    let source = stored(&account, "source", content(&text)).await.unwrap();
    let copied = account
        .backend()
        .copy(
            &account.at("source"),
            &account.at("copy"),
            CopyOptions::default(),
        )
        .await
        .unwrap();
    assert_eq!(copied.etag, source.etag);
    assert!(read(&account, "copy").await.unwrap() == text);
}
