//! Elasticsearch: the examples of its documentation, ranges over the end, special days.

use lifeboat_core::schedule::Dialect;

use super::{check, due, due_in, new_york};

const ELASTICSEARCH: Dialect = Dialect::Elasticsearch;

#[test]
fn is_due_as_the_documentation_says() {
    check(
        ELASTICSEARCH,
        &[
            ("0 0 3 * * ?", "2021-02-16T03:00:00", "2021-02-17T03:00:00"),
            ("0 5 9 * * ?", "2020-01-01T00:00:00", "2020-01-01T09:05:00"),
            ("0 5 9 * * ? 2020", "2020-12-31T09:05:00", ""),
            (
                "0 5 9 * * ? 2020",
                "2019-12-31T09:05:00",
                "2020-01-01T09:05:00",
            ),
            (
                "0 5 9 ? * MON-FRI",
                "2020-01-03T09:05:00",
                "2020-01-06T09:05:00",
            ),
            (
                "0 0-5 9 * * ?",
                "2020-01-01T09:05:00",
                "2020-01-02T09:00:00",
            ),
            (
                "0 0/15 9 * * ?",
                "2020-01-01T09:15:00",
                "2020-01-01T09:30:00",
            ),
            ("0 5 9 1 * ?", "2020-01-01T09:05:00", "2020-02-01T09:05:00"),
            (
                "0 5 9 1/4 * ?",
                "2020-01-05T09:05:00",
                "2020-01-09T09:05:00",
            ),
            (
                "0 5 9 1/4 * ?",
                "2020-01-29T09:05:00",
                "2020-02-01T09:05:00",
            ),
            ("0 5 9 L * ?", "2020-02-01T00:00:00", "2020-02-29T09:05:00"),
            ("0 5 9 ? * 2L", "2020-02-01T00:00:00", "2020-02-24T09:05:00"),
            (
                "0 5 9 15W * ?",
                "2020-02-01T00:00:00",
                "2020-02-14T09:05:00",
            ),
            (
                "0 5 9 ? * 2#1",
                "2020-02-04T00:00:00",
                "2020-03-02T09:05:00",
            ),
            ("0 30 1 * * ?", "2020-02-29T01:30:00", "2020-03-01T01:30:00"),
        ],
    );
}

#[test]
fn counts_the_days_of_the_week_from_sunday_as_one() {
    let after = "2026-11-01T12:00:00";
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 ? * 1", after, 1),
        ["Sun 2026-11-08 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 ? * 7", after, 1),
        ["Sat 2026-11-07 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 ? * L", after, 1),
        ["Sat 2026-11-07 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 ? * 6#3", after, 2),
        ["Fri 2026-11-20 00:00:00", "Fri 2026-12-18 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 ? * fri#3", after, 1),
        ["Fri 2026-11-20 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 ? * 6L", after, 2),
        ["Fri 2026-11-27 00:00:00", "Fri 2026-12-25 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 ? * 4#5", after, 2),
        ["Wed 2026-12-30 00:00:00", "Wed 2027-03-31 00:00:00"]
    );
}

#[test]
fn counts_days_from_the_end_of_the_month() {
    let after = "2026-01-01T12:00:00";
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 L-3 * ?", after, 2),
        ["Wed 2026-01-28 00:00:00", "Wed 2026-02-25 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 LW * ?", after, 2),
        ["Fri 2026-01-30 00:00:00", "Fri 2026-02-27 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 L-7W * ?", after, 1),
        ["Fri 2026-01-23 00:00:00"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 1W 8 ?", after, 1),
        ["Mon 2026-08-03 00:00:00"]
    );
}

#[test]
fn ranges_may_run_over_the_end() {
    let after = "2026-11-02T12:00:00";
    assert_eq!(
        due(ELASTICSEARCH, "0 0 22-2 * * ?", after, 6)
            .iter()
            .map(|due| &due[15..17])
            .collect::<Vec<_>>(),
        ["22", "23", "00", "01", "02", "22"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 ? * FRI-MON", after, 4)
            .iter()
            .map(|due| &due[..3])
            .collect::<Vec<_>>(),
        ["Fri", "Sat", "Sun", "Mon"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "0 0 0 1 NOV-FEB ?", after, 4)
            .iter()
            .map(|due| &due[9..11])
            .collect::<Vec<_>>(),
        ["12", "01", "02", "11"]
    );
    assert_eq!(
        due(ELASTICSEARCH, "50-10/10 0 0 1 1 ?", after, 3)[1..],
        ["Fri 2027-01-01 00:00:10", "Fri 2027-01-01 00:00:50"]
    );
}

#[test]
fn a_step_needs_no_star() {
    let after = "2026-11-02T12:00:00";
    assert_eq!(
        due(ELASTICSEARCH, "0 /20 * * * ?", after, 3),
        due(ELASTICSEARCH, "0 */20 * * * ?", after, 3)
    );
}

#[test]
fn outside_utc_a_time_of_day_is_due_once_a_day() {
    let zone = new_york();
    assert_eq!(
        due_in(
            &zone,
            ELASTICSEARCH,
            "0 30 2 * * ?",
            "2012-03-10T12:00:00Z",
            2
        ),
        ["2012-03-11 03:00:00-0400", "2012-03-12 02:30:00-0400"]
    );
    assert_eq!(
        due_in(
            &zone,
            ELASTICSEARCH,
            "0 30 1 * * ?",
            "2012-11-04T04:00:00Z",
            2
        ),
        ["2012-11-04 01:30:00-0400", "2012-11-05 01:30:00-0500"]
    );
}
