//! What the gateway remembers of a blob of its own: JSON in one piece of the blob's metadata, written in the same call as
//! the blob. The etag is beside it, where MinIO's gateway kept it, or is the blob's Content-MD5.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backend::digest::Checksum;

/// The newest form of the record that this version writes, and the only one it reads.
const VERSION: u32 = 1;

/// The record of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// Of whatever wrote the blob: a call whose answer was lost finds its blob again, and so does the completion of an
    /// upload, whose id this is for an object that came in parts.
    pub(super) id: String,
    /// Headers for which Azure has no place: one it does not know, or a value it would not take.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<String, String>,
    /// The writer named no content type; Azure shows one all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) untyped: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) checksum: Option<Checksum>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<Parts>,
}

/// The parts of an object that was uploaded in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Parts {
    pub(super) count: u16,
    /// Of every part but the last, in bytes, if those are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
}

impl Record {
    pub(super) fn new(id: String) -> Self {
        Self {
            version: VERSION,
            id,
            headers: BTreeMap::new(),
            untyped: false,
            checksum: None,
            parts: None,
        }
    }

    /// Returns a record that is readable by this version.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str::<Self>(text)
            .ok()
            .filter(|record| record.version == VERSION)
    }

    /// In ASCII, as a header needs it.
    pub(super) fn to_text(&self) -> String {
        ascii_json(self)
    }
}

/// Writes JSON with every character beyond ASCII escaped. Outside texts JSON has none.
pub(super) fn ascii_json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("plain text and numbers");
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if (' '..='~').contains(&character) {
            text.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                text.push_str("\\u");
                text.push_str(&hex::encode(unit.to_be_bytes()));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::digest::Algorithm;

    proptest! {
        #[test]
        fn what_is_written_is_read(id in ".{0,20}", value in ".{0,20}", count: u16, size: u64) {
            let mut record = Record::new(id);
            record.headers.insert("expires".to_owned(), value.clone());
            record.checksum = Some(Checksum { algorithm: Algorithm::Sha256, value });
            record.parts = Some(Parts { count, size: Some(size) });
            let text = record.to_text();
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(Record::from_text(&text), Some(record));
        }

        #[test]
        fn any_text_is_read_without_harm(text in ".{0,60}", cut in 0_usize..60) {
            let whole = Record::new("id".to_owned()).to_text();
            prop_assert_eq!(Record::from_text(&text), None);
            prop_assert_eq!(Record::from_text(&whole[..cut.min(whole.len())]).is_some(), cut >= whole.len());
        }
    }

    #[test]
    fn a_record_of_a_later_version_is_not_guessed_at() {
        assert_eq!(Record::from_text(r#"{"version":2,"id":"x"}"#), None);
    }

    #[test]
    fn a_record_is_short() {
        let record = Record::new("01HF7YAT00TN1D0BB8GRFC5YYD".to_owned());
        insta::assert_snapshot!(record.to_text(), @r#"{"version":1,"id":"01HF7YAT00TN1D0BB8GRFC5YYD"}"#);
    }
}
