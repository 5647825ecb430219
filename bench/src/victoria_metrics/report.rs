//! The table: medians, ratios, processor time, memory, requests.

use std::fmt;

use serde::Serialize;

use super::disk::Floor;
use super::side::Side;
use crate::program::Cost;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Task {
    Full,
    Nothing,
    Hour,
    Restore,
    RestoreOver,
}

/// One measured run.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    pub(super) task: Task,
    pub(super) side: Side,
    pub(super) delay: u64,
    pub(super) round: u32,
    #[serde(flatten)]
    pub(super) cost: Cost,
    /// What the gateway took meanwhile.
    pub(super) gateway_cpu_seconds: f64,
    pub(super) requests: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: String,
    pub(super) bytes: u64,
    pub(super) rounds: u32,
    pub(super) load: [String; 2],
    /// Of the disk, for as many bytes as were asked for.
    pub(super) floor: Floor,
    /// Whether the gateway stores elsewhere than on that disk.
    pub(super) has_volume: bool,
    pub(super) samples: Vec<Sample>,
    pub(super) growth: Vec<Grown>,
}

/// What it costs at one size.
#[derive(Debug, Serialize)]
pub(super) struct Grown {
    pub(super) bytes: u64,
    /// Of a backup of everything, and of its restore to nothing.
    pub(super) costs: Vec<(Side, [Cost; 2])>,
}

impl Task {
    const ALL: [Self; 5] = [
        Self::Full,
        Self::Nothing,
        Self::Hour,
        Self::Restore,
        Self::RestoreOver,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Full => "backup, everything",
            Self::Nothing => "backup, nothing new",
            Self::Hour => "backup, an hour more",
            Self::Restore => "restore to nothing",
            Self::RestoreOver => "restore where nine tenths are there",
        }
    }
}

impl Report {
    /// The run in the middle of all rounds, by its time.
    fn median(&self, task: Task, side: Side, delay: u64) -> Option<&Sample> {
        let mut found: Vec<&Sample> = self
            .samples
            .iter()
            .filter(|sample| (sample.task, sample.side, sample.delay) == (task, side, delay))
            .collect();
        found.sort_by(|a, b| a.cost.seconds.total_cmp(&b.cost.seconds));
        found.get(found.len() / 2).copied()
    }

    fn delays(&self) -> Vec<u64> {
        let mut delays: Vec<u64> = self.samples.iter().map(|sample| sample.delay).collect();
        delays.sort_unstable();
        delays.dedup();
        delays
    }
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "sizes for people")]
    fn growth(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nAs the data grows, once for each size. Seconds a GiB · peak MiB\n"
        )?;
        writeln!(
            f,
            "| MiB | | backup, everything | restore to nothing |\n|--:|---|---|---|"
        )?;
        for grown in &self.growth {
            let gib = grown.bytes as f64 / f64::from(1 << 30);
            for (side, costs) in &grown.costs {
                let [backup, restore] = costs
                    .each_ref()
                    .map(|cost| format!("{:.2} · {}", cost.seconds / gib, cost.peak_memory >> 20));
                let who = match side {
                    Side::Lifeboat => "Lifeboat",
                    Side::Vmbackup => "vmbackup, vmrestore 1.145",
                };
                let mib = grown.bytes >> 20;
                writeln!(f, "| {mib} | {who} | {backup} | {restore} |")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}; {} MiB of a real server; {} rounds; load average {} before, {} after\n",
            self.machine,
            self.bytes >> 20,
            self.rounds,
            self.load[0],
            self.load[1]
        )?;
        writeln!(
            f,
            "The gateway stores {}. Seconds that the disk takes for as much, with nothing else going on: {:.2} to write, {:.2} to read.\n",
            if self.has_volume {
                "elsewhere"
            } else {
                "on the same disk"
            },
            self.floor.write,
            self.floor.read
        )?;
        writeln!(
            f,
            "Seconds · processor seconds + those of the gateway · MiB · requests\n"
        )?;
        writeln!(
            f,
            "| | a request waits | Lifeboat | vmbackup, vmrestore 1.145 | Lifeboat is |"
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        for task in Task::ALL {
            for delay in self.delays() {
                let sides =
                    [Side::Lifeboat, Side::Vmbackup].map(|side| self.median(task, side, delay));
                let [Some(ours), Some(theirs)] = sides else {
                    continue;
                };
                let cell = |sample: &Sample| {
                    let requests = sample
                        .requests
                        .map_or_else(String::new, |count| format!(" · {count}"));
                    format!(
                        "{:.2} · {:.2} + {:.2} · {}{requests}",
                        sample.cost.seconds,
                        sample.cost.cpu_seconds,
                        sample.gateway_cpu_seconds,
                        sample.cost.peak_memory >> 20
                    )
                };
                writeln!(
                    f,
                    "| {} | {delay} ms | {} | {} | {:.1}x as fast |",
                    task.title(),
                    cell(ours),
                    cell(theirs),
                    theirs.cost.seconds / ours.cost.seconds
                )?;
            }
        }
        if self.growth.is_empty() {
            return Ok(());
        }
        self.growth(f)
    }
}
