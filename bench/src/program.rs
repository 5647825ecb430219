//! A program that is run to its end, and what that cost.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use lifeboat_testkit::process::{Finished, Process};
use serde::Serialize;

use crate::measure::{cpu_seconds_of_children, peak_memory};

/// What a run took.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_memory: u64,
}

/// Runs a command to its good end.
pub(crate) fn watch(mut command: Command) -> Result<(Finished, Cost)> {
    let before = cpu_seconds_of_children()?;
    let begun = Instant::now();
    let process = Process::start(&mut command)?;
    let id = process.id().to_string();
    let mut peak = 0;
    while !process.ends_within(Duration::from_millis(10)) {
        peak = peak_memory(&id).map_or(peak, |seen| seen.max(peak));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let finished = process.finish()?.success()?;
    let cost = Cost {
        seconds,
        cpu_seconds: cpu_seconds_of_children()? - before,
        peak_memory: peak,
    };
    Ok((finished, cost))
}
