//! Which node of a cluster is asked.

use std::time::Duration;

use lifeboat_elasticsearch::client::{Repeat, Request};
use lifeboat_elasticsearch::error::Error;
use serde_json::json;

use crate::server::{Nobody, Reply, Server, client};

fn reading() -> Request {
    Request::get("_cat/indices", "list its indices")
}

fn writing() -> Request {
    Request::put("_snapshot/r/s", "take the snapshot `s`", Repeat::Never).body(json!({}))
}

async fn other() -> Server {
    Server::playing(vec![Reply::good(r#"{"node":"other"}"#)]).await
}

#[tokio::test(start_paused = true)]
async fn where_nobody_listens_the_next_node_is_asked_whatever_is_asked() {
    for request in [reading(), writing()] {
        let (nobody, other) = (Nobody::new(), other().await);
        let client = client([nobody.url(), other.url()]);
        assert_eq!(client.ask(request).await.unwrap()["node"], "other");
        assert_eq!(other.asked().len(), 1);
        // Whoever answered is asked from then on.
        assert_eq!(client.url(), other.url());
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_listens_at_any_node_the_error_says_which_was_asked_last() {
    let nodes = [Nobody::new(), Nobody::new()];
    let _ticking = other().await;
    let client = client(nodes.iter().map(Nobody::url));
    let error = client.ask(reading()).await.unwrap_err();
    let Error::Unreachable { url, source, .. } = &error else {
        panic!("{error:?}");
    };
    // One question and three more.
    assert_eq!(*url, nodes[1].url());
    assert!(source.is_connect());
}

#[tokio::test(start_paused = true)]
async fn where_a_node_passes_nothing_on_the_next_one_is_asked() {
    for status in [429, 502, 503, 504] {
        let first = Server::playing(vec![Reply::status(status, "later")]).await;
        let other = other().await;
        let client = client([first.url(), other.url()]);
        assert_eq!(client.ask(reading()).await.unwrap()["node"], "other");
        assert_eq!((first.asked().len(), other.asked().len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_asked_for_at_the_next_node() {
    for reply in [Reply::Cut(r#"{"node":"first"}"#.to_owned()), Reply::HangUp] {
        let first = Server::playing(vec![reply]).await;
        let other = other().await;
        let client = client([first.url(), other.url()]);
        assert_eq!(client.ask(reading()).await.unwrap()["node"], "other");
        assert_eq!((first.asked().len(), other.asked().len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_has_fallen_silent_is_left_for_the_next_one() {
    let silence = Reply::After(Duration::from_hours(1), Box::new(Reply::HangUp));
    let first = Server::playing(vec![silence.clone()]).await;
    let other = other().await;
    let both = client([first.url(), other.url()]);
    assert_eq!(both.ask(reading()).await.unwrap()["node"], "other");
    assert_eq!((first.asked().len(), other.asked().len()), (1, 1));
    // What may have been heard is not said again, and the next question goes to another node.
    let both = client([first.url(), other.url()]);
    let error = both.ask(writing()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { source, .. } if source.is_timeout()));
    assert_eq!(both.url(), other.url());
    assert_eq!((first.asked().len(), other.asked().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_takes_its_time_gets_it_only_where_that_was_asked_for() {
    let slow = Reply::After(Duration::from_mins(1), Box::new(Reply::good("{}")));
    let server = Server::playing(vec![slow]).await;
    let client = server.client();
    let error = client.ask(reading()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { source, .. } if source.is_timeout()));
    // There is no other node to ask.
    assert_eq!(server.asked().len(), 1);
    assert!(client.ask(reading().patiently()).await.is_ok());
}
