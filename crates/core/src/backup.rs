//! The one record that describes a backup of any store.
//!
//! A store's crate reads it from the backup itself (its footer, its manifest); it is never kept in a second place
//! that could disagree. Listing, verifying, expiring and `-o json` all speak this record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::size::ByteSize;

/// One backup, as far as it can be known without reading all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    pub store: Store,
    /// Which of several equal stores, for example `victoria-metrics-0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    pub name: String,
    pub state: State,
    /// The moment whose data the backup holds.
    pub taken: Option<Timestamp>,
    /// The moment from which it counts: its completion mark is durable.
    pub completed: Option<Timestamp>,
    pub size: ByteSize,
    /// Numbers of what is inside, by the store's own words: `vertices`, `edges`, `documents`.
    pub counts: BTreeMap<String, u64>,
    /// The digest of the content, in hex, where the format carries one.
    pub checksum: Option<String>,
    /// Program and version that wrote it.
    pub writer: Option<String>,
    pub consistency: Option<Consistency>,
}

/// A kind of data store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    #[serde(rename = "stackgraph")]
    StackGraph,
    VictoriaMetrics,
    Elasticsearch,
}

/// Whether a backup can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "kebab-case")]
pub enum State {
    /// Its completion mark is there and well-formed.
    Completed,
    /// Written by another program in a format whose completeness cannot be seen from outside.
    Foreign(String),
    /// It will not restore, and why.
    Incomplete(String),
}

/// What the store promised about the moment a backup shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// One frozen view, whatever was written meanwhile.
    Snapshot,
    /// Writers were stopped.
    Quiesced,
    /// Writes during the backup may be seen in part.
    BestEffort,
}
