//! Why a pattern for names cannot be used.

use jiff::civil::DateTime;

use crate::error::Kind;

/// The settings for names are wrong, or do not agree with each other. Columns count characters from 1.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{template}` is not a name template: column {column}, `{item}` {why}")]
    Template {
        template: String,
        column: usize,
        item: String,
        why: &'static str,
    },
    #[error(
        "`{format}` is not a date format: column {column}, `{directive}` is not understood; there are {known}"
    )]
    Directive {
        format: String,
        column: usize,
        directive: String,
        known: String,
    },
    #[error("`{regexp}` is not a regular expression, or not one that can be understood here")]
    Regexp {
        regexp: String,
        #[source]
        source: Box<regex::Error>,
    },
    #[error("`{regexp}` has no group in parentheses around the time")]
    NoGroup { regexp: String },
    #[error("backups would have names such as `{name}`, and {sign:?} cannot be part of a name")]
    Sign { name: String, sign: char },
    #[error("backups would have names such as `{name}`, which `{regexp}` does not match{}; they would never be listed nor expire", left(rest.as_deref()))]
    Unmatched {
        name: String,
        regexp: String,
        /// What is left over when the expression matches only the start of the name.
        rest: Option<String>,
    },
    #[error(
        "backups would have names such as `{name}`, whose time `{time}` is not of the format `{format}`; they would never be listed nor expire"
    )]
    Unread {
        name: String,
        time: String,
        format: String,
        #[source]
        source: jiff::Error,
    },
    #[error(
        "a backup taken at {taken} would have the name `{name}`, which reads as {read}; a name must carry the time to the minute"
    )]
    Shifted {
        name: String,
        taken: DateTime,
        read: DateTime,
    },
}

fn left(rest: Option<&str>) -> String {
    rest.map(|rest| format!(" to its end: `{rest}` is left over"))
        .unwrap_or_default()
}

impl Error {
    /// Always [`Kind::Invalid`]: the settings must be corrected.
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}
