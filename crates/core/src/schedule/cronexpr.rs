//! Schedules of supercronic: `[second] minute hour day-of-month month day-of-week [year]`.
//!
//! Follows gorhill/cronexpr: a sixth field is a year, seconds come with the seventh, and `?` is read as `*` although it
//! is not documented. Refused is what that takes without ever firing for it: backward ranges, fields beyond the year.
//! `5-7` means Friday to Sunday here; there it never fires.

use super::Rule;
use super::clock::{Changes, Clock};
use super::days::{Days, OfMonth, OfWeek};
use super::elasticsearch::nth;
use super::error::{Field, ParseError, Problem};
use super::item::{DAYS, Grammar, MONTHS, Piece, Source, Span};

const SECONDS: Grammar = Grammar::new(Field::Seconds, 0, 59);
const MINUTES: Grammar = Grammar::new(Field::Minutes, 0, 59);
const HOURS: Grammar = Grammar::new(Field::Hours, 0, 23);
const DAY_OF_MONTH: Grammar = Grammar::new(Field::DayOfMonth, 1, 31);
const MONTH: Grammar = Grammar {
    names: &MONTHS,
    first_name: 1,
    ..Grammar::new(Field::Month, 1, 12)
};
const DAY_OF_WEEK: Grammar = Grammar {
    open_max: 6,
    names: &DAYS,
    ..Grammar::new(Field::DayOfWeek, 0, 7)
};
const YEAR: Grammar = Grammar::new(Field::Year, 1970, 2099);
const FIELDS: &str = "5 to 7 (perhaps seconds, minutes, hours, day of month, month, day of week, and perhaps a year)";
const SHORTHANDS: &str = "`@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily` and `@hourly`";

pub(super) fn parse(source: Source<'_>) -> Result<Rule, ParseError> {
    let fields = source.fields();
    if fields[0].text.starts_with('@') {
        return shorthand(source, &fields);
    }
    let (seconds, five, year) = match &fields[..] {
        [seconds, five @ .., year] if five.len() == 5 => (Some(*seconds), five, Some(*year)),
        [five @ .., year] if five.len() == 5 => (None, five, Some(*year)),
        five => (None, five, None),
    };
    let &[minutes, hours, day_of_month, month, day_of_week] = five else {
        return Err(source.miscounted(&fields, 7, FIELDS, None));
    };
    let clock = Clock {
        seconds: seconds.map_or(Ok(1), |piece| source.set(piece, &SECONDS))?,
        minutes: source.set(minutes, &MINUTES)?,
        hours: source.set(hours, &HOURS)?,
        days: Days {
            of_month: days_of_month(source, day_of_month)?,
            of_week: days_of_week(source, day_of_week)?,
        },
        months: source.set(month, &MONTH)?,
        years: Some(year.map_or_else(|| Ok(vec![every_year()]), |year| years(source, year))?),
    };
    let changes = Changes::for_hours(clock.hours);
    Ok(Rule::Clock(clock, changes))
}

fn days_of_month(source: Source<'_>, field: Piece<'_>) -> Result<Option<OfMonth>, ParseError> {
    let mut rule = OfMonth::default();
    let mut any = false;
    for item in source.items(field, Field::DayOfMonth)? {
        if item.text.eq_ignore_ascii_case("L") {
            rule.from_end |= 1;
        } else if item.text.eq_ignore_ascii_case("LW") {
            rule.nearest_from_end |= 1;
        } else if let Some(day) = item.text.strip_suffix(['W', 'w']) {
            let day = Piece { text: day, ..item };
            rule.nearest |= 1 << source.value(day, &DAY_OF_MONTH)?;
        } else {
            let span = source.span(item, &DAY_OF_MONTH)?;
            any |= is_any(item);
            rule.days |= u32::try_from(span.bits(&DAY_OF_MONTH)).expect("days are below 32");
        }
    }
    Ok((!any).then_some(rule))
}

fn days_of_week(source: Source<'_>, field: Piece<'_>) -> Result<Option<OfWeek>, ParseError> {
    let mut rule = OfWeek::default();
    let mut any = false;
    for item in source.items(field, Field::DayOfWeek)? {
        let day = |text| -> Result<u8, ParseError> {
            let day = source.value(Piece { text, ..item }, &DAY_OF_WEEK)?;
            Ok(1 << (day % 7))
        };
        if let Some((before, week)) = item.text.split_once('#') {
            let week = nth(source, item.at + before.len() + 1, week)?;
            rule.nth[week] |= day(before)?;
        } else if let Some(before) = item.text.strip_suffix(['L', 'l'])
            && !before.is_empty()
        {
            rule.last |= day(before)?;
        } else {
            let span = source.span(item, &DAY_OF_WEEK)?;
            any |= is_any(item);
            let bits = span.bits(&DAY_OF_WEEK);
            rule.days |= u8::try_from(bits & 0x7f | bits >> 7).expect("days are below 8");
        }
    }
    Ok((!any).then_some(rule))
}

/// Unlike in Kubernetes, `*/1` counts as a restriction.
fn is_any(item: Piece<'_>) -> bool {
    matches!(item.text, "*" | "?")
}

fn years(source: Source<'_>, field: Piece<'_>) -> Result<Vec<Span>, ParseError> {
    let items = source.items(field, Field::Year)?;
    items
        .into_iter()
        .map(|item| source.span(item, &YEAR))
        .collect()
}

/// Without a year field the schedule still ends with the years it can name.
fn every_year() -> Span {
    Span {
        first: YEAR.min,
        last: YEAR.max,
        step: 1,
        any: true,
    }
}

fn shorthand(source: Source<'_>, fields: &[Piece<'_>]) -> Result<Rule, ParseError> {
    let unknown = |piece: &Piece<'_>| {
        let item = piece.text.to_owned();
        let known = SHORTHANDS;
        source.error(piece.at, None, Problem::Shorthand { item, known })
    };
    let text = match fields[0].text {
        "@yearly" | "@annually" => "0 0 0 1 1 * *",
        "@monthly" => "0 0 0 1 * * *",
        "@weekly" => "0 0 0 * * 0 *",
        "@daily" => "0 0 0 * * * *",
        "@hourly" => "0 0 * * * * *",
        _ => return Err(unknown(&fields[0])),
    };
    if let Some(extra) = fields.get(1) {
        return Err(unknown(extra));
    }
    parse(Source { text, ..source })
}
