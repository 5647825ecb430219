//! What can be wrong with settings, in the user's words.
//!
//! Every error points at file, line and column where it has one, and names the key. Values appear only where the key
//! cannot hold a secret.

use std::fmt;

use super::origin::Origin;
use crate::error::Kind;

/// One thing wrong with the settings.
#[derive(Debug)]
pub struct Error {
    origin: Origin,
    problem: Box<Problem>,
}

/// What is wrong, without where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file as a whole: not YAML, too large, two documents.
    #[error("{0}")]
    Document(String),
    #[error("{reason} (at column {column} of the argument)")]
    Assignment { column: usize, reason: String },
    #[error("unknown key `{path}`{}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        path: String,
        nearest: Option<String>,
    },
    #[error("`{path}` must be {expected}, found {found}")]
    Type {
        path: String,
        expected: String,
        found: String,
    },
    /// The value has the right type, its content does not parse; the cause is the parser's error.
    #[error("cannot read `{path}`")]
    Unreadable {
        path: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("`{path}` {reason}")]
    Rule { path: String, reason: String },
    #[error(
        "`{path}` holds a schedule, not the name of a bucket; the schedule belongs in `{schedule}`"
    )]
    ScheduleAsBucket { path: String, schedule: String },
    #[error("`{path}` and `{other}` are both true, but backups are stored in one place only")]
    TwoStorages { path: String, other: String },
    #[error("{what} is disabled: set `{path}` to true")]
    Disabled { what: String, path: String },
    #[error("{what} is not set: {advice}")]
    Missing { what: String, advice: String },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}

impl Error {
    pub(super) fn new(origin: Origin, problem: Problem) -> Self {
        Self {
            origin,
            problem: Box::new(problem),
        }
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Always [`Kind::Invalid`]: settings are corrected by a person, never tried again.
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin != Origin::Default {
            write!(f, "{}: ", self.origin)?;
        }
        write!(f, "{}", self.problem)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

/// Everything wrong with the settings, in the order of the files. Never empty.
#[derive(Debug)]
pub struct Errors(Vec<Error>);

impl Errors {
    pub(super) fn sorted(mut errors: Vec<Error>) -> Self {
        errors.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self(errors)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.0.iter()
    }

    /// Always [`Kind::Invalid`].
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl<'a> IntoIterator for &'a Errors {
    type Item = &'a Error;
    type IntoIter = std::slice::Iter<'a, Error>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One line for each error. A list has no single source, so each line ends with its own cause.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Something in the values that works, but perhaps not as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub origin: Origin,
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)
    }
}
