//! What is said at the end of a run.

use std::fmt;
use std::time::Duration;

use lifeboat_testkit::skip::Entry;

use super::Done;
use crate::table;

/// One step that was carried out.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) done: Done,
    pub(super) took: Duration,
}

/// All steps, and the tests that skipped themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    pub(super) rows: Vec<Row>,
    pub(super) skips: Vec<Entry>,
}

/// The closing line. A check counts as one; a test that skipped itself is not counted as passed.
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
            Done::Tests(tally) => (tally.passed, tally.failed.len(), tally.ignored.len()),
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
        // The harness took them for passed, unless they failed after all.
        let skips = self
            .skips
            .iter()
            .filter(|skip| !self.has_failed(skip))
            .count();
        sum.passed = sum.passed.saturating_sub(skips);
        sum.skipped += skips;
        sum
    }

    fn has_failed(&self, skip: &Entry) -> bool {
        let path = |name: &str| name.split_once("::").map(|(_, path)| path.to_owned());
        self.failed_tests()
            .any(|failed| path(failed) == path(&skip.test))
    }

    fn failed_tests(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().flat_map(|row| match &row.done {
            Done::Tests(tally) => tally.failed.iter().map(String::as_str).collect(),
            Done::Failed => vec![row.name],
            _ => Vec::new(),
        })
    }

    fn skipped(&self) -> Vec<(&str, &str)> {
        let mut skipped: Vec<(&str, &str)> = Vec::new();
        for row in &self.rows {
            match &row.done {
                Done::Skipped { reason } => skipped.push((row.name, reason)),
                Done::Tests(tally) => {
                    skipped.extend(
                        tally
                            .ignored
                            .iter()
                            .map(|(test, reason)| (&**test, &**reason)),
                    );
                }
                _ => {}
            }
        }
        skipped.extend(self.skips.iter().map(|skip| (&*skip.test, &*skip.reason)));
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
    use super::super::harness::Tally;
    use super::*;

    fn row(name: &'static str, done: Done) -> Row {
        Row {
            name,
            done,
            took: Duration::from_millis(1250),
        }
    }

    fn entry(test: &str) -> Entry {
        Entry {
            test: test.to_owned(),
            reason: "no network".to_owned(),
        }
    }

    #[test]
    fn failures_and_skips_come_before_the_table() {
        let tally = Tally {
            passed: 7,
            failed: vec!["it::graph::survives".to_owned()],
            ignored: vec![("it::golden".to_owned(), "writes the files".to_owned())],
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
            skips: vec![entry("lifeboat-storage::s3::rclone")],
        };
        insta::assert_snapshot!(format!("{summary}{}", summary.counts()), @"

        failed: format
        failed: it::graph::survives
        skipped: deny: no cargo-deny
        skipped: it::golden: writes the files
        skipped: lifeboat-storage::s3::rclone: no network
        step    result   passed  failed  skipped  seconds
        format  failed        0       1        0      1.2
        deny    skipped       0       0        1      1.2
        tests   failed        7       1        1      1.2
        6 passed, 2 failed, 3 skipped
        ");
    }

    #[test]
    fn a_skipped_test_is_not_a_passed_one() {
        let tally = Tally {
            passed: 2,
            failed: vec!["it::skipped_then_failed".to_owned()],
            ignored: Vec::new(),
        };
        let summary = Summary {
            rows: vec![row("tests", Done::Tests(tally))],
            skips: vec![entry("own::skipped"), entry("own::skipped_then_failed")],
        };
        assert_eq!(
            summary.counts().to_string(),
            "1 passed, 1 failed, 1 skipped"
        );
    }
}
