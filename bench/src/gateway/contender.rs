//! Who is compared: our gateway, and what a person could run in its place.

use std::fmt;
use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use lifeboat_testkit::servers::{Server, lifeboat, minio, s3proxy, seaweedfs, versitygw};
use serde::Serialize;

/// A server of S3 over a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[value(rename_all = "kebab-case")]
pub(crate) enum Contender {
    Lifeboat,
    S3proxy,
    #[value(name = "minio-2021")]
    #[serde(rename = "minio-2021")]
    Minio2021,
    #[value(name = "minio-2026")]
    #[serde(rename = "minio-2026")]
    Minio2026,
    Versitygw,
    Seaweedfs,
}

impl Contender {
    pub(crate) const PEERS: [Self; 5] = [
        Self::S3proxy,
        Self::Minio2021,
        Self::Minio2026,
        Self::Versitygw,
        Self::Seaweedfs,
    ];

    /// Whether what it has acknowledged is on the disk. Of MinIO that is nearly so: it syncs content and metadata, but
    /// no folder.
    pub(crate) fn syncs(self) -> bool {
        matches!(self, Self::Lifeboat | Self::Minio2026)
    }

    /// Gets its program into the cache: nobody should wait for that while something is measured.
    pub(crate) fn get(self) -> Result<()> {
        match self {
            Self::Lifeboat => {}
            Self::S3proxy => drop(s3proxy::JAR.file()?),
            Self::Minio2021 => drop(minio::OF_2021.programs()?),
            Self::Minio2026 => drop(minio::OF_2026.programs()?),
            Self::Versitygw => drop(versitygw::MODULE.programs()?),
            Self::Seaweedfs => drop(seaweedfs::program()?),
        }
        Ok(())
    }

    /// Starts it with its data in `work`; `program` is our own.
    pub(crate) fn start(self, program: &Path, work: &Path) -> Result<Server> {
        match self {
            Self::Lifeboat => lifeboat::start(program, work),
            Self::S3proxy => s3proxy::start(work, s3proxy::CHART),
            Self::Minio2021 => minio::start_2021(work, minio::Mode::Folder),
            Self::Minio2026 => minio::start_2026(work, minio::Storage::Plain),
            Self::Versitygw => versitygw::start(work),
            Self::Seaweedfs => seaweedfs::start(work),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lifeboat => "Lifeboat",
            Self::S3proxy => "s3proxy 4.0",
            Self::Minio2021 => "MinIO 2021",
            Self::Minio2026 => "MinIO 2026",
            Self::Versitygw => "versitygw 1.8",
            Self::Seaweedfs => "SeaweedFS 4.48",
        })
    }
}
