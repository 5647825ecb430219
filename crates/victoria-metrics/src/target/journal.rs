//! What a restore notes of itself, so that whoever comes after a kill knows how to go on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a restore has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    pub version: String,
    /// When the backup was completed: of the same version there may be a newer one since.
    pub completed: Timestamp,
    pub state: State,
    pub begun: Timestamp,
    pub room: Room,
    /// While folders are renamed: those that have come from elsewhere or still have to.
    #[serde(default)]
    pub arriving: Vec<String>,
    /// Samples of the backup, where they are known.
    pub rows: Option<u64>,
    pub series: Option<u64>,
    pub range: Option<(Timestamp, Timestamp)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Files are fetched; the data is untouched.
    Preparing,
    /// Folders are being renamed. Goes forward.
    Switching,
    /// The data is that of the backup; what it was before lies beside.
    Switched,
    /// Folders are being renamed back.
    Undoing,
}

/// Whether the data before can be brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Room {
    /// It is kept until the restore is confirmed.
    Beside,
    /// It is removed, for want of space, before the new is whole.
    InPlace,
}
