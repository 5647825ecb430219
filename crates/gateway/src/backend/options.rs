//! What requests say of the one object they are about.

use super::Attributes;
use super::condition::{ReadConditions, WriteCondition};
use super::relay::Relayed;
use std::ops::Range;

/// How to store an object.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    pub attributes: Attributes,
    /// What must hold of the key.
    pub condition: WriteCondition,
    pub relayed: Relayed,
}

/// Which bytes of which object to read, and what must hold of it.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// All of the object without it.
    pub range: Option<ByteRange>,
    /// Only this part of an object that was uploaded in parts. Not together with `range`.
    pub part: Option<u16>,
    pub conditions: ReadConditions,
    /// An older version, in a store that keeps them.
    pub version: Option<String>,
    pub relayed: Relayed,
}

/// Which bytes of an object to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From `first` to `last`, both included; to the end without `last`.
    From { first: u64, last: Option<u64> },
    /// The last `length` bytes.
    Suffix { length: u64 },
}

impl ByteRange {
    /// Returns the bytes meant in an object of `size` bytes, end excluded, or nothing if it has no such bytes.
    pub fn within(self, size: u64) -> Option<Range<u64>> {
        match self {
            Self::From { first, last } => {
                let end = last.map_or(size, |last| last.saturating_add(1).min(size));
                (first < size && first < end).then_some(first..end)
            }
            Self::Suffix { length } => {
                (length > 0 && size > 0).then(|| size - length.min(size)..size)
            }
        }
    }
}

/// How a copy differs from its source.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Replaces what the source's writer said; without it, the source's attributes are kept.
    pub attributes: Option<Attributes>,
    /// What must hold of the source.
    pub source: ReadConditions,
    /// An older version of the source, in a store that keeps them.
    pub source_version: Option<String>,
    /// What must hold of the destination.
    pub destination: WriteCondition,
    pub relayed: Relayed,
}

/// How to remove an object.
#[derive(Debug, Clone, Default)]
pub struct DeleteOptions {
    /// Only this version, in a store that keeps them.
    pub version: Option<String>,
    /// What must hold of the key.
    pub condition: WriteCondition,
    pub relayed: Relayed,
}

/// What removing an object did. Empty in a store without versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deleted {
    /// The version that was removed, or that of the marker.
    pub version: Option<String>,
    /// The object is hidden by a marker and its versions are kept, or it was a marker that was removed.
    pub marker: Marker,
}

/// Whether a marker of removal is meant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Marker {
    #[default]
    No,
    Yes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_never_reach_past_the_end() {
        let from = |first, last| ByteRange::From { first, last };
        assert_eq!(from(0, Some(u64::MAX)).within(10), Some(0..10));
        assert_eq!(from(9, None).within(10), Some(9..10));
        assert_eq!(from(10, None).within(10), None);
        assert_eq!(from(0, None).within(0), None);
        assert_eq!(ByteRange::Suffix { length: 20 }.within(10), Some(0..10));
        assert_eq!(ByteRange::Suffix { length: 3 }.within(10), Some(7..10));
        assert_eq!(ByteRange::Suffix { length: 0 }.within(10), None);
    }
}
