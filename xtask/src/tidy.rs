//! `cargo xtask tidy`: what the compiler and clippy do not look at.

mod generated;
mod sources;

use std::fmt;

use anyhow::Result;
use lifeboat_testkit::workspace;

pub(crate) use self::generated::Fix;
use crate::{Outcome, Verdict};

/// Check headers, forgotten files, file lengths and generated pages
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write the generated pages that are stale
    #[arg(long)]
    fix: bool,
}

/// One thing to put right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// From the root of the workspace.
    path: String,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// What was found, and what could not be looked at.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
    /// Reasons.
    pub(crate) skipped: Vec<String>,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    pub(crate) fn print(&self) {
        for finding in &self.findings {
            eprintln!("{finding}");
        }
        for reason in &self.skipped {
            eprintln!("skipped: {reason}");
        }
    }
}

pub(crate) fn check(fix: Fix) -> Result<Report> {
    let mut report = Report::default();
    let files = sources::read(&workspace::root())?;
    report.findings.extend(sources::check(&files));
    generated::check(&workspace::root(), fix, &mut report)?;
    report.findings.sort();
    Ok(report)
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let fix = if arguments.fix {
        Fix::Write
    } else {
        Fix::Leave
    };
    let report = check(fix)?;
    report.print();
    Ok(Verdict::of(report.is_clean()))
}
