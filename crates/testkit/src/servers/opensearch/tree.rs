//! The tree of files of OpenSearch with its S3 plugin, as the nodes share it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::JAVA;
use crate::cache::Cache;
use crate::java;
use crate::maven::{Artifact, Libraries};
use crate::process::run;

pub const VERSION: &str = "3.6.0";

const SERVER: Artifact = Artifact {
    name: "opensearch",
    version: VERSION,
    coordinates: "org.opensearch.distribution.integ-test-zip:opensearch:3.6.0:zip",
    file: "opensearch-3.6.0.zip",
    sha256: "a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286",
};

const PLUGIN: Libraries = Libraries {
    name: "opensearch-repository-s3",
    roots: &["org.opensearch.plugin:repository-s3:3.6.0"],
    without: &[],
};

/// The modules that stay. Every other one costs a second of each start.
const MODULES: [&str; 3] = ["mapper-extras", "reindex", "transport-netty4"];

/// Returns the folder, after putting it together if it is not in the cache. Needs Maven and Java 21.
pub fn tree() -> Result<PathBuf> {
    let folder = Cache::of_user()?.install("opensearch", VERSION, assemble)?;
    Ok(home(&folder))
}

fn home(folder: &Path) -> PathBuf {
    folder.join(format!("opensearch-{VERSION}"))
}

/// Fetches what is published of a server, of either engine, and makes its programs ready to run.
pub(in crate::servers) fn unpack(
    java: &Path,
    server: Artifact,
    folder: &Path,
    home: &Path,
) -> Result<()> {
    let archive = server.fetch(folder)?;
    run(Command::new(java.join("bin/jar"))
        .current_dir(folder)
        .args(["--extract", "--file"])
        .arg(&archive))?;
    fs::remove_file(archive)?;
    make_executable(&home.join("bin"))
}

fn assemble(folder: &Path) -> Result<()> {
    // What cannot be started need not be fetched.
    let java = java::home(JAVA)?;
    let home = home(folder);
    unpack(&java, SERVER, folder, &home)?;
    keep_modules(&home.join("modules"))?;
    adapt_options(&home.join("config/jvm.options"))?;
    add_plugin(&home, folder)
}

/// The archiver of Java forgets who may run what.
fn make_executable(programs: &Path) -> Result<()> {
    for program in fs::read_dir(programs)? {
        fs::set_permissions(program?.path(), Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn keep_modules(modules: &Path) -> Result<()> {
    for module in fs::read_dir(modules)? {
        let module = module?;
        if !MODULES.iter().any(|kept| *kept == module.file_name()) {
            fs::remove_dir_all(module.path())?;
        }
    }
    Ok(())
}

/// Takes out the size of the heap, which a node is told, and the logs in relative folders, which nodes would share.
pub(in crate::servers) fn adapt_options(file: &Path) -> Result<()> {
    const OUT: [&str; 6] = ["-Xms", "-Xmx", "Xlog", "HeapDump", "ErrorFile", "PrintGC"];
    let kept: String = fs::read_to_string(file)?
        .lines()
        .filter(|line| !OUT.iter().any(|out| line.contains(out)))
        .flat_map(|line| [line, "\n"])
        .collect();
    fs::write(file, kept)?;
    Ok(())
}

fn add_plugin(home: &Path, scratch: &Path) -> Result<()> {
    let plugin = home.join("plugins/repository-s3");
    PLUGIN.fetch(&plugin, scratch)?;
    // A node refuses to start when it finds a library twice.
    for library in fs::read_dir(home.join("lib"))? {
        let twice = plugin.join(library?.file_name());
        if twice.is_file() {
            fs::remove_file(twice)?;
        }
    }
    fs::write(
        plugin.join("plugin-descriptor.properties"),
        format!(
            "name=repository-s3\n\
             description=Repositories in S3\n\
             version={VERSION}\n\
             opensearch.version={VERSION}\n\
             java.version={JAVA}\n\
             classname=org.opensearch.repositories.s3.S3RepositoryPlugin\n"
        ),
    )?;
    fs::write(plugin.join("plugin-security.policy"), GRANTS)?;
    Ok(())
}

/// What the plugin and its SDK do that a plugin may not unless it says so.
const GRANTS: &str = r#"grant {
  permission java.lang.RuntimePermission "accessDeclaredMembers";
  permission java.lang.RuntimePermission "getClassLoader";
  permission java.lang.reflect.ReflectPermission "suppressAccessChecks";
  permission java.net.NetPermission "setDefaultAuthenticator";
  permission java.net.SocketPermission "*", "connect";
  permission java.util.PropertyPermission "aws.*", "read,write";
  permission java.util.PropertyPermission "opensearch.*", "read,write";
  permission java.io.FilePermission "config", "read";
};
"#;
