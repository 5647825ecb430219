//! Artifacts of a Maven repository, in pinned versions. Maven checks what it fetches against the checksums beside it;
//! single files are checked again against a hash that is kept here.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cache::Cache;
use crate::process::run_within;
use crate::progress;

const PATIENCE: Duration = Duration::from_mins(10);

/// The version of the plugin that fetches, too.
const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// One file.
#[derive(Debug, Clone, Copy)]
pub struct Artifact {
    /// Names it in the cache.
    pub name: &'static str,
    pub version: &'static str,
    /// `group:artifact:version:type:classifier`.
    pub coordinates: &'static str,
    /// The name that Maven gives the file.
    pub file: &'static str,
    pub sha256: &'static str,
}

impl Artifact {
    /// Returns the file, after fetching it if it is not in the cache. Needs Maven.
    pub fn file(&self) -> Result<PathBuf> {
        let name = format!("maven-{}", self.name);
        let folder = Cache::of_user()?.install(&name, self.version, |folder| {
            self.fetch(folder)?;
            Ok(())
        })?;
        Ok(folder.join(self.file))
    }

    /// Leaves the file in `folder`.
    pub(crate) fn fetch(&self, folder: &Path) -> Result<PathBuf> {
        progress::say(format_args!("{} {}: fetching", self.name, self.version));
        run_within(
            maven(&format!("{PLUGIN}:copy"))
                .arg(format!("-Dartifact={}", self.coordinates))
                .arg(format!("-DoutputDirectory={}", folder.display())),
            PATIENCE,
        )?;
        let file = folder.join(self.file);
        let found = sha256(&file)?;
        if found != self.sha256 {
            bail!(
                "`{}` has the SHA-256 {found}, not {}",
                self.coordinates,
                self.sha256
            );
        }
        Ok(file)
    }
}

/// Leaves a library and all it needs at run time in `folder`. `coordinates` are `group:artifact:version`.
pub(crate) fn fetch_library(coordinates: &str, folder: &Path, scratch: &Path) -> Result<()> {
    let [group, artifact, version] = coordinates.split(':').collect::<Vec<_>>()[..] else {
        bail!("`{coordinates}` is not `group:artifact:version`");
    };
    let project = scratch.join("pom.xml");
    fs::write(
        &project,
        format!(
            "<project>\n\
             <modelVersion>4.0.0</modelVersion>\n\
             <groupId>peer</groupId><artifactId>peer</artifactId><version>1</version><packaging>pom</packaging>\n\
             <dependencies><dependency>\n\
             <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\n\
             </dependency></dependencies>\n\
             </project>\n"
        ),
    )?;
    run_within(
        maven(&format!("{PLUGIN}:copy-dependencies"))
            .arg("--file")
            .arg(&project)
            .arg("-DincludeScope=runtime")
            .arg(format!("-DoutputDirectory={}", folder.display())),
        PATIENCE,
    )?;
    fs::remove_file(project)?;
    Ok(())
}

/// Maven, which prints its errors to stdout and must not wait for anybody.
fn maven(goal: &str) -> Command {
    let mut command = Command::new("mvn");
    command.args(["--batch-mode", "--quiet", "--strict-checksums", goal]);
    command
}

fn sha256(file: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let open = File::open(file).with_context(|| format!("there is no `{}`", file.display()))?;
    let mut reader = BufReader::with_capacity(1024 * 1024, open);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        hasher.update(bytes);
        let count = bytes.len();
        reader.consume(count);
    }
    Ok(hex::encode(hasher.finalize()))
}
