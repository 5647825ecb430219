//! A values document as a tree that remembers where each key and value was written.
//!
//! Merging follows Helm: mappings merge key by key, everything else replaces, `null` takes away what was said before.

use std::collections::BTreeMap;

use super::error::{Error, Problem};
use super::origin::Origin;

/// One value of the document. Holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

pub(super) type Map = BTreeMap<String, Entry>;

#[derive(Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) style: Style,
}

/// How a scalar was written, which decides how it may be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes: may be a number or a truth value.
    Plain,
    /// In quotes on one line: always a text; it begins one column after the quote.
    Quoted,
    /// A text over several lines, or one that has no position of its own.
    Block,
}

#[derive(Clone)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) origin: Origin,
    pub(super) node: Node,
    /// Where the same key was said before in the same mapping; the later one counts.
    pub(super) earlier: Option<Origin>,
}

impl Node {
    pub(super) fn empty_map(origin: Origin) -> Self {
        Self {
            origin,
            value: Value::Map(Map::new()),
        }
    }

    /// Refuses a document that is not a mapping; what stands there is not quoted, a secret may be in it.
    pub(super) fn into_values(self) -> Result<Self, Error> {
        match self.value {
            Value::Map(_) => Ok(self),
            Value::Null => Ok(Self::empty_map(self.origin)),
            Value::Scalar(_) | Value::List(_) => {
                let problem = Problem::Document("a values file must be a mapping of keys".into());
                Err(Error::new(self.origin, problem))
            }
        }
    }

    /// Lays `over` on top of `self`.
    pub(super) fn merge(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Map(base), Value::Map(over)) => {
                for (key, entry) in over {
                    merge_entry(base, key, entry);
                }
            }
            (_, value) => {
                *self = Self {
                    origin: over.origin,
                    value,
                };
            }
        }
    }

    /// Returns the node at `path`, whose segments are separated by dots.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |node, key| match &node.value {
                Value::Map(map) => map.get(key).map(|entry| &entry.node),
                _ => None,
            })
    }
}

fn merge_entry(base: &mut Map, key: String, over: Entry) {
    if matches!(over.node.value, Value::Null) {
        base.remove(&key);
        return;
    }
    let Some(entry) = base.get_mut(&key) else {
        base.insert(key, over);
        return;
    };
    entry.node.merge(over.node);
    entry.origin = over.origin;
    if over.earlier.is_some() {
        entry.earlier = over.earlier;
    }
}
