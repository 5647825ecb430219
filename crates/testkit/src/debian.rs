//! Programs from Debian packages, unpacked into the cache; the system's own packages stay as they are.

mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::process::{run, run_within};

const PATIENCE: Duration = Duration::from_mins(10);

/// A package and the program wanted from it.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    pub name: &'static str,
    /// The upstream version; Debian's own revision may be any.
    pub version: &'static str,
    /// Path of the program inside the package.
    pub program: &'static str,
    /// The suite that has this version, where it is not the machine's own.
    pub suite: Option<&'static str>,
}

/// Copies files to and from S3.
pub const RCLONE: Package = Package {
    name: "rclone",
    version: "1.60.1",
    program: "usr/bin/rclone",
    suite: None,
};

/// Keeps its own repository format in S3, and reads it back with checks.
pub const RESTIC: Package = Package {
    name: "restic",
    version: "0.14.0",
    program: "usr/bin/restic",
    suite: None,
};

impl Package {
    /// Returns the program, after fetching and unpacking the package if it is not in the cache. Needs no root.
    ///
    /// Fails when the program lacks a shared library here: nothing but the package itself is unpacked.
    pub fn program(&self) -> Result<PathBuf> {
        let name = format!("debian-{}", self.name);
        let folder = Cache::of_user()?.install(&name, self.version, |folder| {
            self.download(folder)?;
            unpack(folder)?;
            check_libraries(&folder.join(self.program))
        })?;
        Ok(folder.join(self.program))
    }

    /// Leaves one `.deb` in `folder`. A machine that never updated its lists gets private ones for the moment, and so
    /// does another suite: what the machine itself would install stays as it is.
    fn download(&self, folder: &Path) -> Result<()> {
        if self.suite.is_none() && self.download_with(folder, &[]).is_ok() {
            return Ok(());
        }
        let private = tempfile::tempdir_in(folder)?;
        let [lists, archives, sources] =
            ["lists", "cache", "sources"].map(|name| private.path().join(name));
        for needed in [
            &lists.join("partial"),
            &archives.join("archives/partial"),
            &sources,
        ] {
            fs::create_dir_all(needed)?;
        }
        let mut options = vec![
            format!("Dir::State::lists={}", lists.display()),
            format!("Dir::Cache={}", archives.display()),
        ];
        if let Some(suite) = self.suite {
            sources::describe(suite, &sources)?;
            options.push("Dir::Etc::sourcelist=/dev/null".to_owned());
            options.push(format!("Dir::Etc::sourceparts={}", sources.display()));
        }
        run_within(apt_get(&options).arg("update"), PATIENCE)?;
        self.download_with(folder, &options)
    }

    fn download_with(&self, folder: &Path, options: &[String]) -> Result<()> {
        run_within(
            apt_get(options)
                .current_dir(folder)
                .arg("download")
                .arg(format!("{}={}*", self.name, self.version)),
            PATIENCE,
        )?;
        Ok(())
    }
}

fn apt_get(options: &[String]) -> Command {
    let mut command = Command::new("apt-get");
    // As root, apt would fetch as a user of its own, who cannot write into the cache.
    command.args(["-qq", "-o", "APT::Sandbox::User=root"]);
    for option in options {
        command.arg("-o").arg(option);
    }
    command
}

fn unpack(folder: &Path) -> Result<()> {
    let archive = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt-get said it was done, but there is no package")?;
    run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(folder))?;
    fs::remove_file(&archive)?;
    Ok(())
}

fn check_libraries(program: &Path) -> Result<()> {
    // `ldd` fails on a static program, which lacks nothing.
    let listed = run(Command::new("ldd").arg(program)).unwrap_or_default();
    let missing = missing_libraries(&listed);
    if !missing.is_empty() {
        bail!("`{}` needs {}", program.display(), missing.join(", "));
    }
    Ok(())
}

fn missing_libraries(ldd: &str) -> Vec<&str> {
    ldd.lines()
        .filter_map(|line| line.trim().strip_suffix("=> not found"))
        .map(str::trim)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_libraries_that_are_not_there() {
        let ldd = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibfuse.so.2 => not found\n\
                   \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f34)\n";
        assert_eq!(missing_libraries(ldd), ["libfuse.so.2"]);
        assert!(missing_libraries("\tstatically linked\n").is_empty());
    }
}
