//! The snapshots of a repository.

use serde_json::{Value, json};

use crate::answer::Refusal;
use crate::client::{Client, Request, list, segment};
use crate::engine::Engine;
use crate::error::Error;
use crate::snapshot::{Snapshot, State};

/// How many names are offered for one that is unknown.
const NEAREST: usize = 3;

/// Whether sizes are asked for, which takes longer where it can be had at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    WithSizes,
    Without,
}

/// A repository of a cluster whose engine is known.
#[derive(Clone, Copy)]
pub struct Repository<'a> {
    pub client: &'a Client,
    pub engine: Engine,
    pub name: &'a str,
}

impl Repository<'_> {
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("_snapshot/{}{rest}", segment(self.name))
    }

    /// What requests to take a snapshot and to restore one have in common: exact names, and nothing of the state of the cluster.
    pub(crate) fn body(&self, indices: &[String], data_streams: &[String]) -> Value {
        let names: Vec<&String> = indices.iter().chain(data_streams).collect();
        let mut body = json!({
            "indices": names,
            "ignore_unavailable": false,
            "include_global_state": false,
        });
        if self.engine.has_feature_states() {
            body["feature_states"] = json!(["none"]);
        }
        body
    }

    /// All snapshots, the oldest first. Those that the engine cannot read are left out rather than failing the list.
    pub async fn list(&self, details: Details) -> Result<Vec<Snapshot>, Error> {
        let mut path = self.path("/_all?ignore_unavailable=true");
        if details == Details::WithSizes && self.engine.has_index_details() {
            path.push_str("&index_details=true");
        }
        let doing = format!("list the snapshots of `{}`", self.name);
        let answer = self
            .client
            .ask(Request::get(path, doing.clone()).patiently());
        let answer = answer.await.map_err(|error| self.explain(error))?;
        self.succeeded(&answer, &doing)?;
        let mut snapshots = Snapshot::read_list(&answer).ok_or_else(|| Error::Strange {
            doing,
            reply: crate::answer::short(&answer.to_string()).to_owned(),
        })?;
        snapshots.sort_by(|a, b| (a.started, &a.name).cmp(&(b.started, &b.name)));
        Ok(snapshots)
    }

    /// One snapshot by its name, or nothing where there is none of it.
    pub async fn get(&self, name: &str, details: Details) -> Result<Option<Snapshot>, Error> {
        let mut path = self.path(&format!("/{}", segment(name)));
        if details == Details::WithSizes && self.engine.has_index_details() {
            path.push_str("?index_details=true");
        }
        let doing = format!("describe the snapshot `{name}`");
        let asked = Request::get(path, doing.clone()).patiently();
        match self.client.ask(asked).await {
            Ok(answer) => {
                self.succeeded(&answer, &doing)?;
                Ok(Snapshot::read_list(&answer).and_then(|found| found.into_iter().next()))
            }
            Err(Error::Refused { refusal, .. }) if refusal.is("snapshot_missing_exception") => {
                Ok(None)
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Those of these names that are there, in no order. They have to fit into one request.
    pub(crate) async fn get_all(&self, names: &[String]) -> Result<Vec<Snapshot>, Error> {
        let path = self.path(&format!("/{}?ignore_unavailable=true", list(names)));
        let doing = format!("describe {} snapshots of `{}`", names.len(), self.name);
        let asked = Request::get(path, doing.clone()).patiently();
        match self.client.ask(asked).await {
            Ok(answer) => Snapshot::read_list(&answer).ok_or_else(|| Error::Strange {
                doing,
                reply: crate::answer::short(&answer.to_string()).to_owned(),
            }),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// The snapshot of this name, or the newest successful one for `latest`.
    pub async fn find(&self, name: &str, details: Details) -> Result<Snapshot, Error> {
        if name != "latest" {
            // A name that cannot be is not asked for: the engine would take it for a pattern.
            let found = match crate::name::refusal(name) {
                Some(_) => None,
                None => self.get(name, details).await?,
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
        let mut all = self.list(Details::Without).await?;
        if name == "latest" {
            let newest = all.iter().rposition(|one| one.state == State::Success);
            if let Some(newest) = newest {
                let newest = all.swap_remove(newest);
                return Ok(self.get(&newest.name, details).await?.unwrap_or(newest));
            }
        }
        let mut near: Vec<_> = all
            .into_iter()
            .map(|one| (strsim::jaro_winkler(name, &one.name), one.name))
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
        Err(Error::UnknownSnapshot {
            name: name.to_owned(),
            repository: self.name.to_owned(),
            nearest: near
                .into_iter()
                .take(NEAREST)
                .map(|(_, name)| name)
                .collect(),
        })
    }

    /// Whether an answer of success is one. Elasticsearch 7.16 and 7.17 say of a repository that is missing only in there that it is; some builds before them, of
    /// one that failed.
    fn succeeded(&self, answer: &Value, doing: &str) -> Result<(), Error> {
        let responses = answer["responses"].as_array().into_iter().flatten();
        let failures = responses.map(|response| &response["error"]);
        let mut failures = failures.chain([&answer["failures"][self.name]]);
        let Some(failure) = failures.find(|failure| failure.is_object()) else {
            return Ok(());
        };
        let refusal = Box::new(Refusal::of(500, failure));
        let doing = doing.to_owned();
        Err(self.explain(Error::Refused { doing, refusal }))
    }

    pub(crate) fn missing(&self) -> Error {
        Error::NoRepository {
            repository: self.name.to_owned(),
        }
    }

    /// A refusal that is about the repository says so.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match error {
            Error::Refused { refusal, .. } if refusal.is("repository_missing_exception") => {
                self.missing()
            }
            other => other,
        }
    }
}
