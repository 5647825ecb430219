//! A schedule said in five fields, `minute hour day-of-month month day-of-week`, for schedulers that know no others.
//!
//! Every value is written out, so that no reading of steps, names or ranges across the end can differ.

use super::clock::Clock;
use super::days::{OfMonth, OfWeek};
use super::{Rule, Schedule};

/// Why five fields cannot say a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsayable {
    #[error("it has seconds, and five fields begin at the full minute")]
    Seconds,
    #[error("it has a year, and five fields have none")]
    Year,
    #[error("`L`, `W` and `#` have no counterpart in five fields")]
    SpecialDay,
    #[error("an interval is no time of day")]
    Interval,
}

impl Schedule {
    /// The same schedule in five fields, Sunday being 0.
    pub fn to_unix(&self) -> Result<String, Unsayable> {
        let Rule::Clock(clock, _) = &self.rule else {
            return Err(Unsayable::Interval);
        };
        if clock.seconds != 1 {
            return Err(Unsayable::Seconds);
        }
        if clock.years.is_some() {
            return Err(Unsayable::Year);
        }
        let of_month = clock.days.of_month.as_ref().map(plain_days).transpose()?;
        let of_week = clock
            .days
            .of_week
            .as_ref()
            .map(plain_weekdays)
            .transpose()?;
        Ok([
            time(clock.minutes, 0, 59),
            time(clock.hours, 0, 23),
            day(of_month, 1, 31),
            time(clock.months, 1, 12),
            day(of_week, 0, 6),
        ]
        .join(" "))
    }

    /// Whether it means the weekday nearest to a day (`15W`, `LW`).
    pub fn has_nearest_weekday(&self) -> bool {
        let Rule::Clock(Clock { days, .. }, _) = &self.rule else {
            return false;
        };
        let rule = days.of_month.as_ref();
        rule.is_some_and(|rule| rule.nearest != 0 || rule.nearest_from_end != 0)
    }
}

fn plain_days(rule: &OfMonth) -> Result<u64, Unsayable> {
    match rule {
        OfMonth {
            days,
            from_end: 0,
            nearest: 0,
            nearest_from_end: 0,
        } => Ok((*days).into()),
        _ => Err(Unsayable::SpecialDay),
    }
}

fn plain_weekdays(rule: &OfWeek) -> Result<u64, Unsayable> {
    match rule {
        OfWeek {
            days,
            last: 0,
            nth: [0, 0, 0, 0, 0],
        } => Ok((*days).into()),
        _ => Err(Unsayable::SpecialDay),
    }
}

fn time(bits: u64, first: u32, last: u32) -> String {
    if (first..=last).all(|value| has(bits, value)) {
        "*".to_owned()
    } else {
        list(bits, first, last)
    }
}

/// A field whose every day is named stays restricted: where both day fields are, either will do.
fn day(bits: Option<u64>, first: u32, last: u32) -> String {
    bits.map_or_else(|| "*".to_owned(), |bits| list(bits, first, last))
}

fn list(bits: u64, first: u32, last: u32) -> String {
    let values: Vec<u32> = (first..=last).filter(|value| has(bits, *value)).collect();
    let runs = values.chunk_by(|before, after| before + 1 == *after);
    let texts = runs.map(|run| match run {
        [first, _, .., last] => format!("{first}-{last}"),
        few => few.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
    });
    texts.collect::<Vec<_>>().join(",")
}

fn has(bits: u64, value: u32) -> bool {
    bits >> value & 1 == 1
}
