//! Schedules of a Kubernetes `CronJob`: `minute hour day-of-month month day-of-week`.
//!
//! Follows the parser Kubernetes uses (robfig/cron v3, its standard form), and refuses what that takes without a meaning:
//! `*-5`, `+5`, an empty item of a list, intervals below a second.

use super::clock::{Changes, Clock};
use super::days::{Days, OfMonth, OfWeek};
use super::error::{Field, ParseError, Problem};
use super::item::{DAYS, Grammar, MONTHS, Piece, Source};
use super::{Rule, every};

const MINUTES: Grammar = Grammar::new(Field::Minutes, 0, 59);
const HOURS: Grammar = Grammar::new(Field::Hours, 0, 23);
const DAY_OF_MONTH: Grammar = Grammar::new(Field::DayOfMonth, 1, 31);
const MONTH: Grammar = Grammar {
    names: &MONTHS,
    first_name: 1,
    ..Grammar::new(Field::Month, 1, 12)
};
const DAY_OF_WEEK: Grammar = Grammar {
    names: &DAYS,
    ..Grammar::new(Field::DayOfWeek, 0, 6)
};
const FIELDS: &str = "5 (minutes, hours, day of month, month, day of week)";
const SHORTHANDS: &str = "`@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly` and `@every DURATION`";

pub(super) fn parse(source: Source<'_>) -> Result<Rule, ParseError> {
    let fields = source.fields();
    let first = fields[0];
    if first.text.starts_with("TZ=") || first.text.starts_with("CRON_TZ=") {
        return Err(source.error(first.at, None, Problem::TimeZone));
    }
    if first.text == "@every" {
        return every::parse(source, &fields).map(Rule::Every);
    }
    if first.text.starts_with('@') {
        return shorthand(source, &fields);
    }
    let [minutes, hours, day_of_month, month, day_of_week] = fields[..] else {
        return Err(source.miscounted(&fields, 5, FIELDS, without_seconds(&fields)));
    };
    let clock = Clock {
        seconds: 1,
        minutes: source.set(minutes, &MINUTES)?,
        hours: source.set(hours, &HOURS)?,
        days: Days {
            of_month: restricted(source, day_of_month, &DAY_OF_MONTH)?.map(|bits| OfMonth {
                days: u32::try_from(bits).expect("days of a month are below 32"),
                ..OfMonth::default()
            }),
            of_week: restricted(source, day_of_week, &DAY_OF_WEEK)?.map(|bits| OfWeek {
                days: u8::try_from(bits).expect("days of a week are below 8"),
                ..OfWeek::default()
            }),
        },
        months: source.set(month, &MONTH)?,
        years: None,
    };
    Ok(Rule::Clock(clock, Changes::AsRead))
}

/// The values of a day field, or nothing when one of its items is `*` (`*/2` is a restriction, `*/1` is not).
fn restricted(
    source: Source<'_>,
    piece: Piece<'_>,
    grammar: &Grammar,
) -> Result<Option<u64>, ParseError> {
    let mut bits = 0;
    let mut any = false;
    for item in source.items(piece, grammar.field)? {
        let span = source.span(item, grammar)?;
        any |= span.any;
        bits |= span.bits(grammar);
    }
    Ok((!any).then_some(bits))
}

fn shorthand(source: Source<'_>, fields: &[Piece<'_>]) -> Result<Rule, ParseError> {
    let unknown = |piece: &Piece<'_>| {
        let item = piece.text.to_owned();
        source.error(
            piece.at,
            None,
            Problem::Shorthand {
                item,
                known: SHORTHANDS,
            },
        )
    };
    let text = match fields[0].text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => return Err(unknown(&fields[0])),
    };
    if let Some(extra) = fields.get(1) {
        return Err(unknown(extra));
    }
    parse(Source { text, ..source })
}

/// The schedule without its seconds, when they say no more than "on the minute".
fn without_seconds(fields: &[Piece<'_>]) -> Option<String> {
    if !matches!(fields.len(), 6 | 7) || fields[0].text != "0" {
        return None;
    }
    let texts: Vec<_> = fields[1..6].iter().map(|field| field.text).collect();
    let suggested = texts.join(" ");
    // Weekdays are numbered differently in the dialects that have seconds.
    let same_days = !texts[4].bytes().any(|byte| byte.is_ascii_digit());
    let source = Source {
        text: &suggested,
        dialect: super::Dialect::Kubernetes,
    };
    (same_days && parse(source).is_ok()).then_some(suggested)
}
