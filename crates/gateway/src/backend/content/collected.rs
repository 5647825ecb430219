//! A batch while it is collected.

use bytes::Bytes;

use super::Batch;
use crate::backend::seal::{Seal, Seals};

/// A piece of at most so many bytes is copied to others of its kind: on its own it would hold more memory than it is, and
/// cost a call of the system to write.
pub(super) const CRUMB: usize = 4 * 1024;
/// What a seal takes, in bytes.
pub(super) const SEAL: usize = 256;

/// A batch that has not been hashed.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) batch: Batch,
    pub(super) seals: Seals,
    /// In bytes.
    pub(super) size: usize,
    /// What came in such small pieces that they are kept as one.
    crumbs: Vec<u8>,
}

impl Collected {
    /// How much memory it takes, nearly. Seals count, so that chunks of one byte do not take more than others.
    pub(super) fn cost(&self) -> usize {
        self.size + SEAL * self.seals.len()
    }

    pub(super) fn add(&mut self, bytes: Bytes) {
        self.size += bytes.len();
        if bytes.len() <= CRUMB {
            self.crumbs.extend_from_slice(&bytes);
        } else {
            self.gather();
            self.batch.push(bytes);
        }
    }

    pub(super) fn seal(&mut self, seal: Seal) {
        self.gather();
        self.seals.push((self.batch.len(), seal));
    }

    /// To be called when nothing more is added.
    pub(super) fn gather(&mut self) {
        if !self.crumbs.is_empty() {
            let crumbs = std::mem::take(&mut self.crumbs);
            self.batch.push(crumbs.into());
        }
    }
}
