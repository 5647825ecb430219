//! What is said at the end of a run.

use std::fmt;
use std::time::Duration;

use super::Done;
use crate::table;

/// One step that was carried out.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) done: Done,
    pub(super) took: Duration,
}

/// All steps, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    pub(super) rows: Vec<Row>,
}

/// The closing line. A check counts as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl Row {
    fn counts(&self) -> Counts {
        let (passed, failed, skipped) = match &self.done {
            Done::Passed => (1, 0, 0),
            Done::Failed => (0, 1, 0),
            Done::Skipped { .. } => (0, 0, 1),
            Done::Tests(tally) => (tally.passed, tally.failed.len(), tally.skipped.len()),
        };
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    fn result(&self) -> &'static str {
        match &self.done {
            Done::Skipped { .. } => "skipped",
            _ if self.counts().failed == 0 => "passed",
            _ => "failed",
        }
    }
}

impl Summary {
    pub(super) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.rows.iter().map(Row::counts) {
            sum.passed += counts.passed;
            sum.failed += counts.failed;
            sum.skipped += counts.skipped;
        }
        sum
    }

    fn failed_tests(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().flat_map(|row| match &row.done {
            Done::Tests(tally) => tally.failed.iter().map(String::as_str).collect(),
            Done::Failed => vec![row.name],
            _ => Vec::new(),
        })
    }

    fn skipped(&self) -> Vec<(&str, &str)> {
        let mut skipped = Vec::new();
        for row in &self.rows {
            match &row.done {
                Done::Skipped { reason } => skipped.push((row.name, reason.as_str())),
                Done::Tests(tally) => {
                    let entries = tally.skipped.iter();
                    skipped.extend(entries.map(|entry| (&*entry.test, &*entry.reason)));
                }
                Done::Passed | Done::Failed => {}
            }
        }
        skipped
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        write!(f, "{}: {} after {seconds:.1} s", self.name, self.result())
    }
}

/// Failures, skips with reasons, and the table of steps; not the closing line.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for name in self.failed_tests() {
            writeln!(f, "failed: {name}")?;
        }
        for (name, reason) in self.skipped() {
            writeln!(f, "skipped: {name}: {reason}")?;
        }
        writeln!(f)?;
        let header = ["step", "result", "passed", "failed", "skipped", "seconds"];
        let rows = self.rows.iter().map(|row| {
            let counts = row.counts();
            [
                row.name.to_owned(),
                row.result().to_owned(),
                counts.passed.to_string(),
                counts.failed.to_string(),
                counts.skipped.to_string(),
                format!("{:.1}", row.took.as_secs_f64()),
            ]
        });
        writeln!(f, "{}", table::render(header, rows, 2..6))
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_testkit::skip::Entry;

    use super::super::harness::Tally;
    use super::*;

    fn row(name: &'static str, done: Done) -> Row {
        Row {
            name,
            done,
            took: Duration::from_millis(1250),
        }
    }

    #[test]
    fn failures_and_skips_come_before_the_table() {
        let tally = Tally {
            passed: 7,
            failed: vec!["it::graph::survives".to_owned()],
            skipped: vec![Entry {
                test: "it::s3::rclone".to_owned(),
                reason: "no network".to_owned(),
            }],
        };
        let summary = Summary {
            rows: vec![
                row("format", Done::Failed),
                row(
                    "deny",
                    Done::Skipped {
                        reason: "no cargo-deny".to_owned(),
                    },
                ),
                row("tests", Done::Tests(tally)),
            ],
        };
        insta::assert_snapshot!(format!("{summary}{}", summary.counts()), @"

        failed: format
        failed: it::graph::survives
        skipped: deny: no cargo-deny
        skipped: it::s3::rclone: no network

        step    result   passed  failed  skipped  seconds
        format  failed        0       1        0      1.2
        deny    skipped       0       0        1      1.2
        tests   failed        7       1        1      1.2
        7 passed, 2 failed, 2 skipped
        ");
    }
}
