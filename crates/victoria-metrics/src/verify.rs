//! Whether a stored backup is what it should be, without a server.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_storage::transfer::Lane;

use crate::error::Error;
use crate::files::Fault;
use crate::layout::{self, Slice};
use crate::manifest::Manifest;
use crate::parts;
use crate::restore::{self, CheckedBy, Source};
use crate::standing::Standing;
use crate::store::{Found, Place, key};

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
    /// What keeps vmrestore from it, although it is whole by its manifest.
    pub hindrance: Option<String>,
}

/// How often the lists are compared again while a backup changes them.
const LOOKS: usize = 3;

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
        hindrance: None,
        source,
    };
    if report.source.checked_by == CheckedBy::Manifest {
        let version = &report.source.version;
        (report.faults, report.hindrance) = lists(place, version).await?;
    }
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
    report.faults.extend(restore::differing(&sums, manifest));
    Ok(report)
}

/// Compares the lists and their like, as they are stored, with the manifest. A restore of ours takes those of the manifest; vmrestore takes what is stored,
/// and does so where the mark is there: then what differs is damage. While the mark is away, as a run leaves it that was cut near its end, vmrestore
/// refuses, nobody takes them, and the next backup sends them again.
async fn lists(place: Place<'_>, version: &str) -> Result<(Vec<Fault>, Option<String>), Error> {
    // Boxed: it asks much at once.
    let mut found = Box::pin(place.look(version)).await?;
    for _ in 0..LOOKS {
        let Standing::Whole(manifest) = &found.standing else {
            // Another run has begun since.
            return Ok((Vec::new(), None));
        };
        let faults = differing_lists(place, &found, manifest).await?;
        if faults.is_empty() && found.mark.is_some() {
            return Ok((faults, None));
        }
        let again = Box::pin(place.look(version)).await?;
        if again.manifest == found.manifest && again.mark == found.mark {
            if found.mark.is_some() {
                return Ok((faults, None));
            }
            let reason = faults.first().map_or_else(
                || "its completion mark is missing".to_owned(),
                ToString::to_string,
            );
            return Ok((Vec::new(), Some(reason)));
        }
        found = again;
    }
    Ok((Vec::new(), None))
}

async fn differing_lists(
    place: Place<'_>,
    found: &Found,
    manifest: &Manifest,
) -> Result<Vec<Fault>, Error> {
    let mut stored: BTreeMap<&str, Vec<&Slice>> = BTreeMap::new();
    for slice in found.stored.slices.keys() {
        if layout::is_mutable(&slice.path) {
            stored.entry(&slice.path).or_default().push(slice);
        }
    }
    let paths: BTreeSet<&str> = manifest.files.keys().map(String::as_str).collect();
    let foreign = stored
        .keys()
        .filter(|path| !manifest.held.contains_key(**path) && parts::has_parts(path, &paths));
    let foreign = foreign.map(|path| Fault::Foreign {
        path: (*path).to_owned(),
    });
    let mut faults: Vec<Fault> = foreign.collect();
    let held = manifest.held.iter().map(|(path, held)| {
        let there = stored.get(path.as_str()).cloned().unwrap_or_default();
        async move {
            let path = path.clone();
            let wanted: Vec<Slice> = Slice::of(&path, held.0.len() as u64).collect();
            if let Some(other) = there.iter().find(|slice| !wanted.contains(slice)) {
                let sizes = [held.0.len() as u64, other.file_size];
                return Ok(Some(Fault::Sizes { path, sizes }));
            }
            let mut content = Vec::new();
            for slice in &wanted {
                match place.bucket.fetch(&key(&found.version, slice)).await? {
                    Some(fetched) => content.extend_from_slice(&fetched.bytes),
                    None => return Ok(Some(Fault::Missing { path })),
                }
            }
            Ok::<_, Error>((content != held.0).then_some(Fault::Checksum { path }))
        }
    });
    let compared: Vec<Option<Fault>> = futures::stream::iter(held)
        .buffered(32)
        .try_collect()
        .await?;
    faults.extend(compared.into_iter().flatten());
    Ok(faults)
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
