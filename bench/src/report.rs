//! What the graph bench found, as tables for people and as JSON.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::measure::Measured;

/// Everything that was found in one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    /// The load average of a minute, before and after.
    pub(crate) load: [String; 2],
    pub(crate) rows: Vec<Row>,
    /// What was skipped and why.
    pub(crate) notes: Vec<String>,
}

/// One step on one graph.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) graph: String,
    pub(crate) way: Way,
    pub(crate) task: Task,
    /// The median of the rounds by time.
    #[serde(flatten)]
    pub(crate) measured: Measured,
    pub(crate) all_seconds: Vec<f64>,
}

/// What did the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    Lifeboat,
    Jsonl,
    Ladybug,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Task {
    Export,
    Verify,
    Import,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lifeboat => "Lifeboat",
            Self::Jsonl => "JSONL + zstd",
            Self::Ladybug => "Ladybug",
        })
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Export => "export",
            Self::Verify => "verify",
            Self::Import => "import",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = &self.load;
        writeln!(
            f,
            "machine: {}; load average {before} before, {after} after\n",
            self.machine
        )?;
        writeln!(f, "{}\n\n{}", self.steps(), self.targets())?;
        for line in self.linearity() {
            writeln!(f, "\n{line}")?;
        }
        for note in &self.notes {
            writeln!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

/// What is wanted of the synthetic graphs of three million elements and more.
struct Target {
    what: &'static str,
    wanted: f64,
    unit: &'static str,
    is_least: bool,
    task: Option<Task>,
    value: fn(&Measured) -> f64,
}

const MIB: f64 = 1_048_576.0;
const TARGET_FROM: u64 = 2_900_000;
const TARGETS: [Target; 5] = [
    Target {
        what: "export",
        wanted: 1.5,
        unit: "M elements/s",
        is_least: true,
        task: Some(Task::Export),
        value: millions,
    },
    Target {
        what: "verify",
        wanted: 4.0,
        unit: "M elements/s",
        is_least: true,
        task: Some(Task::Verify),
        value: millions,
    },
    Target {
        what: "import",
        wanted: 0.9,
        unit: "M elements/s",
        is_least: true,
        task: Some(Task::Import),
        value: millions,
    },
    Target {
        what: "size of the file",
        wanted: 20.0,
        unit: "bytes/element",
        is_least: false,
        task: Some(Task::Export),
        value: bytes_each,
    },
    Target {
        what: "peak memory",
        wanted: 768.0,
        unit: "MiB",
        is_least: false,
        task: None,
        value: mebibytes,
    },
];

impl Report {
    fn steps(&self) -> Table {
        let header = [
            "graph",
            "step",
            "with",
            "elements",
            "bytes",
            "bytes/el.",
            "seconds",
            "elements/s",
            "CPU s",
            "peak MiB",
            "others",
            "Lifeboat is",
        ];
        let rows = self.rows.iter().map(|row| {
            let measured = &row.measured;
            [
                row.graph.clone(),
                row.task.to_string(),
                row.way.to_string(),
                measured.elements.to_string(),
                measured.bytes.to_string(),
                format!("{:.1}", bytes_each(measured)),
                format!("{:.2}", measured.seconds),
                format!("{:.2} M", millions(measured)),
                format!("{:.1}", measured.cpu_seconds),
                format!("{:.0}", mebibytes(measured)),
                format!("{:.0} %", measured.others * 100.0),
                self.ratio(row),
            ]
        });
        table(header, rows, 3)
    }

    /// How many times faster Lifeboat was at the same step on the same graph.
    fn ratio(&self, row: &Row) -> String {
        if row.way == Way::Lifeboat {
            return String::new();
        }
        self.rows
            .iter()
            .find(|own| own.way == Way::Lifeboat && own.graph == row.graph && own.task == row.task)
            .map_or_else(String::new, |own| {
                format!("{:.1}x as fast", own.measured.rate() / row.measured.rate())
            })
    }

    fn targets(&self) -> Table {
        let header = ["target", "wanted", "seen, the worst", "on", ""];
        let rows = TARGETS.iter().filter_map(|target| {
            let worst = self
                .rows
                .iter()
                .filter(|row| {
                    row.way == Way::Lifeboat
                        && row.graph.starts_with("synthetic")
                        && row.measured.elements >= TARGET_FROM
                        && target.task.is_none_or(|task| task == row.task)
                })
                .map(|row| ((target.value)(&row.measured), row))
                .reduce(|a, b| if (a.0 < b.0) == target.is_least { a } else { b })?;
            let (seen, row) = worst;
            let is_met = if target.is_least {
                seen >= target.wanted
            } else {
                seen <= target.wanted
            };
            Some([
                target.what.to_owned(),
                format!(
                    "{} {} {}",
                    if target.is_least {
                        "at least"
                    } else {
                        "at most"
                    },
                    target.wanted,
                    target.unit
                ),
                format!("{seen:.2}"),
                format!("{}, {}", row.graph, row.task),
                if is_met { "met" } else { "missed" }.to_owned(),
            ])
        });
        table(header, rows, 2)
    }

    /// Time per element of the largest synthetic graph against that of the smallest.
    fn linearity(&self) -> Vec<String> {
        [Task::Export, Task::Verify, Task::Import]
            .into_iter()
            .filter_map(|task| {
                let own = || {
                    self.rows.iter().filter(move |row| {
                        row.way == Way::Lifeboat
                            && row.task == task
                            && row.graph.starts_with("synthetic")
                    })
                };
                let small = own().min_by_key(|row| row.measured.elements)?;
                let large = own().max_by_key(|row| row.measured.elements)?;
                if small.measured.elements == large.measured.elements {
                    return None;
                }
                let (first, last) = (nanos(&small.measured), nanos(&large.measured));
                Some(format!(
                    "{task}: {first:.0} ns an element at {}, {last:.0} ns at {}: {:.2} times",
                    count(small.measured.elements),
                    count(large.measured.elements),
                    last / first
                ))
            })
            .collect()
    }
}

/// Columns from `numbers_from` on are aligned as numbers are.
pub(crate) fn table<H, R>(header: H, rows: R, numbers_from: usize) -> Table
where
    H: Into<comfy_table::Row>,
    R: IntoIterator,
    R::Item: Into<comfy_table::Row>,
{
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    table.add_rows(rows);
    for index in numbers_from..table.column_count() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// `400000` as `0.4 M`.
pub(crate) fn count(elements: u64) -> String {
    let tenths = (elements + 50_000) / 100_000;
    match tenths % 10 {
        0 => format!("{} M", tenths / 10),
        tenth => format!("{}.{tenth} M", tenths / 10),
    }
}

fn millions(measured: &Measured) -> f64 {
    measured.rate() / 1e6
}

fn nanos(measured: &Measured) -> f64 {
    1e9 / measured.rate()
}

#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn bytes_each(measured: &Measured) -> f64 {
    measured.bytes as f64 / measured.elements as f64
}

#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn mebibytes(measured: &Measured) -> f64 {
    measured.peak_memory as f64 / MIB
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(way: Way, task: Task, elements: u64, seconds: f64) -> Row {
        Row {
            graph: format!("synthetic {}", count(elements)),
            way,
            task,
            measured: Measured {
                elements,
                bytes: elements * 15,
                seconds,
                cpu_seconds: seconds * 2.0,
                peak_memory: 800 << 20,
                others: 0.25,
            },
            all_seconds: vec![seconds],
        }
    }

    #[test]
    fn says_what_was_missed_and_how_it_compares() {
        let report = Report {
            machine: "a machine".to_owned(),
            load: ["0.10".to_owned(), "1.90".to_owned()],
            rows: vec![
                row(Way::Lifeboat, Task::Export, 400_000, 0.2),
                row(Way::Lifeboat, Task::Export, 3_000_000, 1.0),
                row(Way::Jsonl, Task::Export, 3_000_000, 10.0),
                row(Way::Lifeboat, Task::Import, 3_000_000, 5.0),
            ],
            notes: vec!["something was skipped".to_owned()],
        };
        insta::assert_snapshot!(report.to_string(), @r"
        machine: a machine; load average 0.10 before, 1.90 after

        | graph           | step   | with         | elements |    bytes | bytes/el. | seconds | elements/s | CPU s | peak MiB | others |   Lifeboat is |
        |-----------------|--------|--------------|----------|----------|-----------|---------|------------|-------|----------|--------|---------------|
        | synthetic 0.4 M | export | Lifeboat     |   400000 |  6000000 |      15.0 |    0.20 |     2.00 M |   0.4 |      800 |   25 % |               |
        | synthetic 3 M   | export | Lifeboat     |  3000000 | 45000000 |      15.0 |    1.00 |     3.00 M |   2.0 |      800 |   25 % |               |
        | synthetic 3 M   | export | JSONL + zstd |  3000000 | 45000000 |      15.0 |   10.00 |     0.30 M |  20.0 |      800 |   25 % | 10.0x as fast |
        | synthetic 3 M   | import | Lifeboat     |  3000000 | 45000000 |      15.0 |    5.00 |     0.60 M |  10.0 |      800 |   25 % |               |

        | target           | wanted                    | seen, the worst |                    on |        |
        |------------------|---------------------------|-----------------|-----------------------|--------|
        | export           | at least 1.5 M elements/s |            3.00 | synthetic 3 M, export |    met |
        | import           | at least 0.9 M elements/s |            0.60 | synthetic 3 M, import | missed |
        | size of the file | at most 20 bytes/element  |           15.00 | synthetic 3 M, export |    met |
        | peak memory      | at most 768 MiB           |          800.00 | synthetic 3 M, export | missed |

        export: 500 ns an element at 0.4 M, 333 ns at 3 M: 0.67 times

        note: something was skipped
        ");
    }
}
