//! Faults that Azurite does not make by itself: a busy service, lost answers, connections that break.

use lifeboat_gateway::backend::Error;
use lifeboat_gateway::backend::condition::{EtagMatch, WriteCondition};
use lifeboat_gateway::backend::options::{CopyOptions, ReadOptions};
use lifeboat_gateway::backends::azure::Limits;

use super::account::Account;
use super::proxy::{Fault, Rule};
use super::uploads::complete;
use crate::support::{
    Place as _, all_keys, begin, content, delete, head, put, put_if, put_part, read,
};

fn rule(method: &'static str, part: &'static str, fault: Fault, times: usize) -> Rule {
    Rule {
        method,
        part,
        fault,
        times,
    }
}

const BUSY: Fault = Fault::Refuse(503, "ServerBusy");

#[tokio::test]
async fn a_busy_service_is_asked_again_and_then_the_client_is_told_to_slow_down() {
    let Some((account, proxy)) = Account::behind_proxy(Limits::default()).await else {
        return;
    };
    proxy.fault(rule("PUT", "", BUSY, 2));
    put(&account, "k", "x").await.unwrap();
    proxy.fault(rule(
        "GET",
        "/k",
        Fault::Refuse(500, "OperationTimedOut"),
        3,
    ));
    assert_eq!(read(&account, "k").await.unwrap(), "x");
    proxy.fault(rule("PUT", "", BUSY, 5));
    let refused = put(&account, "k", "y").await.unwrap_err();
    assert!(
        matches!(&refused, Error::Upstream { status: 503, code, .. } if code == "SlowDown"),
        "{refused}"
    );
    assert_eq!(read(&account, "k").await.unwrap(), "x");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_known_for_its_own() {
    let Some((account, proxy)) = Account::behind_proxy(Limits::default()).await else {
        return;
    };
    proxy.fault(rule("PUT", "/k", Fault::LoseAnswer, 1));
    let first = put_if(&account, "k", "x", WriteCondition::Absent)
        .await
        .unwrap();
    let matches = WriteCondition::Matches(EtagMatch::Exactly(first.etag));
    proxy.fault(rule("PUT", "/k", Fault::LoseAnswer, 2));
    put_if(&account, "k", "y", matches).await.unwrap();
    assert_eq!(read(&account, "k").await.unwrap(), "y");
    // One that others wrote is not taken for one's own.
    let refused = put_if(&account, "k", "z", WriteCondition::Absent).await;
    assert!(matches!(refused, Err(Error::PreconditionFailed { .. })));
    proxy.fault(rule("PUT", "/copy", Fault::LoseAnswer, 1));
    let options = CopyOptions {
        destination: WriteCondition::Absent,
        ..CopyOptions::default()
    };
    account
        .backend()
        .copy(&account.at("k"), &account.at("copy"), options)
        .await
        .unwrap();
    proxy.fault(rule("DELETE", "/k", Fault::LoseAnswer, 1));
    delete(&account, "k").await.unwrap();
    assert_eq!(all_keys(&account).await, ["copy"]);
}

#[tokio::test]
async fn content_that_streamed_is_found_again_when_its_answer_is_lost() {
    let limits = Limits {
        window: 1000,
        ..Limits::default()
    };
    let Some((account, proxy)) = Account::behind_proxy(limits).await else {
        return;
    };
    let text = "x".repeat(5000);
    proxy.fault(rule("PUT", "/k", Fault::LoseAnswer, 1));
    let done = put_if(&account, "k", &text, WriteCondition::Absent)
        .await
        .unwrap();
    assert_eq!(done.etag, head(&account, "k").await.unwrap().etag);
    // What was never taken is no success.
    proxy.fault(rule("PUT", "/k", BUSY, 1));
    let refused = put(&account, "k", &text.replace('x', "y")).await;
    assert!(matches!(refused, Err(Error::Upstream { status: 503, .. })));
    assert!(read(&account, "k").await.unwrap() == text);
}

#[tokio::test]
async fn an_upload_completes_through_lost_answers() {
    let Some((account, proxy)) = Account::behind_proxy(Limits::default()).await else {
        return;
    };
    proxy.fault(rule("PUT", "comp=block&", Fault::LoseAnswer, 1));
    proxy.fault(rule("PUT", "comp=lease", Fault::LoseAnswer, 1));
    proxy.fault(rule("PUT", "comp=blocklist", Fault::LoseAnswer, 1));
    proxy.fault(rule("PUT", "/k", Fault::LoseAnswer, 1));
    proxy.fault(rule("DELETE", "", Fault::LoseAnswer, 1));
    let upload = begin(&account, "k").await.unwrap();
    let part = put_part(&account, "k", &upload, 1, content("x"))
        .await
        .unwrap();
    complete(&account, "k", &upload, &[part]).await.unwrap();
    assert_eq!(read(&account, "k").await.unwrap(), "x");
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
async fn a_completion_that_ended_before_its_last_step_has_the_same_answer_again() {
    let Some((account, proxy)) = Account::behind_proxy(Limits::default()).await else {
        return;
    };
    let upload = begin(&account, "k").await.unwrap();
    let part = put_part(&account, "k", &upload, 1, content("x"))
        .await
        .unwrap();
    let parts = [part];
    // The object is published, what lay aside stays: as after a SIGKILL, once the lease has ended.
    proxy.fault(rule("DELETE", "", Fault::Refuse(400, "InvalidInput"), 1));
    let first = complete(&account, "k", &upload, &parts).await.unwrap();
    let live = account
        .backend()
        .uploads(account.bucket(), "")
        .await
        .unwrap();
    assert_eq!(live.len(), 1);
    let busy = complete(&account, "k", &upload, &parts).await;
    assert!(matches!(busy, Err(Error::UploadBusy { .. })));
    assert_eq!(head(&account, "k").await.unwrap().etag, first.etag);
}

#[tokio::test]
async fn reading_goes_on_where_a_connection_broke() {
    let Some((account, proxy)) = Account::behind_proxy(Limits::default()).await else {
        return;
    };
    let text: String = (b'a'..=b'z')
        .map(char::from)
        .cycle()
        .take(8_000_000)
        .collect();
    put(&account, "k", &text).await.unwrap();
    proxy.calls();
    proxy.fault(rule("GET", "/k", Fault::CutAnswer, 3));
    assert!(read(&account, "k").await.unwrap() == text);
    assert_eq!(proxy.calls(), ["GET blob"; 4]);
    // Other bytes under the same key are never mixed in. So many are not read ahead of whoever takes them.
    proxy.fault(rule("GET", "/k", Fault::CutAnswer, 1));
    let opened = account
        .backend()
        .get(&account.at("k"), &ReadOptions::default())
        .await
        .unwrap();
    let other = text.to_uppercase();
    put(&account, "k", &other).await.unwrap();
    let body: Result<Vec<_>, _> = futures::TryStreamExt::try_collect(opened.body).await;
    assert!(body.is_err());
}

#[tokio::test]
async fn ranges_that_another_write_dropped_are_copied_again() {
    let limits = Limits {
        copy: 0,
        range: 4,
        ..Limits::default()
    };
    let Some((account, proxy)) = Account::behind_proxy(limits).await else {
        return;
    };
    put(&account, "source", "some bytes").await.unwrap();
    proxy.calls();
    proxy.fault(rule(
        "PUT",
        "comp=blocklist",
        Fault::Refuse(400, "InvalidBlockList"),
        2,
    ));
    account
        .backend()
        .copy(
            &account.at("source"),
            &account.at("k"),
            CopyOptions::default(),
        )
        .await
        .unwrap();
    assert_eq!(read(&account, "k").await.unwrap(), "some bytes");
    let copied = proxy.calls();
    let commits = copied.iter().filter(|call| *call == "PUT blob blocklist");
    assert_eq!(commits.count(), 3);
}

#[tokio::test]
async fn refused_credentials_are_told_without_any_secret() {
    let Some((account, proxy)) = Account::behind_proxy(Limits::default()).await else {
        return;
    };
    proxy.fault(rule(
        "PUT",
        "",
        Fault::Refuse(403, "AuthenticationFailed"),
        1,
    ));
    let refused = put(&account, "k", "x").await.unwrap_err();
    insta::assert_snapshot!(refused, @"the store behind the gateway says 403 AccessDenied: AuthenticationFailed: By order of a test.");
}
