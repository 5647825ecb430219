//! Who is compared, and how each is run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lifeboat_testkit::servers::Server;
use serde::Serialize;

use super::{BUCKET, data};

const INSTANCE: &str = "victoria-metrics-0";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Side {
    Lifeboat,
    Vmbackup,
}

/// What both work on.
pub(super) struct Work<'a> {
    pub(super) lifeboat: PathBuf,
    pub(super) tools: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) server: &'a Server,
    pub(super) gateway: &'a Server,
}

impl Work<'_> {
    pub(super) fn back_up(&self, side: Side, endpoint: &str, prefix: &str) -> Command {
        let data = self.server.data();
        match side {
            Side::Lifeboat => self.lifeboat(endpoint, prefix, &data, &["backup", INSTANCE]),
            Side::Vmbackup => {
                let mut command = self.tool("vmbackup", endpoint);
                command
                    .arg(format!("-storageDataPath={}", data.display()))
                    .arg(format!(
                        "-snapshot.createURL={}/snapshot/create",
                        self.server.endpoint()
                    ))
                    .arg(format!("-dst=s3://{BUCKET}/{prefix}-vm"));
                command
            }
        }
    }

    pub(super) fn restore(
        &self,
        side: Side,
        endpoint: &str,
        prefix: &str,
        version: &str,
        target: &Path,
    ) -> Command {
        match side {
            Side::Lifeboat => self.lifeboat(
                endpoint,
                prefix,
                target,
                &["restore", INSTANCE, version, "--yes"],
            ),
            Side::Vmbackup => {
                let mut command = self.tool("vmrestore", endpoint);
                command
                    .arg(format!("-src=s3://{BUCKET}/{version}"))
                    .arg(format!("-storageDataPath={}", target.display()));
                command
            }
        }
    }

    /// The folder that a backup lies in.
    pub(super) fn version(&self, side: Side, prefix: &str) -> Result<String> {
        if side == Side::Vmbackup {
            return Ok(format!("{prefix}-vm"));
        }
        let folders = fs::read_dir(self.gateway.data().join(BUCKET))?;
        folders
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .find(|name| name.starts_with(&format!("{prefix}-2")))
            .context("our backup is not where it should be")
    }

    /// That as many bytes came back as the server has: its files are those of the snapshot, for nothing is written to it meanwhile.
    pub(super) fn confirm(&self, side: Side, target: &Path) -> Result<()> {
        let bytes_below = |folder: &Path| -> Result<u64> {
            let files = data::files_below(&folder.join("data"))?;
            let counted = files.iter().filter(|(_, path)| {
                !path
                    .components()
                    .any(|part| part.as_os_str() == "snapshots")
            });
            Ok(counted.map(|(size, _)| size).sum())
        };
        let (found, expected) = (bytes_below(target)?, bytes_below(&self.server.data())?);
        ensure!(
            found.abs_diff(expected) < expected / 50,
            "{side:?} brought back {found} bytes of {expected}"
        );
        Ok(())
    }

    fn lifeboat(&self, endpoint: &str, prefix: &str, data: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.lifeboat);
        command.env_clear().current_dir(&self.folder);
        for set in [
            "backup.enabled=true".to_owned(),
            format!("{INSTANCE}.backup.enabled=true"),
            format!("{INSTANCE}.restore.enabled=true"),
            format!("{INSTANCE}.backup.s3Prefix={prefix}"),
            format!("lifeboat.endpoint={endpoint}"),
            format!("lifeboat.{INSTANCE}.url={}", self.server.endpoint()),
            format!("lifeboat.{INSTANCE}.path={}", data.display()),
        ] {
            command.arg("--set").arg(set);
        }
        command
            .arg("victoria-metrics")
            .args(arguments)
            .env("LIFEBOAT_ACCESS_KEY", self.gateway.keys().access)
            .env("LIFEBOAT_SECRET_KEY", self.gateway.keys().secret);
        command
    }

    fn tool(&self, name: &str, endpoint: &str) -> Command {
        let mut command = Command::new(self.tools.join(name));
        command
            .env_clear()
            .env("HOME", &self.folder)
            .env("AWS_ACCESS_KEY_ID", self.gateway.keys().access)
            .env("AWS_SECRET_ACCESS_KEY", self.gateway.keys().secret)
            .env("AWS_REGION", "us-east-1")
            .current_dir(&self.folder)
            .arg(format!("-customS3Endpoint={endpoint}"))
            .arg("-httpListenAddr=127.0.0.1:0");
        command
    }
}
