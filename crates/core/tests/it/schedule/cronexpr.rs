//! cronexpr: the examples of its own tests and documentation.

use lifeboat_core::schedule::Dialect;

use super::{check, due, due_in, new_york};

const CRONEXPR: Dialect = Dialect::Cronexpr;

#[test]
fn is_due_as_the_library_publishes() {
    check(
        CRONEXPR,
        &[
            (
                "* * * * * * *",
                "2013-01-01T23:59:59",
                "2013-01-02T00:00:00",
            ),
            (
                "* * * * * * *",
                "2016-02-28T23:59:59",
                "2016-02-29T00:00:00",
            ),
            (
                "*/5 * * * * * *",
                "2013-01-01T00:00:59",
                "2013-01-01T00:01:00",
            ),
            ("* * * * *", "2012-12-31T23:59:00", "2013-01-01T00:00:00"),
            (
                "17-43/5 * * * *",
                "2013-01-01T00:30:00",
                "2013-01-01T00:32:00",
            ),
            (
                "17-43/5 * * * *",
                "2013-01-01T00:50:00",
                "2013-01-01T01:17:00",
            ),
            (
                "15-30/4,55 * * * *",
                "2013-01-01T00:16:00",
                "2013-01-01T00:19:00",
            ),
            (
                "15-30/4,55 * * * *",
                "2013-01-01T00:30:00",
                "2013-01-01T00:55:00",
            ),
            ("0 0 * * MON", "2013-12-30T00:30:00", "2014-01-06T00:00:00"),
            (
                "0 0 * * friday",
                "2013-01-01T00:00:00",
                "2013-01-04T00:00:00",
            ),
            ("0 0 * * 6,7", "2013-12-30T00:30:00", "2014-01-04T00:00:00"),
            ("0 0 * * 6#5", "2013-09-02T00:00:00", "2013-11-30T00:00:00"),
            ("0 0 14W * *", "2013-03-31T00:00:00", "2013-04-15T00:00:00"),
            ("0 0 14W * *", "2013-08-31T00:00:00", "2013-09-13T00:00:00"),
            ("0 0 30W * *", "2013-03-02T00:00:00", "2013-03-29T00:00:00"),
            ("0 0 30W * *", "2013-09-02T00:00:00", "2013-09-30T00:00:00"),
            ("0 0 30W * *", "2013-11-02T00:00:00", "2013-11-29T00:00:00"),
            ("0 0 L * *", "2016-02-15T00:00:00", "2016-02-29T00:00:00"),
            ("0 0 LW * *", "2013-11-02T00:00:00", "2013-11-29T00:00:00"),
            ("0 0 LW * *", "2014-08-15T00:00:00", "2014-08-29T00:00:00"),
            ("* * * * * 1980", "2013-08-31T00:00:00", ""),
            (
                "* * * * * 2050",
                "2013-08-31T00:00:00",
                "2050-01-01T00:00:00",
            ),
            ("* * * * *", "2099-12-31T23:59:00", ""),
            ("25 * * * *", "2023-11-28T16:25:00", "2023-11-28T17:25:00"),
        ],
    );
    assert_eq!(
        due(CRONEXPR, "0 0 29 2 *", "2013-08-30T00:00:00", 5)
            .iter()
            .map(|due| &due[4..14])
            .collect::<Vec<_>>(),
        [
            "2016-02-29",
            "2020-02-29",
            "2024-02-29",
            "2028-02-29",
            "2032-02-29"
        ]
    );
}

#[test]
fn a_sixth_field_is_a_year_and_seconds_come_with_the_seventh() {
    assert_eq!(
        due(CRONEXPR, "30 4 1 1 * 2030", "2026-01-01T00:00:00", 2),
        ["Tue 2030-01-01 04:30:00"]
    );
    assert_eq!(
        due(CRONEXPR, "15 30 4 1 1 * 2030/30", "2026-01-01T00:00:00", 9).len(),
        3
    );
}

#[test]
fn sunday_is_both_zero_and_seven() {
    let after = "2026-11-02T12:00:00";
    let sunday = due(CRONEXPR, "0 0 * * 0", after, 3);
    for other in ["0 0 * * 7", "0 0 * * sun", "0 0 * * Sunday", "0 0 * * 7-7"] {
        assert_eq!(due(CRONEXPR, other, after, 3), sunday, "{other}");
    }
    assert_eq!(
        due(CRONEXPR, "0 0 * * 5-7", after, 3),
        [
            "Fri 2026-11-06 00:00:00",
            "Sat 2026-11-07 00:00:00",
            "Sun 2026-11-08 00:00:00"
        ]
    );
    assert_eq!(
        due(CRONEXPR, "0 0 * * 5L", after, 1),
        ["Fri 2026-11-27 00:00:00"]
    );
}

#[test]
fn special_days_may_stand_in_a_list() {
    assert_eq!(
        due(CRONEXPR, "0 0 1,15W,L * *", "2026-11-01T12:00:00", 3),
        [
            "Mon 2026-11-16 00:00:00",
            "Mon 2026-11-30 00:00:00",
            "Tue 2026-12-01 00:00:00"
        ]
    );
}

#[test]
fn a_step_of_one_restricts_the_days() {
    let after = "2026-11-02T12:00:00";
    assert_eq!(
        due(CRONEXPR, "0 0 */1 * 5", after, 1),
        ["Tue 2026-11-03 00:00:00"]
    );
    assert_eq!(
        due(CRONEXPR, "0 0 * * 5", after, 1),
        ["Fri 2026-11-06 00:00:00"]
    );
}

#[test]
fn a_question_mark_means_a_star() {
    let after = "2026-11-02T12:00:00";
    assert_eq!(
        due(CRONEXPR, "5 4 ? * 1", after, 3),
        due(CRONEXPR, "5 4 * * 1", after, 3)
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
        ("@hourly", "0 * * * *"),
    ];
    for (short, long) in pairs {
        let after = "2012-07-09T15:04:00";
        assert_eq!(
            due(CRONEXPR, short, after, 5),
            due(CRONEXPR, long, after, 5),
            "{short}"
        );
    }
}

#[test]
fn what_runs_every_hour_runs_in_the_repeated_hour_too() {
    let zone = new_york();
    assert_eq!(
        due_in(&zone, CRONEXPR, "25 * * * *", "2012-11-04T05:00:00Z", 3),
        [
            "2012-11-04 01:25:00-0400",
            "2012-11-04 01:25:00-0500",
            "2012-11-04 02:25:00-0500"
        ]
    );
    assert_eq!(
        due_in(&zone, CRONEXPR, "*/30 2 * * *", "2012-03-11T05:00:00Z", 2),
        ["2012-03-11 03:00:00-0400", "2012-03-12 02:00:00-0400"],
        "all skipped readings are due together"
    );
}
