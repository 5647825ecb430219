//! The tables: medians, processor time, memory, and what was wanted.

use std::fmt;

use serde::Serialize;

use super::commands::{Deed, Run, Side};
use super::data::Data;
use super::goals;
use super::throughput::{Sample, Store, Task};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: String,
    /// The load average of a minute, before what is measured and after.
    pub(super) load: [String; 2],
    /// Absent where the throughput was not measured.
    pub(super) data: Option<Data>,
    pub(super) rounds: u32,
    pub(super) samples: Vec<Sample>,
    pub(super) snapshots: u32,
    pub(super) runs: Vec<Run>,
}

/// What is in the middle of all rounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Median {
    pub(super) mib_per_second: f64,
    pub(super) cpu_seconds: f64,
}

const MIB: f64 = 1_048_576.0;

impl Report {
    pub(super) fn median(&self, task: Task, store: Store) -> Option<Median> {
        let sample = self.middle(task, store)?;
        Some(Median {
            mib_per_second: mebibytes(sample.bytes) / sample.seconds,
            cpu_seconds: sample.cost.cpu_seconds,
        })
    }

    /// The round in the middle, by its time.
    fn middle(&self, task: Task, store: Store) -> Option<&Sample> {
        let all = self.samples.iter();
        let mut found: Vec<&Sample> = all
            .filter(|sample| (sample.task, sample.store) == (task, store))
            .collect();
        found.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        found.get(found.len() / 2).copied()
    }

    /// Seconds of a command or an answer: least, in the middle, most.
    pub(super) fn spread(&self, deed: Deed, side: Side) -> Option<[f64; 3]> {
        let runs = self.runs.iter();
        let mut seconds: Vec<f64> = runs
            .filter(|run| (run.deed, run.side) == (deed, side))
            .map(|run| run.seconds)
            .collect();
        seconds.sort_by(f64::total_cmp);
        let middle = *seconds.get(seconds.len() / 2)?;
        Some([*seconds.first()?, middle, *seconds.last()?])
    }

    fn throughput(&self, f: &mut fmt::Formatter<'_>, data: &Data) -> fmt::Result {
        writeln!(
            f,
            "{} MiB of logs in {} documents; the median of {} rounds. Of the server of S3: processor seconds, and MiB of memory at most. \
             *Syncs*: what it acknowledged is on the disk; *settles*: seconds that the disk then still took.\n",
            data.bytes >> 20,
            data.documents,
            self.rounds
        )?;
        writeln!(
            f,
            "| | repository | MiB/s | seconds | server: CPU s | server: peak MiB | engine: CPU s | syncs | settles | others |"
        )?;
        writeln!(f, "|---|---|--:|--:|--:|--:|--:|---|--:|--:|")?;
        for task in Task::ALL {
            for store in Store::ALL {
                let Some(sample) = self.middle(task, store) else {
                    continue;
                };
                let (cpu, peak) = if store.contender().is_some() {
                    (
                        format!("{:.2}", sample.cost.cpu_seconds),
                        (sample.cost.peak_memory >> 20).to_string(),
                    )
                } else {
                    (String::new(), String::new())
                };
                writeln!(
                    f,
                    "| {} | {} | {:.1} | {:.2} | {cpu} | {peak} | {:.2} | {} | {:.2} | {:.0} % |",
                    task.title(),
                    store.title(),
                    mebibytes(sample.bytes) / sample.seconds,
                    sample.seconds,
                    sample.node_cpu_seconds,
                    if store.syncs() { "yes" } else { "no" },
                    sample.cost.settling_seconds,
                    sample.cost.others * 100.0
                )?;
            }
        }
        writeln!(f)
    }

    fn commands(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Seconds: median, and from least to most. Ours are of the whole process.\n\n\
             | | the engine's own answer | `lifeboat elasticsearch` |\n|---|--:|--:|"
        )?;
        for deed in [Deed::List, Deed::Restore] {
            let [Some(engine), Some(ours)] =
                [Side::Engine, Side::Lifeboat].map(|side| self.spread(deed, side))
            else {
                continue;
            };
            let cell =
                |[least, middle, most]: [f64; 3]| format!("{middle:.3} ({least:.3} to {most:.3})");
            let title = match deed {
                Deed::List => format!("list of {} snapshots", self.snapshots),
                Deed::Restore => "restore of one small index".to_owned(),
            };
            writeln!(f, "| {title} | {} | {} |", cell(engine), cell(ours))?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = &self.load;
        writeln!(
            f,
            "{}; a real OpenSearch; load average {before} before, {after} after\n",
            self.machine
        )?;
        if let Some(data) = &self.data {
            self.throughput(f, data)?;
        }
        if !self.runs.is_empty() {
            self.commands(f)?;
        }
        write!(f, "{}", goals::table(&goals::seen(self)))
    }
}

impl Task {
    pub(super) const ALL: [Self; 2] = [Self::Snapshot, Self::Restore];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB
}
