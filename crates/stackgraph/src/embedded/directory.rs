//! The files of a store: which generation serves, and how another takes its place.
//!
//! ```text
//! CURRENT             gen-000001            the generation that serves; replaced by a rename, never written into
//! gen-000001/         graph.redb
//! LOCK WRITER holders/                      see `claim`
//! ```
//! A generation that `CURRENT` does not name is a leftover of a restore that was cut off. Nobody reads it, and the
//! next restore or writer removes it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::claim::io;
use crate::error::Error;
use crate::value::Malformed;

const CURRENT: &str = "CURRENT";
const ASIDE: &str = "CURRENT.new";
const PREFIX: &str = "gen-";
const GRAPH: &str = "graph.redb";

#[derive(Debug, Clone)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
}

impl Directory {
    /// Returns the number of the generation that serves, none where there is no store yet.
    pub(super) fn current(&self) -> Result<Option<u64>, Error> {
        let path = self.path.join(CURRENT);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(Error::Io {
                    doing: format!("cannot read `{}`", path.display()),
                    source,
                });
            }
        };
        number(text.trim_end()).map(Some).ok_or_else(|| {
            super::tables::damaged(Malformed("the file `CURRENT` names no generation"))
        })
    }

    pub(super) fn graph(&self, generation: u64) -> PathBuf {
        self.path.join(name(generation)).join(GRAPH)
    }

    /// Makes the directory of a new generation, after whichever serves now.
    pub(super) fn draft(&self, current: Option<u64>) -> Result<Draft, Error> {
        let generation = current.unwrap_or(0) + 1;
        let path = self.path.join(name(generation));
        std::fs::create_dir(&path).map_err(io(|| format!("cannot create `{}`", path.display())))?;
        Ok(Draft {
            directory: self.clone(),
            generation,
            path,
            published: false,
        })
    }

    /// Removes every generation but the one that serves. Only for who holds the store so that nobody makes one.
    pub(super) fn remove_leftovers(&self, current: Option<u64>) -> Result<(), Error> {
        let cannot = || format!("cannot remove leftovers in `{}`", self.path.display());
        for entry in std::fs::read_dir(&self.path).map_err(io(cannot))? {
            let entry = entry.map_err(io(cannot))?;
            let generation = entry.file_name().to_str().and_then(number);
            if generation.is_some() && generation != current {
                tracing::info!(path = %entry.path().display(), "removing a generation that does not serve");
                std::fs::remove_dir_all(entry.path()).map_err(io(cannot))?;
            }
        }
        match std::fs::remove_file(self.path.join(ASIDE)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io(cannot)(error)),
            _ => Ok(()),
        }
    }

    /// Returns how many bytes an ordinary user may still write.
    pub(super) fn free_space(&self) -> Result<u64, Error> {
        let space = rustix::fs::statvfs(&self.path)
            .map_err(std::io::Error::from)
            .map_err(io(|| {
                format!("cannot see the free space of `{}`", self.path.display())
            }))?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// A generation in the making. Dropped before it is published, it takes its files with it.
#[derive(Debug)]
pub(super) struct Draft {
    directory: Directory,
    generation: u64,
    pub(super) path: PathBuf,
    published: bool,
}

impl Draft {
    pub(super) fn graph(&self) -> PathBuf {
        self.path.join(GRAPH)
    }

    /// Makes the generation durable and lets it serve in one step. Cut off before the rename, the old one serves;
    /// after it, the new one.
    pub(super) fn publish(mut self) -> Result<(), Error> {
        sync(&self.graph())?;
        sync(&self.path)?;
        sync(&self.directory.path)?;
        let aside = self.directory.path.join(ASIDE);
        let cannot = || format!("cannot write `{}`", aside.display());
        let mut file = File::create(&aside).map_err(io(cannot))?;
        writeln!(file, "{}", name(self.generation)).map_err(io(cannot))?;
        file.sync_all().map_err(io(cannot))?;
        std::fs::rename(&aside, self.directory.path.join(CURRENT)).map_err(io(cannot))?;
        // From here on it may already serve: what fails now must not take its files away.
        self.published = true;
        sync(&self.directory.path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove an unfinished generation");
        }
    }
}

/// Makes a folder and those above it, durably where they are new.
pub(super) fn create(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        create(parent)?;
    }
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(io(|| format!("cannot create `{}`", path.display()))(error));
        }
        _ => {}
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
        _ => sync(Path::new(".")),
    }
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(io(|| format!("cannot make `{}` durable", path.display())))
}

fn name(generation: u64) -> String {
    format!("{PREFIX}{generation:06}")
}

fn number(text: &str) -> Option<u64> {
    let digits = text.strip_prefix(PREFIX)?;
    let plain = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Directory) {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().to_owned();
        (scratch, Directory { path })
    }

    #[test]
    fn a_published_generation_serves_and_a_dropped_one_leaves_nothing() {
        let (_scratch, directory) = scratch();
        assert_eq!(directory.current().unwrap(), None);
        let draft = directory.draft(None).unwrap();
        std::fs::write(draft.graph(), "first").unwrap();
        draft.publish().unwrap();
        assert_eq!(directory.current().unwrap(), Some(1));
        let dropped = directory.draft(Some(1)).unwrap();
        let path = dropped.path.clone();
        drop(dropped);
        assert!(!path.exists());
        assert_eq!(directory.current().unwrap(), Some(1));
    }

    #[test]
    fn only_generations_that_do_not_serve_are_removed() {
        let (scratch, directory) = scratch();
        for folder in ["gen-000001", "gen-000002", "gen-elsewhere", "holders"] {
            std::fs::create_dir(scratch.path().join(folder)).unwrap();
        }
        std::fs::write(scratch.path().join(CURRENT), "gen-000002\n").unwrap();
        directory
            .remove_leftovers(directory.current().unwrap())
            .unwrap();
        let mut left: Vec<_> = std::fs::read_dir(scratch.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [CURRENT, "gen-000002", "gen-elsewhere", "holders"]);
    }

    #[test]
    fn a_current_file_that_names_nothing_is_damage() {
        let (scratch, directory) = scratch();
        std::fs::write(scratch.path().join(CURRENT), "gen-../x\n").unwrap();
        let error = directory.current().unwrap_err();
        assert_eq!(error.kind(), lifeboat_core::error::Kind::Damaged);
    }
}
