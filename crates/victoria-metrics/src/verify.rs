//! Whether a stored backup is what it should be, without a server.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_storage::transfer::Lane;

use crate::error::Error;
use crate::files::Fault;
use crate::layout::Slice;
use crate::restore::{self, CheckedBy, Source};
use crate::store::{Place, key};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The listing, the lists of parts, and what they name.
    Names,
    /// Every byte.
    Bytes,
}

#[derive(Debug)]
pub struct Report {
    pub source: Source,
    pub depth: Depth,
    pub faults: Vec<Fault>,
    /// Objects whose bytes could be compared with a checksum.
    pub compared: u64,
}

/// Verifies a backup. Damage that is found is in the report; what keeps a backup from being looked at is an error.
pub async fn run(
    place: Place<'_>,
    version: &str,
    depth: Depth,
    memory: ByteSize,
    program: &str,
    progress: &Progress,
) -> Result<Report, Error> {
    tokio::select! {
        report = look(place, version, depth, memory, program, progress) => report,
        stopped = crate::backup::stopped(progress) => Err(stopped),
    }
}

async fn look(
    place: Place<'_>,
    version: &str,
    depth: Depth,
    memory: ByteSize,
    program: &str,
    progress: &Progress,
) -> Result<Report, Error> {
    let source = restore::source(place, version, program).await?;
    let mut report = Report {
        depth,
        faults: Vec::new(),
        compared: 0,
        source,
    };
    if depth == Depth::Names {
        return Ok(report);
    }
    let manifest = &report.source.manifest;
    progress.expect(manifest.files.len() as u64, manifest.size());
    let lane = Lane::new(16, memory.0, None);
    let version = &report.source.version;
    let lane = &lane;
    let sums: BTreeMap<Slice, u64> = futures::stream::iter(manifest.slices())
        .map(|(slice, _)| async move {
            let object = key(version, &slice);
            let sum = place
                .bucket
                .sum_of(&object, slice.size, lane, progress)
                .await?;
            Ok::<_, Error>((slice, sum))
        })
        .buffer_unordered(32)
        .try_collect()
        .await?;
    report.compared = manifest.slices().filter(|(_, sum)| sum.is_some()).count() as u64;
    report.faults = restore::differing(&sums, manifest);
    Ok(report)
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether there was anything to compare bytes with.
    pub fn has_checksums(&self) -> bool {
        self.source.checked_by == CheckedBy::Manifest
            && self.source.manifest.slices().all(|(_, sum)| sum.is_some())
    }
}
