//! How much room data takes, and how much its removal would give back.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{DISCARDED, ENTRIES, GONE, PASSING, State, WORK, journal_beside};
use crate::error::Error;

/// What data takes on its volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes of its files, each counted once, by however many names: snapshots are second names.
    pub bytes: u64,
    /// Bytes on the disk that come free if all of it is removed: without files that have a name elsewhere as well.
    pub freed: u64,
}

/// Looks at the data that a restore would replace. What cannot be read counts for nothing.
pub fn extent_of_data(root: &Path) -> Extent {
    let data = ENTRIES.iter().filter(|name| !PASSING.contains(name));
    extent(data.map(|name| root.join(name)))
}

/// Bytes on the disk of what restores left that counts for nothing, and that the next one removes first.
pub fn taken_by_rubbish(root: &Path) -> Result<u64, Error> {
    let mut rubbish = vec![root.join(GONE)];
    if journal_beside(root)?.is_none_or(|journal| journal.state == State::Switched) {
        rubbish.push(root.join(WORK).join(DISCARDED));
    }
    Ok(extent(rubbish).freed)
}

/// Bytes that the files below a folder take on the disk.
pub fn taken_by(folder: PathBuf) -> u64 {
    let mut taken = 0;
    walk([folder], |found| taken += found.blocks() * 512);
    taken
}

fn extent(folders: impl IntoIterator<Item = PathBuf>) -> Extent {
    let mut extent = Extent::default();
    // How many names of a file with several of them have been met.
    let mut names: HashMap<(u64, u64), u64> = HashMap::new();
    walk(folders, |found| {
        let mut seen = 1;
        if found.nlink() > 1 {
            let met = names.entry((found.dev(), found.ino())).or_default();
            *met += 1;
            seen = *met;
        }
        if seen == 1 {
            extent.bytes += found.len();
        }
        if seen == found.nlink() {
            extent.freed += found.blocks() * 512;
        }
    });
    extent
}

/// Shows every file. Links are not followed.
fn walk(folders: impl IntoIterator<Item = PathBuf>, mut show: impl FnMut(&fs::Metadata)) {
    let mut pending: Vec<PathBuf> = folders.into_iter().collect();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => pending.push(entry.path()),
                Ok(found) => show(&found),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_two_names_counts_once_and_gives_room_only_if_both_go() {
        let root = tempfile::tempdir().unwrap();
        let small = root.path().join("data/small/2023_11/1A");
        let snapshot = root.path().join("data/small/snapshots/s/2023_11/1A");
        for folder in [&small, &snapshot] {
            fs::create_dir_all(folder).unwrap();
        }
        let bytes = vec![7; 100_000];
        fs::write(small.join("values.bin"), &bytes).unwrap();
        fs::hard_link(small.join("values.bin"), snapshot.join("values.bin")).unwrap();
        let both = extent_of_data(root.path());
        assert_eq!(both.bytes, 100_000);
        assert!((100_000..200_000).contains(&both.freed), "{both:?}");
        fs::hard_link(small.join("values.bin"), root.path().join("elsewhere")).unwrap();
        let shared = extent_of_data(root.path());
        assert_eq!((shared.bytes, shared.freed), (100_000, 0));
    }
}
