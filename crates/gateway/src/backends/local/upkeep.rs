//! What a volume in service needs beside requests.

use std::num::NonZeroU64;
use std::time::Duration;

use jiff::SignedDuration;
use lifeboat_core::size::ByteSize;
use tokio::time::MissedTickBehavior;

use super::control::Listener;
use super::trash::{Entry, Occupied, Place, RestoreError};
use super::volume::HOME;
use super::{Capability, Local, OpenError};
use crate::backend::Error;

/// How often the volume is looked after.
const TEND_EVERY: Duration = Duration::from_mins(1);

impl Local {
    /// Keeps what is deleted or replaced from now on for `term`; the first call counts. Blocks.
    pub fn keep_trash(&self, term: SignedDuration) -> Result<(), OpenError> {
        let volume = &self.inner.volume;
        if !volume.can.has(Capability::Links) {
            let path = volume.path.clone();
            return Err(OpenError::NoLinks { path });
        }
        volume.trash.switch_on(term);
        Ok(())
    }

    /// Does what is due: counts the trash and removes what has lain there for its term, forgets damage that is gone.
    pub async fn tend(&self) -> Result<(), Error> {
        self.run(|inner| {
            inner
                .scrub
                .forget_what_is_gone(&inner.volume)
                .map_err(Error::io("looking after the list of damaged objects"))?;
            let removed = inner
                .volume
                .tend_trash()
                .map_err(Error::io("looking after the trash"))?;
            if removed.objects > 0 {
                let size = ByteSize(removed.bytes);
                tracing::info!(objects = removed.objects, %size, "trash whose term is over is gone");
            }
            Ok(())
        })
        .await
    }

    /// Looks after the volume and answers commands until it is dropped, which it may be at any time. With `scrub`, so
    /// many bytes a second of the stored objects are read and compared with their checksums.
    pub async fn attend(self, scrub: Option<NonZeroU64>) {
        let scrubbing = async {
            if let Some(rate) = scrub {
                self.scrub_for_ever(rate).await;
            }
        };
        futures::join!(self.tend_for_ever(), self.answer_commands(), scrubbing);
    }

    async fn scrub_for_ever(&self, rate: NonZeroU64) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.scrub(rate).await {
                tracing::warn!(%error, "stored objects cannot be compared with their checksums; it is tried again");
            }
        }
    }

    async fn answer_commands(&self) {
        let opened = self
            .run(|inner| {
                inner
                    .volume
                    .root
                    .open(HOME)
                    .map_err(Error::io("opening the socket"))
            })
            .await
            .and_then(|home| Listener::open(&home).map_err(Error::io("opening the socket")));
        match opened {
            Ok(listener) => listener.answer(self).await,
            // Some file systems have none.
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "commands cannot reach this gateway and must wait for its end");
            }
        }
    }

    async fn tend_for_ever(&self) {
        let mut ticks = tokio::time::interval(TEND_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.tend().await {
                tracing::warn!(%error, "the volume cannot be looked after; it is tried again");
            }
        }
    }

    /// Gives an object in the trash its key again. A bucket that is gone is made again. If it fails, the entry stays.
    pub async fn restore(&self, place: Place, occupied: Occupied) -> Result<Entry, RestoreError> {
        self.run(move |inner| Ok(inner.volume.restore(&place, occupied)))
            .await?
    }
}
