//! What is wrong with a schedule, and where.
//!
//! The three dialects look alike and differ in what they allow, so every message names the dialect's own rule and, where
//! there is one, what to write instead.

use std::fmt;

use super::Dialect;
use crate::error::Kind;

/// A text that is not a schedule of its dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    pub text: String,
    pub dialect: Dialect,
    /// Where the trouble starts, counted in characters from 1.
    pub column: usize,
    /// The field it is in, unless the text as a whole is wrong.
    pub field: Option<Field>,
    pub problem: Problem,
}

/// One field of a cron expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Seconds,
    Minutes,
    Hours,
    DayOfMonth,
    Month,
    DayOfWeek,
    Year,
}

/// The rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the schedule is empty")]
    Empty,
    #[error("{found} fields where {expected} are needed{}", suggestion(suggested.as_deref()))]
    FieldCount {
        found: usize,
        /// The dialect's fields, in order, in words.
        expected: &'static str,
        /// The same schedule in this dialect, where it can be told.
        suggested: Option<String>,
    },
    #[error("a value is missing here")]
    Missing,
    #[error("`{item}` is neither a number, a name, a range nor `*`")]
    Unexpected { item: String },
    #[error("`{value}` is not within {min}-{max}{}", suggestion(suggested.as_deref()))]
    OutOfRange {
        value: String,
        min: u16,
        max: u16,
        suggested: Option<String>,
    },
    #[error("the range `{item}` ends before it begins")]
    BackwardRange { item: String },
    #[error("the step `{step}` is not a whole number from 1 to {max}")]
    Step { step: String, max: u16 },
    #[error("`{item}`: {why}")]
    NotAllowed { item: String, why: &'static str },
    #[error("a time zone does not belong in the schedule, it has its own setting")]
    TimeZone,
    #[error(
        "day of month and day of week are both given; one of them must be `?`, as in `0 0 3 * * ?`"
    )]
    BothDays,
    #[error("day of month and day of week are both `?`; one of them must say which days")]
    NoDays,
    #[error("`{item}` is not known; there are {known}")]
    Shorthand { item: String, known: &'static str },
    #[error("`{item}` is not a duration of at least one second, such as `1h30m`")]
    Duration { item: String },
}

fn suggestion(text: Option<&str>) -> String {
    text.map(|text| format!("; write `{text}`"))
        .unwrap_or_default()
}

impl ParseError {
    /// Always [`Kind::Invalid`]: the setting must be corrected.
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            text,
            dialect,
            column,
            problem,
            ..
        } = self;
        write!(
            f,
            "`{text}` is not a schedule of {dialect}: column {column}, "
        )?;
        if let Some(field) = self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "{problem}")
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
            Self::Year => "year",
        })
    }
}
