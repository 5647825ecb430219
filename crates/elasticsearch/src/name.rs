//! Names of snapshots, made as Elasticsearch's lifecycle management makes them.
//!
//! A template in date math, `<sts-backup-{now{yyyyMMdd-HHmm}}>`, is resolved for a moment in UTC or in the zone that it names, and 22 random characters follow, so that
//! two of one minute differ. The letters of a date are those of Java's `DateTimeFormatter`, as far as names use them; others are refused, not guessed.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// The format of a date that has none, as the engine has it.
const FORMAT: &str = "yyyy.MM.dd";

/// How snapshots are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Date {
        steps: Vec<Step>,
        format: Vec<Field>,
        zone: TimeZone,
        written: Written,
    },
}

/// A date as it was written, for engines that make names themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    format: String,
    zone: Option<String>,
}

/// A template that is a text, `-`, and the date of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated<'a> {
    pub prefix: &'a str,
    /// In the letters of Java's `DateTimeFormatter`.
    pub format: &'a str,
    /// UTC without it.
    pub zone: Option<&'a str>,
}

/// A step from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Add(i64, Unit),
    RoundDown(Unit),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Text(String),
    /// A number of so many digits.
    Number(&'static str),
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{template}` is no name of snapshots: {problem}")]
pub struct ParseError {
    pub template: String,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("a `{{` has no `}}`")]
    Open,
    #[error("`{0}` does not begin with `now`")]
    NotNow(String),
    #[error("`{0}` is no step from now; write for example `now-1d` or `now/d`")]
    Step(String),
    #[error(
        "`{0}` is not a letter of dates that names can use; there are `yyyy`, `yy`, `MM`, `dd`, `HH`, `mm`, `ss` and `SSS`"
    )]
    Letter(String),
    #[error("`{0}` is not a time zone")]
    Zone(String),
    #[error("{0}")]
    Name(&'static str),
}

impl Template {
    pub fn parse(template: &str) -> Result<Self, ParseError> {
        let wrong = |problem| ParseError {
            template: template.to_owned(),
            problem,
        };
        let inside = template
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'));
        let parts = match inside {
            Some(inside) => parts(inside).map_err(wrong)?,
            None => vec![Part::Text(template.to_owned())],
        };
        let parsed = Self { parts };
        match refusal(&parsed.resolve(Timestamp::UNIX_EPOCH)) {
            Some(reason) => Err(wrong(Problem::Name(reason))),
            None => Ok(parsed),
        }
    }

    /// The name for a moment, with its random end.
    pub fn name(&self, at: Timestamp, random: [u8; 16]) -> String {
        let end = URL_SAFE_NO_PAD.encode(random).to_lowercase();
        format!("{}-{end}", self.resolve(at))
    }

    /// Takes the template apart, where it is no more than a text and the date of now.
    pub fn dated(&self) -> Option<Dated<'_>> {
        let [Part::Text(prefix), Part::Date { steps, written, .. }] = &self.parts[..] else {
            return None;
        };
        let prefix = prefix.strip_suffix('-').filter(|_| steps.is_empty())?;
        Some(Dated {
            prefix,
            format: &written.format,
            zone: written.zone.as_deref(),
        })
    }

    fn resolve(&self, at: Timestamp) -> String {
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Date {
                    steps,
                    format,
                    zone,
                    ..
                } => {
                    let mut moment = at.to_zoned(TimeZone::UTC);
                    for step in steps {
                        moment = step.from(moment);
                    }
                    write(&mut name, format, &moment.with_time_zone(zone.clone()));
                }
            }
        }
        name.to_lowercase()
    }
}

/// Why the engines refuse a name of a snapshot.
pub fn refusal(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.starts_with('_') {
        return Some("it begins with `_`");
    }
    if name.chars().any(char::is_uppercase) {
        return Some("it has capitals");
    }
    if name
        .chars()
        .any(|letter| letter.is_whitespace() || ",#\\/*?\"<>|".contains(letter))
    {
        return Some("it holds a space or one of `,#\\/*?\"<>|`");
    }
    (name.len() > 255).then_some("it has more than 255 bytes")
}

fn parts(text: &str) -> Result<Vec<Part>, Problem> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => plain.extend(letters.next()),
            '{' => {
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                let mut depth = 1;
                let mut inside = String::new();
                for letter in letters.by_ref() {
                    match letter {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                    inside.push(letter);
                }
                if depth > 0 {
                    return Err(Problem::Open);
                }
                parts.push(date(&inside)?);
            }
            other => plain.push(other),
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// `now-1d/d{yyyy.MM.dd|+02:00}`, all but `now` left out at will.
fn date(text: &str) -> Result<Part, Problem> {
    let (math, format) = match text.split_once('{') {
        None => (text, FORMAT),
        Some((math, rest)) => (math, rest.strip_suffix('}').ok_or(Problem::Open)?),
    };
    let (format, written) = match format.split_once('|') {
        None => (format, None),
        Some((format, zone)) => (format, Some(zone)),
    };
    let zone = written.map_or(Ok(TimeZone::UTC), zone)?;
    let written = Written {
        format: format.to_owned(),
        zone: written.map(str::to_owned),
    };
    let steps = math
        .strip_prefix("now")
        .ok_or_else(|| Problem::NotNow(math.to_owned()))?;
    Ok(Part::Date {
        steps: self::steps(steps)?,
        format: fields(format)?,
        zone,
        written,
    })
}

fn zone(text: &str) -> Result<TimeZone, Problem> {
    let wrong = || Problem::Zone(text.to_owned());
    if text == "Z" {
        return Ok(TimeZone::UTC);
    }
    if text.starts_with(['+', '-']) {
        let parsed = jiff::fmt::strtime::parse("%:z", text).map_err(|_| wrong())?;
        return parsed.offset().map(TimeZone::fixed).ok_or_else(wrong);
    }
    TimeZone::get(text).map_err(|_| wrong())
}

fn steps(text: &str) -> Result<Vec<Step>, Problem> {
    let wrong = || Problem::Step(text.to_owned());
    let mut steps = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(sign) = letters.next() {
        let mut digits = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let unit = unit(letters.next().ok_or_else(wrong)?).ok_or_else(wrong)?;
        let count: i64 = match digits.as_str() {
            "" => 1,
            digits if digits.len() <= 6 => digits.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        steps.push(match sign {
            '+' => Step::Add(count, unit),
            '-' => Step::Add(-count, unit),
            '/' if digits.is_empty() => Step::RoundDown(unit),
            _ => return Err(wrong()),
        });
    }
    Ok(steps)
}

fn unit(letter: char) -> Option<Unit> {
    Some(match letter {
        'y' => Unit::Year,
        'M' => Unit::Month,
        'w' => Unit::Week,
        'd' => Unit::Day,
        'h' | 'H' => Unit::Hour,
        'm' => Unit::Minute,
        's' => Unit::Second,
        _ => return None,
    })
}

impl Step {
    fn from(self, at: Zoned) -> Zoned {
        match self {
            Self::Add(count, unit) => {
                let span = Span::new();
                let span = match unit {
                    Unit::Year => span.try_years(count),
                    Unit::Month => span.try_months(count),
                    Unit::Week => span.try_weeks(count),
                    Unit::Day => span.try_days(count),
                    Unit::Hour => span.try_hours(count),
                    Unit::Minute => span.try_minutes(count),
                    Unit::Second => span.try_seconds(count),
                };
                match span.and_then(|span| at.checked_add(span)) {
                    Ok(moved) => moved,
                    // Beyond the calendar.
                    Err(_) => at,
                }
            }
            Self::RoundDown(unit) => {
                let date = at.date();
                let midnight = Time::midnight();
                let hour = |minute, second| Time::new(at.hour(), minute, second, 0);
                let rounded = match unit {
                    Unit::Year => Ok(date.first_of_year().to_datetime(midnight)),
                    Unit::Month => Ok(date.first_of_month().to_datetime(midnight)),
                    Unit::Week => date
                        .tomorrow()
                        .and_then(|next| next.nth_weekday(-1, Weekday::Monday))
                        .map(|monday| monday.to_datetime(midnight)),
                    Unit::Day => Ok(date.to_datetime(midnight)),
                    Unit::Hour => hour(0, 0).map(|time| date.to_datetime(time)),
                    Unit::Minute => hour(at.minute(), 0).map(|time| date.to_datetime(time)),
                    Unit::Second => {
                        hour(at.minute(), at.second()).map(|time| date.to_datetime(time))
                    }
                };
                match rounded.and_then(|rounded| rounded.to_zoned(at.time_zone().clone())) {
                    Ok(rounded) => rounded,
                    Err(_) => at,
                }
            }
        }
    }
}

fn fields(format: &str) -> Result<Vec<Field>, Problem> {
    const LETTERS: [(&str, &str); 9] = [
        ("yyyy", "%Y"),
        ("uuuu", "%Y"),
        ("yy", "%y"),
        ("MM", "%m"),
        ("dd", "%d"),
        ("HH", "%H"),
        ("mm", "%M"),
        ("ss", "%S"),
        ("SSS", "%3f"),
    ];
    let mut fields = Vec::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let inside = &rest[1..];
            let end = inside.find('\'').ok_or(Problem::Open)?;
            let text = if end == 0 { "'" } else { &inside[..end] };
            fields.push(Field::Text(text.to_owned()));
            rest = &inside[end + 1..];
            continue;
        }
        let run = rest.len() - rest.trim_start_matches(first).len();
        let (word, after) = rest.split_at(run);
        rest = after;
        if first.is_ascii_alphabetic() {
            let found = LETTERS.iter().find(|(letters, _)| *letters == word);
            let (_, number) = found.ok_or_else(|| Problem::Letter(word.to_owned()))?;
            fields.push(Field::Number(number));
        } else {
            fields.push(Field::Text(word.to_owned()));
        }
    }
    Ok(fields)
}

fn write(name: &mut String, format: &[Field], at: &Zoned) {
    for field in format {
        match field {
            Field::Text(text) => name.push_str(text),
            Field::Number(number) => {
                write!(name, "{}", at.strftime(number)).expect("a text takes any text");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at() -> Timestamp {
        "2021-02-19T03:00:59Z".parse().unwrap()
    }

    fn resolved(template: &str) -> String {
        Template::parse(template).unwrap().resolve(at())
    }

    #[test]
    fn the_name_of_the_page_is_made() {
        let template = Template::parse("<sts-backup-{now{yyyyMMdd-HHmm}}>").unwrap();
        let name = template.name(at(), [0xFB; 16]);
        assert_eq!(name, "sts-backup-20210219-0300--_v7-_v7-_v7-_v7-_v7-w");
        assert_eq!(name.len(), "sts-backup-20210219-0300-".len() + 22);
        assert_eq!(refusal(&name), None);
    }

    #[test]
    fn a_template_of_a_text_and_a_date_can_be_taken_apart() {
        let template = |text: &str| Template::parse(text).unwrap();
        let dated = template("<sts-backup-{now{yyyyMMdd-HHmm}}>");
        let expected = Dated {
            prefix: "sts-backup",
            format: "yyyyMMdd-HHmm",
            zone: None,
        };
        assert_eq!(dated.dated(), Some(expected));
        let zoned = template("<a-{now{yyyy|Europe/Amsterdam}}>");
        assert_eq!(
            zoned.dated().and_then(|dated| dated.zone),
            Some("Europe/Amsterdam")
        );
        for other in [
            "plain",
            "<a{now}>",
            "<a-{now-1d}>",
            "<a-{now}-b>",
            "<{now}>",
        ] {
            assert_eq!(template(other).dated(), None, "{other}");
        }
    }

    #[test]
    fn date_math_is_that_of_the_engine() {
        assert_eq!(resolved("plain"), "plain");
        assert_eq!(resolved("<a-{now}>"), "a-2021.02.19");
        assert_eq!(resolved("<a-{now/M}-b>"), "a-2021.02.01-b");
        assert_eq!(resolved("<{now/w}>"), "2021.02.15", "a Monday");
        assert_eq!(resolved("<{now-1d/d{yyyy-MM-dd't'HH}}>"), "2021-02-18t00");
        assert_eq!(resolved("<{now{HH|+12:00}}>"), "15");
        assert_eq!(resolved("<{now{HH|Europe/Amsterdam}}>"), "04");
        assert_eq!(resolved("<a\\{b\\}-{now{yy}}>"), "a{b}-21");
    }

    #[test]
    fn what_is_no_template_is_told_why() {
        let problem = |text: &str| Template::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(problem("<a-{now{yyyy}>"), @"`<a-{now{yyyy}>` is no name of snapshots: a `{` has no `}`");
        insta::assert_snapshot!(problem("<{today}>"), @"`<{today}>` is no name of snapshots: `today` does not begin with `now`");
        insta::assert_snapshot!(problem("<{now{EEE}}>"), @"`<{now{EEE}}>` is no name of snapshots: `EEE` is not a letter of dates that names can use; there are `yyyy`, `yy`, `MM`, `dd`, `HH`, `mm`, `ss` and `SSS`");
        insta::assert_snapshot!(problem("<{now~1d}>"), @"`<{now~1d}>` is no name of snapshots: `~1d` is no step from now; write for example `now-1d` or `now/d`");
        insta::assert_snapshot!(problem("a b"), @"`a b` is no name of snapshots: it holds a space or one of `,#\\/*?\"<>|`");
        insta::assert_snapshot!(problem("<{now{HH|Nowhere/Else}}>"), @"`<{now{HH|Nowhere/Else}}>` is no name of snapshots: `Nowhere/Else` is not a time zone");
    }

    proptest! {
        #[test]
        fn no_template_panics_and_what_is_accepted_makes_names(text in "<?[a-z{}|/+'\\\\yMdHms0-9-]{0,24}>?", random in any::<[u8; 16]>()) {
            if let Ok(template) = Template::parse(&text) {
                template.name(at(), random);
            }
        }
    }
}
