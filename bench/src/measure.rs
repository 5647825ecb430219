//! Time, processor time and peak memory of one step, measured from inside its own process.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What one step took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) elements: u64,
    /// Bytes of the file that was read or written.
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    /// User and system time of all threads.
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_memory: u64,
    /// The share of the machine's processors that others took meanwhile, 0 to 1: what disturbed the measurement.
    pub(crate) others: f64,
}

/// Runs `step`, which returns elements and bytes.
pub(crate) fn measure(step: impl FnOnce() -> Result<(u64, u64)>) -> Result<Measured> {
    let (cpu_before, machine_before) = (cpu_seconds()?, machine_seconds()?);
    let started = Instant::now();
    let (elements, bytes) = step()?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = cpu_seconds()? - cpu_before;
    let machine = machine_seconds()?;
    let busy = machine.busy - machine_before.busy;
    let all = machine.all - machine_before.all;
    Ok(Measured {
        elements,
        bytes,
        seconds,
        cpu_seconds,
        peak_memory: peak_memory()?,
        others: ((busy - cpu_seconds) / all.max(0.01)).clamp(0.0, 1.0),
    })
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(crate) fn rate(&self) -> f64 {
        self.elements as f64 / self.seconds
    }
}

/// proc(5): fields 14 and 15 of `stat`, in ticks of 10 ms.
fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat
        .rsplit_once(')')
        .context("no end of the command name")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || -> Result<f64> { Ok(fields.next().context("too few fields")?.parse()?) };
    Ok((next()? + next()?) / 100.0)
}

struct Machine {
    busy: f64,
    all: f64,
}

/// proc(5): the first line of `/proc/stat`; idle and waiting for the disk are the fourth and fifth number, and what a
/// guest took is in the first two already.
fn machine_seconds() -> Result<Machine> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("no processors")?;
    let ticks = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(str::parse)
        .collect::<Result<Vec<f64>, _>>()?;
    let all: f64 = ticks.iter().sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    Ok(Machine {
        busy: (all - idle) / 100.0,
        all: all / 100.0,
    })
}

fn peak_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Makes the next step read from the disk: writes everything back and drops the page cache. False where that is not
/// permitted, and then the table says so.
pub(crate) fn drop_caches() -> bool {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// One line about the machine that a result depends on.
pub(crate) fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |text| {
            text.trim_start_matches(['\t', ' ', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{model}, {cores} cores, {} GiB, Linux {}",
        (memory + (1 << 19)) >> 20,
        kernel.trim()
    )
}
