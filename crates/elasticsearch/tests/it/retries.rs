//! What is asked again, and what is not.

use lifeboat_core::error::Kind;
use lifeboat_elasticsearch::client::{Repeat, Request};
use lifeboat_elasticsearch::error::Error;
use serde_json::json;

use crate::exchanges;
use crate::server::{Reply, Server};

const DOING: &str = "do it";

/// All kinds of requests that change something, of which it is known whether they may be made twice.
fn changes(repeat: Repeat) -> [Request; 3] {
    [
        Request::put("a", DOING, repeat).body(json!({})),
        Request::post("a", DOING, repeat),
        Request::delete("a", DOING, repeat),
    ]
}

fn safe() -> Vec<Request> {
    let mut safe = changes(Repeat::Safe).to_vec();
    safe.push(Request::get("a", DOING));
    safe
}

/// What may have been heard.
fn lost() -> Vec<Reply> {
    let mut lost: Vec<Reply> = [429, 502, 503, 504]
        .map(|status| Reply::status(status, "{}"))
        .to_vec();
    lost.push(Reply::HangUp);
    lost.push(Reply::Cut("{}".to_owned()));
    lost
}

#[tokio::test(start_paused = true)]
async fn what_is_safe_is_asked_again_after_what_passes() {
    for reply in lost() {
        for request in safe() {
            let script = vec![reply.clone(), reply.clone(), Reply::good("{}")];
            let server = Server::playing(script).await;
            assert!(server.client().ask(request).await.is_ok(), "{reply:?}");
            assert_eq!(server.asked().len(), 3, "{reply:?}");
        }
    }
}

/// A node that is started again may be away for so long.
#[tokio::test(start_paused = true)]
async fn whoever_follows_work_asks_for_five_minutes() {
    for reply in [Reply::status(429, "{}"), Reply::HangUp] {
        let mut script = vec![reply.clone(); 60];
        script.push(Reply::good("{}"));
        let server = Server::playing(script).await;
        let watching = Request::get("a", DOING).watching();
        server.client().ask(watching).await.unwrap();
        assert_eq!(server.asked().len(), 61);
    }
    let server = Server::playing(vec![Reply::status(503, "{}")]).await;
    let watching = Request::get("a", DOING).watching();
    let error = server.client().ask(watching).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    let asked = server.asked().len();
    assert!((60..=70).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_told_after_four_times() {
    for reply in lost() {
        let server = Server::playing(vec![reply]).await;
        let error = server.client().ask(Request::get("a", DOING)).await;
        assert_eq!(error.unwrap_err().kind(), Kind::Unavailable);
        assert_eq!(server.asked().len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_heard_is_never_said_twice() {
    for reply in lost() {
        for request in changes(Repeat::Never) {
            let server = Server::playing(vec![reply.clone(), Reply::good("{}")]).await;
            assert!(server.client().ask(request).await.is_err(), "{reply:?}");
            assert_eq!(server.asked().len(), 1, "{reply:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_refusal_is_asked_about_again() {
    for recorded in exchanges::all() {
        for exchange in &recorded.exchanges {
            let script = vec![Reply::from(exchange), Reply::good("{}")];
            let server = Server::playing(script).await;
            let answer = server.client().ask(Request::get("a", DOING)).await;
            assert_eq!(answer.is_ok(), exchange.status < 300, "{}", exchange.name);
            assert_eq!(server.asked().len(), 1, "{}", exchange.name);
        }
    }
}

/// The two engines differ in the status.
#[tokio::test(start_paused = true)]
async fn what_another_snapshot_stands_in_the_way_of_is_asked_again() {
    for status in [409, 503] {
        let kind = "concurrent_snapshot_execution_exception";
        let refusal = Reply::refusal(status, kind, "cannot delete snapshot during a restore");
        let server = Server::playing(vec![refusal.clone(), Reply::good("{}")]).await;
        let request = Request::delete("a", DOING, Repeat::Safe);
        assert!(server.client().ask(request).await.is_ok());
        assert_eq!(server.asked().len(), 2);
        let server = Server::playing(vec![refusal]).await;
        let request = Request::delete("a", DOING, Repeat::Never);
        let error = server.client().ask(request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable);
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_told_with_its_beginning() {
    let page = format!("<html>{}</html>", "é".repeat(500));
    let server = Server::playing(vec![Reply::good(&page)]).await;
    let error = server.client().ask(Request::get("a", DOING)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    let text = error.to_string();
    assert!(text.contains("asked to do it: <html>éé"), "{text}");
    assert!(text.len() < 600, "{text}");
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let server = Server::playing(vec![Reply::good("")]).await;
    let answer = server.client().ask(Request::get("a", DOING)).await;
    assert!(answer.unwrap().is_null());
}

/// A redirected `PUT` would arrive as a `GET`, and credentials would go where nobody sent them.
#[tokio::test]
async fn nobody_is_followed_elsewhere() {
    let elsewhere = Server::playing(vec![Reply::good("{}")]).await;
    for status in [301, 302, 307, 308] {
        let reply = Reply::status(status, "").header("location", &elsewhere.url());
        let server = Server::playing(vec![reply]).await;
        let error = server.client().ask(Request::get("a", DOING)).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(
            matches!(&error, Error::Redirected { to, .. } if *to == elsewhere.url()),
            "{error}"
        );
    }
    assert_eq!(elsewhere.asked().len(), 0);
}
