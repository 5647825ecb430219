//! Requests that end half-way, at whatever step: the object is the old or the new one, and nothing else is seen.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use lifeboat_gateway::backend::options::{CopyOptions, PutOptions};
use lifeboat_gateway::backends::azure::Limits;

use super::account::Account;
use super::uploads::complete;
use crate::support::{Place as _, all_keys, begin, content, head, put, put_part, read};

/// Ways that take several calls, with few bytes.
const SMALL: Limits = Limits {
    window: 20_000,
    put: 10_000,
    block: 30_000,
    copy: 1_000_000,
    range: 1_000_000,
    metadata: 8 * 1024,
};

/// Runs `work` until it has been woken `steps` times, then drops it. Returns whether it came to its end.
async fn cut<T>(work: impl Future<Output = T>, steps: usize) -> Option<T> {
    let mut work = pin!(work);
    let mut left = steps;
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn a_put_that_is_cut_off_anywhere_leaves_the_old_object_or_the_new() {
    let Some(account) = Account::with(SMALL).await else {
        return;
    };
    let new = "n".repeat(60_000);
    for steps in 0.. {
        put(&account, "k", "old").await.unwrap();
        let path = account.at("k");
        let work = account
            .backend()
            .put(&path, PutOptions::default(), content(&new));
        let done = cut(work, steps).await;
        let found = read(&account, "k").await.unwrap();
        assert!(found == "old" || found == new, "after {steps} steps");
        assert_eq!(all_keys(&account).await, ["k"]);
        if let Some(done) = done {
            done.unwrap();
            assert!(found == new);
            assert!(steps > 5, "it took {steps} steps only");
            break;
        }
    }
}

#[tokio::test]
async fn a_completion_that_is_cut_off_anywhere_can_be_repeated_or_waited_for() {
    let Some(account) = Account::with(SMALL).await else {
        return;
    };
    for steps in 0.. {
        let key = format!("k{steps}");
        let upload = begin(&account, &key).await.unwrap();
        let part = put_part(&account, &key, &upload, 1, content("new"))
            .await
            .unwrap();
        let parts = [part];
        let done = cut(complete(&account, &key, &upload, &parts), steps).await;
        if let Some(done) = done {
            done.unwrap();
            assert_eq!(read(&account, &key).await.unwrap(), "new");
            assert!(steps > 5, "it took {steps} steps only");
            break;
        }
        // Whoever was cut off may still hold the lease; then all is as it was.
        match complete(&account.again(), &key, &upload, &parts).await {
            Ok(again) => {
                assert_eq!(again.etag, head(&account, &key).await.unwrap().etag);
                assert_eq!(read(&account, &key).await.unwrap(), "new");
            }
            Err(lifeboat_gateway::backend::Error::UploadBusy { .. }) => {
                let seen = read(&account, &key).await;
                assert!(seen.is_err() || seen.unwrap() == "new");
            }
            Err(error) => panic!("{error} after {steps} steps"),
        }
    }
}

#[tokio::test]
async fn a_copy_that_is_cut_off_anywhere_leaves_the_old_object_or_the_copy() {
    let Some(account) = Account::with(Limits {
        copy: 0,
        range: 10_000,
        ..SMALL
    })
    .await
    else {
        return;
    };
    let new = "n".repeat(30_000);
    put(&account, "source", &new).await.unwrap();
    for steps in 0.. {
        put(&account, "k", "old").await.unwrap();
        let (from, to) = (account.at("source"), account.at("k"));
        let work = account.backend().copy(&from, &to, CopyOptions::default());
        let done = cut(work, steps).await;
        let found = read(&account, "k").await.unwrap();
        assert!(found == "old" || found == new, "after {steps} steps");
        if let Some(done) = done {
            done.unwrap();
            assert!(found == new);
            break;
        }
    }
}
