//! Programs of npm packages. The lock file beside the sources names every part by its hash; nothing is chosen by the
//! registry, and no script of a package runs.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::cache::Cache;
use crate::process::run_within;
use crate::progress;

const PATIENCE: Duration = Duration::from_mins(10);

/// A package with its lock file.
#[derive(Debug, Clone, Copy)]
pub struct Locked {
    /// Names it in the cache.
    pub name: &'static str,
    pub version: &'static str,
    /// The texts of `package.json` and `package-lock.json`.
    pub package: &'static str,
    pub lock: &'static str,
}

impl Locked {
    /// Returns the folder that holds `node_modules`, after fetching what is not in the cache. Needs npm.
    pub fn folder(&self) -> Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        (self.package, self.lock).hash(&mut hasher);
        // A changed lock file is another thing.
        let version = format!("{}-{:016x}", self.version, hasher.finish());
        Cache::of_user()?.install(&format!("npm-{}", self.name), &version, |folder| {
            progress::say(format_args!(
                "{} {}: fetching its npm packages",
                self.name, self.version
            ));
            self.install(folder)
        })
    }

    fn install(&self, folder: &Path) -> Result<()> {
        fs::write(folder.join("package.json"), self.package)?;
        fs::write(folder.join("package-lock.json"), self.lock)?;
        let mut npm = Command::new("npm");
        npm.current_dir(folder)
            .args(["ci", "--ignore-scripts", "--omit=dev"])
            .args(["--no-audit", "--no-fund", "--no-update-notifier"]);
        run_within(&mut npm, PATIENCE)?;
        Ok(())
    }
}
