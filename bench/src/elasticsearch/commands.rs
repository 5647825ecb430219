//! Our commands beside the same question to the engine alone: a long list, and a small restore.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lifeboat_testkit::servers::Server;
use serde::Serialize;
use serde_json::Value;

use super::node::Node;
use crate::program;

/// As the platform calls it.
const REPOSITORY: &str = "sts-backup";
const INDEX: &str = "sts_small";
const DOCUMENTS: u64 = 100;

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Side {
    Engine,
    Lifeboat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Deed {
    List,
    Restore,
}

/// One measured answer, or one command from its start to its end.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) deed: Deed,
    pub(super) side: Side,
    pub(super) seconds: f64,
}

/// One small index, and a repository at our gateway with snapshots of it.
pub(super) struct Small<'a> {
    lifeboat: &'a Path,
    folder: PathBuf,
    node: &'a Node,
    gateway: &'a Server,
    snapshots: u32,
}

impl<'a> Small<'a> {
    /// Registers the repository by our own command, and takes the snapshots.
    #[expect(clippy::print_stderr, reason = "a long run says where it is")]
    pub(super) fn prepare(
        lifeboat: &'a Path,
        disk: &Path,
        node: &'a Node,
        gateway: &'a Server,
        snapshots: u32,
    ) -> Result<Self> {
        let folder = disk.join("commands");
        fs::create_dir(&folder)?;
        let small = Self {
            lifeboat,
            folder,
            node,
            gateway,
            snapshots,
        };
        program::watch(small.command(&["configure"]))?;
        for number in 0..DOCUMENTS {
            let document = format!("{{\"message\":\"line {number}\"}}");
            node.ask("PUT", &format!("/{INDEX}/_doc/{number}"), &document)?;
        }
        eprintln!("taking {snapshots} small snapshots");
        for number in 0..snapshots {
            node.snapshot(REPOSITORY, &name(number), &[INDEX])?;
        }
        Ok(small)
    }

    /// The list of all snapshots, by turns.
    pub(super) fn list(&self, times: u32) -> Result<Vec<Run>> {
        by_turns(Deed::List, times, |side| match side {
            Side::Engine => {
                let path = format!("/_snapshot/{REPOSITORY}/_all");
                let (answer, seconds) = self.node.timed("GET", &path, &Value::Null)?;
                self.confirm(&answer)?;
                Ok(seconds)
            }
            Side::Lifeboat => {
                let (said, cost) = program::watch(self.command(&["list", "-o", "json"]))?;
                self.confirm(&serde_json::from_str(&said.stdout)?)?;
                Ok(cost.seconds)
            }
        })
    }

    /// The restore of the index, by turns.
    pub(super) fn restore(&self, times: u32) -> Result<Vec<Run>> {
        let last = name(self.snapshots - 1);
        by_turns(Deed::Restore, times, |side| {
            self.node.delete(&[INDEX])?;
            let seconds = match side {
                Side::Engine => self.node.restore(REPOSITORY, &last, &[INDEX])?,
                Side::Lifeboat => {
                    let command = self.command(&["restore", &last, "--yes"]);
                    program::watch(command)?.1.seconds
                }
            };
            let found = self.node.count(&[INDEX])?;
            ensure!(
                found == DOCUMENTS,
                "{side:?} brought back {found} documents"
            );
            Ok(seconds)
        })
    }

    fn confirm(&self, list: &Value) -> Result<()> {
        let listed = list["snapshots"].as_array().context("no list")?.len();
        ensure!(
            listed == usize::try_from(self.snapshots)?,
            "{listed} snapshots were listed of {}",
            self.snapshots
        );
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.lifeboat);
        command.env_clear().current_dir(&self.folder);
        for set in [
            "backup.enabled=true".to_owned(),
            format!("lifeboat.endpoint={}", self.gateway.endpoint()),
            format!("lifeboat.elasticsearch.url={}", self.node.server.endpoint()),
        ] {
            command.arg("--set").arg(set);
        }
        command
            .arg("elasticsearch")
            .args(arguments)
            .env("LIFEBOAT_ACCESS_KEY", self.gateway.keys().access)
            .env("LIFEBOAT_SECRET_KEY", self.gateway.keys().secret);
        command
    }
}

/// Each once unmeasured, and then so many times, who begins changing.
fn by_turns(deed: Deed, times: u32, run: impl Fn(Side) -> Result<f64>) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for time in 0..=times {
        let sides = if time.is_multiple_of(2) {
            [Side::Engine, Side::Lifeboat]
        } else {
            [Side::Lifeboat, Side::Engine]
        };
        for side in sides {
            let seconds = run(side).with_context(|| format!("{deed:?}: {side:?}"))?;
            if time > 0 {
                runs.push(Run {
                    deed,
                    side,
                    seconds,
                });
            }
        }
    }
    Ok(runs)
}

fn name(number: u32) -> String {
    format!("sts-backup-20261125-0300-{number:04}")
}
