//! After a restore, when the server runs again: does it have what the backup held?
//!
//! First it is proven that the server which answers is the one that has the restored folder open. It makes a snapshot, which has to appear in the folder:
//! nothing that it only says could not be said as well by another server of the same data, such as the other one of a pair.
//!
//! What a SIGKILL leaves: before the snapshot is deleted, that snapshot on the server that answered. It keeps merged files on the disk until somebody deletes it;
//! servers since 1.122 do so after three days. While the old data is removed: see [`target::forget_beside`].

use std::path::Path;

use lifeboat_core::progress::Progress;

use crate::backup::{blocking, stopped};
use crate::error::Error;
use crate::restore::{self, Left};
use crate::server::Server;
use crate::target::{self, Journal, State};

/// What is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// As many samples as the backup.
    Exact,
    /// A server drops what is older than its retention when it opens it.
    AcceptFewer,
}

/// What the server says.
#[derive(Debug)]
pub struct Confirmed {
    pub journal: Journal,
    pub rows: u64,
    pub series: Option<u64>,
    /// Whether the data from before the restore is there yet.
    pub has_previous: bool,
}

/// Asks the server, which has to run, about a restore of its data folder. Removes nothing. When `progress` asks to stop, the snapshot is deleted first.
pub async fn run(
    server: &Server,
    data: &Path,
    trust: Trust,
    progress: &Progress,
) -> Result<Confirmed, Error> {
    let journal = tokio::select! {
        journal = restored(server, data) => journal?,
        stopped = stopped(progress) => return Err(stopped),
    };
    prove_open(server, data, progress).await?;
    tokio::select! {
        confirmed = compare(server, data, trust, journal) => confirmed,
        stopped = stopped(progress) => Err(stopped),
    }
}

/// What was restored, if a server has it open and one answers.
async fn restored(server: &Server, data: &Path) -> Result<Journal, Error> {
    let nothing = || Error::NothingToConfirm {
        path: data.to_owned(),
    };
    let folder = data.to_owned();
    let journal = blocking(move || target::journal_beside(&folder)).await?;
    let journal = journal.filter(|journal| journal.state == State::Switched);
    let journal = journal.ok_or_else(nothing)?;
    if restore::left(data)? == Left::Emptied {
        return Err(nothing());
    }
    server.is_healthy().await?;
    let folder = data.to_owned();
    if !blocking(move || target::is_in_use(&folder)).await? {
        return Err(Error::NotOpened {
            instance: server.instance().to_owned(),
            url: server.url().to_owned(),
            path: data.to_owned(),
        });
    }
    Ok(journal)
}

/// Fails unless the server that answers has this folder open: only then its snapshot appears there.
async fn prove_open(server: &Server, data: &Path, progress: &Progress) -> Result<(), Error> {
    let proof = async {
        let folder = data.join("snapshots").join(server.create_snapshot().await?);
        let looked = blocking(move || {
            let found = folder.try_exists();
            found.map_err(|source| Error::File {
                doing: "look at",
                path: folder,
                source,
            })
        });
        if looked.await? {
            return Ok(());
        }
        Err(Error::OtherServer {
            instance: server.instance().to_owned(),
            url: server.url().to_owned(),
            path: data.to_owned(),
        })
    };
    let proven = tokio::select! {
        proven = proof => proven,
        stopped = stopped(progress) => Err(stopped),
    };
    // Out of reach of a stop: waits for one that is still being made.
    if let Some(name) = server.made_snapshot().await
        && let Err(error) = server.delete_snapshot(&name).await
    {
        tracing::warn!(%error, snapshot = name, "the snapshot was not deleted; until it is, by `/snapshot/delete`, it keeps merged files on the disk");
    }
    proven
}

async fn compare(
    server: &Server,
    data: &Path,
    trust: Trust,
    journal: Journal,
) -> Result<Confirmed, Error> {
    server.flush().await;
    let rows = server.vitals().await?.rows.unwrap_or(0);
    let series = server.series().await;
    if let Some(expected) = journal.rows
        && rows < expected
        && trust == Trust::Exact
    {
        return Err(Error::NotRestored {
            found: rows,
            expected,
        });
    }
    // A server that is too old for the index of the backup counts its samples, and answers nothing.
    if let (Some((_, last)), Trust::Exact) = (journal.range, trust)
        && !server.has_series(last).await?
    {
        return Err(Error::NotFound { at: last });
    }
    Ok(Confirmed {
        journal,
        rows,
        series,
        has_previous: target::has_previous(data),
    })
}

/// Removes the data from before the restore.
pub async fn remove_previous(data: &Path) -> Result<(), Error> {
    let folder = data.to_owned();
    blocking(move || target::forget_beside(&folder)).await
}
