//! What holds for every schedule.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use lifeboat_core::schedule::{Dialect, Schedule};
use proptest::prelude::*;

use super::new_york;

const DIALECTS: [Dialect; 3] = [
    Dialect::Kubernetes,
    Dialect::Elasticsearch,
    Dialect::Cronexpr,
];

/// A set of values and one way to write it.
fn field(min: i8, max: i8) -> impl Strategy<Value = (BTreeSet<i8>, String)> {
    let list = prop::collection::btree_set(min..=max, 1..4).prop_map(|set| {
        let words: Vec<_> = set.iter().map(i8::to_string).collect();
        (set, words.join(","))
    });
    let stepped = (min..=max, min..=max, 1..=max.min(9)).prop_map(|(one, other, step)| {
        let (low, high) = (one.min(other), one.max(other));
        let set = (low..=high).step_by(step.try_into().unwrap()).collect();
        (set, format!("{low}-{high}/{step}"))
    });
    let any = Just(((min..=max).collect(), "*".to_owned()));
    prop_oneof![list, stepped, any]
}

fn zone() -> impl Strategy<Value = TimeZone> {
    prop_oneof![
        Just(TimeZone::UTC),
        Just(new_york()),
        Just(TimeZone::posix("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap()),
    ]
}

fn moment() -> impl Strategy<Value = Zoned> {
    let seconds = 0_i64..4_000_000_000;
    (seconds, 0_i32..1_000_000_000, zone())
        .prop_map(|(second, nano, zone)| Timestamp::new(second, nano).unwrap().to_zoned(zone))
}

/// Texts made of what schedules are made of, most of them wrong.
fn nearly_a_schedule() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[0-9*?LW#/,-]{1,6}",
        "(MON|FRI|jan|DEC|sunday)[-/#L,]?[0-9A-Z]{0,3}",
        "[0-9]{1,2}",
        Just("*".to_owned()),
        Just("?".to_owned()),
        "@[a-z]{1,8}",
        "\\PC{0,4}",
    ];
    prop::collection::vec(word, 0..9).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn parsing_never_panics_and_what_it_takes_prints_and_parses_to_the_same(text in nearly_a_schedule(), after in moment()) {
        for dialect in DIALECTS {
            match Schedule::parse(dialect, &text) {
                Ok(schedule) => {
                    prop_assert_eq!(Schedule::parse(dialect, &schedule.to_string()), Ok(schedule.clone()));
                    if let Some(due) = schedule.next(&after) {
                        prop_assert!(due > after, "{} is not after {}", due, after);
                    }
                }
                Err(error) => prop_assert!((1..=text.chars().count() + 1).contains(&error.column)),
            }
        }
    }

    #[test]
    fn is_due_at_the_first_later_minute_whose_reading_matches(
        (minutes, minute) in field(0, 59),
        (hours, hour) in field(0, 23),
        (months, month) in field(1, 12),
        (days, day) in field(1, 31),
        after in moment(),
    ) {
        let schedule = Schedule::parse(Dialect::Kubernetes, &format!("{minute} {hour} {day} {month} *")).unwrap();
        let fires = |moment: &Zoned| {
            minutes.contains(&moment.minute()) && hours.contains(&moment.hour())
                && days.contains(&moment.day()) && months.contains(&moment.month()) && moment.second() == 0
        };
        let due = schedule.next(&after);
        if let Some(due) = &due {
            prop_assert!(*due > after && fires(due), "{} after {} is due at {}", schedule, after, due);
            prop_assert_eq!(due.subsec_nanosecond(), 0);
        }
        let minute = SignedDuration::from_mins(1);
        let mut before = after.timestamp().as_second().div_euclid(60) * 60 + 60;
        for _ in 0..2000 {
            let moment = Timestamp::from_second(before).unwrap().to_zoned(after.time_zone().clone());
            if due.as_ref().is_some_and(|due| moment >= *due) {
                break;
            }
            prop_assert!(!fires(&moment), "{} should be due at {}", schedule, moment);
            before += minute.as_secs();
        }
    }

    #[test]
    fn the_dialects_agree_where_they_mean_the_same(
        (_, minute) in field(0, 59),
        (_, hour) in field(0, 23),
        (_, month) in field(1, 12),
        (_, day) in field(1, 31),
        second in 0_i64..4_000_000_000,
    ) {
        let after = Timestamp::from_second(second).unwrap().to_zoned(TimeZone::UTC);
        let due = |dialect, text: String| Schedule::parse(dialect, &text).unwrap().next(&after);
        let kubernetes = due(Dialect::Kubernetes, format!("{minute} {hour} {day} {month} *"));
        let elasticsearch = due(Dialect::Elasticsearch, format!("0 {minute} {hour} {day} {month} ?"));
        let cronexpr = due(Dialect::Cronexpr, format!("0 {minute} {hour} {day} {month} * 1970-2099"));
        prop_assert_eq!(&kubernetes, &elasticsearch);
        if cronexpr.is_some() {
            prop_assert_eq!(&kubernetes, &cronexpr);
        }
    }
}
