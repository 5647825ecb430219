//! Kubernetes: the examples of its parser's own tests, shorthands, intervals, changes of the clock.

use lifeboat_core::schedule::{Dialect, Schedule};

use super::{check, due, due_in, moment, new_york, schedule};

const KUBERNETES: Dialect = Dialect::Kubernetes;

#[test]
fn is_due_as_the_parser_of_kubernetes_publishes() {
    check(
        KUBERNETES,
        &[
            ("0/15 * * * *", "2012-07-09T14:45:00", "2012-07-09T15:00:00"),
            ("0/15 * * * *", "2012-07-09T14:59:59", "2012-07-09T15:00:00"),
            ("5/15 * * * *", "2012-07-09T15:05:00", "2012-07-09T15:20:00"),
            (
                "20-35/15 * * * *",
                "2012-07-09T15:45:00",
                "2012-07-09T16:20:00",
            ),
            ("*/15 * * * *", "2012-07-09T23:46:00", "2012-07-10T00:00:00"),
            (
                "20-35/15 1/2 */2 * *",
                "2012-07-09T23:35:51",
                "2012-07-11T01:20:00",
            ),
            (
                "20-35/15 10-12 * * *",
                "2012-07-09T23:35:51",
                "2012-07-10T10:20:00",
            ),
            (
                "30 08 ? Jul Sun",
                "2012-07-09T00:00:00",
                "2012-07-15T08:30:00",
            ),
            (
                "30 08 15 Jul ?",
                "2012-07-16T08:30:00",
                "2013-07-15T08:30:00",
            ),
            (
                "0 0 9 Apr-Oct ?",
                "2012-07-09T23:35:00",
                "2012-08-09T00:00:00",
            ),
            (
                "0 0 */5 Apr,Aug,Oct Mon",
                "2012-07-09T23:35:00",
                "2012-08-01T00:00:00",
            ),
            (
                "0 0 * Feb Mon",
                "2012-07-09T23:35:00",
                "2013-02-04T00:00:00",
            ),
            (
                "0 0 * Feb Mon/2",
                "2012-07-09T23:35:00",
                "2013-02-01T00:00:00",
            ),
            ("* * * * *", "2012-12-31T23:59:45", "2013-01-01T00:00:00"),
            ("0 0 29 Feb ?", "2012-07-09T23:35:00", "2016-02-29T00:00:00"),
            ("0 0 30 Feb ?", "2012-07-09T23:35:00", ""),
            ("0 0 31 Apr ?", "2012-07-09T23:35:00", ""),
            ("0 0 31 2 *", "2024-01-01T00:00:00", ""),
            ("0 */24 * * *", "2012-07-09T23:35:00", "2012-07-10T00:00:00"),
            ("0 3 * * *", "2021-02-16T03:00:00", "2021-02-17T03:00:00"),
            ("0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29T00:00:00"),
        ],
    );
}

#[test]
fn either_day_field_will_do_unless_one_is_a_star() {
    let after = "2026-11-01T12:00:00";
    assert_eq!(
        due(KUBERNETES, "0 0 13 * 5", after, 3),
        [
            "Fri 2026-11-06 00:00:00",
            "Fri 2026-11-13 00:00:00",
            "Fri 2026-11-20 00:00:00"
        ]
    );
    assert_eq!(
        due(KUBERNETES, "0 0 14 * 5", after, 3)[1..],
        ["Fri 2026-11-13 00:00:00", "Sat 2026-11-14 00:00:00"]
    );
    assert_eq!(
        due(KUBERNETES, "0 0 * * 5", after, 1),
        ["Fri 2026-11-06 00:00:00"]
    );
    assert_eq!(
        due(KUBERNETES, "0 0 */1 * 5", after, 1),
        ["Fri 2026-11-06 00:00:00"],
        "a step of one is a star"
    );
    assert_eq!(
        due(KUBERNETES, "0 0 */2 * 5", after, 1),
        ["Tue 2026-11-03 00:00:00"],
        "a larger step is not"
    );
}

#[test]
fn shorthands_mean_the_fields_they_stand_for() {
    let pairs = [
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("@monthly", "0 0 1 * *"),
        ("@weekly", "0 0 * * 0"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@hourly", "0 * * * *"),
    ];
    for (short, long) in pairs {
        let after = "2012-07-09T15:04:00";
        assert_eq!(
            due(KUBERNETES, short, after, 5),
            due(KUBERNETES, long, after, 5),
            "{short}"
        );
    }
}

#[test]
fn an_interval_counts_from_the_last_run_in_whole_seconds() {
    let zone = new_york();
    let after = moment("2012-11-04T05:30:00.75Z", &zone);
    let due = schedule(KUBERNETES, "@every 1h30m").next(&after).unwrap();
    assert_eq!(due.timestamp().to_string(), "2012-11-04T07:00:00Z");
}

#[test]
fn keeps_to_what_the_clock_shows_when_it_changes() {
    let zone = new_york();
    assert_eq!(
        due_in(&zone, KUBERNETES, "30 2 * * *", "2012-03-10T12:00:00Z", 2),
        ["2012-03-12 02:30:00-0400", "2012-03-13 02:30:00-0400"],
        "02:30 does not exist on the 11th"
    );
    assert_eq!(
        due_in(&zone, KUBERNETES, "30 1 4 11 *", "2012-11-04T04:00:00Z", 3),
        [
            "2012-11-04 01:30:00-0400",
            "2012-11-04 01:30:00-0500",
            "2013-11-04 01:30:00-0500"
        ],
        "01:30 comes twice"
    );
    assert_eq!(
        due_in(&zone, KUBERNETES, "0 0-3 * * *", "2012-03-11T04:59:59Z", 4),
        [
            "2012-03-11 00:00:00-0500",
            "2012-03-11 01:00:00-0500",
            "2012-03-11 03:00:00-0400",
            "2012-03-12 00:00:00-0400"
        ],
    );
}

#[test]
fn prints_as_written_with_single_blanks() {
    let schedule = Schedule::parse(KUBERNETES, " 0\t3  * *  Mon-FRI ").unwrap();
    assert_eq!(schedule.to_string(), "0 3 * * Mon-FRI");
}
