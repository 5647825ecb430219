//! From one written value to what its key needs, and back to text for `settings show`.

use std::net::SocketAddr;

use super::error::{Error, Problem};
use super::keys::{Key, Kind};
use super::tree::{Node, Scalar, Style, Value};
use super::yaml;
use crate::age::Age;
use crate::schedule::{Dialect, Schedule};
use crate::size::ByteSize;

/// A value that fits its key. Holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) parsed: Parsed,
    /// The value as text, the same for values that mean the same to Helm.
    pub(super) text: String,
}

#[derive(Clone)]
pub(super) enum Parsed {
    Flag(bool),
    Text(String),
    Count(u64),
    Size(ByteSize),
    Listen(Option<SocketAddr>),
    Schedule(Option<Schedule>),
    Age(Option<Age>),
    List(Vec<String>),
}

/// Reads what `node` says for `key`. An error never quotes the value of a secret key.
pub(super) fn read(key: &Key, node: &Node) -> Result<Reading, Error> {
    let wrong = || wrong_type(key, node);
    if key.kind == Kind::Patterns {
        return patterns(node)
            .map(|items| Reading {
                text: items.join(","),
                parsed: Parsed::List(items),
            })
            .ok_or_else(wrong);
    }
    if key.kind == Kind::Urls {
        return urls(key, node);
    }
    if matches!(key.kind, Kind::Routes | Kind::Pairs) {
        let items = if is_empty(node) {
            Some(Vec::new())
        } else {
            patterns(node)
        };
        return items
            .filter(|items| key.kind == Kind::Routes || items.iter().all(|item| is_pair(item)))
            .map(|items| Reading {
                text: items.join(","),
                parsed: Parsed::List(items),
            })
            .ok_or_else(wrong);
    }
    let Value::Scalar(scalar) = &node.value else {
        return Err(wrong());
    };
    let truth = truth(scalar);
    if key.kind == Kind::Flag {
        let value = truth.ok_or_else(wrong)?;
        return Ok(Reading {
            parsed: Parsed::Flag(value),
            text: value.to_string(),
        });
    }
    if truth.is_some() {
        return Err(wrong());
    }
    Ok(Reading {
        parsed: content(key, node, scalar)?,
        text: scalar.text.clone(),
    })
}

fn content(key: &Key, node: &Node, scalar: &Scalar) -> Result<Parsed, Error> {
    let text = scalar.text.as_str();
    let wrong = || wrong_type(key, node);
    match key.kind {
        Kind::Name if text.trim().is_empty() => Err(rule(key, node, "is empty")),
        Kind::Bucket => bucket(key, node, text),
        Kind::Prefix if is_unusable(text) => Err(rule(
            key,
            node,
            "must not hold a control character, or between two `/` nothing, `.` or `..`",
        )),
        Kind::Prefix | Kind::RepositoryPrefix => Ok(Parsed::Text(prefix(text))),
        Kind::OptionalUrl if text.trim().is_empty() => Ok(Parsed::Text(String::new())),
        Kind::Url | Kind::OptionalUrl => url(key, node, text).map(Parsed::Text),
        Kind::Choice(choices) if !choices.contains(&text) => Err(wrong()),
        Kind::Count => {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let count = text.parse().ok().filter(|_| digits);
            count.map(Parsed::Count).ok_or_else(wrong)
        }
        Kind::Size => text.parse().map(Parsed::Size).map_err(|_| wrong()),
        Kind::OptionalListen if text.trim().is_empty() => Ok(Parsed::Listen(None)),
        Kind::Listen | Kind::OptionalListen => text
            .parse()
            .map(|address| Parsed::Listen(Some(address)))
            .map_err(|_| wrong()),
        Kind::OptionalSchedule(_) if text.trim().is_empty() => Ok(Parsed::Schedule(None)),
        Kind::Schedule(dialect) | Kind::OptionalSchedule(dialect) => Schedule::parse(dialect, text)
            .map(|schedule| Parsed::Schedule(Some(schedule)))
            .map_err(|error| {
                let column = error.column;
                unreadable(key, node, scalar, column, error)
            }),
        Kind::OptionalAge if text.trim().is_empty() => Ok(Parsed::Age(None)),
        Kind::Age | Kind::OptionalAge => Age::parse(text)
            .map(|age| Parsed::Age(Some(age)))
            .map_err(|error| {
                let column = error.column;
                unreadable(key, node, scalar, column, error)
            }),
        Kind::Text
        | Kind::Name
        | Kind::Secret
        | Kind::Choice(_)
        | Kind::Flag
        | Kind::Patterns
        | Kind::Urls
        | Kind::Routes
        | Kind::Pairs
        | Kind::Opaque => Ok(Parsed::Text(text.to_owned())),
    }
}

/// One address, without the `/` at its end.
fn url(key: &Key, node: &Node, text: &str) -> Result<String, Error> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match host {
        // Also where nothing says how to get there: it is not shown.
        _ if text.contains('@') => Err(rule(key, node, "must not hold a user name or a password")),
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(wrong_type(key, node)),
    }
}

fn urls(key: &Key, node: &Node) -> Result<Reading, Error> {
    let items = patterns(node).ok_or_else(|| wrong_type(key, node))?;
    let items = items.iter().map(|item| url(key, node, item));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    Ok(Reading {
        text: items.join(","),
        parsed: Parsed::List(items),
    })
}

/// `name=value`.
fn is_pair(text: &str) -> bool {
    text.split_once('=')
        .is_some_and(|(name, _)| !name.trim().is_empty())
}

/// Checks what every storage would refuse. What only new buckets must fulfil depends on the storage and is checked
/// when that is known.
fn bucket(key: &Key, node: &Node, text: &str) -> Result<Parsed, Error> {
    if text.is_empty() {
        return Err(rule(key, node, "is empty: give the name of a bucket"));
    }
    let schedule = key.path.strip_suffix(".backup.bucketName");
    if let Some(section) = schedule.filter(|_| looks_like_schedule(text)) {
        let problem = Problem::ScheduleAsBucket {
            path: key.path.to_owned(),
            schedule: format!("{section}.backup.scheduled.schedule"),
        };
        return Err(Error::new(node.origin.clone(), problem));
    }
    let legacy = (3..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if !legacy {
        return Err(wrong_type(key, node));
    }
    Ok(Parsed::Text(text.to_owned()))
}

fn looks_like_schedule(text: &str) -> bool {
    let fields = text.split_whitespace().count();
    (5..=7).contains(&fields) || text.starts_with('@')
}

/// Whether no client of ours could write below it.
fn is_unusable(prefix: &str) -> bool {
    let inner = prefix.trim_matches('/');
    let mut names = inner.split('/');
    let is_unusable = |name: &str| {
        matches!(name, "" | "." | "..") || name.contains(|c: char| c.is_ascii_control())
    };
    !inner.is_empty() && names.any(is_unusable)
}

/// Returns `a/b/` for `/a/b`, and nothing for nothing.
fn prefix(text: &str) -> String {
    let inner = text.trim_matches('/');
    if inner.is_empty() {
        return String::new();
    }
    format!("{inner}/")
}

fn patterns(node: &Node) -> Option<Vec<String>> {
    let items: Vec<String> = match &node.value {
        Value::List(items) => items
            .iter()
            .map(|item| match &item.value {
                Value::Scalar(scalar) if truth(scalar).is_none() => Some(scalar.text.clone()),
                _ => None,
            })
            .collect::<Option<_>>()?,
        Value::Scalar(scalar) if scalar.text.trim_start().starts_with('[') => {
            // A JSON array is YAML, too.
            let inner = yaml::parse(0, "", &scalar.text).ok()?;
            return match inner.value {
                Value::List(_) => patterns(&inner),
                _ => None,
            };
        }
        Value::Scalar(scalar) if truth(scalar).is_none() => scalar
            .text
            .split(',')
            .map(|item| item.trim().to_owned())
            .collect(),
        _ => return None,
    };
    let filled = !items.is_empty() && items.iter().all(|item| !item.is_empty());
    filled.then_some(items)
}

fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::List(items) => items.is_empty(),
        Value::Scalar(scalar) => scalar.text.trim().is_empty(),
        _ => false,
    }
}

/// Returns the truth value that YAML 1.1, and so Helm, reads from a scalar without quotes.
fn truth(scalar: &Scalar) -> Option<bool> {
    if scalar.style != Style::Plain {
        return None;
    }
    truth_of(&scalar.text)
}

fn truth_of(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            Some(true)
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            Some(false)
        }
        _ => None,
    }
}

fn wrong_type(key: &Key, node: &Node) -> Error {
    let problem = Problem::Type {
        path: key.path.to_owned(),
        expected: expected(key.kind),
        found: found(key, node),
    };
    Error::new(node.origin.clone(), problem)
}

fn rule(key: &Key, node: &Node, reason: &str) -> Error {
    let problem = Problem::Rule {
        path: key.path.to_owned(),
        reason: reason.to_owned(),
    };
    Error::new(node.origin.clone(), problem)
}

/// Points at the character inside the value at which its parser stopped.
fn unreadable<E>(key: &Key, node: &Node, scalar: &Scalar, column: usize, source: E) -> Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    let inside = column.saturating_sub(1);
    let origin = match scalar.style {
        Style::Plain => node.origin.shifted(inside),
        Style::Quoted => node.origin.shifted(inside + 1),
        Style::Block => node.origin.clone(),
    };
    let problem = Problem::Unreadable {
        path: key.path.to_owned(),
        source: Box::new(source),
    };
    Error::new(origin, problem)
}

/// What a value of this kind is, as it stands in errors and in the reference.
pub(super) fn expected(kind: Kind) -> String {
    let text = match kind {
        Kind::Flag => "true or false",
        Kind::Text | Kind::Secret => "a text",
        Kind::Name => "a text that is not empty",
        Kind::Count => "a whole number",
        Kind::Size => "a size such as `768Mi`",
        Kind::Bucket => "the name of a bucket",
        Kind::Prefix | Kind::RepositoryPrefix => "a prefix",
        Kind::Url | Kind::OptionalUrl => "an address such as `http://stackstate-minio:9000`",
        Kind::Urls => {
            "an address such as `http://stackstate-elasticsearch-master:9200`, or several"
        }
        Kind::Pairs => "settings such as `buffer_size=5mb`",
        Kind::Listen | Kind::OptionalListen => "an address and port such as `0.0.0.0:9000`",
        Kind::Schedule(Dialect::Kubernetes) | Kind::OptionalSchedule(Dialect::Kubernetes) => {
            "a schedule in Kubernetes cron syntax"
        }
        Kind::Schedule(Dialect::Elasticsearch) | Kind::OptionalSchedule(Dialect::Elasticsearch) => {
            "a schedule in Elasticsearch cron syntax"
        }
        Kind::Schedule(Dialect::Cronexpr) | Kind::OptionalSchedule(Dialect::Cronexpr) => {
            "a schedule in cronexpr syntax"
        }
        Kind::Age | Kind::OptionalAge => "an age such as `days = 30`, `30 days ago` or `30d`",
        Kind::Patterns => "index patterns",
        Kind::Routes => "routes such as `local-settings-backup=volume:/settings`",
        Kind::Choice(choices) => return format!("`{}`", choices.join("` or `")),
        Kind::Opaque => "anything",
    };
    text.to_owned()
}

fn found(key: &Key, node: &Node) -> String {
    let scalar = match &node.value {
        Value::Null => return "nothing".to_owned(),
        Value::List(_) => return "a list".to_owned(),
        Value::Map(_) => return "a mapping".to_owned(),
        Value::Scalar(scalar) => scalar,
    };
    if let Some(truth) = truth(scalar) {
        return format!("the truth value {truth} (quotes make it a text)");
    }
    if key.is_secret() {
        return "a text".to_owned();
    }
    let mut shown: String = scalar.text.chars().take(40).collect();
    if shown.len() < scalar.text.len() {
        shown.push('…');
    }
    let without_quotes = key.kind == Kind::Flag && truth_of(&scalar.text).is_some();
    let hint = if without_quotes {
        " (remove the quotes)"
    } else {
        ""
    };
    format!("the text {shown:?}{hint}")
}

/// Writes a value as YAML that reads back to the same; secrets become `***`.
pub(super) fn render(key: &Key, reading: &Reading) -> String {
    match &reading.parsed {
        _ if key.is_secret() && !reading.text.is_empty() => "***".to_owned(),
        Parsed::List(items) => {
            let items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
            format!("[{}]", items.join(", "))
        }
        _ if key.kind == Kind::Flag => reading.text.clone(),
        _ if is_plain(&reading.text) => reading.text.clone(),
        _ => quoted(&reading.text),
    }
}

/// Whether a text stands for itself in YAML without quotes, in block context.
fn is_plain(text: &str) -> bool {
    let safe = |c: char| c.is_ascii_alphanumeric() || " -_./:%$()+=*?<>{}".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || "/<".contains(c))
        && text.chars().all(safe)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && truth_of(text).is_none()
        && !matches!(text, "null" | "Null" | "NULL")
}

fn quoted(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() => out.push(c),
            c => write!(out, "\\U{:08x}", u32::from(c)).expect("a text takes everything"),
        }
    }
    out.push('"');
    out
}
