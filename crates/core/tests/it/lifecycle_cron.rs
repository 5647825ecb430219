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

/// What five fields can say has the same times in five fields.
#[test]
fn five_fields_say_the_same_times() {
    let table = include_str!("../../../elasticsearch/oracle/cron.txt");
    let mut said = 0;
    for line in table.lines().skip(1) {
        let (text, times) = line.split_once('|').unwrap();
        // The first field begins at the full minute; the table has few such.
        let (_, others) = text.split_once(' ').unwrap();
        let text = format!("0 {others}");
        let Ok(schedule) = Schedule::parse(Dialect::Elasticsearch, &text) else {
            continue;
        };
        let Ok(five) = schedule.to_unix() else {
            assert!(
                others.split(' ').count() > 5 || others.contains(['L', 'W', '#']),
                "{text}"
            );
            continue;
        };
        let five = Schedule::parse(Dialect::Kubernetes, &five).unwrap();
        let mut at = Timestamp::from_millisecond(1_700_000_000_000)
            .unwrap()
            .to_zoned(TimeZone::UTC);
        for _ in times.split(',') {
            let (next, of_five) = (schedule.next(&at), five.next(&at));
            assert_eq!(next, of_five, "{text} {five}");
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        said += 1;
    }
    assert!(said > 150, "{said}");
}

#[test]
fn what_five_fields_cannot_say_is_told() {
    let unsayable = |text: &str| {
        let schedule = Schedule::parse(Dialect::Elasticsearch, text).unwrap();
        schedule.to_unix().unwrap_err().to_string()
    };
    assert_eq!(
        unsayable("*/10 0 3 * * ?"),
        "it has seconds, and five fields begin at the full minute"
    );
    assert_eq!(
        unsayable("0 0 3 * * ? 2027"),
        "it has a year, and five fields have none"
    );
    for text in ["0 0 3 L * ?", "0 0 3 15W * ?", "0 0 3 ? * 6#3"] {
        assert_eq!(
            unsayable(text),
            "`L`, `W` and `#` have no counterpart in five fields"
        );
    }
    let schedule = Schedule::parse(Dialect::Elasticsearch, "0 0/20 22-2 ? JAN,MAR 2-6").unwrap();
    assert_eq!(
        schedule.to_unix().as_deref(),
        Ok("0,20,40 0-2,22,23 * 1,3 1-5")
    );
    assert!(!schedule.has_nearest_weekday());
    let nearest = Schedule::parse(Dialect::Elasticsearch, "0 0 3 LW * ?").unwrap();
    assert!(nearest.has_nearest_weekday());
}
