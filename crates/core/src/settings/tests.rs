//! Whole values, from text to settings.

mod bad;
mod credentials;
mod generations;
mod helm;
mod properties;
mod show;

use std::collections::BTreeMap;

use super::{Errors, Settings, Source};

/// Settings from one file, without overrides and environment.
fn from(text: &str) -> Settings {
    attempt(text).unwrap()
}

fn attempt(text: &str) -> Result<Settings, Errors> {
    from_all(&[text], &[], &[])
}

/// The errors of one file, as the user sees them.
fn errors(text: &str) -> String {
    attempt(text).unwrap_err().to_string()
}

fn warnings(settings: &Settings) -> String {
    let lines: Vec<_> = settings.warnings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn from_all(
    texts: &[&str],
    overrides: &[&str],
    environment: &[(&str, &str)],
) -> Result<Settings, Errors> {
    let names = ["values.yaml", "more.yaml", "last.yaml"];
    let sources: Vec<_> = names
        .iter()
        .zip(texts)
        .map(|(name, text)| Source {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
    let environment: BTreeMap<_, _> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Settings::from_values(&sources, &overrides, &environment)
}

/// Settings without what is told about them, and without where it was said.
fn plain(settings: &Settings) -> String {
    let mut settings = settings.clone();
    settings.warnings = Vec::new();
    settings.effective = Vec::new();
    format!("{settings:?}")
}
