//! What can go wrong with a graph store or a `.graph` file.

use std::io;
use std::path::PathBuf;

use lifeboat_core::error::Kind;

use crate::format::Damage;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The default protection of a restore. The text is the one that the platform's own server prints.
    #[error(
        "ERROR com.stackvista.graph.migration.Restore - Restore isn't possible in a non empty."
    )]
    NotEmpty { vertices: u64, edges: u64 },
    /// Another process works on the store in a way that does not go together with this request.
    #[error("the store `{}` is held by {holder}", path.display())]
    Held { path: PathBuf, holder: String },
    #[error("there is no store at `{}`", path.display())]
    NoStore { path: PathBuf },
    /// The bytes of a `.graph` file are not what they should be.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Not one of our files: perhaps the platform's own format, which only its own server reads.
    #[error("not a Lifeboat `.graph` file, it starts with `{start}`")]
    Foreign { start: String },
    /// Written by a newer Lifeboat in a way that this one must not guess at.
    #[error("the file needs a newer Lifeboat: {what}")]
    Newer { what: String },
    /// What a store yielded is not what its own counters or the rules of a batch say.
    #[error("the store does not hold what it says: {what}")]
    Inconsistent { what: String },
    /// What was imported is not what the file's footer promised, found before anything was switched.
    #[error("the imported graph does not match its file: {what}")]
    Mismatch { what: String },
    /// An element that no store may hold.
    #[error("{element}: {what}")]
    Element { element: String, what: String },
    #[error("`{}` needs about {needed} bytes more, {free} are free", path.display())]
    NoSpace {
        path: PathBuf,
        needed: u64,
        free: u64,
    },
    #[error("{doing}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    #[error("{doing}")]
    Database {
        doing: &'static str,
        #[source]
        source: Box<redb::Error>,
    },
    #[error("there is no backup `{name}` in bucket `{bucket}`")]
    UnknownBackup {
        name: String,
        bucket: String,
        /// The names that look most like it, best first.
        nearest: Vec<String>,
    },
    #[error("`{name}` cannot be the name of a backup: {problem}")]
    Name { name: String, problem: &'static str },
    #[error("there is no complete backup in bucket `{bucket}`")]
    NoBackup { bucket: String },
    /// The object is there, but it is no complete backup.
    #[error("`{name}` cannot be restored: {reason}")]
    NotRestorable { name: String, reason: String },
    /// The object is whole as far as can be seen, but another program's, or a newer Lifeboat's.
    #[error("`{name}` cannot be restored: {reason}")]
    Unreadable { name: String, reason: String },
    #[error(transparent)]
    Storage(#[from] lifeboat_storage::Error),
    /// A thread of the pipeline ended without saying why.
    #[error("a worker of the {0} ended without a result")]
    Worker(&'static str),
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotEmpty { .. } | Self::Held { .. } => Kind::Conflict,
            Self::NoStore { .. } | Self::UnknownBackup { .. } | Self::NoBackup { .. } => {
                Kind::NotFound
            }
            Self::Storage(error) => error.kind(),
            Self::Damaged(damage) => damage.kind(),
            Self::Mismatch { .. } | Self::Inconsistent { .. } | Self::NotRestorable { .. } => {
                Kind::Damaged
            }
            Self::Element { .. }
            | Self::Name { .. }
            | Self::Foreign { .. }
            | Self::Unreadable { .. }
            | Self::Newer { .. } => Kind::Invalid,
            Self::NoSpace { .. } | Self::Io { .. } => Kind::Unavailable,
            Self::Database { source, .. } => match **source {
                redb::Error::Corrupted(_) => Kind::Damaged,
                _ => Kind::Unavailable,
            },
            Self::Worker(_) => Kind::Bug,
        }
    }
}
