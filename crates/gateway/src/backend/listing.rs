//! Listings: what is asked for, and the pages that answer.

use super::ObjectInfo;

/// What to list, and from where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    pub prefix: String,
    /// Rolls keys up that have it after the prefix. Never empty.
    pub delimiter: Option<String>,
    /// Only what sorts after this is listed; common prefixes too.
    pub after: Option<String>,
    /// The most entries of one page, objects and common prefixes together.
    pub limit: usize,
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Object {
        key: String,
        info: ObjectInfo,
    },
    /// Stands for every key that begins with it. Ends in the delimiter.
    Prefix(String),
}

impl Entry {
    /// The text by which entries are ordered and where the next page begins.
    pub fn name(&self) -> &str {
        match self {
            Self::Object { key, .. } => key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// Part of a listing, in byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Whether more follows after the last entry.
    pub truncated: bool,
}
