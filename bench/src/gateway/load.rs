//! Running the load program, and reading what it says.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::{load, process};
use serde::{Deserialize, Serialize};

use super::task::Step;

/// Much longer than any server should take for a step.
const PATIENCE: Duration = Duration::from_mins(10);

/// What the load program found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) operations: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    /// Of the load program itself: near to `seconds`, it was what limited the figure.
    pub(crate) cpu_seconds: f64,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    pub(crate) complete_median_ms: Option<f64>,
    pub(crate) complete_max_ms: Option<f64>,
    errors: u64,
    first_error: Option<String>,
}

/// Does the work of a step. A single error is a failure.
pub(crate) fn run(server: &Server, step: &Step) -> Result<Load> {
    let mut command = load::command(server, step.operation)?;
    let said = process::run_within(command.args(&step.flags), PATIENCE)?;
    let found: Load =
        serde_json::from_str(&said).context("the load program did not say what it found")?;
    if found.errors > 0 {
        bail!(
            "{} of its requests failed: {}",
            found.errors,
            found.first_error.unwrap_or_default()
        );
    }
    Ok(found)
}
