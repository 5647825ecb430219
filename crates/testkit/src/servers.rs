//! Real servers, of pinned versions, on free ports of the loopback interface.
//!
//! Each kind has a module with `start`. It gets what it needs into the cache, starts the server in a working folder
//! of the caller, waits until it answers, and returns a [`Server`], which ends with the value. Starting again in
//! the same folder goes on with the same data. None of them is ever linked: they are peers, and witnesses.

pub mod azurite;
pub mod elasticsearch;
pub mod lifeboat;
pub mod minio;
pub mod node_exporter;
pub mod opensearch;
pub mod s3proxy;
pub mod seaweedfs;
pub mod versitygw;
pub mod victoria_metrics;

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::http;
use crate::load;
use crate::maven::{AWS_SDK_1, AWS_SDK_2, HADOOP_S3A};
use crate::port;
use crate::process::{Process, last_lines};
use crate::python::{AWS_CLI, Environment};

/// How long a start may take: a busy machine needs ten times what a quiet one does.
const PATIENCE: Duration = Duration::from_mins(3);

/// How often a start is tried: the port that was free may be taken before the server takes it.
const ATTEMPTS: usize = 3;

/// Something that tests ask for, and how it comes into the cache.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub name: &'static str,
    pub get: fn() -> Result<PathBuf>,
}

/// All that the tests of the workspace start, what is quickly there first.
pub const PEERS: [Peer; 20] = [
    Peer {
        name: "Azurite",
        get: || azurite::PACKAGE.folder(),
    },
    Peer {
        name: "s3proxy",
        get: || s3proxy::JAR.file(),
    },
    Peer {
        name: "SeaweedFS",
        get: seaweedfs::program,
    },
    Peer {
        name: "aws-cli",
        get: || Ok(Environment::with(AWS_CLI)?.interpreter()),
    },
    Peer {
        name: "the AWS SDK 1 for Java",
        get: || AWS_SDK_1.folder(),
    },
    Peer {
        name: "the AWS SDK 2 for Java",
        get: || AWS_SDK_2.folder(),
    },
    Peer {
        name: "S3A of Hadoop",
        get: || HADOOP_S3A.folder(),
    },
    Peer {
        name: "the load program",
        get: || load::PROGRAM.program(),
    },
    Peer {
        name: "VictoriaMetrics 1.79",
        get: || victoria_metrics::Release::V1_79.programs(),
    },
    Peer {
        name: "VictoriaMetrics 1.112",
        get: || victoria_metrics::Release::V1_112.programs(),
    },
    Peer {
        name: "VictoriaMetrics 1.145",
        get: || victoria_metrics::Release::V1_145.programs(),
    },
    Peer {
        name: "OpenSearch",
        get: opensearch::tree,
    },
    Peer {
        name: "OpenSearch 2.19",
        get: opensearch::older::tree,
    },
    Peer {
        name: "Elasticsearch 7.17",
        get: || elasticsearch::Release::V7_17.tree(),
    },
    Peer {
        name: "Elasticsearch 8.19",
        get: || elasticsearch::Release::V8_19.tree(),
    },
    Peer {
        name: "versitygw",
        get: || versitygw::MODULE.programs(),
    },
    Peer {
        name: "MinIO of 2021",
        get: || minio::OF_2021.programs(),
    },
    Peer {
        name: "MinIO of 2026",
        get: || minio::OF_2026.programs(),
    },
    Peer {
        name: "mc",
        get: || minio::CLIENT.programs(),
    },
    Peer {
        name: "vmbackup of the platform",
        get: || victoria_metrics::TOOLS_1_109.programs(),
    },
];

/// A key pair. For Azure: the account and its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    pub access: &'static str,
    pub secret: &'static str,
}

/// The key pair of every S3 server here.
pub const KEYS: Keys = Keys {
    access: "backupkey",
    secret: "backupsecret",
};

/// A server that answers. Dropping it ends it, and says what it printed last if a test is failing.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
    endpoint: String,
    keys: Keys,
    work: PathBuf,
    log: Log,
    litter: Litter,
}

impl Server {
    /// The URL for clients. For Azure it ends in the account, as its service does in its host name.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn keys(&self) -> Keys {
        self.keys
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The folder with what it stores.
    pub fn data(&self) -> PathBuf {
        data(&self.work)
    }

    /// The file with all it printed.
    pub fn log(&self) -> &Path {
        &self.log.path
    }

    /// Asks it to end and waits until it has.
    pub fn stop(self) -> Result<ExitStatus> {
        Ok(self.process.stop()?.status)
    }

    /// Ends it with SIGKILL, at whatever instruction it is.
    pub fn kill(self) -> Result<ExitStatus> {
        Ok(self.process.kill()?.status)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
}

impl Drop for Log {
    #[expect(
        clippy::print_stderr,
        reason = "a failing test has nowhere else to say it"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "`{}` ends with:\n{}",
                self.path.display(),
                last_lines(&self.path)
            );
        }
    }
}

/// What a server leaves outside of its working folder, removed after its end.
#[derive(Debug, Default)]
struct Litter(Vec<PathBuf>);

impl Drop for Litter {
    fn drop(&mut self) {
        for path in &self.0 {
            // Whatever is not there needs no removal.
            let _gone = fs::remove_file(path);
        }
    }
}

/// How one kind of server is started.
struct Launch<'a> {
    /// Names its log.
    name: &'static str,
    work: &'a Path,
    keys: Keys,
    ready: fn(SocketAddr) -> bool,
}

impl Launch<'_> {
    /// Starts what `command` makes for an address, and waits until it is ready.
    fn start(&self, command: impl FnMut(SocketAddr) -> Result<Command>) -> Result<Server> {
        self.start_at(None, command)
    }

    /// The same at an address that others know already.
    fn start_at(
        &self,
        known: Option<SocketAddr>,
        mut command: impl FnMut(SocketAddr) -> Result<Command>,
    ) -> Result<Server> {
        self.prepare()?;
        let mut attempt = 1;
        loop {
            let address = known.map_or_else(port::free, Ok)?;
            let log = self
                .work
                .join(format!("{}-{}.log", self.name, address.port()));
            let process = Process::start_logging(&mut command(address)?, &log)?;
            match process.wait_until("answer", PATIENCE, || (self.ready)(address)) {
                Ok(()) => {
                    return Ok(Server {
                        process,
                        address,
                        endpoint: format!("http://{address}"),
                        keys: self.keys,
                        work: self.work.to_owned(),
                        log: Log { path: log },
                        litter: Litter::default(),
                    });
                }
                Err(_) if attempt < ATTEMPTS && found_its_port_taken(&log) => attempt += 1,
                Err(error) => return Err(error.context(format!("cannot start {}", self.name))),
            }
        }
    }

    fn prepare(&self) -> Result<()> {
        for folder in [&data(self.work), &temporary(self.work)] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create `{}`", folder.display()))?;
        }
        Ok(())
    }
}

fn data(work: &Path) -> PathBuf {
    work.join("data")
}

fn temporary(work: &Path) -> PathBuf {
    work.join("tmp")
}

/// A command that sees nothing of the caller's environment: settings and keys of the person who runs the tests
/// change nothing.
fn command(program: impl AsRef<std::ffi::OsStr>, work: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(crate::environment::variable("PATH").map(|path| ("PATH", path)))
        .env("HOME", work)
        .env("TMPDIR", temporary(work))
        .env("LANG", "C.UTF-8")
        .current_dir(work);
    command
}

/// Writes a file that only its owner can read: such hold keys.
fn write_private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, "")?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    fs::write(path, text)?;
    Ok(())
}

/// A server of S3 is ready when it refuses whoever does not sign: before that it knows no keys and answers 503.
fn refuses_strangers(address: SocketAddr) -> bool {
    http::get(address, "/").is_ok_and(|answer| answer.status == 403)
}

fn found_its_port_taken(log: &Path) -> bool {
    last_lines(log)
        .to_lowercase()
        .contains("address already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts what prints a line and ends, and returns how often that was tried and the last error.
    fn attempts(line: &str) -> (usize, String) {
        let work = tempfile::tempdir().unwrap();
        let launch = Launch {
            name: "echo",
            work: work.path(),
            keys: KEYS,
            ready: |_| false,
        };
        let mut count = 0;
        let error = launch
            .start(|_| {
                count += 1;
                let mut command = command("echo", work.path());
                command.arg(line);
                Ok(command)
            })
            .unwrap_err();
        (count, format!("{error:#}"))
    }

    #[test]
    fn a_port_that_somebody_took_is_replaced_by_another() {
        let (count, error) = attempts("listen 127.0.0.1:9: bind: Address already in use");
        assert_eq!(count, ATTEMPTS);
        assert!(error.contains("Address already in use"), "{error}");
    }

    #[test]
    fn any_other_end_is_told_at_once_with_what_was_printed() {
        let (count, error) = attempts("no such flag");
        assert_eq!(count, 1);
        assert_eq!(
            error,
            "cannot start echo: `echo` did not answer; it ended; it printed:\nno such flag"
        );
    }

    #[test]
    fn a_secret_is_not_in_what_a_failing_test_prints() {
        assert_eq!(format!("{KEYS:?}"), r#"Keys { access: "backupkey", .. }"#);
    }

    #[test]
    fn what_a_server_leaves_elsewhere_is_removed() {
        let work = tempfile::tempdir().unwrap();
        let left = work.path().join("socket");
        fs::write(&left, "").unwrap();
        drop(Litter(vec![left.clone(), work.path().join("none")]));
        assert!(!left.exists());
    }
}
