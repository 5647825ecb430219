//! Relative dates of GNU `date` that lie in the past: `30 days ago`, `1 month ago`, `-2 weeks`, `last year`, `yesterday`.
//!
//! Several add up (`1 year ago 2 months ago`). A part that points forward is refused, and so is everything that names a
//! date or a time of day.

use super::{Length, ParseError, Problem, error};

const KNOWN: &str =
    "`seconds`, `minutes`, `hours`, `days`, `weeks`, `fortnights`, `months` and `years`";
const NANOS_PER_SECOND: i128 = 1_000_000_000;

#[derive(Debug, Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    at: usize,
}

pub(super) fn parse(text: &str) -> Result<Length, ParseError> {
    let words = words(text)?;
    let mut rest = words.as_slice();
    let mut total = Length::default();
    while let [first, after @ ..] = rest {
        let (count, unit, after) = match (number(first.text), after) {
            (Some(count), [unit, after @ ..]) => (count, *unit, after),
            (Some(_), []) => {
                let expected = "a unit, as in `30 days ago`,";
                let at = first.at + first.text.len();
                return Err(error(text, at, Problem::Expected { expected }));
            }
            (None, [unit, after @ ..]) if first.text.eq_ignore_ascii_case("last") => {
                (-1, *unit, after)
            }
            (None, _) if first.text.eq_ignore_ascii_case("yesterday") => {
                let day = Word {
                    text: "day",
                    ..*first
                };
                (-1, day, after)
            }
            (None, _) => (1, *first, after),
        };
        let (back, after) = match after {
            [ago, after @ ..] if ago.text.eq_ignore_ascii_case("ago") => (count, after),
            _ => (-count, after),
        };
        let length = length(unit.text).ok_or_else(|| {
            let problem = Problem::UnknownUnit {
                unit: unit.text.to_owned(),
                known: KNOWN,
            };
            error(text, unit.at, problem)
        })?;
        if back < 0 {
            return Err(error(text, first.at, Problem::Future));
        }
        total = total
            .plus(length, back)
            .ok_or_else(|| error(text, first.at, Problem::TooLong))?;
        rest = after;
    }
    Ok(total)
}

/// Numbers and words, which need no blank between them.
fn words(text: &str) -> Result<Vec<Word<'_>>, ParseError> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let signed = usize::from(matches!(next, '-' | '+'));
        let alphabetic = |c: char| c.is_ascii_alphabetic();
        let digit = |c: char| c.is_ascii_digit();
        let end = |from: usize, part: &dyn Fn(char) -> bool| {
            rest[from..]
                .find(|c| !part(c))
                .map_or(rest.len(), |end| from + end)
        };
        let length = match next {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            c if alphabetic(c) => end(0, &alphabetic),
            _ => end(signed, &digit),
        };
        if length == signed {
            let expected = "a relative date such as `30 days ago`";
            return Err(error(text, at, Problem::Expected { expected }));
        }
        let text = &rest[..length];
        words.push(Word { text, at });
        at += length;
    }
    Ok(words)
}

fn number(text: &str) -> Option<i64> {
    let numeric = !text.starts_with(|c: char| c.is_ascii_alphabetic());
    // What does not fit is too long whatever its unit; the sum finds that.
    numeric.then(|| {
        let beyond = if text.starts_with('-') {
            -i64::MAX
        } else {
            i64::MAX
        };
        text.parse().unwrap_or(beyond)
    })
}

fn length(unit: &str) -> Option<Length> {
    let unit = unit.to_ascii_lowercase();
    let none = Length::default();
    Some(match unit.strip_suffix('s').unwrap_or(&unit) {
        "sec" | "second" => Length {
            nanos: NANOS_PER_SECOND,
            ..none
        },
        "min" | "minute" => Length {
            nanos: 60 * NANOS_PER_SECOND,
            ..none
        },
        "hour" => Length {
            nanos: 3_600 * NANOS_PER_SECOND,
            ..none
        },
        "day" => Length { days: 1, ..none },
        "week" => Length { days: 7, ..none },
        "fortnight" => Length { days: 14, ..none },
        "month" => Length { months: 1, ..none },
        "year" => Length { months: 12, ..none },
        _ => return None,
    })
}

impl Length {
    /// Adds `count` times the other length.
    fn plus(self, other: Self, count: i64) -> Option<Self> {
        Some(Self {
            months: other.months.checked_mul(count)?.checked_add(self.months)?,
            days: other.days.checked_mul(count)?.checked_add(self.days)?,
            nanos: other
                .nanos
                .checked_mul(count.into())?
                .checked_add(self.nanos)?,
        })
    }
}
