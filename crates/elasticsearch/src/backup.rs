//! A snapshot, taken and waited for.
//!
//! The cluster takes it by itself, also when whoever asked for it is gone: then it is there under its name, marked as ours, and is listed and expires like any
//! other. Whether it was heard is found out by that name, never by asking twice.

use std::pin::pin;
use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use serde_json::{Value, json};

use crate::catalog::{Details, Repository};
use crate::client::{Repeat, Request, list, segment, unless_stopped};
use crate::counts::Counts;
use crate::error::Error;
use crate::indices;
use crate::name::Template;
use crate::pattern::Patterns;
use crate::snapshot::{DOCUMENTS, POLICY, Snapshot, State, TAKEN_BY, number, sum};

/// How often a snapshot that is being taken is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long the cluster has to hear that a snapshot is given up.
const GIVE_UP: Duration = Duration::from_secs(30);
/// What is read of how far it is. All else is told of each shard, megabytes of thousands.
const STATUS: &str =
    "_status?filter_path=snapshots.state,snapshots.shards_stats,snapshots.stats,error,status";

pub struct Options<'a> {
    pub template: &'a Template,
    pub patterns: &'a Patterns,
    /// The policy that its retention goes by.
    pub policy: &'a str,
    /// Name and version of this program.
    pub program: &'a str,
    pub now: Timestamp,
    pub random: [u8; 16],
}

/// What a snapshot would hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub name: String,
    pub indices: Vec<String>,
    pub data_streams: Vec<String>,
    /// Bytes of all copies of the indices, where the cluster tells.
    pub size: u64,
    /// What the indices hold now.
    pub counts: Counts,
}

/// Finds out what a snapshot would hold. An error where that is nothing.
pub async fn plan(repository: Repository<'_>, options: &Options<'_>) -> Result<Plan, Error> {
    let registered = repository
        .registered()
        .await?
        .ok_or_else(|| repository.missing())?;
    if registered.is_read_only() {
        return Err(Error::ReadOnly {
            repository: repository.name.to_owned(),
        });
    }
    let all = indices::all(repository.client).await?;
    let streams = indices::streams(repository.client).await?;
    let patterns = options.patterns;
    let data_streams: Vec<String> = streams
        .iter()
        .filter(|stream| patterns.matches(&stream.name))
        .map(|stream| stream.name.clone())
        .collect();
    let behind = indices::behind(&streams);
    let mut size = 0;
    let mut names = Vec::new();
    let mut counts = Vec::new();
    for index in &all {
        let stream = behind.get(index.name.as_str());
        let is_meant = match stream {
            Some(stream) => data_streams.contains(&stream.name),
            None => patterns.matches(&index.name),
        };
        if is_meant {
            size = sum([size, index.size.unwrap_or(0)]);
            counts.push((index.name.as_str(), index.documents));
            if stream.is_none() {
                names.push(index.name.clone());
            }
        }
    }
    let mut known = names.clone();
    known.extend(data_streams.iter().cloned());
    if let Some(missing) = patterns.missing(&known).first() {
        return Err(Error::UnknownIndex((*missing).to_owned()));
    }
    if known.is_empty() {
        return Err(Error::NothingMatches {
            patterns: patterns.as_slice().join(","),
        });
    }
    Ok(Plan {
        name: options.template.name(options.now, options.random),
        indices: names,
        data_streams,
        size,
        counts: Counts::new(counts),
    })
}

/// Takes the snapshot of a plan and waits until it is whole. When `progress` asks to stop, the snapshot is given up, or left where the cluster does not
/// hear of it.
pub async fn run(
    repository: Repository<'_>,
    plan: &Plan,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Snapshot, Error> {
    let begun = bounded(progress, begin(repository, plan, options));
    let Some(begun) = begun.await else {
        return Err(left(&plan.name, None));
    };
    begun?;
    let followed = unless_stopped(progress, follow(repository, &plan.name, progress));
    let taken = match followed.await {
        Ok(taken) => taken,
        Err(Error::Stopped) => {
            // Its deletion ends it.
            let given_up = bounded(progress, delete(repository, &plan.name)).await;
            return Err(match given_up {
                Some(Ok(())) => Error::Stopped,
                Some(Err(error)) => left(&plan.name, Some(error)),
                None => left(&plan.name, None),
            });
        }
        Err(error) => return Err(error),
    };
    match taken.state {
        State::Success => Ok(taken),
        _ => Err(not_whole(&taken)),
    }
}

/// Waits as long as it takes, and once somebody asked to stop, only a little longer. None where that was not enough.
async fn bounded<T>(progress: &Progress, question: impl Future<Output = T>) -> Option<T> {
    const LOOK: Duration = Duration::from_millis(200);
    let mut question = pin!(question);
    while !progress.is_stopped() {
        if let Ok(answer) = tokio::time::timeout(LOOK, &mut question).await {
            return Some(answer);
        }
    }
    tokio::time::timeout(GIVE_UP, question).await.ok()
}

/// Of a snapshot that was to be given up, and may not have been.
fn left(snapshot: &str, source: Option<Error>) -> Error {
    Error::NotGivenUp {
        snapshot: snapshot.to_owned(),
        source: source.map(Box::new),
    }
}

async fn begin(
    repository: Repository<'_>,
    plan: &Plan,
    options: &Options<'_>,
) -> Result<(), Error> {
    let mut body = repository.body(&plan.indices, &plan.data_streams);
    body["metadata"] = json!({
        TAKEN_BY: options.program,
        POLICY: options.policy,
        DOCUMENTS: plan.counts.as_str(),
    });
    let doing = format!("take the snapshot `{}`", plan.name);
    let path = repository.path(&format!(
        "/{}?wait_for_completion=false",
        segment(&plan.name)
    ));
    let request = Request::put(path, doing, Repeat::Never).body(body);
    match repository.client.ask(request.patiently()).await {
        Ok(_) => Ok(()),
        // Its answer may have been lost on the way: then it is there.
        Err(error) if error.is_lost_answer() => {
            match repository.get(&plan.name, Details::Without).await {
                Ok(Some(_)) => Ok(()),
                _ => Err(error),
            }
        }
        Err(error) => Err(repository.explain(error)),
    }
}

/// Waits until a snapshot is no longer being taken, and returns how it ended.
async fn follow(
    repository: Repository<'_>,
    name: &str,
    progress: &Progress,
) -> Result<Snapshot, Error> {
    let path = repository.path(&format!("/{}/{STATUS}", segment(name)));
    let mut told = (0, 0);
    loop {
        // A cluster that does not answer for a while goes on all the same.
        let request = Request::get(path.clone(), format!("tell how far `{name}` is"));
        match repository.client.ask(request.watching()).await {
            Ok(answer) => {
                let done = report(&answer["snapshots"][0], progress, &mut told);
                if done {
                    let found = repository.get(name, Details::WithSizes).await?;
                    match found {
                        Some(found) if found.state != State::InProgress => return Ok(found),
                        _ => {}
                    }
                }
            }
            Err(Error::Refused { refusal, .. }) if refusal.is("snapshot_missing_exception") => {
                return Err(given_up(repository, name).await);
            }
            // A store that cannot be read ends no snapshot: the cluster tries again by itself, and says whether it still does.
            Err(Error::Refused { refusal, .. })
                if refusal.status >= 500 && is_running(repository, name).await? => {}
            Err(error) => return Err(repository.explain(error)),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the cluster is still taking a snapshot, of which it asks its store nothing.
async fn is_running(repository: Repository<'_>, name: &str) -> Result<bool, Error> {
    let request = Request::get("_snapshot/_status", "tell which snapshots it is taking");
    let answer = repository.client.ask(request.watching()).await?;
    let running = answer["snapshots"].as_array().into_iter().flatten();
    let mut ours = running.filter(|one| one["repository"] == repository.name);
    Ok(ours.any(|one| one["snapshot"] == name))
}

/// Why a snapshot is not there any more. The engine keeps no word of it; its store may say it again.
async fn given_up(repository: Repository<'_>, name: &str) -> Error {
    let reason = match repository.verify().await {
        Err(Error::Unverified { reason, .. }) => reason,
        _ => "somebody deleted it, or its end could not be written; the log of the cluster says which"
            .to_owned(),
    };
    Error::GivenUp {
        snapshot: name.to_owned(),
        reason,
    }
}

/// Adds what is new to the progress. True once the snapshot is no longer being taken.
fn report(snapshot: &Value, progress: &Progress, told: &mut (u64, u64)) -> bool {
    let shards = &snapshot["shards_stats"];
    let sizes = &snapshot["stats"];
    // Absent where it is what the increment is.
    let processed = match &sizes["processed"] {
        Value::Null => &sizes["incremental"],
        processed => processed,
    };
    let finished = sum([number(&shards["done"]), number(&shards["failed"])]);
    let bytes = number(&processed["size_in_bytes"]);
    let expected = number(&sizes["incremental"]["size_in_bytes"]);
    progress.expect(number(&shards["total"]), expected.max(told.1));
    progress.add(
        finished.saturating_sub(told.0),
        bytes.saturating_sub(told.1),
    );
    *told = (told.0.max(finished), told.1.max(bytes));
    let state = snapshot["state"].as_str().unwrap_or_default();
    !matches!(state, "" | "INIT" | "STARTED" | "IN_PROGRESS" | "ABORTED")
}

/// Deletes a snapshot by its exact name. One that is not there is no failure.
async fn delete(repository: Repository<'_>, name: &str) -> Result<(), Error> {
    let doing = format!("delete the snapshot `{name}`");
    let path = repository.path(&format!("/{}", segment(name)));
    let request = Request::delete(path, doing, Repeat::Safe);
    match repository.client.ask(request.patiently()).await {
        Ok(_) => Ok(()),
        Err(Error::Refused { refusal, .. }) if refusal.is("snapshot_missing_exception") => Ok(()),
        Err(error) => Err(repository.explain(error)),
    }
}

/// Deletes snapshots by their exact names, which have to fit into one request. One that is not there is no failure.
///
/// The cluster deletes those of a request together. For each request it writes anew what the repository holds, which one by one takes sixty times as long.
pub(crate) async fn delete_all(repository: Repository<'_>, names: &[String]) -> Result<(), Error> {
    // After another name, one that begins so would mean what is to stay.
    let are_plain = names.iter().all(|name| !name.starts_with('-'));
    if names.len() > 1 && are_plain && repository.engine.deletes_many() {
        let doing = format!("delete {} snapshots, first `{}`", names.len(), names[0]);
        let path = repository.path(&format!("/{}", list(names)));
        let request = Request::delete(path, doing, Repeat::Safe);
        match repository.client.ask(request.patiently()).await {
            Ok(_) => return Ok(()),
            // One of them is gone, and so none of the others was deleted; or all were, and the answer was lost.
            Err(Error::Refused { refusal, .. }) if refusal.is("snapshot_missing_exception") => {}
            Err(error) => return Err(repository.explain(error)),
        }
    }
    for name in names {
        delete(repository, name).await?;
    }
    Ok(())
}

/// What is wrong with a snapshot that did not succeed.
pub(crate) fn not_whole(snapshot: &Snapshot) -> Error {
    let reason = match snapshot.failures.first() {
        Some(failure) => format!(
            "{} of {} shards failed, first shard {} of `{}`: {}",
            snapshot.shards.failed,
            snapshot.shards.total,
            failure.shard,
            failure.index,
            failure.reason
        ),
        None => format!(
            "{} of {} shards failed",
            snapshot.shards.failed, snapshot.shards.total
        ),
    };
    Error::NotWhole {
        snapshot: snapshot.name.clone(),
        state: snapshot.state.word().to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
