//! Telemetry of a real OpenSearch, in a repository behind our gateway: taken, listed, deleted, restored, and compared document by document.

mod bad_input;
mod configure;
mod elasticsearch;
mod faults;
mod indices;
mod kill;
mod many;
mod native;
mod real;
mod room;
mod round;
mod serve;
mod streams;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use lifeboat_testkit::http::{self, Answer};
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::opensearch::{self, Repositories};

use crate::world::World;
use crate::world::storage::Storage;

const REPOSITORY: &str = "sts-backup";
/// A busy machine takes its time for what an engine does before it answers.
const PATIENCE: Duration = Duration::from_mins(5);

/// An installation with a cluster of one node, whose repository lies behind the gateway.
struct Telemetry {
    // Dropped in this order: what the node printed lies in the folder of the world.
    cluster: Server,
    world: World,
}

impl Telemetry {
    /// Nothing where the server cannot be had; then it says so.
    fn start() -> Option<Self> {
        Self::in_world(World::new())
    }

    fn behind(storage: Storage) -> Option<Self> {
        Self::in_world(World::behind(storage)?)
    }

    fn in_world(world: World) -> Option<Self> {
        let work = world.path("opensearch");
        fs::create_dir_all(&work).unwrap();
        let repositories = Repositories {
            endpoint: world.endpoint(),
            keys: world.keys(),
        };
        match opensearch::start(&work, repositories) {
            Ok(cluster) => {
                let telemetry = Self { cluster, world };
                telemetry.write_values("");
                Some(telemetry)
            }
            Err(error) => {
                lifeboat_testkit::skip!("no OpenSearch: {error:#}");
                None
            }
        }
    }

    /// The values of the installation, with `more` lines at their end.
    fn write_values(&self, more: &str) {
        let url = self.cluster.endpoint();
        let values = self.world.values().replace(
            "lifeboat:\n",
            &format!("lifeboat:\n  elasticsearch: {{url: '{url}'}}\n"),
        );
        self.world.write_values(&format!("{values}{more}"));
    }

    /// Asks the cluster itself.
    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        http::send_within(
            PATIENCE,
            self.cluster.address(),
            method,
            path,
            "application/json",
            body,
        )
        .unwrap()
    }

    fn ok(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        let answer = self.ask(method, path, body);
        assert!(answer.status < 300, "{method} {path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Stores so many documents, each with an id and a content of its own, and makes them visible.
    fn index(&self, name: &str, documents: u32) {
        let mut lines = String::new();
        for number in 0..documents {
            writeln!(
                lines,
                "{{\"create\":{{\"_index\":\"{name}\",\"_id\":\"{number}\"}}}}"
            )
            .unwrap();
            writeln!(
                lines,
                "{{\"@timestamp\":\"2026-11-25T{:02}:{:02}:00Z\",\"message\":\"line {number} of {name}\"}}",
                number / 60 % 24,
                number % 60
            )
            .unwrap();
        }
        let stored = self.ok("POST", "/_bulk?refresh=true", &lines);
        assert_eq!(stored["errors"], false, "{stored}");
    }

    /// All documents of an index or a data stream: ids and sources.
    fn documents(&self, name: &str) -> BTreeMap<String, String> {
        let path = format!("/{name}/_search?size=10000");
        let found = self.ok("GET", &path, "");
        let hits = found["hits"]["hits"].as_array().unwrap();
        let one = |hit: &serde_json::Value| {
            (
                hit["_id"].as_str().unwrap().to_owned(),
                hit["_source"].to_string(),
            )
        };
        hits.iter().map(one).collect()
    }

    fn run_json(&self, arguments: &[&str]) -> serde_json::Value {
        self.world.json(&[&["elasticsearch"], arguments].concat())
    }

    /// What is seen, without what differs from run to run.
    fn seen(&self, arguments: &[&str]) -> String {
        let text = self.world.seen(&[&["elasticsearch"], arguments].concat());
        text.replace(self.cluster.endpoint(), "[CLUSTER]")
    }

    fn back_up(&self) -> String {
        let taken = self.run_json(&["backup"]);
        assert_eq!(taken["state"], "SUCCESS");
        taken["name"].as_str().unwrap().to_owned()
    }
}
