//! Who restores from a version: while somebody does, nothing of it is deleted.
//!
//! Any number may read at once, and reading stops no backup: a backup that goes to the version leaves for the next one what it would delete, and an expiry leaves the
//! version. Each reader has an object of its own below the version, that says until when it holds and is prolonged. What a SIGKILL leaves ends by
//! itself, and the next backup or expiry removes it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lifeboat_storage::Condition;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::layout;
use crate::store::Place;

/// How long a note holds unless it is prolonged.
const TERM: SignedDuration = SignedDuration::from_mins(2);
/// How often it is prolonged.
const PROLONG: Duration = Duration::from_secs(30);
/// The folder of the notes, below a version. Every tool passes over what is in it, for how its names end.
const FOLDER: &str = "lifeboat_reading";

/// What the object of a reader says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// For people: host, process and command.
    pub owner: String,
    pub since: Timestamp,
    pub until: Timestamp,
}

impl Reader {
    /// For people.
    pub fn says(&self) -> String {
        format!(
            "{} restores from it, since {:.0} (if it was killed, its note ends at {:.0})",
            self.owner, self.since, self.until
        )
    }
}

/// Who is going to read.
pub struct Identity<'a> {
    pub owner: String,
    /// The run's own.
    pub run: String,
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
}

/// Does the work while the version is noted to be read. A store that takes no note is read all the same.
pub(crate) async fn while_noted<T>(
    place: Place<'_>,
    version: &str,
    who: &Identity<'_>,
    work: impl Future<Output = T>,
) -> T {
    let key = format!("{version}/{FOLDER}/{}{}", who.run, layout::IGNORED);
    let since = (who.clock)();
    let note = async || {
        let reader = Reader {
            owner: who.owner.clone(),
            since,
            until: (who.clock)() + TERM,
        };
        let text = serde_json::to_vec(&reader).expect("it is text and times");
        match place.bucket.store(&key, text, Condition::None).await {
            Ok(_) => true,
            Err(error) => {
                tracing::info!(%error, "that the version is read could not be noted");
                false
            }
        }
    };
    let mut is_noted = note().await;
    let prolong = async {
        loop {
            tokio::time::sleep(PROLONG).await;
            is_noted |= note().await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = prolong => unreachable!("it has no end"),
    };
    if is_noted && let Err(error) = place.bucket.delete(&key).await {
        tracing::info!(%error, "the note that the version is read was not removed, and ends by itself");
    }
    done
}

/// Whoever reads a version now.
pub(crate) async fn readers(
    place: Place<'_>,
    version: &str,
    now: Timestamp,
) -> Result<Vec<Reader>, Error> {
    let mut readers = Vec::new();
    let notes = place
        .bucket
        .list_below(&format!("{version}/{FOLDER}/"))
        .await?;
    for note in notes {
        let Some(found) = place.bucket.fetch(&note.key).await? else {
            continue;
        };
        // One that cannot be read is nobody's: it was written by hand.
        match serde_json::from_slice::<Reader>(&found.bytes) {
            Ok(reader) if reader.until > now => readers.push(reader),
            _ => place.bucket.delete(&note.key).await?,
        }
    }
    Ok(readers)
}
