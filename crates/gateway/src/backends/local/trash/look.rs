//! Reading the trash, also from outside while a gateway works on it. Everything here blocks and changes nothing.

use std::collections::BTreeMap;
use std::io;

use super::entry::{Entry, Part};
use super::{PENDING, hours, is_in_place, read_entry};
use crate::backends::local::tree::{Directory, present};

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub bucket: Option<String>,
    /// What their keys begin with.
    pub prefix: String,
}

impl Filter {
    fn admits(&self, entry: &Entry) -> bool {
        let bucket = self.bucket.as_deref();
        bucket.is_none_or(|bucket| bucket == entry.bucket) && entry.key.starts_with(&self.prefix)
    }
}

/// Returns the entries by bucket and key, those of one key from the first removed to the last. `root` is that of the
/// volume, `home` the trash.
pub(in crate::backends::local) fn entries(
    root: &Directory,
    home: &Directory,
    filter: &Filter,
) -> io::Result<Vec<Entry>> {
    let mut found = BTreeMap::new();
    // What is on its way first: it moves to its hour, never back but to be restored.
    if let Some(pending) = present(home.open(PENDING))? {
        for entry in wanted(&pending, filter)? {
            if !is_in_place(root, &pending, &entry)? {
                found.insert(entry.id.clone(), entry);
            }
        }
    }
    for hour in hours(home)? {
        if let Some(directory) = present(home.open(&hour.to_string()))? {
            let entries = wanted(&directory, filter)?;
            found.extend(entries.into_iter().map(|entry| (entry.id.clone(), entry)));
        }
    }
    let mut entries: Vec<Entry> = found.into_values().collect();
    entries.sort_by(|one, other| {
        let order = |entry: &Entry| (entry.bucket.clone(), entry.key.clone(), entry.removed);
        order(one).cmp(&order(other))
    });
    Ok(entries)
}

/// Returns the entries in one directory that are wanted.
fn wanted(directory: &Directory, filter: &Filter) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for name in directory.names()? {
        let Some(id) = Part::Entry.id(&name.text) else {
            continue;
        };
        let entry = read_entry(directory, &name.text)?;
        entries.extend(entry.filter(|entry| entry.id == id && filter.admits(entry)));
    }
    Ok(entries)
}
