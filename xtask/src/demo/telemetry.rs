//! The demo's last part: the index of packages in a real OpenSearch, taken into a snapshot, deleted, and restored.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow, ensure};
use lifeboat_testkit::http;
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::opensearch::{self, Repositories};
use serde::Deserialize;
use serde_json::{Value, json};

use super::platform::Platform;
use super::telling::Telling;

const INDEX: &str = "sts_demo_events";
const DOCUMENTS: u32 = 20_000;
const BATCH: u32 = 5_000;

/// What `backup` prints.
#[derive(Debug, Deserialize)]
struct Backup {
    name: String,
    seconds: f64,
}

/// What `restore` prints.
#[derive(Debug, Deserialize)]
struct Restore {
    documents: u64,
    seconds: f64,
}

/// Fetches the server meanwhile.
pub(super) fn prepare() -> JoinHandle<Result<PathBuf>> {
    thread::spawn(opensearch::tree)
}

/// Tells at its end what came back. Where the server cannot be had, it says so and goes on.
pub(super) fn tour(
    platform: &Platform,
    scratch: &Path,
    prepared: JoinHandle<Result<PathBuf>>,
    telling: &Telling,
) -> Result<Option<String>> {
    telling.tell(&format!("getting OpenSearch {}", opensearch::VERSION))?;
    let prepared = prepared
        .join()
        .unwrap_or_else(|_| Err(anyhow!("it could not be fetched")));
    if let Err(error) = prepared {
        telling.tell(&format!("  skipped, telemetry is left out: {error:#}"))?;
        return Ok(None);
    }
    let work = scratch.join("telemetry");
    fs::create_dir_all(&work)?;
    telling.tell("starting it, which takes it half a minute")?;
    let repositories = Repositories {
        endpoint: &platform.endpoint(),
        keys: platform.keys(),
    };
    let server = opensearch::start(&work, repositories)?;
    telling.tell(&format!("filling it with {DOCUMENTS} documents"))?;
    fill(&server)?;
    let before = digest(&server)?;
    let url = format!("lifeboat.elasticsearch.url={}", server.endpoint());
    let run = |arguments: &[&str]| {
        platform.other(&[&["--set", &url, "elasticsearch"], arguments].concat())
    };
    telling.tell("registering and verifying the repository")?;
    run(&["configure"])?;
    telling.tell("taking a snapshot")?;
    let backup: Backup = read(&run(&["backup"])?)?;
    telling.tell("deleting the index")?;
    run(&["delete-indices", INDEX, "--yes"])?;
    telling.tell(&format!("restoring {}", backup.name))?;
    let restored: Restore = read(&run(&["restore", &backup.name, "--yes"])?)?;
    let after = digest(&server)?;
    server.stop()?;
    ensure!(before == after, "other documents came back");
    Ok(Some(format!(
        "telemetry: {DOCUMENTS} documents before, {} after, all alike; snapshot in {:.2} s, restored in {:.2} s",
        restored.documents, backup.seconds, restored.seconds
    )))
}

fn read<T: serde::de::DeserializeOwned>(printed: &str) -> Result<T> {
    serde_json::from_str(printed).with_context(|| format!("other JSON was printed: {printed}"))
}

fn ask(server: &Server, method: &str, path: &str, body: &str) -> Result<Value> {
    let answer = http::send(server.address(), method, path, "application/json", body)?;
    ensure!(answer.status < 300, "{method} {path}: {}", answer.body);
    Ok(serde_json::from_str(&answer.body)?)
}

fn fill(server: &Server) -> Result<()> {
    for begin in (0..DOCUMENTS).step_by(BATCH as usize) {
        let mut lines = String::new();
        for number in begin..begin + BATCH {
            let action = json!({"create": {"_index": INDEX, "_id": number.to_string()}});
            let event = json!({"number": number, "message": format!("event {number} of the demo")});
            writeln!(lines, "{action}\n{event}")?;
        }
        let stored = ask(server, "POST", "/_bulk?refresh=true", &lines)?;
        ensure!(
            stored["errors"] == false,
            "documents were refused: {stored}"
        );
    }
    Ok(())
}

/// Ids and sources of all documents, in the order of their numbers.
fn digest(server: &Server) -> Result<String> {
    let mut all = String::new();
    for begin in (0..DOCUMENTS).step_by(BATCH as usize) {
        let end = begin + BATCH - 1;
        let path =
            format!("/{INDEX}/_search?size={BATCH}&sort=number&q=number:[{begin}%20TO%20{end}]");
        let found = ask(server, "GET", &path, "")?;
        let hits = found["hits"]["hits"].as_array().context("no documents")?;
        ensure!(hits.len() == BATCH as usize, "{} documents", hits.len());
        for hit in hits {
            writeln!(all, "{} {}", hit["_id"], hit["_source"])?;
        }
    }
    Ok(all)
}
