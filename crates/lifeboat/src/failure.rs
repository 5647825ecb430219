//! How an error reaches the person: what failed, why, and what to do next.

mod metrics;

use std::error::Error;
use std::fmt;

use lifeboat_core::error::Kind;
use lifeboat_elasticsearch::error::{Error as Telemetry, Undone};
use lifeboat_victoria_metrics::error::Error as Metrics;

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

impl From<Metrics> for Failure {
    fn from(error: Metrics) -> Self {
        if let Metrics::Storage(error) = error {
            if let lifeboat_storage::error::Cause::NoBucket(_) = &*error.cause {
                return Self::new(error.kind(), error).hint(
                    "the gateway creates the buckets of its values when it starts; the name is `backup.bucketName` below the instance",
                );
            }
            return error.into();
        }
        if matches!(error, Metrics::Stopped) {
            return Self::interrupted();
        }
        let hint = metrics::hint(&error);
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
