//! Which entries bring back what is wanted. Pure.

use jiff::Timestamp;

use super::entry::Entry;

/// Which version of an object is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The one that was removed last.
    Newest,
    /// The one that its key held then.
    At(Timestamp),
    /// The entry with this id.
    Id(String),
}

/// Returns at most one entry for each key. `entries` come by bucket and key, those of one key by the time of removal.
///
/// A key of which nothing is wanted has none: it held nothing then, or holds what it held until today.
pub fn choose(entries: Vec<Entry>, wanted: &Wanted) -> Vec<Entry> {
    let mut chosen: Vec<Entry> = Vec::new();
    for entry in entries {
        let last = chosen
            .last_mut()
            .filter(|last| (&last.bucket, &last.key) == (&entry.bucket, &entry.key));
        match (wanted, last) {
            (Wanted::Newest, Some(last)) => *last = entry,
            (Wanted::Newest, None) => chosen.push(entry),
            // The first that was removed after then, unless it was not written yet.
            (Wanted::At(then), None) if entry.removed > *then && entry.modified() <= *then => {
                chosen.push(entry);
            }
            (Wanted::Id(id), _) if entry.id == *id => chosen.push(entry),
            (Wanted::At(_) | Wanted::Id(_), _) => {}
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::entry::{Hour, Why};
    use super::*;
    use crate::backend::Attributes;
    use crate::backends::local::record::Record;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry(key: &str, modified: i64, removed: i64) -> Entry {
        Entry {
            id: format!("{key}{removed}"),
            bucket: "bucket".to_owned(),
            key: key.to_owned(),
            size: 0,
            removed: time(removed),
            why: Why::Deleted,
            hour: Hour::of(time(removed)),
            record: Record::new(
                String::new(),
                String::new(),
                time(modified),
                Attributes::default(),
            ),
        }
    }

    fn ids(entries: &[Entry], wanted: &Wanted) -> Vec<String> {
        let chosen = choose(entries.to_vec(), wanted);
        chosen.into_iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn the_version_of_a_time_is_the_one_that_was_there() {
        let entries = [
            entry("a", 10, 20),
            entry("a", 20, 30),
            entry("b", 5, 40),
            entry("c", 35, 50),
        ];
        assert_eq!(ids(&entries, &Wanted::Newest), ["a30", "b40", "c50"]);
        assert_eq!(ids(&entries, &Wanted::At(time(15))), ["a20", "b40"]);
        assert_eq!(ids(&entries, &Wanted::At(time(20))), ["a30", "b40"]);
        assert_eq!(ids(&entries, &Wanted::At(time(39))), ["b40", "c50"]);
        assert_eq!(ids(&entries, &Wanted::At(time(4))), Vec::<String>::new());
        assert_eq!(ids(&entries, &Wanted::At(time(50))), Vec::<String>::new());
        assert_eq!(ids(&entries, &Wanted::Id("a20".to_owned())), ["a20"]);
        assert_eq!(
            ids(&entries, &Wanted::Id("x".to_owned())),
            Vec::<String>::new()
        );
    }

    proptest! {
        /// Writes and removals of two keys, one a second, against a map that remembers every state.
        #[test]
        fn every_past_state_is_found(changes in proptest::collection::vec((0_usize..2, any::<bool>()), 0..20), then in 0_i64..25) {
            let mut now = BTreeMap::new();
            let mut states = vec![now.clone()];
            let mut entries = Vec::new();
            for (second, (key, write)) in (1..).zip(changes) {
                let key = ["a", "b"][key];
                let old = if write { now.insert(key, second) } else { now.remove(key) };
                if let Some(written) = old {
                    entries.push(entry(key, written, second));
                }
                states.push(now.clone());
            }
            entries.sort_by_key(|entry| (entry.key.clone(), entry.removed));
            let index = usize::try_from(then).unwrap().min(states.len() - 1);
            let mut found = now.clone();
            found.retain(|_, written| *written <= then);
            for entry in choose(entries, &Wanted::At(time(then))) {
                let key = if entry.key == "a" { "a" } else { "b" };
                found.insert(key, entry.modified().as_second());
            }
            prop_assert_eq!(&found, &states[index]);
        }
    }
}
