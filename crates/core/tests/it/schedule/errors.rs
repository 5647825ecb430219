//! What a person reads who wrote a schedule in the wrong dialect, or wrongly.

use lifeboat_core::error::Kind;
use lifeboat_core::schedule::{Dialect, Field, Schedule};

fn refusals(dialect: Dialect, texts: &[&str]) -> String {
    let refusal = |text: &&str| {
        let error = Schedule::parse(dialect, text).expect_err(text);
        assert_eq!(error.kind(), Kind::Invalid);
        error.to_string()
    };
    texts.iter().map(refusal).collect::<Vec<_>>().join("\n")
}

#[test]
fn kubernetes_says_what_it_does_not_allow() {
    let texts = [
        "",
        "  ",
        "0 3 * *",
        "0 0 3 * * ?",
        "0 0 3 * * 1",
        "60 * * * *",
        "0 24 * * *",
        "0 3 0 * *",
        "0 3 * 13 *",
        "0 3 * * 7",
        "0 3 L * *",
        "0 3 15W * *",
        "0 3 * * 5#2",
        "0 3 * * 5L",
        "5-1 * * * *",
        "*/0 * * * *",
        "1,,2 * * * *",
        "*-5 * * * *",
        "0 3 * foo *",
        "+5 * * * *",
        "TZ=UTC 0 3 * * *",
        "CRON_TZ=UTC 0 3 * * *",
        "@dayly",
        "@daily now",
        "@every",
        "@every 1d",
        "@every 10ms",
        "0 3 * * mon-",
        "ä 3 * * *",
        "0 3 1/2/3 * *",
    ];
    insta::assert_snapshot!(refusals(Dialect::Kubernetes, &texts), @"
    `` is not a schedule of Kubernetes: column 1, the schedule is empty
    `  ` is not a schedule of Kubernetes: column 1, the schedule is empty
    `0 3 * *` is not a schedule of Kubernetes: column 8, 4 fields where 5 (minutes, hours, day of month, month, day of week) are needed
    `0 0 3 * * ?` is not a schedule of Kubernetes: column 11, 6 fields where 5 (minutes, hours, day of month, month, day of week) are needed; write `0 3 * * ?`
    `0 0 3 * * 1` is not a schedule of Kubernetes: column 11, 6 fields where 5 (minutes, hours, day of month, month, day of week) are needed
    `60 * * * *` is not a schedule of Kubernetes: column 1, minutes: `60` is not within 0-59
    `0 24 * * *` is not a schedule of Kubernetes: column 3, hours: `24` is not within 0-23
    `0 3 0 * *` is not a schedule of Kubernetes: column 5, day of month: `0` is not within 1-31
    `0 3 * 13 *` is not a schedule of Kubernetes: column 7, month: `13` is not within 1-12
    `0 3 * * 7` is not a schedule of Kubernetes: column 9, day of week: `7` is not within 0-6; write `0` or `SUN`
    `0 3 L * *` is not a schedule of Kubernetes: column 5, day of month: `L`: Kubernetes has no `L`, `W` and `#`
    `0 3 15W * *` is not a schedule of Kubernetes: column 5, day of month: `15W`: Kubernetes has no `L`, `W` and `#`
    `0 3 * * 5#2` is not a schedule of Kubernetes: column 9, day of week: `5#2`: Kubernetes has no `L`, `W` and `#`
    `0 3 * * 5L` is not a schedule of Kubernetes: column 9, day of week: `5L`: Kubernetes has no `L`, `W` and `#`
    `5-1 * * * *` is not a schedule of Kubernetes: column 1, minutes: the range `5-1` ends before it begins
    `*/0 * * * *` is not a schedule of Kubernetes: column 3, minutes: the step `0` is not a whole number from 1 to 9999
    `1,,2 * * * *` is not a schedule of Kubernetes: column 3, minutes: a value is missing here
    `*-5 * * * *` is not a schedule of Kubernetes: column 1, minutes: `*`: `*` stands alone or before a step, as in `*/2`
    `0 3 * foo *` is not a schedule of Kubernetes: column 7, month: `foo` is neither a number, a name, a range nor `*`
    `+5 * * * *` is not a schedule of Kubernetes: column 1, minutes: `+5` is neither a number, a name, a range nor `*`
    `TZ=UTC 0 3 * * *` is not a schedule of Kubernetes: column 1, a time zone does not belong in the schedule, it has its own setting
    `CRON_TZ=UTC 0 3 * * *` is not a schedule of Kubernetes: column 1, a time zone does not belong in the schedule, it has its own setting
    `@dayly` is not a schedule of Kubernetes: column 1, `@dayly` is not known; there are `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly` and `@every DURATION`
    `@daily now` is not a schedule of Kubernetes: column 8, `now` is not known; there are `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly` and `@every DURATION`
    `@every` is not a schedule of Kubernetes: column 1, `@every` is not a duration of at least one second, such as `1h30m`
    `@every 1d` is not a schedule of Kubernetes: column 8, `1d` is not a duration of at least one second, such as `1h30m`
    `@every 10ms` is not a schedule of Kubernetes: column 8, `10ms` is not a duration of at least one second, such as `1h30m`
    `0 3 * * mon-` is not a schedule of Kubernetes: column 13, day of week: a value is missing here
    `ä 3 * * *` is not a schedule of Kubernetes: column 1, minutes: `ä` is neither a number, a name, a range nor `*`
    `0 3 1/2/3 * *` is not a schedule of Kubernetes: column 7, day of month: the step `2/3` is not a whole number from 1 to 9999
    ");
}

#[test]
fn elasticsearch_says_what_it_does_not_allow() {
    let texts = [
        "0 3 * * *",
        "0 3 * * MON",
        "0 3 * * 1",
        "0 0 3 * * *",
        "0 0 3 ? * ?",
        "0 0 3 1 * 2",
        "0 0 ? * * ?",
        "0 0 3 * * 0",
        "0 0 3 ? * 0",
        "0 0 3 ? * 8",
        "0 0 3 1,L * ?",
        "0 0 3 15W,20 * ?",
        "0 0 3 ? * 6#3,2",
        "0 0 3 ? * 6#6",
        "0 0 3 L-31 * ?",
        "0 0 3 ? * MON-FRI/2",
        "0 0 3 * * ? 1969",
        "0 0 3 * * ? 2030-2020",
        "@daily",
        "0 0 3 * * ? 2030 5",
        "0 */60 3 * * ?",
        "0 L 3 * * ?",
        "0 0 3 ? * 2W",
        "0 0 3 ? * /ä",
    ];
    insta::assert_snapshot!(refusals(Dialect::Elasticsearch, &texts), @"
    `0 3 * * *` is not a schedule of Elasticsearch: column 10, 5 fields where 6 or 7 (seconds, minutes, hours, day of month, month, day of week, and perhaps a year) are needed; write `0 0 3 * * ?`
    `0 3 * * MON` is not a schedule of Elasticsearch: column 12, 5 fields where 6 or 7 (seconds, minutes, hours, day of month, month, day of week, and perhaps a year) are needed; write `0 0 3 ? * MON`
    `0 3 * * 1` is not a schedule of Elasticsearch: column 10, 5 fields where 6 or 7 (seconds, minutes, hours, day of month, month, day of week, and perhaps a year) are needed
    `0 0 3 * * *` is not a schedule of Elasticsearch: column 11, day of week: day of month and day of week are both given; one of them must be `?`, as in `0 0 3 * * ?`
    `0 0 3 ? * ?` is not a schedule of Elasticsearch: column 11, day of week: day of month and day of week are both `?`; one of them must say which days
    `0 0 3 1 * 2` is not a schedule of Elasticsearch: column 11, day of week: day of month and day of week are both given; one of them must be `?`, as in `0 0 3 * * ?`
    `0 0 ? * * ?` is not a schedule of Elasticsearch: column 5, hours: `?`: `?` may only stand for the day of month or the day of week
    `0 0 3 * * 0` is not a schedule of Elasticsearch: column 11, day of week: `0` is not within 1-7; write `1` or `SUN`
    `0 0 3 ? * 0` is not a schedule of Elasticsearch: column 11, day of week: `0` is not within 1-7; write `1` or `SUN`
    `0 0 3 ? * 8` is not a schedule of Elasticsearch: column 11, day of week: `8` is not within 1-7
    `0 0 3 1,L * ?` is not a schedule of Elasticsearch: column 9, day of month: `L`: in Elasticsearch `L`, `W` and `#` stand alone, not in a list
    `0 0 3 15W,20 * ?` is not a schedule of Elasticsearch: column 7, day of month: `15W`: in Elasticsearch `L`, `W` and `#` stand alone, not in a list
    `0 0 3 ? * 6#3,2` is not a schedule of Elasticsearch: column 11, day of week: `6#3`: in Elasticsearch `L`, `W` and `#` stand alone, not in a list
    `0 0 3 ? * 6#6` is not a schedule of Elasticsearch: column 13, day of week: `#6`: a number from 1 to 5 must follow the `#`
    `0 0 3 L-31 * ?` is not a schedule of Elasticsearch: column 7, day of month: `L-31`: after `L` comes nothing, `W`, or `-` and at most 30 days
    `0 0 3 ? * MON-FRI/2` is not a schedule of Elasticsearch: column 11, day of week: `MON-FRI/2`: Elasticsearch ignores a step after names; write numbers
    `0 0 3 * * ? 1969` is not a schedule of Elasticsearch: column 13, year: `1969` is not within 1970-2199
    `0 0 3 * * ? 2030-2020` is not a schedule of Elasticsearch: column 13, year: the range `2030-2020` ends before it begins
    `@daily` is not a schedule of Elasticsearch: column 1, `@daily`: Elasticsearch has no shorthands; write the fields, as in `0 0 3 * * ?`
    `0 0 3 * * ? 2030 5` is not a schedule of Elasticsearch: column 18, 8 fields where 6 or 7 (seconds, minutes, hours, day of month, month, day of week, and perhaps a year) are needed
    `0 */60 3 * * ?` is not a schedule of Elasticsearch: column 5, minutes: the step `60` is not a whole number from 1 to 59
    `0 L 3 * * ?` is not a schedule of Elasticsearch: column 3, minutes: `L`: `L`, `W` and `#` are for days only
    `0 0 3 ? * 2W` is not a schedule of Elasticsearch: column 11, day of week: `2W`: the special days of this field are the like of `5L` and `5#3`
    `0 0 3 ? * /ä` is not a schedule of Elasticsearch: column 12, day of week: the step `ä` is not a whole number from 1 to 7
    ");
}

#[test]
fn cronexpr_says_what_it_does_not_allow() {
    let texts = [
        "25 * * *",
        "25 * * * * * * *",
        "25 * L-3 * *",
        "25 * * * 5W",
        "25 * * * 8",
        "25 * * * fri-mon",
        "25 * * * L",
        "25 * * * 5#0",
        "25 * * * * 2100",
        "*/60 * * * *",
        "@every 1h",
        "@midnight",
        "25 * 32W * *",
    ];
    insta::assert_snapshot!(refusals(Dialect::Cronexpr, &texts), @"
    `25 * * *` is not a schedule of cronexpr: column 9, 4 fields where 5 to 7 (perhaps seconds, minutes, hours, day of month, month, day of week, and perhaps a year) are needed
    `25 * * * * * * *` is not a schedule of cronexpr: column 16, 8 fields where 5 to 7 (perhaps seconds, minutes, hours, day of month, month, day of week, and perhaps a year) are needed
    `25 * L-3 * *` is not a schedule of cronexpr: column 6, day of month: `L`: the special days of this field are `L`, `LW` and the like of `15W`
    `25 * * * 5W` is not a schedule of cronexpr: column 10, day of week: `5W`: the special days of this field are the like of `5L` and `5#3`
    `25 * * * 8` is not a schedule of cronexpr: column 10, day of week: `8` is not within 0-7
    `25 * * * fri-mon` is not a schedule of cronexpr: column 10, day of week: the range `fri-mon` ends before it begins
    `25 * * * L` is not a schedule of cronexpr: column 10, day of week: `L`: the special days of this field are the like of `5L` and `5#3`
    `25 * * * 5#0` is not a schedule of cronexpr: column 12, day of week: `#0`: a number from 1 to 5 must follow the `#`
    `25 * * * * 2100` is not a schedule of cronexpr: column 12, year: `2100` is not within 1970-2099
    `*/60 * * * *` is not a schedule of cronexpr: column 3, minutes: the step `60` is not a whole number from 1 to 59
    `@every 1h` is not a schedule of cronexpr: column 1, `@every` is not known; there are `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily` and `@hourly`
    `@midnight` is not a schedule of cronexpr: column 1, `@midnight` is not known; there are `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily` and `@hourly`
    `25 * 32W * *` is not a schedule of cronexpr: column 6, day of month: `32` is not within 1-31
    ");
}

#[test]
fn an_error_carries_field_and_column() {
    let error = Schedule::parse(Dialect::Kubernetes, "0 3 * * 1,mond").unwrap_err();
    assert_eq!((error.field, error.column), (Some(Field::DayOfWeek), 11));
    let error = Schedule::parse(Dialect::Kubernetes, "@daily  @daily").unwrap_err();
    assert_eq!((error.field, error.column), (None, 9));
}
