//! Skipping a test in the open.
//!
//! Rust's harness counts a test that returns early as passed. [`skip!`](crate::skip!) therefore also writes the
//! reason to a log, from which the test command counts and prints every skip.

use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::environment;

/// Says why the running test cannot run here, and records it: `return skip!("no `rclone`: {error:#}");`.
///
/// The arguments are those of [`format!`]. It does not leave the test: return afterwards.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {
        $crate::skip::record(::core::env!("CARGO_PKG_NAME"), ::core::format_args!($($reason)+))
    };
}

/// Prints the skip, and appends it to the log that the environment names. Called by [`skip!`](crate::skip!).
#[expect(clippy::print_stderr, reason = "a skip is said aloud")]
pub fn record(package: &str, reason: fmt::Arguments<'_>) {
    let thread = std::thread::current();
    let entry = Entry {
        test: format!("{package}::{}", thread.name().unwrap_or("?")),
        reason: reason.to_string(),
    };
    eprintln!("skipped: {}: {}", entry.test, entry.reason);
    if let Some(log) = environment::path(environment::SKIP_LOG) {
        entry
            .append_to(&log)
            .expect("the skip log can be written, or the skip would be counted as a pass");
    }
}

/// One skipped test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Package and test: `lifeboat-storage::s3::survives_a_cut`.
    pub test: String,
    pub reason: String,
}

impl Entry {
    /// Adds a line with one write, so that tests running at once do not mix theirs.
    pub fn append_to(&self, log: &Path) -> std::io::Result<()> {
        let line = format!("{}\t{}\n", one_line(&self.test), one_line(&self.reason));
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)?
            .write_all(line.as_bytes())
    }

    /// Reads a log, with each test once: a test that skips in a loop is one skipped test. A log that is not there
    /// means that nothing was skipped.
    pub fn read_all(log: &Path) -> std::io::Result<Vec<Self>> {
        let text = match std::fs::read_to_string(log) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let mut entries: Vec<Self> = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(test, reason)| Self {
                test: test.to_owned(),
                reason: reason.to_owned(),
            })
            .collect();
        entries.sort();
        entries.dedup_by(|later, first| later.test == first.test);
        Ok(entries)
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(test: &str, reason: &str) -> Entry {
        Entry {
            test: test.to_owned(),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn each_test_counts_once_whatever_its_reason_looks_like() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("skips");
        for skipped in [
            entry("b::second", "no\n network\there"),
            entry("a::first", "no python"),
            entry("a::first", "no python"),
        ] {
            skipped.append_to(&log).unwrap();
        }
        assert_eq!(
            Entry::read_all(&log).unwrap(),
            [
                entry("a::first", "no python"),
                entry("b::second", "no network here")
            ]
        );
    }

    #[test]
    fn without_a_log_nothing_was_skipped() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Entry::read_all(&folder.path().join("none")).unwrap(), []);
    }
}
