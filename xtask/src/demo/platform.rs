//! The small platform of the demo: a values file, a gateway on a volume, a store, and the program that works on them.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use lifeboat_testkit::port;
use lifeboat_testkit::process::{Finished, Process};
use lifeboat_testkit::servers::Keys;
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde::de::DeserializeOwned;

use super::telling::Telling;
use crate::cargo;

const READY: &str = "gateway listening on ";

/// How long the gateway may take until it listens, on a machine with other work.
const PATIENCE: Duration = Duration::from_mins(1);

/// A gateway that runs, and all that belongs to it. Dropping it stops the gateway.
#[derive(Debug)]
pub(super) struct Platform<'a> {
    binary: PathBuf,
    values: PathBuf,
    store: PathBuf,
    gateway: Process,
    address: SocketAddr,
    keys: Keys,
    telling: &'a Telling,
}

impl<'a> Platform<'a> {
    /// Makes everything inside `folder` and waits until the gateway listens.
    pub(super) fn start(binary: PathBuf, folder: &Path, telling: &'a Telling) -> Result<Self> {
        let address = port::free()?;
        let store = folder.join("stackgraph");
        let volume = folder.join("volume");
        fs::create_dir(&volume)?;
        let values = folder.join("values.yaml");
        // For this run only, and for as long as it lasts.
        let keys = Keys {
            access: key(20).leak(),
            secret: key(40).leak(),
        };
        fs::write(&values, values_file(address, keys, &volume, &store))
            .with_context(|| format!("cannot write `{}`", values.display()))?;
        telling.tell(&format!("starting the gateway on {address}"))?;
        let gateway = Process::start(lifeboat(&binary, &values).arg("gateway"))?;
        gateway.wait_for_line(PATIENCE, |line| line.starts_with(READY).then_some(()))?;
        Ok(Self {
            binary,
            values,
            store,
            gateway,
            address,
            keys,
            telling,
        })
    }

    pub(super) fn load(&self, payloads: &[PathBuf]) -> Result<()> {
        let arguments = [OsStr::new("load")]
            .into_iter()
            .chain(payloads.iter().map(|path| path.as_os_str()));
        self.stackgraph(arguments)?;
        Ok(())
    }

    /// Runs a command of the store and reads its JSON.
    pub(super) fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let finished = self.run(arguments)?;
        serde_json::from_str(&finished.stdout).with_context(|| {
            format!(
                "`stackgraph {}` printed other JSON: {}",
                arguments.join(" "),
                finished.stdout
            )
        })
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Result<Finished> {
        self.stackgraph(arguments.iter().map(OsStr::new))
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys
    }

    /// Runs a command of another store and returns what it printed.
    pub(super) fn other(&self, arguments: &[&str]) -> Result<String> {
        let mut command = lifeboat(&self.binary, &self.values);
        command.args(["-o", "json"]).args(arguments);
        let process = Process::start(&mut command)?;
        let finished = self.telling.wait(process)?.success();
        Ok(finished.context("a command failed")?.stdout)
    }

    /// Loses the store, as a disk would.
    pub(super) fn wipe(&self) -> Result<()> {
        fs::remove_dir_all(&self.store)
            .with_context(|| format!("cannot remove the store `{}`", self.store.display()))
    }

    pub(super) fn stop(self) -> Result<()> {
        self.gateway.stop()?;
        Ok(())
    }

    fn stackgraph<'b>(&self, arguments: impl IntoIterator<Item = &'b OsStr>) -> Result<Finished> {
        let mut command = lifeboat(&self.binary, &self.values);
        command.args(["-o", "json", "stackgraph"]).args(arguments);
        let shown: Vec<_> = command
            .get_args()
            .skip(4)
            .map(OsStr::to_string_lossy)
            .collect();
        let shown = format!("`lifeboat {}` failed", shown.join(" "));
        let process = Process::start(&mut command)?;
        self.telling.wait(process)?.success().context(shown)
    }
}

fn lifeboat(binary: &Path, values: &Path) -> Command {
    let mut command = cargo::command(binary);
    command.env("RUST_BACKTRACE", "0").arg("-f").arg(values);
    command
}

/// The settings, in the words that an operator would use.
fn values_file(address: SocketAddr, keys: Keys, volume: &Path, store: &Path) -> String {
    // JSON's texts are YAML's: a path may hold anything, and a key of digits stays a text.
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    format!(
        "backup:\n  enabled: true\n\
         minio:\n  accessKey: \"{}\"\n  secretKey: \"{}\"\n  persistence:\n    enabled: true\n\
         lifeboat:\n  endpoint: \"http://{address}\"\n\
         \x20 gateway:\n    listen: \"{address}\"\n    metricsListen: \"\"\n    volume: {}\n\
         \x20 stackgraph:\n    path: {}\n\
         victoria-metrics-0:\n  backup:\n    enabled: true\n  restore:\n    enabled: true\n",
        keys.access,
        keys.secret,
        quoted(volume),
        quoted(store),
    )
}

/// Makes a key for this run only.
fn key(length: usize) -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(length)
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_those_of_an_operator() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9000));
        let keys = Keys {
            access: "anaccesskey",
            secret: "asecretkey",
        };
        let values = values_file(
            address,
            keys,
            Path::new("/a \"b\"/volume"),
            Path::new("/store"),
        );
        let shown: Vec<&str> = values
            .lines()
            .map(|line| line.split_once("Key: ").map_or(line, |(name, _)| name))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        backup:
          enabled: true
        minio:
          access
          secret
          persistence:
            enabled: true
        lifeboat:
          endpoint: "http://127.0.0.1:9000"
          gateway:
            listen: "127.0.0.1:9000"
            metricsListen: ""
            volume: "/a \"b\"/volume"
          stackgraph:
            path: "/store"
        victoria-metrics-0:
          backup:
            enabled: true
          restore:
            enabled: true
        "#);
    }

    #[test]
    fn keys_have_the_lengths_that_are_allowed_and_differ() {
        assert_eq!((key(20).len(), key(40).len()), (20, 40));
        assert_ne!(key(40), key(40));
        assert!(key(40).chars().all(|c| c.is_ascii_alphanumeric()));
    }
}
