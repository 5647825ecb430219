//! Elasticsearch time units: `30d`, `12h`. One whole number, one unit, exact time: a day is 24 hours.

use super::{Length, ParseError, Problem, error};

const UNITS: [(&str, i128); 7] = [
    ("nanos", 1),
    ("micros", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const KNOWN: &str = "`d`, `h`, `m`, `s`, `ms`, `micros` and `nanos`";

pub(super) fn parse(text: &str) -> Result<Length, ParseError> {
    let start = text.len() - text.trim_start().len();
    let word = text.trim();
    let digits = word
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(word.len());
    let (count, unit) = word.split_at(digits);
    let at = start + digits;
    if unit.is_empty() {
        let expected = "a unit, as in `30d`, `30 days ago` or `days = 30`,";
        return Err(error(text, at, Problem::Expected { expected }));
    }
    let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let unit = unit.to_owned();
        return Err(error(text, at, Problem::UnknownUnit { unit, known: KNOWN }));
    };
    // Elasticsearch counts in 64 bits, too.
    let count: i64 = count
        .parse()
        .map_err(|_| error(text, start, Problem::TooLong))?;
    Ok(Length {
        nanos: i128::from(count) * nanos,
        ..Length::default()
    })
}
