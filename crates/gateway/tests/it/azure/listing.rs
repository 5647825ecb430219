//! Listings across gateways: a page goes on after any name, whoever listed the page before.

use lifeboat_gateway::backend::listing::ListQuery;

use super::account::Account;
use crate::support::{Place as _, begin, delete, keys, put, put_part};

fn query(prefix: &str, delimiter: Option<&str>, after: Option<&str>, limit: usize) -> ListQuery {
    ListQuery {
        prefix: prefix.to_owned(),
        delimiter: delimiter.map(str::to_owned),
        after: after.map(str::to_owned),
        limit,
    }
}

/// Keys in folders, with an upload that is no object among them.
async fn filled() -> Option<Account> {
    let account = Account::in_azurite().await?;
    for number in 0..40 {
        let key = match number % 4 {
            0 => format!("a/{number:02}"),
            1 => format!("a/b/{number:02}"),
            2 => format!("{number:02}"),
            _ => format!(".z{number:02}:x"),
        };
        put(&account, &key, "x").await.unwrap();
    }
    let upload = begin(&account, "a/upload").await.unwrap();
    let part = put_part(
        &account,
        "a/upload",
        &upload,
        1,
        crate::support::content("x"),
    );
    part.await.unwrap();
    Some(account)
}

#[tokio::test]
async fn a_gateway_that_remembers_nothing_goes_on_after_any_name() {
    let Some(account) = filled().await else {
        return;
    };
    for prefix in ["", "a/", "a/b/", "."] {
        for delimiter in [None, Some("/"), Some(":")] {
            let all = keys(&account, &query(prefix, delimiter, None, 1000)).await;
            let mut paged = Vec::new();
            loop {
                let after: Option<String> = paged.last().cloned();
                let query = query(prefix, delimiter, after.as_deref(), 7);
                // A gateway that has just started.
                let page = account
                    .again()
                    .backend()
                    .list(account.bucket(), &query)
                    .await
                    .unwrap();
                paged.extend(page.entries.iter().map(|entry| entry.name().to_owned()));
                if !page.truncated {
                    break;
                }
            }
            assert_eq!(paged, all, "{prefix} {delimiter:?}");
        }
    }
    let later = keys(&account, &query("", None, Some("a/b/13x"), 2)).await;
    assert_eq!(later, ["a/b/17", "a/b/21"]);
}

#[tokio::test]
async fn what_is_deleted_between_pages_takes_nothing_else_with_it() {
    let Some(account) = filled().await else {
        return;
    };
    let all = keys(&account, &query("", None, None, 1000)).await;
    let mut seen = Vec::new();
    loop {
        let after: Option<String> = seen.last().cloned();
        let page = account
            .backend()
            .list(account.bucket(), &query("", None, after.as_deref(), 6))
            .await
            .unwrap();
        for entry in &page.entries {
            delete(&account, entry.name()).await.unwrap();
            seen.push(entry.name().to_owned());
        }
        if !page.truncated {
            break;
        }
    }
    assert_eq!(seen, all);
    assert!(keys(&account, &query("", None, None, 10)).await.is_empty());
}
