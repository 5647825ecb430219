//! Fuzzing for a bounded time: what reads bytes from outside, against inputs that libFuzzer makes up.
//!
//! The targets are those of `cargo fuzz` in `fuzz/`, built with the flags that it would pass: to build that tool takes longer than
//! all of them. Without a sanitizer, which our toolchain does not have and safe code does not need.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use lifeboat_testkit::environment;
use lifeboat_testkit::process::run;

use super::{Done, Session};
use crate::cargo;

const TARGETS: [&str; 3] = ["chunks", "signature", "xml"];

/// For each target; all run at once.
const SECONDS: u32 = 25;

/// Longer than the trailers of a body may be.
const MAX_INPUT_BYTES: u32 = 20_000;

/// Coverage as libFuzzer counts it, comparisons told to it, and overflows found.
const FLAGS: &str = "--cfg fuzzing --deny warnings -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Ccodegen-units=1";

pub(super) fn fuzz(session: &mut Session) -> Result<Done> {
    let compiler = environment::variable("CXX").unwrap_or_else(|| "c++".into());
    if let Err(error) = run(Command::new(&compiler).arg("--version")) {
        let reason =
            format!("libFuzzer needs a C++ compiler, for example the package g++: {error:#}");
        return Ok(Done::Skipped { reason });
    }
    let folder = cargo::target()?.join("xtask").join("fuzz");
    let programs = build(session, &folder)?;
    let running = TARGETS
        .iter()
        .map(|target| Run::start(target, &programs, &folder))
        .collect::<Result<Vec<_>>>()?;
    let mut good = true;
    for run in running {
        good &= run.finish()?;
    }
    Ok(Done::of(good))
}

/// Returns where the programs are.
fn build(session: &Session, folder: &Path) -> Result<PathBuf> {
    let version = run(cargo::command("rustc").arg("-vV"))?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not say for which machine it builds")?;
    let status = session
        .cargo(&["build", "--locked", "--release", "--bins"])
        .args(["--manifest-path", "fuzz/Cargo.toml", "--target-dir"])
        .arg(folder)
        // Named, or the flags would also be for what runs while it is built.
        .args(["--target", host])
        .env("RUSTFLAGS", FLAGS)
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("cannot build the fuzz targets");
    }
    Ok(folder.join(host).join("release"))
}

/// A target that runs.
struct Run {
    target: &'static str,
    child: std::process::Child,
    /// All that it prints.
    log: PathBuf,
}

impl Run {
    /// Starts with the inputs that are kept with the sources; those found meanwhile live as long as the folder of builds.
    fn start(target: &'static str, programs: &Path, folder: &Path) -> Result<Self> {
        let found = folder.join("corpus").join(target);
        let failures = folder.join("artifacts").join(target);
        fs::create_dir_all(&found)?;
        fs::create_dir_all(&failures)?;
        let log = folder.join(format!("{target}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
        let child = cargo::command(programs.join(target))
            .arg(&found)
            .arg(format!("fuzz/corpus/{target}"))
            .arg(format!("-max_total_time={SECONDS}"))
            .arg(format!("-max_len={MAX_INPUT_BYTES}"))
            .arg(format!("-artifact_prefix={}/", failures.display()))
            // An input takes microseconds, and what is kept of one is bounded.
            .args(["-timeout=10", "-rss_limit_mb=512", "-print_final_stats=1"])
            .env("RUST_BACKTRACE", "0")
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start the fuzz target `{target}`"))?;
        Ok(Self { target, child, log })
    }

    /// Waits for the end and says what was found. Nothing tried is a failure too.
    fn finish(mut self) -> Result<bool> {
        let status = self.child.wait()?;
        let text = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let tried = executions(&text).unwrap_or(0);
        let Self { target, log, .. } = &self;
        if status.success() && tried > 0 {
            eprintln!("{target}: {tried} inputs in {SECONDS} s, none against the rules");
            return Ok(true);
        }
        for line in text.lines().filter(|line| !is_progress(line)) {
            eprintln!("{target}: {line}");
        }
        eprintln!(
            "{target}: failed, {status}; all of it: {}",
            cargo::shown(log)
        );
        Ok(false)
    }
}

/// Reads `stat::number_of_executed_units: 12`.
fn executions(log: &str) -> Option<u64> {
    log.lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?
        .trim()
        .parse()
        .ok()
}

/// `#1234  NEW    cov: …`
fn is_progress(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("INFO:") || line.starts_with("stat::")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
INFO: Running with entropic power schedule (0xFF, 100).
#2\tINITED cov: 40 ft: 41 corp: 1/1b exec/s: 0 rss: 30Mb
Done 512 runs in 1 second(s)
stat::number_of_executed_units: 512
stat::peak_rss_mb:              31
";

    #[test]
    fn the_number_of_inputs_is_read_and_never_guessed() {
        assert_eq!(executions(LOG), Some(512));
        assert_eq!(executions("Done 512 runs in 1 second(s)"), None);
    }

    #[test]
    fn of_a_failure_its_reason_is_shown_without_the_progress() {
        let shown: Vec<&str> = LOG.lines().filter(|line| !is_progress(line)).collect();
        assert_eq!(shown, ["Done 512 runs in 1 second(s)"]);
    }
}
