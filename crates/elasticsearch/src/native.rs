//! Snapshots that the engine takes and lets expire by itself: snapshot lifecycle management in Elasticsearch, Snapshot Management in OpenSearch.
//!
//! One set of settings for both; what an engine cannot do is refused before anything is asked of it, never done differently.

mod hold;
mod management;
mod pause;
mod slm;

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::age::Age;
use lifeboat_core::schedule::Schedule;
use serde_json::Value;

use crate::client::Client;
use crate::drift::{Change, Drift, note, text};
use crate::engine::{Engine, Family};
use crate::error::Error;
use crate::name::Template;

pub(crate) use self::hold::{Clock, InEngine, in_engine};
pub use self::hold::{Hold, Restoring};
pub use self::pause::{
    Living, Paused, Standing, noted, pause, release, resume, resume_if_left_behind, running,
};

/// What the policy should be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub name: &'a str,
    /// In UTC.
    pub schedule: &'a Schedule,
    /// As it was written, and read.
    pub template: (&'a str, &'a Template),
    pub repository: &'a str,
    pub indices: &'a [String],
    pub expire_after: &'a Age,
    pub min_count: u64,
    pub max_count: u64,
}

/// A setting that the engine's own scheduler has no way to keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`backup.elasticsearch.scheduled.{setting}` is `{value}`, which {manager} cannot do: {reason}"
)]
pub struct Untranslatable {
    pub setting: &'static str,
    pub value: String,
    pub manager: Manager,
    pub reason: String,
}

/// Who takes the snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// Of Elasticsearch, SLM.
    Lifecycle,
    /// Of OpenSearch, a plugin of its own.
    Management,
}

/// A policy as it is in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whether it is carried out: not stopped by anybody.
    pub is_running: bool,
    pub next: Option<Timestamp>,
    pub last_success: Option<Run>,
    pub last_failure: Option<Run>,
    /// The snapshot that it is taking.
    pub in_progress: Option<String>,
    /// What makes the policy, for comparison.
    body: Value,
    /// What has to be said to replace it.
    revision: String,
}

/// One time that a policy was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub snapshot: Option<String>,
    pub at: Option<Timestamp>,
    /// Why it failed.
    pub reason: Option<String>,
}

impl Policy {
    /// Whether it failed after it last succeeded.
    pub fn failed_last(&self) -> bool {
        match (&self.last_failure, &self.last_success) {
            (Some(failure), Some(success)) => failure.at > success.at,
            (failure, None) => failure.is_some(),
            (None, Some(_)) => false,
        }
    }
}

impl From<Engine> for Manager {
    fn from(engine: Engine) -> Self {
        match engine.family {
            Family::Elasticsearch => Self::Lifecycle,
            Family::OpenSearch => Self::Management,
        }
    }
}

impl Manager {
    /// The policy in the words of the engine. An error where it has none for it.
    fn translate(self, wanted: &Wanted<'_>) -> Result<Value, Untranslatable> {
        match self {
            Self::Lifecycle => slm::translate(wanted),
            Self::Management => management::translate(wanted),
        }
    }

    /// Where in the policy lies what settings decide.
    fn compared(self) -> &'static [&'static str] {
        match self {
            Self::Lifecycle => &slm::COMPARED,
            Self::Management => &management::COMPARED,
        }
    }
}

impl std::fmt::Display for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lifecycle => "snapshot lifecycle management",
            Self::Management => "Snapshot Management",
        })
    }
}

/// The policy of this name. [`Error::NoManager`] where the engine lacks what would have it.
pub async fn find(client: &Client, engine: Engine, name: &str) -> Result<Option<Policy>, Error> {
    match Manager::from(engine) {
        Manager::Lifecycle => slm::find(client, engine, name).await,
        Manager::Management => management::find(client, engine, name).await,
    }
}

/// What would have to be done.
pub fn foresee(
    engine: Engine,
    found: Option<&Policy>,
    wanted: &Wanted<'_>,
) -> Result<Change, Error> {
    let manager = Manager::from(engine);
    let body = manager.translate(wanted)?;
    let Some(found) = found else {
        return Ok(Change::Register);
    };
    let drifts = compare(manager.compared(), &found.body, &body);
    Ok(Change::by(drifts))
}

/// Makes the policy what it should be. May be done again and again; whether it is stopped stays as it is. Returns what was done.
pub async fn install(
    client: &Client,
    engine: Engine,
    wanted: &Wanted<'_>,
) -> Result<Change, Error> {
    let manager = Manager::from(engine);
    let found = find(client, engine, wanted.name).await?;
    let change = foresee(engine, found.as_ref(), wanted)?;
    if change != Change::Nothing {
        let body = manager.translate(wanted)?;
        match manager {
            Manager::Lifecycle => slm::put(client, wanted.name, body).await?,
            Manager::Management => {
                management::put(client, wanted.name, body, found.as_ref()).await?;
            }
        }
    }
    Ok(change)
}

/// Takes the policy away. Its snapshots stay, and no retention of the engine touches them any more.
pub async fn remove(client: &Client, engine: Engine, name: &str) -> Result<(), Error> {
    match Manager::from(engine) {
        Manager::Lifecycle => slm::remove(client, name).await,
        Manager::Management => management::remove(client, name).await,
    }
}

fn compare(paths: &[&str], found: &Value, wanted: &Value) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for path in paths {
        let at = |value: &Value| {
            let pointer = format!("/{}", path.replace('.', "/"));
            value.pointer(&pointer).map(text)
        };
        let (mut there, asked) = (at(found), at(wanted));
        // What is not said is what it is by itself.
        if asked.is_none() && there.as_deref() == Some("false") {
            there = None;
        }
        note(&mut drifts, path, there, asked);
    }
    drifts
}

/// An age in the one unit that the engines take: `30d`.
fn age(wanted: &Wanted<'_>, manager: Manager) -> Result<String, Untranslatable> {
    const UNITS: [(i128, &str); 4] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    let exact = wanted.expire_after.exact().ok_or_else(|| Untranslatable {
        setting: "snapshotRetentionExpireAfter",
        value: wanted.expire_after.to_string(),
        manager,
        reason: "months differ in length; write days".to_owned(),
    })?;
    let millis = SignedDuration::as_millis(&exact).max(1);
    let unit = UNITS.iter().find(|(unit, _)| millis % unit == 0);
    Ok(match unit {
        Some((unit, word)) => format!("{}{word}", millis / unit),
        None => format!("{millis}ms"),
    })
}

fn moment(value: &Value) -> Option<Timestamp> {
    let millis = crate::snapshot::number(value);
    let millis = i64::try_from(millis).ok().filter(|millis| *millis > 0)?;
    Timestamp::from_millisecond(millis).ok()
}

/// A route that the server does not have.
fn is_unknown_route(error: &Error) -> bool {
    matches!(error, Error::Refused { refusal, .. } if refusal.kind.is_empty() && matches!(refusal.status, 400 | 404 | 405))
}
