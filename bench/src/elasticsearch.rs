//! The bench of telemetry: how fast a real OpenSearch takes snapshots to our gateway and restores them, beside a folder of its own and two other servers of S3; and what our
//! commands add to what the engine itself takes.
//!
//! The documents that came back are counted; how long it took is printed and never judged.

mod commands;
mod data;
mod goals;
mod node;
mod report;
mod throughput;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use lifeboat_testkit::scratch;
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::opensearch::{self, Repositories};

use self::commands::Small;
use self::node::Node;
use self::report::Report;
use self::throughput::Store;
use crate::gateway::contender::Contender;
use crate::measure::{load_average, machine};

/// The bucket of the platform's charts.
const BUCKET: &str = "sts-elasticsearch-backup";

/// Snapshots and restores of telemetry, beside other repositories and beside the engine alone
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
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::ALL)]
    only: Vec<Part>,
    /// Data of the indices, about
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    mib: u64,
    /// How often the throughput is measured; tables have the median
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Snapshots in the repository that is listed
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    snapshots: u32,
    /// How often each command is run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// Also write all samples here
    #[arg(long, value_name = "FILE", overrides_with = "json")]
    json: Option<PathBuf>,
    /// Also write the tables of docs/benchmarks.md here
    #[arg(long, value_name = "FILE", overrides_with = "markdown")]
    markdown: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Throughput,
    List,
    Restore,
}

impl Part {
    const ALL: [Self; 3] = [Self::Throughput, Self::List, Self::Restore];
}

pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    let measures = |part: Part| arguments.only.contains(&part);
    let lifeboat = fs::canonicalize(&arguments.lifeboat)?;
    fs::create_dir_all(&arguments.disk)?;
    let disk = scratch::folder(&fs::canonicalize(&arguments.disk)?, "telemetry")?;
    let gateway = start(Contender::Lifeboat, &lifeboat, disk.path())?;
    let work = disk.path().join("node");
    fs::create_dir(&work)?;
    let repositories = Repositories {
        endpoint: gateway.endpoint(),
        keys: gateway.keys(),
    };
    let node = Node::new(opensearch::start_as_shipped(&work, repositories)?);
    node.lift_limits()?;
    let mut report = Report {
        machine: machine(),
        load: [load_average(), String::new()],
        data: None,
        rounds: arguments.rounds,
        samples: Vec::new(),
        snapshots: arguments.snapshots,
        runs: Vec::new(),
    };
    if measures(Part::Throughput) {
        let data = data::fill(&node, arguments.mib << 20)?;
        report.load[0] = load_average();
        let s3proxy = start(Contender::S3proxy, &lifeboat, disk.path())?;
        let versitygw = start(Contender::Versitygw, &lifeboat, disk.path())?;
        let mut places = [
            (Store::FileSystem, None),
            (Store::S3proxy, Some(&s3proxy)),
            (Store::Versitygw, Some(&versitygw)),
            (Store::Lifeboat, Some(&gateway)),
        ];
        report.samples = throughput::measure(&node, &mut places, &data, arguments.rounds)?;
        node.delete(&data::INDICES)?;
        report.data = Some(data);
    }
    if measures(Part::List) || measures(Part::Restore) {
        let snapshots = if measures(Part::List) {
            arguments.snapshots
        } else {
            1
        };
        let small = Small::prepare(&lifeboat, disk.path(), &node, &gateway, snapshots)?;
        if measures(Part::List) {
            report.runs.extend(small.list(arguments.times)?);
        }
        if measures(Part::Restore) {
            report.runs.extend(small.restore(arguments.times)?);
        }
    }
    report.load[1] = load_average();
    writeln!(out, "{report}")?;
    if let Some(path) = &arguments.json {
        serde_json::to_writer_pretty(File::create(path)?, &report)?;
    }
    if let Some(path) = &arguments.markdown {
        fs::write(path, report.to_string())?;
    }
    Ok(())
}

/// Starts a server of S3 with our bucket.
fn start(contender: Contender, lifeboat: &Path, disk: &Path) -> Result<Server> {
    contender.get()?;
    let work = disk.join(contender.to_string().replace(' ', "-"));
    // Of all three, a folder in the first level is a bucket.
    fs::create_dir_all(work.join("data").join(BUCKET))?;
    contender.start(lifeboat, &work)
}
