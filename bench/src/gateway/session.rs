//! One life of one server: a fresh folder, a start, its steps, an end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lifeboat_testkit::process::{run, run_within};
use lifeboat_testkit::servers::Server;
use rustix::fs::syncfs;
use tempfile::TempDir;

use super::cage::{Cage, Limits};
use super::clients::{self, Tools};
use super::contender::Contender;
use super::cores::Cores;
use super::ground::{Ground, Grounds};
use super::load;
use super::sample::{Amount, Sample, Where};
use super::schedule::Session;
use super::task::{self, Group, Scale, Step};
use super::watch::watch;

/// What all sessions share.
pub(crate) struct Setting<'a> {
    pub(crate) lifeboat: &'a Path,
    pub(crate) grounds: &'a Grounds,
    pub(crate) cores: &'a Cores,
    pub(crate) scale: Scale,
    pub(crate) rounds: u32,
    /// Absent where they could not be had.
    pub(crate) tools: Option<&'a Tools>,
}

/// Half of what the platform's charts give s3proxy would be 350 MiB: we want to do with less.
const OWN_CONTAINER: Limits = Limits {
    memory_mib: 256,
    processors: 1,
};
const CHART_CONTAINER: Limits = Limits {
    memory_mib: 700,
    processors: 1,
};

/// Goes through one session. Samples that were taken before a failure stay in `samples`.
pub(crate) fn hold(
    setting: &Setting<'_>,
    session: Session,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let contender = session.contender;
    let work = setting.grounds.work(session.ground)?;
    if session.group == Group::Keys {
        copy_volume(&prepared(setting, contender)?, &work.path().join("data"))?;
    }
    let cage = match (session.group, contender) {
        (Group::Container, Contender::Lifeboat) => Some(Cage::make(OWN_CONTAINER)?),
        (Group::Container, _) => Some(Cage::make(CHART_CONTAINER)?),
        _ => None,
    };
    let server = setting.cores.server(|| {
        let start = || contender.start(setting.lifeboat, work.path());
        match &cage {
            Some(cage) => cage.around(start),
            None => start(),
        }
    })?;
    let place = Where {
        ground: session.ground,
        contender,
        round: session.round,
    };
    let result = if session.group == Group::Clients {
        match setting.tools {
            Some(tools) => clients::run(setting, tools, &server, place, samples),
            None => Ok(()),
        }
    } else {
        steps(setting, session, &server, place, samples)
    };
    let ended = server.stop();
    drop(cage);
    clear(work)?;
    result?;
    ended?;
    Ok(())
}

fn steps(
    setting: &Setting<'_>,
    session: Session,
    server: &Server,
    place: Where,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    for step in task::steps(session.group, setting.scale, setting.rounds) {
        // Reading is the same there as anywhere on the disk.
        let reads = matches!(step.operation, "get" | "list");
        if reads && session.ground == Ground::Synchronous {
            continue;
        }
        measure(setting, server, &step, place, samples)
            .with_context(|| format!("`{} {}`", step.operation, step.flags.join(" ")))?;
    }
    Ok(())
}

fn measure(
    setting: &Setting<'_>,
    server: &Server,
    step: &Step,
    place: Where,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let (load, cost) = watch(server.id(), &server.data(), || {
        let load = setting.cores.load(|| load::run(server, step))?;
        let own = load.cpu_seconds;
        Ok((load, own))
    })?;
    if let Some(task) = step.task
        && (task.unit.more_is_better() || step.is_done(load.operations))
    {
        let amount = Amount {
            operations: load.operations,
            bytes: load.bytes,
            seconds: load.seconds,
        };
        samples.push(Sample::new(
            task,
            place,
            amount,
            cost.clone(),
            Some(load.clone()),
        ));
    }
    let found = load.operations;
    if !step.is_done(found) {
        bail!("after {:.0} s it had done {found} of them", load.seconds);
    }
    if let (Some(task), Some(median)) = (step.complete, load.complete_median_ms) {
        samples.push(Sample::of_call(task, place, median, cost));
    }
    Ok(())
}

/// Returns a volume with a hundred thousand keys that this very server has written; each is made once in a run.
fn prepared(setting: &Setting<'_>, contender: Contender) -> Result<PathBuf> {
    let kept = setting.grounds.aside().join(format!("keys-{contender:?}"));
    let data = kept.join("data");
    if !kept.exists() {
        let making = kept.with_extension("making");
        let server = setting
            .cores
            .server(|| contender.start(setting.lifeboat, &making))?;
        let filling = task::filling(setting.scale);
        let found = load::run(&server, &filling)?.operations;
        ensure!(filling.is_done(found), "only {found} keys were written");
        server.stop()?;
        fs::rename(&making, &kept)?;
    }
    Ok(data)
}

/// With links, attributes and times.
fn copy_volume(from: &Path, to: &Path) -> Result<()> {
    const PATIENCE: Duration = Duration::from_mins(5);
    run_within(
        Command::new("cp").arg("-a").arg(from.join(".")).arg(to),
        PATIENCE,
    )?;
    syncfs(File::open(to)?)?;
    Ok(())
}

/// Removes a folder, and waits until that is on the disk too: the next one should not pay for it.
fn clear(work: TempDir) -> Result<()> {
    let parent = work
        .path()
        .parent()
        .context("a folder in a folder")?
        .to_owned();
    // The standard library is slow at a hundred thousand files.
    run(Command::new("rm").arg("-rf").arg(work.path()))?;
    drop(work);
    syncfs(File::open(parent)?)?;
    Ok(())
}

/// How fast the ground itself takes what a server is to keep: `dd` with a sync for each 100 MB.
pub(crate) fn baseline(setting: &Setting<'_>, ground: Ground) -> Result<f64> {
    const MEGABYTES: u32 = 100;
    let noise = setting.grounds.aside().join("noise");
    if !noise.exists() {
        run(Command::new("dd")
            .args(["if=/dev/urandom", "bs=1000000", "status=none"])
            .args([
                format!("count={MEGABYTES}"),
                format!("of={}", noise.display()),
            ]))?;
    }
    let work = setting.grounds.work(ground)?;
    let files = 6;
    let started = std::time::Instant::now();
    for file in 0..files {
        setting.cores.server(|| {
            run(Command::new("dd")
                .args(["bs=1000000", "conv=fsync", "status=none"])
                .args([
                    format!("if={}", noise.display()),
                    format!("of={}", work.path().join(file.to_string()).display()),
                ]))
        })?;
    }
    let seconds = started.elapsed().as_secs_f64();
    clear(work)?;
    Ok(f64::from(files * MEGABYTES) * 1e6 / f64::from(1 << 20) / seconds)
}
