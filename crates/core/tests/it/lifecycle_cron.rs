//! Schedules of the platform's telemetry, compared with the real classes that read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lifeboat_core::schedule::{Dialect, Schedule};

/// Random expressions, and their next times by the real classes of Elasticsearch: see `Oracle.java` beside the table.
#[test]
fn times_are_those_of_the_real_classes() {
    let table = include_str!("../../../elasticsearch/oracle/cron.txt");
    let (mut compared, mut weekdays) = (0, 0);
    for line in table.lines().skip(1) {
        let (text, times) = line.split_once('|').unwrap();
        // The engine's weekdays nearest to a day are not what its page says: `15W` gives a time that has passed or none, and `LW` of March 2024 the 31st,
        // a Sunday. Ours are.
        if text.split(' ').nth(3).unwrap().ends_with('W') {
            weekdays += 1;
            continue;
        }
        let parsed = Schedule::parse(Dialect::Elasticsearch, text);
        if times.is_empty() {
            assert!(parsed.is_err(), "{text} is refused by the engine");
            continue;
        }
        let schedule = parsed.unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut at = Timestamp::from_millisecond(1_700_000_000_000)
            .unwrap()
            .to_zoned(TimeZone::UTC);
        for expected in times.split(',') {
            let next = schedule.next(&at);
            let found = next
                .as_ref()
                .map_or(-1, |next| next.timestamp().as_millisecond());
            assert_eq!(found.to_string(), expected, "{text}");
            compared += 1;
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
    }
    assert!(compared > 1000 && weekdays < 60, "{compared} {weekdays}");
}
