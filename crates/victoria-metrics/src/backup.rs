//! A backup from the server's snapshot to the bucket.
//!
//! The steps in the bucket, and why in this order, are in [`plan`](crate::plan). What a SIGKILL leaves:
//!
//! - before the completion mark is taken away and the manifest written: the backup before, for every tool, and beside it objects that
//!   the next run continues with;
//! - between these two, which are under way at once: the backup before, by its manifest (one of vmbackup got a manifest first), or, where the new
//!   manifest came first, by the mark and the objects, all of which are there;
//! - after both: the new backup, by its manifest; vmrestore wants to see the mark, which the next run puts back. The same is left, and said, where somebody restores
//!   from the version: see [`reader`].
//!
//! A snapshot is left on the server as well; the lease knows its name, or when it was asked for, and the next run deletes it.

mod compare;
mod outcome;
mod send;
mod take;

use std::path::Path;

use jiff::{Timestamp, Zoned};
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_storage::Condition;
use lifeboat_storage::transfer::Lane;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::generation::{self, Spared};
use crate::layout::{MANIFEST, MARK, TIMES};
use crate::lease::{self, Card, Lease};
use crate::manifest::{FileEntry, Held, Manifest, Mark};
use crate::reader;
use crate::server::Server;
use crate::standing::Standing;
use crate::store::{LATEST, Place};

use self::take::Taken;

pub(crate) use self::outcome::adopted;
pub use self::outcome::{Forecast, Outcome};
pub(crate) use self::send::{blocking, stopped};

/// Which version a backup goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// The one whose label the server keeps.
    ByLabel,
    /// Always `latest`, of which dated copies are made.
    Latest,
}

/// Whether a backup may replace one that is ten times as large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrinking {
    Refused,
    Allowed,
}

/// Whether what is stored under its name and in its size is taken for what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Trusted,
    /// All of it is read, and what is damaged sent again.
    Compared,
}

pub struct Options<'a> {
    /// The data folder of the server, which is only read.
    pub data: &'a Path,
    pub versions: Versions,
    pub shrinking: Shrinking,
    pub kept: Kept,
    /// A version that exists is not replaced by data that goes back less.
    pub min_history_seconds: u64,
    /// What is going to be restored after this backup, which goes where no backup after the restore goes.
    pub spared: Option<Spared<'a>>,
    pub limit: Option<ByteSize>,
    pub memory: ByteSize,
    /// Name and version of this program.
    pub program: String,
    /// For people: host, process and command.
    pub owner: String,
    /// The run's own identity.
    pub run: String,
    /// What labels are made of.
    pub now: Zoned,
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
}

/// Whether a run is in earnest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intent {
    Do,
    /// Nothing is kept in the server and nothing stored, but for the lease.
    Foresee,
    /// Only objects are copied: the server is not needed.
    Copy,
}

/// A run under way.
struct Run<'a, 'b> {
    server: &'a Server,
    place: Place<'a>,
    options: &'a Options<'a>,
    lease: &'a Mutex<Lease<'b>>,
    progress: &'a Progress,
    lane: Lane,
    intent: Intent,
}

/// Makes the backup. On failure, and when `progress` asks to stop, the bucket holds the backup before, or once the manifest was written the new one, which vmrestore
/// may not see before the next run; the snapshot is deleted.
pub async fn run(
    server: &Server,
    place: Place<'_>,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Outcome, Error> {
    with_lease(server, place, options, progress, Intent::Do, async |run| {
        // Boxed: it asks much at once.
        let taken = Box::pin(run.take()).await?;
        run.store(taken).await
    })
    .await
}

/// Finds out what [`run`] would do: makes a snapshot, compares, deletes it, and writes nothing but the lease.
pub async fn forecast(
    server: &Server,
    place: Place<'_>,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Forecast, Error> {
    with_lease(
        server,
        place,
        options,
        progress,
        Intent::Foresee,
        async |run| {
            let taken = Box::pin(run.take()).await?;
            let (plan, _) = run.plan(&taken).await?;
            Ok(Forecast::new(place, &taken, &plan))
        },
    )
    .await
}

/// A dated copy that was made.
#[derive(Debug)]
pub struct Copied {
    pub source: String,
    pub version: String,
    pub objects: u64,
}

/// Makes a dated copy of the version `latest`. On failure what was copied is not complete, and expires, unless the manifest was written: then it lacks but the mark.
pub async fn copy(
    server: &Server,
    place: Place<'_>,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Copied, Error> {
    with_lease(
        server,
        place,
        options,
        progress,
        Intent::Copy,
        async |run| {
            let latest = format!("{}-{LATEST}", place.prefix);
            let source = crate::restore::source(place, &latest, &options.program).await?;
            let label = generation::fresh(&place.labels().await?, &options.now);
            let version = format!("{}-{label}", place.prefix);
            run.lease.lock().await.note_version(&version).await?;
            let objects = crate::copy::run(place, &source, &version, progress).await?;
            Ok(Copied {
                source: source.version,
                version,
                objects,
            })
        },
    )
    .await
}

async fn with_lease<T>(
    server: &Server,
    place: Place<'_>,
    options: &Options<'_>,
    progress: &Progress,
    intent: Intent,
    work: impl AsyncFnOnce(&Run<'_, '_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let since = (options.clock)();
    let card = Card::new(&options.owner, &options.run, since);
    // Stopped while it is taken, it ends by itself.
    let (lease, predecessor) = tokio::select! {
        taken = Lease::take(place.bucket, place.lease_key(), card, since) => taken?,
        stopped = send::stopped(progress) => return Err(stopped),
    };
    let lease = Mutex::new(lease);
    let run = Run {
        server,
        place,
        options,
        lease: &lease,
        progress,
        lane: Lane::new(16, options.memory.0, options.limit),
        intent,
    };
    let worked = async {
        if let Some(predecessor) = &predecessor {
            match run.clean_up_after(predecessor).await {
                // The lease goes on saying what is left.
                Err(error) if intent == Intent::Copy && error.is_of_server() => {
                    tracing::warn!(%error, "what a run that was killed left on the server is still there; the next backup deletes it");
                }
                done => done?,
            }
        }
        Box::pin(work(&run)).await
    };
    let done = tokio::select! {
        done = worked => done,
        lost = lease::keep(&lease, options.clock) => Err(lost),
        stopped = send::stopped(progress) => Err(stopped),
    };
    // Where that fails the lease stays with its name, and what was done counts.
    run.delete_snapshot().await.ok();
    if let Err(error) = run.settle_wishes().await {
        tracing::warn!(%error, "a snapshot may be left on the server; the next run looks for it");
    }
    if let Err(Error::LeaseLost) = done {
        // Lease and uploads are another run's now.
        return done;
    }
    if done.is_err() {
        // Nobody has prolonged the lease since, and the server may have taken longer over its snapshot than that lasts.
        run.end_uploads().await;
    }
    let now = run.now();
    drop(run);
    lease.into_inner().release(now).await;
    done
}

impl Run<'_, '_> {
    fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    /// Deletes the snapshot of a run that was killed, and ends its uploads. One whose name it did not come to note may be in the making yet and waits for
    /// [`settle_wishes`](Self::settle_wishes).
    async fn clean_up_after(&self, before: &Card) -> Result<(), Error> {
        self.end_uploads().await;
        if let Some(name) = &before.snapshot {
            self.server.delete_snapshot(name).await?;
            tracing::info!(
                snapshot = name,
                "deleted the snapshot of a run that was killed"
            );
        }
        Ok(())
    }

    /// Deletes the snapshots that killed runs asked for and whose names they did not come to note. The newest goes first: it is what the one before it is not.
    async fn settle_wishes(&self) -> Result<(), Error> {
        let mut lease = self.lease.lock().await;
        let wishes = lease.settled_wishes().to_vec();
        if wishes.is_empty() {
            return Ok(());
        }
        let mut there = self.server.snapshots().await?;
        there.retain(|name| lease.snapshot() != Some(name));
        for wish in wishes.iter().rev() {
            let Some(name) = wish.granted(&there) else {
                tracing::info!(
                    asked = %wish.asked,
                    "a run that was killed had asked for a snapshot, and none that is there can be told to be it"
                );
                continue;
            };
            self.server.delete_snapshot(&name).await?;
            there.retain(|other| *other != name);
            tracing::info!(
                snapshot = name,
                "deleted a snapshot whose name was not noted"
            );
        }
        lease.forget_settled().await
    }

    /// Ends what was cut in the middle of an upload, by this run or by one before it that was killed.
    async fn end_uploads(&self) {
        if let Err(error) = lease::end_uploads(self.lease, self.now()).await {
            tracing::info!(%error, "unfinished uploads were not ended; the gateway does it in a week");
        }
    }

    /// Deletes the run's own snapshot, if there is one. Where that fails, the lease stays with its name: it has room for one, so no other may be asked for then.
    async fn delete_snapshot(&self) -> Result<(), Error> {
        let made = self.server.made_snapshot().await;
        let mut lease = self.lease.lock().await;
        let Some(name) = made.or_else(|| lease.snapshot().map(str::to_owned)) else {
            return Ok(());
        };
        let deleted = self.server.delete_snapshot(&name).await;
        match &deleted {
            Ok(()) => lease.forget_snapshot(),
            Err(error) => {
                tracing::warn!(%error, snapshot = name, "the snapshot was not deleted; the next run does it");
                if lease.snapshot() != Some(&name)
                    && let Err(error) = lease.note_snapshot(name).await
                {
                    tracing::info!(%error, "nor does the lease name it");
                }
            }
        }
        deleted
    }

    async fn store(&self, taken: Taken) -> Result<Outcome, Error> {
        let bucket = self.place.bucket;
        let version = &taken.found.version;
        let (plan, sums) = self.plan(&taken).await?;
        let read = self.progress.read().bytes;
        self.progress.expect(0, read + plan.upload_size());
        let series = self.server.series().await;
        let mut known = taken.found.manifest.clone();
        let key = |name: &str| format!("{version}/{name}");

        // What vmbackup wrote must be restorable without its mark.
        if let (Standing::Marked(_), Some(before)) = (&taken.found.standing, &taken.before) {
            known = Some(self.write_manifest(version, before, known.as_ref()).await?);
        }
        let mark_goes_first = plan.mark_goes_first;
        if mark_goes_first && taken.found.mark.is_some() {
            bucket.delete(&key(MARK)).await?;
        }
        self.send_held(version, &plan.empty_lists, |path| {
            crate::parts::empty_list(path).map(<[u8]>::to_vec)
        })
        .await?;
        let sums = self.send_files(version, &plan, &taken, &sums).await?;

        let manifest = self.manifest(&taken, sums, series);
        self.lease.lock().await.make_sure(self.now()).await?;
        let unmark = async {
            if !mark_goes_first && taken.found.mark.is_some() {
                bucket.delete(&key(MARK)).await?;
            }
            Ok(())
        };
        // From here the new backup counts. While the mark is still there it does not: then it is the one before, whose objects are all there.
        let write = self.write_manifest(version, &manifest, known.as_ref());
        futures::future::try_join(unmark, write).await?;
        // Only now: whoever notes later that it reads finds the new manifest.
        let readers = if plan.obsolete.is_empty() {
            Vec::new()
        } else {
            reader::readers(self.place, version, self.now()).await?
        };
        self.lease.lock().await.make_sure(self.now()).await?;
        // Without the mark nobody looks at these but by the manifest, which knows what is in the lists.
        let send = self.send_held(version, &plan.held, |path| {
            taken.snapshot.held.get(path).cloned()
        });
        let times = async {
            let times = manifest.mark.times.clone().unwrap_or_default();
            Ok(bucket.store(&key(TIMES), times, Condition::None).await?)
        };
        let replaced = self.delete(version, &plan.replaced);
        let obsolete = async {
            if readers.is_empty() {
                self.delete(version, &plan.obsolete).await?;
            }
            Ok(())
        };
        futures::future::try_join4(send, times, replaced, obsolete).await?;
        self.lease.lock().await.make_sure(self.now()).await?;
        // With what is somebody else's to read beside it, vmrestore would bring back more than the backup.
        if readers.is_empty() {
            bucket
                .store(&key(MARK), Vec::new(), Condition::None)
                .await?;
        }
        Ok(Outcome::new(&taken, &plan, manifest, readers))
    }

    async fn write_manifest(
        &self,
        version: &str,
        manifest: &Manifest,
        known: Option<&lifeboat_storage::Version>,
    ) -> Result<lifeboat_storage::Version, Error> {
        let condition = known.map_or(Condition::Absent, Condition::Unchanged);
        let key = format!("{version}/{MANIFEST}");
        match self
            .place
            .bucket
            .store(&key, manifest.write(), condition)
            .await
        {
            Ok(stored) => Ok(stored),
            Err(error) if matches!(*error.cause, lifeboat_storage::error::Cause::Exists) => {
                Err(Error::LeaseLost)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn manifest(
        &self,
        taken: &Taken,
        mut sums: std::collections::BTreeMap<String, Vec<u64>>,
        series: Option<u64>,
    ) -> Manifest {
        let completed = self.now();
        let files = taken.snapshot.files.iter();
        let files = files.map(|(path, size)| {
            let slices = sums.remove(path).unwrap_or_default();
            (
                path.clone(),
                FileEntry {
                    size: *size,
                    slices,
                },
            )
        });
        let held = taken.snapshot.held.iter();
        let held = held.map(|(path, content)| (path.clone(), Held(content.clone())));
        Manifest {
            format: Manifest::FORMAT,
            program: self.options.program.clone(),
            instance: self.place.instance.to_owned(),
            server: taken.vitals.version,
            layout: taken.layout,
            snapshot: Some(taken.name.clone()),
            labelled: taken.labelled,
            taken: taken.at,
            completed,
            rows: Some(taken.summary.rows),
            range: taken.summary.range,
            mark: Mark {
                size: 0,
                stored: None,
                times: Some(outcome::times(taken.at, completed)),
            },
            series,
            files: files.collect(),
            held: held.collect(),
        }
    }
}
