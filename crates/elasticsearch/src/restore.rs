//! A snapshot back into the cluster.
//!
//! Everything is found out before anything is done: the snapshot is whole and can be read, what is in the way is known by name. Then what is in the way goes, if that was
//! asked for, and the cluster restores by itself. What a SIGKILL leaves: before the deletion, nothing; during it, some of the indices that were to go, and the same command goes
//! on; after it, a restore that goes on in the cluster, which `attach` follows.

mod follow;
mod plan;
mod room;

use std::collections::BTreeSet;
use std::error::Error as _;
use std::time::Duration;

use lifeboat_core::progress::Progress;
use serde::Serialize;
use serde_json::json;

use crate::catalog::{Details, Repository};
use crate::client::{Client, Repeat, Request, segment};
use crate::error::Error;
use crate::indices;
use crate::native::{self, Clock, Restoring, Standing};
use crate::snapshot::{Shards, Snapshot, State, sum};

pub use self::follow::{Known, known};
pub use self::plan::{Existing, Partial, Plan, Rename, Wish};
pub use self::room::Crowd;

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
    let cluster = room::Cluster::ask(repository.client).await?;
    let plan = plan::make(&snapshot, wish, repository.engine, &cluster)?;
    let stops = native::running(repository.client, repository.engine).await?;
    Ok(Planned {
        plan,
        snapshot,
        stops,
    })
}

/// How following a restore ended.
#[derive(Debug)]
pub struct Followed<T> {
    pub result: Result<T, Error>,
    /// What became of what was stopped for it, or for others.
    pub standing: Standing,
}

/// Carries a plan out and waits until all of it is back. When `progress` asks to stop, a restore that has begun goes on in the cluster. What takes snapshots by
/// itself is stopped meanwhile, and started again however this ends, unless the cluster goes on or another restore lives; then whoever ends last does so, or calls
/// [`native::resume_if_left_behind`]. The same after a SIGKILL.
pub async fn run(
    repository: Repository<'_>,
    plan: &Plan,
    wish: &Wish<'_>,
    progress: &Progress,
    clock: Clock<'_>,
) -> Followed<Restored> {
    let (client, engine) = (repository.client, repository.engine);
    let restoring = Restoring {
        repository: repository.name,
        snapshot: &plan.snapshot,
        targets: &plan.targets,
    };
    let restore = Box::pin(restore(repository, plan, wish, progress));
    let restored = match native::pause(client, engine, restoring, clock()).await {
        Ok(None) => restore.await,
        Ok(Some(pause)) => {
            let stopped_meanwhile = async {
                pause.stop(progress).await?;
                restore.await
            };
            pause.keep(clock, stopped_meanwhile).await
        }
        Err(error) => Err(error),
    };
    end(restored, native::release(client, restoring, clock).await)
}

/// That what was stopped does not start is an error only where there is none yet.
fn end<T>(result: Result<T, Error>, standing: Result<Standing, Error>) -> Followed<T> {
    let error = match standing {
        Ok(standing) => return Followed { result, standing },
        Err(error) => Error::StillStopped {
            source: Box::new(error),
        },
    };
    let result = match result {
        Ok(_) => Err(error),
        Err(first) => {
            let reason = error.source().map(ToString::to_string);
            tracing::error!(reason, "{error}");
            Err(first)
        }
    };
    let standing = Standing::Nothing;
    Followed { result, standing }
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
    clock: Clock<'_>,
) -> Followed<Restored> {
    let restored = follow_again(repository, restore, progress).await;
    end_of(repository, restore, clock, restored).await
}

async fn follow_again(
    repository: Repository<'_>,
    restore: &Known,
    progress: &Progress,
) -> Result<Restored, Error> {
    let snapshot = repository.get(&restore.snapshot, Details::Without).await?;
    let snapshot = snapshot.filter(|snapshot| snapshot.state == State::Success);
    let least = snapshot.and_then(|snapshot| {
        let counts = snapshot.counts?;
        counts.least(&snapshot.indices, &restore.sources)
    });
    wait(
        repository,
        &restore.snapshot,
        &restore.indices,
        least,
        progress,
    )
    .await
}

/// Gives a restore up: deletes the indices that it makes.
pub async fn cancel(repository: Repository<'_>, restore: &Known, clock: Clock<'_>) -> Followed<()> {
    let deleted = delete_restored(repository.client, &restore.indices).await;
    end_of(repository, restore, clock, deleted).await
}

/// The end of a restore that another run may have begun. While the cluster is at it, what that one says of itself is of no matter; before, it may be about to begin anew.
async fn end_of<T>(
    repository: Repository<'_>,
    restore: &Known,
    clock: Clock<'_>,
    result: Result<T, Error>,
) -> Followed<T> {
    let client = repository.client;
    let standing = if restore.is_active {
        let restoring = Restoring {
            repository: repository.name,
            snapshot: &restore.snapshot,
            targets: &restore.indices,
        };
        native::release(client, restoring, clock).await
    } else {
        native::resume_if_left_behind(client, clock()).await
    };
    end(result, standing)
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
