//! The gateway bench: our gateway beside other servers of S3, on the same machine and disk, in the same run.
//!
//! Each server is a process of its own with a fresh folder. That the right bytes come back is asserted; how long it took
//! is printed and never judged.

mod cage;
mod clients;
pub(crate) mod contender;
mod cores;
mod ground;
mod load;
mod report;
mod sample;
mod schedule;
mod session;
mod task;
pub(crate) mod watch;

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};

use self::clients::Tools;
use self::contender::Contender;
use self::cores::{Cores, Sharing};
use self::ground::{Ground, Grounds};
use self::report::{Baseline, Report};
use self::schedule::Wanted;
use self::session::Setting;
use self::task::{Group, Scale};
use crate::measure::{load_average, machine};

/// The S3 gateway, beside s3proxy, MinIO, versitygw and SeaweedFS
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The program `lifeboat`, built for release
    #[arg(long, value_name = "FILE")]
    lifeboat: PathBuf,
    /// The disk that is measured; a folder on ext4 can also be made synchronous
    #[arg(
        long,
        value_name = "DIR",
        default_value = "target",
        overrides_with = "disk"
    )]
    disk: PathBuf,
    /// A folder in memory, for what no disk should limit
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    memory: PathBuf,
    /// Where data that takes minutes to make is kept for the next run
    #[arg(
        long,
        value_name = "DIR",
        default_value = "target/bench-data",
        overrides_with = "kept"
    )]
    kept: PathBuf,
    /// Only these groups of tasks
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Group::ALL)]
    only: Vec<Group>,
    /// Only these grounds
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Ground::ALL)]
    grounds: Vec<Ground>,
    /// Only these beside Lifeboat
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Contender::PEERS)]
    peers: Vec<Contender>,
    /// How often everything is measured; tables have the median
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Little of everything, to see that it works
    #[arg(long)]
    quick: bool,
    /// Who gets which processors
    #[arg(long, value_enum, default_value_t = Sharing::Apart)]
    cores: Sharing,
    /// Also write all samples here
    #[arg(long, value_name = "FILE", overrides_with = "json")]
    json: Option<PathBuf>,
    /// Also write the tables of docs/benchmarks.md here
    #[arg(long, value_name = "FILE", overrides_with = "markdown")]
    markdown: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> Result<()> {
    for folder in [&arguments.disk, &arguments.kept] {
        fs::create_dir_all(folder)?;
    }
    let scale = if arguments.quick {
        Scale::Quick
    } else {
        Scale::Full
    };
    lifeboat_testkit::load::PROGRAM.program()?;
    let cores = Cores::choose(arguments.cores)?;
    let (grounds, notes) = Grounds::open(&arguments.disk, &arguments.memory)?;
    let mut report = Report {
        machine: machine(),
        file_system: grounds.file_system(),
        cores: cores.to_string(),
        rounds: arguments.rounds,
        load: [load_average(), String::new()],
        samples: Vec::new(),
        baselines: Vec::new(),
        failures: Vec::new(),
        notes,
    };
    let tools = if arguments.only.contains(&Group::Clients) {
        match Tools::get(&fs::canonicalize(&arguments.kept)?, grounds.aside(), scale) {
            Ok(tools) => {
                report.notes.push(tools.describe());
                Some(tools)
            }
            Err(error) => {
                report
                    .notes
                    .push(format!("skipped: the clients: {error:#}"));
                None
            }
        }
    } else {
        None
    };
    let setting = Setting {
        lifeboat: &fs::canonicalize(&arguments.lifeboat)?,
        grounds: &grounds,
        cores: &cores,
        scale,
        rounds: arguments.rounds,
        tools: tools.as_ref(),
    };
    measure(arguments, &setting, &mut report)?;
    report.load[1] = load_average();
    writeln!(out, "{report}")?;
    if let Some(path) = &arguments.json {
        serde_json::to_writer_pretty(File::create(path)?, &report)?;
    }
    if let Some(path) = &arguments.markdown {
        fs::write(path, report.markdown())?;
    }
    if report
        .failures
        .iter()
        .any(|failure| failure.contender == Contender::Lifeboat)
    {
        bail!("Lifeboat failed: see above");
    }
    Ok(())
}

/// Lifeboat, and those of the peers whose programs can be had.
fn available(peers: &[Contender], report: &mut Report) -> Vec<Contender> {
    let mut contenders = vec![Contender::Lifeboat];
    for &peer in peers.iter().filter(|peer| **peer != Contender::Lifeboat) {
        match peer.get() {
            Ok(()) => contenders.push(peer),
            Err(error) => report.note(format!("skipped: {peer}: {error:#}")),
        }
    }
    contenders
}

/// A peer that fails loses its figures, with a note; everything else goes on.
#[expect(clippy::print_stderr, reason = "a long run says where it is")]
fn measure(arguments: &Arguments, setting: &Setting<'_>, report: &mut Report) -> Result<()> {
    let contenders = available(&arguments.peers, report);
    let wanted = Wanted {
        rounds: arguments.rounds,
        groups: arguments.only.clone(),
        grounds: arguments
            .grounds
            .iter()
            .copied()
            .filter(|ground| setting.grounds.has(*ground))
            .collect(),
        contenders,
    };
    for round in 0..wanted.rounds {
        for ground in [Ground::Memory, Ground::Disk] {
            if wanted.groups.contains(&Group::Large) && wanted.grounds.contains(&ground) {
                report.baselines.push(Baseline {
                    ground,
                    round,
                    value: session::baseline(setting, ground)?,
                });
            }
        }
    }
    let sessions = schedule::sessions(&wanted);
    for (number, session) in sessions.iter().enumerate() {
        eprintln!(
            "{}/{}: round {}, {:?} on {}: {}",
            number + 1,
            sessions.len(),
            session.round + 1,
            session.group,
            session.ground,
            session.contender
        );
        if session.group == Group::Prefix && !has_room(setting)? {
            report.note("skipped: 10 GiB and their copies, for which there is no room".to_owned());
            continue;
        }
        if let Err(error) = session::hold(setting, *session, &mut report.samples) {
            eprintln!("failed: {error:#}");
            report.fail(*session, &error);
        }
    }
    Ok(())
}

/// Those who copy bytes need them twice, and a disk should not be filled.
fn has_room(setting: &Setting<'_>) -> Result<bool> {
    const SPARE: u64 = 4 << 30;
    let found = rustix::fs::statvfs(setting.grounds.disk())?;
    Ok(found.f_bavail * found.f_frsize > 2 * setting.scale.prefix_bytes() + SPARE)
}
