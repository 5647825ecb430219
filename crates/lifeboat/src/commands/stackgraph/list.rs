//! `lifeboat stackgraph list`.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lifeboat_core::backup::{Backup, Consistency, State};
use lifeboat_core::size::ByteSize;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};

/// List the StackGraph backups in the bucket
///
/// The oldest comes first. A backup that is not complete is not listed; `--all` shows those and says why.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Also show what is in the bucket but is not a complete backup
    #[arg(long)]
    all: bool,
}

/// A backup as it is printed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    #[serde(flatten)]
    state: State,
    taken: Option<Timestamp>,
    completed: Option<Timestamp>,
    #[serde(rename = "bytes")]
    pub(crate) size: ByteSize,
    /// Versions of vertices; likewise of edges.
    vertices: Option<u64>,
    edges: Option<u64>,
    #[serde(rename = "digest")]
    pub(crate) checksum: Option<String>,
    writer: Option<String>,
    consistency: Option<Consistency>,
}

#[derive(Debug, Serialize)]
struct ListView {
    bucket: String,
    backups: Vec<Listed>,
    #[serde(skip)]
    time_zone: TimeZone,
    #[serde(skip)]
    all: bool,
}

pub(crate) async fn run(ctx: &Context, args: &ListArgs) -> Result<Exit, Failure> {
    let bucket = ctx.stackgraph_bucket()?;
    let catalog = ctx.stackgraph_catalog(&bucket);
    let found = catalog.list().await?;
    let total = found.len();
    let backups: Vec<Listed> = found
        .into_iter()
        .filter(|found| args.all || found.footer.is_some())
        .map(|found| Listed::from(found.backup))
        .collect();
    let hidden = total - backups.len();
    ctx.out.show(&ListView {
        bucket: bucket.name().to_owned(),
        backups,
        time_zone: ctx.clock.time_zone().clone(),
        all: args.all,
    })?;
    if hidden > 0 {
        ctx.note(&format!(
            "{hidden} more {} in the bucket that no restore could use; `--all` shows why",
            if hidden == 1 {
                "object is"
            } else {
                "objects are"
            }
        ))?;
    }
    Ok(Exit::Success)
}

impl From<Backup> for Listed {
    fn from(backup: Backup) -> Self {
        Self {
            name: backup.name,
            state: backup.state,
            taken: backup.taken,
            completed: backup.completed,
            size: backup.size,
            vertices: backup.counts.get("vertices").copied(),
            edges: backup.counts.get("edges").copied(),
            checksum: backup.checksum,
            writer: backup.writer,
            consistency: backup.consistency,
        }
    }
}

impl Listed {
    fn elements(&self) -> String {
        match (self.vertices, self.edges) {
            (Some(vertices), Some(edges)) => (vertices + edges).to_string(),
            _ => "-".to_owned(),
        }
    }
}

impl ListView {
    fn time(&self, at: Option<Timestamp>) -> String {
        at.map_or_else(
            || "-".to_owned(),
            |at| {
                at.to_zoned(self.time_zone.clone())
                    .strftime("%Y-%m-%d %H:%M")
                    .to_string()
            },
        )
    }
}

impl View for ListView {
    fn table(&self) -> String {
        if self.backups.is_empty() {
            return format!("no backups in bucket `{}`\n", self.bucket);
        }
        if self.all {
            let rows: Vec<_> = self
                .backups
                .iter()
                .map(|backup| {
                    let state = match &backup.state {
                        State::Completed => "completed".to_owned(),
                        State::Foreign(reason) | State::Incomplete(reason) => reason.clone(),
                    };
                    [
                        backup.name.clone(),
                        self.time(backup.taken),
                        backup.size.to_string(),
                        backup.elements(),
                        state,
                    ]
                })
                .collect();
            return columns(["name", "taken", "size", "elements", "state"], &rows);
        }
        let rows: Vec<_> = self
            .backups
            .iter()
            .map(|backup| {
                [
                    backup.name.clone(),
                    self.time(backup.taken),
                    backup.size.to_string(),
                    backup.elements(),
                ]
            })
            .collect();
        columns(["name", "taken", "size", "elements"], &rows)
    }

    fn script(&self) -> String {
        let mut text = format!(
            "=== Listing StackGraph backups in bucket \"{}\"...\n",
            self.bucket
        );
        for backup in &self.backups {
            text.push_str(&backup.name);
            text.push('\n');
        }
        text.push_str("===\n");
        text
    }
}
