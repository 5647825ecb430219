//! How far a restore is, and how it ended.
//!
//! Health reads yellow all through a restore, and the recoveries are an empty list at first; neither means that it is done. Done is an index whose every primary is counted
//! active and has a recovery that has ended: from this snapshot, or, where the snapshot lacks it, of an empty shard. A primary that failed vanishes from the recoveries, so what stays unassigned is asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lifeboat_core::progress::Progress;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::{Client, Repeat, Request, list, unless_stopped};
use crate::error::Error;
use crate::indices::{self, batches};
use crate::native::{self, InEngine};
use crate::snapshot::{number, sum};

/// Between two looks. After one that took longer, as long as that: thousands of indices are many questions, which keep a node from its work.
const LOOK: Duration = Duration::from_millis(400);
/// At most, also after a look that had to wait for the cluster.
const REST: Duration = Duration::from_secs(5);
/// Looks at a primary that is neither being restored nor there, before it is asked about.
const PATIENT_LOOKS: u32 = 5;
/// Indices that are asked about at one look, while none has failed: a node restores a few at once, and all others wait.
const QUESTIONS: usize = 4;

/// What is read of health and of recoveries, and of a refusal. Twice as much is told.
const HEALTH: &str = "filter_path=indices.*.number_of_shards,indices.*.active_primary_shards,indices.*.initializing_shards,error,status";
const RECOVERY: &str = "filter_path=*.shards.id,*.shards.type,*.shards.stage,*.shards.primary,*.shards.source.snapshot,*.shards.index.size,error,status";

/// One index at one look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    primaries: u64,
    active: u64,
    initializing: u64,
    /// Primaries whose recovery has ended.
    recovered: u64,
    bytes: u64,
    bytes_total: u64,
}

impl Look {
    fn is_done(&self) -> bool {
        self.primaries > 0 && self.active == self.primaries && self.recovered == self.primaries
    }

    fn is_stuck(&self) -> bool {
        self.primaries > 0 && sum([self.active, self.initializing]) < self.primaries
    }

    /// Counts what the recoveries of an index say.
    fn recover(&mut self, index: &Value, snapshot: &str) {
        let mut recovered = BTreeSet::new();
        for shard in index["shards"].as_array().into_iter().flatten() {
            let is_ours = match shard["type"].as_str() {
                Some("SNAPSHOT") => shard["source"]["snapshot"] == snapshot,
                // A shard that the snapshot lacks is made anew, of nothing. One that was restored may have moved to another node since, or been opened again.
                Some("EMPTY_STORE" | "PEER" | "EXISTING_STORE") => true,
                _ => false,
            };
            if is_ours && shard["primary"] == true {
                let size = &shard["index"]["size"];
                if shard["stage"] == "DONE" {
                    // While it moves, it is there twice.
                    recovered.insert(number(&shard["id"]));
                }
                let here =
                    ["recovered_in_bytes", "reused_in_bytes"].map(|name| number(&size[name]));
                self.bytes = sum([self.bytes, sum(here)]);
                self.bytes_total = sum([self.bytes_total, number(&size["total_in_bytes"])]);
            }
        }
        self.recovered = recovered.len() as u64;
    }
}

/// Waits until all these indices are restored from a snapshot. When `progress` asks to stop, the restore goes on in the cluster.
pub(super) async fn until_done(
    client: &Client,
    snapshot: &str,
    targets: &[String],
    progress: &Progress,
) -> Result<(), Error> {
    // All of it only asks.
    unless_stopped(
        progress,
        look_until_done(client, snapshot, targets, progress),
    )
    .await
}

async fn look_until_done(
    client: &Client,
    snapshot: &str,
    targets: &[String],
    progress: &Progress,
) -> Result<(), Error> {
    let mut told = (0, 0);
    // Not looked at again: of thousands most are done most of the time.
    let mut done: BTreeMap<String, Look> = BTreeMap::new();
    let mut stuck: BTreeMap<String, u32> = BTreeMap::new();
    let mut absent = 0;
    loop {
        let begun = Instant::now();
        let left = targets.iter().filter(|name| !done.contains_key(*name));
        let left: Vec<String> = left.cloned().collect();
        let mut looks = look(client, snapshot, &left).await?;
        done.extend(looks.extract_if(.., |_, look| look.is_done()));
        let all = || looks.values().chain(done.values());
        let shards = sum(all().map(|look| look.primaries));
        let recovered = sum(all().map(|look| look.recovered));
        let bytes = sum(all().map(|look| look.bytes));
        let total = sum(all().map(|look| look.bytes_total));
        progress.expect(shards, total.max(told.1));
        progress.add(
            recovered.saturating_sub(told.0),
            bytes.saturating_sub(told.1),
        );
        told = (told.0.max(recovered), told.1.max(bytes));
        if done.len() == targets.len() {
            // What was done first may be gone again.
            if left.len() < targets.len() {
                done = look(client, snapshot, targets).await?;
                done.retain(|_, look| look.is_done());
            }
            if done.len() == targets.len() {
                return Ok(());
            }
            continue;
        }
        // The cluster makes all the indices at once.
        absent = if looks.len() + done.len() < targets.len() {
            absent + 1
        } else {
            0
        };
        if absent > PATIENT_LOOKS {
            let there: BTreeSet<String> = indices::left(client, &left).await?.into_iter().collect();
            let is_gone = |name: &&String| !done.contains_key(*name) && !there.contains(*name);
            let gone = left.iter().filter(is_gone);
            let failures: Vec<String> = gone.map(|name| format!("`{name}` is gone")).collect();
            if !failures.is_empty() {
                return Err(Error::ShardsFailed { failures });
            }
            absent = 0;
        }
        stuck.retain(|name, _| looks.get(name).is_some_and(Look::is_stuck));
        let mut failures = Vec::new();
        let mut waiting = 0;
        for (name, look) in looks.iter().filter(|(_, look)| look.is_stuck()) {
            let seen = stuck.entry(name.clone()).or_default();
            *seen += 1;
            if *seen > PATIENT_LOOKS && waiting < QUESTIONS {
                let found = explain(client, name, look.primaries).await?;
                waiting += usize::from(found.is_empty());
                failures.extend(found);
                *seen = 0;
            }
        }
        if !failures.is_empty() {
            return Err(Error::ShardsFailed { failures });
        }
        sleep(begun.elapsed().clamp(LOOK, REST)).await;
    }
}

async fn look(
    client: &Client,
    snapshot: &str,
    targets: &[String],
) -> Result<BTreeMap<String, Look>, Error> {
    let mut looks = BTreeMap::new();
    for batch in batches(targets) {
        let names = list(batch);
        let path = format!(
            "_cluster/health/{names}?level=indices&timeout=0s&ignore_unavailable=true&expand_wildcards=all&{HEALTH}"
        );
        let asked = Request::get(path, "tell its health").watching();
        let health = match client.ask(asked).await {
            Ok(health) => health,
            // One of these indices is not there, and the engines wait for it to come.
            Err(Error::Refused { refusal, .. }) if refusal.status == 408 => continue,
            Err(error) => return Err(error),
        };
        note_health(&mut looks, &health);
        let path =
            format!("{names}/_recovery?ignore_unavailable=true&expand_wildcards=all&{RECOVERY}");
        let recoveries = client
            .ask(Request::get(path, "tell its recoveries").watching())
            .await?;
        note_recoveries(&mut looks, &recoveries, snapshot);
    }
    let targets: BTreeSet<&String> = targets.iter().collect();
    looks.retain(|name, _| targets.contains(name));
    Ok(looks)
}

fn note_health(looks: &mut BTreeMap<String, Look>, health: &Value) {
    for (name, index) in health["indices"].as_object().into_iter().flatten() {
        let look = looks.entry(name.clone()).or_default();
        look.primaries = number(&index["number_of_shards"]);
        look.active = number(&index["active_primary_shards"]);
        look.initializing = number(&index["initializing_shards"]);
    }
}

fn note_recoveries(looks: &mut BTreeMap<String, Look>, recoveries: &Value, snapshot: &str) {
    for (name, index) in recoveries.as_object().into_iter().flatten() {
        let look = looks.entry(name.clone()).or_default();
        look.recover(index, snapshot);
    }
}

/// Why primaries of an index are not assigned, those that will not be by themselves.
async fn explain(client: &Client, index: &str, primaries: u64) -> Result<Vec<String>, Error> {
    let mut failures = Vec::new();
    for shard in 0..primaries {
        let body = json!({"index": index, "shard": shard, "primary": true});
        let asked = Request::post(
            "_cluster/allocation/explain",
            "explain an allocation",
            Repeat::Safe,
        );
        let answer = match client.ask(asked.body(body)).await {
            Ok(answer) => answer,
            // Of a shard that is assigned by now.
            Err(Error::Refused { refusal, .. }) if refusal.status == 400 => continue,
            Err(error) => return Err(error),
        };
        if has_failed(&answer) {
            failures.push(format!("shard {shard} of `{index}`: {}", reason(&answer)));
        }
    }
    Ok(failures)
}

/// Whether it stays without a node. Until a node has a hand free for it, it could have one, or is held back.
fn has_failed(answer: &Value) -> bool {
    let is_refused = matches!(
        answer["can_allocate"].as_str(),
        Some("no" | "no_valid_shard_copy")
    );
    answer["current_state"] == "unassigned" && is_refused
}

/// What the engine says of it: first why it failed, then what keeps it from being tried again.
fn reason(answer: &Value) -> String {
    // Before anything failed they only say where it is restored from.
    let details = answer["unassigned_info"]["details"].as_str();
    let details = details.filter(|details| !details.starts_with("restore_source"));
    let decisions = answer["node_allocation_decisions"].as_array();
    let deciders = decisions.into_iter().flatten().flat_map(|node| {
        let deciders = node["deciders"].as_array();
        deciders.into_iter().flatten()
    });
    let explanations: BTreeSet<&str> = deciders
        .filter(|decider| decider["decision"] == "NO")
        .filter_map(|decider| decider["explanation"].as_str())
        .collect();
    let explanation = answer["allocate_explanation"].as_str();
    let found = details
        .into_iter()
        .chain(explanations)
        .chain(explanation)
        .map(crate::answer::short)
        .next();
    found.unwrap_or("it is not assigned to a node").to_owned()
}

/// A restore that the cluster knows of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub snapshot: String,
    pub indices: Vec<String>,
    /// What they are called in the snapshot, in the same order.
    pub sources: Vec<String>,
    /// Whether some of it is still under way.
    pub is_active: bool,
}

/// Restores from a repository that the cluster still remembers, by snapshot. Of one that is under way, what earlier restores made of the same snapshot is no part.
pub async fn known(client: &Client, repository: &str) -> Result<Vec<Known>, Error> {
    // First: one that ends meanwhile is whole all the same.
    let in_engine = native::in_engine(client).await?;
    // Shards that wait for a node are in no recovery yet.
    let path =
        "_cluster/state/routing_table?filter_path=routing_table.indices.*.shards.*.recovery_source";
    let waiting = Request::get(path, "tell which shards wait for a node").patiently();
    let waiting = client.ask(waiting).await?;
    let recoveries = recoveries(client).await?;
    Ok(read_known(&recoveries, &waiting, &in_engine, repository))
}

async fn recoveries(client: &Client) -> Result<Value, Error> {
    let asked = Request::get("_recovery?expand_wildcards=all", "tell its recoveries");
    client.ask(asked.patiently()).await
}

fn read_known(
    recoveries: &Value,
    waiting: &Value,
    in_engine: &[InEngine],
    repository: &str,
) -> Vec<Known> {
    // By snapshot: each index once, whatever its shards, with its name in the snapshot and whether some of it is not whole yet.
    let mut found: BTreeMap<String, BTreeMap<String, (String, bool)>> = BTreeMap::new();
    let mut note = |index: &String, source: &Value, is_active: bool| {
        let Some(snapshot) = source["snapshot"].as_str() else {
            return;
        };
        if source["repository"] != repository {
            return;
        }
        let indices = found.entry(snapshot.to_owned()).or_default();
        let (_, is_unfinished) = indices.entry(index.clone()).or_insert_with(|| {
            let source = source["index"].as_str().unwrap_or_default();
            (source.to_owned(), false)
        });
        *is_unfinished |= is_active;
    };
    for (index, recovery) in recoveries.as_object().into_iter().flatten() {
        for shard in recovery["shards"].as_array().into_iter().flatten() {
            if shard["type"] == "SNAPSHOT" {
                note(index, &shard["source"], shard["stage"] != "DONE");
            }
        }
    }
    let indices = waiting["routing_table"]["indices"].as_object();
    for (index, routing) in indices.into_iter().flatten() {
        let shards = routing["shards"].as_object();
        for copy in shards
            .into_iter()
            .flatten()
            .filter_map(|(_, copies)| copies.as_array())
        {
            for source in copy.iter().map(|copy| &copy["recovery_source"]) {
                if source["type"] == "SNAPSHOT" {
                    note(index, source, true);
                }
            }
        }
    }
    let known = found.into_iter().map(|(snapshot, mut indices)| {
        let ours =
            |restore: &&InEngine| restore.repository == repository && restore.snapshot == snapshot;
        let restores = in_engine.iter().filter(ours);
        let made: BTreeSet<&String> = restores.flat_map(|restore| &restore.indices).collect();
        let is_active =
            !made.is_empty() || indices.values().any(|(_, is_unfinished)| *is_unfinished);
        if is_active {
            // The engine is no more at one of which a shard failed; what came back whole may be of an earlier one.
            indices.retain(|index, (_, is_unfinished)| {
                if made.is_empty() {
                    *is_unfinished
                } else {
                    made.contains(index)
                }
            });
        }
        let (indices, sources) = indices
            .into_iter()
            .map(|(index, (source, _))| (index, source))
            .unzip();
        Known {
            snapshot,
            indices,
            sources,
            is_active,
        }
    });
    known.collect()
}

#[cfg(test)]
mod tests;
