//! After a restore, when the server runs again: does it have what the backup held?

use std::path::Path;

use crate::backup::blocking;
use crate::error::Error;
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
}

/// Asks the server, which has to run, about a restore of its data folder.
pub async fn run(server: &Server, data: &Path, trust: Trust) -> Result<Confirmed, Error> {
    let nothing = || Error::NothingToConfirm {
        path: data.to_owned(),
    };
    let folder = data.to_owned();
    let journal = blocking(move || target::journal_beside(&folder)).await?;
    let journal = journal.ok_or_else(nothing)?;
    if journal.state != State::Switched {
        return Err(nothing());
    }
    server.is_healthy().await?;
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
    Ok(Confirmed {
        journal,
        rows,
        series,
    })
}

/// Removes the data from before the restore.
pub async fn remove_previous(data: &Path) -> Result<(), Error> {
    let folder = data.to_owned();
    blocking(move || target::forget_beside(&folder)).await
}
