//! What the server holds: its own metrics and those of a node, as many instances would show them, with values that move.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::{http, scratch};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const INSTANCES: u32 = 40;
/// Seconds between two samples of a series.
const STEP: u64 = 15;
/// Samples of one series in a line.
const IN_A_LINE: u64 = 240;
/// Whole lines in a request, in bytes.
const REQUEST: usize = 8 << 20;
const BEGIN: u64 = 1_700_000_000;
/// Looks, half a second apart, in which a server merges nothing before it is measured; and how many there are at most.
const QUIET: u32 = 6;
const PATIENCE: u32 = 120;

pub(super) struct Source<'a> {
    server: &'a Server,
    /// Names and labels, as JSON without its last brace.
    series: Vec<String>,
    /// In seconds since 1970.
    next: u64,
    noise: StdRng,
}

impl<'a> Source<'a> {
    /// Asks the server, and the exporter of this machine, for their metrics.
    pub(super) fn new(server: &'a Server, node: &Server) -> Result<Self> {
        let mut series = Vec::new();
        for shown in [server, node] {
            let metrics = http::get(shown.address(), "/metrics")?.body;
            let before = series.len();
            series.extend(metrics.lines().filter_map(labels));
            let count = series.len() - before;
            ensure!(
                count > 200,
                "{} shows only {count} series",
                shown.endpoint()
            );
        }
        Ok(Self {
            server,
            series,
            next: BEGIN,
            noise: StdRng::seed_from_u64(5),
        })
    }

    /// Sends hours until so much lies on the disk.
    pub(super) fn fill(&mut self, bytes: u64) -> Result<()> {
        while scratch::size(&self.server.data().join("data")) < bytes {
            self.hour()?;
        }
        Ok(())
    }

    /// Waits until the server merges nothing: that would cost whoever is measured.
    pub(super) fn settle(&self) -> Result<()> {
        let mut quiet = 0;
        for _ in 0..PATIENCE {
            let metrics = http::get(self.server.address(), "/metrics")?.body;
            let merges = metrics
                .lines()
                .filter(|line| line.starts_with("vm_active_merges{"));
            let is_quiet =
                merges.clone().count() > 0 && merges.into_iter().all(|line| line.ends_with(" 0"));
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet >= QUIET {
                return Ok(());
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "the server does not say when it has merged"
            )]
            thread::sleep(Duration::from_millis(500));
        }
        bail!("the server merges without an end, so that nothing can be measured beside it")
    }

    /// Sends an hour of all series.
    pub(super) fn hour(&mut self) -> Result<()> {
        let mut body = String::new();
        let series = self.series.clone();
        for instance in 0..INSTANCES {
            for labels in &series {
                self.line(&mut body, labels, instance)?;
                if body.len() > REQUEST {
                    self.send(&body)?;
                    body.clear();
                }
            }
        }
        self.send(&body)?;
        self.next += IN_A_LINE * STEP;
        let flushed = http::get(self.server.address(), "/internal/force_flush")?;
        ensure!(flushed.status == 200, "no flush: {}", flushed.body);
        Ok(())
    }

    /// Counters that grow unevenly, gauges that wander, and some that stand still: by turns.
    fn line(&mut self, body: &mut String, labels: &str, instance: u32) -> Result<()> {
        write!(
            body,
            "{{\"metric\":{{{labels},\"instance\":\"node-{instance}\"}},\"values\":["
        )?;
        let kind = labels.len() % 4;
        let mut value = f64::from(self.noise.random_range(0..1_000_000));
        for _ in 0..IN_A_LINE {
            value += match kind {
                0 => 0.0,
                1 => f64::from(self.noise.random_range(0..2_000)),
                2 => f64::from(self.noise.random_range(-500..500)),
                _ => self.noise.random::<f64>(),
            };
            write!(body, "{value},")?;
        }
        body.pop();
        body.push_str("],\"timestamps\":[");
        for step in 0..IN_A_LINE {
            // Nobody scrapes to the millisecond.
            let late = self.noise.random_range(0..40_u64);
            write!(body, "{},", (self.next + step * STEP) * 1000 + late)?;
        }
        body.pop();
        body.push_str("]}\n");
        Ok(())
    }

    fn send(&self, body: &str) -> Result<()> {
        let answer = http::send(
            self.server.address(),
            "POST",
            "/api/v1/import",
            "application/json",
            body,
        )?;
        ensure!(
            answer.status == 204,
            "samples were refused: {}",
            answer.body
        );
        Ok(())
    }
}

/// `name{a="b"} 1` as `"__name__":"name","a":"b"`.
fn labels(line: &str) -> Option<String> {
    let (series, _) = line.rsplit_once(' ')?;
    if line.starts_with('#') {
        return None;
    }
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut text = format!("\"__name__\":\"{name}\"");
    // Values with a comma in them are passed over: what is left is no JSON then.
    for label in labels
        .trim_end_matches('}')
        .split(',')
        .map(str::trim)
        .filter(|label| !label.is_empty())
    {
        let (key, value) = label.split_once('=')?;
        // Quoted already, as JSON quotes.
        write!(text, ",\"{key}\":{value}").ok()?;
    }
    serde_json::from_str::<serde_json::Value>(&format!("{{{text}}}")).ok()?;
    Some(text)
}

/// Takes files of about a tenth of the data away, as if they were of parts that have come since.
pub(super) fn lose_a_tenth(data: &Path) -> Result<()> {
    let mut files = files_below(data)?;
    files.sort();
    let total: u64 = files.iter().map(|(size, _)| size).sum();
    let mut lost = 0;
    for (size, path) in files {
        if lost + size > total / 10 {
            break;
        }
        if path.extension().is_some_and(|kind| kind == "bin") {
            fs::remove_file(&path)?;
            lost += size;
        }
    }
    Ok(())
}

pub(super) fn files_below(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).context("a folder that should be there is not")? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() {
                pending.push(entry.path());
            } else if found.is_file() {
                files.push((found.len(), entry.path()));
            }
        }
    }
    Ok(files)
}
