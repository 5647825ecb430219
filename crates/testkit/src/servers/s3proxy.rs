//! s3proxy over a folder, as the platform's current charts have it.

use std::path::Path;

use anyhow::Result;

use super::{KEYS, Launch, Server, command, data, refuses_strangers, write_private};
use crate::maven::Artifact;

pub const JAR: Artifact = Artifact {
    name: "s3proxy",
    version: "4.0.0",
    coordinates: "org.gaul:s3proxy:4.0.0:jar:jar-with-dependencies",
    file: "s3proxy-4.0.0-jar-with-dependencies.jar",
    sha256: "8842c29ef4cf50c2488cff1da23df3428526c10905998384586e916cc98a2c67",
};

/// What the Java machine believes to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub heap_mib: u32,
    pub processors: u32,
}

/// One processor, and half of the 700 MiB of its container as heap: what the platform's charts give it.
pub const CHART: Size = Size {
    heap_mib: 350,
    processors: 1,
};

/// Starts it with its data in `work`, which must be on a file system with extended attributes. Needs Java 17.
pub fn start(work: &Path, size: Size) -> Result<Server> {
    let jar = JAR.file()?;
    let launch = Launch {
        name: "s3proxy",
        work,
        keys: KEYS,
        ready: refuses_strangers,
    };
    launch.start(|address| {
        let settings = work.join("s3proxy.conf");
        write_private(
            &settings,
            &format!(
                "s3proxy.endpoint=http://{address}\n\
                 s3proxy.authorization=aws-v2-or-v4\n\
                 s3proxy.identity={}\n\
                 s3proxy.credential={}\n\
                 jclouds.provider=filesystem-nio2\n\
                 jclouds.filesystem.basedir={}\n",
                KEYS.access,
                KEYS.secret,
                data(work).display()
            ),
        )?;
        let mut command = command("java", work);
        command
            .arg(format!("-Xmx{}m", size.heap_mib))
            .arg("-XX:+UseG1GC")
            .arg(format!("-XX:ActiveProcessorCount={}", size.processors))
            .arg("-jar")
            .arg(&jar)
            .arg("--properties")
            .arg(&settings);
        Ok(command)
    })
}
