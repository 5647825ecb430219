//! The machine's own Debian archive, asked for another suite: the mirror and the keys stay those that somebody set up.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where the archive is described, one file for apt's older form and any number for the newer.
const FOLDER: &str = "/etc/apt/sources.list.d";
const FILE: &str = "/etc/apt/sources.list";

/// Leaves a description of the archive with `suite` alone in `folder`.
pub(super) fn describe(suite: &str, folder: &Path) -> Result<()> {
    let own = codename(&fs::read_to_string("/etc/os-release")?)
        .context("`/etc/os-release` has no `VERSION_CODENAME`")?;
    let (file, text) = candidates()
        .iter()
        .find_map(|path| rewritten(path, &own, suite))
        .with_context(|| format!("no archive of `{own}` is in `{FOLDER}` or `{FILE}`"))?;
    fs::write(folder.join(file), text)?;
    Ok(())
}

fn candidates() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(FOLDER)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    files.push(FILE.into());
    files
}

fn rewritten(path: &Path, own: &str, suite: &str) -> Option<(&'static str, String)> {
    let text = fs::read_to_string(path).ok()?;
    match path.extension()?.to_str()? {
        "sources" => Some(("archive.sources", stanza(&text, own, suite)?)),
        "list" => Some(("archive.list", line(&text, own, suite)?)),
        _ => None,
    }
}

fn codename(os_release: &str) -> Option<String> {
    let value = os_release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(value.trim_matches('"').to_owned())
}

/// Returns the first stanza that has the machine's own suite, with the wanted one instead of all it has.
fn stanza(text: &str, own: &str, suite: &str) -> Option<String> {
    let suites = |stanza: &&str| {
        stanza
            .lines()
            .filter_map(|line| line.strip_prefix("Suites:"))
            .flat_map(str::split_whitespace)
            .any(|suite| suite == own)
    };
    let stanza = text.split("\n\n").find(suites)?;
    Some(
        stanza
            .lines()
            .flat_map(|line| match line.strip_prefix("Suites:") {
                Some(_) => ["Suites: ", suite, "\n"],
                None => [line, "\n", ""],
            })
            .collect(),
    )
}

/// Returns the first line for the machine's own suite, with the wanted one instead.
fn line(text: &str, own: &str, suite: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|line| line.starts_with("deb ") && line.split_whitespace().any(|word| word == own))?;
    let words: Vec<&str> = line
        .split_whitespace()
        .map(|word| if word == own { suite } else { word })
        .collect();
    Some(words.join(" ") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stanza_of_the_own_suite_is_asked_for_another() {
        let text = "Types: deb\nURIs: https://example.org/tools\nSuites: stable\n\n\
                    Types: deb\n# The mirror.\nURIs: https://example.org/debian\n\
                    Suites: bookworm bookworm-updates\nComponents: main\n\n\
                    Types: deb\nURIs: https://example.org/security\nSuites: bookworm-security\n";
        insta::assert_snapshot!(stanza(text, "bookworm", "trixie").unwrap(), @"
        Types: deb
        # The mirror.
        URIs: https://example.org/debian
        Suites: trixie
        Components: main
        ");
        assert_eq!(stanza(text, "forky", "trixie"), None);
    }

    #[test]
    fn the_line_of_the_own_suite_is_asked_for_another() {
        let text = "# deb https://example.org/debian bookworm main\n\
                    deb https://example.org/security bookworm-security main\n\
                    deb [signed-by=/key.gpg] https://example.org/debian bookworm main contrib\n";
        assert_eq!(
            line(text, "bookworm", "sid").unwrap(),
            "deb [signed-by=/key.gpg] https://example.org/debian sid main contrib\n"
        );
        assert_eq!(line(text, "forky", "sid"), None);
    }

    #[test]
    fn a_machine_says_its_codename() {
        let text = "NAME=\"Debian\"\nVERSION_CODENAME=bookworm\n";
        assert_eq!(codename(text).as_deref(), Some("bookworm"));
    }
}
