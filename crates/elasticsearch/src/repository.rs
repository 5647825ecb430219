//! The repository that snapshots go to: registered, corrected where it drifted, and verified.
//!
//! A repository whose verification fails stays registered, so what was there before is put back, whatever went wrong. Nothing in the bucket is ever changed.
//!
//! What a SIGKILL leaves: before the change, nothing; after a repository was forgotten, none of its name; after it was registered, the new settings, not verified. The same command goes on.

mod states;

use serde_json::{Map, Value, json};

use crate::catalog::Repository;
use crate::client::{Client, Repeat, Request};
use crate::drift::{self, Change, text};
use crate::engine::Engine;
use crate::error::{Error, Undone};
use crate::snapshot::Snapshot;

use self::states::Standing;
pub use self::states::{Loss, Remembered, States};

/// The type of repositories in S3.
const TYPE: &str = "s3";
/// Settings that are never told, so they cannot be compared.
const SECRETS: [&str; 3] = ["access_key", "secret_key", "session_token"];

/// What a repository should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub bucket: String,
    /// Without slashes at its ends; may be empty.
    pub base_path: String,
    /// The gateway, as the nodes of the cluster reach it.
    pub endpoint: String,
    pub region: String,
    pub keys: Keys,
    /// Of other settings, whatever the user wants: `max_restore_bytes_per_sec`.
    pub more: Vec<(String, String)>,
}

/// Where the key pair of the gateway lies.
#[derive(Clone, PartialEq, Eq)]
pub enum Keys {
    /// In the keystore of each node, from where they are read again.
    Keystore,
    /// In the settings of the repository, and so in the state of the cluster.
    InSettings { access: String, secret: String },
}

impl Keys {
    /// Where they belong into the settings of a repository.
    fn add_to(&self, settings: &mut Map<String, Value>) {
        if let Self::InSettings { access, secret } = self {
            settings.insert("access_key".to_owned(), json!(access));
            settings.insert("secret_key".to_owned(), json!(secret));
        }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keystore => "Keystore",
            Self::InSettings { .. } => "InSettings(***)",
        })
    }
}

/// What is registered under the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    pub kind: String,
    pub settings: Map<String, Value>,
}

/// What was done.
#[derive(Debug)]
pub struct Configured {
    pub change: Change,
    /// Nodes that were seen to write to it and read from it.
    pub nodes: usize,
    /// What lies in it.
    pub snapshots: Vec<Snapshot>,
}

impl Wanted {
    /// The settings as the engine wants them, all of them texts.
    pub(crate) fn settings(&self, engine: Engine) -> Map<String, Value> {
        let scheme = self.endpoint.split("://").next().unwrap_or("http");
        let mut settings = Map::new();
        let mut set = |name: &str, value: &str| {
            settings.insert(name.to_owned(), json!(value));
        };
        set("bucket", &self.bucket);
        if !self.base_path.is_empty() {
            set("base_path", &self.base_path);
        }
        set("endpoint", &self.endpoint);
        set("protocol", scheme);
        set("region", &self.region);
        set("path_style_access", "true");
        if engine.spreads_shards() {
            // Or else data lies outside the base path, and the repository is no longer what is below it.
            set("shard_path_type", "FIXED");
        }
        for (name, value) in &self.more {
            set(name, value);
        }
        settings
    }
}

impl Registered {
    fn read(answer: &Value, name: &str) -> Option<Self> {
        let found = answer[name].as_object()?;
        Some(Self {
            kind: found.get("type")?.as_str()?.to_owned(),
            settings: found
                .get("settings")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        })
    }

    pub fn is_read_only(&self) -> bool {
        self.settings
            .get("readonly")
            .is_some_and(|value| text(value) == "true")
    }
}

/// Compares what is with what should be. Settings that nobody asked for stay out of it, but for those that would lead elsewhere.
pub fn compare(found: Option<&Registered>, wanted: &Map<String, Value>) -> Change {
    let Some(found) = found else {
        return Change::Register;
    };
    let mut drifts = Vec::new();
    let kind = Some(found.kind.clone());
    drift::note(&mut drifts, "type", kind, Some(TYPE.to_owned()));
    for (setting, value) in wanted {
        if !SECRETS.contains(&setting.as_str()) {
            let there = found.settings.get(setting).map(text);
            drift::note(&mut drifts, setting, there, Some(text(value)));
        }
    }
    for setting in ["base_path", "readonly"] {
        if !wanted.contains_key(setting)
            && let Some(value) = found.settings.get(setting)
            && !matches!(&text(value)[..], "" | "false")
        {
            drift::note(&mut drifts, setting, Some(text(value)), None);
        }
    }
    Change::by(drifts)
}

impl Repository<'_> {
    /// What is registered under the name.
    pub async fn registered(&self) -> Result<Option<Registered>, Error> {
        let doing = format!("describe the repository `{}`", self.name);
        match self
            .client
            .ask(Request::get(self.path(""), doing.clone()))
            .await
        {
            Ok(answer) => match Registered::read(&answer, self.name) {
                Some(found) => Ok(Some(found)),
                None => Err(Error::Strange {
                    doing,
                    reply: crate::answer::short(&answer.to_string()).to_owned(),
                }),
            },
            Err(Error::Refused { refusal, .. }) if refusal.is("repository_missing_exception") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// What would have to be done.
    pub async fn foresee(
        &self,
        wanted: &Wanted,
        states: States,
        loss: Loss,
    ) -> Result<Change, Error> {
        let mut found = self.registered().await?;
        let settings = wanted.settings(self.engine);
        if self.permit(found.as_ref(), &settings, states, loss)? == Standing::Forgotten {
            found = None;
        }
        Ok(compare(found.as_ref(), &settings))
    }

    /// Makes the repository what it should be and proves that all nodes can use it. May be done again and again. On an error what was there before is
    /// there again, or the error says that it is not. What was lost, or what the cluster has disabled, is forgotten first.
    pub async fn configure(
        &self,
        wanted: &Wanted,
        states: States,
        loss: Loss,
    ) -> Result<Configured, Error> {
        let before = self.registered().await?;
        let mut settings = wanted.settings(self.engine);
        let standing = self.permit(before.as_ref(), &settings, states, loss)?;
        let kept = before.as_ref().filter(|_| standing == Standing::Kept);
        let change = compare(kept, &settings);
        match &wanted.keys {
            Keys::Keystore => reload_keys(self.client).await?,
            Keys::InSettings { .. } => wanted.keys.add_to(&mut settings),
        }
        let nodes = nodes(self.client).await?;
        // Keys in the settings cannot be compared, so they are always written.
        let is_written = change != Change::Nothing || wanted.keys != Keys::Keystore;
        let settings = is_written.then_some(settings);
        let mut is_heard = false;
        let changed = self.change(standing, settings, nodes, &mut is_heard);
        match changed.await {
            Ok(()) => {}
            Err(error) if !is_heard || change == Change::Nothing => return Err(error),
            Err(error) => return Err(self.undo(before, &wanted.keys, error).await),
        }
        let listed = self.list(crate::catalog::Details::Without).await;
        let snapshots = listed.map_err(|error| Error::Unlisted {
            repository: self.name.to_owned(),
            source: Box::new(error),
        })?;
        Ok(Configured {
            change,
            nodes,
            snapshots,
        })
    }

    /// Carries a change out, and has every node prove it. `is_heard` becomes true once the cluster may have changed something.
    async fn change(
        &self,
        standing: Standing,
        settings: Option<Map<String, Value>>,
        nodes: usize,
        is_heard: &mut bool,
    ) -> Result<(), Error> {
        let may_be_heard = |done: &Result<(), Error>| match done {
            Ok(()) | Err(Error::Strange { .. }) => true,
            Err(error) => error.is_lost_answer(),
        };
        if standing == Standing::Forgotten {
            let done = self.unregister().await;
            *is_heard |= may_be_heard(&done);
            done?;
        }
        if let Some(settings) = settings {
            let done = self.put(TYPE, settings).await;
            *is_heard |= may_be_heard(&done);
            done?;
        }
        let verified = self.verify().await?;
        if verified < nodes {
            return Err(Error::Unreached {
                repository: self.name.to_owned(),
                verified,
                nodes,
            });
        }
        Ok(())
    }

    async fn put(&self, kind: &str, settings: Map<String, Value>) -> Result<(), Error> {
        let doing = format!("register the repository `{}`", self.name);
        // Verified on its own, so that a failure of that is told from a refusal.
        let request = Request::put(self.path("?verify=false"), doing, Repeat::Safe);
        let body = json!({"type": kind, "settings": settings});
        let done = self.client.ask(request.body(body).patiently()).await;
        match done {
            Ok(_) => Ok(()),
            Err(Error::Refused { refusal, doing }) => {
                let in_use = refusal.is("repository_conflict_exception")
                    || (refusal.is("illegal_state_exception")
                        && refusal.reason.contains("in progress"))
                    || refusal.reason.contains("currently used");
                if in_use {
                    return Err(Error::RepositoryInUse {
                        repository: self.name.to_owned(),
                        reason: refusal.to_string(),
                    });
                }
                if refusal.is("repository_exception") && refusal.mentions("repository type") {
                    return Err(Error::NoS3 {
                        engine: self.engine.to_string(),
                    });
                }
                Err(Error::Refused { doing, refusal })
            }
            Err(error) => Err(error),
        }
    }

    /// How many nodes can write to it and read from it.
    pub async fn verify(&self) -> Result<usize, Error> {
        let doing = format!("verify the repository `{}`", self.name);
        let request = Request::post(self.path("/_verify"), doing, Repeat::Safe);
        match self.client.ask(request.patiently()).await {
            Ok(answer) => Ok(answer["nodes"].as_object().map_or(0, Map::len)),
            // Of a proxy, which says nothing of the repository.
            Err(error) if error.is_lost_answer() => Err(error),
            Err(Error::Refused { refusal, .. })
                if refusal.status >= 500 && !refusal.is("repository_missing_exception") =>
            {
                Err(Error::Unverified {
                    repository: self.name.to_owned(),
                    reason: refusal.to_string(),
                    undone: Undone::Left,
                })
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Puts back what was there before a change that failed.
    async fn undo(&self, before: Option<Registered>, keys: &Keys, error: Error) -> Error {
        let (undone, done) = match before {
            None => (Undone::Removed, self.unregister().await),
            // Its keys are not told; those of the gateway are the best that is known.
            Some(mut before) => {
                keys.add_to(&mut before.settings);
                (Undone::Reset, self.put(&before.kind, before.settings).await)
            }
        };
        let undone = match done {
            Ok(()) => undone,
            Err(error) => {
                tracing::warn!(%error, "what was registered before was not put back");
                Undone::Failed
            }
        };
        match error {
            Error::Unverified {
                repository, reason, ..
            } => Error::Unverified {
                repository,
                reason,
                undone,
            },
            error => Error::Unconfigured {
                repository: self.name.to_owned(),
                undone,
                source: Box::new(error),
            },
        }
    }

    /// Takes the name away, where it is. The bucket keeps everything.
    async fn unregister(&self) -> Result<(), Error> {
        let doing = format!("forget the repository `{}`", self.name);
        let request = Request::delete(self.path(""), doing, Repeat::Safe);
        match self.client.ask(request).await {
            Err(Error::Refused { refusal, .. }) if refusal.is("repository_missing_exception") => {
                Ok(())
            }
            other => other.map(drop),
        }
    }
}

/// Lets all nodes read their keystores again.
async fn reload_keys(client: &Client) -> Result<(), Error> {
    let doing = "read the keystores of its nodes again";
    let request = Request::post("_nodes/reload_secure_settings", doing, Repeat::Safe);
    match client.ask(request.patiently()).await {
        Ok(answer) => {
            let nodes = answer["nodes"].as_object();
            let failed = nodes.into_iter().flatten().find_map(|(_, node)| {
                let reason = node["reload_exception"]["reason"].as_str()?;
                Some(format!(
                    "{}: {reason}",
                    node["name"].as_str().unwrap_or("a node")
                ))
            });
            if let Some(reason) = failed {
                tracing::warn!(
                    reason,
                    "a keystore was not read again; the keys that the node has are used"
                );
            }
            Ok(())
        }
        // Who may not, may still use a repository.
        Err(error @ (Error::Refused { .. } | Error::Unauthorized { .. })) => {
            tracing::warn!(%error, "the keystores were not read again; the keys that the nodes have are used");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Nodes that take part in snapshots: those that hold data, or may lead the cluster.
async fn nodes(client: &Client) -> Result<usize, Error> {
    let path = "_nodes/data:true,master:true?filter_path=nodes.*.name";
    let answer = client.ask(Request::get(path, "count its nodes")).await?;
    Ok(answer["nodes"].as_object().map_or(0, Map::len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::{Family, Version};
    use crate::odd;

    fn wanted() -> Wanted {
        Wanted {
            bucket: "sts-elasticsearch-backup".to_owned(),
            base_path: String::new(),
            endpoint: "http://stackstate-minio:9000".to_owned(),
            region: "us-east-1".to_owned(),
            keys: Keys::InSettings {
                access: "AKIA".to_owned(),
                secret: "hush".to_owned(),
            },
            more: vec![("buffer_size".to_owned(), "5mb".to_owned())],
        }
    }

    fn engine(family: Family, version: &str) -> Engine {
        Engine {
            family,
            version: version.parse().unwrap(),
        }
    }

    #[test]
    fn settings_are_those_of_the_platform_and_keep_data_below_the_path() {
        let settings = wanted().settings(engine(Family::OpenSearch, "3.6.0"));
        insta::assert_snapshot!(Value::Object(settings), @r#"{"bucket":"sts-elasticsearch-backup","buffer_size":"5mb","endpoint":"http://stackstate-minio:9000","path_style_access":"true","protocol":"http","region":"us-east-1","shard_path_type":"FIXED"}"#);
        let settings = wanted().settings(engine(Family::Elasticsearch, "8.19.21"));
        assert!(!settings.contains_key("shard_path_type"));
        assert_eq!(Version::new(2, 17, 0).to_string(), "2.17.0");
        assert_eq!(format!("{:?}", wanted().keys), "InSettings(***)");
    }

    proptest! {
        #[test]
        fn no_repository_panics(answer in odd::answer(&json!({"r": {"type": "s3", "settings": {"bucket": "b", "base_path": "p", "readonly": "true"}}}))) {
            let settings = wanted().settings(engine(Family::OpenSearch, "3.6.0"));
            if let Some(found) = Registered::read(&answer, "r") {
                found.is_read_only();
                compare(Some(&found), &settings);
            }
        }
    }

    #[test]
    fn drift_is_what_was_asked_for_and_is_not_and_what_leads_elsewhere() {
        let settings = wanted().settings(engine(Family::Elasticsearch, "8.19.21"));
        assert_eq!(compare(None, &settings), Change::Register);
        let mut found = Registered {
            kind: "s3".to_owned(),
            settings: settings.clone(),
        };
        // What nobody asked for is left alone.
        found.settings.insert("compress".to_owned(), json!("false"));
        assert_eq!(compare(Some(&found), &settings), Change::Nothing);
        found.settings.insert("base_path".to_owned(), json!("old"));
        found
            .settings
            .insert("endpoint".to_owned(), json!("http://s3"));
        found.settings.insert("readonly".to_owned(), json!(true));
        let Change::Correct(drifts) = compare(Some(&found), &settings) else {
            panic!("it drifted");
        };
        let names: Vec<_> = drifts.iter().map(|drift| &drift.setting[..]).collect();
        assert_eq!(names, ["endpoint", "base_path", "readonly"]);
        assert!(found.is_read_only());
    }
}
