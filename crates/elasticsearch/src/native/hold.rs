//! Restores that live, so that nothing that was stopped is started in the middle of one.
//!
//! Of a restore that waits or deletes the engine knows nothing, so it says so itself: in a setting of the cluster of its own, renewed again and again, whose name comes from what it
//! restores; the same command, run again, has the same. One that was not renewed for two minutes counts as killed, by the clock of whoever looks: clocks have to agree to that. Once the engine restores, it tells of that, and no
//! setting is needed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::client::{Client, Repeat, Request};
use crate::error::Error;

/// Where such settings are, one for each restore.
const HOLDS: &str = "cluster.metadata.lifeboat.restores.";
/// How long a restore counts as living after it said so.
const TERM: SignedDuration = SignedDuration::from_mins(2);
/// How often it says so.
const RENEW: Duration = Duration::from_secs(20);

pub(crate) type Clock<'a> = &'a (dyn Fn() -> Timestamp + Sync);

/// What is restored.
#[derive(Debug, Clone, Copy)]
pub struct Restoring<'a> {
    pub repository: &'a str,
    pub snapshot: &'a str,
    /// Indices that come of it, in any order.
    pub targets: &'a [String],
}

/// That a restore lives, as the cluster keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub repository: String,
    pub snapshot: String,
    pub renewed: Timestamp,
}

/// All of them by their settings; none where it cannot be read, which is nobody's.
pub(super) type Holds = BTreeMap<String, Option<Hold>>;

impl Restoring<'_> {
    pub(super) fn key(&self) -> String {
        let mut targets: Vec<&String> = self.targets.iter().collect();
        targets.sort_unstable();
        let mut hasher = DefaultHasher::new();
        (self.repository, self.snapshot, targets).hash(&mut hasher);
        format!("{HOLDS}{:016x}", hasher.finish())
    }

    pub(super) fn hold(&self, now: Timestamp) -> Value {
        let hold = Hold {
            repository: self.repository.to_owned(),
            snapshot: self.snapshot.to_owned(),
            renewed: now,
        };
        json!(serde_json::to_string(&hold).unwrap_or_default())
    }

    /// Says that a restore lives for as long as it works.
    pub(super) async fn keep<T>(
        &self,
        client: &Client,
        clock: Clock<'_>,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(RENEW, &mut work).await {
                return done;
            }
            let mut renewal = pin!(self.renew(client, clock()));
            tokio::select! {
                () = &mut renewal => {}
                done = &mut work => {
                    // Cut off, it might be heard after what takes the setting away.
                    renewal.await;
                    return done;
                }
            }
        }
    }

    async fn renew(&self, client: &Client, now: Timestamp) {
        let changes = Map::from_iter([(self.key(), self.hold(now))]);
        if let Err(error) = write(client, changes).await {
            tracing::warn!(%error, "the cluster was not told that the restore still lives");
        }
    }
}

impl Hold {
    /// Whether its restore may be under way.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now.duration_since(self.renewed) < TERM
    }
}

/// Those among the settings of a cluster.
pub(super) fn read(settings: &Value) -> Holds {
    let settings = settings.as_object().into_iter().flatten();
    let holds = settings.filter(|(name, _)| name.starts_with(HOLDS));
    holds
        .map(|(name, hold)| {
            let hold = hold.as_str().unwrap_or_default();
            (name.clone(), serde_json::from_str(hold).ok())
        })
        .collect()
}

/// A restore that the engine is at. Shards that wait for a node are part of it, and once all of its shards were restored or failed it is none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InEngine {
    pub(crate) repository: String,
    pub(crate) snapshot: String,
    /// That it makes.
    pub(crate) indices: Vec<String>,
}

/// The restores that the engine is at, of all repositories.
pub(crate) async fn in_engine(client: &Client) -> Result<Vec<InEngine>, Error> {
    let fields = ["snapshot", "repository", "state", "indices"];
    let fields = fields.map(|field| format!("restore.snapshots.{field}"));
    let path = format!("_cluster/state/customs?filter_path={}", fields.join(","));
    let asked = Request::get(path, "tell what it is restoring");
    let state = client.ask(asked.patiently()).await?;
    Ok(read_in_engine(&state))
}

fn read_in_engine(state: &Value) -> Vec<InEngine> {
    let restores = state["restore"]["snapshots"].as_array();
    let under_way = restores
        .into_iter()
        .flatten()
        .filter(|one| !matches!(one["state"].as_str(), Some("SUCCESS" | "FAILURE")));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    under_way
        .map(|one| InEngine {
            repository: text(&one["repository"]),
            snapshot: text(&one["snapshot"]),
            indices: one["indices"]
                .as_array()
                .map(|indices| indices.iter().map(text).collect())
                .unwrap_or_default(),
        })
        .collect()
}

/// Changes settings of the cluster, all of them or none. Those that become null are gone.
pub(super) async fn write(client: &Client, changes: Map<String, Value>) -> Result<(), Error> {
    let names: Vec<&str> = changes.keys().map(String::as_str).collect();
    let doing = format!("set `{}`", names.join("`, `"));
    let request = Request::put("_cluster/settings", doing, Repeat::Safe);
    let body = json!({"persistent": changes});
    client.ask(request.body(body)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restoring<'a>(snapshot: &'a str, targets: &'a [String]) -> Restoring<'a> {
        Restoring {
            repository: "r",
            snapshot,
            targets,
        }
    }

    #[test]
    fn what_is_restored_again_has_the_same_setting() {
        let targets = ["a", "b"].map(str::to_owned);
        let turned = ["b", "a"].map(str::to_owned);
        let key = restoring("s", &targets).key();
        assert_eq!(key, restoring("s", &turned).key());
        assert_ne!(key, restoring("s", &targets[..1]).key());
        assert_ne!(key, restoring("t", &targets).key());
    }

    #[test]
    fn a_restore_lives_for_two_minutes_after_it_said_so() {
        let said = Timestamp::UNIX_EPOCH;
        let restoring = restoring("s", &[]);
        let settings = json!({
            restoring.key(): restoring.hold(said),
            "cluster.metadata.lifeboat.restores.x": "cut{",
            "cluster.metadata.lifeboat.stopped": "{}",
        });
        let holds = read(&settings);
        assert_eq!(holds.len(), 2, "{holds:?}");
        assert_eq!(holds["cluster.metadata.lifeboat.restores.x"], None);
        let hold = holds[&restoring.key()].as_ref().unwrap();
        assert_eq!(hold.snapshot, "s");
        let alive = |seconds: i64| hold.is_alive(said + SignedDuration::from_secs(seconds));
        assert!(alive(0) && alive(119) && !alive(120));
        // Of a clock that is ahead.
        assert!(alive(-600));
    }

    #[test]
    fn a_restore_of_the_engine_is_under_way_until_all_of_its_shards_have_ended() {
        let of = |states: &[&str]| {
            let restores = states.iter();
            let restores = restores.map(|state| json!({"snapshot": state, "repository": "r", "state": state, "indices": ["a"]}));
            let state = json!({"restore": {"snapshots": restores.collect::<Vec<_>>()}});
            let found = read_in_engine(&state).into_iter();
            found.map(|one| one.snapshot).collect::<Vec<_>>()
        };
        assert_eq!(of(&["SUCCESS", "STARTED"]), ["STARTED"]);
        assert_eq!(of(&["INIT", "FAILURE"]), ["INIT"]);
        assert!(of(&["SUCCESS", "FAILURE"]).is_empty());
        assert!(read_in_engine(&json!({})).is_empty());
    }
}
