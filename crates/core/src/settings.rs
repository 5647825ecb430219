//! What the user wants, read from the Helm values of the platform.
//!
//! [`Settings::from_values`] takes the texts of the values files, the `--set` arguments and the environment, and gives
//! plain data: every default filled in, older names of keys resolved, every value checked. It reads nothing itself.
//! What is ours and not understood is refused with its place; all else in a values file belongs to others.
//!
//! Secrets come from the values or from [`environment`](Settings::from_values). A Secret that is mounted as a file is
//! read by the caller, who passes its content under the variable's name.

mod cluster;
mod credentials;
mod effective;
mod error;
mod gateway;
mod keys;
mod origin;
mod read;
pub mod reference;
mod resolve;
mod secret;
mod set;
mod storage;
mod stores;
#[cfg(test)]
mod tests;
mod tree;
pub mod users;
mod value;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use cluster::{Cluster, KeyPlace, Mode};
pub use effective::Effective;
pub use error::{Error, Errors, Problem, Warning};
pub use gateway::{Gateway, Route, Target, Tls};
pub use origin::{Origin, Place};
pub use secret::{Credentials, Secret};
pub use storage::{Azure, S3, S3Style, Storage};
pub use stores::{
    Configuration, Elasticsearch, MetricsServer, Scheduled, StackGraph, VictoriaMetrics,
};

use credentials::Keys;
use read::Given;
use resolve::Resolver;
use tree::Node;

use crate::size::ByteSize;

/// The text of a values file. May hold secrets: printing shows the name alone.
pub struct Source {
    /// As the user named it; errors begin with it.
    pub name: String,
    pub text: String,
}

/// All settings, resolved once. Plain data: clocks, stores and clients are not in here.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `backup.enabled` or its successor `global.backup.enabled`: without it nothing is backed up or restored.
    pub backup_enabled: bool,
    pub storage: Storage,
    pub stackgraph: StackGraph,
    pub elasticsearch: Elasticsearch,
    pub victoria_metrics: [VictoriaMetrics; 2],
    pub configuration: Configuration,
    pub lifeboat: Lifeboat,
    /// What works, but perhaps not as meant; sorted by place.
    pub warnings: Vec<Warning>,
    keys: Keys,
    effective: Vec<Effective>,
}

/// Lifeboat's own keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifeboat {
    /// Where the commands reach the gateway; no `/` at its end.
    pub endpoint: String,
    /// Seconds that it may be silent while an answer is awaited; 0: any number.
    pub read_timeout_seconds: u64,
    /// Whether the signature of an upload to our own gateway covers the content itself, not its checksum.
    pub sign_content: bool,
    /// Name in the time zone database, not looked up yet; `None`: the system's.
    pub time_zone: Option<String>,
    pub gateway: Gateway,
    pub stackgraph: StackGraphStore,
    pub victoria_metrics: Transfers,
}

/// What a backup or restore of metrics may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfers {
    /// For bytes on their way.
    pub memory: ByteSize,
    /// Bytes a second; 0: no limit.
    pub limit_rate: ByteSize,
    /// Where vmagent answers, no `/` at its end.
    pub vmagent: Option<String>,
}

/// The store that holds the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackGraphStore {
    pub driver: Driver,
    /// The folder of the embedded store.
    pub path: String,
    /// What a restore may use.
    pub memory: ByteSize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    Embedded,
}

impl Driver {
    fn named(name: &str) -> Option<Self> {
        (name == "embedded").then_some(Self::Embedded)
    }
}

impl Settings {
    /// Reads settings. Later sources win key by key, `overrides` (the texts of `--set`) win over them, and
    /// `environment` wins for the gateway's keys: `LIFEBOAT_ACCESS_KEY` and `LIFEBOAT_SECRET_KEY`; for clients of the
    /// gateway also `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, as a pair, when nothing else gives keys.
    ///
    /// `null` takes away what was said before, so that the default holds. No sources at all give the defaults. Rules
    /// that matter to one command only are methods: [`gateway_credentials`](Self::gateway_credentials),
    /// [`require_storage`](Self::require_storage) and others; [`check`](Self::check) runs them all.
    ///
    /// # Errors
    /// Everything that is wrong, at once. A file that is not YAML keeps the others from being checked key by key.
    pub fn from_values(
        sources: &[Source],
        overrides: &[String],
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, Errors> {
        let root = merged(sources, overrides)?;
        let mut resolver = Resolver::new(Given::collect(&root));
        let storage = Storage::resolve(&mut resolver);
        let settings = Self {
            backup_enabled: resolver.flag("global.backup.enabled"),
            stackgraph: StackGraph::resolve(&mut resolver, &storage),
            elasticsearch: Elasticsearch::resolve(&mut resolver, &storage),
            victoria_metrics: ["victoria-metrics-0", "victoria-metrics-1"]
                .map(|instance| VictoriaMetrics::resolve(&mut resolver, &storage, instance)),
            configuration: Configuration::resolve(&mut resolver, &storage),
            lifeboat: Lifeboat::resolve(&mut resolver),
            keys: Keys::resolve(&mut resolver, environment),
            storage,
            warnings: Vec::new(),
            effective: Vec::new(),
        };
        let (errors, warnings, effective) = resolver.finish();
        if !errors.is_empty() {
            return Err(Errors::sorted(errors));
        }
        Ok(Self {
            warnings,
            effective,
            ..settings
        })
    }

    /// Every key that is read, in the order of the reference, with the value in force and who said it.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// The buckets of all stores that are backed up, which the gateway creates.
    pub fn buckets(&self) -> BTreeSet<&str> {
        let stores = [
            (self.stackgraph.enabled, &self.stackgraph.bucket),
            (self.elasticsearch.enabled, &self.elasticsearch.bucket),
            (self.configuration.enabled, &self.configuration.bucket),
        ];
        let instances = self
            .victoria_metrics
            .iter()
            .map(|instance| (instance.enabled, &instance.bucket));
        stores
            .into_iter()
            .chain(instances)
            .filter_map(|(enabled, bucket)| enabled.then_some(bucket.as_str()))
            .collect()
    }

    /// Refuses where backups are not enabled as a whole.
    pub fn require_backup_enabled(&self) -> Result<(), Error> {
        stores::require(self.backup_enabled, "backup and restore", "backup.enabled")
    }

    /// Returns the storage of the gateway, refuses where none was chosen.
    pub fn require_storage(&self) -> Result<&Storage, Error> {
        if self.storage != Storage::None {
            return Ok(&self.storage);
        }
        let problem = Problem::Missing {
            what: "the storage of the backups".to_owned(),
            advice: "set `minio.persistence.enabled`, `minio.s3gateway.enabled` or `minio.azuregateway.enabled` to true"
                .to_owned(),
        };
        Err(Error::new(Origin::Default, problem))
    }

    /// What a running installation would refuse later: nothing while backups are disabled.
    pub fn check(&self) -> Vec<Error> {
        if !self.backup_enabled {
            return Vec::new();
        }
        let storage = self.require_storage().err();
        let credentials = self.gateway_credentials().err();
        let prefixes = self.require_own_prefixes().err();
        let errors = storage.into_iter().chain(credentials);
        errors.chain(prefixes).collect()
    }

    /// Refuses two instances of metrics whose backups would replace each other.
    pub fn require_own_prefixes(&self) -> Result<(), Error> {
        let [zero, one] = &self.victoria_metrics;
        let are_both_on = zero.enabled && one.enabled;
        if !are_both_on || (&zero.bucket, &zero.prefix) != (&one.bucket, &one.prefix) {
            return Ok(());
        }
        let path = format!("{}.backup.s3Prefix", one.instance);
        let reason = format!(
            "is `{}`, as that of `{}` in the same bucket: their backups would replace each other",
            one.version_prefix(),
            zero.instance
        );
        Err(Error::new(Origin::Default, Problem::Rule { path, reason }))
    }
}

/// Reads and merges everything; all files that are not YAML and all arguments that are not assignments are told.
fn merged(sources: &[Source], overrides: &[String]) -> Result<Node, Errors> {
    let mut errors = Vec::new();
    let mut root = Node::empty_map(Origin::Default);
    for (rank, source) in sources.iter().enumerate() {
        match yaml::parse(rank, &source.name, &source.text).and_then(Node::into_values) {
            Ok(node) => root.merge(node),
            Err(error) => errors.push(error),
        }
    }
    for argument in overrides {
        if let Err(error) = set::apply(&mut root, argument) {
            errors.push(error);
        }
    }
    if errors.is_empty() {
        Ok(root)
    } else {
        Err(Errors::sorted(errors))
    }
}

impl Lifeboat {
    fn resolve(resolver: &mut Resolver) -> Self {
        let driver = Driver::named(&resolver.text("lifeboat.stackgraph.driver"))
            .expect("the table names the drivers there are");
        Self {
            endpoint: resolver.text("lifeboat.endpoint"),
            read_timeout_seconds: resolver.count("lifeboat.readTimeoutSeconds"),
            sign_content: resolver.flag("lifeboat.signContent"),
            time_zone: resolver.optional("lifeboat.timeZone"),
            gateway: Gateway::resolve(resolver),
            stackgraph: StackGraphStore {
                driver,
                path: resolver.text("lifeboat.stackgraph.path"),
                memory: resolver.size("lifeboat.stackgraph.memory"),
            },
            victoria_metrics: Transfers {
                memory: resolver.size("lifeboat.victoriaMetrics.memory"),
                limit_rate: resolver.size("lifeboat.victoriaMetrics.limitRate"),
                vmagent: resolver.optional("lifeboat.victoriaMetrics.vmagent"),
            },
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
