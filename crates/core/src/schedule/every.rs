//! `@every DURATION`: an interval from one run to the next, without regard to the clock.

use jiff::{SignedDuration, Zoned};

use super::error::{ParseError, Problem};
use super::item::{Piece, Source};

const NANOS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads the duration as Go does (`1h30m`, `1.5h`) and cuts it to whole seconds, of which there must be at least one.
pub(super) fn parse(
    source: Source<'_>,
    fields: &[Piece<'_>],
) -> Result<SignedDuration, ParseError> {
    let error = |at, item: &str| {
        let item = item.to_owned();
        source.error(at, None, Problem::Duration { item })
    };
    let Some(piece) = fields.get(1) else {
        return Err(error(fields[0].at, fields[0].text));
    };
    if let Some(extra) = fields.get(2) {
        return Err(error(extra.at, extra.text));
    }
    nanoseconds(piece.text)
        .map(|nanos| {
            SignedDuration::from_secs(i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX))
        })
        .filter(|interval| *interval >= SignedDuration::from_secs(1))
        .ok_or_else(|| error(piece.at, piece.text))
}

/// The next run: one interval after `after`, on a whole second.
pub(super) fn next(interval: SignedDuration, after: &Zoned) -> Option<Zoned> {
    let next = after.checked_add(interval).ok()?;
    // Taking the fraction off the moment, not off the reading, keeps a repeated hour apart.
    next.checked_sub(SignedDuration::from_nanos(
        next.timestamp()
            .as_nanosecond()
            .rem_euclid(1_000_000_000)
            .try_into()
            .ok()?,
    ))
    .ok()
}

fn nanoseconds(text: &str) -> Option<u128> {
    let mut rest = text;
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (whole, after) = rest.split_at(digits);
        let (fraction, after) = match after.strip_prefix('.') {
            None => ("", after),
            Some(after) => after.split_at(after.find(|c: char| !c.is_ascii_digit())?),
        };
        let unit = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let nanos = NANOS.iter().find(|(name, _)| *name == unit)?.1;
        if (whole.is_empty() && fraction.is_empty()) || whole.len() > 12 || fraction.len() > 9 {
            return None;
        }
        let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
        total += digits * u128::from(nanos) / scale;
        rest = after;
    }
    (total <= u128::from(u64::MAX) / 2).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_as_go_writes_them() {
        let seconds = |text| nanoseconds(text).map(|nanos| nanos / 1_000_000_000);
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("1.5h"), Some(5400));
        assert_eq!(seconds("90s"), Some(90));
        assert_eq!(seconds("1500ms"), Some(1));
        for wrong in [
            "1",
            "h",
            "-1h",
            "1d",
            "1.h2",
            "1h 2m",
            ".",
            "9999999999999h",
            "99999999999h",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
