//! The folder of fetched things, shared by all checkouts of one user.
//!
//! A thing is there as a whole or not at all: it is made under another name, with a lock held, and then
//! renamed. Two runs that start at once make it once; what a killed run left is removed by the next one.
//!
//! The test command gets everything before the tests run and then allows no more of it: a test neither builds for
//! minutes nor asks a network in vain, it takes what is there or skips with the reason that the set-up met.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};
use rustix::fs::{FlockOperation, flock};

use crate::environment;

/// A folder with one sub-folder `NAME-VERSION` for each thing.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
    missing: Missing,
}

/// What happens to a thing that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Make,
    /// It is an error, with the reason why it could not be made when it was last tried.
    Refuse,
}

impl Cache {
    /// The user's cache folder: `lifeboat` in `$XDG_CACHE_HOME` or `~/.cache`. What is missing is made, unless the
    /// environment forbids it.
    pub fn of_user() -> Result<Self> {
        let home = environment::cache_home()
            .context("neither `XDG_CACHE_HOME` nor `HOME` says where the cache folder is")?;
        let missing = match environment::variable(environment::FETCH) {
            Some(value) if value == environment::NEVER => Missing::Refuse,
            _ => Missing::Make,
        };
        Ok(Self::at(home.join("lifeboat"), missing))
    }

    pub fn at(root: impl Into<PathBuf>, missing: Missing) -> Self {
        let root = root.into();
        Self { root, missing }
    }

    /// Returns the folder of a thing, after `make` has filled it if it was not there.
    ///
    /// `make` gets an empty folder that is renamed afterwards, so nothing in it may refer to its own path.
    /// When `make` fails, nothing stays but its reason. Waits while another process makes the same thing.
    pub fn install(
        &self,
        name: &str,
        version: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let folder_name = folder_name(name, version);
        let finished = self.root.join(&folder_name);
        if finished.is_dir() {
            return Ok(finished);
        }
        let aside = self.root.join(".partial").join(&folder_name);
        let reason = aside.with_added_extension("reason");
        if self.missing == Missing::Refuse {
            return Err(refusal(&reason).context(format!("cannot get {name} {version}")));
        }
        fs::create_dir_all(self.root.join(".partial"))
            .with_context(|| format!("cannot create the cache folder `{}`", self.root.display()))?;
        let lock = lock(&aside.with_added_extension("lock"))?;
        if finished.is_dir() {
            return Ok(finished);
        }
        remove(&aside)?;
        fs::create_dir(&aside).with_context(|| format!("cannot create `{}`", aside.display()))?;
        if let Err(error) = make(&aside) {
            remove(&aside)?;
            fs::write(&reason, format!("{error:#}"))?;
            return Err(error.context(format!("cannot get {name} {version}")));
        }
        fs::rename(&aside, &finished)
            .with_context(|| format!("cannot publish `{}`", finished.display()))?;
        drop(lock);
        Ok(finished)
    }
}

fn refusal(reason: &Path) -> Error {
    let reason = fs::read_to_string(reason)
        .unwrap_or_else(|_| "it is not in the cache, and nobody tried".to_owned());
    anyhow!(reason).context("nothing is fetched while tests run; before that")
}

/// Only what every file system takes: Debian versions have `:` and `~`.
fn folder_name(name: &str, version: &str) -> String {
    format!("{name}-{version}")
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '+' => c,
            _ => '_',
        })
        .collect()
}

/// Waits for the lock, which goes with the returned file or with the process. The file itself stays: removing
/// it would let two holders in.
fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot create `{}`", path.display()))?;
    flock(&file, FlockOperation::LockExclusive)
        .with_context(|| format!("cannot lock `{}`", path.display()))?;
    Ok(file)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anyhow::bail;

    use super::*;

    #[test]
    fn makes_a_thing_once() {
        let folder = tempfile::tempdir().unwrap();
        let made = AtomicUsize::new(0);
        let cache = Cache::at(folder.path(), Missing::Make);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let thing = cache.install("tool", "1.0", |aside| {
                        made.fetch_add(1, Ordering::SeqCst);
                        Ok(fs::write(aside.join("bin"), b"whole")?)
                    });
                    assert_eq!(fs::read(thing.unwrap().join("bin")).unwrap(), b"whole");
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
    }

    #[test]
    fn leaves_nothing_that_looks_finished_when_making_fails() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path(), Missing::Make);
        let failed = cache.install("tool", "1.0", |aside| {
            fs::write(aside.join("half"), b"ha")?;
            bail!("the line was cut")
        });
        assert_eq!(
            format!("{:#}", failed.unwrap_err()),
            "cannot get tool 1.0: the line was cut"
        );
        assert!(!folder.path().join("tool-1.0").exists());
    }

    #[test]
    fn what_may_not_be_made_is_refused_with_the_reason_of_the_last_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let refusing = Cache::at(folder.path(), Missing::Refuse);
        let refused = || {
            let error = refusing.install("tool", "1.0", |_| panic!("nothing is made"));
            format!("{:#}", error.unwrap_err())
        };
        assert_eq!(
            refused(),
            "cannot get tool 1.0: nothing is fetched while tests run; before that: \
             it is not in the cache, and nobody tried"
        );
        let making = Cache::at(folder.path(), Missing::Make);
        let _failed = making.install("tool", "1.0", |_| bail!("the line was cut"));
        assert_eq!(
            refused(),
            "cannot get tool 1.0: nothing is fetched while tests run; before that: the line was cut"
        );
        making.install("tool", "1.0", |_| Ok(())).unwrap();
        refusing
            .install("tool", "1.0", |_| panic!("it is there"))
            .unwrap();
    }

    #[test]
    fn starts_from_an_empty_folder_after_a_killed_run() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".partial/tool-1.0");
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("half"), b"ha").unwrap();
        let thing = Cache::at(folder.path(), Missing::Make)
            .install("tool", "1.0", |_| Ok(()))
            .unwrap();
        assert_eq!(fs::read_dir(thing).unwrap().count(), 0);
    }

    #[test]
    fn versions_of_any_spelling_stay_inside_the_cache() {
        assert_eq!(
            folder_name("rclone", "1:1.60~a/../b"),
            "rclone-1_1.60_a_.._b"
        );
    }
}
