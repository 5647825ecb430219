//! Artifacts of a Maven repository, in pinned versions. Maven checks what it fetches against the checksums beside it;
//! single files are checked again against a hash that is kept here.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
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

/// Libraries for a program, with all that they need at run time.
#[derive(Debug, Clone, Copy)]
pub struct Libraries {
    /// Names them in the cache.
    pub name: &'static str,
    /// `group:artifact:version`.
    pub roots: &'static [&'static str],
    /// `group:artifact` of what the roots ask for and the program does not need.
    pub without: &'static [&'static str],
}

/// The SDK that Elasticsearch has up to 8.18.
pub const AWS_SDK_1: Libraries = Libraries {
    name: "aws-sdk-1",
    roots: &["com.amazonaws:aws-java-sdk-s3:1.12.797"],
    without: &[],
};

/// The SDK of Elasticsearch 9 and OpenSearch 3.
pub const AWS_SDK_2: Libraries = Libraries {
    name: "aws-sdk-2",
    roots: &[
        "software.amazon.awssdk:s3:2.32.33",
        "software.amazon.awssdk:url-connection-client:2.32.33",
    ],
    without: &["software.amazon.awssdk:netty-nio-client"],
};

/// The file system of Hadoop over S3, under which `HBase` keeps its data. Its SDK for everything has half a gigabyte; here
/// are the parts that it uses.
pub const HADOOP_S3A: Libraries = Libraries {
    name: "hadoop-s3a",
    roots: &[
        "org.apache.hadoop:hadoop-aws:3.4.3",
        "org.apache.hadoop:hadoop-client-api:3.4.3",
        "org.apache.hadoop:hadoop-client-runtime:3.4.3",
        "software.amazon.awssdk:s3:2.35.4",
        "software.amazon.awssdk:s3-transfer-manager:2.35.4",
        "software.amazon.awssdk:sts:2.35.4",
        "org.apache.commons:commons-lang3:3.17.0",
    ],
    without: &["software.amazon.awssdk:bundle"],
};

impl Libraries {
    /// Returns a folder of archives, after fetching them if they are not in the cache. Needs Maven.
    pub fn folder(&self) -> Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        (self.roots, self.without).hash(&mut hasher);
        let version = format!("{:016x}", hasher.finish());
        let name = format!("maven-{}", self.name);
        let folder = Cache::of_user()?.install(&name, &version, |folder| {
            progress::say(format_args!("{}: fetching", self.name));
            self.fetch(&folder.join("lib"), folder)
        })?;
        Ok(folder.join("lib"))
    }

    /// Leaves the archives in `folder`.
    pub(crate) fn fetch(&self, folder: &Path, scratch: &Path) -> Result<()> {
        let project = scratch.join("pom.xml");
        fs::write(&project, self.project()?)?;
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

    /// A project that needs them.
    fn project(&self) -> Result<String> {
        let mut without = String::new();
        for excluded in self.without {
            let (group, artifact) = excluded
                .split_once(':')
                .with_context(|| format!("`{excluded}` is not `group:artifact`"))?;
            write!(
                without,
                "<exclusion><groupId>{group}</groupId><artifactId>{artifact}</artifactId></exclusion>"
            )?;
        }
        let mut dependencies = String::new();
        for root in self.roots {
            let [group, artifact, version] = root.split(':').collect::<Vec<_>>()[..] else {
                bail!("`{root}` is not `group:artifact:version`");
            };
            writeln!(
                dependencies,
                "<dependency>\n\
                 <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\n\
                 <exclusions>{without}</exclusions>\n\
                 </dependency>"
            )?;
        }
        Ok(format!(
            "<project>\n\
             <modelVersion>4.0.0</modelVersion>\n\
             <groupId>peer</groupId><artifactId>peer</artifactId><version>1</version><packaging>pom</packaging>\n\
             <dependencies>\n{dependencies}</dependencies>\n\
             </project>\n"
        ))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_names_what_is_needed_and_what_is_not() {
        let some = Libraries {
            name: "some",
            roots: &["g:a:1", "h:b:2"],
            without: &["g:large"],
        };
        let exclusion = "<exclusion><groupId>g</groupId><artifactId>large</artifactId></exclusion>";
        let project = some.project().unwrap();
        assert_eq!(project.matches(exclusion).count(), 2, "{project}");
        assert!(
            project.contains("<groupId>h</groupId><artifactId>b</artifactId><version>2</version>")
        );
    }

    #[test]
    fn what_has_no_version_is_refused() {
        for (roots, without) in [(&["g:a"], &["g:b"]), (&["g:a:1"], &["b"])] {
            let wrong = Libraries {
                name: "wrong",
                roots,
                without,
            };
            assert!(wrong.project().is_err(), "{wrong:?}");
        }
    }
}
