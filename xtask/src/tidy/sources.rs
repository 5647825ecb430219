//! The rules for Rust files: a header, a sensible length, and a place in the tree of modules.
//!
//! The rules are functions of the files' names and texts; only [`read`] looks at the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Finding;

/// Path from the root of the workspace, and text.
pub(super) type Files = BTreeMap<PathBuf, String>;

const LONGEST: usize = 500;

/// Files that may be longer, because they are one flat table.
const TABLES: [&str; 0] = [];

pub(super) fn read(root: &Path) -> Result<Files> {
    let mut files = Files::new();
    let mut pending: Vec<PathBuf> = ["bench", "crates", "fuzz", "xtask"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    while let Some(folder) = pending.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("cannot read the folder `{}`", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read `{}`", path.display()))?;
                let name = path
                    .strip_prefix(root)
                    .expect("it was found below the root");
                files.insert(name.to_owned(), text);
            }
        }
    }
    Ok(files)
}

pub(super) fn check(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |path: &Path, message: String| {
        let path = path.display().to_string();
        findings.push(Finding { path, message });
    };
    let reached = reached(files);
    for (path, text) in files {
        let first = text.lines().next().unwrap_or_default();
        if first
            .strip_prefix("//!")
            .unwrap_or_default()
            .trim()
            .is_empty()
        {
            find(
                path,
                "does not start with a `//!` header that says what it is".to_owned(),
            );
        }
        let lines = text.lines().count();
        if lines > LONGEST && !TABLES.iter().any(|table| path == Path::new(table)) {
            find(
                path,
                format!("has {lines} lines: look for the second noun at {LONGEST}"),
            );
        }
        if is_stray_test(path) {
            find(
                path,
                "is a test binary of its own: a crate has one, `tests/it/main.rs`".to_owned(),
            );
        } else if !reached.contains(path) {
            find(
                path,
                "is named by no `mod` line: it is never compiled".to_owned(),
            );
        }
    }
    findings
}

/// `tests/x.rs`, or `tests/x/main.rs` with another name than `it`.
fn is_stray_test(path: &Path) -> bool {
    let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
    let after_tests = parts
        .iter()
        .position(|part| *part == "tests")
        .filter(|at| !parts[..*at].contains(&"src"))
        .map(|at| &parts[at + 1..]);
    match after_tests {
        Some([_file]) => true,
        Some([folder, "main.rs"]) => *folder != "it",
        _ => false,
    }
}

/// The files that cargo compiles: those it looks for, and what they name with `mod`.
fn reached(files: &Files) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    let mut pending: Vec<&Path> = files
        .keys()
        .map(PathBuf::as_path)
        .filter(|path| is_root(path))
        .collect();
    while let Some(path) = pending.pop() {
        let Some((path, text)) = files.get_key_value(path) else {
            continue;
        };
        if !reached.insert(path.clone()) {
            continue;
        }
        let folder = submodules(path);
        for name in modules(text) {
            let file = folder.join(name).with_extension("rs");
            if let Some((file, _)) = files.get_key_value(&file) {
                pending.push(file);
            }
        }
    }
    reached
}

fn is_root(path: &Path) -> bool {
    let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
    matches!(
        parts.as_slice(),
        [.., "src", "main.rs" | "lib.rs"]
            | [.., "src", "bin", _]
            | [.., "tests", "it", "main.rs"]
            | [.., "examples" | "benches" | "fuzz_targets", _]
            | [.., "build.rs"]
    )
}

/// The folder in which a file's modules lie: its own for a root, one of its name for any other.
fn submodules(path: &Path) -> PathBuf {
    if is_root(path) {
        path.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        path.with_extension("")
    }
}

/// The names in lines like `pub(crate) mod name;`.
fn modules(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let code = line.split("//").next()?;
        let (before, name) = code.trim().strip_suffix(';')?.rsplit_once(' ')?;
        let (visibility, keyword) = before.rsplit_once(' ').unwrap_or(("", before));
        (keyword == "mod" && (visibility.is_empty() || visibility.starts_with("pub")))
            .then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(files: &[(&str, &str)]) -> String {
        let files = files
            .iter()
            .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
            .collect();
        let lines: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn a_tidy_crate_has_no_findings() {
        let found = findings(&[
            ("crates/a/src/lib.rs", "//! A.\nmod outer;\npub mod other;"),
            ("crates/a/src/outer.rs", "//! B.\n    pub(crate) mod inner;"),
            ("crates/a/src/outer/inner.rs", "//! C."),
            ("crates/a/src/other.rs", "//! D.\nmod tests;"),
            ("crates/a/src/other/tests.rs", "//! T.\nmod bad;"),
            ("crates/a/src/other/tests/bad.rs", "//! B."),
            ("crates/a/tests/it/main.rs", "//! E.\nmod faults;"),
            ("crates/a/tests/it/faults.rs", "//! F."),
        ]);
        assert_eq!(found, "");
    }

    #[test]
    fn says_what_is_forgotten() {
        let long = format!("//! Long.\n{}", "\n".repeat(500));
        let found = findings(&[
            ("crates/a/src/lib.rs", "//!\nmod long; // mod gone;"),
            ("crates/a/src/long.rs", &long),
            ("crates/a/tests/it/main.rs", "//! A.\n// mod faults;"),
            ("crates/a/tests/it/faults.rs", "use std::fs;"),
            ("crates/a/tests/more.rs", "//! B."),
            ("crates/a/tests/other/main.rs", "//! C."),
        ]);
        insta::assert_snapshot!(found, @"
        crates/a/src/lib.rs: does not start with a `//!` header that says what it is
        crates/a/src/long.rs: has 501 lines: look for the second noun at 500
        crates/a/tests/it/faults.rs: does not start with a `//!` header that says what it is
        crates/a/tests/it/faults.rs: is named by no `mod` line: it is never compiled
        crates/a/tests/more.rs: is a test binary of its own: a crate has one, `tests/it/main.rs`
        crates/a/tests/other/main.rs: is a test binary of its own: a crate has one, `tests/it/main.rs`
        ");
    }
}
