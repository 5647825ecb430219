//! Who is compared, and how each is run.

use std::collections::BTreeMap;
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

    /// That each file of the version came back with its size, and nothing else: the server's own files may have been merged since.
    pub(super) fn confirm(&self, side: Side, version: &str, target: &Path) -> Result<()> {
        let stored = self.gateway.data().join(BUCKET).join(version);
        let mut expected = BTreeMap::new();
        for (_, object) in data::files_below(&stored.join("data"))? {
            // <path>/<FILESIZE>_<OFFSET>_<SIZE>, in hexadecimal.
            let name = object.file_name().and_then(|name| name.to_str());
            let length = name
                .and_then(|name| name.split('_').next())
                .and_then(|size| u64::from_str_radix(size, 16).ok())
                .with_context(|| format!("{} is no object of a backup", object.display()))?;
            let file = object.parent().context("an object without a folder")?;
            expected.insert(file.strip_prefix(&stored)?.to_owned(), length);
        }
        let found = data::files_below(&target.join("data"))?
            .into_iter()
            .map(|(size, path)| Ok((path.strip_prefix(target)?.to_owned(), size)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        ensure!(!expected.is_empty(), "{side:?}: {version} holds no data");
        for file in expected.keys().chain(found.keys()) {
            let (expected, found) = (expected.get(file), found.get(file));
            ensure!(
                expected == found,
                "{side:?}: {} came back with {found:?} bytes, the backup has {expected:?}",
                file.display()
            );
        }
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
