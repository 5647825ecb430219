//! Our own gateway over a folder, as a program like any other: what is compared with the peers.

use std::path::Path;

use anyhow::Result;

use super::{KEYS, Launch, Server, command, data, refuses_strangers};

/// Starts `program` with its data in `work`.
pub fn start(program: &Path, work: &Path) -> Result<Server> {
    let launch = Launch {
        name: "lifeboat",
        work,
        keys: KEYS,
        ready: refuses_strangers,
    };
    launch.start(|address| {
        let mut command = command(program, work);
        command
            .args(["gateway", "--set", "minio.persistence.enabled=true"])
            .args(["--set", "lifeboat.gateway.metricsListen=127.0.0.1:0"])
            .arg("--listen")
            .arg(address.to_string())
            .arg("--volume")
            .arg(data(work))
            .env("LIFEBOAT_ACCESS_KEY", KEYS.access)
            .env("LIFEBOAT_SECRET_KEY", KEYS.secret);
        Ok(command)
    })
}
