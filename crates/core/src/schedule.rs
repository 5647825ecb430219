//! When backups are due: cron schedules in the three dialects of the settings.
//!
//! Each store came with its own scheduler, so the same five or six fields mean different things: days of the week are
//! numbered from 0 or from 1, `?` is forbidden or required, a sixth field is a second or a year. There is one engine
//! (`clock` and `days`) behind three parsers; why not a library: `docs/decisions/0002-own-cron.md`.
//!
//! A schedule has no time zone of its own: it is read in the zone of the moment it is asked about.

mod clock;
mod cronexpr;
mod days;
mod elasticsearch;
mod error;
mod every;
mod item;
mod kubernetes;
mod unix;

use std::fmt;

use jiff::{SignedDuration, Zoned};

use clock::{Changes, Clock};
pub use error::{Field, ParseError, Problem};
use item::Source;
pub use unix::Unsayable;

/// Whose cron a schedule is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Kubernetes `CronJob`: five fields, or a shorthand such as `@daily` or `@every 1h`. Sunday is 0.
    Kubernetes,
    /// Elasticsearch: seconds first, six or seven fields, one day field is `?`. Sunday is 1. Elasticsearch itself
    /// runs its schedules in UTC.
    Elasticsearch,
    /// supercronic: five fields, six with a year, seven with seconds and a year. Sunday is 0 or 7.
    Cronexpr,
}

/// A schedule, ready to say when it is due. Prints as it was written, blanks made single.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    dialect: Dialect,
    text: String,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Clock(Clock, Changes),
    Every(SignedDuration),
}

impl Schedule {
    pub fn parse(dialect: Dialect, text: &str) -> Result<Self, ParseError> {
        let source = Source { text, dialect };
        let fields = source.fields();
        if fields.is_empty() {
            return Err(source.error(0, None, Problem::Empty));
        }
        let rule = match dialect {
            Dialect::Kubernetes => kubernetes::parse(source),
            Dialect::Elasticsearch => elasticsearch::parse(source),
            Dialect::Cronexpr => cronexpr::parse(source),
        }?;
        let words: Vec<_> = fields.iter().map(|field| field.text).collect();
        Ok(Self {
            dialect,
            text: words.join(" "),
            rule,
        })
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The first moment strictly after `after` at which the schedule is due, in the time zone of `after`.
    ///
    /// `None` when there is none: the date does not exist (`0 0 31 2 *`) or the last year has passed.
    ///
    /// When the clock is put forward or back, a Kubernetes schedule keeps to what the clock shows, as a `CronJob` does: a
    /// skipped time is not due that day, a repeated one is due twice. In the other two dialects a schedule that names
    /// its hours is due once: at the jump for a skipped time, at the first of a repeated pair. One that runs in every
    /// hour runs in each of them, the repeated one included.
    pub fn next(&self, after: &Zoned) -> Option<Zoned> {
        match &self.rule {
            Rule::Clock(clock, changes) => clock.next(after, *changes),
            Rule::Every(interval) => every::next(*interval, after),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kubernetes => "Kubernetes",
            Self::Elasticsearch => "Elasticsearch",
            Self::Cronexpr => "cronexpr",
        })
    }
}
