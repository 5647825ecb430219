//! The settings of each store: what is backed up, where to, when, and for how long it is kept.

use super::cluster::{Cluster, Mode};
use super::error::{Error, Problem};
use super::keys;
use super::origin::Origin;
use super::resolve::Resolver;
use super::secret::Secret;
use super::storage::Storage;
use crate::age::Age;
use crate::name::Pattern;
use crate::schedule::Schedule;

/// Topology and settings.
#[derive(Debug, Clone)]
pub struct StackGraph {
    pub enabled: bool,
    pub bucket: String,
    /// Empty, or ends in `/`.
    pub prefix: String,
    pub restore_enabled: bool,
    pub scheduled: Scheduled,
}

/// The platform's settings, apart from the topology.
#[derive(Debug, Clone)]
pub struct Configuration {
    pub enabled: bool,
    pub bucket: String,
    /// Empty, or ends in `/`.
    pub prefix: String,
    pub restore_enabled: bool,
    pub scheduled: Scheduled,
}

/// When full backups are made, how they are called, how long they are kept.
#[derive(Debug, Clone)]
pub struct Scheduled {
    pub enabled: bool,
    pub schedule: Schedule,
    pub names: Pattern,
    pub retention: Age,
}

/// Telemetry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elasticsearch {
    pub enabled: bool,
    pub bucket: String,
    /// Empty, or ends in `/`.
    pub prefix: String,
    pub repository: String,
    pub restore_enabled: bool,
    pub scheduled_enabled: bool,
    pub schedule: Schedule,
    /// Index patterns, at least one.
    pub indices: Vec<String>,
    pub policy_name: String,
    /// In Elasticsearch date math.
    pub snapshot_name_template: String,
    pub expire_after: Age,
    /// Snapshots kept whatever their age; never more than `max_count`.
    pub min_count: u64,
    pub max_count: u64,
    pub mode: Mode,
    pub cluster: Cluster,
}

/// Metrics of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VictoriaMetrics {
    /// `victoria-metrics-0` or `victoria-metrics-1`.
    pub instance: &'static str,
    pub enabled: bool,
    pub bucket: String,
    /// Empty, or ends in `/`.
    pub prefix: String,
    pub restore_enabled: bool,
    /// When the newest backup is brought up to date.
    pub hourly: Schedule,
    /// When a dated copy is made; `None`: never.
    pub daily: Option<Schedule>,
    /// A backup that exists is not replaced by that of an instance whose data goes back less; 0: always.
    pub min_history_seconds: u64,
    pub keep_last_daily: u64,
    pub keep_last_weekly: u64,
    pub server: MetricsServer,
}

/// The server of an instance, as Lifeboat reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsServer {
    /// No `/` at its end.
    pub url: String,
    /// Its data folder.
    pub path: String,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub snapshot_key: Option<Secret>,
    pub flush_key: Option<Secret>,
    pub metrics_key: Option<Secret>,
    /// A file in PEM.
    pub certificates: Option<String>,
}

impl StackGraph {
    pub(super) fn resolve(resolver: &mut Resolver, storage: &Storage) -> Self {
        Self {
            enabled: resolver.flag("backup.stackGraph.enabled"),
            bucket: bucket(resolver, storage, "backup.stackGraph.bucketName"),
            prefix: resolver.text("backup.stackGraph.s3Prefix"),
            restore_enabled: resolver.flag("backup.stackGraph.restore.enabled"),
            scheduled: Scheduled::resolve(resolver, "backup.stackGraph.scheduled"),
        }
    }

    /// Refuses where the user has disabled restores.
    pub fn require_restore_enabled(&self) -> Result<(), Error> {
        let path = "backup.stackGraph.restore.enabled";
        require(self.restore_enabled, "restoring StackGraph", path)
    }
}

impl Configuration {
    pub(super) fn resolve(resolver: &mut Resolver, storage: &Storage) -> Self {
        Self {
            enabled: resolver.flag("backup.configuration.enabled"),
            bucket: bucket(resolver, storage, "backup.configuration.bucketName"),
            prefix: resolver.text("backup.configuration.s3Prefix"),
            restore_enabled: resolver.flag("backup.configuration.restore.enabled"),
            scheduled: Scheduled::resolve(resolver, "backup.configuration.scheduled"),
        }
    }

    /// Refuses where the user has disabled restores.
    pub fn require_restore_enabled(&self) -> Result<(), Error> {
        let path = "backup.configuration.restore.enabled";
        require(self.restore_enabled, "restoring the settings", path)
    }
}

impl Scheduled {
    fn resolve(resolver: &mut Resolver, section: &str) -> Self {
        Self {
            enabled: resolver.flag(&format!("{section}.enabled")),
            schedule: resolver.schedule(&format!("{section}.schedule")),
            names: names(resolver, section),
            retention: resolver.age(&format!("{section}.backupRetentionTimeDelta")),
        }
    }
}

impl Elasticsearch {
    pub(super) fn resolve(resolver: &mut Resolver, storage: &Storage) -> Self {
        let min_count = resolver.count("backup.elasticsearch.scheduled.snapshotRetentionMinCount");
        let max_count = resolver.count("backup.elasticsearch.scheduled.snapshotRetentionMaxCount");
        if min_count > max_count {
            let path = "backup.elasticsearch.scheduled.snapshotRetentionMinCount";
            let origin = resolver.resolve(path).origin;
            let reason = format!(
                "is {min_count}, more than `backup.elasticsearch.scheduled.snapshotRetentionMaxCount`, which is {max_count}"
            );
            let path = path.to_owned();
            resolver.fail(origin, Problem::Rule { path, reason });
        }
        Self {
            enabled: resolver.flag("backup.elasticsearch.enabled"),
            bucket: bucket(resolver, storage, "backup.elasticsearch.bucketName"),
            prefix: resolver.text("backup.elasticsearch.s3Prefix"),
            repository: resolver.text("backup.elasticsearch.snapshotRepositoryName"),
            restore_enabled: resolver.flag("backup.elasticsearch.restore.enabled"),
            scheduled_enabled: resolver.flag("backup.elasticsearch.scheduled.enabled"),
            schedule: resolver.schedule("backup.elasticsearch.scheduled.schedule"),
            indices: resolver.list("backup.elasticsearch.scheduled.indices"),
            policy_name: resolver.text("backup.elasticsearch.scheduled.snapshotPolicyName"),
            snapshot_name_template: resolver
                .text("backup.elasticsearch.scheduled.snapshotNameTemplate"),
            expire_after: resolver
                .age("backup.elasticsearch.scheduled.snapshotRetentionExpireAfter"),
            min_count,
            max_count,
            mode: Mode::resolve(resolver),
            cluster: Cluster::resolve(resolver),
        }
    }

    /// Refuses where the user has disabled backups.
    pub fn require_backup_enabled(&self) -> Result<(), Error> {
        let path = "backup.elasticsearch.enabled";
        require(self.enabled, "backing up Elasticsearch", path)
    }

    /// Refuses where the user has disabled restores.
    pub fn require_restore_enabled(&self) -> Result<(), Error> {
        let path = "backup.elasticsearch.restore.enabled";
        require(self.restore_enabled, "restoring Elasticsearch", path)
    }
}

impl VictoriaMetrics {
    pub(super) fn resolve(
        resolver: &mut Resolver,
        storage: &Storage,
        instance: &'static str,
    ) -> Self {
        let path = |rest: &str| format!("{instance}.{rest}");
        Self {
            instance,
            enabled: resolver.flag(&path("backup.enabled")),
            bucket: bucket(resolver, storage, &path("backup.bucketName")),
            prefix: resolver.text(&path("backup.s3Prefix")),
            restore_enabled: resolver.flag(&path("restore.enabled")),
            hourly: resolver.schedule(&path("backup.scheduled.hourly")),
            daily: resolver.optional_schedule(&path("backup.scheduled.daily")),
            min_history_seconds: resolver.count(&path("backup.minHistorySeconds")),
            keep_last_daily: resolver.count(&path("backup.keepLastDaily")),
            keep_last_weekly: resolver.count(&path("backup.keepLastWeekly")),
            server: MetricsServer::resolve(resolver, &format!("lifeboat.{instance}")),
        }
    }

    /// The prefix of all its versions, without the `/` at its end.
    pub fn version_prefix(&self) -> &str {
        self.prefix.trim_end_matches('/')
    }

    /// Refuses where the user has not enabled backups of this instance.
    pub fn require_backup_enabled(&self) -> Result<(), Error> {
        let what = format!("backing up {}", self.instance);
        let path = format!("{}.backup.enabled", self.instance);
        require(self.enabled, &what, &path)
    }

    /// Refuses where the user has not enabled restores.
    pub fn require_restore_enabled(&self) -> Result<(), Error> {
        let what = format!("restoring {}", self.instance);
        let path = format!("{}.restore.enabled", self.instance);
        require(self.restore_enabled, &what, &path)
    }
}

impl MetricsServer {
    fn resolve(resolver: &mut Resolver, section: &str) -> Self {
        let path = |rest: &str| format!("{section}.{rest}");
        let mut secret = |rest: &str| resolver.secret(&path(rest)).map(|found| found.secret);
        let [password, snapshot_key, flush_key, metrics_key] = [
            "password",
            "snapshotAuthKey",
            "flushAuthKey",
            "metricsAuthKey",
        ]
        .map(&mut secret);
        Self {
            url: resolver.text(&path("url")),
            path: resolver.text(&path("path")),
            user: resolver.optional(&path("user")),
            password,
            snapshot_key,
            flush_key,
            metrics_key,
            certificates: resolver.optional(&path("certificates")),
        }
    }
}

pub(super) fn require(enabled: bool, what: &str, path: &str) -> Result<(), Error> {
    if enabled {
        return Ok(());
    }
    let problem = Problem::Disabled {
        what: what.to_owned(),
        path: path.to_owned(),
    };
    Err(Error::new(Origin::Default, problem))
}

/// Reads the three texts that together make a naming rule; an error names the first that the user gave.
fn names(resolver: &mut Resolver, section: &str) -> Pattern {
    let parts = [
        "backupNameTemplate",
        "backupNameParseRegexp",
        "backupDatetimeParseFormat",
    ]
    .map(|part| format!("{section}.{part}"));
    let origins = parts.each_ref().map(|part| resolver.resolve(part).origin);
    let [template, regexp, format] = parts.each_ref().map(|part| resolver.text(part));
    match Pattern::new(&template, &regexp, &format) {
        Ok(pattern) => pattern,
        Err(error) => {
            let blamed = origins
                .iter()
                .position(|origin| *origin != Origin::Default)
                .unwrap_or(0);
            let problem = Problem::Unreadable {
                path: parts[blamed].clone(),
                source: Box::new(error),
            };
            resolver.fail(origins[blamed].clone(), problem);
            let [template, regexp, format] = parts.each_ref().map(|part| keys::get(part).seed);
            Pattern::new(template, regexp, format).expect("a test reads every default")
        }
    }
}

/// Reads the name of a bucket and checks it as S3 does today. Only S3 itself may still hold older buckets, with
/// capitals or `_` in their names: there it is a warning.
fn bucket(resolver: &mut Resolver, storage: &Storage, path: &str) -> String {
    let origin = resolver.resolve(path).origin;
    let name = resolver.text(path);
    let Some(reason) = refusal(&name) else {
        return name;
    };
    if matches!(storage, Storage::S3(_)) {
        let text = format!("`{path}` {reason}: only a bucket from before 2018 can be called so");
        resolver.warn(origin, text);
    } else {
        let path = path.to_owned();
        let reason = reason.to_owned();
        resolver.fail(origin, Problem::Rule { path, reason });
    }
    name
}

fn refusal(name: &str) -> Option<&'static str> {
    let ends = [name.bytes().next(), name.bytes().next_back()];
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if !(3..=63).contains(&name.len()) {
        return Some("must have 3 to 63 characters");
    }
    if !name
        .bytes()
        .all(|byte| is_lower(byte) || b".-".contains(&byte))
    {
        return Some("may hold lower-case letters, digits, `.` and `-` only");
    }
    if !ends.into_iter().flatten().all(is_lower) {
        return Some("must begin and end with a letter or a digit");
    }
    if name.contains("..") {
        return Some("must not hold two dots in a row");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some("must not look like an address");
    }
    None
}
