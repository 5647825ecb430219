//! From what is given to what holds: defaults of the generation, and older names standing in for newer ones.
//!
//! One rule for all pairs of names, the chart's own: the older name counts while the newer has its default. Where both
//! are given and differ, a warning says which one won.

use std::net::SocketAddr;

use super::effective::Effective;
use super::error::{Error, Problem, Warning};
use super::keys::{self, Key, Relation};
use super::origin::Origin;
use super::read::{Given, Said};
use super::secret::Secret;
use super::tree::{Node, Scalar, Style, Value};
use super::value::{self, Parsed, Reading};
use crate::age::Age;
use crate::schedule::Schedule;
use crate::size::ByteSize;

/// Texts that the charts give to keys which the user must set.
const PLACEHOLDERS: [&str; 3] = [
    "setme",
    "default-for-settings-only",
    "default-secret-for-settings-only",
];

/// Hands out each value once, and keeps account for `settings show`.
pub(super) struct Resolver {
    given: Given,
    generation: Generation,
    effective: Vec<Effective>,
}

/// Whose defaults hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    Seed,
    Current,
}

/// A value with its story.
#[derive(Clone)]
pub(super) struct Resolved {
    pub(super) reading: Reading,
    pub(super) origin: Origin,
    /// The key that said it: the one asked for, or its older name.
    pub(super) key: &'static Key,
}

/// A secret and who said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sourced {
    pub(super) secret: Secret,
    pub(super) origin: Origin,
    /// The key or environment variable by which the user knows it.
    pub(super) name: &'static str,
    pub(super) placeholder: bool,
}

impl Resolver {
    pub(super) fn new(given: Given) -> Self {
        let current = given.values.get("global.backup.enabled");
        let generation = match current.map(|said| &said.reading.parsed) {
            Some(Parsed::Flag(true)) => Generation::Current,
            _ => Generation::Seed,
        };
        Self {
            given,
            generation,
            effective: Vec::new(),
        }
    }

    pub(super) fn flag(&mut self, path: &str) -> bool {
        self.pick(path, |parsed| match parsed {
            Parsed::Flag(flag) => Some(flag),
            _ => None,
        })
    }

    pub(super) fn text(&mut self, path: &str) -> String {
        self.pick(path, |parsed| match parsed {
            Parsed::Text(text) => Some(text),
            _ => None,
        })
    }

    /// A text that may be left out, which its default says by being empty.
    pub(super) fn optional(&mut self, path: &str) -> Option<String> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    pub(super) fn count(&mut self, path: &str) -> u64 {
        self.pick(path, |parsed| match parsed {
            Parsed::Count(count) => Some(count),
            _ => None,
        })
    }

    pub(super) fn size(&mut self, path: &str) -> ByteSize {
        self.pick(path, |parsed| match parsed {
            Parsed::Size(size) => Some(size),
            _ => None,
        })
    }

    pub(super) fn listen(&mut self, path: &str) -> SocketAddr {
        self.optional_listen(path)
            .expect("only an optional address may be empty")
    }

    pub(super) fn optional_listen(&mut self, path: &str) -> Option<SocketAddr> {
        self.pick(path, |parsed| match parsed {
            Parsed::Listen(address) => Some(address),
            _ => None,
        })
    }

    pub(super) fn age(&mut self, path: &str) -> Age {
        self.optional_age(path)
            .expect("only an optional age may be empty")
    }

    pub(super) fn optional_age(&mut self, path: &str) -> Option<Age> {
        self.pick(path, |parsed| match parsed {
            Parsed::Age(age) => Some(age),
            _ => None,
        })
    }

    pub(super) fn schedule(&mut self, path: &str) -> Schedule {
        self.optional_schedule(path)
            .expect("only an optional schedule may be empty")
    }

    pub(super) fn optional_schedule(&mut self, path: &str) -> Option<Schedule> {
        self.pick(path, |parsed| match parsed {
            Parsed::Schedule(schedule) => Some(schedule),
            _ => None,
        })
    }

    pub(super) fn list(&mut self, path: &str) -> Vec<String> {
        self.pick(path, |parsed| match parsed {
            Parsed::List(items) => Some(items),
            _ => None,
        })
    }

    fn pick<T>(&mut self, path: &str, as_asked: impl FnOnce(Parsed) -> Option<T>) -> T {
        as_asked(self.take(path).reading.parsed)
            .expect("the table has the kind the code asks for: a test reads every key")
    }

    /// A secret that was set; empty counts as not set.
    pub(super) fn secret(&mut self, path: &str) -> Option<Sourced> {
        let resolved = self.take(path);
        sourced(&resolved)
    }

    /// The secret at `path`, or else the one that `stand_in` says.
    pub(super) fn secret_or(&mut self, path: &str, stand_in: &Resolved) -> Option<Sourced> {
        let own = self.resolve(path);
        let resolved = if own.reading.text.is_empty() {
            stand_in.clone()
        } else {
            own
        };
        self.account(path, &resolved);
        sourced(&resolved)
    }

    pub(super) fn take(&mut self, path: &str) -> Resolved {
        let resolved = self.resolve(path);
        self.account(path, &resolved);
        resolved
    }

    fn account(&mut self, path: &str, resolved: &Resolved) {
        let key = keys::get(path);
        // A placeholder is public, and shows that the key was not set.
        let value = if is_placeholder(&resolved.reading.text) {
            resolved.reading.text.clone()
        } else {
            value::render(resolved.key, &resolved.reading)
        };
        self.effective.push(Effective {
            path: key.path,
            value,
            origin: resolved.origin.clone(),
            said_as: (resolved.key.path != key.path).then_some(resolved.key.path),
        });
    }

    /// Returns what holds for `path`, without an entry for `settings show`.
    pub(super) fn resolve(&mut self, path: &str) -> Resolved {
        let key = keys::get(path);
        let own = self.given.values.get(key.path).cloned();
        let older = keys::older(key.path)
            .and_then(|older| Some((older, self.given.values.get(older.path)?.clone())));
        let (older, old, own) = match (older, own) {
            (None, None) => return self.default_of(key),
            (None, Some(own)) => return Resolved::from(key, own),
            (Some((older, old)), None) => return Resolved::from(older, old),
            (Some((_, old)), Some(own)) if is_placeholder(&old.reading.text) => {
                return Resolved::from(key, own);
            }
            (Some((older, old)), Some(own)) => (older, old, own),
        };
        let own_is_default = own.reading.text == self.default_of(key).reading.text;
        let older_wins = own_is_default || matches!(older.relation, Relation::Overrides(_));
        let differ = own.reading.text != old.reading.text;
        let (won, lost) = if older_wins {
            (Resolved::from(older, old), Resolved::from(key, own))
        } else {
            (Resolved::from(key, own), Resolved::from(older, old))
        };
        if differ && !is_placeholder(&lost.reading.text) {
            self.overruled(&won, &lost);
        }
        won
    }

    fn overruled(&mut self, won: &Resolved, lost: &Resolved) {
        let text = format!(
            "`{}` and `{}` ({}) say different things; `{}` counts",
            lost.key.path, won.key.path, won.origin, won.key.path
        );
        let warning = Warning {
            origin: lost.origin.clone(),
            text,
        };
        if !self.given.warnings.contains(&warning) {
            self.given.warnings.push(warning);
        }
    }

    fn default_of(&self, key: &'static Key) -> Resolved {
        let text = match self.generation {
            Generation::Seed => key.seed,
            Generation::Current => key.current,
        };
        let node = Node {
            origin: Origin::Default,
            value: Value::Scalar(Scalar {
                text: text.to_owned(),
                style: Style::Plain,
            }),
        };
        let reading = value::read(key, &node).expect("a test reads every default");
        Resolved {
            reading,
            origin: Origin::Default,
            key,
        }
    }

    pub(super) fn is_current(&self) -> bool {
        self.generation == Generation::Current
    }

    /// Corrects the entry of a value that was handed out, where something else than the values decided it.
    pub(super) fn show_instead(&mut self, path: &str, value: &str, origin: &Origin) {
        for entry in self.effective.iter_mut().filter(|entry| entry.path == path) {
            value.clone_into(&mut entry.value);
            entry.origin = origin.clone();
            entry.said_as = None;
        }
    }

    /// Whether the value of this key was refused for its type, so that it is neither set nor missing.
    pub(super) fn is_wrong(&self, path: &str) -> bool {
        self.given.errors.iter().any(
            |error| matches!(error.problem(), Problem::Type { path: wrong, .. } if wrong == path),
        )
    }

    pub(super) fn fail(&mut self, origin: Origin, problem: Problem) {
        self.given.errors.push(Error::new(origin, problem));
    }

    pub(super) fn warn(&mut self, origin: Origin, text: String) {
        self.given.warnings.push(Warning { origin, text });
    }

    /// Ends the account: everything wrong, everything odd, everything read.
    pub(super) fn finish(self) -> (Vec<Error>, Vec<Warning>, Vec<Effective>) {
        let mut warnings = self.given.warnings;
        warnings.sort_by(|a, b| a.origin.cmp(&b.origin));
        let mut effective = self.effective;
        let order: Vec<_> = keys::all().map(|key| key.path).collect();
        effective.sort_by_key(|entry| order.iter().position(|path| *path == entry.path));
        (self.given.errors, warnings, effective)
    }
}

impl Resolved {
    fn from(key: &'static Key, said: Said) -> Self {
        Self {
            reading: said.reading,
            origin: said.origin,
            key,
        }
    }
}

fn sourced(resolved: &Resolved) -> Option<Sourced> {
    let text = &resolved.reading.text;
    (!text.is_empty()).then(|| Sourced {
        secret: Secret::new(text.clone()),
        origin: resolved.origin.clone(),
        name: resolved.key.path,
        placeholder: is_placeholder(text),
    })
}

fn is_placeholder(text: &str) -> bool {
    PLACEHOLDERS.contains(&text)
}
