//! Who may write the backups of an instance: one run at a time.
//!
//! An object beside the versions says who, and until when. It is made, prolonged and taken over under conditions that the store judges at the moment of the
//! write, so of two runs one has it. It also remembers which snapshot of the server is the run's, so that whoever comes after a run that was
//! killed can delete it. What makes a backup count is written under a condition of its own: a run that lost its lease without noticing
//! cannot replace what its successor wrote.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use lifeboat_storage::{Bucket, Condition, Version};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How long a lease lasts unless it is prolonged.
pub const TERM: SignedDuration = SignedDuration::from_mins(2);

/// The name of a snapshot has the second in which the server began with it.
const SNAPSHOT_BEGINS_WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// What the object says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// For people: host, process and command.
    pub owner: String,
    /// The run's own identity.
    pub run: String,
    /// What it does: a version that it writes, or nothing that can be named yet.
    #[serde(default)]
    pub version: Option<String>,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Snapshots of the server before this run made its own.
    #[serde(default)]
    pub before: Vec<String>,
    /// When this run asked for its own. Until its name is noted, that is all there is to know it by.
    #[serde(default)]
    pub asked: Option<Timestamp>,
    /// The run's own.
    #[serde(default)]
    pub snapshot: Option<String>,
}

impl Card {
    /// Which of the snapshots that a server has now must be this run's, of which only the wish was noted: the one that was not there before and was begun
    /// in the seconds after the wish. Of two nobody can say.
    pub fn unnoted(&self, now: &[String]) -> Option<String> {
        let asked = self.asked.filter(|_| self.snapshot.is_none())?;
        let until = asked + SNAPSHOT_BEGINS_WITHIN;
        let mut candidates = now.iter().filter(|name| {
            !self.before.contains(name)
                && snapshot_time(name).is_some_and(|time| {
                    (asked - SignedDuration::from_secs(1)..until).contains(&time)
                })
        });
        let one = candidates.next()?;
        candidates.next().is_none().then(|| one.clone())
    }
}

/// A lease that this run holds.
pub struct Lease<'a> {
    bucket: &'a Bucket,
    key: String,
    card: Card,
    stored: Version,
}

impl<'a> Lease<'a> {
    /// Takes the lease. Also returns the card of the run before, where that did not give its lease back.
    pub async fn take(
        bucket: &'a Bucket,
        key: String,
        card: Card,
        now: Timestamp,
    ) -> Result<(Self, Option<Card>), Error> {
        let (condition_on, before) = match bucket.fetch(&key).await? {
            None => (None, None),
            Some(found) => {
                // One that cannot be read is nobody's: it was cut or written by hand.
                let before: Option<Card> = serde_json::from_slice(&found.bytes).ok();
                if let Some(before) = &before
                    && before.until > now
                    && before.run != card.run
                {
                    return Err(held(before));
                }
                (Some(found.version), before)
            }
        };
        // Until this run has cleaned up, its own successor has to know what to clean up.
        let mut card = card;
        if let Some(before) = &before {
            card.before.clone_from(&before.before);
            card.asked = before.asked;
            card.snapshot.clone_from(&before.snapshot);
        }
        let condition = condition_on
            .as_ref()
            .map_or(Condition::Absent, Condition::Unchanged);
        let stored = match bucket.store(&key, text(&card), condition).await {
            Ok(stored) => stored,
            Err(error) if matches!(*error.cause, lifeboat_storage::error::Cause::Exists) => {
                let Some(found) = bucket.fetch(&key).await? else {
                    return Err(Error::LeaseLost);
                };
                return match serde_json::from_slice(&found.bytes) {
                    Ok(other) => Err(held(&other)),
                    Err(_) => Err(error.into()),
                };
            }
            Err(error) => return Err(error.into()),
        };
        let lease = Self {
            bucket,
            key,
            card,
            stored,
        };
        Ok((lease, before))
    }

    /// Prolongs the lease, and fails where it has become another's.
    pub async fn prolong(&mut self, now: Timestamp) -> Result<(), Error> {
        self.card.until = now + TERM;
        self.save().await
    }

    /// Notes that this run is going to ask for a snapshot, and what is there before. Cut off, this value has no wish: nothing was asked for yet.
    pub async fn note_wish(&mut self, before: Vec<String>, now: Timestamp) -> Result<(), Error> {
        let with_wish = Card {
            before,
            asked: Some(now),
            snapshot: None,
            ..self.card.clone()
        };
        self.stored = self.write(&with_wish).await?;
        self.card = with_wish;
        Ok(())
    }

    /// Notes which version it is that is written.
    pub async fn note_version(&mut self, version: &str) -> Result<(), Error> {
        self.card.version = Some(version.to_owned());
        self.save().await
    }

    /// Notes the run's own snapshot, or that it is gone.
    pub async fn note_snapshot(&mut self, snapshot: Option<String>) -> Result<(), Error> {
        self.card.snapshot = snapshot;
        self.card.asked = None;
        self.save().await
    }

    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The version that is written, as far as it was noted.
    pub fn version(&self) -> Option<&str> {
        self.card.version.as_deref()
    }

    /// The run's own snapshot, as far as it was noted.
    pub fn snapshot(&self) -> Option<&str> {
        self.card.snapshot.as_deref()
    }

    async fn save(&mut self) -> Result<(), Error> {
        self.stored = self.write(&self.card).await?;
        Ok(())
    }

    async fn write(&self, card: &Card) -> Result<Version, Error> {
        let condition = Condition::Unchanged(&self.stored);
        let written = self.bucket.store(&self.key, text(card), condition).await;
        written.map_err(|error| match *error.cause {
            lifeboat_storage::error::Cause::Exists | lifeboat_storage::error::Cause::NoObject => {
                Error::LeaseLost
            }
            _ => error.into(),
        })
    }

    /// Gives the lease back, if it is still ours. Where that fails it ends by itself, and so does one that still speaks of a snapshot, which the server may
    /// be making or deleting yet: the next run cleans up after it.
    pub async fn release(mut self, now: Timestamp) {
        let speaks = self.card.snapshot.is_some() || self.card.asked.is_some();
        if !speaks {
            self.card.until = now;
        }
        let mut released = self.save().await;
        if released.is_ok() && !speaks {
            released = self.bucket.delete(&self.key).await.map_err(Error::from);
        }
        if let Err(error) = released {
            tracing::info!(%error, "the lease was not given back, and ends by itself");
        }
    }
}

/// When a snapshot was begun, by its name.
fn snapshot_time(name: &str) -> Option<Timestamp> {
    let (time, _) = name.split_once('-')?;
    let time = DateTime::strptime("%Y%m%d%H%M%S", time).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn held(card: &Card) -> Error {
    Error::Held {
        owner: card.owner.clone(),
        since: card.since,
        until: card.until,
    }
}

fn text(card: &Card) -> Vec<u8> {
    serde_json::to_vec(card).expect("it is text and times")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_whose_name_was_never_noted_is_known_if_it_is_the_only_one() {
        let card = Card {
            owner: String::new(),
            run: String::new(),
            version: None,
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            before: vec!["20231128160001-1A".to_owned()],
            asked: "2023-11-28T16:00:00.9Z".parse().ok(),
            snapshot: None,
        };
        let unnoted = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            card.unnoted(&names)
        };
        let ours = "20231128160000-2B";
        assert_eq!(unnoted(&["20231128160001-1A", ours]).as_deref(), Some(ours));
        assert_eq!(unnoted(&["20231128160001-1A"]), None);
        assert_eq!(unnoted(&[ours, "20231128160003-3C"]), None, "two may be");
        assert_eq!(
            unnoted(&["20231128160100-3C", "garbage"]),
            None,
            "too late, and no name"
        );
        let noted = Card {
            asked: None,
            ..card.clone()
        };
        assert_eq!(noted.unnoted(&[ours.to_owned()]), None);
    }
}
