//! The settings reference, generated from the table of keys.

use std::fmt::Write as _;

use super::keys::{self, Era, Key, Kind, Relation, SECTIONS};
use super::value;

const INTRODUCTION: &str = "\
# Settings

<!-- Generated from the table of keys in crates/core/src/settings/keys/table.rs: change it there. -->

Lifeboat reads the Helm values of the platform. `-f` may be repeated, later files win key by key; `--set` wins over
files; `null` takes away what was said before. Unknown keys in the sections below are refused; everything else in a
values file belongs to others and is ignored.

Generation: *seed* is the chart with MinIO, *current* the chart with S3Proxy. The defaults are the seed's until
`global.backup.enabled` is true. Where a key has a newer name, the older one counts while the newer has its default; if
both are given and differ, a warning says which one counts.

| environment | stands for |
|---|---|
| `LIFEBOAT_ACCESS_KEY`, `LIFEBOAT_SECRET_KEY` | the keys of the gateway, before all values |
| `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` | as a pair, for the commands that talk to the gateway, when neither those nor the values give keys; for the gateway in front of S3, its keys of S3 when the values give none |
| `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_CONTAINER_CREDENTIALS_FULL_URI` and others that the cluster sets | the identity of the gateway's pod in front of S3, when nothing else gives keys of S3 |
| `AZURE_STORAGE_ACCOUNT`; `AZURE_STORAGE_KEY` or `AZURE_STORAGE_SAS_TOKEN` | the storage account and what proves the gateway there, where the values say nothing |
| `AZURE_CLIENT_ID`, `AZURE_TENANT_ID`, `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_AUTHORITY_HOST` | the workload identity, as Azure's webhook sets it; without it that of the machine |
";

/// Returns the whole reference as Markdown.
pub fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    for section in SECTIONS {
        let keys: Vec<_> = keys::all()
            .filter(|key| key.path.starts_with(&format!("{section}.")))
            .collect();
        write_section(&mut out, section, &keys).expect("a text takes everything");
    }
    out
}

fn write_section(out: &mut String, section: &str, keys: &[&Key]) -> std::fmt::Result {
    writeln!(out, "\n## `{section}`\n")?;
    writeln!(out, "| key | value | default | generation | meaning |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for key in keys.iter().filter(|key| key.is_read()) {
        let path = key.path;
        let kind = cell(&kind(key));
        let default = default(key);
        let era = era(key.era);
        writeln!(
            out,
            "| `{path}` | {kind} | {default} | {era} | {}{} |",
            cell(key.doc),
            relation(key)
        )?;
    }
    let opaque: Vec<_> = keys.iter().filter(|key| !key.is_read()).collect();
    if opaque.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nAccepted with all below them, not read:\n")?;
    for key in opaque {
        writeln!(out, "- `{}`: {}", key.path, key.doc)?;
    }
    Ok(())
}

fn kind(key: &Key) -> String {
    match key.kind {
        Kind::Secret => "a text, never shown".to_owned(),
        Kind::OptionalSchedule(_) | Kind::OptionalAge | Kind::OptionalUrl => {
            format!("{}, or empty", value::expected(key.kind))
        }
        kind => value::expected(kind),
    }
}

fn default(key: &Key) -> String {
    let shown = |text: &str| match text {
        "" => "empty".to_owned(),
        text => format!("`{}`", cell(text)),
    };
    if key.seed == key.current {
        return shown(key.seed);
    }
    format!("{}; current: {}", shown(key.seed), shown(key.current))
}

fn era(era: Era) -> &'static str {
    match era {
        Era::Seed => "seed",
        Era::Current => "current",
        Era::Both => "both",
        Era::Lifeboat => "Lifeboat",
    }
}

fn relation(key: &Key) -> String {
    match key.relation {
        Relation::None => String::new(),
        Relation::ReplacedBy(path) | Relation::Overrides(path) => {
            format!(" Newer name: `{path}`.")
        }
    }
}

/// A `|` would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
