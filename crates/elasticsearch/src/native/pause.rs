//! The engine's own scheduler, stopped while a restore deletes and makes indices, and started again.
//!
//! What is stopped is written down first, in a setting of the cluster, so that whoever comes next knows of it; together with that, the restore begins to say that it lives (`hold.rs`).
//!
//! What a SIGKILL leaves, in order: before the note, nothing. After it, the note, with some of what it names stopped, and for two minutes the word that the restore lives; whoever
//! comes within them takes it for one that does. Once the engine restores, the note and what is stopped: nobody starts it until the engine has ended. At the end, before the word is taken
//! back, the same; after it, the note. [`resume`] starts what the note names and then takes the note away, so a kill within it leaves the note. The note is always taken up by the next restore, or
//! whoever calls [`resume_if_left_behind`].
//!
//! Where one restore begins in the moment in which the last one ends, what is stopped may run during it. It waits for snapshots that are being taken, before it deletes, as always.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::hold::{self, Clock, Hold, Holds, Restoring};
use super::{Manager, is_unknown_route, management, slm};
use crate::client::{Client, Request};
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

/// What was stopped for a restore that has begun to say that it lives.
#[derive(Debug)]
pub struct Pause<'a> {
    client: &'a Client,
    restoring: Restoring<'a>,
    paused: Paused,
}

/// What became of what was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was.
    Nothing,
    /// It runs again.
    Started(Paused),
    /// It stays stopped for a restore.
    Stays(Paused, Living),
}

/// A restore for which something stays stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Living {
    /// The engine restores from this snapshot.
    InEngine(String),
    /// A program said that it is at work.
    AtWork(Hold),
}

impl Living {
    pub fn snapshot(&self) -> &str {
        match self {
            Self::InEngine(snapshot) => snapshot,
            Self::AtWork(hold) => &hold.snapshot,
        }
    }
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
        Manager::Lifecycle => slm::is_at_work(client)
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

/// Writes down what runs, and that this restore lives. Nothing where nothing runs and nothing is stopped, or where it may not be written down. What a restore before stopped stays stopped
/// and is remembered as well.
pub async fn pause<'a>(
    client: &'a Client,
    engine: Engine,
    restoring: Restoring<'a>,
    now: Timestamp,
) -> Result<Option<Pause<'a>>, Error> {
    let mut paused = look(client, engine).await?;
    let (before, _) = settings(client).await?;
    if paused.is_nothing() && before.is_none() {
        return Ok(None);
    }
    (paused.snapshot, paused.since) = (restoring.snapshot.to_owned(), now);
    if let Some(before) = before {
        paused.add(before);
    }
    let note = serde_json::to_string(&paused).unwrap_or_default();
    let changes = [
        (NOTE.to_owned(), json!(note)),
        (restoring.key(), restoring.hold(now)),
    ];
    match hold::write(client, Map::from_iter(changes)).await {
        Ok(()) => Ok(Some(Pause {
            client,
            restoring,
            paused,
        })),
        // What cannot be written down is not stopped.
        Err(error @ Error::Unauthorized { .. }) => {
            tracing::warn!(%error, "what takes snapshots by itself goes on during the restore");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Pause<'_> {
    /// Says that the restore lives for as long as it works.
    pub async fn keep<T>(&self, clock: Clock<'_>, work: impl Future<Output = T>) -> T {
        self.restoring.keep(self.client, clock, work).await
    }

    /// Stops what was written down, and waits until it is.
    pub async fn stop(&self, progress: &Progress) -> Result<(), Error> {
        let client = self.client;
        if self.paused.lifecycle {
            slm::stop(client).await?;
            let mut looks = 0;
            while slm::mode(client).await? == "STOPPING" && looks < LOOKS && !progress.is_stopped()
            {
                looks += 1;
                tokio::time::sleep(LOOK).await;
            }
        }
        for name in &self.paused.policies {
            management::stop(client, name).await?;
        }
        for what in self.paused.words() {
            tracing::info!(what, "stopped");
        }
        Ok(())
    }
}

/// Says no more that a restore lives, and starts what was stopped unless another one does. A restore that the engine goes on with is one.
pub async fn release(
    client: &Client,
    restoring: Restoring<'_>,
    clock: Clock<'_>,
) -> Result<Standing, Error> {
    let key = restoring.key();
    // Taken back before anybody else is looked for: of two that end together, one starts it.
    if settings(client).await?.1.contains_key(&key) {
        hold::write(client, Map::from_iter([(key, Value::Null)])).await?;
    }
    resume_if_left_behind(client, clock()).await
}

/// Starts what was stopped, unless a restore lives.
pub async fn resume_if_left_behind(client: &Client, now: Timestamp) -> Result<Standing, Error> {
    let (Some(paused), holds) = settings(client).await? else {
        return Ok(Standing::Nothing);
    };
    let mut alive = holds.values().flatten().filter(|hold| hold.is_alive(now));
    let living = if let Some(hold) = alive.next() {
        Some(Living::AtWork(hold.clone()))
    } else {
        let restores = hold::in_engine(client).await?.into_iter();
        let mut snapshots = restores.map(|restore| restore.snapshot);
        snapshots.next().map(Living::InEngine)
    };
    if let Some(living) = living {
        return Ok(Standing::Stays(paused, living));
    }
    start(client, &paused, &holds, |_| true).await?;
    Ok(Standing::Started(paused))
}

/// Starts what was stopped, whoever lives. Nothing where nothing was.
pub async fn resume(client: &Client, now: Timestamp) -> Result<Option<Paused>, Error> {
    let (Some(paused), holds) = settings(client).await? else {
        return Ok(None);
    };
    start(client, &paused, &holds, |hold| !hold.is_alive(now)).await?;
    Ok(Some(paused))
}

/// Starts what the note names, and takes the note away, together with the word of restores that are dead.
async fn start(
    client: &Client,
    paused: &Paused,
    holds: &Holds,
    is_dead: impl Fn(&Hold) -> bool,
) -> Result<(), Error> {
    if paused.lifecycle {
        slm::start(client).await?;
    }
    for name in &paused.policies {
        management::start(client, name).await?;
    }
    let dead = holds
        .iter()
        .filter(|(_, hold)| hold.as_ref().is_none_or(&is_dead))
        .map(|(key, _)| key.clone());
    let gone = dead.chain([NOTE.to_owned()]).map(|key| (key, Value::Null));
    hold::write(client, gone.collect()).await
}

/// What a restore wrote down that it stopped.
pub async fn noted(client: &Client) -> Result<Option<Paused>, Error> {
    Ok(settings(client).await?.0)
}

/// What is stopped, and which restores say that they live.
async fn settings(client: &Client) -> Result<(Option<Paused>, Holds), Error> {
    let path = "_cluster/settings?flat_settings=true";
    let asked = Request::get(path, "tell its settings");
    let settings = match client.ask(asked).await {
        Ok(mut settings) => settings["persistent"].take(),
        // Who may not read it did not write it.
        Err(Error::Unauthorized { .. }) => return Ok((None, Holds::new())),
        Err(error) => return Err(error),
    };
    let holds = hold::read(&settings);
    let note = settings[NOTE].as_str();
    let Some(note) = note.filter(|note| !note.is_empty()) else {
        return Ok((None, holds));
    };
    match serde_json::from_str(note) {
        Ok(paused) => Ok((Some(paused), holds)),
        Err(_) => Err(Error::Strange {
            doing: format!("tell its setting `{NOTE}`"),
            reply: crate::answer::short(note).to_owned(),
        }),
    }
}
