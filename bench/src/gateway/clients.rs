//! The tools that people use, against one server: vmbackup, vmrestore and rclone.

mod metrics;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lifeboat_testkit::debian::RCLONE;
use lifeboat_testkit::process::run_within;
use lifeboat_testkit::servers::{Server, victoria_metrics};
use lifeboat_testkit::{environment, port, scratch};

use super::ground::Ground;
use super::sample::{Amount, Sample, Where};
use super::session::Setting;
use super::task::{Scale, Task, Unit};
use super::watch::watch;
use crate::measure::cpu_seconds_of_children;

use self::metrics::Metrics;

const PATIENCE: Duration = Duration::from_mins(10);

const BUCKET: &str = "clients";

const BACK_UP: Task = task("vmbackup-full", "vmbackup, everything");
const COPY: Task = task("vmbackup-origin", "vmbackup -origin, nothing new");
const RESTORE: Task = task("vmrestore", "vmrestore");
const UP: Task = task("rclone-up", "rclone sync up, 2000 files of 256 KiB");
const DOWN: Task = task("rclone-down", "rclone sync down");

const fn task(name: &'static str, title: &'static str) -> Task {
    Task {
        name,
        title,
        unit: Unit::Seconds,
    }
}

/// The programs, and what they carry.
pub(crate) struct Tools {
    vmbackup: PathBuf,
    vmrestore: PathBuf,
    rclone: PathBuf,
    metrics: Metrics,
    /// A folder of many small files.
    files: PathBuf,
}

impl Tools {
    /// Gets what is missing; what takes minutes to make is kept in `kept`.
    pub(crate) fn get(kept: &Path, aside: &Path, scale: Scale) -> Result<Self> {
        Ok(Self {
            vmbackup: victoria_metrics::TOOLS_1_109.program("vmbackup")?,
            vmrestore: victoria_metrics::TOOLS_1_109.program("vmrestore")?,
            rclone: RCLONE.program()?,
            metrics: Metrics::get(kept, scale)?,
            files: make_files(aside, scale)?,
        })
    }

    /// For the report.
    pub(crate) fn describe(&self) -> String {
        format!(
            "vmbackup and vmrestore {} carry {} MiB of a real VictoriaMetrics",
            victoria_metrics::TOOLS_1_109.version,
            self.metrics.bytes >> 20
        )
    }
}

fn make_files(aside: &Path, scale: Scale) -> Result<PathBuf> {
    let folder = aside.join("files");
    fs::create_dir(&folder)?;
    let count = match scale {
        Scale::Full => 2000,
        Scale::Quick => 100,
    };
    let mut noise = fs::File::open("/dev/urandom")?;
    for number in 0..count {
        let mut bytes = vec![0; 256 << 10];
        std::io::Read::read_exact(&mut noise, &mut bytes)?;
        let folder = folder.join((number / 100).to_string());
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("file-{number}")), bytes)?;
    }
    Ok(folder)
}

/// One client after the other.
pub(crate) fn run(
    setting: &Setting<'_>,
    tools: &Tools,
    server: &Server,
    place: Where,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let work = server.data().with_file_name("clients");
    fs::create_dir(&work)?;
    let restored = work.join("restored");
    let mut measure = |task: Task, command: &mut Command| {
        let sample = measure(setting, server, place, task, command)
            .with_context(|| format!("{} failed", task.title))?;
        samples.push(sample);
        anyhow::Ok(())
    };
    let rclone = || rclone(&tools.rclone, server, &work);
    run_within(rclone().args(["mkdir", &remote("")]), PATIENCE)?;

    measure(
        BACK_UP,
        vm(&tools.vmbackup, server, &work)?
            .args(tools.metrics.source())
            .arg(target("full")),
    )?;
    measure(
        COPY,
        vm(&tools.vmbackup, server, &work)?
            .args(tools.metrics.source())
            .arg(target("next"))
            .arg(format!("-origin=s3://{BUCKET}/full")),
    )?;
    measure(
        UP,
        rclone().arg("sync").arg(&tools.files).arg(remote("files")),
    )?;
    if place.ground == Ground::Synchronous {
        return Ok(());
    }
    measure(
        RESTORE,
        vm(&tools.vmrestore, server, &work)?
            .arg(format!("-src=s3://{BUCKET}/next"))
            .arg(format!("-storageDataPath={}", restored.display())),
    )?;
    tools.metrics.compare(&restored)?;
    let down = work.join("down");
    measure(DOWN, rclone().arg("sync").arg(remote("files")).arg(&down))?;
    ensure!(
        scratch::size(&down) == scratch::size(&tools.files),
        "rclone brought back other files than it had taken"
    );
    Ok(())
}

fn measure(
    setting: &Setting<'_>,
    server: &Server,
    place: Where,
    task: Task,
    command: &mut Command,
) -> Result<Sample> {
    let (seconds, cost) = watch(server.id(), &server.data(), || {
        let before = cpu_seconds_of_children()?;
        let started = Instant::now();
        setting.cores.load(|| run_within(command, PATIENCE))?;
        let seconds = started.elapsed().as_secs_f64();
        Ok((seconds, cpu_seconds_of_children()? - before))
    })?;
    let amount = Amount {
        operations: 1,
        bytes: 0,
        seconds,
    };
    Ok(Sample::new(task, place, amount, cost, None))
}

fn target(name: &str) -> String {
    format!("-dst=s3://{BUCKET}/{name}")
}

fn remote(path: &str) -> String {
    format!("bench:{BUCKET}/{path}")
}

/// A program that sees the keys of the server and nothing of ours.
fn client(program: &Path, server: &Server, work: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(environment::variable("PATH").map(|path| ("PATH", path)))
        .env("HOME", work)
        .env("AWS_ACCESS_KEY_ID", server.keys().access)
        .env("AWS_SECRET_ACCESS_KEY", server.keys().secret)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .current_dir(work);
    command
}

fn vm(program: &Path, server: &Server, work: &Path) -> Result<Command> {
    let mut command = client(program, server, work);
    command
        .arg(format!("-customS3Endpoint={}", server.endpoint()))
        .arg(format!("-httpListenAddr={}", port::free()?));
    Ok(command)
}

fn rclone(program: &Path, server: &Server, work: &Path) -> Command {
    let mut command = client(program, server, work);
    command
        .env("RCLONE_CONFIG", work.join("rclone.conf"))
        .env("RCLONE_CONFIG_BENCH_TYPE", "s3")
        .env("RCLONE_CONFIG_BENCH_PROVIDER", "Other")
        .env("RCLONE_CONFIG_BENCH_ENV_AUTH", "true")
        .env("RCLONE_CONFIG_BENCH_ENDPOINT", server.endpoint())
        .args(["--transfers", "8", "--retries", "1"]);
    command
}
