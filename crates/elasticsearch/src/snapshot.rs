//! A snapshot as a server describes it.
//!
//! Three shapes of lists are in use, numbers may be texts, and each version adds fields; so only what is needed is read, and what is missing is nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::counts::Counts;

/// The word in the metadata of a snapshot for the program that took it.
pub const TAKEN_BY: &str = "taken_by";
/// The word for the policy that it belongs to. Lifecycle management uses the same.
pub const POLICY: &str = "policy";
/// The word for how many documents its indices had.
pub const DOCUMENTS: &str = "documents";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub name: String,
    pub uuid: String,
    pub state: State,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// All of them, backing indices of data streams too.
    pub indices: Vec<String>,
    pub data_streams: Vec<String>,
    pub shards: Shards,
    pub failures: Vec<ShardFailure>,
    /// Of the engine that took it, in its own words; a range where only the format of the index is told.
    pub version: Option<String>,
    pub taken_by: Option<String>,
    pub policy: Option<String>,
    pub counts: Option<Counts>,
    /// Bytes, where the server was asked for details.
    pub size: Option<u64>,
    /// Primaries of indices, where the server was asked for details.
    pub primaries: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    InProgress,
    Success,
    /// Some of its shards are missing.
    Partial,
    Failed,
    /// Taken by a version that this one cannot read.
    Incompatible,
    Other(String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Shards {
    pub total: u64,
    pub failed: u64,
    pub successful: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardFailure {
    pub index: String,
    pub shard: u64,
    pub reason: String,
}

impl Snapshot {
    /// Reads the answer to a question for snapshots, in all its shapes. Nothing where it is none.
    pub fn read_list(answer: &Value) -> Option<Vec<Self>> {
        let of = |value: &Value| {
            let list = value["snapshots"].as_array()?;
            Some(list.iter().filter_map(Self::read).collect::<Vec<_>>())
        };
        if let Some(found) = of(answer) {
            return Some(found);
        }
        // Some builds of 7.14 and 7.15: one entry for each repository.
        let responses = answer["responses"].as_array()?;
        Some(responses.iter().filter_map(of).flatten().collect())
    }

    /// Reads one.
    pub fn read(value: &Value) -> Option<Self> {
        let name = value["snapshot"].as_str()?.to_owned();
        let metadata = |word: &str| value["metadata"][word].as_str().map(str::to_owned);
        let details = value["index_details"].as_object();
        let size = details.map(|details| {
            let sizes = details.values();
            sum(sizes.map(|one| number(&one["size_in_bytes"])))
        });
        let primaries = details.into_iter().flatten().map(|(index, one)| {
            let count = number(&one["shard_count"]);
            (index.clone(), count)
        });
        Some(Self {
            primaries: primaries.collect(),
            uuid: value["uuid"].as_str().unwrap_or_default().to_owned(),
            state: State::read(value["state"].as_str().unwrap_or_default()),
            started: moment(&value["start_time_in_millis"]).unwrap_or_default(),
            // Zero while it is being taken.
            ended: moment(&value["end_time_in_millis"]).filter(|at| at.as_millisecond() > 0),
            indices: texts(&value["indices"]),
            data_streams: texts(&value["data_streams"]),
            shards: Shards::read(&value["shards"]),
            failures: ShardFailure::read_all(&value["failures"]),
            version: value["version"].as_str().map(str::to_owned),
            taken_by: metadata(TAKEN_BY),
            policy: metadata(POLICY),
            counts: metadata(DOCUMENTS).map(|text| Counts::from_metadata(&text)),
            size,
            name,
        })
    }
}

impl State {
    pub fn read(text: &str) -> Self {
        match text {
            "IN_PROGRESS" | "STARTED" | "INIT" => Self::InProgress,
            "SUCCESS" => Self::Success,
            "PARTIAL" => Self::Partial,
            "FAILED" => Self::Failed,
            "INCOMPATIBLE" => Self::Incompatible,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The engine's word for it.
    pub fn word(&self) -> &str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Success => "SUCCESS",
            Self::Partial => "PARTIAL",
            Self::Failed => "FAILED",
            Self::Incompatible => "INCOMPATIBLE",
            Self::Other(word) => word,
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Shards {
    pub fn read(value: &Value) -> Self {
        Self {
            total: number(&value["total"]),
            failed: number(&value["failed"]),
            successful: number(&value["successful"]),
        }
    }
}

impl ShardFailure {
    fn read_all(value: &Value) -> Vec<Self> {
        let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter()
            .map(|one| Self {
                index: one["index"].as_str().unwrap_or_default().to_owned(),
                shard: number(&one["shard_id"]),
                reason: one["reason"].as_str().unwrap_or_default().to_owned(),
            })
            .collect()
    }
}

/// A number, also one that was written as a text.
pub(crate) fn number(value: &Value) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().unwrap_or(0),
        Value::String(text) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

/// What numbers from outside are together, however large they are.
pub(crate) fn sum(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().fold(0, u64::saturating_add)
}

fn moment(milliseconds: &Value) -> Option<Timestamp> {
    let milliseconds = match milliseconds {
        Value::Null => return None,
        value => i64::try_from(number(value)).ok()?,
    };
    Timestamp::from_millisecond(milliseconds).ok()
}

/// Texts of a list, or the one that stands for it.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all
            .iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::odd;

    #[test]
    fn all_shapes_of_the_list_are_read() {
        let one = json!({
            "snapshot": "a", "uuid": "u", "state": "PARTIAL", "indices": ["i"], "start_time_in_millis": "1795400777210",
            "end_time_in_millis": 0, "shards": {"total": "3", "failed": 1, "successful": 2},
            "failures": [{"index": "i", "shard_id": 2, "reason": "gone"}],
            "metadata": {"taken_by": "lifeboat 0.1.0", "policy": "auto-sts-backup"},
            "index_details": {"i": {"shard_count": 2, "size_in_bytes": 7}, "j": {"size_in_bytes": "5"}}
        });
        let plain = Snapshot::read_list(&json!({"snapshots": [one], "total": 1})).unwrap();
        let wrapped = json!({"responses": [{"repository": "r", "snapshots": [one]}]});
        assert_eq!(Snapshot::read_list(&wrapped).unwrap(), plain);
        let [read] = &plain[..] else {
            panic!("{plain:?}")
        };
        assert_eq!(read.state, State::Partial);
        assert_eq!(read.started.as_millisecond(), 1_795_400_777_210);
        assert_eq!(read.ended, None);
        assert_eq!(read.shards.total, 3);
        assert_eq!(read.failures[0].shard, 2);
        assert_eq!(read.size, Some(12));
        assert_eq!((read.primaries["i"], read.primaries["j"]), (2, 0));
        assert_eq!(read.policy.as_deref(), Some("auto-sts-backup"));
        assert_eq!(Snapshot::read_list(&json!({"error": "x"})), None);
    }

    #[test]
    fn states_and_failures_are_read() {
        for word in [
            "IN_PROGRESS",
            "SUCCESS",
            "PARTIAL",
            "FAILED",
            "INCOMPATIBLE",
            "NEW",
        ] {
            assert_eq!(State::read(word).word(), word);
        }
        for word in ["STARTED", "INIT"] {
            assert_eq!(State::read(word), State::InProgress);
        }
        let failed = json!([
            {"index": "i", "index_uuid": "u", "shard_id": 1, "reason": "primary shard is not allocated", "status": "INTERNAL_SERVER_ERROR"},
            {"index": "j"}, 7
        ]);
        let failures = ShardFailure::read_all(&failed);
        let told: Vec<_> = failures
            .iter()
            .map(|one| format!("{} {} {}", one.index, one.shard, one.reason))
            .collect();
        assert_eq!(told, ["i 1 primary shard is not allocated", "j 0 ", " 0 "]);
        assert_eq!(ShardFailure::read_all(&json!(null)), []);
    }

    fn whole() -> Value {
        let one = json!({
            "snapshot": "a", "uuid": "u", "version": "3.6.0", "state": "PARTIAL", "indices": ["i"], "data_streams": ["d"],
            "start_time_in_millis": 1_795_400_777_210_u64, "end_time_in_millis": 1_795_400_777_211_u64,
            "shards": {"total": 3, "failed": 1, "successful": 2}, "metadata": {"taken_by": "lifeboat 0.1.0", "policy": "p"},
            "failures": [{"index": "i", "shard_id": 2, "reason": "gone"}],
            "index_details": {"i": {"size_in_bytes": 7}, "j": {"size_in_bytes": "5"}}
        });
        json!({"snapshots": [one.clone(), one]})
    }

    proptest! {
        #[test]
        fn no_list_panics(list in odd::answer(&whole())) {
            Snapshot::read_list(&list);
            Snapshot::read_list(&json!({"responses": [list]}));
        }
    }
}
