//! The engine's own scheduler, stopped while a restore deletes and makes indices, and started again.
//!
//! What is stopped is written down first, in a setting of the cluster, so that whoever comes next knows of it. What a SIGKILL leaves: before the note, nothing; after it,
//! the note, with some of it stopped. [`resume`] starts what the note names and then takes the note away, so a kill within it leaves the note.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Manager, is_unknown_route, management, slm};
use crate::client::{Client, Repeat, Request};
use crate::engine::Engine;
use crate::error::Error;

/// Where the note is kept. Engines take any setting below `cluster.metadata`.
const NOTE: &str = "cluster.metadata.lifeboat.stopped";
/// How often a scheduler that ends what it is doing is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Looks before the restore goes on all the same: a policy that is carried out ends by itself.
const LOOKS: u32 = 120;

/// What was stopped, for which restore, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub snapshot: String,
    pub since: Timestamp,
    #[serde(default)]
    lifecycle: bool,
    #[serde(default)]
    policies: Vec<String>,
}

/// What takes snapshots in the cluster by itself, for people. Nothing where the engine cannot, or does not tell.
pub async fn running(client: &Client, engine: Engine) -> Result<Vec<String>, Error> {
    Ok(look(client, engine).await?.words())
}

impl Paused {
    /// What was stopped, for people.
    pub fn words(&self) -> Vec<String> {
        let lifecycle = self.lifecycle.then(|| Manager::Lifecycle.to_string());
        let of = |name| format!("the policy `{name}` of {}", Manager::Management);
        let policies = self.policies.iter().map(of);
        lifecycle.into_iter().chain(policies).collect()
    }

    fn is_nothing(&self) -> bool {
        !self.lifecycle && self.policies.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.lifecycle |= other.lifecycle;
        let new = |name: &String| !self.policies.contains(name);
        let new: Vec<String> = other.policies.into_iter().filter(new).collect();
        self.policies.extend(new);
    }
}

/// What runs now.
async fn look(client: &Client, engine: Engine) -> Result<Paused, Error> {
    let mut found = Paused {
        snapshot: String::new(),
        since: Timestamp::UNIX_EPOCH,
        lifecycle: false,
        policies: Vec::new(),
    };
    let looked = match Manager::from(engine) {
        Manager::Lifecycle => slm::is_running(client)
            .await
            .map(|running| found.lifecycle = running),
        Manager::Management => management::running(client)
            .await
            .map(|names| found.policies = names),
    };
    match looked {
        Ok(()) => {}
        Err(error) if is_unknown_route(&error) => {}
        // No policy was ever made, so its index is not there.
        Err(Error::Refused { refusal, .. }) if refusal.status == 404 => {}
        Err(error @ Error::Unauthorized { .. }) => {
            tracing::warn!(%error, "whether the engine takes snapshots by itself is not known; if it does, it goes on");
        }
        Err(error) => return Err(error),
    }
    Ok(found)
}

/// Stops what runs, and returns what it was. What a restore that was killed stopped before stays stopped and is remembered as well.
pub async fn pause(
    client: &Client,
    engine: Engine,
    snapshot: &str,
    now: Timestamp,
    progress: &Progress,
) -> Result<Vec<String>, Error> {
    let mut paused = look(client, engine).await?;
    if paused.is_nothing() {
        return Ok(Vec::new());
    }
    let words = paused.words();
    (paused.snapshot, paused.since) = (snapshot.to_owned(), now);
    if let Some(before) = noted(client).await? {
        paused.add(before);
    }
    let note = serde_json::to_string(&paused).unwrap_or_default();
    match write(client, &json!(note)).await {
        Ok(()) => {}
        // What cannot be written down is not stopped.
        Err(error @ Error::Unauthorized { .. }) => {
            tracing::warn!(%error, "what takes snapshots by itself goes on during the restore");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    }
    if paused.lifecycle {
        slm::stop(client).await?;
        let mut looks = 0;
        while slm::mode(client).await? == "STOPPING" && looks < LOOKS && !progress.is_stopped() {
            looks += 1;
            tokio::time::sleep(LOOK).await;
        }
    }
    for name in &paused.policies {
        management::stop(client, name).await?;
    }
    Ok(words)
}

/// Starts what the note names, and takes the note away. Nothing where nothing was stopped.
pub async fn resume(client: &Client) -> Result<Option<Paused>, Error> {
    let Some(paused) = noted(client).await? else {
        return Ok(None);
    };
    if paused.lifecycle {
        slm::start(client).await?;
    }
    for name in &paused.policies {
        management::start(client, name).await?;
    }
    write(client, &Value::Null).await?;
    Ok(Some(paused))
}

/// What a restore wrote down that it stopped.
pub async fn noted(client: &Client) -> Result<Option<Paused>, Error> {
    let path = "_cluster/settings?flat_settings=true";
    let asked = Request::get(path, "tell its settings");
    let settings = match client.ask(asked).await {
        Ok(settings) => settings,
        // Who may not read it did not write it.
        Err(Error::Unauthorized { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let note = settings["persistent"][NOTE].as_str();
    let Some(note) = note.filter(|note| !note.is_empty()) else {
        return Ok(None);
    };
    serde_json::from_str(note)
        .map(Some)
        .map_err(|_| Error::Strange {
            doing: format!("tell its setting `{NOTE}`"),
            reply: crate::answer::short(note).to_owned(),
        })
}

async fn write(client: &Client, note: &Value) -> Result<(), Error> {
    let doing = format!("set `{NOTE}`");
    let request = Request::put("_cluster/settings", doing, Repeat::Safe);
    let body = json!({"persistent": {NOTE: note}});
    client.ask(request.body(body)).await.map(drop)
}
