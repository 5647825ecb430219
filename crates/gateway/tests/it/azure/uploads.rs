//! Multipart uploads beside each other, and across gateways.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lifeboat_gateway::backend::condition::WriteCondition;
use lifeboat_gateway::backend::options::ReadOptions;
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart, PartInfo};
use lifeboat_gateway::backend::{Error, Stored};
use lifeboat_gateway::backends::Sources;
use lifeboat_gateway::backends::azure::{Azure, Limits};

use super::account::{Account, options, own_azurite};
use crate::support::{
    Place, all_keys, at, begin, content, head, put, put_if, put_part, read, read_with, wall_clock,
};

const FULL: usize = 5 * 1024 * 1024;

pub(super) async fn complete(
    place: &dyn Place,
    key: &str,
    upload: &str,
    parts: &[PartInfo],
) -> Result<Stored, Error> {
    complete_if(place, key, upload, parts, WriteCondition::None).await
}

async fn complete_if(
    place: &dyn Place,
    key: &str,
    upload: &str,
    parts: &[PartInfo],
    condition: WriteCondition,
) -> Result<Stored, Error> {
    let parts = parts.iter().map(|part| CompletedPart {
        number: part.number,
        etag: part.etag.clone(),
        checksum: None,
    });
    let options = CompleteOptions {
        parts: parts.collect(),
        condition,
        ..CompleteOptions::default()
    };
    place
        .backend()
        .complete_upload(&place.at(key), upload, options)
        .await
}

#[tokio::test]
async fn two_uploads_and_a_put_of_one_key_do_not_disturb_each_other() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let one = begin(&account, "k").await.unwrap();
    let two = begin(&account, "k").await.unwrap();
    let of_one = [
        put_part(&account, "k", &one, 1, content(vec![1; FULL])).await,
        put_part(&account, "k", &one, 2, content("one")).await,
    ];
    let of_two = put_part(&account, "k", &two, 1, content("two"))
        .await
        .unwrap();
    put(&account, "k", "put").await.unwrap();
    complete(&account, "k", &two, &[of_two]).await.unwrap();
    assert_eq!(read(&account, "k").await.unwrap(), "two");
    put(&account, "k", "put again").await.unwrap();
    let of_one = of_one.map(Result::unwrap);
    let done = complete(&account, "k", &one, &of_one).await.unwrap();
    let info = head(&account, "k").await.unwrap();
    assert_eq!(info.size, u64::try_from(FULL).unwrap() + 3);
    assert_eq!(info.etag, done.etag);
}

#[tokio::test]
async fn an_upload_goes_on_in_another_gateway() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let upload = begin(&account, "k").await.unwrap();
    let first = put_part(&account, "k", &upload, 1, content(vec![1; FULL]))
        .await
        .unwrap();
    let other = account.again();
    let last = put_part(&other, "k", &upload, 2, content("x"))
        .await
        .unwrap();
    let parts = [first, last];
    let listed = other
        .backend()
        .parts(&other.at("k"), &upload)
        .await
        .unwrap();
    assert_eq!(listed.parts, parts);
    let done = complete(&other, "k", &upload, &parts).await.unwrap();
    let again = complete(&account, "k", &upload, &parts).await.unwrap();
    assert_eq!(done, again);
    assert!(
        account
            .backend()
            .uploads(account.bucket(), "")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_upload_whose_completion_fails_is_as_before() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    put(&account, "k", "there").await.unwrap();
    let upload = begin(&account, "k").await.unwrap();
    let mut parts = Vec::new();
    for (number, bytes) in [(1, vec![1; FULL]), (2, vec![2; FULL]), (3, vec![3; 3])] {
        let part = put_part(&account, "k", &upload, number, content(bytes)).await;
        parts.push(part.unwrap());
    }
    let chosen = [parts[0].clone(), parts[2].clone()];
    let refused = complete_if(&account, "k", &upload, &chosen, WriteCondition::Absent).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
    assert_eq!(read(&account, "k").await.unwrap(), "there");
    let kept = account
        .backend()
        .parts(&account.at("k"), &upload)
        .await
        .unwrap();
    assert_eq!(kept.parts, parts);
    // What was not chosen the first time can be chosen now, and a part sent again.
    let again = put_part(&account, "k", &upload, 3, content("new"))
        .await
        .unwrap();
    let all = [parts[0].clone(), parts[1].clone(), again];
    complete(&account, "k", &upload, &all).await.unwrap();
    let info = head(&account, "k").await.unwrap();
    assert_eq!(info.size, 2 * u64::try_from(FULL).unwrap() + 3);
}

#[tokio::test]
async fn an_upload_of_one_empty_part_makes_an_empty_object() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let upload = begin(&account, "k").await.unwrap();
    let part = put_part(&account, "k", &upload, 1, content(""))
        .await
        .unwrap();
    assert_eq!(
        (part.size, part.etag.as_str()),
        (0, "d41d8cd98f00b204e9800998ecf8427e")
    );
    let listed = account
        .backend()
        .parts(&account.at("k"), &upload)
        .await
        .unwrap();
    assert_eq!(listed.parts, std::slice::from_ref(&part));
    complete(&account, "k", &upload, &[part]).await.unwrap();
    assert_eq!(head(&account, "k").await.unwrap().size, 0);
    assert_eq!(read(&account, "k").await.unwrap(), "");
}

#[tokio::test]
async fn parts_of_an_object_are_read_by_their_number() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let upload = begin(&account, "k").await.unwrap();
    let parts = [
        put_part(&account, "k", &upload, 1, content(vec![b'1'; FULL]))
            .await
            .unwrap(),
        put_part(&account, "k", &upload, 2, content("two"))
            .await
            .unwrap(),
    ];
    complete(&account, "k", &upload, &parts).await.unwrap();
    let part = |number| ReadOptions {
        part: Some(number),
        ..ReadOptions::default()
    };
    assert_eq!(read_with(&account, "k", &part(2)).await.unwrap(), "two");
    assert_eq!(
        read_with(&account, "k", &part(1)).await.unwrap().len(),
        FULL
    );
    let told = account
        .backend()
        .head(&account.at("k"), &part(2))
        .await
        .unwrap();
    assert_eq!((told.size, told.parts), (3, Some(2)));
    assert!(read_with(&account, "k", &part(3)).await.is_err());
}

#[tokio::test]
async fn an_upload_is_completed_or_aborted_never_both() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let other = account.again();
    for round in 0..10 {
        let key = format!("k{round}");
        let upload = begin(&account, &key).await.unwrap();
        let part = put_part(&account, &key, &upload, 1, content("x"))
            .await
            .unwrap();
        let path = other.at(&key);
        let parts = [part];
        let (completed, aborted) = futures::join!(
            complete(&account, &key, &upload, &parts),
            other.backend().abort_upload(&path, &upload),
        );
        let there = head(&account, &key).await.is_ok();
        assert_eq!(completed.is_ok(), there);
        assert!(
            completed.is_ok() != aborted.is_ok(),
            "{completed:?} {aborted:?}"
        );
    }
}

#[tokio::test]
async fn one_of_many_conditional_completions_wins() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    let mut uploads = Vec::new();
    for number in 0..6 {
        let upload = begin(&account, "k").await.unwrap();
        let text = format!("upload {number}");
        let part = put_part(&account, "k", &upload, 1, content(&text))
            .await
            .unwrap();
        uploads.push((upload, [part], text));
    }
    let completions = uploads.iter().map(|(upload, parts, text)| async {
        let done = complete_if(&account, "k", upload, parts, WriteCondition::Absent).await;
        done.map(|_| text.clone())
    });
    let outcomes = futures::future::join_all(completions).await;
    let winners: Vec<_> = outcomes.iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(&read(&account, "k").await.unwrap(), winners[0]);
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(Error::PreconditionFailed { .. })));
    assert_eq!(refused.count(), 5);
}

/// The machine's clock, `ahead` of itself.
fn later(ahead: SignedDuration) -> Sources {
    let wall = wall_clock();
    Sources {
        now: std::sync::Arc::new(move || -> Timestamp { (wall.now)() + ahead }),
        ..wall_clock()
    }
}

#[tokio::test]
async fn uploads_in_which_nothing_happens_are_aborted() {
    // All containers of an account are swept, so others must not be in there.
    let Some(azurite) = own_azurite() else {
        return;
    };
    let account = Account::on(azurite, Limits::default()).await;
    let idle = begin(&account, "idle").await.unwrap();
    put_part(&account, "idle", &idle, 1, content("x"))
        .await
        .unwrap();
    let week = Duration::from_hours(7 * 24);
    assert_eq!(account.backend().sweep_uploads(week).await.unwrap(), 0);
    let ahead = SignedDuration::from_hours(8 * 24);
    let tomorrow = Azure::open(options(account.azurite.server.endpoint()), later(ahead)).unwrap();
    let tomorrow = Account {
        azure: tomorrow,
        ..account.again()
    };
    // It began long ago, and something has just happened in it.
    let busy = begin(&account, "busy").await.unwrap();
    put_part(&tomorrow, "busy", &busy, 1, content("x"))
        .await
        .unwrap();
    assert_eq!(tomorrow.backend().sweep_uploads(week).await.unwrap(), 1);
    let left = account
        .backend()
        .uploads(account.bucket(), "")
        .await
        .unwrap();
    let left: Vec<_> = left.into_iter().map(|upload| upload.id).collect();
    assert_eq!(left, [busy]);
}

#[tokio::test]
async fn ids_that_are_none_are_unknown() {
    let Some(account) = Account::in_azurite().await else {
        return;
    };
    for id in [
        "",
        "x",
        "../../../../../../../../..",
        "01HF7YAT00TN1D0BB8GRFC5YYD",
    ] {
        let path = account.at("k");
        let unknown = |error| matches!(error, Error::NoSuchUpload { .. });
        let part = put_part(&account, "k", id, 1, content("x")).await;
        assert!(unknown(part.unwrap_err()));
        assert!(unknown(complete(&account, "k", id, &[]).await.unwrap_err()));
        assert!(unknown(
            account.backend().abort_upload(&path, id).await.unwrap_err()
        ));
        assert!(unknown(
            account.backend().parts(&path, id).await.unwrap_err()
        ));
    }
    assert!(all_keys(&account).await.is_empty());
    let nowhere = account
        .backend()
        .abort_upload(&at("k"), "01HF7YAT00TN1D0BB8GRFC5YYD")
        .await;
    assert!(matches!(nowhere, Err(Error::NoSuchUpload { .. })));
    let created = put_if(&account, "k", "x", WriteCondition::Absent).await;
    assert!(created.is_ok());
}
