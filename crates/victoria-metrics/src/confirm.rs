//! After a restore, when the server runs again: does it have what the backup held?

use std::path::Path;

use crate::backup::blocking;
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

/// Asks the server, which has to run, about a restore of its data folder.
pub async fn run(server: &Server, data: &Path, trust: Trust) -> Result<Confirmed, Error> {
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
        // The one that answers has other data.
        return Err(Error::NotOpened {
            path: data.to_owned(),
        });
    }
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
