//! Schedules of Elasticsearch: `second minute hour day-of-month month day-of-week [year]`.
//!
//! Follows Elasticsearch's own class, a fork of Quartz, and refuses what that takes and then reads as something else: a
//! step after names, `W` or `#` within a list, fields beyond the year.

use super::Rule;
use super::clock::{Changes, Clock};
use super::days::{Days, OfMonth, OfWeek};
use super::error::{Field, ParseError, Problem};
use super::item::{DAYS, Grammar, MONTHS, Piece, Source, Span, number};

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
    names: &DAYS,
    first_name: 1,
    ..Grammar::new(Field::DayOfWeek, 1, 7)
};
/// The documentation ends at 2099; the class itself sets no limit, and Quartz names this one.
const YEAR: Grammar = Grammar::new(Field::Year, 1970, 2199);
const FIELDS: &str =
    "6 or 7 (seconds, minutes, hours, day of month, month, day of week, and perhaps a year)";

pub(super) fn parse(source: Source<'_>) -> Result<Rule, ParseError> {
    let fields = source.fields();
    if fields[0].text.starts_with('@') {
        let problem = Problem::NotAllowed {
            item: fields[0].text.to_owned(),
            why: "Elasticsearch has no shorthands; write the fields, as in `0 0 3 * * ?`",
        };
        return Err(source.error(fields[0].at, None, problem));
    }
    let (six, year) = match &fields[..] {
        [six @ .., year] if six.len() == 6 => (six, Some(*year)),
        six => (six, None),
    };
    let &[seconds, minutes, hours, day_of_month, month, day_of_week] = six else {
        return Err(source.miscounted(&fields, 7, FIELDS, with_seconds(&fields)));
    };
    let clock = Clock {
        seconds: source.set(seconds, &SECONDS)?,
        minutes: source.set(minutes, &MINUTES)?,
        hours: source.set(hours, &HOURS)?,
        days: days(source, day_of_month, day_of_week)?,
        months: months(source, month)?,
        years: year.map(|year| years(source, year)).transpose()?,
    };
    let changes = Changes::for_hours(clock.hours);
    Ok(Rule::Clock(clock, changes))
}

/// Exactly one of the two is `?`; the other says which days, if only by `*`.
fn days(source: Source<'_>, of_month: Piece<'_>, of_week: Piece<'_>) -> Result<Days, ParseError> {
    match (of_month.text, of_week.text) {
        ("?", "?") => Err(source.error(of_week.at, Some(Field::DayOfWeek), Problem::NoDays)),
        (_, "?") => Ok(Days {
            of_month: days_of_month(source, of_month)?,
            of_week: None,
        }),
        ("?", _) => Ok(Days {
            of_month: None,
            of_week: days_of_week(source, of_week)?,
        }),
        _ => {
            days_of_month(source, of_month)?;
            days_of_week(source, of_week)?;
            Err(source.error(of_week.at, Some(Field::DayOfWeek), Problem::BothDays))
        }
    }
}

fn days_of_month(source: Source<'_>, field: Piece<'_>) -> Result<Option<OfMonth>, ParseError> {
    let mut rule = OfMonth::default();
    let mut any = false;
    for item in source.items(field, Field::DayOfMonth)? {
        let upper = item.text.to_ascii_uppercase();
        let (day, nearest) = match upper.strip_suffix('W') {
            Some(day) if !day.is_empty() => (day, true),
            _ => (upper.as_str(), false),
        };
        if let Some(offset) = day.strip_prefix('L') {
            alone(source, field, item, Field::DayOfMonth)?;
            let bit = 1 << last_day_offset(source, item, offset)?;
            if nearest {
                rule.nearest_from_end |= bit;
            } else {
                rule.from_end |= bit;
            }
        } else if nearest {
            alone(source, field, item, Field::DayOfMonth)?;
            let day = Piece {
                text: &item.text[..day.len()],
                ..item
            };
            rule.nearest |= 1 << source.value(day, &DAY_OF_MONTH)?;
        } else {
            let span = span(source, item, &DAY_OF_MONTH)?;
            any |= span.any;
            rule.days |= u32::try_from(span.bits(&DAY_OF_MONTH)).expect("days are below 32");
        }
    }
    Ok((!any).then_some(rule))
}

fn days_of_week(source: Source<'_>, field: Piece<'_>) -> Result<Option<OfWeek>, ParseError> {
    let mut rule = OfWeek::default();
    let mut any = false;
    for item in source.items(field, Field::DayOfWeek)? {
        let day = |length: usize| -> Result<u8, ParseError> {
            let text = &item.text[..length];
            let day = source.value(Piece { text, ..item }, &DAY_OF_WEEK)?;
            Ok(1 << (day - 1))
        };
        if item.text.eq_ignore_ascii_case("L") {
            rule.days |= 1 << 6;
        } else if let Some((before, week)) = item.text.split_once('#') {
            alone(source, field, item, Field::DayOfWeek)?;
            let week = nth(source, item.at + before.len() + 1, week)?;
            rule.nth[week] |= day(before.len())?;
        } else if let Some(before) = item.text.strip_suffix(['L', 'l']) {
            alone(source, field, item, Field::DayOfWeek)?;
            rule.last |= day(before.len())?;
        } else {
            let span = span(source, item, &DAY_OF_WEEK)?;
            any |= span.any;
            rule.days |= u8::try_from(span.bits(&DAY_OF_WEEK) >> 1).expect("days are below 8");
        }
    }
    Ok((!any).then_some(rule))
}

fn months(source: Source<'_>, field: Piece<'_>) -> Result<u64, ParseError> {
    let items = source.items(field, Field::Month)?;
    items.into_iter().try_fold(0, |bits, item| {
        Ok(bits | span(source, item, &MONTH)?.bits(&MONTH))
    })
}

fn years(source: Source<'_>, field: Piece<'_>) -> Result<Vec<Span>, ParseError> {
    let items = source.items(field, Field::Year)?;
    items
        .into_iter()
        .map(|item| span(source, item, &YEAR))
        .collect()
}

/// A plain item, but no step after a name.
fn span(source: Source<'_>, item: Piece<'_>, grammar: &Grammar) -> Result<Span, ParseError> {
    if let Some((range, _)) = item.text.split_once('/')
        && range.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        let problem = Problem::NotAllowed {
            item: item.text.to_owned(),
            why: "Elasticsearch ignores a step after names; write numbers",
        };
        return Err(source.error(item.at, Some(grammar.field), problem));
    }
    source.span(item, grammar)
}

/// Refuses a special day that stands in a list.
fn alone(
    source: Source<'_>,
    field: Piece<'_>,
    item: Piece<'_>,
    name: Field,
) -> Result<(), ParseError> {
    if item.text.len() == field.text.len() {
        return Ok(());
    }
    let problem = Problem::NotAllowed {
        item: item.text.to_owned(),
        why: "in Elasticsearch `L`, `W` and `#` stand alone, not in a list",
    };
    Err(source.error(item.at, Some(name), problem))
}

fn last_day_offset(source: Source<'_>, item: Piece<'_>, offset: &str) -> Result<u16, ParseError> {
    if offset.is_empty() {
        return Ok(0);
    }
    offset
        .strip_prefix('-')
        .and_then(number)
        .filter(|days| *days <= 30)
        .ok_or_else(|| {
            let problem = Problem::NotAllowed {
                item: item.text.to_owned(),
                why: "after `L` comes nothing, `W`, or `-` and at most 30 days",
            };
            source.error(item.at, Some(Field::DayOfMonth), problem)
        })
}

/// Reads the number after `#`; returns it counted from 0.
pub(super) fn nth(source: Source<'_>, at: usize, week: &str) -> Result<usize, ParseError> {
    number(week)
        .filter(|week| (1..=5).contains(week))
        .map(|week| usize::from(week - 1))
        .ok_or_else(|| {
            let problem = Problem::NotAllowed {
                item: format!("#{week}"),
                why: "a number from 1 to 5 must follow the `#`",
            };
            source.error(at, Some(Field::DayOfWeek), problem)
        })
}

/// What five fields as Kubernetes has them would be here, when they leave one of the day fields open.
fn with_seconds(fields: &[Piece<'_>]) -> Option<String> {
    let [minutes, hours, day_of_month, month, day_of_week] = fields else {
        return None;
    };
    let mut days = [day_of_month.text, day_of_week.text];
    match days {
        [_, "*"] => days[1] = "?",
        // Weekdays are numbered differently, only names mean the same in both.
        ["*", names] if !names.bytes().any(|byte| byte.is_ascii_digit()) => days[0] = "?",
        _ => {}
    }
    let [day_of_month, day_of_week] = days;
    let text = format!(
        "0 {} {} {day_of_month} {} {day_of_week}",
        minutes.text, hours.text, month.text
    );
    let source = Source {
        text: &text,
        dialect: super::Dialect::Elasticsearch,
    };
    parse(source).is_ok().then_some(text)
}
