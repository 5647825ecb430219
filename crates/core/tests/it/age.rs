//! Ages: the three dialects, cut-off dates, what is refused.

use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lifeboat_core::age::Age;
use proptest::prelude::*;

fn now(reading: &str, zone: &TimeZone) -> Zoned {
    reading
        .parse::<DateTime>()
        .unwrap()
        .to_zoned(zone.clone())
        .unwrap()
}

fn cutoff(age: &str, now_reading: &str) -> String {
    let now = now(now_reading, &TimeZone::UTC);
    Age::parse(age)
        .unwrap_or_else(|error| panic!("{error}"))
        .cutoff(&now)
        .unwrap()
        .datetime()
        .to_string()
}

fn refusals(texts: &[&str]) -> String {
    let refusal = |text: &&str| Age::parse(text).expect_err(text).to_string();
    texts.iter().map(refusal).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_dialects_mean_the_same_thirty_days() {
    for age in [
        "days = 30",
        "days=30",
        "30 days ago",
        "30d",
        "-30 days",
        "hours = 720",
        "720h",
        " 30  day ago ",
    ] {
        assert_eq!(
            cutoff(age, "2021-02-16T03:00:00"),
            "2021-01-17T03:00:00",
            "{age}"
        );
    }
}

#[test]
fn reads_the_arguments_of_a_timedelta() {
    let table = [
        ("weeks = 2, hours = 3", "2021-02-02T00:00:00"),
        ("weeks=2,hours=3,", "2021-02-02T00:00:00"),
        ("days = 1.5", "2021-02-14T15:00:00"),
        ("days = .5", "2021-02-15T15:00:00"),
        ("days = 1e1", "2021-02-06T03:00:00"),
        ("hours = 1_0", "2021-02-15T17:00:00"),
        ("days = 2, hours = -24", "2021-02-15T03:00:00"),
        (
            "seconds = 1, milliseconds = 1, microseconds = 1",
            "2021-02-16T02:59:58.998999",
        ),
        ("minutes = 90", "2021-02-16T01:30:00"),
    ];
    for (age, expected) in table {
        assert_eq!(cutoff(age, "2021-02-16T03:00:00"), expected, "{age}");
    }
}

#[test]
fn reads_relative_dates() {
    let table = [
        ("1 month ago", "2021-02-28T03:00:00"),
        ("month ago", "2021-02-28T03:00:00"),
        ("last month", "2021-02-28T03:00:00"),
        ("1 year ago", "2020-03-31T03:00:00"),
        ("13 months ago", "2020-02-29T03:00:00"),
        ("2 weeks ago", "2021-03-17T03:00:00"),
        ("1 fortnight ago", "2021-03-17T03:00:00"),
        ("1 month ago 3 days ago", "2021-02-25T03:00:00"),
        ("365 days ago", "2020-03-31T03:00:00"),
        ("yesterday", "2021-03-30T03:00:00"),
        ("90 MIN ago", "2021-03-31T01:30:00"),
        ("30days ago", "2021-03-01T03:00:00"),
    ];
    for (age, expected) in table {
        assert_eq!(cutoff(age, "2021-03-31T03:00:00"), expected, "{age}");
    }
}

#[test]
fn a_day_ago_is_the_same_time_yesterday_and_24_hours_are_exact() {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let now = now("2021-03-28T12:00:00", &zone);
    let cutoff = |age| {
        Age::parse(age)
            .unwrap()
            .cutoff(&now)
            .unwrap()
            .strftime("%F %R%z")
            .to_string()
    };
    assert_eq!(cutoff("1 day ago"), "2021-03-27 12:00+0100");
    assert_eq!(cutoff("days = 1"), "2021-03-27 12:00+0100");
    assert_eq!(cutoff("24 hours ago"), "2021-03-27 11:00+0100");
    assert_eq!(cutoff("1d"), "2021-03-27 11:00+0100");
}

#[test]
fn says_what_it_does_not_understand() {
    let texts = [
        "",
        "30",
        "0d",
        "0 days ago",
        "days = 0",
        "days = -1",
        "days = 1, hours = -24",
        "days = 1, hours = -25",
        "30 days",
        "-30 days ago",
        "tomorrow",
        "next week",
        "2021-01-01",
        "30 moons ago",
        "30D",
        "1w",
        "1.5d",
        "days = thirty",
        "days = 7*4",
        "days = 30, days = 1",
        "years = 1",
        "days = 30, 5",
        "days = 1__0",
        "days =",
        "30 days ago 5",
        "days = 1e400",
        "99999999999999999999d",
        "99999999999 years ago",
        "microseconds = 0.1",
        "__import__('os') = 1",
        "ä",
    ];
    insta::assert_snapshot!(refusals(&texts), @"
    `` is not an age: column 1, there is nothing; write for example `days = 30`, `30 days ago` or `30d`
    `30` is not an age: column 3, a unit, as in `30d`, `30 days ago` or `days = 30`, is expected
    `0d` is not an age: column 1, an age of zero or less would expire every backup
    `0 days ago` is not an age: column 1, an age of zero or less would expire every backup
    `days = 0` is not an age: column 1, an age of zero or less would expire every backup
    `days = -1` is not an age: column 1, an age of zero or less would expire every backup
    `days = 1, hours = -24` is not an age: column 1, an age of zero or less would expire every backup
    `days = 1, hours = -25` is not an age: column 1, an age of zero or less would expire every backup
    `30 days` is not an age: column 1, this lies in the future; write for example `30 days ago`
    `-30 days ago` is not an age: column 1, this lies in the future; write for example `30 days ago`
    `tomorrow` is not an age: column 1, `tomorrow` is not a unit; there are `seconds`, `minutes`, `hours`, `days`, `weeks`, `fortnights`, `months` and `years`
    `next week` is not an age: column 1, `next` is not a unit; there are `seconds`, `minutes`, `hours`, `days`, `weeks`, `fortnights`, `months` and `years`
    `2021-01-01` is not an age: column 5, `-01-01` is not a unit; there are `d`, `h`, `m`, `s`, `ms`, `micros` and `nanos`
    `30 moons ago` is not an age: column 4, `moons` is not a unit; there are `seconds`, `minutes`, `hours`, `days`, `weeks`, `fortnights`, `months` and `years`
    `30D` is not an age: column 3, `D` is not a unit; there are `d`, `h`, `m`, `s`, `ms`, `micros` and `nanos`
    `1w` is not an age: column 2, `w` is not a unit; there are `d`, `h`, `m`, `s`, `ms`, `micros` and `nanos`
    `1.5d` is not an age: column 2, `.5d` is not a unit; there are `d`, `h`, `m`, `s`, `ms`, `micros` and `nanos`
    `days = thirty` is not an age: column 8, a number is expected
    `days = 7*4` is not an age: column 8, a number is expected
    `days = 30, days = 1` is not an age: column 12, `days` is given twice
    `years = 1` is not an age: column 1, `years` is not a unit; there are `weeks`, `days`, `hours`, `minutes`, `seconds`, `milliseconds` and `microseconds`
    `days = 30, 5` is not an age: column 12, a part such as `days = 30` is expected
    `days = 1__0` is not an age: column 8, a number is expected
    `days =` is not an age: column 7, a number is expected
    `30 days ago 5` is not an age: column 14, a unit, as in `30 days ago`, is expected
    `days = 1e400` is not an age: column 1, this is longer than the calendar reaches
    `99999999999999999999d` is not an age: column 1, this is longer than the calendar reaches
    `99999999999 years ago` is not an age: column 1, this is longer than the calendar reaches
    `microseconds = 0.1` is not an age: column 1, an age of zero or less would expire every backup
    `__import__('os') = 1` is not an age: column 1, `__import__('os')` is not a unit; there are `weeks`, `days`, `hours`, `minutes`, `seconds`, `milliseconds` and `microseconds`
    `ä` is not an age: column 1, a relative date such as `30 days ago` is expected
    ");
}

#[test]
fn a_cutoff_before_all_dates_is_an_error() {
    let now = now("2021-03-28T12:00:00", &TimeZone::UTC);
    let age = Age::parse("9000 years ago 3000000 days ago").unwrap();
    assert_eq!(
        age.cutoff(&now).unwrap_err().to_string(),
        "no date lies `9000 years ago 3000000 days ago` before 2021-03-28 12:00:00 +00:00"
    );
}

fn nearly_an_age() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-z]{1,3}",
        "[-+]?[0-9_.e]{1,7}",
        prop_oneof![
            "days",
            "weeks",
            "hours",
            "months",
            "ago",
            "last",
            "yesterday",
            "d",
            "h"
        ]
        .prop_map(|word| word),
        "[=,]",
        "\\PC",
    ];
    let blank = prop_oneof![Just(""), Just(" ")];
    prop::collection::vec((part, blank), 0..8).prop_map(|parts| {
        parts
            .into_iter()
            .map(|(part, blank)| part + blank)
            .collect()
    })
}

fn an_age() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_u32..5000, "(days|weeks|hours|seconds)")
            .prop_map(|(count, unit)| format!("{unit} = {count}")),
        (1_u32..5000, "(day|week|month|hour)s?", " ?")
            .prop_map(|(count, unit, blank)| format!("{count}{blank}{unit} ago")),
        (1_u32..5000, "(d|h|m|s|ms)").prop_map(|(count, unit)| format!("{count}{unit}")),
    ]
}

proptest! {
    #[test]
    fn parsing_never_panics(text in nearly_an_age()) {
        match Age::parse(&text) {
            Ok(age) => prop_assert_eq!(Age::parse(&age.to_string()), Ok(age)),
            Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column)),
        }
    }

    #[test]
    fn a_cutoff_is_before_now_and_the_age_prints_and_parses_to_the_same(text in an_age(), second in 0_i64..4_000_000_000) {
        let age = Age::parse(&text).unwrap();
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let now = jiff::Timestamp::from_second(second).unwrap().to_zoned(zone);
        prop_assert!(age.cutoff(&now).unwrap() < now);
        let utc = now.with_time_zone(TimeZone::UTC);
        let back = utc.duration_since(&age.cutoff(&utc).unwrap());
        prop_assert!(age.exact().is_none_or(|exact| exact == back), "{:?}", back);
        prop_assert_eq!(age.exact().is_none(), text.contains("month") || text.contains("year"));
        prop_assert_eq!(age.to_string().parse(), Ok(age));
    }
}
