//! The scrub: every object is read again now and then and compared with its checksum, slowly.
//!
//! It goes through all buckets in order, remembers on the volume how far it has come, and keeps a list of what it found
//! damaged. An object replaced while it is read is not damage: its bytes stay what they were as long as they are open.

mod check;
mod damage;
mod progress;

use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) use self::check::{Buffer, Check, Reason, Verdict};
pub(super) use self::damage::Bytes;
pub use self::damage::Damage;
pub(super) use self::damage::Damages;
pub use self::progress::{Counts, Finished, Pass, Progress};
use super::Local;
use super::contents::Contents;
use super::tree::{Directory, present};
use super::volume::{HOME, Volume};
use crate::backend::listing::ListQuery;
use crate::backend::{Error, ObjectPath, Scrubbed, is_bucket_name};

/// Below the gateway's own directory.
pub(super) const PROGRESS: &str = "scrub";
pub(super) const DAMAGES: &str = "damage";
/// How many objects are listed at a time.
const PAGE: usize = 256;
/// An object counts for at least so many bytes: opening a small one costs the disk as much as reading them.
const LEAST: u64 = 64 * 1024;
/// After so many bytes the progress is written down.
const SAVE_EVERY: u64 = 256 * 1024 * 1024;
/// Shorter waits are saved up.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// What the scrub of a volume knows.
#[derive(Debug)]
pub(super) struct Scrub {
    progress: Mutex<Progress>,
    damages: Mutex<Damages>,
    /// Since this process began.
    objects: AtomicU64,
    bytes: AtomicU64,
}

/// How many bytes a second may be read.
struct Pace {
    rate: NonZeroU64,
    owed: Duration,
}

impl Pace {
    fn new(rate: NonZeroU64) -> Self {
        Self {
            rate,
            owed: Duration::ZERO,
        }
    }

    /// How long to wait after so many bytes.
    fn after(&mut self, bytes: u64) -> Option<Duration> {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.get());
        self.owed += Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        (self.owed >= SHORTEST_WAIT).then(|| std::mem::take(&mut self.owed))
    }

    async fn wait(&mut self, bytes: u64) {
        if let Some(wait) = self.after(bytes) {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Scrub {
    pub(super) fn open(volume: &Volume) -> io::Result<Self> {
        let home = volume.root.open(HOME)?;
        Ok(Self {
            progress: Mutex::new(read_progress(&home)?),
            damages: Mutex::new(read_damages(&home)?),
            objects: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damages(&self) -> MutexGuard<'_, Damages> {
        self.damages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> Scrubbed {
        let progress = self.progress();
        let counts = match (&progress.last, &progress.pass) {
            (Some(last), _) => last.counts,
            (None, Some(pass)) => pass.counts,
            (None, None) => Counts::default(),
        };
        Scrubbed {
            objects: self.objects.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            unverifiable: counts.unverifiable,
            damaged: u64::try_from(self.damages().len()).unwrap_or(u64::MAX),
            last_pass: progress.last.as_ref().map(|last| last.ended),
        }
    }

    fn save_progress(&self, volume: &Volume) -> io::Result<()> {
        let bytes = serde_json::to_vec(&*self.progress()).map_err(io::Error::from)?;
        volume.write_file(&volume.root.open(HOME)?, PROGRESS, &bytes)
    }

    /// Changes the list of damages, and writes it down if `change` says that it did.
    fn change_damages(
        &self,
        volume: &Volume,
        change: impl FnOnce(&mut Damages) -> bool,
    ) -> io::Result<()> {
        let mut damages = self.damages();
        if !change(&mut damages) {
            return Ok(());
        }
        volume.write_file(&volume.root.open(HOME)?, DAMAGES, &damages.to_bytes())
    }

    /// Strikes out what is no longer there: removed, or replaced by other bytes.
    pub(super) fn forget_what_is_gone(&self, volume: &Volume) -> io::Result<()> {
        let known: Vec<Damage> = self.damages().iter().cloned().collect();
        let gone: Vec<Damage> = known
            .into_iter()
            .filter(|damage| volume.is_gone(damage))
            .collect();
        self.change_damages(volume, |damages| {
            for damage in &gone {
                damages.remove(&damage.bucket, &damage.key);
            }
            !gone.is_empty()
        })
    }
}

pub(super) fn read_progress(home: &Directory) -> io::Result<Progress> {
    let bytes = present(home.read_file(PROGRESS))?;
    // Damaged, it says nothing: the pass begins anew.
    let progress = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(progress.unwrap_or_default())
}

pub(super) fn read_damages(home: &Directory) -> io::Result<Damages> {
    let bytes = present(home.read_file(DAMAGES))?;
    Ok(bytes.map(|bytes| Damages::read(&bytes)).unwrap_or_default())
}

impl Contents {
    /// Returns the next keys after one of a bucket, and whether there may be more.
    pub(super) fn keys_after(&self, bucket: &str, key: &str) -> Result<(Vec<String>, bool), Error> {
        let query = ListQuery {
            after: Some(key.to_owned()).filter(|key| !key.is_empty()),
            limit: PAGE,
            ..ListQuery::default()
        };
        match self.list(bucket, &query) {
            Ok(page) => {
                let keys = page.entries.iter().map(|entry| entry.name().to_owned());
                Ok((keys.collect(), page.truncated))
            }
            Err(Error::NoSuchBucket { .. }) => Ok((Vec::new(), false)),
            Err(error) => Err(error),
        }
    }

    /// The names of the buckets, in order.
    pub(super) fn bucket_names(&self) -> Result<Vec<String>, Error> {
        let names = self
            .root
            .names()
            .map_err(Error::io("listing the buckets"))?;
        let mut buckets: Vec<String> = names
            .into_iter()
            .map(|name| name.text)
            .filter(|name| is_bucket_name(name))
            .collect();
        buckets.sort_unstable();
        Ok(buckets)
    }

    /// Whether what was found damaged is no longer there: removed, or replaced by other bytes.
    pub(super) fn is_gone(&self, damage: &Damage) -> bool {
        let path = ObjectPath::new(damage.bucket.as_str(), damage.key.as_str());
        match path.and_then(|path| self.find(&path)) {
            Ok(found) => !damage.is_of(Some(&Bytes::of(&found))),
            Err(Error::DamagedRecord { .. }) => !damage.is_of(None),
            Err(Error::NoSuchKey { .. } | Error::NoSuchBucket { .. }) => true,
            Err(_) => false,
        }
    }

    /// Opens an object for a check. What cannot even be opened is judged at once, what is not there is nothing.
    pub(super) fn begin_check(&self, path: &ObjectPath) -> Result<Begun, Error> {
        match self.find(path) {
            Ok(found) => Ok(Begun::Check(Bytes::of(&found), Box::new(Check::new(found)))),
            Err(Error::NoSuchKey { .. } | Error::NoSuchBucket { .. }) => Ok(Begun::Gone),
            Err(Error::NotSupported { .. }) => Ok(Begun::Judged(Verdict::Unverifiable)),
            Err(error) => match Reason::of(&error) {
                Some(reason) => Ok(Begun::Judged(Verdict::Damaged(reason))),
                None => Err(error),
            },
        }
    }
}

/// The beginning of a check.
pub(super) enum Begun {
    Check(Bytes, Box<Check>),
    Judged(Verdict),
    Gone,
}

/// What became of one object.
struct Outcome {
    bytes: Option<Bytes>,
    verdict: Verdict,
    /// How many bytes were read.
    read: u64,
}

impl Local {
    /// Makes a pass over all objects if one is due, at so many bytes a second, or goes on with the one that was begun. It
    /// may be dropped at any time: the next call goes on from what was last written down.
    pub async fn scrub(&self, rate: NonZeroU64) -> Result<(), Error> {
        let mut pace = Pace::new(rate);
        let due = |inner: &super::Inner| {
            let now = inner.volume.sources.now();
            let mut progress = inner.scrub.progress();
            progress
                .due(now)
                .map(|pass| (pass.bucket.clone(), pass.key.clone()))
        };
        let Some((mut bucket, mut key)) = self.run(move |inner| Ok(due(inner))).await? else {
            return Ok(());
        };
        let mut unsaved = 0;
        loop {
            let at = (bucket.clone(), key.clone());
            let next = self
                .run(move |inner| next_keys(&inner.volume, &at.0, &at.1))
                .await?;
            let Some((in_bucket, keys)) = next else {
                break;
            };
            bucket = in_bucket;
            for name in keys {
                key = name;
                let read = self.scrub_one(&bucket, &key, &mut pace).await?;
                unsaved += read.max(LEAST);
                if unsaved >= SAVE_EVERY {
                    unsaved = 0;
                    self.save_scrub().await?;
                }
            }
        }
        self.run(|inner| {
            let now = inner.volume.sources.now();
            inner.scrub.progress().end(now);
            Ok(())
        })
        .await?;
        self.save_scrub().await?;
        let counts = self
            .inner
            .scrub
            .progress()
            .last
            .as_ref()
            .map(|last| last.counts);
        if let Some(counts) = counts {
            tracing::info!(
                objects = counts.objects,
                bytes = counts.bytes,
                damaged = counts.damaged,
                unverifiable = counts.unverifiable,
                "all objects have been read and compared with their checksums"
            );
        }
        Ok(())
    }

    async fn save_scrub(&self) -> Result<(), Error> {
        self.run(|inner| {
            inner
                .scrub
                .save_progress(&inner.volume)
                .map_err(Error::io("writing how far the scrub has come"))
        })
        .await
    }

    /// Checks one object and notes the result. Returns how many bytes were read.
    async fn scrub_one(&self, bucket: &str, key: &str, pace: &mut Pace) -> Result<u64, Error> {
        let Ok(path) = ObjectPath::new(bucket, key) else {
            return Ok(0);
        };
        let mut outcome = self.check(&path, pace).await?;
        if let Some(Outcome {
            verdict: Verdict::Damaged(_),
            ..
        }) = outcome
        {
            // Once more, before a person is called.
            outcome = self.check(&path, pace).await?;
        }
        self.run(move |inner| {
            inner
                .note(&path, outcome.as_ref())
                .map_err(Error::io("writing what the scrub found"))?;
            Ok(outcome.map_or(0, |outcome| outcome.read))
        })
        .await
    }

    /// Reads one object from end to end; nothing if it is not there any more.
    async fn check(&self, path: &ObjectPath, pace: &mut Pace) -> Result<Option<Outcome>, Error> {
        let of = path.clone();
        let begun = self.run(move |inner| inner.volume.begin_check(&of)).await?;
        let (bytes, mut check) = match begun {
            Begun::Check(bytes, check) => (bytes, check),
            Begun::Gone => return Ok(None),
            Begun::Judged(verdict) => {
                pace.wait(LEAST).await;
                return Ok(Some(Outcome {
                    bytes: None,
                    verdict,
                    read: 0,
                }));
            }
        };
        let mut buffer = Buffer::default();
        loop {
            let before = check.offset();
            let (verdict, on, again) = self
                .run(move |_| {
                    let verdict = check.step(&mut buffer);
                    Ok((verdict, check, buffer))
                })
                .await?;
            (check, buffer) = (on, again);
            let read = check.offset();
            pace.wait((read - before).max(LEAST)).await;
            if let Some(verdict) = verdict {
                return Ok(Some(Outcome {
                    bytes: Some(bytes),
                    verdict,
                    read,
                }));
            }
        }
    }
}

impl super::Inner {
    /// Counts an object that was looked at, and remembers or forgets damage.
    fn note(&self, path: &ObjectPath, outcome: Option<&Outcome>) -> io::Result<()> {
        let (bucket, key) = (path.bucket(), path.key());
        let now = self.volume.sources.now();
        if let Some(pass) = &mut self.scrub.progress().pass {
            bucket.clone_into(&mut pass.bucket);
            key.clone_into(&mut pass.key);
            if let Some(outcome) = outcome {
                pass.counts.objects += 1;
                pass.counts.bytes += outcome.read;
                match outcome.verdict {
                    Verdict::Sound => {}
                    Verdict::Unverifiable => pass.counts.unverifiable += 1,
                    Verdict::Damaged(_) => pass.counts.damaged += 1,
                }
            }
        }
        let Some(Outcome {
            bytes,
            verdict,
            read,
        }) = outcome
        else {
            return Ok(());
        };
        self.scrub.objects.fetch_add(1, Ordering::Relaxed);
        self.scrub.bytes.fetch_add(*read, Ordering::Relaxed);
        let Verdict::Damaged(reason) = verdict else {
            return self
                .scrub
                .change_damages(&self.volume, |damages| damages.remove(bucket, key));
        };
        tracing::error!(bucket, key, %reason, "a stored object is damaged");
        let damage = reason.about(path, now, bytes.clone());
        self.scrub
            .change_damages(&self.volume, |damages| damages.add(damage))
    }
}

/// Returns the next keys after a place, with the bucket they are in; nothing after the last.
pub(super) fn next_keys(
    contents: &Contents,
    bucket: &str,
    key: &str,
) -> Result<Option<(String, Vec<String>)>, Error> {
    for name in contents.bucket_names()? {
        if name.as_str() < bucket {
            continue;
        }
        let after = if name == bucket { key } else { "" };
        let (keys, _) = contents.keys_after(&name, after)?;
        if !keys.is_empty() {
            return Ok(Some((name, keys)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_waits_are_saved_up_and_none_is_lost() {
        let mut pace = Pace::new(NonZeroU64::new(1_000_000).unwrap());
        let mut waited = Duration::ZERO;
        for _ in 0..1000 {
            if let Some(wait) = pace.after(3000) {
                assert!(wait >= SHORTEST_WAIT);
                waited += wait;
            }
        }
        assert!(waited <= Duration::from_secs(3));
        assert!(waited + SHORTEST_WAIT > Duration::from_secs(3));
    }
}
