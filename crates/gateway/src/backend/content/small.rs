//! Content so small that it is collected whole, and hashed by whoever stores it.

use super::collected::Collected;
use super::progress::State;
use super::{Batch, Content, Hashing, Received, read_on};
use crate::backend::Error;
use crate::backend::digest::Expected;

/// Content of at most so many bytes is collected whole and hashed by whoever stores it: its turns on other threads would
/// take longer than its hashes.
pub(super) const SMALL: u64 = 64 * 1024;

/// Content that is worth being hashed beside the network and other content, or is not.
pub enum Gathered {
    Small(Small),
    Large(Content),
}

/// Small content that has arrived whole. What it is has not been looked at.
pub struct Small {
    state: State,
    collected: Collected,
    expected: Expected,
}

impl Small {
    /// Hashes the content and compares it with what was promised. Takes as long as that takes.
    pub fn check(self) -> Result<(Batch, Received), Error> {
        let Self {
            mut state,
            collected,
            expected,
        } = self;
        let Collected {
            batch, seals, size, ..
        } = collected;
        state.work(&batch, seals)?;
        let size = u64::try_from(size).expect("sizes fit in 64 bits");
        let digests = state.finish(size)?;
        expected.check(&digests)?;
        Ok((batch, Received { size, digests }))
    }
}

impl Content {
    /// Collects content of which the sender said that it is small. To be called before the first batch.
    pub async fn gather(mut self) -> Result<Gathered, Error> {
        if self.length.is_none_or(|length| length > SMALL) {
            return Ok(Gathered::Large(self));
        }
        let Hashing::Fresh(guard) = std::mem::replace(&mut self.hashing, Hashing::Failed) else {
            return Err(read_on());
        };
        let state = self.state(guard);
        let collected = self.collect().await?.unwrap_or_default();
        if self.ended {
            return Ok(Gathered::Small(Small {
                state,
                collected,
                expected: self.expected,
            }));
        }
        // Small, but in so many pieces that they fill a batch.
        self.hashing = Box::new(state).hash(collected, &self.pool)?;
        Ok(Gathered::Large(self))
    }
}
