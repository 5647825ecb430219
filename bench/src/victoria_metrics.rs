//! The bench of metrics: our backups and restores beside vmbackup and vmrestore, of the same real server, through the same gateway.
//!
//! What came back is compared with what was stored, file by file and by size; how long it took is printed and never judged. Before each measurement whatever
//! will be read is forgotten by the page cache: one of the two programs leaves it there, the other does not.

mod data;
mod disk;
mod report;
mod side;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use lifeboat_testkit::long_way::LongWay;
use lifeboat_testkit::scratch;
use lifeboat_testkit::servers::node_exporter;
use lifeboat_testkit::servers::victoria_metrics::{self, Release};
use lifeboat_testkit::servers::{self, Server};

use self::report::{Grown, Report, Sample, Task};
use self::side::{Side, Work};
use crate::measure::{cpu_seconds, load_average, machine};
use crate::program;

const RELEASE: Release = Release::V1_145;
const BUCKET: &str = "sts-victoria-metrics-backup";

/// Backups and restores of metrics, beside vmbackup and vmrestore
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The program `lifeboat`, built for release
    #[arg(long, value_name = "FILE")]
    lifeboat: PathBuf,
    /// The disk that everything lies on
    #[arg(
        long,
        value_name = "DIR",
        default_value = "target",
        overrides_with = "disk"
    )]
    disk: PathBuf,
    /// Where the gateway keeps what it stores, if elsewhere: on a disk of its own, or in memory
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
    /// Data of the server, at least
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    mib: u64,
    /// How often everything is measured; tables have the median
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Milliseconds that each request to the gateway waits
    #[arg(long, value_delimiter = ',', default_values_t = [0, 20])]
    delays: Vec<u64>,
    /// Also back up and restore everything once at each of these sizes, while the server grows
    #[arg(long, value_name = "MIB", value_delimiter = ',', num_args = 0.., default_missing_value = "512,1024,2048,4096")]
    growth: Vec<u64>,
    /// Also write all samples here
    #[arg(long, value_name = "FILE", overrides_with = "json")]
    json: Option<PathBuf>,
    /// Also write the tables of docs/benchmarks.md here
    #[arg(long, value_name = "FILE", overrides_with = "markdown")]
    markdown: Option<PathBuf>,
}

#[expect(clippy::print_stderr, reason = "a long run says where it is")]
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    fs::create_dir_all(&arguments.disk)?;
    let disk = scratch::folder(&fs::canonicalize(&arguments.disk)?, "metrics")?;
    let folder = |name: &str| -> Result<PathBuf> {
        let folder = disk.path().join(name);
        fs::create_dir_all(folder.join("data"))?;
        Ok(folder)
    };
    let server = victoria_metrics::start(&folder("server")?, RELEASE)?;
    eprintln!("filling the server");
    let node = node_exporter::start(&folder("node")?)?;
    let mut source = data::Source::new(&server, &node)?;
    node.stop()?;
    let volume = match &arguments.volume {
        Some(volume) => Some(scratch::folder(&fs::canonicalize(volume)?, "gateway")?),
        None => None,
    };
    let gateway = match &volume {
        Some(volume) => volume.path().to_owned(),
        None => folder("gateway")?,
    };
    fs::create_dir_all(gateway.join("data"))?;
    fs::create_dir(gateway.join("data").join(BUCKET))?;
    let gateway = servers::lifeboat::start(&fs::canonicalize(&arguments.lifeboat)?, &gateway)?;
    let mut report = Report {
        machine: machine(),
        bytes: 0,
        rounds: arguments.rounds,
        load: [load_average(), String::new()],
        floor: disk::Floor::measure(disk.path(), arguments.mib << 20)?,
        has_volume: volume.is_some(),
        samples: Vec::new(),
        growth: Vec::new(),
    };
    let work = Work {
        lifeboat: fs::canonicalize(&arguments.lifeboat)?,
        tools: RELEASE.programs()?,
        folder: folder("work")?,
        server: &server,
        gateway: &gateway,
    };
    let measured = measure(arguments, &work, &mut source, &mut report);
    if let Err(failure) = &measured {
        eprintln!("ended early, with what was measured until then: {failure:#}");
    }
    drop(gateway);
    report.load[1] = load_average();
    writeln!(out, "{report}")?;
    if let Some(path) = &arguments.json {
        serde_json::to_writer_pretty(fs::File::create(path)?, &report)?;
    }
    if let Some(path) = &arguments.markdown {
        fs::write(path, report.to_string())?;
    }
    measured
}

/// All sizes and rounds, into the report: what it has stays there if a later one fails.
#[expect(clippy::print_stderr, reason = "a long run says where it is")]
fn measure(
    arguments: &Arguments,
    work: &Work<'_>,
    source: &mut data::Source<'_>,
    report: &mut Report,
) -> Result<()> {
    let (before, after): (Vec<u64>, Vec<u64>) = arguments
        .growth
        .iter()
        .partition(|mib| **mib < arguments.mib);
    grow(work, source, &before, report)?;
    source.fill(arguments.mib << 20)?;
    report.bytes = scratch::size(&work.server.data().join("data"));
    eprintln!("everything once, unmeasured");
    // Memory of a virtual machine that nobody has used yet is slow.
    one_round(work, source, u32::MAX, 0, &mut Vec::new())?;
    for round in 0..arguments.rounds {
        for delay in &arguments.delays {
            eprintln!("round {}, {delay} ms a request", round + 1);
            one_round(work, source, round, *delay, &mut report.samples)?;
        }
    }
    grow(work, source, &after, report)
}

#[expect(clippy::print_stderr, reason = "a long run says where it is")]
fn grow(
    work: &Work<'_>,
    source: &mut data::Source<'_>,
    sizes: &[u64],
    report: &mut Report,
) -> Result<()> {
    for mib in sizes {
        source.fill(*mib << 20)?;
        source.settle()?;
        eprintln!("{mib} MiB");
        report.growth.push(one_size(work)?);
    }
    Ok(())
}

/// A backup of everything and its restore, by both.
fn one_size(work: &Work<'_>) -> Result<Grown> {
    let bytes = scratch::size(&work.server.data().join("data"));
    let endpoint = work.gateway.endpoint();
    let mut grown = Grown {
        bytes,
        costs: Vec::new(),
    };
    for side in [Side::Lifeboat, Side::Vmbackup] {
        let prefix = format!("{side:?}-{bytes}").to_lowercase();
        disk::forget(&work.server.data())?;
        let (_, backup) = program::watch(work.back_up(side, endpoint, &prefix))?;
        let version = work.version(side, &prefix)?;
        let target = work.folder.join("restored");
        fs::create_dir_all(&target)?;
        disk::forget(&work.gateway.data())?;
        let restore = work.restore(side, endpoint, &prefix, &version, &target);
        let (_, restore) = program::watch(restore)?;
        work.confirm(side, &version, &target)?;
        fs::remove_dir_all(&target)?;
        fs::remove_dir_all(work.gateway.data().join(BUCKET).join(&version))?;
        grown.costs.push((side, [backup, restore]));
    }
    Ok(grown)
}

/// Everything once, by both, who begins changing from round to round.
fn one_round(
    work: &Work<'_>,
    source: &mut data::Source<'_>,
    round: u32,
    delay: u64,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let gate = slowed(work.gateway, delay)?;
    let endpoint = gate
        .as_ref()
        .map_or_else(|| work.gateway.endpoint().to_owned(), LongWay::endpoint);
    let sides = if round.is_multiple_of(2) {
        [Side::Lifeboat, Side::Vmbackup]
    } else {
        [Side::Vmbackup, Side::Lifeboat]
    };
    let prefix = |side: Side| format!("{side:?}-{delay}-{round}").to_lowercase();
    let mut measure = |task: Task, side: Side, command: std::process::Command| {
        if let Some(gate) = &gate {
            gate.take_count();
        }
        let gateway = work.gateway.id().to_string();
        let before = cpu_seconds(&gateway)?;
        let (_, cost) = program::watch(command).with_context(|| format!("{side:?}: {task:?}"))?;
        let gateway_cpu_seconds = cpu_seconds(&gateway)? - before;
        let requests = gate.as_ref().map(LongWay::take_count);
        samples.push(Sample {
            task,
            side,
            delay,
            round,
            cost,
            gateway_cpu_seconds,
            requests,
        });
        anyhow::Ok(())
    };
    for task in [Task::Full, Task::Nothing, Task::Hour] {
        if task == Task::Hour {
            source.hour()?;
        }
        source.settle()?;
        for side in sides {
            disk::forget(&work.server.data())?;
            measure(task, side, work.back_up(side, &endpoint, &prefix(side)))?;
        }
    }
    for side in sides {
        let version = work.version(side, &prefix(side))?;
        let target = work.folder.join("restored");
        if target.exists() {
            fs::remove_dir_all(&target)?;
        }
        fs::create_dir_all(&target)?;
        disk::forget(&work.gateway.data())?;
        measure(
            Task::Restore,
            side,
            work.restore(side, &endpoint, &prefix(side), &version, &target),
        )?;
        work.confirm(side, &version, &target)?;
        data::lose_a_tenth(&target)?;
        disk::forget(&target)?;
        disk::forget(&work.gateway.data())?;
        measure(
            Task::RestoreOver,
            side,
            work.restore(side, &endpoint, &prefix(side), &version, &target),
        )?;
        work.confirm(side, &version, &target)?;
        fs::remove_dir_all(&target)?;
        // Room for the next.
        fs::remove_dir_all(work.gateway.data().join(BUCKET).join(&version))?;
    }
    Ok(())
}

fn slowed(gateway: &Server, delay: u64) -> Result<Option<LongWay>> {
    (delay > 0)
        .then(|| LongWay::start(gateway.address(), Duration::from_millis(delay)))
        .transpose()
}
