//! The files of a server's snapshot, as they lie on its volume.
//!
//! A snapshot is a folder of links to folders: without the rest of the data beside it the links lead nowhere. vmbackup passes over such links, and has
//! made backups without a single sample that way; here they are an error.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::error::Error;
use crate::layout;

/// A file that keeps its name when its content changes is held in memory, and never has more bytes than this.
const HELD_AT_MOST: u64 = 64 * 1024 * 1024;
/// Folders in folders; a snapshot has five.
const DEPTH: usize = 16;

/// What a snapshot holds, by path.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub folder: PathBuf,
    /// Bytes of the files that never change.
    pub files: BTreeMap<String, u64>,
    /// Contents of the others.
    pub held: BTreeMap<String, Vec<u8>>,
}

impl Snapshot {
    /// Looks at all files of the snapshot in the data folder of a server. Blocks.
    pub fn read(data: &Path, name: &str) -> Result<Self, Error> {
        let folder = data.join("snapshots").join(name);
        let mut snapshot = Self {
            folder: folder.clone(),
            ..Self::default()
        };
        snapshot.walk(&folder, "", 0)?;
        let has_data =
            |path: &String| path.starts_with("data/small/") || path.starts_with("data/big/");
        if !snapshot
            .files
            .keys()
            .chain(snapshot.held.keys())
            .any(has_data)
        {
            return Err(Error::EmptySnapshot { folder });
        }
        Ok(snapshot)
    }

    fn walk(&mut self, folder: &Path, inside: &str, depth: usize) -> Result<(), Error> {
        let failed = |source| Error::Snapshot {
            path: folder.to_owned(),
            source,
        };
        if depth > DEPTH {
            return Err(failed(io::Error::other("its folders lead into each other")));
        }
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let failed = |source| Error::Snapshot {
                path: path.clone(),
                source,
            };
            let Ok(name) = entry.file_name().into_string() else {
                return Err(failed(io::Error::other("its name is not UTF-8")));
            };
            if is_passed_over(&name) {
                continue;
            }
            let inside = match inside {
                "" => name,
                inside => format!("{inside}/{name}"),
            };
            // Follows links; one that leads nowhere is an error here.
            let metadata = fs::metadata(&path).map_err(failed)?;
            if metadata.is_dir() {
                self.walk(&path, &inside, depth + 1)?;
            } else if layout::is_mutable(&inside) {
                if metadata.len() > HELD_AT_MOST {
                    return Err(failed(io::Error::other(
                        "it is larger than any list of parts",
                    )));
                }
                self.held.insert(inside, fs::read(&path).map_err(failed)?);
            } else {
                self.files.insert(inside, metadata.len());
            }
        }
        Ok(())
    }

    /// Where a file lies.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files
            .keys()
            .chain(self.held.keys())
            .map(String::as_str)
    }

    /// The contents of the lists of parts.
    pub fn lists(&self) -> BTreeMap<String, Vec<u8>> {
        let lists = self.held.iter();
        lists
            .filter(|(path, _)| path.ends_with("/parts.json"))
            .map(|(path, content)| (path.clone(), content.clone()))
            .collect()
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let held: usize = self.held.values().map(Vec::len).sum();
        self.files.values().sum::<u64>() + held as u64
    }
}

/// What vmbackup of any version leaves out as well.
fn is_passed_over(name: &str) -> bool {
    matches!(
        name,
        "flock.lock"
            | "restore-in-progress"
            | "backup_restore.ignore"
            | ".vm_app_running"
            | ".delete-this-dir"
    ) || Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "tmp")
}

/// When a snapshot was begun, by its name and so by the clock of the server.
pub(crate) fn begun(name: &str) -> Option<Timestamp> {
    let (time, _) = name.split_once('-')?;
    let time = DateTime::strptime("%Y%m%d%H%M%S", time).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn data() -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        let root = data.path();
        for folder in [
            "data/small/snapshots/s/2026_11/1A",
            "data/big/snapshots/s/2026_11",
            "snapshots/s/data",
            "snapshots/s/metadata",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(
            root.join("data/small/snapshots/s/2026_11/1A/values.bin"),
            b"12345",
        )
        .unwrap();
        fs::write(
            root.join("data/small/snapshots/s/2026_11/parts.json"),
            b"{}",
        )
        .unwrap();
        fs::write(root.join("snapshots/s/metadata/min"), b"12").unwrap();
        for kind in ["small", "big"] {
            symlink(
                format!("../../../data/{kind}/snapshots/s"),
                root.join("snapshots/s/data").join(kind),
            )
            .unwrap();
        }
        data
    }

    #[test]
    fn links_are_followed_and_lists_are_held() {
        let data = data();
        let snapshot = Snapshot::read(data.path(), "s").unwrap();
        let files: Vec<_> = snapshot.files.iter().collect();
        assert_eq!(
            files,
            [(&"data/small/2026_11/1A/values.bin".to_owned(), &5)]
        );
        let held: Vec<_> = snapshot.held.keys().collect();
        assert_eq!(held, ["data/small/2026_11/parts.json", "metadata/min"]);
        assert_eq!(snapshot.size(), 9);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_an_error_and_so_is_a_snapshot_without_data() {
        let data = data();
        fs::remove_dir_all(data.path().join("data/big")).unwrap();
        assert!(matches!(
            Snapshot::read(data.path(), "s"),
            Err(Error::Snapshot { path, .. }) if path.ends_with("data/big")
        ));
        fs::remove_dir_all(data.path().join("snapshots/s/data")).unwrap();
        assert!(matches!(
            Snapshot::read(data.path(), "s"),
            Err(Error::EmptySnapshot { .. })
        ));
    }
}
