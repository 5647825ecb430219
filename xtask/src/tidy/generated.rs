//! The pages of docs/reference that are made from the code: they are as the code would make them now.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lifeboat_testkit::scratch;

use super::{Finding, Report};
use crate::cargo;

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
    let output = cargo::cargo(&["run", "--locked", "--quiet", "--package", "lifeboat", "--"])
        .args(["docs", "--out"])
        .arg(aside.path())
        .output()
        .context("cannot run cargo")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && !complaint.contains("unrecognized subcommand") {
        bail!("`lifeboat docs` failed: {}", complaint.trim());
    }
    let made = pages(aside.path())?;
    if made.is_empty() {
        let reason = "lifeboat has no command that writes its reference pages yet";
        report.skipped.push(reason.to_owned());
        return Ok(());
    }
    for page in made {
        let kept = root.join(PAGES).join(&page);
        let fresh = fs::read(aside.path().join(&page))?;
        if fs::read(&kept).is_ok_and(|kept| kept == fresh) {
            continue;
        }
        if fix == Fix::Write {
            fs::create_dir_all(kept.parent().expect("a page lies in a folder"))?;
            fs::write(&kept, fresh)
                .with_context(|| format!("cannot write `{}`", kept.display()))?;
            continue;
        }
        report.findings.push(Finding {
            path: cargo::shown(&kept),
            message: "is not what the code says now: run `cargo xtask tidy --fix`".to_owned(),
        });
    }
    Ok(())
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
