//! Programs of Go modules, and of our own sources in Go, built once into the cache.
//!
//! What is fetched is checked against Go's checksum database; a machine that switched that off gets nothing from here.
//! Built parts stay in Go's own caches, so that the second program of a kind is cheap.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::process::{run, run_within};
use crate::{progress, workspace};

/// The largest of them takes eleven minutes on two busy cores.
const PATIENCE: Duration = Duration::from_mins(20);

/// A module in a version, and its programs.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Names it in the cache and in what is printed.
    pub name: &'static str,
    pub path: &'static str,
    /// A tag or a pseudo-version, with its `v`.
    pub version: &'static str,
    /// Packages that are programs, relative to the module; an empty one is the module itself.
    pub programs: &'static [&'static str],
    pub way: Way,
}

/// How a module is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As its own main module, with its own language defaults. Go refuses this to modules with `replace` lines.
    Install,
    /// As a dependency of a module made for the purpose, which repeats the `exclude` and `replace` lines of the original.
    Repeating(&'static str),
}

impl Module {
    /// Returns the folder with the programs, after building them if they are not in the cache.
    pub fn programs(&self) -> Result<PathBuf> {
        let folder =
            Cache::of_user()?.install(&format!("go-{}", self.name), self.version, |folder| {
                progress::say(format_args!(
                    "{} {}: fetching and building its Go modules, once for this machine",
                    self.name, self.version
                ));
                refuse_unverified()?;
                let programs = folder.join("bin");
                fs::create_dir(&programs)?;
                match self.way {
                    Way::Install => self.install(&programs),
                    Way::Repeating(lines) => self.build(folder, &programs, lines),
                }
            })?;
        Ok(folder.join("bin"))
    }

    /// Returns the program that Go names after the last part of its package.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let program = self.programs()?.join(name);
        if !program.is_file() {
            bail!("`{}` {} has no program `{name}`", self.name, self.version);
        }
        Ok(program)
    }

    fn packages(&self) -> impl Iterator<Item = String> {
        self.programs.iter().map(|program| match *program {
            "" => self.path.to_owned(),
            program => format!("{}/{program}", self.path),
        })
    }

    fn install(&self, programs: &Path) -> Result<()> {
        let packages = self
            .packages()
            .map(|package| format!("{package}@{}", self.version));
        build(
            go(programs)
                .arg("install")
                .args(SLIM)
                .args(packages)
                .env("GOBIN", programs),
        )
    }

    fn build(&self, folder: &Path, programs: &Path, lines: &str) -> Result<()> {
        let module = folder.join("module");
        fs::create_dir(&module)?;
        fs::write(
            module.join("go.mod"),
            format!("module peer\n\ngo 1.25\n\n{lines}\n"),
        )?;
        for package in self.packages() {
            build(go(&module).args(["get", &format!("{package}@{}", self.version)]))?;
        }
        build(
            go(&module)
                .arg("build")
                .args(SLIM)
                .arg("-o")
                .arg(programs)
                .args(self.packages()),
        )?;
        fs::remove_dir_all(module)?;
        Ok(())
    }
}

/// A program whose sources are in this repository.
#[derive(Debug, Clone, Copy)]
pub struct Own {
    /// Names it in the cache.
    pub name: &'static str,
    /// The folder with `go.mod`, `go.sum` and the package `main`, from the root of the workspace.
    pub sources: &'static str,
}

impl Own {
    /// Returns the program, after building it if these very sources are not in the cache.
    pub fn program(&self) -> Result<PathBuf> {
        let sources = workspace::root().join(self.sources);
        let version = version(&sources)?;
        let folder =
            Cache::of_user()?.install(&format!("own-{}", self.name), &version, |folder| {
                progress::say(format_args!(
                    "{}: building, once for this machine",
                    self.name
                ));
                refuse_unverified()?;
                build(
                    go(&sources)
                        .args(["build", "-mod=readonly", "-buildvcs=false"])
                        .args(SLIM)
                        .arg("-o")
                        .arg(folder.join(self.name)),
                )
            })?;
        Ok(folder.join(self.name))
    }
}

/// Changes when any of the files does.
fn version(sources: &Path) -> Result<String> {
    let mut files = fs::read_dir(sources)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("cannot read `{}`", sources.display()))?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().as_encoded_bytes());
        hash.update([0]);
        hash.update(fs::read(file.path())?);
    }
    Ok(hex::encode(&hash.finalize()[..8]))
}

/// Without paths of this machine and without what only a debugger reads.
const SLIM: [&str; 3] = ["-trimpath", "-ldflags", "-s -w"];

fn build(command: &mut Command) -> Result<()> {
    run_within(command, PATIENCE)?;
    Ok(())
}

/// Go, in a folder, giving way to whatever else the machine does.
fn go(folder: &Path) -> Command {
    let mut command = Command::new("nice");
    command
        .args(["-n", "10", "go"])
        .current_dir(folder)
        .env("GOWORK", "off")
        .env_remove("GOOS")
        .env_remove("GOARCH");
    command
}

/// Checks that nothing exempts modules from being verified.
fn refuse_unverified() -> Result<()> {
    let said = run(Command::new("go").args(["env", "GOSUMDB", "GONOSUMDB", "GOINSECURE"]))
        .context("Go is needed to build this")?;
    let settings: Vec<&str> = said.split('\n').map(str::trim).collect();
    match settings[..] {
        ["off", ..] => bail!("`GOSUMDB` is off: what is fetched would not be verified"),
        [_, "", "", ..] => Ok(()),
        _ => bail!("`GONOSUMDB` or `GOINSECURE` is set: what is fetched might not be verified"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_changed_are_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            version(folder.path()).unwrap()
        };
        let first = write("main.go", "package main");
        assert_ne!(first, write("main.go", "package main // changed"));
        assert_eq!(first, write("main.go", "package main"));
        assert_ne!(first, write("more.go", "package main"));
    }

    #[test]
    fn an_empty_program_is_the_module_itself() {
        let module = Module {
            name: "peer",
            path: "example.org/peer",
            version: "v1.0.0",
            programs: &["", "cmd/tool"],
            way: Way::Install,
        };
        let packages: Vec<String> = module.packages().collect();
        assert_eq!(packages, ["example.org/peer", "example.org/peer/cmd/tool"]);
    }
}
