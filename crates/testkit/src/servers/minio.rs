//! MinIO, in the version that the platform's charts began with, and in a current one.
//!
//! The old one has the modes that are gone since: a folder whose files are the objects, and gateways.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{KEYS, Keys, Launch, Server, command, data, refuses_strangers};
use crate::go::{Module, Way};
use crate::port;

/// Of February 2021, under the Apache licence. It ignores `If-None-Match`.
pub const OF_2021: Module = Module {
    name: "minio",
    path: "github.com/minio/minio",
    version: "v0.0.0-20210206053228-97fe57bba92c",
    programs: &[""],
    way: Way::Install,
};

/// The command line of MinIO, a client on minio-go as many programs are.
pub const CLIENT: Module = Module {
    name: "mc",
    path: "github.com/minio/mc",
    version: "v0.0.0-20250313080218-cf909e1063a9",
    programs: &[""],
    way: Way::Install,
};

/// Of February 2026, under the AGPL. It syncs what it acknowledges.
pub const OF_2026: Module = Module {
    version: "v0.0.0-20260212201848-7aac2a2c5b7c",
    ..OF_2021
};

/// What the server of 2021 stands in front of.
#[derive(Debug, Clone, Copy)]
pub enum Mode<'a> {
    /// A folder whose files are the objects, with their headers in `.minio.sys` beside them.
    Folder,
    /// A container of an Azure account. Clients then use the account and its key.
    Azure(&'a Server),
    /// Another S3 server, with whose keys clients come.
    S3(&'a Server),
}

/// How the server of 2026 keeps objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Plain,
    /// Every object under a key of a key service, asked for or not: its `ETag` is then no MD5.
    Encrypted,
}

/// Starts the server of 2021.
pub fn start_2021(work: &Path, mode: Mode<'_>) -> Result<Server> {
    let program = OF_2021.program("minio")?;
    let keys = match mode {
        Mode::Folder => KEYS,
        Mode::Azure(behind) | Mode::S3(behind) => behind.keys(),
    };
    launch("minio-2021", work, keys).start(|address| {
        let mut command = minio(&program, work, keys);
        match mode {
            Mode::Folder => command.arg("server"),
            Mode::Azure(_) => command.args(["gateway", "azure"]),
            Mode::S3(_) => command.args(["gateway", "s3"]),
        };
        command.args(["--quiet", "--address", &address.to_string()]);
        match mode {
            Mode::Folder => command.arg(data(work)),
            Mode::Azure(behind) => command.arg(behind.endpoint()),
            // Towards S3 it looks for keys as Amazon's clients do; those of its own clients do not count.
            Mode::S3(behind) => command
                .arg(behind.endpoint())
                .env("AWS_ACCESS_KEY_ID", behind.keys().access)
                .env("AWS_SECRET_ACCESS_KEY", behind.keys().secret),
        };
        Ok(command)
    })
}

/// Starts the server of 2026.
pub fn start_2026(work: &Path, storage: Storage) -> Result<Server> {
    let program = OF_2026.program("minio")?;
    launch("minio-2026", work, KEYS).start(|address| {
        let mut command = minio(&program, work, KEYS);
        command
            .args(["server", "--quiet", "--address", &address.to_string()])
            // It listens there even with the console switched off.
            .args(["--console-address", &port::free()?.to_string()])
            .arg(data(work));
        match storage {
            Storage::Plain => {}
            Storage::Encrypted => {
                command
                    .env("MINIO_KMS_SECRET_KEY", MASTER_KEY)
                    .env("MINIO_KMS_AUTO_ENCRYPTION", "on");
            }
        }
        Ok(command)
    })
}

/// Its name, and 32 bytes that protect nothing but what tests store.
const MASTER_KEY: &str = "test-key:bGlmZWJvYXQtdGVzdC1tYXN0ZXIta2V5LTMyYnl0ZXM=";

fn launch<'a>(name: &'static str, work: &'a Path, keys: Keys) -> Launch<'a> {
    Launch {
        name,
        work,
        keys,
        ready: refuses_strangers,
    }
}

fn minio(program: &Path, work: &Path, keys: Keys) -> Command {
    let mut command = command(program, work);
    command
        .arg("--config-dir")
        .arg(work.join("config"))
        .env("MINIO_ROOT_USER", keys.access)
        .env("MINIO_ROOT_PASSWORD", keys.secret)
        .env("MINIO_BROWSER", "off")
        .env("MINIO_UPDATE", "off");
    command
}
