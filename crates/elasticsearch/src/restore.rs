//! A snapshot back into the cluster.
//!
//! Everything is found out before anything is done: the snapshot is whole and can be read, what is in the way is known by name. Then what is in the way goes, if that was
//! asked for, and the cluster restores by itself. What a SIGKILL leaves: before the deletion, nothing; during it, some of the indices that were to go, and the same command goes
//! on; after it, a restore that goes on in the cluster, which `attach` follows.

mod follow;
mod plan;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use serde::Serialize;
use serde_json::json;

use crate::catalog::{Details, Repository};
use crate::client::{Client, Repeat, Request, segment};
use crate::error::Error;
use crate::indices;
use crate::native::{self, Paused};
use crate::snapshot::{Shards, Snapshot, State, sum};

pub use self::follow::{Known, known};
pub use self::plan::{Existing, Partial, Plan, Rename, Wish};

/// A plan, and the snapshot that it is of.
#[derive(Debug)]
pub struct Planned {
    pub plan: Plan,
    pub snapshot: Snapshot,
    /// What takes snapshots by itself, and is stopped meanwhile, for people.
    pub stops: Vec<String>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub snapshot: String,
    pub indices: Vec<String>,
    pub shards: Shards,
    pub documents: u64,
    /// That they had at least when the snapshot was begun, where that is known.
    pub documents_when_taken: Option<u64>,
}

/// Finds out what a restore would do. Changes nothing.
pub async fn plan(
    repository: Repository<'_>,
    snapshot: &str,
    wish: &Wish<'_>,
) -> Result<Planned, Error> {
    let snapshot = repository.find(snapshot, Details::WithSizes).await?;
    let there = indices::all(repository.client).await?;
    let streams = indices::streams(repository.client).await?;
    let plan = plan::make(&snapshot, wish, repository.engine, &there, &streams)?;
    let stops = native::running(repository.client, repository.engine).await?;
    Ok(Planned {
        plan,
        snapshot,
        stops,
    })
}

/// Carries a plan out and waits until all of it is back. When `progress` asks to stop, a restore that has begun goes on in the cluster. What takes snapshots by
/// itself is stopped meanwhile, and started again however this ends; after a SIGKILL, the next restore does, and
/// whoever calls [`start_what_was_stopped`].
pub async fn run(
    repository: Repository<'_>,
    plan: &Plan,
    wish: &Wish<'_>,
    progress: &Progress,
    now: Timestamp,
) -> Result<Restored, Error> {
    let (client, engine) = (repository.client, repository.engine);
    let restored = match native::pause(client, engine, &plan.snapshot, now, progress).await {
        Ok(stopped) => {
            for what in stopped {
                tracing::info!(what, "stopped");
            }
            Box::pin(restore(repository, plan, wish, progress)).await
        }
        Err(error) => Err(error),
    };
    start_again(repository, restored).await
}

/// Starts what was stopped for restores; an error only where there is none yet. Where this one ended well and another one is under way, that one does so.
async fn start_again<T>(repository: Repository<'_>, result: Result<T, Error>) -> Result<T, Error> {
    let still_stopped = |error| Error::StillStopped {
        source: Box::new(error),
    };
    let started = match &result {
        Ok(_) => start_what_was_stopped(repository).await,
        Err(_) => native::resume(repository.client).await,
    };
    match (started, result) {
        (Ok(_), result) => result,
        (Err(error), Ok(_)) => Err(still_stopped(error)),
        (Err(error), Err(first)) => {
            let reason = error.to_string();
            tracing::error!(reason, "{}", still_stopped(error));
            Err(first)
        }
    }
}

/// Starts what was stopped for a restore, unless one is still under way.
pub async fn start_what_was_stopped(repository: Repository<'_>) -> Result<Option<Paused>, Error> {
    let client = repository.client;
    if native::noted(client).await?.is_none() {
        return Ok(None);
    }
    if follow::is_under_way(client, repository.name).await? {
        return Ok(None);
    }
    native::resume(client).await
}

async fn restore(
    repository: Repository<'_>,
    plan: &Plan,
    wish: &Wish<'_>,
    progress: &Progress,
) -> Result<Restored, Error> {
    make_room(repository, plan, progress).await?;
    go_on(progress)?;
    begin(repository, plan, wish).await?;
    let least = plan.documents;
    wait(repository, &plan.snapshot, &plan.targets, least, progress).await
}

/// An error once somebody asked to stop.
fn go_on(progress: &Progress) -> Result<(), Error> {
    if progress.is_stopped() {
        Err(Error::Stopped)
    } else {
        Ok(())
    }
}

/// Follows a restore that was begun before, or has ended meanwhile.
pub async fn attach(
    repository: Repository<'_>,
    restore: &Known,
    progress: &Progress,
) -> Result<Restored, Error> {
    let snapshot = repository.get(&restore.snapshot, Details::Without).await?;
    let snapshot = snapshot.filter(|snapshot| snapshot.state == State::Success);
    let least = snapshot.and_then(|snapshot| {
        let counts = snapshot.counts?;
        counts.least(&snapshot.indices, &restore.indices)
    });
    let restored = wait(
        repository,
        &restore.snapshot,
        &restore.indices,
        least,
        progress,
    );
    let restored = restored.await;
    start_again(repository, restored).await
}

/// Gives a restore up: deletes the indices that it makes.
pub async fn cancel(repository: Repository<'_>, restore: &Known) -> Result<(), Error> {
    let deleted = delete_restored(repository.client, &restore.indices).await;
    start_again(repository, deleted).await
}

async fn delete_restored(client: &Client, restored: &[String]) -> Result<(), Error> {
    // A stream that was made with them goes on by itself and cannot be without its newest index.
    let streams = indices::streams(client).await?;
    let names: BTreeSet<&String> = restored.iter().collect();
    for stream in streams {
        if stream.indices.iter().all(|index| names.contains(index)) {
            indices::delete_stream(client, &stream.name).await?;
        }
    }
    let left = indices::left(client, restored).await?;
    indices::delete(client, &left, |_| {}).await
}

/// Deletes what is in the way, and proves that it is gone.
async fn make_room(
    repository: Repository<'_>,
    plan: &Plan,
    progress: &Progress,
) -> Result<(), Error> {
    let client = repository.client;
    go_on(progress)?;
    if !plan.delete_streams.is_empty() || !plan.delete_indices.is_empty() {
        until_no_snapshot_is_taken(client, progress).await?;
    }
    for stream in &plan.roll_over {
        let new = indices::roll_over(client, stream).await?;
        tracing::info!(stream, new, "rolled the data stream over");
    }
    for stream in &plan.delete_streams {
        go_on(progress)?;
        indices::delete_stream(client, stream).await?;
        tracing::info!(stream, "deleted the data stream");
    }
    indices::delete(client, &plan.delete_indices, |_| {}).await?;
    let left = indices::left(client, &plan.delete_indices).await?;
    if left.is_empty() {
        Ok(())
    } else {
        Err(Error::Exist { indices: left })
    }
}

/// What is being taken cannot be deleted, and would be refused in the middle of it. After ten minutes that is for the cluster to say.
async fn until_no_snapshot_is_taken(client: &Client, progress: &Progress) -> Result<(), Error> {
    const LOOKS: u32 = 600;
    for look in 0..LOOKS {
        let asked = Request::get("_snapshot/_status", "tell which snapshots it is taking");
        let running = client.ask(asked).await?;
        if running["snapshots"].as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        if look == 0 {
            tracing::warn!("waiting for a snapshot that is being taken");
        }
        go_on(progress)?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn begin(repository: Repository<'_>, plan: &Plan, wish: &Wish<'_>) -> Result<(), Error> {
    let mut body = repository.body(&plan.indices, &plan.data_streams);
    body["include_aliases"] = json!(true);
    body["partial"] = json!(wish.partial == Partial::Allowed);
    if let Some(rename) = wish.rename {
        body["rename_pattern"] = json!(rename.text);
        body["rename_replacement"] = json!(rename.replacement);
    }
    let doing = format!("restore the snapshot `{}`", plan.snapshot);
    let path = repository.path(&format!(
        "/{}/_restore?wait_for_completion=false",
        segment(&plan.snapshot)
    ));
    let request = Request::post(path, doing, Repeat::Never).body(body);
    match repository.client.ask(request.patiently()).await {
        Ok(_) => Ok(()),
        // Its answer may have been lost on the way: then the indices are there.
        Err(error) if error.is_lost_answer() => {
            let there = indices::left(repository.client, &plan.targets).await;
            match there {
                Ok(there) if there.len() == plan.targets.len() && plan.over_closed.is_empty() => {
                    Ok(())
                }
                _ => Err(error),
            }
        }
        Err(error) => Err(repository.explain(error)),
    }
}

async fn wait(
    repository: Repository<'_>,
    snapshot: &str,
    targets: &[String],
    least: Option<u64>,
    progress: &Progress,
) -> Result<Restored, Error> {
    follow::until_done(repository.client, snapshot, targets, progress).await?;
    let there = indices::all(repository.client).await?;
    let names: BTreeSet<&String> = targets.iter().collect();
    let restored = there.iter().filter(|index| names.contains(&index.name));
    let total = sum(restored.clone().map(|index| index.primaries));
    let documents = sum(restored.filter_map(|index| index.documents));
    if let Some(counted) = least.filter(|least| documents < *least) {
        return Err(Error::TooFewDocuments {
            found: documents,
            counted,
        });
    }
    let mut indices = targets.to_vec();
    indices.sort();
    Ok(Restored {
        snapshot: snapshot.to_owned(),
        indices,
        shards: Shards {
            total,
            failed: 0,
            successful: total,
        },
        documents,
        documents_when_taken: least,
    })
}

/// What the engine would have answered to whoever waited for it.
#[derive(Debug, Serialize)]
pub struct EngineAnswer<'a> {
    snapshot: EngineSnapshot<'a>,
}

#[derive(Debug, Serialize)]
struct EngineSnapshot<'a> {
    snapshot: &'a str,
    indices: &'a [String],
    shards: Shards,
}

impl Restored {
    pub fn as_engine(&self) -> EngineAnswer<'_> {
        EngineAnswer {
            snapshot: EngineSnapshot {
                snapshot: &self.snapshot,
                indices: &self.indices,
                shards: self.shards,
            },
        }
    }
}
