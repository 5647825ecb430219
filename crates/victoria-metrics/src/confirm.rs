//! After a restore, when the server runs again: does it have what the backup held?
//!
//! First it is proven that the server which answers is the one that has the restored folder open. It makes a snapshot, which has to appear in the folder:
//! nothing that it only says could not be said as well by another server of the same data, such as the other one of a pair.
//!
//! What a SIGKILL leaves: before the snapshot is deleted, that snapshot on the server that answered. It keeps merged files on the disk until somebody deletes it;
//! servers since 1.122 do so after three days. While the old data is removed: see [`target::Beside::forget`].

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::progress::Progress;

use crate::backup::{blocking, stopped};
use crate::era;
use crate::error::Error;
use crate::restore::{self, Left};
use crate::server::{Server, Vitals};
use crate::target::{self, Journal, Preparation, State};

/// What is counted and what is kept in memory of a server comes apart for moments while samples come in.
const LOOKS: u32 = 5;
/// Servers count once a second.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1100);
/// The least that a server can be told to keep.
const LEAST_RETENTION: Duration = Duration::from_hours(24);
/// By which the clocks of a server and of its samples may differ.
const CLOCKS: Duration = Duration::from_hours(1);

/// What is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// As many samples as the backup, beside those that have come in since.
    Exact,
    /// A server drops what is older than its retention when it opens it. Some has to be left, and found if it is not as old as that.
    AcceptFewer,
}

/// A restore whose data a server has open. While nothing of this changes, nobody else can have had the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scene {
    journal: Journal,
    /// Of another restore, that failed or was killed.
    preparation: Option<Preparation>,
    /// When the server was started: the folder is its own until it ends.
    started: Option<u64>,
}

/// What the server says.
#[derive(Debug)]
pub struct Confirmed {
    scene: Scene,
    /// All samples of the server.
    pub samples: u64,
    /// Those that have come in since it was started, where it tells.
    pub came_in: Option<u64>,
    pub series: Option<u64>,
    /// Whether the data from before the restore is there yet.
    pub has_previous: bool,
}

/// Asks the server, which has to run, about a restore of its data folder. Removes nothing. When `progress` asks to stop, the snapshot is deleted first.
pub async fn run(
    server: &Server,
    data: &Path,
    trust: Trust,
    now: Timestamp,
    progress: &Progress,
) -> Result<Confirmed, Error> {
    let scene = tokio::select! {
        scene = restored(server, data) => scene?,
        stopped = stopped(progress) => return Err(stopped),
    };
    prove_open(server, data, progress).await?;
    tokio::select! {
        confirmed = compare(server, data, trust, now, scene) => confirmed,
        stopped = stopped(progress) => Err(stopped),
    }
}

/// What was restored, if a server has it open and one answers.
async fn restored(server: &Server, data: &Path) -> Result<Scene, Error> {
    let nothing = || Error::NothingToConfirm {
        path: data.to_owned(),
    };
    let (journal, preparation) = notes(data).await?;
    let journal = journal.filter(|journal| journal.state == State::Switched);
    let journal = journal.ok_or_else(nothing)?;
    if restore::left(data)? == Left::Emptied {
        return Err(nothing());
    }
    server.is_healthy().await?;
    check_in_use(server, data).await?;
    let vitals = server.vitals().await?;
    if let (Some(writer), Some(answers)) = (journal.writer, vitals.version)
        && let Some(reason) = era::refusal(writer, answers)
    {
        return Err(Error::CannotRead {
            url: server.url().to_owned(),
            server: answers,
            writer,
            reason,
        });
    }
    Ok(Scene {
        journal,
        preparation,
        started: vitals.started,
    })
}

async fn notes(data: &Path) -> Result<(Option<Journal>, Option<Preparation>), Error> {
    let folder = data.to_owned();
    blocking(move || {
        let journal = target::journal_beside(&folder)?;
        Ok((journal, target::preparation_beside(&folder)?))
    })
    .await
}

/// Fails where no server has the folder open.
async fn check_in_use(server: &Server, data: &Path) -> Result<(), Error> {
    let folder = data.to_owned();
    if blocking(move || target::is_in_use(&folder)).await? {
        return Ok(());
    }
    Err(Error::NotOpened {
        instance: server.instance().to_owned(),
        url: server.url().to_owned(),
        path: data.to_owned(),
    })
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
    now: Timestamp,
    scene: Scene,
) -> Result<Confirmed, Error> {
    let journal = &scene.journal;
    server.flush().await;
    let mut looks = 1;
    let vitals = loop {
        let vitals = server.vitals().await?;
        match judge(journal.rows, &vitals, trust) {
            Ok(()) => break vitals,
            Err(error) if looks == LOOKS => return Err(error),
            Err(_) => looks += 1,
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    };
    // A server that is too old for the index of the backup counts its samples, and answers nothing.
    if let Some((first, last)) = journal.range
        && (trust == Trust::Exact || is_kept(last, now, vitals.retention))
        && !server.has_samples(last).await?
        // The last may be of a series that was deleted: lists of parts count it, and nobody finds it.
        && (trust == Trust::Exact || !server.has_samples_between(first, last).await?)
    {
        return Err(Error::NotFound { at: last });
    }
    Ok(Confirmed {
        scene,
        samples: vitals.samples().unwrap_or(0),
        came_in: vitals.came_in(),
        series: server.series().await,
        has_previous: target::has_previous(data)?,
    })
}

/// Whether the server has enough of the samples that were there when it was started. One that does not say how many it has is taken to have none.
fn judge(expected: Option<u64>, vitals: &Vitals, trust: Trust) -> Result<(), Error> {
    let found = vitals.from_before().unwrap_or(0);
    let Some(expected) = expected else {
        return Ok(());
    };
    let least = match trust {
        Trust::Exact => expected,
        Trust::AcceptFewer => expected.min(1),
    };
    if found >= least {
        return Ok(());
    }
    Err(Error::NotRestored {
        found,
        came_in: vitals.came_in(),
        expected,
    })
}

/// Whether a server surely keeps what is of this moment. `retention` is what it says of itself, if it does.
fn is_kept(at: Timestamp, now: Timestamp, retention: Option<Duration>) -> bool {
    let age = now.duration_since(at).unsigned_abs();
    at > now || age + CLOCKS < retention.unwrap_or(LEAST_RETENTION)
}

impl Confirmed {
    pub fn journal(&self) -> &Journal {
        &self.scene.journal
    }

    /// Removes the data from before the restore. An error where the server was restarted since it was asked, or the notes of the restore have changed: in between
    /// there may have been another restore, or an undo, of which this knows nothing.
    pub async fn remove_previous(&self, server: &Server, data: &Path) -> Result<(), Error> {
        let started = server.vitals().await?.started;
        // From here nobody else changes the notes.
        let folder = data.to_owned();
        let beside = blocking(move || target::Beside::hold(&folder)).await?;
        check_in_use(server, data).await?;
        let (journal, preparation) = notes(data).await?;
        let now = journal.map(|journal| Scene {
            journal,
            preparation,
            started,
        });
        if now.as_ref() != Some(&self.scene) {
            return Err(Error::Changed {
                path: data.to_owned(),
            });
        }
        blocking(move || beside.forget()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vitals(rows: u64, accepted: u64) -> Vitals {
        Vitals::parse(&format!(
            "vm_rows{{type=\"storage/small\"}} {rows}\nvm_rows_received_by_storage_total {accepted}\nvm_rows_added_to_storage_total {accepted}\n"
        ))
    }

    #[test]
    fn what_came_in_makes_up_for_nothing_that_was_lost() {
        let judged =
            |rows, accepted, trust| judge(Some(100), &vitals(rows, accepted), trust).is_ok();
        for (rows, accepted, exactly, fewer) in [
            (100, 0, true, true),
            (150, 50, true, true),
            (150, 51, false, true),
            (99, 0, false, true),
            (5000, 5000, false, false),
            (0, 0, false, false),
        ] {
            assert_eq!(
                judged(rows, accepted, Trust::Exact),
                exactly,
                "{rows} {accepted}"
            );
            assert_eq!(
                judged(rows, accepted, Trust::AcceptFewer),
                fewer,
                "{rows} {accepted}"
            );
        }
        for trust in [Trust::Exact, Trust::AcceptFewer] {
            assert!(
                judge(Some(100), &Vitals::default(), trust).is_err(),
                "it tells nothing"
            );
            assert!(judge(Some(0), &Vitals::default(), trust).is_ok());
            assert!(judge(None, &Vitals::default(), trust).is_ok());
        }
    }

    #[test]
    fn what_the_retention_covers_has_to_be_found() {
        let now: Timestamp = "2026-11-26T10:00:00Z".parse().unwrap();
        let days = |days: u64| Duration::from_hours(24 * days);
        let kept = |age: Duration, retention| is_kept(now - age, now, retention);
        assert!(kept(days(30), Some(days(31))));
        assert!(!kept(days(31), Some(days(31))));
        assert!(!kept(days(40), Some(days(31))));
        assert!(kept(Duration::from_hours(22), None));
        assert!(!kept(Duration::from_hours(24), None));
        // Clocks of what is measured may be ahead.
        assert!(is_kept(now + days(2), now, Some(days(1))));
    }
}
