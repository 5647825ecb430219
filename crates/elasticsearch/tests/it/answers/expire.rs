//! What is to expire, and is another one by now.

use lifeboat_core::progress::Progress;
use lifeboat_elasticsearch::catalog::Repository;
use lifeboat_elasticsearch::expire::{self, Judged};
use lifeboat_elasticsearch::retention::Verdict;
use lifeboat_elasticsearch::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::exchanges;
use crate::server::{Reply, Server};

fn described(name: &str, uuid: &str) -> Value {
    json!({"snapshot": name, "uuid": uuid, "state": "SUCCESS"})
}

#[tokio::test]
async fn what_was_replaced_stays_and_is_told() {
    let judged: Vec<Judged> = ["a", "b", "c"]
        .map(|name| Judged {
            snapshot: Snapshot::read(&described(name, "old")).unwrap(),
            verdict: Some(Verdict::ExpireAsTooMany),
        })
        .to_vec();
    // One is gone already.
    let there = json!({"snapshots": [described("a", "old"), described("b", "new")]});
    let server = Server::knowing(&[
        ("GET /_snapshot/r/a,b,c", Reply::good(&there.to_string())),
        ("DELETE /_snapshot/r/a", Reply::good("{}")),
    ])
    .await;
    let client = server.client();
    let repository = Repository {
        client: &client,
        engine: exchanges::opensearch().engine,
        name: "r",
    };
    let progress = Progress::default();
    let replaced = expire::delete(repository, &judged, &progress).await;
    assert_eq!(replaced.unwrap(), ["b"]);
    assert_eq!(server.asked().len(), 2);
}
