//! The engine, asked without any of our code.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lifeboat_testkit::http;
use lifeboat_testkit::servers::Server;
use serde_json::{Value, json};

/// A snapshot of everything may take so long, at a slow server.
const PATIENCE: Duration = Duration::from_mins(30);

pub(super) struct Node {
    pub(super) server: Server,
}

impl Node {
    pub(super) fn new(server: Server) -> Self {
        Self { server }
    }

    /// Sends a request that must be taken, and returns the answer.
    pub(super) fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let answer = http::send_within(
            PATIENCE,
            self.server.address(),
            method,
            path,
            "application/json",
            body,
        )?;
        ensure!(
            answer.status < 300,
            "`{method} {path}` was refused: {}",
            answer.body
        );
        serde_json::from_str(&answer.body).with_context(|| format!("`{method} {path}`"))
    }

    /// The same, and how many seconds passed until the answer was read.
    pub(super) fn timed(&self, method: &str, path: &str, body: &Value) -> Result<(Value, f64)> {
        let body = body.to_string();
        let begun = Instant::now();
        let answer = self.ask(method, path, &body)?;
        Ok((answer, begun.elapsed().as_secs_f64()))
    }

    /// Nothing that the engine slows down on purpose may limit what is measured.
    pub(super) fn lift_limits(&self) -> Result<()> {
        let settings = json!({"persistent": {"indices.recovery.max_bytes_per_sec": "10gb"}});
        self.ask("PUT", "/_cluster/settings", &settings.to_string())?;
        Ok(())
    }

    pub(super) fn delete(&self, indices: &[&str]) -> Result<()> {
        self.ask("DELETE", &format!("/{}", indices.join(",")), "")?;
        Ok(())
    }

    /// Documents in all of these.
    pub(super) fn count(&self, indices: &[&str]) -> Result<u64> {
        let names = indices.join(",");
        self.ask("POST", &format!("/{names}/_refresh"), "")?;
        let counted = self.ask("GET", &format!("/{names}/_count"), "")?;
        counted["count"].as_u64().context("no count")
    }

    /// Takes a snapshot and waits for it. Returns the seconds until the answer.
    pub(super) fn snapshot(&self, repository: &str, name: &str, indices: &[&str]) -> Result<f64> {
        let path = format!("/_snapshot/{repository}/{name}?wait_for_completion=true");
        let body = json!({"indices": indices, "include_global_state": false});
        let (answer, seconds) = self.timed("PUT", &path, &body)?;
        ensure!(
            answer["snapshot"]["state"] == "SUCCESS",
            "the snapshot failed: {answer}"
        );
        Ok(seconds)
    }

    /// Restores and waits for it. Returns the seconds until the answer.
    pub(super) fn restore(&self, repository: &str, name: &str, indices: &[&str]) -> Result<f64> {
        let path = format!("/_snapshot/{repository}/{name}/_restore?wait_for_completion=true");
        let body = json!({"indices": indices, "include_global_state": false});
        let (answer, seconds) = self.timed("POST", &path, &body)?;
        let shards = &answer["snapshot"]["shards"];
        ensure!(
            shards["total"].as_u64() > Some(0) && shards["successful"] == shards["total"],
            "the restore failed: {answer}"
        );
        Ok(seconds)
    }

    /// Bytes of a snapshot in its repository.
    pub(super) fn size(&self, repository: &str, name: &str) -> Result<u64> {
        let status = self.ask(
            "GET",
            &format!("/_snapshot/{repository}/{name}/_status"),
            "",
        )?;
        status["snapshots"][0]["stats"]["total"]["size_in_bytes"]
            .as_u64()
            .context("the snapshot has no size")
    }
}
