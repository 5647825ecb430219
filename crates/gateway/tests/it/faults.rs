//! What the S3 backend does when the store fails, lies, breaks off or falls silent.

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use lifeboat_core::error::Kind;
use lifeboat_gateway::backend::condition::WriteCondition;
use lifeboat_gateway::backend::content::Content;
use lifeboat_gateway::backend::digest::{Algorithm, Checksum, Expected};
use lifeboat_gateway::backend::listing::ListQuery;
use lifeboat_gateway::backend::options::{CopyOptions, DeleteOptions, PutOptions, ReadOptions};
use lifeboat_gateway::backend::relay::Relayed;
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart, UploadOptions};
use lifeboat_gateway::backend::{Backend as _, Error};
use lifeboat_gateway::backends::s3::S3;

use crate::fake::{Fake, Reply, refusal, success};
use crate::support::{at, begin, content, delete, head, put, put_if, read, sources};

const STORED: Reply = Reply::Answer(200, &[("etag", "\"e\"")], String::new());

fn is_upstream(error: &Error, status: u16, code: &str) -> bool {
    matches!(
        error,
        Error::Upstream { status: found, code: name, .. } if *found == status && name == code
    )
}

#[tokio::test]
async fn what_does_no_harm_is_asked_again_until_the_store_is_well() {
    let script = || {
        vec![
            refusal(503, "SlowDown"),
            Reply::HangUp,
            refusal(500, "InternalError"),
        ]
    };
    let mut reading = script();
    reading.push(success(&[("etag", "\"e\"")], "content"));
    let fake = Fake::playing(reading).await;
    assert_eq!(read(&fake.s3(), "k").await.unwrap(), "content");
    assert_eq!(fake.seen().len(), 4);
    let mut writing = script();
    writing.push(STORED);
    let fake = Fake::playing(writing).await;
    put(&fake.s3(), "k", "content").await.unwrap();
    let seen = fake.seen();
    assert!(seen.iter().all(|request| request.body == b"content"));
    assert_eq!(seen.len(), 4);
    let fake = Fake::playing(script()).await;
    delete(&fake.s3(), "k").await.unwrap_err();
    assert_eq!(fake.seen().len(), 4, "four times and no more");
}

#[tokio::test]
async fn a_store_that_asks_for_patience_is_told_as_it_is() {
    let fake = Fake::playing(vec![refusal(503, "SlowDown")]).await;
    let error = read(&fake.s3(), "k").await.unwrap_err();
    assert!(is_upstream(&error, 503, "SlowDown"), "{error}");
    assert_eq!(error.kind(), Kind::Unavailable);
    let fake = Fake::playing(vec![Reply::Answer(502, &[], "<html>".to_owned())]).await;
    let error = read(&fake.s3(), "k").await.unwrap_err();
    assert!(is_upstream(&error, 502, "ServiceUnavailable"), "{error}");
}

#[tokio::test]
async fn what_may_have_taken_effect_is_not_done_again() {
    let complete = async |fake: &Fake| {
        let parts = vec![CompletedPart {
            number: 1,
            etag: "e".to_owned(),
            checksum: None,
        }];
        let options = CompleteOptions {
            parts,
            ..CompleteOptions::default()
        };
        fake.s3().complete_upload(&at("k"), "id", options).await
    };
    let done = || {
        let document =
            "<CompleteMultipartUploadResult><ETag>\"e-1\"</ETag></CompleteMultipartUploadResult>";
        success(&[], document)
    };
    let fake = Fake::playing(vec![Reply::HangUp, done()]).await;
    let error = complete(&fake).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(fake.seen().len(), 1);
    let fake = Fake::playing(vec![refusal(500, "InternalError"), done()]).await;
    complete(&fake).await.unwrap_err();
    assert_eq!(fake.seen().len(), 1);
    let fake = Fake::playing(vec![refusal(503, "SlowDown"), done()]).await;
    assert_eq!(complete(&fake).await.unwrap().etag, "e-1");
    assert_eq!(fake.seen().len(), 2);
    let fake = Fake::playing(vec![Reply::HangUp, STORED]).await;
    let absent = put_if(&fake.s3(), "k", "x", WriteCondition::Absent).await;
    assert!(absent.is_err());
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn content_that_streams_is_sent_once() {
    let fake = Fake::playing(vec![refusal(503, "SlowDown"), STORED]).await;
    let large = content(vec![b'x'; 300_000]);
    let sent = fake.s3().put(&at("k"), PutOptions::default(), large).await;
    assert!(is_upstream(&sent.unwrap_err(), 503, "SlowDown"));
    let seen = fake.seen();
    assert_eq!((seen.len(), seen[0].body.len()), (1, 300_000));
    assert_eq!(seen[0].header("content-length"), Some("300000"));
    assert_eq!(seen[0].header("transfer-encoding"), None);
    assert_eq!(
        seen[0].header("x-amz-content-sha256"),
        Some("unsigned-payload")
    );
}

#[tokio::test]
async fn the_store_never_has_all_of_content_that_is_not_as_promised() {
    let wrong = || Expected {
        checksum: Checksum::new(Algorithm::Crc32, "AAAAAA==").ok(),
        ..Expected::default()
    };
    let pieces = |size| {
        let bytes = Bytes::from(vec![b'x'; size]);
        Box::pin(stream::iter([Ok(bytes)]))
    };
    for size in [1000, 300_000, 2_000_000] {
        let fake = Fake::playing(vec![STORED]).await;
        let length = u64::try_from(size).ok();
        let content = Content::new(pieces(size), length, wrong());
        let sent = fake
            .s3()
            .put(&at("k"), PutOptions::default(), content)
            .await;
        assert!(
            matches!(
                sent,
                Err(Error::DigestMismatch {
                    algorithm: "CRC32",
                    ..
                })
            ),
            "{sent:?}"
        );
        for request in fake.seen() {
            assert!(request.body.len() < size);
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_content_is_no_success() {
    let large = || content(vec![b'x'; 40_000_000]);
    let put = async |fake: &Fake| {
        fake.s3()
            .put(&at("k"), PutOptions::default(), large())
            .await
    };
    let fake = Fake::playing(vec![Reply::Early(200, String::new())]).await;
    let error = put(&fake).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let denied = "<Error><Code>AccessDenied</Code></Error>".to_owned();
    let fake = Fake::playing(vec![Reply::Early(403, denied)]).await;
    let error = put(&fake).await.unwrap_err();
    assert!(is_upstream(&error, 403, "AccessDenied"), "{error}");
}

#[tokio::test]
async fn a_silent_store_is_not_waited_for_without_end() {
    let fake = Fake::playing(vec![Reply::Silence]).await;
    let error = read(&fake.s3(), "k").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let large = content(vec![b'x'; 40_000_000]);
    let error = fake.s3().put(&at("k"), PutOptions::default(), large).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test]
async fn content_that_breaks_off_is_not_taken_for_a_whole() {
    let fake = Fake::playing(vec![Reply::Cut(3, "0123456789".to_owned())]).await;
    let s3 = fake.s3();
    let opened = s3.get(&at("k"), &ReadOptions::default()).await.unwrap();
    assert_eq!(opened.range, 0..10);
    let read: Result<Vec<Bytes>, _> = opened.body.try_collect().await;
    assert!(read.is_err());
}

#[tokio::test]
async fn documents_that_break_off_are_asked_for_again() {
    let document = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    let fake = Fake::playing(vec![
        Reply::Cut(30, document.to_owned()),
        success(&[], document),
    ])
    .await;
    let query = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    let page = fake.s3().list("bucket", &query).await.unwrap();
    assert!(page.entries.is_empty() && !page.truncated);
    let fake = Fake::playing(vec![success(&[], "<a><b></a>")]).await;
    let error = fake.s3().list("bucket", &query).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_token_that_leads_nowhere_ends_a_listing() {
    let document =
        "<R><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></R>";
    let fake = Fake::playing(vec![success(&[], document)]).await;
    let query = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    let page = fake.s3().list("bucket", &query).await.unwrap();
    assert!(page.entries.is_empty());
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn an_error_that_comes_as_a_success_is_an_error() {
    let late =
        "\n\n<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>m</Message></Error>";
    let fake = Fake::playing(vec![success(&[], late)]).await;
    let copied = fake
        .s3()
        .copy(&at("a"), &at("b"), CopyOptions::default())
        .await;
    assert!(is_upstream(&copied.unwrap_err(), 500, "InternalError"));
    let gone = "<Error><Code>NoSuchUpload</Code></Error>";
    let fake = Fake::playing(vec![success(&[], gone)]).await;
    let options = CompleteOptions {
        parts: vec![CompletedPart {
            number: 1,
            etag: "e".to_owned(),
            checksum: None,
        }],
        ..CompleteOptions::default()
    };
    let completed = fake.s3().complete_upload(&at("k"), "id", options).await;
    assert!(matches!(completed, Err(Error::NoSuchUpload { upload }) if upload == "id"));
}

#[tokio::test]
async fn a_bucket_of_another_region_is_told_with_the_setting_that_helps() {
    let moved = Reply::Answer(301, &[("x-amz-bucket-region", "eu-west-1")], String::new());
    let fake = Fake::playing(vec![moved]).await;
    let error = fake.s3().create_bucket("bucket").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("eu-west-1") && text.contains("backup.storage.backend.s3.region"),
        "{text}"
    );
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn who_may_not_create_buckets_can_use_those_there_are() {
    let fake = Fake::playing(vec![success(&[], ""), refusal(403, "AccessDenied")]).await;
    let created = fake.s3().create_bucket("bucket").await;
    assert!(matches!(created, Err(Error::BucketExists { .. })));
    let fake = Fake::playing(vec![
        refusal(404, "NoSuchBucket"),
        refusal(403, "AccessDenied"),
    ])
    .await;
    let created = fake.s3().create_bucket("bucket").await;
    assert!(is_upstream(&created.unwrap_err(), 403, "AccessDenied"));
}

#[tokio::test]
async fn no_error_and_no_debug_shows_a_secret() {
    for reply in [Reply::HangUp, refusal(403, "SignatureDoesNotMatch")] {
        let fake = Fake::playing(vec![reply]).await;
        let s3 = fake.s3();
        let error = read(&s3, "k").await.unwrap_err();
        let text = format!("{error} {error:?} {s3:?} {:?}", fake.options());
        assert!(!text.contains("hidden"), "{text}");
        let seen = fake.seen();
        assert_eq!(seen[0].header("x-amz-security-token"), Some("hidden-token"));
    }
    let mut relayed = Relayed::default();
    relayed.insert("x-amz-server-side-encryption-customer-key", "hidden\n");
    let fake = Fake::playing(vec![STORED]).await;
    let options = PutOptions {
        relayed,
        ..PutOptions::default()
    };
    let error = fake.s3().put(&at("k"), options, content("x")).await;
    let error = error.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hidden"));
}

#[tokio::test]
async fn encryption_is_told_in_every_direction() {
    const SAID: &[(&str, &str)] = &[
        ("etag", "\"e\""),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "key"),
        ("x-amz-server-side-encryption-bucket-key-enabled", "true"),
    ];
    const ASKED: [(&str, &str); 3] = [
        ("x-amz-server-side-encryption-customer-algorithm", "aes256"),
        ("x-amz-server-side-encryption-customer-key", "secret"),
        ("x-amz-server-side-encryption-customer-key-md5", "sum"),
    ];
    let relayed = || -> Relayed {
        ASKED
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let document = "<R><UploadId>id</UploadId><ETag>e</ETag></R>";
    let fake = Fake::playing(vec![success(SAID, document)]).await;
    let s3 = fake.s3();
    let mut answers = Vec::new();
    let put = PutOptions {
        relayed: relayed(),
        ..PutOptions::default()
    };
    answers.push(
        s3.put(&at("k"), put.clone(), content("x"))
            .await
            .unwrap()
            .relayed,
    );
    let large = content(vec![b'x'; 300_000]);
    answers.push(s3.put(&at("k"), put, large).await.unwrap().relayed);
    let begin = UploadOptions {
        relayed: relayed(),
        ..UploadOptions::default()
    };
    answers.push(s3.begin_upload(&at("k"), begin).await.unwrap().relayed);
    let part = s3
        .put_part(&at("k"), "id", 1, content("x"), relayed())
        .await;
    answers.push(part.unwrap().relayed);
    let complete = CompleteOptions {
        parts: vec![CompletedPart {
            number: 1,
            etag: "e".to_owned(),
            checksum: None,
        }],
        relayed: relayed(),
        ..CompleteOptions::default()
    };
    answers.push(
        s3.complete_upload(&at("k"), "id", complete)
            .await
            .unwrap()
            .relayed,
    );
    let copy = CopyOptions {
        relayed: relayed(),
        ..CopyOptions::default()
    };
    answers.push(s3.copy(&at("k"), &at("c"), copy).await.unwrap().relayed);
    let read = ReadOptions {
        relayed: relayed(),
        ..ReadOptions::default()
    };
    answers.push(s3.head(&at("k"), &read).await.unwrap().relayed);
    answers.push(s3.get(&at("k"), &read).await.unwrap().info.relayed);
    let range = lifeboat_gateway::backend::options::ByteRange::From {
        first: 0,
        last: Some(9),
    };
    let some = ReadOptions {
        range: Some(range),
        ..read
    };
    let part = s3.copy_part(&at("k"), &some, &at("c"), "id", 1).await;
    answers.push(part.unwrap().relayed);
    for said in &answers {
        for (name, value) in &SAID[1..] {
            assert_eq!(said.get(name), Some(*value));
        }
    }
    let seen = fake.seen();
    assert_eq!(seen.len(), answers.len());
    for request in seen {
        for (name, value) in ASKED {
            assert_eq!(request.header(name), Some(value), "{}", request.head);
        }
        let signed = request.header("authorization").unwrap();
        assert!(
            signed.contains("x-amz-server-side-encryption-customer-key;"),
            "{signed}"
        );
    }
}

#[tokio::test]
async fn many_objects_are_removed_with_one_request() {
    let document = "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>AccessDenied</Code>\
                    <Message>locked</Message></Error></DeleteResult>";
    let fake = Fake::playing(vec![success(&[], document)]).await;
    let targets = ["a", "b", "c"]
        .map(|key| (at(key), DeleteOptions::default()))
        .into();
    let outcomes = fake.s3().delete_many(targets).await;
    assert!(outcomes[0].is_ok());
    assert!(is_upstream(
        outcomes[1].as_ref().unwrap_err(),
        400,
        "AccessDenied"
    ));
    assert!(matches!(outcomes[2], Err(Error::Unreachable { .. })));
    let seen = fake.seen();
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0].head.starts_with("post /bucket?delete="),
        "{}",
        seen[0].head
    );
    assert!(seen[0].header("content-md5").is_some());
    let fake = Fake::playing(vec![refusal(404, "NoSuchBucket")]).await;
    let targets = ["a", "b"]
        .map(|key| (at(key), DeleteOptions::default()))
        .into();
    for outcome in fake.s3().delete_many(targets).await {
        assert!(matches!(outcome, Err(Error::NoSuchBucket { .. })));
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_named_by_what_was_asked() {
    let fake = Fake::playing(vec![Reply::Silence]).await;
    let mut options = fake.options();
    drop(fake);
    options.patience.attempts = 2;
    let s3 = S3::open(options, sources(1)).unwrap();
    let error = head(&s3, "k").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the store behind the gateway gave no answer while reading an object"
    );
    begin(&s3, "k").await.unwrap_err();
}
