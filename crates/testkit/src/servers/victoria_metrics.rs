//! VictoriaMetrics and its tools: the server and its agent, vmbackup and vmrestore, of three releases.
//!
//! The packages know nothing of their version, so what a program prints about it is empty: believe the release.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{KEYS, Launch, Server, command, data};
use crate::debian::Package;
use crate::go::{Module, Way};
use crate::http;

/// A release that is a package in some suite of Debian, with server, agent and tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Older than the platform's; vmbackup keeps what versions before 1.80 kept.
    V1_79,
    V1_112,
    /// The newest when it was chosen. Its suite moves on; then this one cannot be had any more.
    V1_145,
}

/// vmbackup and vmrestore of the very release that the platform ships.
pub const TOOLS_1_109: Module = Module {
    name: "victoria-metrics-tools",
    path: "github.com/VictoriaMetrics/VictoriaMetrics",
    version: "v1.109.0",
    programs: &["app/vmbackup", "app/vmrestore"],
    way: Way::Repeating(
        "exclude google.golang.org/grpc/stats/opentelemetry v0.0.0-20240907200651-3ffb98b2c93a\n\n\
         replace cloud.google.com/go/storage => cloud.google.com/go/storage v1.43.0",
    ),
};

impl Release {
    pub const ALL: [Self; 3] = [Self::V1_79, Self::V1_112, Self::V1_145];

    fn package(self) -> Package {
        let (version, suite) = match self {
            Self::V1_79 => ("1.79.5", "bookworm"),
            Self::V1_112 => ("1.112.0", "trixie"),
            Self::V1_145 => ("1.145.0", "sid"),
        };
        Package {
            name: "victoria-metrics",
            version,
            program: "usr/bin/victoria-metrics",
            suite: Some(suite),
        }
    }

    pub fn version(self) -> &'static str {
        self.package().version
    }

    /// Returns the folder with `victoria-metrics`, `vmagent`, `vmbackup` and `vmrestore`.
    pub fn programs(self) -> Result<PathBuf> {
        let mut folder = self.package().program()?;
        folder.pop();
        Ok(folder)
    }
}

/// How a server differs from the usual one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unusual<'a> {
    /// Where it was before.
    pub address: Option<SocketAddr>,
    pub arguments: &'a [&'a str],
    /// How one knows that it answers, where its own health cannot be asked for without more.
    pub ready: Option<fn(SocketAddr) -> bool>,
}

/// Starts a single-node server with its data in `work`.
pub fn start(work: &Path, release: Release) -> Result<Server> {
    start_unusual(work, release, Unusual::default())
}

/// The same, where others look for it or with more arguments.
pub fn start_unusual(work: &Path, release: Release, unusual: Unusual<'_>) -> Result<Server> {
    let program = release.programs()?.join("victoria-metrics");
    let mut launch = launch("victoria-metrics", work);
    if let Some(ready) = unusual.ready {
        launch.ready = ready;
    }
    launch.start_at(unusual.address, |address| {
        let mut command = command(&program, work);
        command
            .arg(format!("-httpListenAddr={address}"))
            .arg(format!("-storageDataPath={}", data(work).display()))
            // Samples of tests are of any year.
            .arg("-retentionPeriod=100y")
            // Or else it prepares caches for all the memory of the machine.
            .arg("-memory.allowedBytes=268435456")
            .args(unusual.arguments);
        Ok(command)
    })
}

/// Starts an agent that passes what it gets on to a server, with more arguments: what it scrapes, for example.
pub fn start_agent(
    work: &Path,
    release: Release,
    server: &Server,
    arguments: &[&str],
) -> Result<Server> {
    let program = release.programs()?.join("vmagent");
    launch("vmagent", work).start(|address| {
        let mut command = command(&program, work);
        command
            .arg(format!("-httpListenAddr={address}"))
            .arg(format!(
                "-remoteWrite.url={}/api/v1/write",
                server.endpoint()
            ))
            .arg(format!("-remoteWrite.tmpDataPath={}", data(work).display()))
            .arg("-memory.allowedBytes=67108864")
            .args(arguments);
        Ok(command)
    })
}

/// They ask nobody for a key.
fn launch<'a>(name: &'static str, work: &'a Path) -> Launch<'a> {
    Launch {
        name,
        work,
        keys: KEYS,
        ready: |address| http::get(address, "/health").is_ok_and(|answer| answer.status == 200),
    }
}
