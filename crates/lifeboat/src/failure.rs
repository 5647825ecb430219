//! How an error reaches the person: what failed, why, and what to do next.

use std::error::Error;
use std::fmt;

use lifeboat_core::error::Kind;
use lifeboat_elasticsearch::error::{Error as Telemetry, Undone};

use crate::exit::Exit;

/// A command's error, ready to be shown. Any typed error of the workspace turns into one; hints are added where the
/// command knows what a person can do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    error: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit: kind.into(),
            error: error.into(),
            hint: None,
        }
    }

    pub(crate) fn interrupted() -> Self {
        Self {
            exit: Exit::Interrupted,
            error: "interrupted".into(),
            hint: None,
        }
    }

    /// Says what was being done; the error so far becomes its cause.
    pub(crate) fn context(mut self, doing: impl Into<String>) -> Self {
        self.error = Box::new(Doing {
            doing: doing.into(),
            cause: self.error,
        });
        self
    }

    /// Says what to do next, unless the error itself says it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert(hint.into());
        self
    }

    /// Says in what state things are, before what to do next.
    pub(crate) fn left(mut self, state: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{state}; {hint}"),
            None => state.to_owned(),
        });
        self
    }
}

#[derive(Debug)]
struct Doing {
    doing: String,
    cause: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.doing)
    }
}

impl Error for Doing {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.error.to_string();
        // A line that other programs wait for stands alone.
        if text.starts_with("ERROR ") {
            f.write_str(&text)?;
        } else {
            write!(f, "error: {text}")?;
        }
        let mut source = self.error.source();
        while let Some(cause) = source {
            write!(f, "\n  caused by: {cause}")?;
            source = cause.source();
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl From<lifeboat_core::settings::Error> for Failure {
    fn from(error: lifeboat_core::settings::Error) -> Self {
        Self::new(error.kind(), error)
    }
}

impl From<lifeboat_storage::Error> for Failure {
    fn from(error: lifeboat_storage::Error) -> Self {
        use lifeboat_storage::error::Cause;
        let hint = match &*error.cause {
            Cause::Unreachable(_) => Some(format!(
                "is the gateway running at {}? set `lifeboat.endpoint` if it is elsewhere",
                error.endpoint
            )),
            Cause::Denied(_) => Some(
                "the key pair is `minio.accessKey` and `minio.secretKey` of the values, or LIFEBOAT_ACCESS_KEY and \
                 LIFEBOAT_SECRET_KEY of the environment"
                    .to_owned(),
            ),
            Cause::NoBucket(_) => Some(
                "the gateway creates the buckets of its values when it starts; the name is `backup.stackGraph.bucketName`"
                    .to_owned(),
            ),
            Cause::Full(_) => Some("free space on the gateway's volume, then run the same command again".to_owned()),
            Cause::Exists => Some("choose another name with `--name`".to_owned()),
            _ => None,
        };
        let failure = Self::new(error.kind(), error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<lifeboat_stackgraph::error::Error> for Failure {
    fn from(error: lifeboat_stackgraph::error::Error) -> Self {
        use lifeboat_stackgraph::error::Error as Graph;
        let hint = match &error {
            Graph::Storage(_) => {
                let Graph::Storage(error) = error else { unreachable!("it was just matched") };
                return error.into();
            }
            Graph::NotEmpty { vertices, edges } => Some(format!(
                "the store holds {} elements, and nothing was changed; with `-force` the backup replaces them",
                vertices + edges
            )),
            Graph::UnknownBackup { nearest, .. } if nearest.is_empty() => {
                Some("the bucket holds no backups yet".to_owned())
            }
            Graph::UnknownBackup { nearest, .. } => Some(format!("the nearest names are `{}`", nearest.join("`, `"))),
            Graph::NoBackup { .. } => Some("`lifeboat stackgraph list --all` shows what is there and why".to_owned()),
            Graph::Held { .. } => Some("wait until it has ended, then run the same command again".to_owned()),
            Graph::NoStore { .. } => Some(
                "`lifeboat.stackgraph.path` is where the store lies; `stackgraph load` and `stackgraph restore` make one"
                    .to_owned(),
            ),
            Graph::NoSpace { .. } => Some("free space on that volume; the store holds what it held".to_owned()),
            _ => None,
        };
        let failure = Self::new(error.kind(), error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<lifeboat_victoria_metrics::error::Error> for Failure {
    fn from(error: lifeboat_victoria_metrics::error::Error) -> Self {
        use lifeboat_victoria_metrics::error::Error as Metrics;
        let hint = match &error {
            Metrics::Storage(_) => {
                let Metrics::Storage(error) = error else { unreachable!("it was just matched") };
                if let lifeboat_storage::error::Cause::NoBucket(_) = &*error.cause {
                    return Self::new(error.kind(), error).hint(
                        "the gateway creates the buckets of its values when it starts; the name is `backup.bucketName` below the instance",
                    );
                }
                return error.into();
            }
            Metrics::Stopped => return Self::interrupted(),
            Metrics::Unreachable { instance, .. } => Some(format!(
                "is the server running? `lifeboat.{instance}.url` says where it is"
            )),
            Metrics::Redirected { instance, .. } => Some(format!(
                "`lifeboat.{instance}.url` has to say where the server itself is, with its path prefix: nobody is followed elsewhere"
            )),
            Metrics::Unauthorized { instance, .. } => Some(format!(
                "the keys are `lifeboat.{instance}.user` and `.password`, `.snapshotAuthKey` and `.metricsAuthKey`"
            )),
            Metrics::Agent { .. } => Some(
                "`lifeboat.victoriaMetrics.vmagent` says where it is; empty, nobody is asked".to_owned(),
            ),
            Metrics::NotDrained { .. } => Some(
                "the old data is still there; the log of vmagent says what keeps it from sending".to_owned(),
            ),
            Metrics::Refused { .. } => Some("nothing was changed; the log of the server says more".to_owned()),
            Metrics::ReadOnly { .. } => Some(
                "nothing was changed; its volume has no more room than `-storage.minFreeDiskSpaceBytes`: with room it can be backed up"
                    .to_owned(),
            ),
            Metrics::Snapshot { .. } | Metrics::EmptySnapshot { .. } => Some(
                "the whole data folder of the server has to be mounted where the backup runs, not its snapshots alone; the backup before is still the one that counts"
                    .to_owned(),
            ),
            Metrics::BrokenSnapshot { .. } | Metrics::FewSamples { .. } => {
                Some("the backup before is still the one that counts; run the same command again".to_owned())
            }
            Metrics::Shrunk { .. } => Some(
                "nothing was changed; if the data was deleted on purpose, `--allow-shrinking` replaces the backup".to_owned(),
            ),
            Metrics::Young { instance, .. } => Some(format!(
                "nothing was changed; `{instance}.backup.minHistorySeconds` is how far it has to go back"
            )),
            Metrics::SomethingElse { .. } => {
                Some("nothing was changed; give the metrics a bucket or a prefix of their own".to_owned())
            }
            Metrics::Held { until, .. } => Some(format!(
                "wait until it has ended; if it was killed, its lease ends at {until}"
            )),
            Metrics::LeaseLost => Some("if another run writes, what it writes counts; run the same command again".to_owned()),
            Metrics::UnknownVersion { nearest, .. } if nearest.is_empty() => {
                Some("the bucket holds no backups of it yet".to_owned())
            }
            Metrics::UnknownVersion { nearest, .. } => Some(format!("the nearest names are `{}`", nearest.join("`, `"))),
            Metrics::Incomplete { .. } => {
                Some("`lifeboat victoria-metrics list` shows those that are complete".to_owned())
            }
            Metrics::Damaged { version, .. } => Some(format!(
                "`lifeboat victoria-metrics verify` tells all that is wrong with `{version}`"
            )),
            Metrics::TooOld { .. } => Some(
                "nothing was changed; start a newer server, or tell its version with `--server-version`".to_owned(),
            ),
            Metrics::InUse { .. } => Some(
                "nothing was changed; stop the server first, or let `--final-backup` back it up once more and wait for its stop"
                    .to_owned(),
            ),
            Metrics::Unconfirmed { .. } => Some(
                "nothing was changed; `confirm` keeps the data as it is now and gives up what was there before that restore, `undo` brings that back and gives up the data as it is now"
                    .to_owned(),
            ),
            Metrics::Busy { .. } => Some("nothing was changed; wait until it has ended".to_owned()),
            Metrics::NotRestored { found: 0, .. } => Some(
                "nothing was removed; `undo` brings back what was there before the restore".to_owned(),
            ),
            Metrics::NotRestored { .. } => Some(
                "nothing was removed; samples older than its retention are dropped by the server, which `--accept-fewer` allows for"
                    .to_owned(),
            ),
            Metrics::NotFound { .. } => Some(
                "nothing was removed; a server that is older than the one that wrote the backup cannot read its index: start a newer one, or `undo`; where all of the backup is older than the server's retention, `--accept-fewer` allows for that"
                    .to_owned(),
            ),
            Metrics::CannotRead { .. } => {
                Some("nothing was removed; start a newer server, or `undo`".to_owned())
            }
            Metrics::NotOpened { instance, .. } => Some(format!(
                "nothing was removed; start the server of this folder; `lifeboat.{instance}.url` and `.path` have to be those of one and the same server"
            )),
            Metrics::Changed { .. } => Some(
                "nothing was removed; when the server runs on what was restored, run `confirm` again".to_owned(),
            ),
            Metrics::OtherServer { instance, .. } => Some(format!(
                "nothing was removed; correct `lifeboat.{instance}.url` or `.path`: they have to be those of one and the same server"
            )),
            _ => None,
        };
        let failure = Self::new(error.kind(), error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

const ALLOW_KEYS: &str = "start the nodes with `-Des.allow_insecure_settings=true` (OpenSearch: `-Dopensearch.allow_insecure_settings=true`), or put the keys into their keystores and set `lifeboat.elasticsearch.keys` to `keystore`";

impl From<Telemetry> for Failure {
    fn from(error: Telemetry) -> Self {
        if matches!(error, Telemetry::Stopped) {
            return Self::interrupted();
        }
        let hint = of_telemetry(&error);
        let failure = Self::new(error.kind(), error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

fn of_telemetry(error: &Telemetry) -> Option<String> {
    match error {
            Telemetry::Unreachable { .. } => Some(
                "is the cluster running? `lifeboat.elasticsearch.url` says where it is".to_owned(),
            ),
            Telemetry::Refused { refusal, .. } if refusal.mentions("allow_insecure_settings") => {
                Some(ALLOW_KEYS.to_owned())
            }
            Telemetry::Redirected { .. } => Some(
                "`lifeboat.elasticsearch.url` has to say where the cluster itself is: nobody is followed elsewhere".to_owned(),
            ),
            Telemetry::Unauthorized { .. } | Telemetry::Credentials => Some(
                "they are `lifeboat.elasticsearch.user` and `.password`, or `.apiKey`, or `.token`".to_owned(),
            ),
            Telemetry::NoCertificate => Some(
                "`lifeboat.elasticsearch.certificates` names a file that begins with `-----BEGIN CERTIFICATE-----`".to_owned(),
            ),
            Telemetry::NoRepository { .. } => Some(
                "`lifeboat elasticsearch configure` registers it; what the bucket holds is there again then".to_owned(),
            ),
            Telemetry::RepositoryLost { .. } => Some(
                "nothing was changed; put the volume back that has it, or begin anew without those snapshots: \
                 `lifeboat elasticsearch configure --accept-loss`"
                    .to_owned(),
            ),
            Telemetry::NoManager { .. } => Some(
                "`backup.elasticsearch.scheduled.mode: lifeboat` takes snapshots without it".to_owned(),
            ),
            Telemetry::UnknownPolicy(_) => Some(
                "`lifeboat elasticsearch configure` installs it where `backup.elasticsearch.scheduled.mode` is `native`".to_owned(),
            ),
            Telemetry::StillStopped { .. } => Some(
                "`lifeboat elasticsearch policy start` starts it".to_owned(),
            ),
            Telemetry::TooFewDocuments { .. } => Some(
                "what came back is there; unless documents were deleted while it was taken, restore an older snapshot beside it with `--rename` and compare".to_owned(),
            ),
            Telemetry::NoS3 { .. } => Some(
                "install the plugin `repository-s3` on every node and restart it; Elasticsearch has it from version 8 on".to_owned(),
            ),
            Telemetry::Unverified { undone, reason, .. } => {
                let undone = of_undone(*undone);
                Some(if reason.contains("allow_insecure_settings") {
                    format!("{undone}; {ALLOW_KEYS}")
                } else {
                    undone.to_owned()
                })
            }
            Telemetry::Unconfigured { undone, source, .. } => {
                let undone = of_undone(*undone).to_owned();
                Some(match of_telemetry(source) {
                    Some(hint) => format!("{undone}; {hint}"),
                    None => undone,
                })
            }
            Telemetry::Unlisted { source, .. } => of_telemetry(source),
            Telemetry::RepositoryInUse { .. } => {
                Some("wait until the snapshot or the restore has ended, then run the same command again".to_owned())
            }
            Telemetry::ReadOnly { .. } => Some(
                "one cluster writes to a repository; `lifeboat elasticsearch configure` makes it this one".to_owned(),
            ),
            Telemetry::Unreached { .. } => Some(
                "every node that holds data has to reach the gateway, with the keys in its keystore".to_owned(),
            ),
            Telemetry::UnknownSnapshot { nearest, .. } if nearest.is_empty() => {
                Some("the repository holds no snapshots yet".to_owned())
            }
            Telemetry::UnknownSnapshot { nearest, .. } => {
                Some(format!("the nearest names are `{}`", nearest.join("`, `")))
            }
            _ => of_snapshots(error),
        }
}

/// Of those that are taken, chosen and restored.
fn of_snapshots(error: &Telemetry) -> Option<String> {
    match error {
            Telemetry::NothingMatches { .. } | Telemetry::UnknownIndex(_) => Some(
                "nothing was changed; `lifeboat elasticsearch list-indices` shows what there is".to_owned(),
            ),
            Telemetry::NotInSnapshot { snapshot, .. } => Some(format!(
                "nothing was changed; `lifeboat elasticsearch describe {snapshot}` shows what it holds"
            )),
            Telemetry::NotWhole { state, .. } if state == "PARTIAL" => Some(
                "a restore takes it with `--allow-partial`; what it lacks comes back empty".to_owned(),
            ),
            Telemetry::GivenUp { .. } => Some(
                "the earlier snapshots are as they were; put right what the store says, then take another".to_owned(),
            ),
            Telemetry::TooNew { .. } => {
                Some("nothing was changed; restore it into a cluster of that version or a newer one".to_owned())
            }
            Telemetry::Exist { .. } => Some(
                "nothing was restored; `--delete-existing` deletes them first, `--rename` restores beside them".to_owned(),
            ),
            Telemetry::Taken { .. } => Some(
                "nothing was changed, and `--delete-existing` deletes no such things; `--rename` restores under other names, `--indices` leaves them out, or take the alias or the data stream away".to_owned(),
            ),
            Telemetry::TooManyShards { .. } => Some(
                "nothing was changed; raise `cluster.max_shards_per_node`, add a node, or delete or close what is not needed".to_owned(),
            ),
            Telemetry::NotGivenUp { .. } => Some(
                "it may go on and be listed, and expires like any other; `lifeboat elasticsearch list` shows what became of it".to_owned(),
            ),
            Telemetry::ShardsFailed { .. } => Some(
                "the snapshot is as it was: the same command with `--delete-existing` begins anew, `restore cancel` only deletes what the restore made".to_owned(),
            ),
            Telemetry::SeveralToAttach { .. } => {
            Some("name the snapshot of the one that is meant".to_owned())
        }
        Telemetry::NothingToAttach => Some(
                "a restore that has ended is known only as long as its indices stay where they are".to_owned(),
            ),
            _ => None,
        }
}

fn of_undone(undone: Undone) -> &'static str {
    match undone {
        Undone::Removed => "nothing is registered, as before",
        Undone::Reset => "the repository has the settings that it had before",
        Undone::Left => {
            "the repository stays registered as it is; correct what is wrong and run `lifeboat elasticsearch configure` again"
        }
        Undone::Failed => {
            "what was there before could not be put back: `lifeboat elasticsearch configure --dry-run` shows what is registered, `lifeboat elasticsearch configure` makes it what it should be"
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Kind::Unavailable, error)
    }
}
