//! Exit codes: what a script or a Kubernetes Job can decide by.
//!
//! docs/reference/exit-codes.md is generated from this table.

use lifeboat_core::error::Kind;

/// How a command ended. Codes are an interface: they are added to, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success,
    Bug,
    Invalid,
    NotFound,
    Conflict,
    Unavailable,
    Damaged,
    Interrupted,
}

impl Exit {
    pub(crate) const ALL: [Self; 8] = [
        Self::Success,
        Self::Bug,
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::Unavailable,
        Self::Damaged,
        Self::Interrupted,
    ];

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Bug => 1,
            Self::Invalid => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Unavailable => 5,
            Self::Damaged => 6,
            Self::Interrupted => 130,
        }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Success => "everything that was asked for is done",
            Self::Bug => "Lifeboat broke a promise of its own: please report it",
            Self::Invalid => "arguments, settings or keys are wrong: correct them",
            Self::NotFound => "a backup, bucket, file or store that was named does not exist",
            Self::Conflict => {
                "the store is not empty, or somebody else holds it: the hint says until when, if anybody can"
            }
            Self::Unavailable => "a server, the network or the disk did not do its part",
            Self::Damaged => "stored bytes are not what they should be: a person must look",
            Self::Interrupted => {
                "stopped by a signal, or by the answer no; what was under way has been undone, or the hint says what is left, unless a second signal gave that up"
            }
        }
    }

    /// Whether running the same command again may succeed with nothing corrected.
    pub(crate) fn retry(self) -> bool {
        matches!(self, Self::Unavailable | Self::Interrupted)
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Invalid => Self::Invalid,
            Kind::NotFound => Self::NotFound,
            Kind::Conflict => Self::Conflict,
            Kind::Unavailable => Self::Unavailable,
            Kind::Damaged => Self::Damaged,
            Kind::Bug => Self::Bug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_only_success_is_zero() {
        let mut codes = Exit::ALL.map(Exit::code).to_vec();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert_eq!(codes[0], 0);
        assert_eq!(Exit::Success.code(), 0);
    }
}
