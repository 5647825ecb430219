//! One thing in the trash: what it was, and under which names it lies there.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};
use serde::{Deserialize, Serialize};

use crate::backend::{Error, ObjectPath};
use crate::backends::local::record::Record;

const HOUR_FORM: &str = "%Y-%m-%dT%H";

/// An object that was removed or replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Tells it from all others; its files are named by it.
    pub id: String,
    pub bucket: String,
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// By the clock on the wall.
    pub removed: Timestamp,
    pub why: Why,
    /// Where it lies, by the trash's own time.
    pub(in crate::backends::local) hour: Hour,
    /// The record that counted for this key, also where the bytes have other names with other records.
    pub(in crate::backends::local) record: Record,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    Deleted,
    /// Another object took its key.
    Replaced,
}

impl Entry {
    pub fn path(&self) -> Result<ObjectPath, Error> {
        ObjectPath::new(self.bucket.as_str(), self.key.as_str())
    }

    pub fn etag(&self) -> &str {
        &self.record.etag
    }

    /// When the object was written.
    pub fn modified(&self) -> Timestamp {
        self.record.modified()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an entry is plain text and numbers")
    }

    /// The file that says what it is. What has none is not in the trash.
    pub(super) fn file(&self) -> String {
        Part::Entry.file(&self.id)
    }

    /// The file with the bytes.
    pub(super) fn object(&self) -> String {
        Part::Object.file(&self.id)
    }

    /// Where it lies.
    pub fn place(&self) -> Place {
        Place {
            hour: self.hour,
            id: self.id.clone(),
        }
    }
}

/// Where an entry lies: enough to find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub(super) hour: Hour,
    pub(super) id: String,
}

/// One of the two files of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Entry,
    Object,
}

impl Part {
    fn suffix(self) -> &'static str {
        match self {
            Self::Entry => ".entry",
            Self::Object => ".object",
        }
    }

    /// The name of the file of an entry with this id.
    pub(super) fn file(self, id: &str) -> String {
        format!("{id}{}", self.suffix())
    }

    /// Returns the id in a file name, if it is one of this kind.
    pub(super) fn id(self, name: &str) -> Option<&str> {
        let id = name.strip_suffix(self.suffix())?;
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then_some(id)
    }
}

/// An hour of the trash's own time. What was removed in it lies in one directory and expires together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(in crate::backends::local) struct Hour {
    /// Since 1970.
    hours: i64,
}

impl Hour {
    pub(super) fn of(time: Timestamp) -> Self {
        Self {
            hours: time.as_second().div_euclid(3600),
        }
    }

    pub(super) fn start(self) -> Timestamp {
        Timestamp::from_second(self.hours * 3600).unwrap_or(Timestamp::MAX)
    }

    /// Whether everything of this hour has lain in the trash for `term`.
    pub(super) fn is_over(self, term: SignedDuration, time: Timestamp) -> bool {
        let end = self.start().checked_add(SignedDuration::from_hours(1));
        end.and_then(|end| end.checked_add(term))
            .is_ok_and(|over| over <= time)
    }
}

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start().to_zoned(TimeZone::UTC);
        write!(f, "{}", start.strftime(HOUR_FORM))
    }
}

impl From<Hour> for String {
    fn from(hour: Hour) -> Self {
        hour.to_string()
    }
}

impl FromStr for Hour {
    type Err = String;

    /// Reads what is written by [`Hour`], nothing else.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not an hour such as `2026-01-31T09`");
        let (day, hour) = text.split_once('T').ok_or_else(wrong)?;
        let day: civil::Date = day.parse().map_err(|_| wrong())?;
        let hour: i8 = hour.parse().map_err(|_| wrong())?;
        let start = civil::Time::new(hour, 0, 0, 0)
            .and_then(|time| day.to_datetime(time).to_zoned(TimeZone::UTC))
            .map_err(|_| wrong())?;
        let hour = Self::of(start.timestamp());
        (hour.to_string() == text).then_some(hour).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Hour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::Attributes;

    #[test]
    fn an_entry_is_readable_text() {
        let record = Record::new(
            "01HZ".to_owned(),
            "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            Timestamp::UNIX_EPOCH,
            Attributes::default(),
        );
        let entry = Entry {
            id: "01J0".to_owned(),
            bucket: "bucket".to_owned(),
            key: "a/b".to_owned(),
            size: 7,
            removed: Timestamp::UNIX_EPOCH,
            why: Why::Replaced,
            hour: Hour::of(Timestamp::UNIX_EPOCH),
            record,
        };
        insta::assert_snapshot!(
            String::from_utf8(entry.to_bytes()).unwrap(),
            @r#"{"id":"01J0","bucket":"bucket","key":"a/b","size":7,"removed":"1970-01-01T00:00:00Z","why":"replaced","hour":"1970-01-01T00","record":{"version":1,"id":"01HZ","etag":"d41d8cd98f00b204e9800998ecf8427e","modified":0}}"#
        );
        assert_eq!(Entry::from_bytes(&entry.to_bytes()).unwrap(), entry);
        assert_eq!(Part::Entry.id(&entry.file()), Some("01J0"));
        assert_eq!(Part::Object.id(&entry.object()), Some("01J0"));
        assert_eq!(Part::Entry.id(&entry.object()), None);
    }

    #[test]
    fn names_that_are_no_hours_are_not_read_as_such() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T9",
            "2026-01-31T24",
            "2026-02-30T01",
            "2026-01-31T09Z",
            "pending",
        ] {
            assert!(text.parse::<Hour>().is_err(), "{text}");
        }
        assert_eq!(
            "2026-01-31T09".parse::<Hour>().unwrap().to_string(),
            "2026-01-31T09"
        );
    }

    proptest! {
        #[test]
        fn hours_sort_as_they_are_written(one in 0_i64..4_000_000_000, other in 0_i64..4_000_000_000) {
            let hours = [one, other].map(|second| Hour::of(Timestamp::from_second(second).unwrap()));
            let texts = hours.map(|hour| hour.to_string());
            prop_assert_eq!(hours[0].cmp(&hours[1]), texts[0].cmp(&texts[1]));
            prop_assert_eq!(texts[0].parse(), Ok(hours[0]));
        }

        #[test]
        fn nothing_is_over_before_its_term(second in 0_i64..4_000_000_000, term in 1_i64..10_000_000, later in 0_i64..20_000_000) {
            let removed = Timestamp::from_second(second).unwrap();
            let term = SignedDuration::from_secs(term);
            let time = removed + SignedDuration::from_secs(later);
            let over = Hour::of(removed).is_over(term, time);
            if time.duration_since(removed) < term {
                prop_assert!(!over);
            }
            if time.duration_since(removed) >= term + SignedDuration::from_hours(1) {
                prop_assert!(over);
            }
        }
    }
}
