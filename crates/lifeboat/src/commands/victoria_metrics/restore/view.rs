//! What a restore shows: its plan, how vmagent does, and what came of it.

use std::path::{Path, PathBuf};

use lifeboat_core::size::ByteSize;
use lifeboat_victoria_metrics::era::Version;
use lifeboat_victoria_metrics::restore::{CheckedBy, Plan, Replaces, Restored};
use lifeboat_victoria_metrics::target::{self, Room};
use lifeboat_victoria_metrics::vmagent::Buffer;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Text, View, columns};
use crate::stopwatch::Pace;

#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a line that is printed or not, and most are keys of JSON"
)]
pub(super) struct PlanView {
    pub(super) instance: String,
    pub(super) version: String,
    /// The data folder that it goes to.
    pub(super) target: PathBuf,
    #[serde(skip)]
    pub(super) makes_target: bool,
    /// Whether a server has that open, which has to be stopped first.
    pub(super) in_use: bool,
    pub(super) samples: Option<u64>,
    pub(super) bytes: u64,
    /// `manifest` or `listing`.
    pub(super) checked_by: &'static str,
    pub(super) replaces_bytes: u64,
    pub(super) in_place: bool,
    pub(super) free_bytes: u64,
    /// The server that wrote the backup, or the oldest whose files look so.
    pub(super) written_by: Version,
    pub(super) vmagent: Option<AgentView>,
    /// Whether the server, which still runs, is backed up first.
    pub(super) final_backup: bool,
}

/// The buffer for what comes in while the server is stopped.
#[derive(Debug, Serialize)]
pub(super) struct AgentView {
    pub(super) pending_bytes: u64,
    /// Beside these, blocks that it tries to send.
    pub(super) blocks_in_hand: u64,
    pub(super) bytes_per_second: u64,
    /// Until it drops the oldest; absent where nobody can say.
    pub(super) seconds_left: Option<u64>,
    /// That the restore takes, by how fast some of the backup was read just now.
    pub(super) seconds_needed: Option<u64>,
    /// It keeps nothing on disk: what comes in is lost.
    pub(super) lossy: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct RestoreView {
    pub(super) instance: String,
    pub(super) version: String,
    pub(super) samples: Option<u64>,
    pub(super) bytes: u64,
    pub(super) bytes_fetched: u64,
    pub(super) bytes_reused: u64,
    pub(super) can_be_undone: bool,
    /// The version that the last data before the restore was backed up to.
    pub(super) final_backup: Option<String>,
    #[serde(flatten)]
    pub(super) pace: Pace,
}

impl PlanView {
    pub(super) fn new(instance: &str, plan: &Plan, target: &Path) -> Result<Self, Failure> {
        Ok(Self {
            instance: instance.to_owned(),
            version: plan.source.version.clone(),
            target: target.to_owned(),
            makes_target: !target.exists(),
            in_use: target::is_in_use(target)?,
            samples: plan.source.manifest.rows,
            bytes: plan.size,
            checked_by: match plan.source.checked_by {
                CheckedBy::Manifest => "manifest",
                CheckedBy::Listing => "listing",
            },
            replaces_bytes: match plan.replaces {
                Replaces::Nothing => 0,
                Replaces::Data(bytes) => bytes,
            },
            in_place: plan.room == Room::InPlace,
            free_bytes: plan.free,
            written_by: plan.writer,
            vmagent: None,
            final_backup: false,
        })
    }
}

impl From<Buffer> for AgentView {
    fn from(buffer: Buffer) -> Self {
        Self {
            pending_bytes: buffer.now.pending,
            blocks_in_hand: buffer.now.held,
            bytes_per_second: buffer.rate,
            seconds_left: buffer.seconds_left(),
            seconds_needed: None,
            lossy: buffer.now.is_lossy,
        }
    }
}

impl AgentView {
    pub(super) fn line(&self) -> String {
        if self.lossy {
            return "vmagent keeps nothing on disk: what comes in while the server is stopped is lost".to_owned();
        }
        let in_hand = match self.blocks_in_hand {
            0 => String::new(),
            1 => " and a block that it tries to send".to_owned(),
            count => format!(" and {count} blocks that it tries to send"),
        };
        let keeps = format!(
            "vmagent keeps {}{in_hand}, and {} more each second",
            ByteSize(self.pending_bytes),
            ByteSize(self.bytes_per_second)
        );
        let (Some(left), needed) = (self.seconds_left, self.seconds_needed) else {
            return keeps;
        };
        let room = format!("{keeps}: it has room for {}", roughly(left));
        match needed {
            None => room,
            Some(needed) if needed < left => {
                format!("{room}, and the restore takes {}", roughly(needed))
            }
            Some(needed) => format!(
                "{room}, which is less than the {} that the restore takes: it will drop what came first",
                roughly(needed)
            ),
        }
    }
}

/// Seconds, in a unit that a person can compare.
fn roughly(seconds: u64) -> String {
    match seconds {
        0..60 => "less than a minute".to_owned(),
        60..7_200 => format!("about {} minutes", seconds / 60),
        7_200..172_800 => format!("about {} hours", seconds / 3_600),
        _ => format!("about {} days", seconds / 86_400),
    }
}

impl RestoreView {
    pub(super) fn new(instance: &str, plan: &Plan, restored: Restored, pace: Pace) -> Self {
        let prepared = restored.prepared;
        Self {
            instance: instance.to_owned(),
            version: plan.source.version.clone(),
            samples: plan.source.manifest.rows,
            bytes: plan.size,
            bytes_fetched: prepared.fetched_bytes,
            bytes_reused: prepared.reused_bytes,
            can_be_undone: restored.can_be_undone,
            final_backup: None,
            pace,
        }
    }
}

impl View for PlanView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let samples = self
            .samples
            .map_or_else(String::new, |samples| format!(", {samples} samples"));
        text.line(format_args!(
            "would restore `{}` ({}{samples}) to `{}`, into `{}`",
            self.version,
            ByteSize(self.bytes),
            self.instance,
            self.target.display()
        ));
        if self.makes_target {
            text.line(format_args!("would make that folder, which does not exist"));
        }
        if self.in_use && !self.final_backup {
            text.line(format_args!(
                "a server has the data there open, and has to be stopped before"
            ));
        }
        if self.replaces_bytes > 0 {
            text.line(format_args!(
                "would replace the {} that are there now",
                ByteSize(self.replaces_bytes)
            ));
        }
        if self.final_backup {
            text.line(format_args!(
                "would back the running server up before, to another version, and wait until it is stopped"
            ));
        }
        if self.in_place {
            text.line(format_args!(
                "would remove them first, for want of room: they could not be brought back"
            ));
        }
        text.line(format_args!(
            "it was written by a server of {} or newer",
            self.written_by
        ));
        if let Some(vmagent) = &self.vmagent {
            text.line(format_args!("{}", vmagent.line()));
        }
        text.into()
    }
}

impl View for RestoreView {
    fn table(&self) -> String {
        let row = [
            self.version.clone(),
            self.samples
                .map_or_else(|| "-".to_owned(), |samples| samples.to_string()),
            ByteSize(self.bytes).to_string(),
            ByteSize(self.bytes_fetched).to_string(),
            ByteSize(self.bytes_reused).to_string(),
            self.pace.seconds(),
        ];
        let headings = ["name", "samples", "size", "fetched", "reused", "seconds"];
        columns(headings, &[row])
    }
}
