//! What vmbackup carries: the folder of a real VictoriaMetrics with a snapshot.
//!
//! Making it takes minutes, so it is kept between runs.

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
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

    /// Checks that all files of the snapshot came back as they were, and no others. Empty folders are in no backup.
    pub(super) fn compare(&self, restored: &Path) -> Result<()> {
        for part in self.parts() {
            let table = part
                .strip_prefix(&self.storage)
                .ok()
                .and_then(|path| path.parent()?.parent())
                .context("a part of the snapshot lies elsewhere")?;
            let restored = restored.join(table);
            let files = files_below(&part)?;
            ensure!(
                files == files_below(&restored)?,
                "other files came back in `{}`",
                table.display()
            );
            for file in files {
                ensure!(
                    is_same(&part.join(&file), &restored.join(&file))?,
                    "`{}` differs from what was backed up",
                    table.join(&file).display()
                );
            }
        }
        Ok(())
    }
}

/// The paths of all files below a folder, in it and sorted. None where there is no folder.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(inside) = pending.pop() {
        let entries = match fs::read_dir(folder.join(&inside)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            let path = inside.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                pending.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn is_same(one: &Path, other: &Path) -> Result<bool> {
    const PIECE: usize = 1 << 20;
    let mut one = BufReader::with_capacity(PIECE, File::open(one)?);
    let mut other = BufReader::with_capacity(PIECE, File::open(other)?);
    loop {
        let [left, right] = [one.fill_buf()?, other.fill_buf()?];
        let length = left.len().min(right.len());
        if left[..length] != right[..length] || (length == 0 && left.len() != right.len()) {
            return Ok(false);
        }
        if length == 0 {
            return Ok(true);
        }
        one.consume(length);
        other.consume(length);
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
