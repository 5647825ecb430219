//! Temporary folders on a real disk.
//!
//! `/tmp` may be a memory file system without extended attributes or room for a store; the build folder is
//! on disk, ignored by git, and has room.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Makes a folder below `parent` that is removed with the returned value.
pub fn folder(parent: &Path, name: &str) -> Result<TempDir> {
    fs::create_dir_all(parent).with_context(|| format!("cannot create `{}`", parent.display()))?;
    tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(parent)
        .with_context(|| format!("cannot make a temporary folder in `{}`", parent.display()))
}

/// Returns the size of all files below `folder` in bytes; what vanishes meanwhile is not counted.
pub fn size(folder: &Path) -> u64 {
    let mut total = 0;
    let mut pending: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                Ok(metadata) => total += metadata.len(),
                Err(_) => {}
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_with_the_value() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = folder(&parent.path().join("deep"), "demo").unwrap();
        fs::create_dir(scratch.path().join("inner")).unwrap();
        fs::write(scratch.path().join("inner/file"), b"12345").unwrap();
        assert_eq!(size(scratch.path()), 5);
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }
}
