//! What was deleted or replaced, and the way back.

pub(crate) mod list;
pub(crate) mod restore;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use jiff::Timestamp;
use lifeboat_gateway::backends::local::Visit;
use lifeboat_gateway::backends::local::trash::{Entry, Filter, RestoreError, Why};
use serde::Serialize;

use crate::backends;
use crate::context::{Context, blocking};
use crate::exit::Exit;
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(crate) enum TrashCommand {
    List(list::ListArgs),
    Restore(restore::RestoreArgs),
}

pub(crate) async fn run(ctx: &Context, command: &TrashCommand) -> Result<Exit, Failure> {
    match command {
        TrashCommand::List(args) => list::run(ctx, args).await,
        TrashCommand::Restore(args) => restore::run(ctx, args).await,
    }
}

/// An object in the trash as it is printed.
#[derive(Debug, Clone, Serialize)]
struct Listed {
    bucket: String,
    key: String,
    id: String,
    bytes: u64,
    etag: String,
    modified: Timestamp,
    removed: Timestamp,
    why: Why,
    volume: PathBuf,
}

impl Listed {
    fn new(entry: &Entry, volume: &Path) -> Self {
        Self {
            bucket: entry.bucket.clone(),
            key: entry.key.clone(),
            id: entry.id.clone(),
            bytes: entry.size,
            etag: entry.etag().to_owned(),
            modified: entry.modified(),
            removed: entry.removed,
            why: entry.why,
            volume: volume.to_owned(),
        }
    }
}

/// Reads the trash of every volume of the settings, or of the one that is named.
async fn read(
    ctx: &Context,
    volume: Option<&Path>,
    filter: Filter,
) -> Result<Vec<(Visit, Vec<Entry>)>, Failure> {
    let volumes = backends::volumes(ctx, volume)?;
    blocking(move || {
        let mut found = Vec::new();
        for volume in volumes {
            let visit = Visit::open(&volume)?;
            let entries = visit
                .trash(&filter)
                .map_err(|error| Failure::new(error.kind(), error))?;
            found.push((visit, entries));
        }
        Ok(found)
    })
    .await
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        Self::new(error.kind(), error)
    }
}
