//! What is known to be damaged: a list that outlives the process, one line of JSON for each object.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backends::local::objects::Found;

/// How many objects are remembered. More are counted and logged all the same, and found again in the next pass.
const MOST: usize = 10_000;

/// A damaged object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    pub bucket: String,
    pub key: String,
    /// When it was found.
    pub found: Timestamp,
    /// What is wrong with it, for people.
    pub what: String,
    /// Tells the bytes from others that the key may hold by now; nothing where the record cannot be read.
    bytes: Option<Bytes>,
}

/// Which bytes a key held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::backends::local) struct Bytes {
    id: String,
    inode: u64,
}

impl Bytes {
    pub(in crate::backends::local) fn of(found: &Found) -> Self {
        Self {
            id: found.record.id.clone(),
            inode: found.stat.st_ino,
        }
    }
}

impl Damage {
    pub(in crate::backends::local) fn new(
        (bucket, key): (&str, &str),
        found: Timestamp,
        what: String,
        bytes: Option<Bytes>,
    ) -> Self {
        Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            found,
            what,
            bytes,
        }
    }

    /// Whether it is about what the key holds now; nothing for a record that cannot be read.
    pub(in crate::backends::local) fn is_of(&self, now: Option<&Bytes>) -> bool {
        self.bytes.as_ref() == now
    }
}

/// Damaged objects by bucket and key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::backends::local) struct Damages(BTreeMap<(String, String), Damage>);

impl Damages {
    /// Lines that are none are passed over: the next pass finds again what they said.
    pub(in crate::backends::local) fn read(text: &[u8]) -> Self {
        let mut damages = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            if let Ok(damage) = serde_json::from_slice(line) {
                damages.add(damage);
            }
        }
        damages
    }

    pub(in crate::backends::local) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for damage in self.0.values() {
            serde_json::to_writer(&mut bytes, damage).expect("a damage is plain text and numbers");
            bytes.push(b'\n');
        }
        bytes
    }

    /// Returns whether it is remembered.
    pub(in crate::backends::local) fn add(&mut self, damage: Damage) -> bool {
        let place = (damage.bucket.clone(), damage.key.clone());
        let room = self.0.len() < MOST || self.0.contains_key(&place);
        if room {
            self.0.insert(place, damage);
        }
        room
    }

    /// Returns whether there was one.
    pub(in crate::backends::local) fn remove(&mut self, bucket: &str, key: &str) -> bool {
        self.0
            .remove(&(bucket.to_owned(), key.to_owned()))
            .is_some()
    }

    pub(in crate::backends::local) fn iter(&self) -> impl Iterator<Item = &Damage> {
        self.0.values()
    }

    pub(in crate::backends::local) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn damage(key: &str, what: &str) -> Damage {
        let bytes = Bytes {
            id: "01HZ".to_owned(),
            inode: 7,
        };
        Damage::new(
            ("bucket", key),
            Timestamp::UNIX_EPOCH,
            what.to_owned(),
            Some(bytes),
        )
    }

    #[test]
    fn the_list_is_readable_text() {
        let mut damages = Damages::default();
        damages.add(damage("b", "ends early"));
        damages.add(damage("a\nb", "differs"));
        insta::assert_snapshot!(
            String::from_utf8(damages.to_bytes()).unwrap(),
            @r#"
        {"bucket":"bucket","key":"a\nb","found":"1970-01-01T00:00:00Z","what":"differs","bytes":{"id":"01HZ","inode":7}}
        {"bucket":"bucket","key":"b","found":"1970-01-01T00:00:00Z","what":"ends early","bytes":{"id":"01HZ","inode":7}}
        "#
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(keys in proptest::collection::btree_set(".{1,9}", 0..9)) {
            let mut damages = Damages::default();
            for key in &keys {
                damages.add(damage(key, "what"));
            }
            prop_assert_eq!(damages.len(), keys.len());
            prop_assert_eq!(Damages::read(&damages.to_bytes()), damages);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Damages::read(&bytes).len(), 0);
        }
    }

    #[test]
    fn the_list_does_not_grow_without_end() {
        let mut damages = Damages::default();
        for number in 0..MOST + 5 {
            damages.add(damage(&number.to_string(), "what"));
        }
        assert_eq!(damages.len(), MOST);
        assert!(damages.add(damage("0", "something else")));
    }
}
