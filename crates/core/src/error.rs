//! What kind of failure an error is, seen from the person or program that must react.
//!
//! Every error type of the workspace has a `kind()`. Exit codes, S3 status codes, hints and metric labels are each
//! derived from it in one `match`, so that a new error needs no new rule anywhere else.

use std::fmt;

/// What the caller can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The request or the settings are wrong: correct them, trying again changes nothing.
    Invalid,
    /// The thing named does not exist.
    NotFound,
    /// Somebody else holds it, or it is in a state that forbids the request.
    Conflict,
    /// A server, the network or the disk did not do its part: trying again later may help.
    Unavailable,
    /// Stored bytes are not what they should be: a person must look.
    Damaged,
    /// Lifeboat broke a promise of its own.
    Bug,
}

impl Kind {
    /// Whether the same request may succeed later with nothing corrected.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Damaged => "damaged",
            Self::Bug => "bug",
        })
    }
}
