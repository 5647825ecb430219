//! `cargo xtask test`: every check and every test, and one line that says how it went.
//!
//! A step that fails does not keep the later ones from running. Steps write to stderr; the summary goes to
//! stdout, and its last line is made for programs: `N passed, N failed, N skipped`.

mod conformance;
mod fuzz;
mod harness;
mod steps;
mod summary;
mod tools;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use lifeboat_testkit::cache::Missing;
use lifeboat_testkit::{environment, scratch, workspace};
use tempfile::TempDir;

pub(crate) use self::conformance::write as write_conformance;
use self::harness::Tally;
use self::summary::{Row, Summary};
use self::tools::Tools;
use crate::{Outcome, Verdict, cargo};

/// Run all checks and all tests; what they need is fetched first
///
/// What is fetched lies in the user's cache folder, in versions that are pinned. What cannot be had is skipped and
/// said; only the toolchain itself is required. A check counts as one in the closing line.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only these steps; all of them by default
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(steps::ALL.iter().map(|step| step.name)))]
    steps: Vec<String>,
}

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Done {
    Passed,
    Failed,
    Skipped { reason: String },
    Tests(Tally),
}

impl Done {
    fn of(good: bool) -> Self {
        if good { Self::Passed } else { Self::Failed }
    }
}

/// A part of the run that can be carried out alone.
struct Step {
    name: &'static str,
    run: fn(&mut Session) -> Result<Done>,
}

/// What the steps of one run share.
struct Session {
    tools: Tools,
    /// What a test may do about a thing that is not in the cache.
    missing: Missing,
    /// How many tests skipped themselves, once they have run.
    skips: Option<usize>,
    /// All that the test harness printed.
    log: File,
    log_path: PathBuf,
    scratch: TempDir,
}

impl Session {
    fn start() -> Result<Self> {
        let target = cargo::target()?.join("xtask");
        fs::create_dir_all(&target)?;
        let log_path = target.join("test.log");
        let log = File::create(&log_path)
            .with_context(|| format!("cannot write `{}`", log_path.display()))?;
        Ok(Self {
            tools: Tools::default(),
            missing: Missing::Make,
            skips: None,
            log,
            log_path,
            scratch: scratch::folder(&target, "test")?,
        })
    }

    /// Returns a cargo command with what all steps set.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo::cargo(arguments);
        command
            // A snapshot that differs is a failure, never a new file.
            .env("INSTA_UPDATE", "no")
            .env("INSTA_FORCE_PASS", "0")
            .env("INSTA_WORKSPACE_ROOT", workspace::root())
            // Tests compare what a person sees; a backtrace is not part of it.
            .env("RUST_BACKTRACE", "0");
        if let Some(python) = &self.tools.python {
            command.env(environment::PYTHON, python);
        }
        command
    }
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let mut session = Session::start()?;
    let mut summary = Summary::default();
    let wanted = |step: &&Step| {
        arguments.steps.is_empty() || arguments.steps.iter().any(|name| name == step.name)
    };
    for step in steps::ALL.iter().filter(wanted) {
        eprintln!("== {}", step.name);
        let started = Instant::now();
        let done = (step.run)(&mut session).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Done::Failed
        });
        let row = Row {
            name: step.name,
            done,
            took: started.elapsed(),
        };
        eprintln!("== {row}");
        summary.rows.push(row);
    }
    if summary
        .rows
        .iter()
        .any(|row| matches!(row.done, Done::Tests(_)))
    {
        eprintln!(
            "all that the tests printed: {}",
            cargo::shown(&session.log_path)
        );
    }
    print!("{summary}");
    println!("{}", summary.counts());
    Ok(Verdict::of(summary.counts().failed == 0))
}
