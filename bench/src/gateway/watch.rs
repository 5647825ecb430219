//! What one step cost a server, seen from outside.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use rustix::fs::syncfs;
use serde::Serialize;

use crate::measure::{Machine, cpu_seconds, forget_peak_memory, peak_memory};

/// What a step cost.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cost {
    /// Of the server's process: user and system, all threads.
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_memory: u64,
    /// Until everything it acknowledged was on the disk; not part of the step's own time.
    pub(crate) settling_seconds: f64,
    /// The share of the machine's processors that neither server nor load took, 0 to 1.
    pub(crate) others: f64,
}

/// Runs `step`, which returns also the processor time that the load took itself. The server keeps its data in `data`.
pub(crate) fn watch<T>(
    server: u32,
    data: &Path,
    step: impl FnOnce() -> Result<(T, f64)>,
) -> Result<(T, Cost)> {
    let server = server.to_string();
    forget_peak_memory(&server)?;
    let (cpu_before, machine_before) = (cpu_seconds(&server)?, Machine::now()?);
    let (found, load) = step()?;
    let cpu_seconds = cpu_seconds(&server)? - cpu_before;
    let others = Machine::now()?.others_since(&machine_before, cpu_seconds + load);
    let settling = Instant::now();
    syncfs(File::open(data)?)?;
    Ok((
        found,
        Cost {
            cpu_seconds,
            peak_memory: peak_memory(&server)?,
            settling_seconds: settling.elapsed().as_secs_f64(),
            others,
        },
    ))
}
