//! What vmbackup carries: the folder of a real VictoriaMetrics with a snapshot.
//!
//! Making it takes minutes, so it is kept between runs.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lifeboat_testkit::process::Process;
use lifeboat_testkit::servers::victoria_metrics::{self, Release};
use lifeboat_testkit::{http, scratch};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::task::Scale;

const RELEASE: Release = Release::V1_112;

/// Series of one sample each minute.
const SERIES: u32 = 2_000;
const FIRST_MILLISECOND: u64 = 1_700_000_000_000;
const STEP_MILLISECONDS: u64 = 60_000;

/// Many samples of one series in a line, many series in a request.
const STEPS_IN_A_LINE: usize = 1_000;
const SERIES_IN_A_REQUEST: usize = 50;

pub(super) struct Metrics {
    storage: PathBuf,
    snapshot: String,
    /// Of the snapshot, as the backup will have them.
    pub(super) bytes: u64,
}

impl Metrics {
    /// Makes the folder in `kept` unless it is there.
    pub(super) fn get(kept: &Path, scale: Scale) -> Result<Self> {
        let (name, steps) = match scale {
            Scale::Full => ("metrics", 60_000),
            Scale::Quick => ("metrics-quick", 3_000),
        };
        let folder = kept.join(format!("{name}-{}", RELEASE.version()));
        if !folder.exists() {
            let making = folder.with_extension("making");
            if making.exists() {
                fs::remove_dir_all(&making)?;
            }
            fs::create_dir_all(&making)?;
            make(&making, steps)?;
            fs::rename(&making, &folder)?;
        }
        let storage = folder.join("data");
        let snapshot = fs::read_dir(storage.join("snapshots"))?
            .next()
            .context("VictoriaMetrics has made no snapshot")??
            .file_name()
            .into_string()
            .ok()
            .context("the snapshot has a strange name")?;
        let mut metrics = Self {
            storage,
            snapshot,
            bytes: 0,
        };
        metrics.bytes = metrics.parts().iter().map(|part| scratch::size(part)).sum();
        Ok(metrics)
    }

    pub(super) fn source(&self) -> [String; 2] {
        [
            format!("-storageDataPath={}", self.storage.display()),
            format!("-snapshotName={}", self.snapshot),
        ]
    }

    /// Where the snapshot really lies: it consists of links into the data.
    fn parts(&self) -> Vec<PathBuf> {
        ["data/small", "data/big", "data/indexdb", "indexdb"]
            .iter()
            .map(|part| {
                self.storage
                    .join(part)
                    .join("snapshots")
                    .join(&self.snapshot)
            })
            .filter(|folder| folder.is_dir())
            .collect()
    }

    /// Checks that all files of the snapshot came back as they were.
    pub(super) fn compare(&self, restored: &Path) -> Result<()> {
        for part in self.parts() {
            let inside = part
                .strip_prefix(&self.storage)
                .ok()
                .and_then(|path| path.parent()?.parent())
                .context("a part of the snapshot lies elsewhere")?;
            let finished = Process::start(
                Command::new("diff")
                    .arg("-rq")
                    .arg(&part)
                    .arg(restored.join(inside)),
            )?
            .finish()?;
            ensure!(
                finished.status.success(),
                "what came back differs: {finished}"
            );
        }
        Ok(())
    }
}

fn make(work: &Path, steps: u64) -> Result<()> {
    let server = victoria_metrics::start(work, RELEASE)?;
    let mut noise = StdRng::seed_from_u64(1);
    for first_step in (0..steps).step_by(STEPS_IN_A_LINE) {
        for first in (0..SERIES).step_by(SERIES_IN_A_REQUEST) {
            let mut body = String::new();
            for series in (first..SERIES).take(SERIES_IN_A_REQUEST) {
                let steps = (first_step..steps).take(STEPS_IN_A_LINE);
                line(&mut body, series, steps, &mut noise)?;
            }
            let answer = http::send(
                server.address(),
                "POST",
                "/api/v1/import",
                "application/json",
                &body,
            )?;
            if answer.status != 204 {
                bail!(
                    "VictoriaMetrics refused samples: {} {}",
                    answer.status,
                    answer.body
                );
            }
        }
    }
    for path in ["/internal/force_flush", "/snapshot/create"] {
        let answer = http::get(server.address(), path)?;
        ensure!(answer.status == 200, "`{path}` answered {}", answer.status);
    }
    server.stop()?;
    Ok(())
}

/// Values without a pattern: what can be compressed would be small, and a backup of it quick.
fn line(
    body: &mut String,
    series: u32,
    steps: impl Iterator<Item = u64> + Clone,
    noise: &mut StdRng,
) -> Result<()> {
    write!(
        body,
        r#"{{"metric":{{"__name__":"bench","series":"{series}"}},"values":["#
    )?;
    for _ in steps.clone() {
        write!(body, "{},", noise.random::<f64>())?;
    }
    body.pop();
    body.push_str("],\"timestamps\":[");
    for step in steps {
        write!(body, "{},", FIRST_MILLISECOND + step * STEP_MILLISECONDS)?;
    }
    body.pop();
    body.push_str("]}\n");
    Ok(())
}
