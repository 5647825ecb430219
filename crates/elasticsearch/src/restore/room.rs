//! Whether the cluster has room for what is restored.
//!
//! Pure, but for the questions. The engine would say no only after the deletions of a restore.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::plan::Plan;
use crate::client::{Client, Request};
use crate::engine::{Engine, Family};
use crate::error::Error;
use crate::indices::{self, Alias, Index, Status, Stream};
use crate::snapshot::{Snapshot, number, sum};

/// How many shards a node that holds data may have on average, unless the engine says that it is otherwise.
const LIMIT: &str = "*.cluster.max_shards_per_node";

/// What is there before a restore.
#[derive(Debug, Clone, Default)]
pub(super) struct Cluster {
    pub(super) indices: Vec<Index>,
    pub(super) streams: Vec<Stream>,
    pub(super) aliases: Vec<Alias>,
    /// Shards of open indices that the engine allows for, where it tells.
    pub(super) limit: Option<u64>,
}

/// More shards than the engine allows for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowd {
    /// Of open indices after the restore: as many copies of an index as there are of the one that it replaces, one of others.
    pub after: u64,
    pub limit: u64,
}

impl Cluster {
    pub(super) async fn ask(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            indices: indices::all(client).await?,
            streams: indices::streams(client).await?,
            aliases: indices::aliases(client).await?,
            limit: limit(client).await?,
        })
    }
}

async fn limit(client: &Client) -> Result<Option<u64>, Error> {
    let path = format!("_cluster/settings?include_defaults=true&filter_path={LIMIT}");
    let settings = told(client, path, "tell how many shards it may have").await?;
    let path = "_cluster/health?filter_path=number_of_data_nodes";
    let health = told(client, path.to_owned(), "tell how many nodes hold data").await?;
    let nodes = number(&health["number_of_data_nodes"]);
    Ok(read_limit(&settings, nodes))
}

/// Nothing where whoever asks may not know.
async fn told(client: &Client, path: String, doing: &str) -> Result<Value, Error> {
    match client.ask(Request::get(path, doing)).await {
        Err(error @ (Error::Unauthorized { .. } | Error::Refused { .. })) => {
            tracing::warn!(%error, "the limit of shards is not known");
            Ok(Value::Null)
        }
        answer => answer,
    }
}

/// Without a node that holds data the engine counts nothing.
fn read_limit(settings: &Value, nodes: u64) -> Option<u64> {
    let of = |level: &str| match number(&settings[level]["cluster"]["max_shards_per_node"]) {
        0 => None,
        limit => Some(limit),
    };
    let limit = of("transient").or_else(|| of("persistent"));
    let limit = limit.or_else(|| of("defaults"))?;
    (nodes > 0).then(|| limit.saturating_mul(nodes))
}

/// Refuses a restore that the engine would certainly refuse for its limit of shards. It judges each index by itself, as though no other came with it; so only where there is no room for one of
/// them that is certain, and else a warning. Of the snapshot the replicas are not known, and without details the primaries neither: then one of each index is.
pub(super) fn check_shards(
    plan: &Plan,
    snapshot: &Snapshot,
    target: impl Fn(&str) -> String,
    engine: Engine,
    cluster: &Cluster,
) -> Result<Option<Crowd>, Error> {
    let Some(limit) = cluster.limit else {
        return Ok(None);
    };
    let gone = gone(plan, cluster);
    let stays = cluster.indices.iter().filter(|index| {
        let is_open = index.status == Status::Open;
        is_open && is_counted(&index.name, engine) && !gone.contains(&*index.name)
    });
    let open = sum(stays.map(|index| index.shards));
    // What is replaced where it is closed is not judged.
    let replaced: BTreeSet<&String> = plan.over_closed.iter().collect();
    let mut primaries: BTreeMap<String, u64> = BTreeMap::new();
    for (name, count) in &snapshot.primaries {
        primaries.insert(target(name), *count);
    }
    let there = cluster.indices.iter().map(|index| (&index.name, index));
    let there: BTreeMap<&String, &Index> = there.collect();
    let mut more = 0_u64;
    for name in &plan.targets {
        let known = primaries.get(name).copied().unwrap_or(1).max(1);
        let is_judged = is_counted(name, engine) && !replaced.contains(name);
        if is_judged && open.saturating_add(known) > limit {
            return Err(Error::TooManyShards {
                index: name.clone(),
                shards: known,
                open,
                limit,
            });
        }
        let before = there.get(name).map_or(0, |index| index.shards);
        more = more.saturating_add(known.max(before));
    }
    let after = open.saturating_add(more);
    Ok((after > limit).then_some(Crowd { after, limit }))
}

/// Whether the engine counts an index for certain: OpenSearch may be told to leave its own out, and what Elasticsearch only mounts in part it counts by itself.
fn is_counted(name: &str, engine: Engine) -> bool {
    match engine.family {
        Family::OpenSearch => !name.starts_with('.') || name.starts_with(".ds-"),
        Family::Elasticsearch => !name.starts_with("partial-"),
    }
}

/// What a plan deletes: indices, data streams, and what is behind them.
fn gone<'a>(plan: &'a Plan, cluster: &'a Cluster) -> BTreeSet<&'a str> {
    let deleted = cluster.streams.iter();
    let deleted = deleted.filter(|stream| plan.delete_streams.contains(&stream.name));
    let behind = deleted.flat_map(|stream| &stream.indices);
    let names = plan.delete_indices.iter().chain(&plan.delete_streams);
    names.chain(behind).map(String::as_str).collect()
}

/// Refuses names that something else has, which no deletion of the plan takes away: an alias, or a data stream where an index is restored.
pub(super) fn check_names(
    plan: &Plan,
    new_streams: &[String],
    cluster: &Cluster,
) -> Result<(), Error> {
    let gone = gone(plan, cluster);
    let mut aliases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for alias in &cluster.aliases {
        aliases.entry(&alias.name).or_default().push(&alias.of);
    }
    // An alias goes with the last of its indices.
    aliases.retain(|_, of| of.iter().any(|name| !gone.contains(name)));
    let streams: BTreeSet<&str> = cluster.streams.iter().map(|one| &*one.name).collect();
    let indices = plan.targets.iter().map(|name| (name, true));
    let names = indices.chain(new_streams.iter().map(|name| (name, false)));
    let mut taken = Vec::new();
    for (name, is_index) in names {
        if let Some(of) = aliases.get(name.as_str()) {
            let of = of.join("`, `");
            taken.push(format!("`{name}` is an alias of `{of}`"));
        } else if is_index && streams.contains(name.as_str()) {
            taken.push(format!("`{name}` is a data stream"));
        }
    }
    if taken.is_empty() {
        Ok(())
    } else {
        Err(Error::Taken { taken })
    }
}

#[cfg(test)]
mod tests;
