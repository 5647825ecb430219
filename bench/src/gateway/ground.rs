//! Where the servers keep their data, and what that makes their acknowledgements worth.
//!
//! Most peers acknowledge what is not on the disk yet. Three grounds make that visible: in memory a sync costs nobody
//! anything; on the disk each does what it does; and in a folder whose every change is synchronous, those that do not
//! sync are made to.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rustix::fs::{IFlags, XattrFlags, fsetxattr, ioctl_getflags, ioctl_setflags, statfs};
use serde::Serialize;
use tempfile::TempDir;

/// A kind of place for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ground {
    /// A file system in memory: nobody's acknowledgement is worth anything, and no sync takes time.
    Memory,
    /// The disk, with each server as it is shipped.
    Disk,
    /// The same disk, in a folder with the attributes `S` and `D` of chattr(1): the kernel makes every write, every new
    /// name and every attribute durable before it returns. For those that do not sync themselves.
    Synchronous,
}

impl Ground {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Disk, Self::Synchronous];
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Synchronous => "synchronous",
        })
    }
}

/// The folders of this run, removed with the value.
#[derive(Debug)]
pub(crate) struct Grounds {
    memory: Option<TempDir>,
    disk: TempDir,
}

impl Grounds {
    /// Returns the grounds, and why some cannot be had.
    pub(crate) fn open(disk: &Path, memory: &Path) -> Result<(Self, Vec<String>)> {
        let disk = scratch(disk)?;
        let mut notes = Vec::new();
        let memory = match usable_memory(memory) {
            Ok(folder) => Some(folder),
            Err(error) => {
                notes.push(format!("skipped: everything in memory: {error:#}"));
                None
            }
        };
        Ok((Self { memory, disk }, notes))
    }

    pub(crate) fn has(&self, ground: Ground) -> bool {
        ground != Ground::Memory || self.memory.is_some()
    }

    /// The folder on the disk.
    pub(crate) fn disk(&self) -> &Path {
        self.disk.path()
    }

    /// A folder for what is prepared and not measured: in memory where that can be had.
    pub(crate) fn aside(&self) -> &Path {
        self.memory.as_ref().unwrap_or(&self.disk).path()
    }

    /// Makes an empty working folder for one server, with the folder `data` in it.
    pub(crate) fn work(&self, ground: Ground) -> Result<TempDir> {
        let parent = match ground {
            Ground::Memory => self.memory.as_ref().context("no memory to work in")?,
            Ground::Disk | Ground::Synchronous => &self.disk,
        };
        let work = scratch(parent.path())?;
        let data = work.path().join("data");
        fs::create_dir(&data)?;
        if ground == Ground::Synchronous {
            make_synchronous(&data)?;
        }
        Ok(work)
    }

    /// The file system below the disk's folder, for the report.
    pub(crate) fn file_system(&self) -> String {
        const KINDS: [(i64, &str); 4] = [
            (0xEF53, "ext4"),
            (0x5846_5342, "XFS"),
            (0x9123_683E, "btrfs"),
            (TMPFS, "tmpfs: not a disk"),
        ];
        let Ok(found) = statfs(self.disk.path()) else {
            return "an unknown file system".to_owned();
        };
        KINDS
            .iter()
            .find(|(magic, _)| *magic == found.f_type)
            .map_or_else(
                || format!("file system {:x}", found.f_type),
                |(_, name)| (*name).to_owned(),
            )
    }
}

const TMPFS: i64 = 0x0102_1994;

fn scratch(parent: &Path) -> Result<TempDir> {
    let parent: PathBuf = fs::canonicalize(parent)
        .with_context(|| format!("no folder `{}` to work in", parent.display()))?;
    Ok(tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(parent)?)
}

/// Some peers keep headers in extended attributes, which memory has had since Linux 6.6.
fn usable_memory(parent: &Path) -> Result<TempDir> {
    let folder = scratch(parent)?;
    if statfs(folder.path())?.f_type != TMPFS {
        bail!("`{}` is not in memory", parent.display());
    }
    let probe = File::create(folder.path().join("probe"))?;
    fsetxattr(&probe, "user.probe", b"1", XattrFlags::empty())
        .context("its files cannot have extended attributes; Linux 6.6 can")?;
    fs::remove_file(folder.path().join("probe"))?;
    Ok(folder)
}

/// Everything that is made in the folder inherits the attributes.
fn make_synchronous(folder: &Path) -> Result<()> {
    let file = File::open(folder)?;
    let flags = ioctl_getflags(&file)?;
    ioctl_setflags(&file, flags | IFlags::SYNC | IFlags::DIRSYNC)
        .context("this file system cannot make a folder synchronous; ext4 can")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_in_a_synchronous_folder_is_synchronous() {
        let parent = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        if make_synchronous(parent.path()).is_err() {
            return lifeboat_testkit::skip!("this file system has no synchronous folders");
        }
        let inner = parent.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let file = File::create(inner.join("file")).unwrap();
        assert!(ioctl_getflags(&file).unwrap().contains(IFlags::SYNC));
    }
}
