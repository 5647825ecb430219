//! Time, processor time and peak memory of one step, measured from inside its own process; and where such numbers come
//! from, for those who look at another process.

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
    let (cpu_before, machine_before) = (cpu_seconds(SELF)?, Machine::now()?);
    let started = Instant::now();
    let (elements, bytes) = step()?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu_seconds = cpu_seconds(SELF)? - cpu_before;
    let others = Machine::now()?.others_since(&machine_before, cpu_seconds);
    Ok(Measured {
        elements,
        bytes,
        seconds,
        cpu_seconds,
        peak_memory: peak_memory(SELF)?,
        others,
    })
}

impl Measured {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(crate) fn rate(&self) -> f64 {
        self.elements as f64 / self.seconds
    }
}

const SELF: &str = "self";

/// proc(5): fields 14 and 15 of `stat`, in ticks of 10 ms.
pub(crate) fn cpu_seconds(process: &str) -> Result<f64> {
    two_fields(process, 14)
}

/// Of all processes that were started from here and have ended: fields 16 and 17.
pub(crate) fn cpu_seconds_of_children() -> Result<f64> {
    two_fields(SELF, 16)
}

fn two_fields(process: &str, first: usize) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat
        .rsplit_once(')')
        .context("no end of the command name")?;
    // The third field is the first one after the name.
    let mut fields = fields.split_whitespace().skip(first - 3);
    let mut next = || -> Result<f64> { Ok(fields.next().context("too few fields")?.parse()?) };
    Ok((next()? + next()?) / 100.0)
}

/// What all processors together have done so far, in seconds.
pub(crate) struct Machine {
    busy: f64,
    all: f64,
}

impl Machine {
    /// proc(5): the first line of `/proc/stat`; idle and waiting for the disk are the fourth and fifth number, and what
    /// a guest took is in the first two already.
    pub(crate) fn now() -> Result<Self> {
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
        Ok(Self {
            busy: (all - idle) / 100.0,
            all: all / 100.0,
        })
    }

    /// The share, 0 to 1, that was taken since `before` by others than those who took `own` seconds.
    pub(crate) fn others_since(&self, before: &Self, own: f64) -> f64 {
        let all = (self.all - before.all).max(0.01);
        ((self.busy - before.busy - own) / all).clamp(0.0, 1.0)
    }
}

pub(crate) fn peak_memory(process: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// proc(5): from now on the peak is counted again, from what the process holds now.
pub(crate) fn forget_peak_memory(process: &str) -> Result<()> {
    fs::write(format!("/proc/{process}/clear_refs"), "5").context("cannot forget a peak of memory")
}

/// Makes the next step read from the disk: writes everything back and drops the page cache. False where that is not
/// permitted, and then the table says so.
pub(crate) fn drop_caches() -> bool {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// How many threads wanted to run in the last minute: more than what is measured means that others disturbed it.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
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
