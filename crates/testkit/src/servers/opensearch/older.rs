//! OpenSearch 2 with repositories on the file system: of its plugin for S3 nothing is published.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{adapt_options, as_nobody, copy_config, has_a_state, node_settings, unpack};
use crate::cache::Cache;
use crate::java;
use crate::maven::Artifact;
use crate::servers::{KEYS, Launch, Server, temporary};

pub const VERSION: &str = "2.19.6";

/// It needs the security manager, which newer kits lack.
const JAVA: [u32; 2] = [17, 21];

const SERVER: Artifact = Artifact {
    name: "opensearch",
    version: VERSION,
    coordinates: "org.opensearch.distribution.integ-test-zip:opensearch:2.19.6:zip",
    file: "opensearch-2.19.6.zip",
    sha256: "71d6d8b1c637f3faecda0752b184b1cc526fc6eaad59ec1408c6327bb00b9293",
};

/// Returns the folder, after putting it together if it is not in the cache. Needs Maven and Java 17 to 21.
pub fn tree() -> Result<PathBuf> {
    let folder = Cache::of_user()?.install("opensearch", VERSION, assemble)?;
    Ok(home(&folder))
}

fn home(folder: &Path) -> PathBuf {
    folder.join(format!("opensearch-{VERSION}"))
}

fn assemble(folder: &Path) -> Result<()> {
    // What cannot be started need not be fetched.
    let java = java::home_between(JAVA)?;
    let home = home(folder);
    unpack(&java, SERVER, folder, &home)?;
    adapt_options(&home.join("config/jvm.options"))
}

/// Where a node may keep repositories.
pub fn repositories(work: &Path) -> PathBuf {
    work.join("repositories")
}

/// Starts a cluster of one node, in a quarter of a minute. As root it needs `setpriv`.
pub fn start(work: &Path) -> Result<Server> {
    let tree = tree()?;
    let java = java::home_between(JAVA)?;
    let launch = Launch {
        name: "opensearch",
        work,
        keys: KEYS,
        ready: has_a_state,
    };
    launch.start(|address| {
        configure(&tree, work, address)?;
        let mut node = as_nobody(&tree.join("bin/opensearch"), work);
        node.env("OPENSEARCH_JAVA_HOME", &java)
            .env("OPENSEARCH_PATH_CONF", work.join("config"))
            .env("OPENSEARCH_TMPDIR", temporary(work))
            // It compiles less well, and starts in half the time.
            .env(
                "OPENSEARCH_JAVA_OPTS",
                "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1",
            );
        Ok(node)
    })
}

fn configure(tree: &Path, work: &Path, address: SocketAddr) -> Result<()> {
    let config = copy_config(tree, work)?;
    fs::create_dir_all(repositories(work))?;
    let settings = format!(
        "{node}path.repo: [\"{repositories}\"]\n",
        node = node_settings(work, address)?,
        repositories = repositories(work).display(),
    );
    fs::write(config.join("opensearch.yml"), settings)?;
    Ok(())
}
