//! The engine: the next moment whose clock reading matches.
//!
//! It searches among local readings, field by field and without stepping through time, and only then asks the time zone
//! which moment a reading is. The calendar repeats itself after 400 years, so a reading that is not found within them
//! does not exist: every search ends.

use jiff::civil::{self, Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::days::Days;
use super::item::Span;

/// After how many years the Gregorian calendar repeats itself, weekdays included.
const CALENDAR_PERIOD: i16 = 400;

/// The readings at which a schedule fires, as bit sets; none of them is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) months: u64,
    pub(super) days: Days,
    /// `None` for any year.
    pub(super) years: Option<Vec<Span>>,
}

/// What happens to readings that a change of the clock skips or repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changes {
    /// A skipped reading does not fire, a repeated one fires twice.
    AsRead,
    /// A skipped reading fires when the clock has jumped, a repeated one fires the first time only.
    Once,
}

impl Changes {
    /// A schedule that names no hours means "so many times an hour", not "at that time of day".
    pub(super) fn for_hours(hours: u64) -> Self {
        const EVERY_HOUR: u64 = (1 << 24) - 1;
        if hours == EVERY_HOUR {
            Self::AsRead
        } else {
            Self::Once
        }
    }
}

impl Clock {
    /// The first moment strictly after `after` at which the schedule fires, in the same time zone.
    pub(super) fn next(&self, after: &Zoned, changes: Changes) -> Option<Zoned> {
        let zone = after.time_zone();
        let moment = match changes {
            Changes::AsRead => self.next_as_read(after.timestamp(), zone),
            Changes::Once => self.next_once(after, zone),
        }?;
        Some(moment.to_zoned(zone.clone()))
    }

    /// Walks the stretches between two changes of the clock; in each, reading and time run in step.
    fn next_as_read(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let second = after.as_nanosecond().div_euclid(1_000_000_000) + 1;
        let mut from = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
        loop {
            let offset = zone.to_offset(from);
            let change = zone.following(from).next().map(|change| change.timestamp());
            let found = self
                .at_or_after(offset.to_datetime(from))
                .and_then(|reading| offset.to_timestamp(reading).ok());
            match (found, change) {
                (Some(moment), Some(change)) if moment >= change => from = change,
                (Some(moment), _) => return Some(moment),
                // The last reading may come once more if the clock is about to be put back.
                (None, Some(change)) if change.duration_since(from).as_hours() < 48 => {
                    from = change;
                }
                (None, _) => return None,
            }
        }
    }

    /// Walks the readings; a reading that is not later than `after` was the first of a repeated pair.
    fn next_once(&self, after: &Zoned, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = second_after(after.datetime())?;
        loop {
            let reading = self.at_or_after(from)?;
            let moment = first_moment(reading, zone)?;
            if moment > after.timestamp() {
                return Some(moment);
            }
            from = second_after(reading)?;
        }
    }

    /// The first matching reading from `from` on.
    fn at_or_after(&self, from: DateTime) -> Option<DateTime> {
        if self.fires_on(from.date())
            && let Some(time) = self.time_at_or_after(from.time())
        {
            return Some(from.date().to_datetime(time));
        }
        let day = self.day_at_or_after(from.date().tomorrow().ok()?)?;
        Some(day.to_datetime(self.time_at_or_after(Time::midnight())?))
    }

    fn fires_on(&self, day: Date) -> bool {
        self.year_at_or_after(day.year()) == Some(day.year())
            && has(self.months, day.month())
            && has(
                self.days.in_month(day.year(), day.month()).into(),
                day.day(),
            )
    }

    fn day_at_or_after(&self, from: Date) -> Option<Date> {
        let last = from.year().saturating_add(CALENDAR_PERIOD);
        let (mut year, mut month, mut day) = (from.year(), from.month(), from.day());
        loop {
            let next_year = self.year_at_or_after(year)?;
            if next_year > last || next_year > Date::MAX.year() {
                return None;
            }
            if next_year > year {
                (year, month, day) = (next_year, 1, 1);
            }
            match bit_at_or_after(self.months, month) {
                None => {
                    (year, month, day) = (year + 1, 1, 1);
                    continue;
                }
                Some(next) if next > month => (month, day) = (next, 1),
                Some(_) => {}
            }
            match bit_at_or_after(self.days.in_month(year, month).into(), day) {
                Some(day) => return Some(civil::date(year, month, day)),
                None if month == 12 => (year, month, day) = (year + 1, 1, 1),
                None => (month, day) = (month + 1, 1),
            }
        }
    }

    fn year_at_or_after(&self, from: i16) -> Option<i16> {
        let Some(spans) = &self.years else {
            return Some(from);
        };
        let from = u16::try_from(from).unwrap_or(0);
        let next = spans.iter().filter_map(|span| {
            let steps = from.saturating_sub(span.first).div_ceil(span.step);
            let year = span.first.saturating_add(steps.saturating_mul(span.step));
            (year <= span.last).then_some(year)
        });
        next.min().and_then(|year| i16::try_from(year).ok())
    }

    fn time_at_or_after(&self, from: Time) -> Option<Time> {
        let first_minute = bit_at_or_after(self.minutes, 0)?;
        let first_second = bit_at_or_after(self.seconds, 0)?;
        let hour = bit_at_or_after(self.hours, from.hour())?;
        if hour > from.hour() {
            return Some(civil::time(hour, first_minute, first_second, 0));
        }
        if has(self.minutes, from.minute())
            && let Some(second) = bit_at_or_after(self.seconds, from.second())
        {
            return Some(civil::time(hour, from.minute(), second, 0));
        }
        if let Some(minute) = bit_at_or_after(self.minutes, from.minute() + 1) {
            return Some(civil::time(hour, minute, first_second, 0));
        }
        let hour = bit_at_or_after(self.hours, hour + 1)?;
        Some(civil::time(hour, first_minute, first_second, 0))
    }
}

/// The first moment at which the clock shows `reading`, or the one at which it jumps over it.
fn first_moment(reading: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(reading).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(reading).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            let before_jump = after.to_timestamp(reading).ok()?;
            zone.following(before_jump)
                .next()
                .map(|jump| jump.timestamp())
        }
    }
}

fn second_after(reading: DateTime) -> Option<DateTime> {
    let whole = reading.with().subsec_nanosecond(0).build().ok()?;
    whole.checked_add(jiff::SignedDuration::from_secs(1)).ok()
}

fn bit_at_or_after(bits: u64, from: i8) -> Option<i8> {
    let rest = bits & u64::MAX.checked_shl(u32::try_from(from).ok()?)?;
    (rest != 0).then(|| i8::try_from(rest.trailing_zeros()).expect("a bit index is below 64"))
}

fn has(bits: u64, index: i8) -> bool {
    bits >> index & 1 == 1
}
