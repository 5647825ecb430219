//! What can go wrong with snapshots.

use lifeboat_core::error::Kind;

use crate::answer::Refusal;
use crate::native::{Manager, Untranslatable};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no answer from the cluster at {url} when asked to {doing}")]
    Unreachable {
        url: String,
        doing: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the credentials of the cluster hold what no header can")]
    Credentials,
    #[error("what should be certificates of the cluster holds none in PEM")]
    NoCertificate,
    #[error("the cluster at {url} did not accept the credentials to {doing}: {reply}")]
    Unauthorized {
        url: String,
        doing: String,
        reply: String,
    },
    #[error("the cluster at {url} sends elsewhere when asked to {doing}: to `{to}`")]
    Redirected {
        url: String,
        doing: String,
        to: String,
    },
    #[error("the cluster refused to {doing}: {refusal}")]
    Refused {
        doing: String,
        refusal: Box<Refusal>,
    },
    #[error("the cluster answered something else than expected when asked to {doing}: {reply}")]
    Strange { doing: String, reply: String },

    #[error("no repository `{repository}` is registered in the cluster")]
    NoRepository { repository: String },
    #[error("{engine} has no repositories of type `s3`")]
    NoS3 { engine: String },
    #[error("the repository `{repository}` cannot be used: {reason}")]
    Unverified {
        repository: String,
        reason: String,
        undone: Undone,
    },
    #[error("the repository `{repository}` could not be configured")]
    Unconfigured {
        repository: String,
        undone: Undone,
        #[source]
        source: Box<Error>,
    },
    #[error(
        "the repository `{repository}` is registered and its nodes can use it, but its snapshots cannot be listed"
    )]
    Unlisted {
        repository: String,
        #[source]
        source: Box<Error>,
    },
    #[error("the repository `{repository}` is in use, and keeps the settings it has: {reason}")]
    RepositoryInUse { repository: String, reason: String },
    #[error("the repository `{repository}` is read only")]
    ReadOnly { repository: String },
    #[error("only {verified} of {nodes} nodes can use the repository `{repository}`")]
    Unreached {
        repository: String,
        verified: usize,
        nodes: usize,
    },

    #[error("the repository `{repository}` has lost what it held: {}", lost(*found, *expected))]
    RepositoryLost {
        repository: String,
        /// The newest state in the bucket.
        found: Option<u64>,
        /// The one that the cluster remembers.
        expected: u64,
    },

    #[error("{engine} has no {manager}")]
    NoManager { engine: String, manager: Manager },
    #[error("{0}")]
    Untranslatable(#[from] Untranslatable),
    #[error("no policy `{0}`")]
    UnknownPolicy(String),
    #[error("what takes snapshots by itself was stopped for the restore, and does not start again")]
    StillStopped {
        #[source]
        source: Box<Error>,
    },

    #[error("no snapshot `{name}` in repository `{repository}`")]
    UnknownSnapshot {
        name: String,
        repository: String,
        nearest: Vec<String>,
    },
    #[error("{0}")]
    Template(#[from] crate::name::ParseError),
    #[error("no index matches `{patterns}`")]
    NothingMatches { patterns: String },
    #[error("the snapshot `{snapshot}` holds nothing of `{patterns}`")]
    NotInSnapshot { snapshot: String, patterns: String },
    #[error("the snapshot `{snapshot}` is {state}: {reason}")]
    NotWhole {
        snapshot: String,
        state: String,
        reason: String,
    },
    #[error("the cluster gave up the snapshot `{snapshot}`, and nothing of it is left: {reason}")]
    GivenUp { snapshot: String, reason: String },
    #[error("the snapshot `{snapshot}` was to be given up, and the cluster did not say that it is")]
    NotGivenUp {
        snapshot: String,
        #[source]
        source: Option<Box<Error>>,
    },
    #[error("the snapshot `{snapshot}` was taken by {taken}, and the cluster is {server}")]
    TooNew {
        snapshot: String,
        taken: String,
        server: String,
    },
    #[error("{} exist already: `{}`", count(indices.len(), "index", "indices"), shown(indices))]
    Exist { indices: Vec<String> },
    #[error("the cluster has other things of these names: {}", some(taken, "; "))]
    Taken { taken: Vec<String> },
    #[error(
        "the cluster would refuse `{index}` with {shards} shards or more: {open} are open besides what is deleted, and it allows for {limit}"
    )]
    TooManyShards {
        index: String,
        shards: u64,
        open: u64,
        limit: u64,
    },
    #[error("`{0}` is no index of the cluster")]
    UnknownIndex(String),
    #[error("`{pattern}` cannot be used to rename: {reason}")]
    Rename { pattern: String, reason: String },
    #[error("{}", failed_shards(failures))]
    ShardsFailed { failures: Vec<String> },
    #[error("{found} documents came back, and the snapshot holds at least {counted}")]
    TooFewDocuments { found: u64, counted: u64 },
    #[error("nothing is being restored")]
    NothingToAttach,
    #[error("several restores are under way, of `{}`", snapshots.join("`, `"))]
    SeveralToAttach { snapshots: Vec<String> },
    #[error("stopped")]
    Stopped,
}

/// What became of a change that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// There was no repository before, and there is none now.
    Removed,
    /// It has the settings that it had before.
    Reset,
    /// Nothing was changed.
    Left,
    /// It has its old settings or the new ones, or is not registered: the cluster could not be asked, or refused.
    Failed,
}

fn lost(found: Option<u64>, expected: u64) -> String {
    match found {
        None => format!("the cluster remembers state {expected} of it, and the bucket holds none"),
        Some(found) => {
            format!(
                "the cluster remembers state {expected} of it, and the bucket holds state {found}"
            )
        }
    }
}

fn count(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one} does"),
        count => format!("{count} {many}"),
    }
}

fn shown(names: &[String]) -> String {
    some(names, "`, `")
}

/// The first of them.
fn some(texts: &[String], between: &str) -> String {
    const SHOWN: usize = 8;
    let mut text = texts[..texts.len().min(SHOWN)].join(between);
    if texts.len() > SHOWN {
        text += between;
        text += "…";
    }
    text
}

fn failed_shards(failures: &[String]) -> String {
    match failures {
        [] => "shards failed".to_owned(),
        [one] => format!("a shard failed: {one}"),
        [first, rest @ ..] => format!("{} shards failed: {first}", rest.len() + 1),
    }
}

impl Error {
    /// Whether the cluster may have done what it was asked for, and its answer was lost on the way: by the network, or by a proxy that answered itself.
    pub(crate) fn is_lost_answer(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            // An engine would name a type.
            Self::Refused { refusal, .. } => {
                refusal.kind.is_empty() && matches!(refusal.status, 502..=504)
            }
            _ => false,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Unreachable { source, .. } if source.is_builder() => Kind::Invalid,
            Self::Unreachable { .. }
            | Self::RepositoryInUse { .. }
            | Self::GivenUp { .. }
            | Self::NotGivenUp { .. }
            | Self::Stopped => Kind::Unavailable,
            Self::Refused { refusal, .. } if refusal.is_passing() => Kind::Unavailable,
            // 500, whatever it is.
            Self::Refused { refusal, .. } if refusal.is("snapshot_restore_exception") => {
                if refusal.mentions("same name already exists") {
                    Kind::Conflict
                } else if refusal.mentions("does not exist") {
                    Kind::NotFound
                } else {
                    Kind::Invalid
                }
            }
            Self::Refused { refusal, .. } => match refusal.status {
                404 => Kind::NotFound,
                409 => Kind::Conflict,
                400..=499 => Kind::Invalid,
                _ => Kind::Unavailable,
            },
            Self::StillStopped { source }
            | Self::Unconfigured { source, .. }
            | Self::Unlisted { source, .. } => source.kind(),
            Self::Credentials
            | Self::NoManager { .. }
            | Self::Untranslatable(_)
            | Self::NoCertificate
            | Self::Unauthorized { .. }
            | Self::Redirected { .. }
            | Self::NoS3 { .. }
            | Self::Unverified { .. }
            | Self::ReadOnly { .. }
            | Self::Unreached { .. }
            | Self::Template(_)
            | Self::SeveralToAttach { .. }
            | Self::NothingMatches { .. }
            | Self::TooNew { .. }
            | Self::TooManyShards { .. }
            | Self::Rename { .. } => Kind::Invalid,
            Self::NoRepository { .. }
            | Self::UnknownSnapshot { .. }
            | Self::NotInSnapshot { .. }
            | Self::UnknownIndex(_)
            | Self::UnknownPolicy(_)
            | Self::NothingToAttach => Kind::NotFound,
            Self::Exist { .. } | Self::Taken { .. } => Kind::Conflict,
            Self::Strange { .. }
            | Self::NotWhole { .. }
            | Self::ShardsFailed { .. }
            | Self::RepositoryLost { .. }
            | Self::TooFewDocuments { .. } => Kind::Damaged,
        }
    }
}
