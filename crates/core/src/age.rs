//! How old a backup may become, in the three dialects of the settings.
//!
//! Older values carry the arguments of a Python `timedelta` (`days = 30`), newer ones what GNU `date` calls a relative
//! date (`30 days ago`), Elasticsearch its time units (`30d`). They are read by their shape, and none is ever evaluated.

mod relative;
mod timedelta;
mod units;

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Span, Zoned};

use crate::error::Kind;

/// A length of time greater than zero, counted back from now. Prints as it was written, blanks made single.
///
/// Months and days are kept as such: a day ago is the same time yesterday, also when the clock was changed in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    text: String,
    length: Length,
}

/// What the three dialects are read into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Length {
    months: i64,
    days: i64,
    /// Exact time on top, in nanoseconds.
    nanos: i128,
}

/// A text that is not an age.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an age: column {column}, {problem}")]
pub struct ParseError {
    pub text: String,
    /// Where the trouble starts, counted in characters from 1.
    pub column: usize,
    pub problem: Problem,
}

/// The rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("there is nothing; write for example `days = 30`, `30 days ago` or `30d`")]
    Empty,
    #[error("{expected} is expected")]
    Expected { expected: &'static str },
    #[error("`{unit}` is not a unit; there are {known}")]
    UnknownUnit { unit: String, known: &'static str },
    #[error("`{unit}` is given twice")]
    Repeated { unit: String },
    #[error("this lies in the future; write for example `30 days ago`")]
    Future,
    #[error("an age of zero or less would expire every backup")]
    NotPositive,
    #[error("this is longer than the calendar reaches")]
    TooLong,
}

/// The moment that far back cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no date lies `{age}` before {}", now.strftime("%F %H:%M:%S %:z"))]
pub struct OutOfRange {
    pub age: Box<Age>,
    pub now: Zoned,
}

/// More than any calendar needs, and few enough for all arithmetic.
const MOST_DAYS: i64 = 3_650_000;
const NANOS_PER_DAY: i128 = 86_400_000_000_000;

impl Age {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let words: Vec<_> = text.split_whitespace().collect();
        let [first, ..] = words[..] else {
            return Err(error(text, 0, Problem::Empty));
        };
        let length = if text.contains('=') {
            timedelta::parse(text)
        } else if words.len() == 1 && first.starts_with(|c: char| c.is_ascii_digit()) {
            units::parse(text)
        } else {
            relative::parse(text)
        }?;
        let Length {
            months,
            days,
            nanos,
        } = length;
        if months.max(days) <= 0 && nanos <= 0 {
            return Err(error(text, 0, Problem::NotPositive));
        }
        if months > MOST_DAYS / 31 || days > MOST_DAYS || nanos / NANOS_PER_DAY > MOST_DAYS.into() {
            return Err(error(text, 0, Problem::TooLong));
        }
        Ok(Self {
            text: words.join(" "),
            length,
        })
    }

    /// The moment before which a backup is too old, in the time zone of `now`.
    ///
    /// A month ago is the same day of last month, or its last day where it is shorter: `date` would go on into the
    /// next month there, which expires up to three days more.
    pub fn cutoff(&self, now: &Zoned) -> Result<Zoned, OutOfRange> {
        let back = || -> Result<Zoned, jiff::Error> {
            let Length {
                months,
                days,
                nanos,
            } = self.length;
            let calendar = Span::new().try_months(months)?.try_days(days)?;
            let exact = SignedDuration::from_nanos_i128(nanos);
            now.checked_sub(calendar)?.checked_sub(exact)
        };
        back().map_err(|_| OutOfRange {
            age: Box::new(self.clone()),
            now: now.clone(),
        })
    }

    /// The same length where every day has 24 hours, as in UTC. Nothing where it has months, which differ.
    pub fn exact(&self) -> Option<SignedDuration> {
        let Length {
            months: 0,
            days,
            nanos,
        } = self.length
        else {
            return None;
        };
        let days = SignedDuration::from_hours(days.checked_mul(24)?);
        days.checked_add(SignedDuration::from_nanos_i128(nanos))
    }
}

impl FromStr for Age {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl ParseError {
    /// Always [`Kind::Invalid`]: the setting must be corrected.
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl OutOfRange {
    /// Always [`Kind::Invalid`]: the setting must be corrected.
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

/// The error at a byte of the text.
fn error(text: &str, at: usize, problem: Problem) -> ParseError {
    ParseError {
        text: text.to_owned(),
        column: text[..at].chars().count() + 1,
        problem,
    }
}
