//! The exporter that shows a machine's own numbers, as nearly every cluster runs it.

use std::path::Path;

use anyhow::Result;

use super::{KEYS, Launch, Server, command};
use crate::debian::Package;
use crate::http;

const NODE_EXPORTER: Package = Package {
    name: "prometheus-node-exporter",
    version: "1.5.0",
    program: "usr/bin/prometheus-node-exporter",
    suite: Some("bookworm"),
};

/// Starts the exporter of this machine. It keeps nothing.
pub fn start(work: &Path) -> Result<Server> {
    let program = NODE_EXPORTER.program()?;
    let launch = Launch {
        name: "node-exporter",
        work,
        keys: KEYS,
        ready: |address| http::get(address, "/metrics").is_ok_and(|answer| answer.status == 200),
    };
    launch.start(|address| {
        let mut command = command(&program, work);
        command.arg(format!("--web.listen-address={address}"));
        Ok(command)
    })
}
