//! The arguments of Python's `timedelta`: `days = 30`, `weeks = 2, hours = 3`, with fractions and negative parts.
//!
//! As there, all parts add up to days and a rest, to the microsecond.

use super::{Length, NANOS_PER_DAY, ParseError, Problem, error};

const UNITS: [(&str, i128); 7] = [
    ("weeks", 7 * NANOS_PER_DAY),
    ("days", NANOS_PER_DAY),
    ("hours", 3_600_000_000_000),
    ("minutes", 60_000_000_000),
    ("seconds", 1_000_000_000),
    ("milliseconds", 1_000_000),
    ("microseconds", 1_000),
];
const KNOWN: &str =
    "`weeks`, `days`, `hours`, `minutes`, `seconds`, `milliseconds` and `microseconds`";

pub(super) fn parse(text: &str) -> Result<Length, ParseError> {
    let mut given = Vec::new();
    let mut total: i128 = 0;
    let mut at = 0;
    let arguments = text
        .strip_suffix(|c: char| c.is_whitespace())
        .unwrap_or(text);
    for argument in arguments.strip_suffix(',').unwrap_or(text).split(',') {
        let begin = at + (argument.len() - argument.trim_start().len());
        at += argument.len() + 1;
        let Some((name, number)) = argument.split_once('=') else {
            let expected = "a part such as `days = 30`";
            return Err(error(text, begin, Problem::Expected { expected }));
        };
        let value_at = at - 1 - number.trim_start().len();
        let (name, number) = (name.trim(), number.trim());
        let Some((unit, nanos)) = UNITS.iter().find(|(unit, _)| *unit == name) else {
            let problem = Problem::UnknownUnit {
                unit: name.to_owned(),
                known: KNOWN,
            };
            return Err(error(text, begin, problem));
        };
        if given.contains(unit) {
            let unit = name.to_owned();
            return Err(error(text, begin, Problem::Repeated { unit }));
        }
        given.push(unit);
        let nanos = match scaled(number, *nanos) {
            Ok(nanos) => nanos,
            Err(problem) => return Err(error(text, value_at, problem)),
        };
        total += nanos;
    }
    let micros = total.saturating_add(500).div_euclid(1_000);
    let nanos = micros * 1_000;
    let days = i64::try_from(nanos.div_euclid(NANOS_PER_DAY))
        .map_err(|_| error(text, 0, Problem::TooLong))?;
    Ok(Length {
        months: 0,
        days,
        nanos: if days < 0 {
            0
        } else {
            nanos.rem_euclid(NANOS_PER_DAY)
        },
    })
}

/// Reads a Python number (`30`, `-1.5`, `1e3`, `1_000`) and multiplies it by the unit, to the nanosecond.
fn scaled(text: &str, unit: i128) -> Result<i128, Problem> {
    let wrong = || Problem::Expected {
        expected: "a number",
    };
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(wrong());
    }
    let digits = digits(whole).ok_or_else(wrong)? + &digits(fraction).ok_or_else(wrong)?;
    let places = i32::try_from(digits.len()).map_err(|_| Problem::TooLong)?
        - i32::try_from(whole.replace('_', "").len()).map_err(|_| Problem::TooLong)?;
    let significant = digits.trim_start_matches('0');
    let (kept, cut) = significant.split_at(significant.len().min(18));
    let mantissa: i128 = if kept.is_empty() {
        0
    } else {
        kept.parse().map_err(|_| wrong())?
    };
    let exponent = exponent
        .saturating_sub(places)
        .saturating_add(i32::try_from(cut.len()).map_err(|_| Problem::TooLong)?);
    let nanos = mantissa * unit;
    let power = |exponent: u32| 10_i128.checked_pow(exponent);
    let nanos = if exponent >= 0 {
        power(exponent.unsigned_abs())
            .and_then(|power| nanos.checked_mul(power))
            .filter(|nanos| *nanos < i128::MAX / 100)
            .unwrap_or(if nanos == 0 { 0 } else { i128::MAX / 100 })
    } else {
        power(exponent.unsigned_abs()).map_or(0, |power| nanos / power)
    };
    Ok(if negative { -nanos } else { nanos })
}

/// The digits alone, when single underscores stand only between two of them.
fn digits(text: &str) -> Option<String> {
    let parts_are_digits = text
        .split('_')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    (text.is_empty() || parts_are_digits).then(|| text.replace('_', ""))
}
