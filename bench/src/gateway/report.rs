//! What the gateway bench found, and a long table of it for the terminal; the page for docs/benchmarks.md is in `page`.

mod goals;
mod page;

use std::fmt;

use comfy_table::Table;
use serde::Serialize;

use self::page::Page;
use super::contender::Contender;
use super::ground::Ground;
use super::sample::Sample;
use super::schedule::Session;
use super::task::{Task, Unit};
use crate::report::table;

/// Everything that was found in one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) file_system: String,
    pub(crate) cores: String,
    pub(crate) rounds: u32,
    /// The load average of a minute, before and after.
    pub(crate) load: [String; 2],
    pub(crate) samples: Vec<Sample>,
    pub(crate) baselines: Vec<Baseline>,
    pub(crate) failures: Vec<Failure>,
    /// What was skipped and why.
    pub(crate) notes: Vec<String>,
}

/// What `dd` reached, in MiB in a second.
#[derive(Debug, Serialize)]
pub(crate) struct Baseline {
    pub(crate) ground: Ground,
    pub(crate) round: u32,
    pub(crate) value: f64,
}

/// A session that did not come to its end.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(crate) contender: Contender,
    pub(crate) text: String,
}

/// What is set against each other: figures that mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// Nobody's acknowledgement is worth anything, and no sync costs anything.
    Memory,
    /// Everybody's acknowledgement means that it is on the disk: who does not sync is made to.
    Durable,
    /// Each as it is shipped, whatever its acknowledgement means.
    Shipped,
    /// The same, when the time counts until everything is on the disk.
    Settled,
}

impl View {
    fn ground(self, contender: Contender) -> Ground {
        match self {
            Self::Memory => Ground::Memory,
            Self::Durable if !contender.syncs() => Ground::Synchronous,
            Self::Durable | Self::Shipped | Self::Settled => Ground::Disk,
        }
    }

    fn value(self, sample: &Sample) -> f64 {
        match self {
            Self::Settled => sample.settled,
            Self::Memory | Self::Durable | Self::Shipped => sample.value,
        }
    }
}

/// The median of the rounds, and how far they lay apart.
struct Figure<'a> {
    sample: &'a Sample,
    value: f64,
    least: f64,
    most: f64,
}

impl Report {
    pub(crate) fn fail(&mut self, session: Session, error: &anyhow::Error) {
        let text = format!(
            "{}, {:?} on {}, round {}: {error:#}",
            session.contender,
            session.group,
            session.ground,
            session.round + 1
        );
        self.failures.push(Failure {
            contender: session.contender,
            text,
        });
    }

    pub(crate) fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    fn figure(&self, view: View, task: Task, contender: Contender) -> Option<Figure<'_>> {
        let ground = view.ground(contender);
        let mut rounds: Vec<&Sample> = self
            .samples
            .iter()
            .filter(|sample| {
                sample.task.name == task.name
                    && sample.place.contender == contender
                    && sample.place.ground == ground
            })
            .collect();
        rounds.sort_by(|a, b| view.value(a).total_cmp(&view.value(b)));
        let sample = *rounds.get(rounds.len() / 2)?;
        Some(Figure {
            sample,
            value: view.value(sample),
            least: view.value(rounds.first()?),
            most: view.value(rounds.last()?),
        })
    }

    /// In the order in which they were first measured. What was not worth measuring where everything is made durable
    /// (reading, for one) is nothing to compare there.
    fn tasks(&self, view: View) -> Vec<Task> {
        let mut tasks: Vec<Task> = Vec::new();
        let any = self.samples.iter().filter(|sample| {
            let ground = sample.place.ground;
            match view {
                View::Memory => ground == Ground::Memory,
                View::Durable => ground == Ground::Synchronous,
                View::Shipped | View::Settled => ground == Ground::Disk,
            }
        });
        for sample in any {
            if tasks.iter().all(|task| task.name != sample.task.name) {
                tasks.push(sample.task);
            }
        }
        tasks
    }

    fn contenders(&self) -> Vec<Contender> {
        std::iter::once(Contender::Lifeboat)
            .chain(Contender::PEERS)
            .filter(|contender| {
                self.samples
                    .iter()
                    .any(|sample| sample.place.contender == *contender)
            })
            .collect()
    }

    /// How many times better Lifeboat is than the best of the others, and who that is.
    fn against_best(&self, view: View, task: Task) -> Option<(f64, Contender)> {
        let own = self.figure(view, task, Contender::Lifeboat)?.value;
        Contender::PEERS
            .into_iter()
            .filter_map(|peer| {
                let other = self.figure(view, task, peer)?.value;
                Some((better(task.unit, own, other), peer))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0))
    }

    /// The part of docs/benchmarks.md that comes from the run.
    pub(crate) fn markdown(&self) -> String {
        Page(self).to_string()
    }

    /// Every figure with its spread.
    fn all(&self) -> Table {
        let header = [
            "task",
            "with",
            "ground",
            "median",
            "least",
            "most",
            "until on the disk",
            "",
            "CPU",
            "peak MiB",
            "others",
            "Lifeboat is",
        ];
        let mut rows = Vec::new();
        for view in [View::Memory, View::Shipped, View::Durable] {
            for task in self.tasks(view) {
                for contender in self.contenders() {
                    if view == View::Durable && contender.syncs() {
                        continue;
                    }
                    let Some(figure) = self.figure(view, task, contender) else {
                        continue;
                    };
                    let ratio = self
                        .figure(view, task, Contender::Lifeboat)
                        .filter(|_| contender != Contender::Lifeboat)
                        .map(|own| times_shown(better(task.unit, own.value, figure.value)));
                    let settled = self.figure(View::Settled, task, contender);
                    rows.push([
                        task.name.to_owned(),
                        contender.to_string(),
                        view.ground(contender).to_string(),
                        number(figure.value),
                        number(figure.least),
                        number(figure.most),
                        settled
                            .filter(|_| view == View::Shipped)
                            .map_or_else(String::new, |settled| number(settled.value)),
                        task.unit.to_string(),
                        figure.sample.cpu.map_or_else(String::new, number),
                        number(mebibytes(figure.sample)),
                        format!("{:.0} %", figure.sample.cost.others * 100.0),
                        ratio.unwrap_or_default(),
                    ]);
                }
            }
        }
        table(header, rows, 3)
    }

    fn disturbed(&self) -> String {
        let mut shares: Vec<f64> = self
            .samples
            .iter()
            .map(|sample| sample.cost.others)
            .collect();
        shares.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let index = shares.len() * share / 100;
            shares.get(index).or(shares.last()).copied().unwrap_or(0.0) * 100.0
        };
        format!(
            "others took {:.0} % of the machine in the median step, {:.0} % in one of ten",
            at(50),
            at(90)
        )
    }

    fn circumstances(&self) -> String {
        let [before, after] = &self.load;
        format!(
            "{}, {}; {}; {} rounds; load average {before} before, {after} after; {}",
            self.machine,
            self.file_system,
            self.cores,
            self.rounds,
            self.disturbed()
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine: {}\n\n{}", self.circumstances(), self.all())?;
        for line in goals::seen(self) {
            writeln!(f, "\n{line}")?;
        }
        for failure in &self.failures {
            writeln!(f, "\nfailed: {}", failure.text)?;
        }
        for note in &self.notes {
            writeln!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

fn better(unit: Unit, own: f64, other: f64) -> f64 {
    if unit.more_is_better() {
        own / other
    } else {
        other / own
    }
}

fn times_shown(times: f64) -> String {
    format!("{}x", number(times))
}

/// Three digits that count.
fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn mebibytes(sample: &Sample) -> f64 {
    sample.cost.peak_memory as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Amount, Where};
    use super::super::watch::Cost;
    use super::*;

    const PUT: Task = Task {
        name: "put-100m",
        title: "PUT 100 MB",
        unit: Unit::Bytes,
    };
    const COPY: Task = Task {
        name: "copy",
        title: "copy",
        unit: Unit::Seconds,
    };

    fn sample(task: Task, ground: Ground, contender: Contender, seconds: f64) -> Sample {
        let place = Where {
            ground,
            contender,
            round: 0,
        };
        let amount = Amount {
            operations: 1,
            bytes: 1 << 30,
            seconds,
        };
        let cost = Cost {
            cpu_seconds: 1.5,
            peak_memory: 64 << 20,
            settling_seconds: if contender.syncs() { 0.0 } else { 2.0 },
            others: 0.04,
        };
        Sample::new(task, place, amount, cost, None)
    }

    fn report() -> Report {
        use Contender::{Lifeboat, Minio2026, Versitygw};
        use Ground::{Disk, Memory, Synchronous};
        Report {
            machine: "a machine".to_owned(),
            file_system: "ext4".to_owned(),
            cores: "one core each".to_owned(),
            rounds: 3,
            load: ["0.10".to_owned(), "1.90".to_owned()],
            samples: vec![
                sample(PUT, Memory, Lifeboat, 2.0),
                sample(PUT, Memory, Lifeboat, 9.0),
                sample(PUT, Memory, Lifeboat, 1.0),
                sample(PUT, Memory, Versitygw, 4.0),
                sample(PUT, Disk, Lifeboat, 5.0),
                sample(PUT, Disk, Versitygw, 4.0),
                sample(PUT, Disk, Minio2026, 10.0),
                sample(PUT, Synchronous, Versitygw, 40.0),
                sample(COPY, Disk, Lifeboat, 0.01),
                sample(COPY, Disk, Versitygw, 4.0),
            ],
            baselines: vec![Baseline {
                ground: Disk,
                round: 0,
                value: 250.0,
            }],
            failures: vec![Failure {
                contender: Versitygw,
                text: "versitygw failed".to_owned(),
            }],
            notes: vec!["something was skipped".to_owned()],
        }
    }

    #[test]
    fn compares_only_what_means_the_same() {
        insta::assert_snapshot!(report().markdown(), @"
        a machine, ext4; one core each; 3 rounds; load average 0.10 before, 1.90 after; others took 4 % of the machine in the median step, 4 % in one of ten

        ### In memory

        |                   |              Lifeboat | MinIO 2026 |     versitygw 1.8 | Lifeboat against the best |
        |-------------------|-----------------------|------------|-------------------|---------------------------|
        | PUT 100 MB, MiB/s | **512** · 1.50 · 64.0 |            | 256 · 1.50 · 64.0 |       2.00x versitygw 1.8 |

        ### On the disk, and durable

        |                   |              Lifeboat |        MinIO 2026 |      versitygw 1.8 | Lifeboat against the best |
        |-------------------|-----------------------|-------------------|--------------------|---------------------------|
        | PUT 100 MB, MiB/s | **205** · 1.50 · 64.0 | 102 · 1.50 · 64.0 | 25.6 · 1.50 · 64.0 |          2.00x MinIO 2026 |

        ### On the disk, as shipped

        |                   |                Lifeboat |        MinIO 2026 |               versitygw 1.8 | Lifeboat against the best |   until on the disk |
        |-------------------|-------------------------|-------------------|-----------------------------|---------------------------|---------------------|
        | PUT 100 MB, MiB/s |       205 · 1.50 · 64.0 | 102 · 1.50 · 64.0 | **256** (171) · 1.50 · 64.0 |      0.800x versitygw 1.8 | 1.20x versitygw 1.8 |
        | copy, s           | **0.010** · 1.50 · 64.0 |                   |   4.00 (6.00) · 1.50 · 64.0 |        400x versitygw 1.8 |  600x versitygw 1.8 |

        - in memory: first in 1 of 1 rows, twice as good in 1; not first: none
        - durable on the disk: first in 1 of 1 rows, twice as good in 1; not first: none
        - as shipped: first in 1 of 2 rows, twice as good in 1; not first: PUT 100 MB (0.800x versitygw 1.8)
        - as shipped, until on the disk: first in 2 of 2 rows, twice as good in 1; not first: none
        - `dd` with a sync for each 100 MB, disk: 250 MiB/s (250 to 250); PUT of 100 MB has 82 % of it (wanted: 80 %)
        - failed: versitygw failed
        - something was skipped
        ");
    }

    #[test]
    fn shows_every_figure_with_its_spread() {
        insta::assert_snapshot!(report().to_string(), @"
        machine: a machine, ext4; one core each; 3 rounds; load average 0.10 before, 1.90 after; others took 4 % of the machine in the median step, 4 % in one of ten

        | task     | with          | ground      | median | least |  most | until on the disk |       |  CPU | peak MiB | others | Lifeboat is |
        |----------|---------------|-------------|--------|-------|-------|-------------------|-------|------|----------|--------|-------------|
        | put-100m | Lifeboat      | memory      |    512 |   114 |  1024 |                   | MiB/s | 1.50 |     64.0 |    4 % |             |
        | put-100m | versitygw 1.8 | memory      |    256 |   256 |   256 |                   | MiB/s | 1.50 |     64.0 |    4 % |       2.00x |
        | put-100m | Lifeboat      | disk        |    205 |   205 |   205 |               205 | MiB/s | 1.50 |     64.0 |    4 % |             |
        | put-100m | MinIO 2026    | disk        |    102 |   102 |   102 |               102 | MiB/s | 1.50 |     64.0 |    4 % |       2.00x |
        | put-100m | versitygw 1.8 | disk        |    256 |   256 |   256 |               171 | MiB/s | 1.50 |     64.0 |    4 % |      0.800x |
        | copy     | Lifeboat      | disk        |  0.010 | 0.010 | 0.010 |             0.010 |     s | 1.50 |     64.0 |    4 % |             |
        | copy     | versitygw 1.8 | disk        |   4.00 |  4.00 |  4.00 |              6.00 |     s | 1.50 |     64.0 |    4 % |        400x |
        | put-100m | versitygw 1.8 | synchronous |   25.6 |  25.6 |  25.6 |                   | MiB/s | 1.50 |     64.0 |    4 % |       8.00x |

        in memory: first in 1 of 1 rows, twice as good in 1; not first: none

        durable on the disk: first in 1 of 1 rows, twice as good in 1; not first: none

        as shipped: first in 1 of 2 rows, twice as good in 1; not first: PUT 100 MB (0.800x versitygw 1.8)

        as shipped, until on the disk: first in 2 of 2 rows, twice as good in 1; not first: none

        `dd` with a sync for each 100 MB, disk: 250 MiB/s (250 to 250); PUT of 100 MB has 82 % of it (wanted: 80 %)

        failed: versitygw failed

        note: something was skipped
        ");
    }
}
