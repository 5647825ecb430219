//! What a server will look for when it opens a backup: the parts that the lists name, and the files that each part has.
//!
//! Pure: given the paths of a backup and the contents of its lists. vmrestore does not look; a server that misses a file panics at
//! its start, and one that finds no list takes every folder for a part.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::files::Fault;

/// A folder of samples or of index entries that never changes once it is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// `data/small/2026_11/18A0B1C2D3E4F506`.
    pub path: String,
    pub kind: Kind,
    /// What its name says, before 1.90.
    summary: Option<Summary>,
}

/// The samples of a part, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Summary {
    pub rows: u64,
    /// Time of the earliest and of the latest sample.
    pub range: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Data,
    Index,
}

/// All parts of a backup, and what is missing for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    pub parts: Vec<Part>,
    pub faults: Vec<Fault>,
}

const LIST: &str = "parts.json";
const DATA_FILES: [&str; 4] = ["index.bin", "metaindex.bin", "timestamps.bin", "values.bin"];
const INDEX_FILES: [&str; 5] = [
    "index.bin",
    "items.bin",
    "lens.bin",
    "metaindex.bin",
    "metadata.json",
];
/// What a part says of itself, since 1.90.
const METADATA: &str = "metadata.json";

#[derive(Deserialize)]
struct DataList {
    #[serde(rename = "Small")]
    small: Option<Vec<String>>,
    #[serde(rename = "Big")]
    big: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct PartMetadata {
    #[serde(rename = "RowsCount")]
    rows: u64,
    /// Milliseconds since 1970.
    #[serde(rename = "MinTimestamp")]
    first: i64,
    #[serde(rename = "MaxTimestamp")]
    last: i64,
}

impl Inventory {
    /// Takes stock of what lies at `paths`. `lists` are the contents of all that end in `parts.json`.
    pub fn take<'a>(
        paths: impl IntoIterator<Item = &'a str>,
        lists: &BTreeMap<String, Vec<u8>>,
    ) -> Self {
        let paths: BTreeSet<&str> = paths.into_iter().collect();
        let mut inventory = Self::default();
        let mut tables: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for path in &paths {
            if let Some((table, rest)) = table(path) {
                let parts = tables.entry(table).or_default();
                if let Some((part, _)) = rest.split_once('/') {
                    parts.insert(part);
                }
            }
        }
        for (table, folders) in &tables {
            if let Some(month) = table.strip_prefix("data/big/") {
                // The list beside, of the small parts, speaks of these too.
                let small = format!("data/small/{month}");
                if !tables.contains_key(small.as_str()) {
                    inventory.without_list(table, folders, Kind::Data, &paths);
                }
                continue;
            }
            inventory.take_table(table, folders, &paths, lists, &tables);
        }
        inventory
    }

    fn take_table(
        &mut self,
        table: &str,
        folders: &BTreeSet<&str>,
        paths: &BTreeSet<&str>,
        lists: &BTreeMap<String, Vec<u8>>,
        tables: &BTreeMap<&str, BTreeSet<&str>>,
    ) {
        let kind = if table.starts_with("data/small/") {
            Kind::Data
        } else {
            Kind::Index
        };
        let list = format!("{table}/{LIST}");
        let big = table.replacen("data/small/", "data/big/", 1);
        if !paths.contains(list.as_str()) {
            if self.without_list(table, folders, kind, paths)
                && let (Kind::Data, Some(folders)) = (kind, tables.get(big.as_str()))
            {
                self.without_list(&big, folders, kind, paths);
            }
            return;
        }
        let Some(content) = lists.get(&list) else {
            self.faults.push(Fault::Missing { path: list });
            return;
        };
        match named(kind, content) {
            Ok([small, large]) => {
                for name in small {
                    self.part(format!("{table}/{name}"), kind, paths);
                }
                for name in large {
                    self.part(format!("{big}/{name}"), kind, paths);
                }
            }
            Err(reason) => self.faults.push(Fault::Unreadable { path: list, reason }),
        }
    }

    /// Before 1.90 there were no lists: every folder is a part. False where a folder shows that there must have been one.
    fn without_list(
        &mut self,
        table: &str,
        folders: &BTreeSet<&str>,
        kind: Kind,
        paths: &BTreeSet<&str>,
    ) -> bool {
        for name in folders {
            if !is_old_name(name, kind) {
                let path = format!("{table}/{LIST}");
                self.faults.push(Fault::Missing { path });
                return false;
            }
            self.part(format!("{table}/{name}"), kind, paths);
        }
        true
    }

    fn part(&mut self, path: String, kind: Kind, paths: &BTreeSet<&str>) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let old = is_old_name(name, kind);
        let files: &[&str] = match kind {
            Kind::Data => &DATA_FILES,
            Kind::Index => &INDEX_FILES,
        };
        let metadata = (kind == Kind::Data && !old).then_some(METADATA);
        for file in files.iter().copied().chain(metadata) {
            let path = format!("{path}/{file}");
            if !paths.contains(path.as_str()) {
                self.faults.push(Fault::Missing { path });
            }
        }
        let summary = (old && kind == Kind::Data)
            .then(|| Summary::of_name(name))
            .flatten();
        self.parts.push(Part {
            path,
            kind,
            summary,
        });
    }

    /// Files in which the parts of the index say of themselves what they hold.
    pub fn index_metadata(&self) -> impl Iterator<Item = String> {
        let parts = self.parts.iter().filter(|part| part.kind == Kind::Index);
        parts.map(Part::metadata)
    }

    /// Sums up all parts. `read` returns the content of the file at a path.
    pub fn summary(&self, mut read: impl FnMut(&str) -> Option<Vec<u8>>) -> Result<Summary, Fault> {
        let mut sum = Summary::default();
        for part in self.parts.iter().filter(|part| part.kind == Kind::Data) {
            let summary = if let Some(summary) = part.summary {
                summary
            } else {
                let path = part.metadata();
                let Some(content) = read(&path) else {
                    return Err(Fault::Missing { path });
                };
                Summary::of_metadata(&content)
                    .map_err(|reason| Fault::Unreadable { path, reason })?
            };
            sum = sum.and(summary);
        }
        Ok(sum)
    }

    /// Files that [`Inventory::summary`] will want to read.
    pub fn counted_in(&self) -> impl Iterator<Item = String> {
        let parts = self.parts.iter();
        parts
            .filter(|part| part.kind == Kind::Data && part.summary.is_none())
            .map(Part::metadata)
    }
}

impl Part {
    fn metadata(&self) -> String {
        format!("{}/{METADATA}", self.path)
    }
}

/// Splits a path into the table that it belongs to and what is below it.
fn table(path: &str) -> Option<(&str, &str)> {
    let depth = if path.starts_with("data/") {
        3
    } else if path.starts_with("indexdb/") {
        2
    } else {
        return None;
    };
    let (at, _) = path.match_indices('/').nth(depth - 1)?;
    Some((&path[..at], &path[at + 1..]))
}

/// The small and the big parts that a list names; those of an index are all small.
fn named(kind: Kind, content: &[u8]) -> Result<[Vec<String>; 2], String> {
    let lists = match kind {
        Kind::Data => {
            let list: DataList = serde_json::from_slice(content).map_err(|e| e.to_string())?;
            [list.small.unwrap_or_default(), list.big.unwrap_or_default()]
        }
        Kind::Index => {
            let list: Option<Vec<String>> =
                serde_json::from_slice(content).map_err(|e| e.to_string())?;
            [list.unwrap_or_default(), Vec::new()]
        }
    };
    for name in lists.iter().flatten() {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Err(format!("`{name}` is not the name of a part"));
        }
    }
    Ok(lists)
}

impl Summary {
    fn of_metadata(content: &[u8]) -> Result<Self, String> {
        let metadata: PartMetadata =
            serde_json::from_slice(content).map_err(|error| error.to_string())?;
        let moment = |milliseconds| Timestamp::from_millisecond(milliseconds).ok();
        let range = moment(metadata.first).zip(moment(metadata.last));
        Ok(Self {
            rows: metadata.rows,
            range: range.filter(|_| metadata.rows > 0),
        })
    }

    /// Reads `9_9_20231114221320.001_20231114221320.009_18EB5543649E5C4D`.
    fn of_name(name: &str) -> Option<Self> {
        let mut fields = name.split('_');
        let rows = fields.next()?.parse().ok()?;
        let mut times = fields.skip(1).map(|field| {
            let time = DateTime::strptime("%Y%m%d%H%M%S%.f", field).ok()?;
            let zoned = time.to_zoned(TimeZone::UTC).ok()?;
            Some(zoned.timestamp())
        });
        let range = times.next().flatten().zip(times.next().flatten());
        Some(Self { rows, range })
    }

    fn and(self, other: Self) -> Self {
        let range = match (self.range, other.range) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
        Self {
            rows: self.rows.saturating_add(other.rows),
            range,
        }
    }
}

/// Names of parts before 1.90: `<rows>_<blocks>_<first>_<last>_<id>` of data, `<items>_<blocks>_<id>` of an index.
pub fn is_old_name(name: &str, kind: Kind) -> bool {
    let fields: Vec<&str> = name.split('_').collect();
    let wanted = match kind {
        Kind::Data => 5,
        Kind::Index => 3,
    };
    fields.len() == wanted
        && fields[..2]
            .iter()
            .all(|field| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The list that names no part, for a table in which parts are put before their list.
pub fn empty_list(path: &str) -> Option<&'static [u8]> {
    let table = path.strip_suffix("/parts.json")?;
    Some(if table.starts_with("data/small/") {
        br#"{"Small":[],"Big":[]}"#
    } else {
        b"[]"
    })
}

/// Whether any of these paths lies in the table that a list is of, or in the one of the large parts beside it.
pub fn has_parts(list: &str, paths: &BTreeSet<&str>) -> bool {
    let Some(table) = list.strip_suffix(LIST) else {
        return false;
    };
    let big = table.replacen("data/small/", "data/big/", 1);
    [table, &big].into_iter().any(|table| {
        let mut from = paths.range(table..).filter(|path| **path != list);
        from.next().is_some_and(|path| path.starts_with(table))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn files(part: &str, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("{part}/{name}")).collect()
    }

    fn take(paths: &[String], lists: &[(&str, &str)]) -> Inventory {
        let lists = lists
            .iter()
            .map(|(path, content)| ((*path).to_owned(), content.as_bytes().to_vec()))
            .collect();
        Inventory::take(paths.iter().map(String::as_str), &lists)
    }

    fn faults(inventory: &Inventory) -> Vec<String> {
        inventory.faults.iter().map(Fault::to_string).collect()
    }

    /// What a server of today has: small and big parts of two months, one index for each.
    fn whole() -> (Vec<String>, Vec<(&'static str, &'static str)>) {
        let data = [
            "index.bin",
            "metaindex.bin",
            "timestamps.bin",
            "values.bin",
            "metadata.json",
        ];
        let paths = [
            files("data/small/2026_11/1A", &data),
            files("data/big/2026_11/2B", &data),
            files("data/small/2026_11", &["parts.json"]),
            files("data/small/2026_12", &["parts.json"]),
            files("data/indexdb/2026_11/3C", &INDEX_FILES),
            files("data/indexdb/2026_11", &["parts.json"]),
            files("metadata", &["minTimestampForCompositeIndex"]),
        ];
        let lists = vec![
            (
                "data/small/2026_11/parts.json",
                r#"{"Small":["1A"],"Big":["2B"]}"#,
            ),
            (
                "data/small/2026_12/parts.json",
                r#"{"Small":null,"Big":[]}"#,
            ),
            ("data/indexdb/2026_11/parts.json", r#"["3C"]"#),
        ];
        (paths.concat(), lists)
    }

    #[test]
    fn all_parts_that_lists_name_are_found() {
        let (paths, lists) = whole();
        let inventory = take(&paths, &lists);
        assert_eq!(faults(&inventory), Vec::<String>::new());
        let parts: Vec<_> = inventory
            .parts
            .iter()
            .map(|part| part.path.as_str())
            .collect();
        assert_eq!(
            parts,
            [
                "data/indexdb/2026_11/3C",
                "data/small/2026_11/1A",
                "data/big/2026_11/2B"
            ]
        );
    }

    #[test]
    fn each_file_of_a_listed_part_is_missed_and_what_no_list_names_is_not() {
        let (paths, lists) = whole();
        for missing in 0..paths.len() {
            let mut paths = paths.clone();
            let path = paths.remove(missing);
            let found = faults(&take(&paths, &lists));
            let expected =
                if path.starts_with("metadata/") || path == "data/small/2026_12/parts.json" {
                    // The first is nobody's part; without the second the month is as if it was not there.
                    vec![]
                } else {
                    vec![format!("`{path}` is missing")]
                };
            assert_eq!(found, expected);
        }
        let mut paths = paths;
        paths.push("data/small/2026_11/9F/values.bin".to_owned());
        assert_eq!(faults(&take(&paths, &lists)), Vec::<String>::new());
    }

    #[test]
    fn parts_of_old_servers_need_no_list_and_say_what_they_hold() {
        let name = "9_9_20231114221320.001_20231114221329.500_18EB5543649E5C4D";
        let paths = [
            files(&format!("data/small/2023_11/{name}"), &DATA_FILES),
            files(
                "indexdb/18EB5542ECAE5BCF/74_1_18EB5542EDC29A6D",
                &INDEX_FILES,
            ),
            files("indexdb/18EB5542ECAE5BCF", &["converted-to-v1.28.0"]),
        ]
        .concat();
        let inventory = take(&paths, &[]);
        assert_eq!(faults(&inventory), Vec::<String>::new());
        let summary = inventory.summary(|_| None).unwrap();
        assert_eq!(summary.rows, 9);
        let (first, last) = summary.range.unwrap();
        assert_eq!(first.to_string(), "2023-11-14T22:13:20.001Z");
        assert_eq!(last.to_string(), "2023-11-14T22:13:29.5Z");
    }

    #[test]
    fn a_list_that_is_none_or_leads_elsewhere_is_told() {
        let paths = files("data/small/2026_11", &["parts.json"]);
        let list = |content| faults(&take(&paths, &[("data/small/2026_11/parts.json", content)]));
        insta::assert_snapshot!(list("[]").join("\n"), @"`data/small/2026_11/parts.json` cannot be read: invalid length 0, expected struct DataList with 2 elements at line 1 column 2");
        insta::assert_snapshot!(list(r#"{"Small":["../1A"]}"#).join("\n"), @"`data/small/2026_11/parts.json` cannot be read: `../1A` is not the name of a part");
        insta::assert_snapshot!(list("").join("\n"), @"`data/small/2026_11/parts.json` cannot be read: EOF while parsing a value at line 1 column 0");
    }

    #[test]
    fn rows_are_those_of_all_parts() {
        let (paths, lists) = whole();
        let content = |path: &str| {
            let rows = if path.contains("small") { 40 } else { 2 };
            let text = format!(
                r#"{{"RowsCount":{rows},"BlocksCount":1,"MinTimestamp":{rows}000,"MaxTimestamp":{rows}900,"MinDedupInterval":0}}"#
            );
            Some(text.into_bytes())
        };
        let summary = take(&paths, &lists).summary(content).unwrap();
        assert_eq!(summary.rows, 42);
        let (first, last) = summary.range.unwrap();
        assert_eq!(
            (first.as_millisecond(), last.as_millisecond()),
            (2000, 40_900)
        );
    }

    proptest! {
        #[test]
        fn no_list_and_no_metadata_panics(content in prop::collection::vec(any::<u8>(), 0..60), text in "\\PC*") {
            let paths = files("data/small/2026_11", &["parts.json"]);
            let lists = BTreeMap::from([(paths[0].clone(), content.clone())]);
            Inventory::take(paths.iter().map(String::as_str), &lists);
            prop_assert!(Summary::of_metadata(&content).is_err());
            Summary::of_name(&text);
            is_old_name(&text, Kind::Data);
        }
    }
}
