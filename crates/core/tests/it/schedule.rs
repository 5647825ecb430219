//! Schedules: published examples of the three dialects, their errors, changes of the clock, properties.

mod cronexpr;
mod elasticsearch;
mod errors;
mod kubernetes;
mod properties;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use lifeboat_core::schedule::{Dialect, Schedule};

fn schedule(dialect: Dialect, text: &str) -> Schedule {
    Schedule::parse(dialect, text).unwrap_or_else(|error| panic!("{error}"))
}

fn utc(reading: &str) -> Zoned {
    let reading: DateTime = reading.parse().unwrap();
    reading.to_zoned(TimeZone::UTC).unwrap()
}

/// New York, spelled out so that no time zone database is needed.
fn new_york() -> TimeZone {
    TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap()
}

fn moment(text: &str, zone: &TimeZone) -> Zoned {
    text.parse::<Timestamp>().unwrap().to_zoned(zone.clone())
}

/// The readings in UTC at which the schedule is due, one after the other.
fn due(dialect: Dialect, text: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(dialect, text);
    let first = schedule.next(&utc(after));
    std::iter::successors(first, |after| schedule.next(after))
        .take(count)
        .map(|due| due.strftime("%a %F %T").to_string())
        .collect()
}

/// The moments at which the schedule is due in a zone, with the offset that tells repeated hours apart.
fn due_in(zone: &TimeZone, dialect: Dialect, text: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = schedule(dialect, text);
    let first = schedule.next(&moment(after, zone));
    std::iter::successors(first, |after| schedule.next(after))
        .take(count)
        .map(|due| due.strftime("%F %T%z").to_string())
        .collect()
}

/// Checks a table of (schedule, after, due), all in UTC; an empty due means never.
fn check(dialect: Dialect, table: &[(&str, &str, &str)]) {
    for (text, after, expected) in table {
        let due = schedule(dialect, text).next(&utc(after));
        let due = due
            .map(|due| due.datetime().to_string())
            .unwrap_or_default();
        assert_eq!(due, *expected, "`{text}` after {after}");
    }
}
