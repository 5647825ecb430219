//! The table of the S3 reference that says which clients were seen to use what: it claims nothing that was not run.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lifeboat_testkit::sightings::{self, Sighting};
use lifeboat_testkit::workspace;

use super::{Done, Session};
use crate::{Outcome, Verdict, cargo};

const PAGE: &str = "docs/reference/s3.md";
const BEGIN: &str = "<!-- seen in the tests: written by `cargo xtask conformance` -->\n";
const END: &str = "<!-- end -->\n";

/// Where the last run of the tests noted what it saw.
pub(super) fn log() -> Result<PathBuf> {
    Ok(cargo::target()?.join("xtask").join("sightings.log"))
}

/// Compares the table with what this run saw. A cell may be empty-handed only where a test was skipped.
pub(super) fn check(session: &mut Session) -> Result<Done> {
    if session.skips.is_none() {
        let reason = "no tests have run that could have seen anything".to_owned();
        return Ok(Done::Skipped { reason });
    }
    let page = workspace::root().join(PAGE);
    let text = fs::read_to_string(&page)?;
    let claimed = sightings::of_table(&text[place(&text)?]);
    let seen = sightings::read(&log()?)?;
    for new in seen.difference(&claimed) {
        eprintln!("seen, and not in {PAGE}: {}", told(new));
    }
    let missing: Vec<_> = claimed.difference(&seen).collect();
    for missed in &missing {
        eprintln!("in {PAGE}, and not seen: {}", told(missed));
    }
    if missing.is_empty() {
        return Ok(Done::Passed);
    }
    if session.skips.is_some_and(|skips| skips > 0) {
        let reason = format!(
            "{} cells of {PAGE} were not seen, with tests skipped",
            missing.len()
        );
        return Ok(Done::Skipped { reason });
    }
    Ok(Done::Failed)
}

fn told(one: &Sighting) -> String {
    format!("{} by {} on {}", one.operation, one.client, one.storage)
}

/// Write what the last `cargo xtask test` saw into the table of docs/reference/s3.md
pub(crate) fn write() -> Outcome {
    let seen = sightings::read(&log()?)?;
    let page = workspace::root().join(PAGE);
    write_table(&page, &seen)?;
    println!("{} cells written", seen.len());
    Ok(Verdict::of(!seen.is_empty()))
}

fn write_table(page: &Path, seen: &BTreeSet<Sighting>) -> Result<()> {
    let text = fs::read_to_string(page)?;
    let Range { start, end } = place(&text)?;
    let table = sightings::table(seen);
    let text = format!("{}{table}{}", &text[..start], &text[end..]);
    fs::write(page, text).with_context(|| format!("cannot write `{PAGE}`"))
}

/// Where the table stands in the page.
fn place(text: &str) -> Result<Range<usize>> {
    let start = text.find(BEGIN).map(|begin| begin + BEGIN.len());
    let end = start.and_then(|start| Some(start + text[start..].find(END)?));
    start
        .zip(end)
        .map(|(start, end)| start..end)
        .with_context(|| format!("`{PAGE}` has no marks for the table"))
}
