//! Java development kits of this machine: none is fetched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::environment;

/// Returns the home of a kit of this release or a later one: one that the environment names, or one that is installed
/// beside the default.
pub fn home(at_least: u32) -> Result<PathBuf> {
    candidates()
        .into_iter()
        .find(|home| release(home).is_some_and(|release| release >= at_least))
        .with_context(|| format!("no JDK {at_least} or later is here; `JAVA_HOME` may name one"))
}

/// The same, for what refuses kits that are newer than it knows.
pub fn home_between([at_least, at_most]: [u32; 2]) -> Result<PathBuf> {
    candidates()
        .into_iter()
        .find(|home| release(home).is_some_and(|release| (at_least..=at_most).contains(&release)))
        .with_context(|| {
            format!("no JDK {at_least} to {at_most} is here; `JAVA_HOME` may name one")
        })
}

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = environment::path("JAVA_HOME").into_iter().collect();
    let default = environment::variable("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|folder| folder.join("java"))
            .find_map(|program| fs::canonicalize(program).ok())
    });
    // …/jvm/HOME/bin/java
    if let Some(home) = default
        .as_deref()
        .and_then(|program| program.ancestors().nth(2))
    {
        found.push(home.to_owned());
        let beside = home.parent().map(fs::read_dir);
        let mut beside: Vec<PathBuf> = beside
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        beside.sort();
        found.append(&mut beside);
    }
    found
}

fn release(home: &Path) -> Option<u32> {
    if !home.join("bin/java").is_file() {
        return None;
    }
    parse(&fs::read_to_string(home.join("release")).ok()?)
}

/// Reads the first number of `JAVA_VERSION="25.0.3"`.
fn parse(text: &str) -> Option<u32> {
    text.lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION=\""))?
        .split(['.', '"', '+', '-'])
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_says_its_release() {
        assert_eq!(
            parse("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"25.0.3\"\n"),
            Some(25)
        );
        assert_eq!(parse("JAVA_VERSION=\"21\"\n"), Some(21));
        assert_eq!(parse("JAVA_VERSION=\"1.8.0_372\"\n"), Some(1));
        assert_eq!(parse("IMPLEMENTOR=\"x\"\n"), None);
    }

    #[test]
    fn a_release_of_the_far_future_is_not_here() {
        assert_eq!(
            home(999).unwrap_err().to_string(),
            "no JDK 999 or later is here; `JAVA_HOME` may name one"
        );
    }
}
