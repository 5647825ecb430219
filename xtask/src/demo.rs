//! `cargo xtask demo`: backups and restores of real data, from nothing, on this machine alone.

mod metrics;
mod platform;
mod reports;
mod results;
mod telemetry;
mod telling;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lifeboat_core::size::ByteSize;
use lifeboat_testkit::scratch;

use self::platform::Platform;
use self::reports::{List, Report, Show};
use self::results::{Measure, Results};
use self::telling::Telling;
use crate::cargo::{self, Profile};
use crate::data::{crates, debian};
use crate::{Outcome, Verdict};

/// Follows the form of the default names, and is old enough for every default retention.
const OLD: &str = "sts-backup-20200101-0300.graph";

/// Back up real topology, metrics and telemetry to a gateway on this machine, lose them, and restore them
///
/// Runs the gateway on a local volume and an embedded store in a temporary folder, and ends with a table. The graph is
/// the dependency graph of this workspace and, where the system has one, the Debian package index. Then a real VictoriaMetrics
/// is filled, backed up, emptied, restored and counted; and so, where Java 21 and Maven are there, is a real OpenSearch. Nothing is left running, and nothing on the disk.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Load this topology payload instead; may be repeated
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,

    /// Use this program instead of building it from here
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let telling = Telling::start()?;
    // It is fetched from the network while the processors build.
    let search = telemetry::prepare();
    let binary = if let Some(given) = &arguments.binary {
        existing(given)?
    } else {
        telling.tell("building lifeboat")?;
        cargo::build("lifeboat", Profile::Dev)?
    };
    let scratch = scratch::folder(&cargo::target()?.join("xtask"), "demo")?;
    let payloads = payloads(&arguments.data, scratch.path(), &telling)?;
    let platform = Platform::start(binary, scratch.path(), &telling)?;
    let results = tour(&platform, &payloads, &telling).and_then(|results| {
        let metrics = metrics::tour(&platform, scratch.path(), &telling)?;
        let telemetry = telemetry::tour(&platform, scratch.path(), search, &telling)?;
        Ok((results, [metrics, telemetry]))
    });
    telling.say("stopping the gateway");
    platform.stop()?;
    let (results, more) = results?;
    drop(scratch);
    telling.say("done; nothing is left running, and nothing on the disk");
    println!("\n{results}");
    for line in more.into_iter().flatten() {
        println!("{line}");
    }
    Ok(Verdict::Good)
}

/// Returns the files to load: the given ones, or what this machine can tell about itself.
fn payloads(given: &[PathBuf], scratch: &Path, telling: &Telling) -> Result<Vec<PathBuf>> {
    if !given.is_empty() {
        return given.iter().map(|path| existing(path)).collect();
    }
    telling.tell("reading the dependency graph of this workspace")?;
    let from_cargo = scratch.join("crates.json");
    let counts = crates::write(create(&from_cargo)?)?;
    telling.tell(&format!(
        "  {} crates, {} dependencies",
        counts.components, counts.relations
    ))?;
    let mut payloads = vec![from_cargo];

    telling.tell("reading the Debian package index")?;
    let from_debian = scratch.join("debian.json");
    match debian::write(create(&from_debian)?)? {
        Some(converted) => {
            telling.tell(&format!(
                "  {} packages, {} relations; {} more name packages that are not in it",
                converted.counts.components, converted.counts.relations, converted.unresolved
            ))?;
            payloads.push(from_debian);
        }
        None => telling.tell("  this system has none; it is left out")?,
    }
    Ok(payloads)
}

/// Returns the full path: programs are started in another folder.
fn existing(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("no file `{}`", path.display()))
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

/// Backup, list, wipe, restore, verify, expire; each result is checked against what it has to be.
fn tour(platform: &Platform, payloads: &[PathBuf], telling: &Telling) -> Result<Results> {
    telling.tell("loading the graph into an empty store")?;
    let started = Instant::now();
    platform.load(payloads)?;
    let loading = started.elapsed();
    let before: Show = platform.ask(&["show", "--digest"])?;
    let payload_bytes = payloads
        .iter()
        .filter_map(|path| Some(path.metadata().ok()?.len()))
        .sum();
    let loaded = Measure {
        what: "load",
        elements: before.elements(),
        bytes: ByteSize(payload_bytes),
        seconds: loading.as_secs_f64(),
        digest: before.digest.clone(),
    };

    telling.tell("backing up")?;
    let backup: Report = platform.ask(&["backup"])?;
    telling.tell(&format!(
        "backing up again, as {OLD}, to have something that is past its time"
    ))?;
    let _old: Report = platform.ask(&["backup", "--name", OLD])?;
    expect_backups(platform, &[OLD, &backup.name], telling)?;

    telling.tell("wiping the store")?;
    platform.wipe()?;

    telling.tell(&format!("restoring {}", backup.name))?;
    let restored: Report = platform.ask(&["restore", &backup.name, "--yes"])?;
    let after: Show = platform.ask(&["show", "--digest"])?;
    ensure!(
        before == after,
        "the store differs after the restore: before {before:?}, after {after:?}"
    );

    telling.tell(&format!("verifying {}", backup.name))?;
    let verified: Report = platform.ask(&["verify", &backup.name])?;

    telling.tell("expiring, as a dry run and then in earnest")?;
    platform.run(&["expire", "--dry-run"])?;
    expect_backups(platform, &[OLD, &backup.name], telling)?;
    platform.run(&["expire"])?;
    expect_backups(platform, &[&backup.name], telling)?;

    let after = Measure {
        what: "show, after",
        elements: after.elements(),
        digest: after.digest,
        ..Measure::default()
    };
    let results = Results {
        measures: vec![
            loaded,
            Measure::of("backup", backup),
            Measure::of("restore", restored),
            Measure::of("verify", verified),
            after,
        ],
    };
    results.check()?;
    Ok(results)
}

fn expect_backups(platform: &Platform, expected: &[&str], telling: &Telling) -> Result<()> {
    telling.tell("listing the backups")?;
    let list: List = platform.ask(&["list"])?;
    for backup in &list.backups {
        telling.tell(&format!("  {}  {}", backup.name, backup.size))?;
    }
    let found: BTreeSet<&str> = list.backups.iter().map(|backup| &*backup.name).collect();
    if found != expected.iter().copied().collect() {
        bail!("the list should hold {expected:?}, and holds {found:?}");
    }
    Ok(())
}
