//! How many documents an index had when a snapshot of it was begun.
//!
//! The engines do not keep that with a snapshot, so ours carry it in their metadata, of which there may be 1024 bytes: the counts in the order of the names of the indices,
//! or, where they are too many, `=` and the sum. What was written since the last refresh is not counted, and what is written while the snapshot is being taken is in
//! it or not; so a count is the least that must come back, but for what was deleted in those moments.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Bytes of metadata that counts may take.
const ROOM: usize = 700;

/// Counts as metadata carry them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts(String);

impl Counts {
    /// Of indices and their documents, where they are known.
    pub fn new(mut indices: Vec<(&str, Option<u64>)>) -> Self {
        indices.sort_unstable();
        let mut text = String::new();
        for (at, (_, count)) in indices.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            if let Some(count) = count {
                write!(text, "{count}").expect("a text takes any text");
            }
        }
        if text.len() <= ROOM {
            return Self(text);
        }
        let sum: Option<u64> = indices.iter().map(|(_, count)| *count).sum();
        Self(sum.map_or_else(String::new, |sum| format!("={sum}")))
    }

    /// As they were read.
    pub fn from_metadata(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many documents `chosen` of all the indices of a snapshot have at least. Nothing where that is not known.
    pub fn least(&self, all: &[String], chosen: &[String]) -> Option<u64> {
        if let Some(sum) = self.0.strip_prefix('=') {
            let are_as_many = all.len() == chosen.len();
            let chosen: BTreeSet<&String> = chosen.iter().collect();
            let is_all = are_as_many && all.iter().all(|name| chosen.contains(name));
            return sum.parse().ok().filter(|_| is_all);
        }
        let mut names: Vec<&String> = all.iter().collect();
        names.sort_unstable();
        let counts: Vec<&str> = self.0.split(',').collect();
        if counts.len() != names.len() {
            return None;
        }
        let mut least: u64 = 0;
        for name in chosen {
            let at = names.binary_search(&name).ok()?;
            least = least.checked_add(counts[at].parse().ok()?)?;
        }
        Some(least)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn counts_are_those_of_the_indices_that_were_chosen() {
        let counts = Counts::new(vec![("b", Some(20)), ("a", Some(1)), ("c", None)]);
        assert_eq!(counts.as_str(), "1,20,");
        let all = names(&["c", "b", "a"]);
        assert_eq!(counts.least(&all, &names(&["a", "b"])), Some(21));
        assert_eq!(counts.least(&all, &names(&["c"])), None, "a closed index");
        assert_eq!(counts.least(&all, &names(&["d"])), None);
        assert_eq!(counts.least(&names(&["a", "b"]), &names(&["a"])), None);
    }

    #[test]
    fn of_many_indices_there_is_the_sum() {
        let all: Vec<String> = (0..500).map(|number| format!("sts_{number}")).collect();
        let counted = all.iter().map(|name| (name.as_str(), Some(1000)));
        let counts = Counts::new(counted.collect());
        assert_eq!(counts.as_str(), "=500000");
        assert_eq!(counts.least(&all, &all), Some(500_000));
        assert_eq!(counts.least(&all, &all[1..]), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", all in prop::collection::vec("[a-c]", 0..5), chosen in prop::collection::vec("[a-c]", 0..5)) {
            Counts::from_metadata(&text).least(&all, &chosen);
        }

        #[test]
        fn what_was_written_is_read(indices in prop::collection::btree_map("[a-z]{1,4}", 0..1_000_000_u64, 1..300)) {
            let all: Vec<String> = indices.keys().cloned().collect();
            let counts = Counts::new(indices.iter().map(|(name, count)| (name.as_str(), Some(*count))).collect());
            prop_assert!(counts.as_str().len() <= ROOM);
            prop_assert_eq!(counts.least(&all, &all), Some(indices.values().sum()));
        }
    }
}
