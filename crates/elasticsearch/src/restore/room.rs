//! Whether the cluster has room for what is restored.
//!
//! Pure, but for the questions. The engine would say no only after the deletions of a restore.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Plan;
use crate::client::Client;
use crate::error::Error;
use crate::indices::{self, Alias, Index, Stream};

/// What is there before a restore.
#[derive(Debug, Clone, Default)]
pub(super) struct Cluster {
    pub(super) indices: Vec<Index>,
    pub(super) streams: Vec<Stream>,
    pub(super) aliases: Vec<Alias>,
}

impl Cluster {
    pub(super) async fn ask(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            indices: indices::all(client).await?,
            streams: indices::streams(client).await?,
            aliases: indices::aliases(client).await?,
        })
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
