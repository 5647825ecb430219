//! A data folder as tests make it: entries that hold one word each.

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::{ENTRIES, NEW, Preparation, Undone, WORK};
use crate::manifest::{Manifest, Mark};

pub(crate) fn manifest() -> Manifest {
    Manifest {
        format: Manifest::FORMAT,
        program: String::new(),
        instance: "victoria-metrics-0".to_owned(),
        server: None,
        layout: "1.90.0".parse().unwrap(),
        snapshot: None,
        labelled: None,
        taken: Timestamp::UNIX_EPOCH,
        completed: Timestamp::UNIX_EPOCH,
        rows: Some(1),
        range: None,
        mark: Mark {
            size: 0,
            stored: None,
            times: None,
        },
        series: None,
        files: [].into(),
        held: [].into(),
    }
}

pub(crate) fn preparation(version: &str) -> Preparation {
    Preparation {
        version: version.to_owned(),
        completed: Timestamp::UNIX_EPOCH,
        begun: Timestamp::UNIX_EPOCH,
        is_emptied: false,
        was_barred: false,
        final_backup: None,
    }
}

pub(super) fn write(parent: &Path, names: &[&str], text: &str) {
    for name in names {
        fs::create_dir_all(parent.join(name)).unwrap();
        fs::write(parent.join(name).join("text"), text).unwrap();
    }
}

/// A data folder with these entries, each of which holds the text `old`, and prepared ones, which hold `new`.
pub(super) fn folder(old: &[&str], new: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), old, "old");
    write(&root.path().join(WORK).join(NEW), new, "new");
    root
}

pub(super) fn shown(root: &Path) -> Vec<String> {
    let mut shown = Vec::new();
    for name in ENTRIES {
        if let Ok(text) = fs::read_to_string(root.join(name).join("text")) {
            shown.push(format!("{name} {text}"));
        }
    }
    shown
}

pub(super) fn back(version: &str) -> Undone {
    Undone::Back(version.to_owned())
}

pub(super) const OLD: [&str; 4] = ["data", "indexdb", "cache", "snapshots"];
pub(super) const NEW_NAMES: [&str; 2] = ["data", "metadata"];
pub(super) const WAS: [&str; 3] = ["data old", "indexdb old", "snapshots old"];
