//! Elasticsearch of two generations, with repositories on the file system.
//!
//! What is published for tests has no plugin for S3, no lifecycle management and no data streams that could be asked for. It has the API of snapshots, with the engine's own words.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::opensearch::{adapt_options, as_nobody, has_a_state, node_settings, unpack};
use super::{KEYS, Launch, Server, temporary};
use crate::cache::Cache;
use crate::java;
use crate::maven::Artifact;

/// Both were made for Java 17; newer kits than this they refuse.
const JAVA: [u32; 2] = [17, 21];

/// What a few indices need for their objects.
pub const HEAP_MIB: u32 = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    V7_17,
    V8_19,
}

impl Release {
    pub fn version(self) -> &'static str {
        self.artifact().version
    }

    fn artifact(self) -> Artifact {
        match self {
            Self::V7_17 => Artifact {
                name: "elasticsearch",
                version: "7.17.29",
                coordinates: "org.elasticsearch.distribution.integ-test-zip:elasticsearch:7.17.29:zip",
                file: "elasticsearch-7.17.29.zip",
                sha256: "841ee00be1a72ba8e707b5a2fb55f23fe7a4184369b4585393238b1c903eedaf",
            },
            Self::V8_19 => Artifact {
                name: "elasticsearch",
                version: "8.19.21",
                coordinates: "org.elasticsearch.distribution.integ-test-zip:elasticsearch:8.19.21:zip",
                file: "elasticsearch-8.19.21.zip",
                sha256: "215d5f3dbf0609a149f6218a9e47b6ae2df34ebbff3c5754e35f15a5e5393c8a",
            },
        }
    }

    /// Returns the folder, after putting it together if it is not in the cache. Needs Maven and Java 17 to 21.
    pub fn tree(self) -> Result<PathBuf> {
        let artifact = self.artifact();
        let install = |folder: &Path| assemble(folder, artifact);
        let folder = Cache::of_user()?.install("elasticsearch", artifact.version, install)?;
        Ok(home(&folder, artifact))
    }
}

fn home(folder: &Path, artifact: Artifact) -> PathBuf {
    folder.join(format!("elasticsearch-{}", artifact.version))
}

fn assemble(folder: &Path, artifact: Artifact) -> Result<()> {
    // What cannot be started need not be fetched.
    let java = java::home_between(JAVA)?;
    let home = home(folder, artifact);
    unpack(&java, artifact, folder, &home)?;
    adapt_options(&home.join("config/jvm.options"))
}

/// Where a node may keep repositories.
pub fn repositories(work: &Path) -> PathBuf {
    work.join("repositories")
}

/// Starts a cluster of one node with so much heap, in half a minute. As root it needs `setpriv`.
pub fn start(work: &Path, release: Release, mib: u32) -> Result<Server> {
    let tree = release.tree()?;
    let java = java::home_between(JAVA)?;
    let launch = Launch {
        name: "elasticsearch",
        work,
        keys: KEYS,
        ready: has_a_state,
    };
    launch.start(|address| {
        configure(&tree, work, address)?;
        let mut node = as_nobody(&tree.join("bin/elasticsearch"), work);
        node.env("ES_JAVA_HOME", &java)
            .env("ES_PATH_CONF", work.join("config"))
            .env("ES_TMPDIR", temporary(work))
            // It compiles less well, and starts in half the time.
            .env(
                "ES_JAVA_OPTS",
                format!("-Xms{mib}m -Xmx{mib}m -XX:TieredStopAtLevel=1"),
            );
        Ok(node)
    })
}

fn configure(tree: &Path, work: &Path, address: SocketAddr) -> Result<()> {
    let config = work.join("config");
    fs::create_dir_all(&config)?;
    fs::create_dir_all(repositories(work))?;
    for file in fs::read_dir(tree.join("config"))? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), config.join(file.file_name()))?;
        }
    }
    let settings = format!(
        "{node}path.repo: [\"{repositories}\"]\nxpack.security.enabled: false\n",
        node = node_settings(work, address)?,
        repositories = repositories(work).display(),
    );
    fs::write(config.join("elasticsearch.yml"), settings)?;
    Ok(())
}
