//! The demo's second part: a real VictoriaMetrics is filled, backed up, emptied, restored and counted.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use lifeboat_core::size::ByteSize;
use lifeboat_testkit::http;
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::victoria_metrics::{self, Release};
use serde::Deserialize;

use super::platform::Platform;
use super::telling::Telling;

const RELEASE: Release = Release::V1_112;
const INSTANCE: &str = "victoria-metrics-0";
const SERIES: u32 = 500;
const SAMPLES: u32 = 400;

/// What `backup` prints.
#[derive(Debug, Deserialize)]
struct Backup {
    version: String,
    samples: u64,
    bytes: u64,
    seconds: f64,
}

/// What `restore` prints.
#[derive(Debug, Deserialize)]
struct Restore {
    bytes_fetched: u64,
    seconds: f64,
}

/// What `confirm` prints.
#[derive(Debug, Deserialize)]
struct Confirm {
    samples: u64,
}

/// Tells at its end what came back. Where the server cannot be had, it says so and goes on.
pub(super) fn tour(
    platform: &Platform,
    scratch: &Path,
    telling: &Telling,
) -> Result<Option<String>> {
    telling.tell(&format!("getting VictoriaMetrics {}", RELEASE.version()))?;
    if let Err(error) = RELEASE.programs() {
        telling.tell(&format!("  skipped, metrics are left out: {error:#}"))?;
        return Ok(None);
    }
    let work = scratch.join("metrics");
    fs::create_dir_all(work.join("data"))?;
    let server = victoria_metrics::start(&work, RELEASE)?;
    telling.tell(&format!("filling it with {} samples", SERIES * SAMPLES))?;
    fill(&server)?;
    let before = count(&server)?;
    let data = work.join("data");
    let run = |server: &str, arguments: &[&str]| {
        let url = format!("lifeboat.{INSTANCE}.url={server}");
        let path = format!("lifeboat.{INSTANCE}.path={}", data.display());
        platform.other(&[&["--set", &url, "--set", &path], arguments].concat())
    };

    telling.tell("backing up the metrics")?;
    let backup: Backup = read(&run(
        server.endpoint(),
        &["victoria-metrics", "backup", INSTANCE],
    )?)?;
    telling.tell("stopping the server and emptying its volume")?;
    server.stop()?;
    fs::remove_dir_all(&data)?;
    fs::create_dir(&data)?;
    telling.tell(&format!("restoring {}", backup.version))?;
    let arguments = [
        "victoria-metrics",
        "restore",
        INSTANCE,
        &backup.version,
        "--yes",
    ];
    let restored: Restore = read(&run("http://127.0.0.1:9", &arguments)?)?;
    telling.tell("starting the server and counting")?;
    let server = victoria_metrics::start(&work, RELEASE)?;
    let confirmed: Confirm = read(&run(
        server.endpoint(),
        &["victoria-metrics", "confirm", INSTANCE],
    )?)?;
    let after = count(&server)?;
    server.stop()?;
    ensure!(
        before == after,
        "{before} samples went in and {after} came back"
    );
    ensure!(
        confirmed.samples >= backup.samples,
        "the backup has {} samples, the server {}",
        backup.samples,
        confirmed.samples
    );
    Ok(Some(format!(
        "metrics: {before} samples before, {after} after; {} backed up in {:.2} s, {} restored in {:.2} s",
        ByteSize(backup.bytes),
        backup.seconds,
        ByteSize(restored.bytes_fetched),
        restored.seconds
    )))
}

fn read<T: serde::de::DeserializeOwned>(printed: &str) -> Result<T> {
    serde_json::from_str(printed).with_context(|| format!("other JSON was printed: {printed}"))
}

fn fill(server: &Server) -> Result<()> {
    for series in 0..SERIES {
        let mut lines = String::new();
        for sample in 0..SAMPLES {
            let time = 1_700_000_000 + u64::from(sample) * 60;
            writeln!(
                lines,
                "demo{{series=\"{series}\"}} {} {time}000",
                series * sample
            )?;
        }
        let path = "/api/v1/import/prometheus";
        let answer = http::send(server.address(), "POST", path, "text/plain", &lines)?;
        ensure!(
            answer.status == 204,
            "samples were refused: {}",
            answer.body
        );
    }
    let flushed = http::get(server.address(), "/internal/force_flush")?;
    ensure!(flushed.status == 200, "no flush: {}", flushed.body);
    Ok(())
}

/// Samples of the demo, by asking for all of them.
fn count(server: &Server) -> Result<usize> {
    let path = "/api/v1/export/csv?format=__value__&match%5B%5D=demo&start=0";
    let answer = http::get(server.address(), path)?;
    ensure!(answer.status == 200, "no samples: {}", answer.body);
    // Newer ones have a head line.
    let lines = answer.body.lines();
    Ok(lines.filter(|line| line.parse::<f64>().is_ok()).count())
}
