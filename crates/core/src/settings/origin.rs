//! Where a value was said, so that every error and `settings show` can point at it.

use std::fmt;
use std::sync::Arc;

/// A position in a values file; line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The order in which the sources were given: errors are sorted by it.
    pub(super) rank: usize,
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

/// Who said a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody: it is the default of the platform's generation.
    Default,
    File(Place),
    /// A `--set` argument.
    Set,
    /// The environment variable of that name.
    Environment(&'static str),
}

impl Origin {
    /// Points `columns` characters further, where that makes sense.
    pub(super) fn shifted(&self, columns: usize) -> Self {
        match self {
            Self::File(place) => Self::File(Place {
                column: place.column + columns,
                ..place.clone()
            }),
            other => other.clone(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => {
                write!(f, "{}:{}:{}", place.file, place.line, place.column)
            }
            Self::Set => f.write_str("--set"),
            Self::Environment(name) => f.write_str(name),
        }
    }
}
