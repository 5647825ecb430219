//! The rule that says on which days of a month a schedule fires.
//!
//! The three dialects share it: when day of month and day of week are both restricted, a day that satisfies either will
//! do; a field that says "any day" does not count as restricted.

use jiff::civil::{Date, date};

/// Days by number and by weekday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Days {
    /// `None` when any day of the month will do.
    pub(super) of_month: Option<OfMonth>,
    /// `None` when any day of the week will do.
    pub(super) of_week: Option<OfWeek>,
}

/// Days by their number. Bit `n` of each set stands for the number `n`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OfMonth {
    pub(super) days: u32,
    /// Days counted from the end: bit 0 is the last day, bit 3 the third before it.
    pub(super) from_end: u32,
    /// Days that give way to the nearest weekday (Monday to Friday) of the same month.
    pub(super) nearest: u32,
    /// The same for days counted from the end.
    pub(super) nearest_from_end: u32,
}

/// Days by their weekday, Sunday = bit 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OfWeek {
    pub(super) days: u8,
    /// The last such day of the month.
    pub(super) last: u8,
    /// The first to fifth such day of the month.
    pub(super) nth: [u8; 5],
}

impl Days {
    /// The matching days of one month as bits 1-31. A day that the month does not have matches nothing.
    pub(super) fn in_month(&self, year: i16, month: i8) -> u32 {
        let first = date(year, month, 1);
        let all = bits(1..=first.days_in_month());
        match (&self.of_month, &self.of_week) {
            (None, None) => all,
            (Some(rule), None) => rule.in_month(first),
            (None, Some(rule)) => rule.in_month(first),
            (Some(by_number), Some(by_weekday)) => {
                by_number.in_month(first) | by_weekday.in_month(first)
            }
        }
    }
}

impl OfMonth {
    fn in_month(&self, first: Date) -> u32 {
        let length = first.days_in_month();
        bits((1..=length).filter(|&day| {
            let left = length - day;
            has(self.days, day) || has(self.from_end, left)
        })) | bits((1..=length).filter_map(|day| {
            let left = length - day;
            let wanted = has(self.nearest, day) || has(self.nearest_from_end, left);
            wanted.then(|| nearest_weekday(first, day))
        }))
    }
}

impl OfWeek {
    fn in_month(&self, first: Date) -> u32 {
        let length = first.days_in_month();
        let offset = first.weekday().to_sunday_zero_offset();
        bits((1..=length).filter(|day| {
            let weekday = (offset + day - 1) % 7;
            let week = usize::try_from((day - 1) / 7).expect("a day of a month is positive");
            has(self.days.into(), weekday)
                || (has(self.last.into(), weekday) && day + 7 > length)
                || has(self.nth[week].into(), weekday)
        }))
    }
}

/// The day, or the Monday to Friday next to it within the month.
fn nearest_weekday(first: Date, day: i8) -> i8 {
    let length = first.days_in_month();
    match (first.weekday().to_sunday_zero_offset() + day - 1) % 7 {
        6 if day == 1 => 3,
        6 => day - 1,
        0 if day == length => day - 2,
        0 => day + 1,
        _ => day,
    }
}

fn bits(days: impl IntoIterator<Item = i8>) -> u32 {
    days.into_iter().fold(0, |bits, day| bits | 1 << day)
}

fn has(bits: u32, index: i8) -> bool {
    bits >> index & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_weekday_never_leaves_the_month() {
        let on = |year, month, day| nearest_weekday(date(year, month, 1), day);
        assert_eq!(on(2026, 8, 15), 14, "a Saturday gives way to Friday");
        assert_eq!(on(2026, 11, 15), 16, "a Sunday gives way to Monday");
        assert_eq!(
            on(2026, 8, 1),
            3,
            "Saturday the 1st gives way to Monday the 3rd"
        );
        assert_eq!(
            on(2026, 5, 31),
            29,
            "Sunday the 31st gives way to Friday the 29th"
        );
        assert_eq!(on(2026, 9, 15), 15);
    }

    #[test]
    fn a_day_that_the_month_lacks_does_not_match() {
        let rule = OfMonth {
            days: 1 << 31,
            nearest: 1 << 30,
            from_end: 1 << 30,
            ..OfMonth::default()
        };
        let days = Days {
            of_month: Some(rule),
            of_week: None,
        };
        assert_eq!(days.in_month(2026, 2), 0);
        assert_eq!(days.in_month(2026, 3), bits([1, 30, 31]));
    }

    #[test]
    fn either_day_field_will_do_when_both_are_restricted() {
        let days = Days {
            of_month: Some(OfMonth {
                days: 1 << 13,
                ..OfMonth::default()
            }),
            of_week: Some(OfWeek {
                days: 1 << 5,
                ..OfWeek::default()
            }),
        };
        assert_eq!(days.in_month(2026, 11), bits([6, 13, 20, 27]));
        assert_eq!(days.in_month(2026, 10), bits([2, 9, 13, 16, 23, 30]));
    }
}
