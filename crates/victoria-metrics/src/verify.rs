//! Whether a stored backup is what it should be, without a server.
//!
//! Nothing is written, also no note of who reads: a backup that goes to the version meanwhile may delete what was still to be read. Then what the version
//! holds now is verified instead, and of that only what was not read yet: objects of one name have the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_storage::error::Cause;
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
    /// How often a backup went to the version while its bytes were read. What is told is of the last.
    pub overtaken: u32,
    /// What keeps vmrestore from it, although it is whole by its manifest.
    pub hindrance: Option<String>,
}

/// How often the lists are compared again while a backup changes them.
const LOOKS: usize = 3;
/// How many backups are followed that go to the version while its bytes are read: one an hour, for two days.
const FOLLOWED: u32 = 48;
/// Objects that are read at a time.
const AT_A_TIME: usize = 32;

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
    let mut report = Report {
        source: restore::source(place, version, program).await?,
        depth,
        faults: Vec::new(),
        compared: 0,
        overtaken: 0,
        hindrance: None,
    };
    if depth == Depth::Bytes {
        // Boxed: it asks much at once.
        let sums = Box::pin(bytes(place, &mut report, memory, program, progress)).await?;
        let manifest = &report.source.manifest;
        let known = manifest.slices().filter(|(_, sum)| sum.is_some());
        report.compared = known.count() as u64;
        report.faults = restore::differing(&sums, manifest);
    }
    if report.source.checked_by == CheckedBy::Manifest {
        let (faults, hindrance) = lists(place, &report.source.version).await?;
        report.faults.extend(faults);
        report.hindrance = hindrance;
    }
    Ok(report)
}

/// Reads all objects of the version, and returns their checksums. Where one is gone and a backup has gone to the version, what is there now is read.
async fn bytes(
    place: Place<'_>,
    report: &mut Report,
    memory: ByteSize,
    program: &str,
    progress: &Progress,
) -> Result<BTreeMap<Slice, u64>, Error> {
    let lane = Lane::new(16, memory.0, None);
    let mut sums = BTreeMap::new();
    loop {
        let source = &report.source;
        let Err(error) = read(place, source, &mut sums, &lane, progress).await else {
            return Ok(sums);
        };
        if !is_gone(&error) {
            return Err(error);
        }
        // One that is missing by what is there now is an error of this.
        let now = restore::source(place, &source.version, program).await?;
        if now.manifest == source.manifest {
            return Err(error);
        }
        if report.overtaken == FOLLOWED {
            let version = now.version;
            return Err(Error::Superseded { version });
        }
        report.overtaken += 1;
        // What a backup has sent again since is read again.
        let wanted: BTreeMap<Slice, Option<u64>> = now.manifest.slices().collect();
        sums.retain(|slice, sum| wanted.get(slice) == Some(&Some(*sum)));
        report.source = now;
    }
}

/// Reads those that have no checksum yet.
async fn read(
    place: Place<'_>,
    source: &Source,
    sums: &mut BTreeMap<Slice, u64>,
    lane: &Lane,
    progress: &Progress,
) -> Result<(), Error> {
    let slices = source.manifest.slices().map(|(slice, _)| slice);
    let rest: Vec<Slice> = slices.filter(|slice| !sums.contains_key(slice)).collect();
    let so_far = progress.read();
    let size: u64 = rest.iter().map(|slice| slice.size).sum();
    progress.expect(so_far.elements + rest.len() as u64, so_far.bytes + size);
    let mut read = futures::stream::iter(rest)
        .map(|slice| async move {
            let object = key(&source.version, &slice);
            let sum = place.bucket.sum_of(&object, slice.size, lane, progress);
            Ok::<_, Error>((sum.await?, slice))
        })
        .buffer_unordered(AT_A_TIME);
    while let Some((sum, slice)) = read.try_next().await? {
        sums.insert(slice, sum);
    }
    Ok(())
}

/// Whether an object is not there.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if matches!(*error.cause, Cause::NoObject))
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
        if let Some(fault) = &found.overruled {
            let reason = format!(
                "what was written to it last is damaged ({fault}), and this is Lifeboat's backup from before that"
            );
            return Ok((Vec::new(), Some(reason)));
        }
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
