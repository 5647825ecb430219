//! The keys Lifeboat knows, one row each.
//!
//! This table alone decides what is refused as unknown, how a value is checked, what holds when nothing is said, what
//! `settings show` lists and what the reference says. The rows are in `table`, ordered as in a values file.

mod table;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::schedule::Dialect;

/// The sections of a values file that are read; the rest belongs to others and may hold anything.
pub(super) const SECTIONS: [&str; 7] = [
    "global.backup",
    "global.s3proxy",
    "backup",
    "minio",
    "victoria-metrics-0",
    "victoria-metrics-1",
    "lifeboat",
];

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) path: &'static str,
    pub(super) kind: Kind,
    pub(super) era: Era,
    pub(super) seed: &'static str,
    pub(super) current: &'static str,
    pub(super) relation: Relation,
    pub(super) doc: &'static str,
}

/// Which generation of the platform's chart has a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// The chart of the StackState days, with MinIO.
    Seed,
    /// The chart of today, with `S3Proxy`.
    Current,
    Both,
    /// No chart: the key is Lifeboat's own.
    Lifeboat,
}

/// How a key stands to another one that means the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    None,
    /// The other key is the newer name: this one counts while the other has its default.
    ReplacedBy(&'static str),
    /// The other key is the newer name, yet this one counts whenever it is given: so does the chart.
    Overrides(&'static str),
}

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    Text,
    /// A text that may not be empty.
    Name,
    /// A text that is never shown.
    Secret,
    Count,
    Size,
    Bucket,
    Prefix,
    /// A prefix that only others write below.
    RepositoryPrefix,
    Url,
    /// An address that may be empty, which means nobody.
    OptionalUrl,
    /// At least one address, as [`Kind::Patterns`] are written.
    Urls,
    Listen,
    /// An address that may be empty, which means nowhere.
    OptionalListen,
    Schedule(Dialect),
    /// A schedule that may be empty, which means never.
    OptionalSchedule(Dialect),
    Age,
    /// An age that may be empty, which means not at all.
    OptionalAge,
    /// Index patterns: a list, a JSON array in a text, or texts separated by commas.
    Patterns,
    /// Routes of the gateway, as [`Kind::Patterns`] are written; may be empty.
    Routes,
    /// Names and values, as [`Kind::Patterns`] are written; may be empty.
    Pairs,
    Choice(&'static [&'static str]),
    /// Belongs to Kubernetes or a subchart: the key and all below it are accepted and not read.
    Opaque,
}

impl Key {
    const fn new(
        path: &'static str,
        era: Era,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            path,
            kind,
            era,
            seed: default,
            current: default,
            relation: Relation::None,
            doc,
        }
    }

    /// The default where the current generation's differs.
    const fn current(mut self, default: &'static str) -> Self {
        self.current = default;
        self
    }

    const fn replaced_by(mut self, path: &'static str) -> Self {
        self.relation = Relation::ReplacedBy(path);
        self
    }

    const fn overrides(mut self, path: &'static str) -> Self {
        self.relation = Relation::Overrides(path);
        self
    }

    pub(super) fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    pub(super) fn is_read(&self) -> bool {
        self.kind != Kind::Opaque
    }

    /// The newer name of this key.
    pub(super) fn newer(&self) -> Option<&'static str> {
        match self.relation {
            Relation::None => None,
            Relation::ReplacedBy(path) | Relation::Overrides(path) => Some(path),
        }
    }
}

/// What a path is to the table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found {
    Key(&'static Key),
    /// Keys lie below it.
    Section,
    Nothing,
}

static BY_PATH: LazyLock<BTreeMap<&'static str, &'static Key>> =
    LazyLock::new(|| all().map(|key| (key.path, key)).collect());

/// Every key, in the order of the reference.
pub(super) fn all() -> impl Iterator<Item = &'static Key> {
    table::ROWS.iter().flat_map(|rows| rows.iter())
}

pub(super) fn find(path: &str) -> Found {
    if let Some(key) = BY_PATH.get(path) {
        return Found::Key(key);
    }
    let below = format!("{path}.");
    match BY_PATH.range(below.as_str()..).next() {
        Some((next, _)) if next.starts_with(&below) => Found::Section,
        _ => Found::Nothing,
    }
}

/// Returns the key at `path`, which code names, so it is in the table.
pub(super) fn get(path: &str) -> &'static Key {
    BY_PATH
        .get(path)
        .expect("every path that code reads is in the table: a test reads them all")
}

/// The older name of the key at `path`.
pub(super) fn older(path: &str) -> Option<&'static Key> {
    all().find(|key| key.newer() == Some(path))
}

/// Returns the known key that was probably meant by `path`.
pub(super) fn nearest(path: &str) -> Option<String> {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let below = format!("{parent}.");
    let deeper = all().find(|key| {
        key.is_read()
            && key.path.strip_prefix(&below).is_some_and(|rest| {
                rest.rsplit_once('.')
                    .is_some_and(|(_, last)| last.eq_ignore_ascii_case(name))
            })
    });
    if let Some(key) = deeper {
        return Some(key.path.to_owned());
    }
    let sibling = all()
        .filter_map(|key| key.path.strip_prefix(&below)?.split('.').next())
        .min_by_key(|sibling| distance(sibling, name))
        .filter(|sibling| is_near(sibling, name));
    if let Some(sibling) = sibling {
        return Some(format!("{parent}.{sibling}"));
    }
    all()
        .filter(|key| key.is_read())
        .min_by_key(|key| distance(key.path, path))
        .filter(|key| distance(key.path, path) * 4 <= path.chars().count())
        .map(|key| key.path.to_owned())
}

/// Returns the name among `known` that was probably meant by `name`.
pub(super) fn nearest_of<'a>(known: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    known
        .min_by_key(|known| distance(known, name))
        .filter(|known| is_near(known, name))
}

fn is_near(known: &str, name: &str) -> bool {
    distance(known, name) <= (known.chars().count() / 3).max(1)
}

fn distance(a: &str, b: &str) -> usize {
    strsim::osa_distance(&a.to_lowercase(), &b.to_lowercase())
}
