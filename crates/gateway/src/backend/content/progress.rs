//! The hashes of a content while it passes, and the work on them that is under way.

use std::sync::Arc;

use super::collected::Collected;
use super::{Batch, BodyError, Hashing};
use crate::backend::Error;
use crate::backend::digest::{Algorithm, Digests, Running};
use crate::backend::seal::{Guard, Seals};
use crate::hashing::{Job, Md5, Pool};

/// The rest of larger content is hashed where it is, if it has at most so many bytes: 30 microseconds.
const TAIL: usize = 16 * 1024;

/// What is known of the content hashed so far.
pub(super) struct State {
    pub(super) md5: Md5,
    pub(super) rest: Box<Rest>,
}

/// What is computed beside the MD5.
pub(super) struct Rest {
    checksum: Option<Running>,
    /// For content that must be sealed.
    guard: Option<Box<Guard>>,
}

/// A batch that is being hashed: its MD5 together with those of other contents, the rest by itself.
pub(super) struct Busy {
    pub(super) batch: Arc<Batch>,
    pub(super) md5: Job<Md5>,
    pub(super) rest: RestJob,
}

pub(super) enum RestJob {
    /// There is nothing to compute.
    Idle(Box<Rest>),
    Busy(Job<Result<Box<Rest>, BodyError>>),
}

impl State {
    pub(super) fn new(algorithm: Option<Algorithm>, guard: Option<Box<Guard>>) -> Self {
        Self {
            md5: Md5::default(),
            rest: Box::new(Rest {
                checksum: algorithm.map(Running::new),
                guard,
            }),
        }
    }

    pub(super) fn hash(
        mut self: Box<Self>,
        collected: Collected,
        pool: &Pool,
    ) -> Result<Hashing, Error> {
        let Collected {
            batch, seals, size, ..
        } = collected;
        if size <= TAIL {
            self.work(&batch, seals)?;
            return Ok(Hashing::Done(self, batch));
        }
        let batch = Arc::new(batch);
        let Self { md5, rest } = *self;
        Ok(Hashing::Busy(Busy {
            md5: pool.md5(md5, Arc::clone(&batch)),
            rest: rest.begin(Arc::clone(&batch), seals, pool),
            batch,
        }))
    }

    /// Hashes here and now.
    pub(super) fn work(&mut self, batch: &Batch, seals: Seals) -> Result<(), Error> {
        for bytes in batch {
            self.md5.update(bytes);
        }
        let rest = self.rest.work(batch, seals);
        rest.map_err(|source| Error::Body { source })
    }

    /// To be called at the end of the content.
    pub(super) fn finish(self) -> Result<Digests, Error> {
        if let Some(guard) = self.rest.guard {
            guard.finish().map_err(|source| Error::Body { source })?;
        }
        Ok(Digests {
            md5: self.md5.finish(),
            checksum: self.rest.checksum.map(Running::finish),
        })
    }
}

impl RestJob {
    pub(super) async fn done(self) -> Result<Box<Rest>, Error> {
        match self {
            Self::Idle(rest) => Ok(rest),
            Self::Busy(job) => job.await?.map_err(|source| Error::Body { source }),
        }
    }
}

impl Rest {
    fn begin(mut self: Box<Self>, batch: Arc<Batch>, seals: Seals, pool: &Pool) -> RestJob {
        if self.checksum.is_none() && self.guard.is_none() {
            return RestJob::Idle(self);
        }
        RestJob::Busy(pool.run(move || {
            self.work(&batch, seals)?;
            // Given back before it is said to be done.
            drop(batch);
            Ok(self)
        }))
    }

    fn work(&mut self, batch: &Batch, seals: Seals) -> Result<(), BodyError> {
        if let Some(checksum) = &mut self.checksum {
            for bytes in batch {
                checksum.update(bytes);
            }
        }
        match &mut self.guard {
            Some(guard) => guard.follow(batch, seals),
            None => Ok(()),
        }
    }
}
