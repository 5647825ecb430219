//! Why something is kept, goes, or why expiry stops, in the words that people read.

use jiff::{Timestamp, Zoned};

use crate::age::{Age, OutOfRange};
use crate::error::Kind;

/// Keep or delete, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    Keep(Kept),
    Expire(Expired),
}

/// Why something stays. Prints as the end of a sentence that begins with "kept".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Kept {
    #[error("its name is not that of a backup")]
    NotABackup,
    #[error("it lies in the future")]
    InTheFuture,
    #[error("within the retention of `{0}`")]
    Within(Age),
    #[error("the newest complete backup")]
    NewestComplete,
    #[error("there is no complete backup that could stand in for it")]
    NothingComplete,
}

/// Why something goes. Prints as the end of a sentence that begins with "expired".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Expired {
    #[error("past the retention of `{0}`")]
    Past(Age),
    #[error("it cannot be restored, and is past the retention of `{0}`")]
    IncompletePast(Age),
}

/// Why nothing may be deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    #[error(
        "backup `{name}` lies in the future: it was taken at {}, and it is {} now; \
         the clock or the time zone has changed, or the backup was named under a wrong one",
        reading(*taken, now),
        reading(now.timestamp(), now)
    )]
    InTheFuture {
        name: String,
        taken: Timestamp,
        now: Zoned,
    },
    #[error(
        "all {count} complete backups are past the retention of `{age}`: the newest, `{name}`, was taken at {}, \
         and it is {} now; either the clock is wrong, or no backup has been made for that long",
        reading(*taken, now),
        reading(now.timestamp(), now)
    )]
    NoneWithin {
        count: usize,
        name: String,
        taken: Timestamp,
        age: Box<Age>,
        now: Zoned,
    },
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// A moment as the clock shows it that `now` was read from.
fn reading(moment: Timestamp, now: &Zoned) -> impl std::fmt::Display {
    moment
        .to_zoned(now.time_zone().clone())
        .strftime("%F %H:%M:%S %:z")
        .to_string()
}

impl Decision {
    pub fn expires(&self) -> bool {
        matches!(self, Self::Expire(_))
    }
}

impl std::fmt::Display for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keep(reason) => write!(f, "kept: {reason}"),
            Self::Expire(reason) => write!(f, "expired: {reason}"),
        }
    }
}

impl Halt {
    pub fn kind(&self) -> Kind {
        match self {
            Self::InTheFuture { .. } | Self::NoneWithin { .. } => Kind::Conflict,
            Self::OutOfRange(error) => error.kind(),
        }
    }
}
