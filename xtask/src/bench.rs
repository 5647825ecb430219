//! `cargo xtask bench`: builds the benches for release and runs one.

use std::fs::{self, File};
use std::io::BufWriter;

use anyhow::{Context, Result};
use lifeboat_testkit::python::{Environment, GRAPH_PEER};
use lifeboat_testkit::scratch;

use crate::cargo::{self, Profile};
use crate::data::debian;
use crate::{Outcome, Verdict};

/// Measure, and compare with peers, in one run on this machine
///
/// Prints tables and the machine. Nothing is judged: docs/benchmarks.md keeps what was seen.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which bench
    #[arg(default_value = "graph")]
    name: String,

    /// Arguments for the bench itself; `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let bench = cargo::build("lifeboat-bench", Profile::Release)?;
    let mut command = cargo::command(bench);
    command.arg(&arguments.name);
    let scratch = scratch::folder(&cargo::target()?.join("xtask"), "bench")?;
    if arguments.name == "graph" {
        command.arg("--dir").arg(scratch.path());
        let payload = scratch.path().join("debian.json");
        if write_debian(&payload)? {
            command.arg("--data").arg(payload);
        } else {
            eprintln!("without the Debian package index: this system has none");
        }
        match Environment::with(GRAPH_PEER) {
            Ok(environment) => {
                command.arg("--peer-python").arg(environment.interpreter());
            }
            Err(error) => eprintln!("without the peer store: {error:#}"),
        }
    }
    if ["elasticsearch", "gateway", "victoria-metrics"].contains(&arguments.name.as_str()) {
        let results = cargo::target()?.join("bench");
        fs::create_dir_all(&results)?;
        let result = |kind: &str| results.join(format!("{}.{kind}", arguments.name));
        command
            .arg("--lifeboat")
            .arg(cargo::build("lifeboat", Profile::Release)?)
            .arg("--disk")
            .arg(scratch.path())
            .arg("--json")
            .arg(result("json"))
            .arg("--markdown")
            .arg(result("md"));
        if arguments.name == "gateway" {
            command.arg("--kept").arg(results.join("data"));
        }
    }
    let status = command
        .args(&arguments.rest)
        .status()
        .context("cannot run the bench")?;
    Ok(Verdict::of(status.success()))
}

fn write_debian(path: &std::path::Path) -> Result<bool> {
    let sink = BufWriter::with_capacity(1 << 18, File::create(path)?);
    Ok(debian::write(sink)?.is_some())
}
