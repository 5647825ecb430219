//! What can go wrong with a backup or a restore of metrics.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use lifeboat_core::error::Kind;
use lifeboat_core::size::ByteSize;
use lifeboat_storage::transfer::TransferError;

use crate::era::Version;
use crate::files::Fault;
use crate::manifest::Unusable;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Storage(#[from] lifeboat_storage::Error),

    #[error("no answer from the server of `{instance}` at {url}")]
    Unreachable {
        instance: String,
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the server of `{instance}` at {url} sends elsewhere when asked to {doing}: to `{to}`")]
    Redirected {
        instance: String,
        url: String,
        doing: &'static str,
        to: String,
    },
    #[error("no answer from vmagent at {url}")]
    Agent {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("vmagent at {url} still keeps {} and {}", if pending.0 == 0 { "what it has in hand to send".to_owned() } else { pending.to_string() }, if *sends { "sends no faster than new data comes in" } else { "sends nothing" })]
    NotDrained {
        url: String,
        pending: ByteSize,
        sends: bool,
    },
    #[error("the server of `{instance}` at {url} refused to {doing}: {reply}")]
    Refused {
        instance: String,
        url: String,
        doing: &'static str,
        reply: String,
    },
    #[error("the server of `{instance}` at {url} takes no samples now, and so cannot {doing}")]
    ReadOnly {
        instance: String,
        url: String,
        doing: &'static str,
    },
    #[error(
        "the server of `{instance}` at {url} did not accept the credentials to {doing}: {reply}"
    )]
    Unauthorized {
        instance: String,
        url: String,
        doing: &'static str,
        reply: String,
    },
    #[error(
        "the server of `{instance}` at {url} answered something else than expected when asked to {doing}: {reply}"
    )]
    Strange {
        instance: String,
        url: String,
        doing: &'static str,
        reply: String,
    },

    #[error("the snapshot cannot be read at `{path}`")]
    Snapshot {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the snapshot in `{folder}` holds no samples")]
    EmptySnapshot { folder: PathBuf },
    #[error("the snapshot does not hold what it should: {}", list(faults))]
    BrokenSnapshot { faults: Vec<Fault> },
    #[error("the snapshot holds {found} samples, and the server has {expected}")]
    FewSamples { found: u64, expected: u64 },
    #[error(
        "the snapshot has {found}, less than a tenth of the {before} of the backup that it would replace"
    )]
    Shrunk { found: ByteSize, before: ByteSize },
    #[error(
        "the data of `{instance}` goes back {found} seconds, and its backup is replaced only by one of at least {wanted}"
    )]
    Young {
        instance: String,
        found: u64,
        wanted: u64,
    },

    #[error("`{prefix}` holds something else than a backup of metrics: `{object}`")]
    SomethingElse { prefix: String, object: String },
    #[error("backups of this instance are being written by {owner}, since {since}")]
    Held {
        owner: String,
        since: Timestamp,
        until: Timestamp,
    },
    #[error(
        "the right to write the backups of this instance was lost: another run has taken over, or the store did not answer for too long"
    )]
    LeaseLost,

    #[error("no backup `{version}` of `{instance}` in bucket `{bucket}`")]
    UnknownVersion {
        version: String,
        instance: String,
        bucket: String,
        nearest: Vec<String>,
    },
    #[error("`{version}` is not complete: {reason}")]
    Incomplete { version: String, reason: String },
    #[error("the manifest of `{version}` cannot be used")]
    Manifest {
        version: String,
        #[source]
        source: Unusable,
    },
    #[error("`{version}` is damaged: {}", list(faults))]
    Damaged { version: String, faults: Vec<Fault> },
    #[error("a server of {server} or older cannot be given what {writer} or newer wrote: {reason}")]
    TooOld {
        server: Version,
        writer: Version,
        reason: &'static str,
    },

    #[error("a backup has gone to `{version}` since it was looked over")]
    Superseded { version: String },
    #[error("the data in `{}` is in use by a server", path.display())]
    InUse { path: PathBuf },
    #[error("another run of ours works on what lies beside the data in `{}`", path.display())]
    Busy { path: PathBuf },
    #[error("the restore of `{version}` into `{}` was not confirmed, and a server has had its data open since", path.display())]
    Unconfirmed { path: PathBuf, version: String },
    #[error("`{}` is not a folder that a restore can go to", path.display())]
    Target {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the restore needs {needed}, {spare} of it to spare, and `{}` has {free} left", path.display())]
    NoSpace {
        path: PathBuf,
        needed: ByteSize,
        spare: ByteSize,
        free: ByteSize,
    },
    #[error("cannot {doing} `{}`", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("nothing was restored into `{}` that could be undone", path.display())]
    NothingToUndo { path: PathBuf },
    #[error("nothing was restored into `{}` that waits to be confirmed", path.display())]
    NothingToConfirm { path: PathBuf },
    #[error(
        "the server has {found} samples{}, and the backup {expected}",
        match came_in { Some(came_in) => format!(" beside the {came_in} that have come in since it was started"), None => String::new() }
    )]
    NotRestored {
        found: u64,
        came_in: Option<u64>,
        expected: u64,
    },
    #[error("the server finds no sample of the five minutes before {at}, where the backup ends")]
    NotFound { at: Timestamp },
    #[error("the server at {url} is of {server}, and cannot read what {writer} wrote: {reason}")]
    CannotRead {
        url: String,
        server: Version,
        writer: Version,
        reason: &'static str,
    },
    #[error("no server has `{}` open, though one answers at {url}", path.display())]
    NotOpened {
        instance: String,
        url: String,
        path: PathBuf,
    },
    #[error("the server of `{}` was restarted, or another restore or undo began, since it was asked", path.display())]
    Changed { path: PathBuf },
    #[error("the server at {url} has other data open than `{}`", path.display())]
    OtherServer {
        instance: String,
        url: String,
        path: PathBuf,
    },
    #[error("stopped")]
    Stopped,
}

/// The first of many, and how many there are.
fn list(faults: &[Fault]) -> String {
    match faults {
        [] => String::new(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first}, and {} more", rest.len()),
    }
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Storage(error) => error.kind(),
            Self::Unreachable { .. }
            | Self::Agent { .. }
            | Self::NotDrained { .. }
            | Self::Refused { .. }
            | Self::ReadOnly { .. }
            | Self::NoSpace { .. }
            | Self::LeaseLost
            | Self::File { .. }
            | Self::Stopped => Kind::Unavailable,
            Self::Unauthorized { .. }
            | Self::Redirected { .. }
            | Self::TooOld { .. }
            | Self::Target { .. } => Kind::Invalid,
            Self::UnknownVersion { .. }
            | Self::NothingToUndo { .. }
            | Self::NothingToConfirm { .. } => Kind::NotFound,
            Self::Held { .. }
            | Self::Superseded { .. }
            | Self::InUse { .. }
            | Self::Busy { .. }
            | Self::Unconfirmed { .. }
            | Self::NotOpened { .. }
            | Self::OtherServer { .. }
            | Self::Changed { .. }
            | Self::Young { .. }
            | Self::SomethingElse { .. } => Kind::Conflict,
            Self::Snapshot { .. }
            | Self::Strange { .. }
            | Self::EmptySnapshot { .. }
            | Self::BrokenSnapshot { .. }
            | Self::FewSamples { .. }
            | Self::Shrunk { .. }
            | Self::Incomplete { .. }
            | Self::Manifest { .. }
            | Self::Damaged { .. }
            | Self::NotRestored { .. }
            | Self::NotFound { .. }
            | Self::CannotRead { .. } => Kind::Damaged,
        }
    }

    /// Whether the server did not do what it was asked for, or did not answer.
    pub(crate) fn is_of_server(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Redirected { .. }
                | Self::Refused { .. }
                | Self::ReadOnly { .. }
                | Self::Unauthorized { .. }
                | Self::Strange { .. }
        )
    }

    pub(crate) fn transfer(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(TransferError) -> Self {
        let path = path.into();
        move |error| match error {
            TransferError::File(source) => Self::File {
                doing,
                path,
                source,
            },
            TransferError::Store(error) => Self::Storage(error),
        }
    }
}
