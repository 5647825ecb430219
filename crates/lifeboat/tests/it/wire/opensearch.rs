//! OpenSearch with a snapshot repository of type s3, as the platform's telemetry is backed up.

use std::fmt::Write as _;

use lifeboat_testkit::servers::opensearch::{self, Repositories};
use reqwest::Method;
use serde_json::{Value, json};

use super::Ran;
use super::tree::noise;
use crate::world::World;

const BUCKET: &str = "sts-elasticsearch-backup";

/// A node of one, and the words to ask it with.
struct Node {
    endpoint: String,
    client: reqwest::Client,
}

impl Node {
    /// Sends a request, which must succeed, and returns the answer.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(method, path, text).await
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Value {
        let answer = self
            .client
            .request(method.clone(), format!("{}/{path}", self.endpoint))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn count(&self, index: &str) -> u64 {
        self.ask(Method::POST, &format!("{index}/_refresh"), Value::Null)
            .await;
        let counted = self
            .ask(Method::GET, &format!("{index}/_count"), Value::Null)
            .await;
        counted["count"].as_u64().unwrap()
    }

    /// Stores documents whose text neither compresses nor is indexed, so that files become large.
    async fn fill(&self, index: &str, documents: u64, length: usize) {
        let settings = json!({
            "settings": {"number_of_shards": 1, "number_of_replicas": 0},
            "mappings": {"properties": {
                "noise": {"type": "keyword", "index": false, "doc_values": false},
                "number": {"type": "long"},
            }},
        });
        self.ask(Method::PUT, index, settings).await;
        for batch in (0..documents).collect::<Vec<_>>().chunks(500) {
            let mut lines = String::new();
            for number in batch {
                let noise = hex::encode(noise(*number, length));
                let document = json!({"noise": noise, "number": number});
                writeln!(lines, "{}\n{document}", json!({"index": {}})).unwrap();
            }
            let path = format!("{index}/_bulk");
            let stored = self.send(Method::POST, &path, lines).await;
            assert_eq!(stored["errors"], false, "{stored}");
        }
        self.ask(
            Method::POST,
            &format!("{index}/_forcemerge?max_num_segments=1"),
            Value::Null,
        )
        .await;
    }

    async fn snapshot(&self, name: &str) {
        let path = format!("_snapshot/sts-backup/{name}?wait_for_completion=true");
        let body = json!({"indices": "sts*", "include_global_state": false});
        let taken = self.ask(Method::PUT, &path, body).await;
        assert_eq!(taken["snapshot"]["state"], "SUCCESS", "{taken}");
        assert_eq!(taken["snapshot"]["shards"]["failed"], 0, "{taken}");
    }

    async fn restore(&self, name: &str, body: Value) {
        let path = format!("_snapshot/sts-backup/{name}/_restore?wait_for_completion=true");
        let restored = self.ask(Method::POST, &path, body).await;
        assert_eq!(restored["snapshot"]["shards"]["failed"], 0, "{restored}");
    }
}

pub(super) fn verifies_snapshots_deletes_and_restores(world: &World) -> Ran {
    let repositories = Repositories {
        endpoint: world.endpoint(),
        keys: world.keys(),
    };
    let server = match opensearch::start(&world.path("opensearch"), repositories) {
        Ok(server) => server,
        Err(error) => {
            lifeboat_testkit::skip!("no OpenSearch: {error:#}");
            return Ran::Skipped;
        }
    };
    let node = Node {
        endpoint: server.endpoint().to_owned(),
        client: reqwest::Client::new(),
    };
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(back_up_and_restore(&node));
    Ran::Whole
}

async fn back_up_and_restore(node: &Node) {
    let repository = json!({"type": "s3", "settings": {
        "bucket": BUCKET,
        "base_path": "telemetry",
        "shard_path_type": "FIXED",
        // The least there is: larger files go up in parts.
        "buffer_size": "5mb",
    }});
    node.ask(Method::PUT, "_snapshot/sts-backup", repository)
        .await;
    let verified = node
        .ask(Method::POST, "_snapshot/sts-backup/_verify", Value::Null)
        .await;
    assert_eq!(verified["nodes"].as_object().unwrap().len(), 1);

    node.fill("sts_events", 3000, 20).await;
    node.fill("sts_large", 2000, 4000).await;
    node.snapshot("first").await;
    node.fill("sts_later", 100, 20).await;
    node.snapshot("second").await;
    let listed = node
        .ask(Method::GET, "_snapshot/sts-backup/_all", Value::Null)
        .await;
    let names: Vec<_> = listed["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|snapshot| snapshot["snapshot"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["first", "second"]);

    node.ask(Method::DELETE, "sts_events,sts_large", Value::Null)
        .await;
    node.restore("first", json!({"indices": "sts_events,sts_large"}))
        .await;
    assert_eq!(node.count("sts_events").await, 3000);
    assert_eq!(node.count("sts_large").await, 2000);

    // What only the second has must survive the first; what both share, too.
    node.ask(Method::DELETE, "_snapshot/sts-backup/first", Value::Null)
        .await;
    let beside =
        json!({"indices": "sts*", "rename_pattern": "(.+)", "rename_replacement": "restored_$1"});
    node.restore("second", beside).await;
    assert_eq!(node.count("restored_sts_large").await, 2000);
    assert_eq!(node.count("restored_sts_later").await, 100);
    let found = node
        .ask(
            Method::GET,
            "restored_sts_large/_search?q=number:1234",
            Value::Null,
        )
        .await;
    assert_eq!(
        found["hits"]["hits"][0]["_source"]["noise"],
        hex::encode(noise(1234, 4000))
    );
    node.ask(Method::DELETE, "_snapshot/sts-backup/second", Value::Null)
        .await;
    let status = node
        .ask(Method::POST, "_snapshot/sts-backup/_cleanup", Value::Null)
        .await;
    assert_eq!(status["results"]["deleted_blobs"], 0, "{status}");
}
