//! Who may write the backups of an instance: one run at a time.
//!
//! An object beside the versions says who, and until when. It is made, prolonged and taken over under conditions that the store judges at the moment of the
//! write, so of two runs one has it. It also remembers which snapshot of the server is the run's, so that whoever comes after a run that was
//! killed can delete it. What makes a backup count is written under a condition of its own: a run that lost its lease without noticing
//! cannot replace what its successor wrote.

mod card;

use jiff::{SignedDuration, Timestamp};
use lifeboat_storage::{Bucket, Condition, Version};
use tokio::sync::Mutex;

use crate::error::Error;

pub use self::card::{Card, Wish};

/// How long a lease lasts unless it is prolonged.
pub const TERM: SignedDuration = SignedDuration::from_mins(2);

/// How often it is prolonged.
const PROLONG: std::time::Duration = std::time::Duration::from_secs(30);

/// A lease that this run holds.
pub struct Lease<'a> {
    bucket: &'a Bucket,
    key: String,
    card: Card,
    stored: Version,
    /// When this run asked for a snapshot whose name is not noted yet.
    pending: Option<Timestamp>,
    /// Whether the snapshot on the card was made by this run, not by a killed one.
    has_snapshot: bool,
    /// How many of the wishes, counted from the oldest, the server has done with: see [`settled_wishes`](Self::settled_wishes).
    settled: usize,
}

impl<'a> Lease<'a> {
    /// Takes the lease. Also returns the card of the run before, where that did not give its lease back.
    pub async fn take(
        bucket: &'a Bucket,
        key: String,
        card: Card,
        now: Timestamp,
    ) -> Result<(Self, Option<Card>), Error> {
        // Nearly always nobody holds it, and then this is all.
        if let Some(stored) = store(bucket, &key, &card, Condition::Absent).await? {
            return Ok((Self::held(bucket, key, card, stored), None));
        }
        let Some(found) = bucket.fetch(&key).await? else {
            // Given back between the two.
            return match store(bucket, &key, &card, Condition::Absent).await? {
                Some(stored) => Ok((Self::held(bucket, key, card, stored), None)),
                None => Err(Error::LeaseLost),
            };
        };
        // One that cannot be read is nobody's: it was cut or written by hand.
        let before: Option<Card> = serde_json::from_slice(&found.bytes).ok();
        if let Some(before) = &before
            && before.until > now
            && before.run != card.run
        {
            return Err(held(before));
        }
        // Until this run has cleaned up, its own successor has to know what to clean up.
        let mut card = card;
        if let Some(before) = &before {
            card.wishes.clone_from(&before.wishes);
            card.snapshot.clone_from(&before.snapshot);
            card.version.clone_from(&before.version);
        }
        let condition = Condition::Unchanged(&found.version);
        if let Some(stored) = store(bucket, &key, &card, condition).await? {
            return Ok((Self::held(bucket, key, card, stored), before));
        }
        // Another run was faster.
        let winner = bucket.fetch(&key).await?;
        let winner = winner.and_then(|found| serde_json::from_slice(&found.bytes).ok());
        Err(winner.as_ref().map_or(Error::LeaseLost, held))
    }

    fn held(bucket: &'a Bucket, key: String, card: Card, stored: Version) -> Self {
        Self {
            bucket,
            key,
            card,
            stored,
            pending: None,
            has_snapshot: false,
            settled: 0,
        }
    }

    /// Prolongs the lease, and fails where it has become another's.
    pub async fn prolong(&mut self, now: Timestamp) -> Result<(), Error> {
        let mut prolonged = self.card.clone();
        prolonged.until = now + TERM;
        self.write(&prolonged).await?;
        // What was not written does not count.
        self.card = prolonged;
        Ok(())
    }

    /// Until when it is this run's, as far as the store knows.
    pub fn until(&self) -> Timestamp {
        self.card.until
    }

    /// Notes that this run is going to ask for a snapshot, for which version, and what is there before. Cut off, this value has no wish: nothing was asked for yet.
    pub async fn note_wish(
        &mut self,
        version: &str,
        before: Vec<String>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut with_wish = self.card.clone();
        with_wish.version = Some(version.to_owned());
        with_wish.until = now + TERM;
        with_wish.wishes.push(Wish { asked: now, before });
        with_wish.snapshot = None;
        self.write(&with_wish).await?;
        self.card = with_wish;
        self.pending = Some(now);
        Ok(())
    }

    /// Notes which version it is that is written.
    pub async fn note_version(&mut self, version: &str) -> Result<(), Error> {
        self.card.version = Some(version.to_owned());
        self.save().await
    }

    /// Notes the run's own snapshot.
    pub async fn note_snapshot(&mut self, snapshot: String) -> Result<(), Error> {
        self.answer(Some(snapshot));
        self.save().await
    }

    /// Forgets the run's own snapshot, which is gone. What is stored says so after the next write: to delete it again does no harm.
    pub fn forget_snapshot(&mut self) {
        self.answer(None);
    }

    /// Makes sure that the lease is ours for a good while.
    pub async fn make_sure(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.card.until.duration_since(now) > TERM / 2 {
            return Ok(());
        }
        self.prolong(now).await
    }

    /// The run knows its own snapshot now. A server makes one snapshot after the other, so whatever it was asked for before is made as well.
    fn answer(&mut self, snapshot: Option<String>) {
        self.has_snapshot = snapshot.is_some();
        self.card.snapshot = snapshot;
        if let Some(pending) = self.pending.take() {
            self.card.wishes.retain(|wish| wish.asked != pending);
            self.settled = self.card.wishes.len();
        }
    }

    /// The wishes of killed runs that can be looked into: the server is not making their snapshots any more. One that is deleted while it
    /// is made ends the server with a panic (seen with 1.112.0).
    pub fn settled_wishes(&self) -> &[Wish] {
        &self.card.wishes[..self.settled]
    }

    /// Notes that nothing is left of the settled wishes.
    pub async fn forget_settled(&mut self) -> Result<(), Error> {
        self.card.wishes.drain(..self.settled);
        self.settled = 0;
        self.save().await
    }

    /// The run's own snapshot, as far as it was noted.
    pub fn snapshot(&self) -> Option<&str> {
        self.card.snapshot.as_deref()
    }

    async fn save(&mut self) -> Result<(), Error> {
        let card = self.card.clone();
        self.write(&card).await
    }

    /// Writes the card. An answer that was lost, or not waited for, may have left a card of this run that it does not know of: it goes on from that one.
    async fn write(&mut self, card: &Card) -> Result<(), Error> {
        for _ in 0..2 {
            let condition = Condition::Unchanged(&self.stored);
            if let Some(stored) = store(self.bucket, &self.key, card, condition).await? {
                self.stored = stored;
                return Ok(());
            }
            let there = self.bucket.fetch(&self.key).await?;
            let there = there.ok_or(Error::LeaseLost)?;
            let known: Option<Card> = serde_json::from_slice(&there.bytes).ok();
            if known.is_none_or(|known| known.run != self.card.run) {
                return Err(Error::LeaseLost);
            }
            self.stored = there.version;
        }
        Err(Error::LeaseLost)
    }

    /// The server refused to make the snapshot that was asked for last.
    pub fn forget_wish(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.card.wishes.retain(|wish| wish.asked != pending);
        }
    }

    /// While it lasts nobody else takes it, so that what is deleted is ours.
    async fn delete(&mut self, now: Timestamp) -> Result<(), Error> {
        self.make_sure(now).await?;
        Ok(self.bucket.delete_once(&self.key).await?)
    }

    /// Gives the lease back, if it is still ours. Where that fails it ends by itself, and so does one that still speaks of a snapshot of this run, which the
    /// server may be making or deleting yet. What it says of snapshots stays for the next run, which cleans up.
    pub async fn release(mut self, now: Timestamp) {
        let is_busy = self.has_snapshot || self.pending.is_some();
        let speaks =
            self.pending.is_some() || self.card.snapshot.is_some() || !self.card.wishes.is_empty();
        let released = if speaks {
            if !is_busy {
                self.card.until = now;
            }
            self.save().await
        } else {
            self.delete(now).await
        };
        if let Err(error) = released {
            tracing::info!(%error, "the lease was not given back, and ends by itself");
        }
    }
}

/// Ends what was cut in the middle of an upload to the version that the lease names: by this run, or until it has named its own, by the one before it. Nobody else
/// writes there while the lease is ours, which is made sure of.
pub async fn end_uploads(lease: &Mutex<Lease<'_>>, now: Timestamp) -> Result<(), Error> {
    let mut held = lease.lock().await;
    let Some(version) = held.card.version.clone() else {
        return Ok(());
    };
    held.make_sure(now).await?;
    let bucket = held.bucket;
    // It has to be prolonged meanwhile.
    drop(held);
    bucket.end_uploads(&format!("{version}/")).await?;
    let mut held = lease.lock().await;
    held.card.version.take_if(|noted| *noted == version);
    Ok(())
}

/// Prolongs the lease for as long as it is ours, and returns when it is not: when another run has it, or when it could not be prolonged until it ended, and
/// another run may have it.
pub(crate) async fn keep(
    lease: &Mutex<Lease<'_>>,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Error {
    let mut until = lease.lock().await.until();
    loop {
        tokio::time::sleep(PROLONG).await;
        let now = clock();
        // Also while another part of the run waits for the store.
        let prolonged = async { lease.lock().await.prolong(now).await };
        match tokio::time::timeout(PROLONG, prolonged).await {
            Ok(Ok(())) => until = now + TERM,
            Ok(Err(Error::LeaseLost)) => return Error::LeaseLost,
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not prolonged"),
            Err(_) => tracing::warn!("the lease was not prolonged: the store does not answer"),
        }
        if clock() >= until {
            return Error::LeaseLost;
        }
    }
}

/// Writes the card. None where the condition does not hold.
async fn store(
    bucket: &Bucket,
    key: &str,
    card: &Card,
    condition: Condition<'_>,
) -> Result<Option<Version>, Error> {
    use lifeboat_storage::error::Cause;

    match bucket.store(key, text(card), condition).await {
        Ok(stored) => Ok(Some(stored)),
        Err(error) if matches!(*error.cause, Cause::Exists | Cause::NoObject) => Ok(None),
        Err(error) => Err(error.into()),
    }
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
