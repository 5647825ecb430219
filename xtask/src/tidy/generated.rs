//! The pages of docs/reference that are made from the code: they are as the code would make them now.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lifeboat_testkit::scratch;

use super::{Finding, Report};
use crate::cargo::{self, Profile};

const PAGES: &str = "docs/reference";

/// What to do with a page that is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fix {
    Leave,
    Write,
}

/// Lets the program write its pages into a folder aside and compares them with those that are kept.
pub(super) fn check(root: &Path, fix: Fix, report: &mut Report) -> Result<()> {
    let aside = scratch::folder(&cargo::target()?.join("xtask"), "docs")?;
    let program = cargo::build("lifeboat", Profile::Dev)?;
    let output = cargo::command(program)
        .args(["docs", "--out"])
        .arg(aside.path())
        .output()
        .context("cannot run lifeboat")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && !complaint.contains("unrecognized subcommand") {
        bail!("`lifeboat docs` failed: {}", complaint.trim());
    }
    if pages(aside.path())?.is_empty() {
        let reason = "lifeboat has no command that writes its reference pages yet";
        report.skipped.push(reason.to_owned());
        return Ok(());
    }
    let stale = compare(aside.path(), &root.join(PAGES), fix)?;
    report.findings.extend(stale);
    Ok(())
}

/// Returns the pages in `kept` that are not those in `made`, unless they are put right. Pages that only
/// `kept` has are written by hand.
fn compare(made: &Path, kept: &Path, fix: Fix) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for page in pages(made)? {
        let fresh = fs::read(made.join(&page))?;
        let kept = kept.join(&page);
        if fs::read(&kept).is_ok_and(|kept| kept == fresh) {
            continue;
        }
        match fix {
            Fix::Write => {
                fs::create_dir_all(kept.parent().expect("a page lies in a folder"))?;
                fs::write(&kept, fresh)
                    .with_context(|| format!("cannot write `{}`", kept.display()))?;
            }
            Fix::Leave => findings.push(Finding {
                path: cargo::shown(&kept),
                message: "is not what the code says now: run `cargo xtask tidy --fix`".to_owned(),
            }),
        }
    }
    Ok(findings)
}

/// All files below `folder`, as paths from there.
fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(inner) = pending.pop() {
        for entry in fs::read_dir(&inner)? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else {
                pages.push(path.strip_prefix(folder)?.to_owned());
            }
        }
    }
    pages.sort();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_and_missing_pages_are_found_and_put_right() {
        let made = tempfile::tempdir().unwrap();
        let kept = tempfile::tempdir().unwrap();
        fs::create_dir(made.path().join("errors")).unwrap();
        for page in ["settings.md", "commands.md", "errors/codes.md"] {
            fs::write(made.path().join(page), "new").unwrap();
        }
        fs::write(kept.path().join("settings.md"), "old").unwrap();
        fs::write(kept.path().join("commands.md"), "new").unwrap();
        fs::write(kept.path().join("by-hand.md"), "kept").unwrap();

        let found = compare(made.path(), kept.path(), Fix::Leave).unwrap();
        let names: Vec<&str> = found
            .iter()
            .filter_map(|finding| Path::new(&finding.path).file_name()?.to_str())
            .collect();
        assert_eq!(names, ["codes.md", "settings.md"]);

        assert_eq!(compare(made.path(), kept.path(), Fix::Write).unwrap(), []);
        assert_eq!(compare(made.path(), kept.path(), Fix::Leave).unwrap(), []);
        assert_eq!(fs::read(kept.path().join("by-hand.md")).unwrap(), b"kept");
    }
}
