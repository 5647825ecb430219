//! What a restore notes of itself, so that whoever comes after a kill knows how to go on.
//!
//! Two notes, because a second restore may be prepared while the first can still be undone: [`Preparation`] of what is fetched, [`Journal`] of what has taken the
//! place of the data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::era::Version;

/// A restore that is being prepared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparation {
    pub version: String,
    /// When the backup was completed: of the same version there may be a newer one since.
    pub completed: Timestamp,
    /// When this run had the folder to itself: a server that had it open before has stopped by then.
    pub begun: Timestamp,
    /// Whether the data was removed for want of room, or is being removed: nothing but a restore brings any back.
    #[serde(default)]
    pub is_emptied: bool,
    /// Whether servers were kept from starting already: another tool's restore was cut.
    #[serde(default)]
    pub was_barred: bool,
    /// The version that the data was backed up to just before.
    #[serde(default)]
    pub final_backup: Option<String>,
}

/// A restore whose data takes, or has taken, the place of what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    pub version: String,
    pub completed: Timestamp,
    pub state: State,
    /// As of its [`Preparation`]: what the backup lacks of the server's data came before.
    pub begun: Timestamp,
    /// Whether servers were kept from starting before: the data that an undo brings back is half of something.
    #[serde(default)]
    pub was_barred: bool,
    /// While folders are renamed: those that have come from elsewhere or still have to.
    #[serde(default)]
    pub arriving: Vec<String>,
    /// The version that the data from before was backed up to last, if that was done for the restore.
    #[serde(default)]
    pub final_backup: Option<String>,
    /// The server that wrote the backup, or the oldest whose files look so. None in notes of before this was kept.
    #[serde(default)]
    pub writer: Option<Version>,
    /// Samples of the backup, where they are known.
    pub rows: Option<u64>,
    pub series: Option<u64>,
    pub range: Option<(Timestamp, Timestamp)>,
}

impl Journal {
    /// Whether it is what was prepared that has taken the place of the data.
    pub fn is_of(&self, preparation: &Preparation) -> bool {
        let of = (&self.version, self.completed, self.begun);
        let prepared = (
            &preparation.version,
            preparation.completed,
            preparation.begun,
        );
        self.state == State::Switched && of == prepared
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Folders are being renamed. Goes forward.
    Switching,
    /// The data is that of the backup; what it was before lies beside, unless it had to be removed.
    Switched,
    /// Folders are being renamed back.
    Undoing,
}
