//! OpenSearch with repositories in S3 and on the file system.
//!
//! No whole distribution is published as an artifact: the server is, and the plugin as a library. They are put together
//! here, once. One tree serves any number of nodes, each with its own settings, keys and data.

pub mod older;
mod tree;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rustix::process::geteuid;

use super::{Keys, Launch, Server, command, data, temporary, write_private};
use crate::http;
use crate::java;
use crate::port;
use crate::process::run;

pub use self::tree::{VERSION, tree};
pub(super) use self::tree::{adapt_options, unpack};

const JAVA: u32 = 21;

/// Where a node keeps snapshots unless a repository says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Repositories<'a> {
    /// `http://host:port`.
    pub endpoint: &'a str,
    pub keys: Keys,
}

/// What the Java machine is told.
#[derive(Debug, Clone, Copy)]
enum Tuning {
    /// It compiles less well, and starts in half the time.
    QuickStart,
    /// The heap that the engine ships with, and its compilers.
    AsShipped,
}

impl Tuning {
    fn options(self) -> &'static str {
        match self {
            Self::QuickStart => "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1",
            Self::AsShipped => "-Xms1g -Xmx1g",
        }
    }
}

/// Where a node may keep repositories on the file system.
pub fn repositories(work: &Path) -> PathBuf {
    work.join("repositories")
}

/// Starts a cluster of one node, in half a minute. Needs Java 21; as root also `setpriv`.
pub fn start(work: &Path, repositories: Repositories<'_>) -> Result<Server> {
    start_at(work, None, has_a_state, repositories, Tuning::QuickStart)
}

/// The same, as fast as it is shipped: for measuring.
pub fn start_as_shipped(work: &Path, repositories: Repositories<'_>) -> Result<Server> {
    start_at(work, None, has_a_state, repositories, Tuning::AsShipped)
}

/// Starts the node again that had this folder, where others know it. What it had not finished may stay red, so it is only waited for until it answers.
pub fn start_again(
    work: &Path,
    address: SocketAddr,
    repositories: Repositories<'_>,
) -> Result<Server> {
    let tuning = Tuning::QuickStart;
    start_at(work, Some(address), answers, repositories, tuning)
}

fn start_at(
    work: &Path,
    known: Option<SocketAddr>,
    ready: fn(SocketAddr) -> bool,
    repositories: Repositories<'_>,
    tuning: Tuning,
) -> Result<Server> {
    let tree = tree()?;
    let java = java::home(JAVA)?;
    let launch = Launch {
        name: "opensearch",
        work,
        keys: repositories.keys,
        ready,
    };
    launch.start_at(known, |address| {
        configure(&tree, work, address, repositories)?;
        let in_node = |mut command: Command| {
            command
                .env("OPENSEARCH_JAVA_HOME", &java)
                .env("OPENSEARCH_PATH_CONF", work.join("config"))
                .env("OPENSEARCH_TMPDIR", temporary(work));
            command
        };
        store_keys(in_node(command("sh", work)), &tree, work, repositories.keys)?;
        let mut node = in_node(as_nobody(&tree.join("bin/opensearch"), work));
        node.env("OPENSEARCH_JAVA_OPTS", tuning.options());
        Ok(node)
    })
}

fn configure(
    tree: &Path,
    work: &Path,
    address: SocketAddr,
    repositories: Repositories<'_>,
) -> Result<()> {
    let config = copy_config(tree, work)?;
    let folder = self::repositories(work);
    fs::create_dir_all(&folder)?;
    let endpoint = repositories.endpoint.trim_start_matches("http://");
    let settings = format!(
        "{node}\
         path.repo: [\"{folder}\"]\n\
         s3.client.default.endpoint: {endpoint}\n\
         s3.client.default.protocol: http\n\
         s3.client.default.region: us-east-1\n\
         s3.client.default.path_style_access: true\n",
        node = node_settings(work, address)?,
        folder = folder.display(),
    );
    fs::write(config.join("opensearch.yml"), settings)?;
    Ok(())
}

/// The settings of a node's machine and its log. Returns the folder with them.
fn copy_config(tree: &Path, work: &Path) -> Result<PathBuf> {
    let config = work.join("config");
    fs::create_dir_all(&config)?;
    for file in ["jvm.options", "log4j2.properties"] {
        fs::copy(tree.join("config").join(file), config.join(file))?;
    }
    Ok(config)
}

/// What every node of one needs, of either engine.
pub(super) fn node_settings(work: &Path, address: SocketAddr) -> Result<String> {
    Ok(format!(
        "cluster.name: tests\n\
         node.name: node\n\
         discovery.type: single-node\n\
         network.host: {host}\n\
         http.port: {port}\n\
         transport.port: {transport}\n\
         path.data: {data}\n\
         path.logs: {logs}\n\
         # A disk that is nearly full is no reason to refuse a few documents.\n\
         cluster.routing.allocation.disk.threshold_enabled: false\n",
        host = address.ip(),
        port = address.port(),
        transport = port::free()?.port(),
        data = data(work).display(),
        logs = work.join("logs").display(),
    ))
}

/// Puts the key pair into the node's keystore: its settings may not hold it.
fn store_keys(mut shell: Command, tree: &Path, work: &Path, keys: Keys) -> Result<()> {
    let input = work.join("keys");
    write_private(&input, &format!("{}\n{}\n", keys.access, keys.secret))?;
    run(shell
        .args(["-c", r#"exec "$0" add --force --stdin "$2" "$3" < "$1""#])
        .arg(tree.join("bin/opensearch-keystore"))
        .arg(&input)
        .args([
            "s3.client.default.access_key",
            "s3.client.default.secret_key",
        ]))?;
    fs::remove_file(input)?;
    Ok(())
}

/// It refuses to run as root. Root therefore becomes nobody, who may still enter root's folders.
pub(super) fn as_nobody(program: &Path, work: &Path) -> Command {
    if !geteuid().is_root() {
        return command(program, work);
    }
    let mut command = command("setpriv", work);
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(["--inh-caps", "+dac_override"])
        .args(["--ambient-caps", "+dac_override"])
        // Or else the kernel, asked whether a file may be read, would answer for a nobody without that right.
        .args(["--securebits", "+no_setuid_fixup"])
        .arg(program);
    command
}

pub(super) fn has_a_state(address: SocketAddr) -> bool {
    http::get(address, "/_cluster/health?wait_for_status=yellow")
        .is_ok_and(|answer| answer.status == 200)
}

fn answers(address: SocketAddr) -> bool {
    http::get(address, "/_cluster/health").is_ok_and(|answer| answer.status == 200)
}
