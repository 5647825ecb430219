//! Azurite, which speaks the protocol of Azure Blob Storage. Its speed says nothing about Azure's.

use std::path::Path;

use anyhow::Result;

use super::{Keys, Launch, Server, command, data};
use crate::http;
use crate::npm::Locked;

pub const PACKAGE: Locked = Locked {
    name: "azurite",
    version: "3.35.0",
    package: include_str!("../../npm/azurite/package.json"),
    lock: include_str!("../../npm/azurite/package-lock.json"),
};

/// The account: as short a key as an S3 client's may be, so that it serves both sides of a gateway.
pub const ACCOUNT: Keys = Keys {
    access: "backupaccount",
    secret: "YmFja3VwIGFjY291bnQga2V5",
};

/// Starts its blob service with its data in `work`.
pub fn start(work: &Path) -> Result<Server> {
    let program = PACKAGE
        .folder()?
        .join("node_modules/azurite/dist/src/blob/main.js");
    let launch = Launch {
        name: "azurite",
        work,
        keys: ACCOUNT,
        ready: speaks_for_azure,
    };
    let mut server = launch.start(|address| {
        let mut command = command("node", work);
        command
            .arg(&program)
            .arg("--blobHost")
            .arg(address.ip().to_string())
            .arg("--blobPort")
            .arg(address.port().to_string())
            .arg("--location")
            .arg(data(work))
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"])
            .env(
                "AZURITE_ACCOUNTS",
                format!("{}:{}", ACCOUNT.access, ACCOUNT.secret),
            );
        Ok(command)
    })?;
    server.endpoint = format!("{}/{}", server.endpoint, ACCOUNT.access);
    Ok(server)
}

/// It refuses an unsigned request in the words of Azure.
fn speaks_for_azure(address: std::net::SocketAddr) -> bool {
    http::get(address, &format!("/{}?comp=list", ACCOUNT.access))
        .is_ok_and(|answer| answer.status == 403)
}
