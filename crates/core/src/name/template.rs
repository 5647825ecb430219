//! The template of names: a shell text in the settings, but never given to a shell.

use jiff::Zoned;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::{Error, format};

/// A template in which every part is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
    utc: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A format whose directives have all been checked.
    Date(String),
}

/// Signs that a double-quoted shell text would not keep as they are.
const SHELL: [char; 4] = ['$', '`', '\\', '"'];

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let error = |at: usize, item: &str, why| Error::Template {
            template: text.to_owned(),
            column: text[..at].chars().count() + 1,
            item: item.to_owned(),
            why,
        };
        let mut parts = Vec::new();
        let mut clocks = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let plain = rest.find(SHELL).unwrap_or(rest.len());
            if plain > 0 {
                parts.push(Part::Text(rest[..plain].to_owned()));
                at += plain;
                continue;
            }
            let Some(command) = rest.strip_prefix("$(") else {
                let (item, why) = refused(rest);
                return Err(error(at, item, why));
            };
            let Some(end) = closing(command) else {
                return Err(error(at, rest, "is not closed"));
            };
            let whole = &rest[..end + 3];
            let (format, utc) = date(&command[..end]).map_err(|why| error(at, whole, why))?;
            format::check(&format, format::WRITABLE)?;
            if !clocks.is_empty() && !clocks.contains(&utc) {
                return Err(error(at, whole, "mixes UTC and local time in one name"));
            }
            clocks.push(utc);
            parts.push(Part::Date(format));
            at += whole.len();
        }
        if clocks.is_empty() {
            let why = "has no `$(date +FORMAT)`, so that every backup would have the same name";
            return Err(error(0, text, why));
        }
        let utc = clocks.contains(&true);
        Ok(Self { parts, utc })
    }

    /// Whether names carry the time in UTC.
    pub(super) fn utc(&self) -> bool {
        self.utc
    }

    pub(super) fn render(&self, at: &Zoned) -> String {
        let at = if self.utc {
            at.with_time_zone(TimeZone::UTC)
        } else {
            at.clone()
        };
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Date(format) => strtime::format(format, &at)
                .expect("a checked directive can be written for every moment"),
        };
        self.parts.iter().map(part).collect()
    }
}

/// The piece that a shell would act on, and why it is not done here.
fn refused(rest: &str) -> (&str, &'static str) {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some(variable) = rest.strip_prefix("${") {
        let end = variable.find('}').map_or(rest.len(), |end| end + 3);
        return (&rest[..end], "is a shell variable; write its value");
    }
    if let Some(variable) = rest.strip_prefix('$') {
        let end = variable
            .find(|c| !name(c))
            .map_or(rest.len(), |end| end + 1);
        return (&rest[..end], "is a shell variable; write its value");
    }
    if let Some(command) = rest.strip_prefix('`') {
        let end = command.find('`').map_or(rest.len(), |end| end + 2);
        let why = "would be run by a shell; only `$(date +FORMAT)` is understood";
        return (&rest[..end], why);
    }
    (&rest[..1], "has a meaning in a shell and none here")
}

/// Where the command substitution ends.
fn closing(command: &str) -> Option<usize> {
    let mut quote = None;
    for (at, sign) in command.char_indices() {
        if quote == Some(sign) {
            quote = None;
        } else if quote.is_none() && matches!(sign, '\'' | '"') {
            quote = Some(sign);
        } else if quote.is_none() && sign == ')' {
            return Some(at);
        }
    }
    None
}

/// The format of a `date` command, and whether it asks for UTC.
fn date(command: &str) -> Result<(String, bool), &'static str> {
    const ONLY: &str =
        "would be run by a shell; only `$(date +FORMAT)` is understood, perhaps with `-u`";
    if command.contains(['$', '`', '\\', ';', '|', '&', '<', '>', '(']) {
        return Err(ONLY);
    }
    let mut words = words(command).into_iter();
    if words.next().as_deref() != Some("date") {
        return Err(ONLY);
    }
    let mut utc = false;
    let mut format = None;
    for word in words {
        match word.as_str() {
            "-u" | "--utc" | "--universal" => utc = true,
            _ if word.starts_with('+') && format.is_none() => format = Some(word[1..].to_owned()),
            _ => return Err(ONLY),
        }
    }
    Ok((format.ok_or(ONLY)?, utc))
}

/// The words of a command, quotes taken off.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for sign in command.chars() {
        if quote == Some(sign) {
            quote = None;
        } else if quote.is_none() && matches!(sign, '\'' | '"') {
            quote = Some(sign);
            word.get_or_insert_default();
        } else if quote.is_none() && sign.is_whitespace() {
            words.extend(word.take());
        } else {
            word.get_or_insert_default().push(sign);
        }
    }
    words.extend(word);
    words
}
