//! `cargo xtask bench`: builds the benches for release and runs one.

use anyhow::Context;
use lifeboat_testkit::python::{Environment, GRAPH_PEER};

use crate::cargo::{self, Profile};
use crate::{Outcome, Verdict};

/// Tells the bench which interpreter has the graph store it compares with; unset, the bench leaves the peer out.
const PEER: &str = "LIFEBOAT_BENCH_PYTHON";

/// Measure, and compare with a peer, in one run on this machine
///
/// Prints tables and the machine. Nothing is judged: docs/benchmarks.md keeps what was seen.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which bench
    #[arg(default_value = "graph")]
    name: String,

    /// Arguments for the bench itself
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let bench = cargo::build("lifeboat-bench", Profile::Release)?;
    let mut command = cargo::command(bench);
    command.arg(&arguments.name).args(&arguments.rest);
    match Environment::with(GRAPH_PEER) {
        Ok(environment) => {
            command.env(PEER, environment.interpreter());
        }
        Err(error) => eprintln!("without the peer: {error:#}"),
    }
    let status = command.status().context("cannot run the bench")?;
    Ok(Verdict::of(status.success()))
}
