//! The hashes of a content while it passes, and the work on them that is under way.

use std::sync::Arc;

use super::collected::Collected;
use super::{Batch, BodyError, Hashing};
use crate::backend::Error;
use crate::backend::digest::{Algorithm, Digests, Running};
use crate::backend::seal::{Guard, Seals};
use crate::backend::tag::Tag;
use crate::hashing::{Job, Md5, Pool};

/// The rest of larger content is hashed where it is, if it has at most so many bytes: 30 microseconds.
const TAIL: usize = 16 * 1024;

/// What is known of the content hashed so far.
pub(super) struct State {
    /// None where nobody needs it.
    pub(super) md5: Option<Md5>,
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
    pub(super) md5: Md5Job,
    pub(super) rest: RestJob,
}

pub(super) enum Md5Job {
    /// There is nothing to compute.
    Idle,
    Busy(Job<Md5>),
}

pub(super) enum RestJob {
    /// There is nothing to compute.
    Idle(Box<Rest>),
    Busy(Job<Result<Box<Rest>, BodyError>>),
}

impl State {
    pub(super) fn new(
        algorithm: Option<Algorithm>,
        has_md5: bool,
        guard: Option<Box<Guard>>,
    ) -> Self {
        Self {
            md5: has_md5.then(Md5::default),
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
            md5: md5.map_or(Md5Job::Idle, |md5| {
                Md5Job::Busy(pool.md5(md5, Arc::clone(&batch)))
            }),
            rest: rest.begin(Arc::clone(&batch), seals, pool),
            batch,
        }))
    }

    /// Hashes here and now.
    pub(super) fn work(&mut self, batch: &Batch, seals: Seals) -> Result<(), Error> {
        if let Some(md5) = &mut self.md5 {
            for bytes in batch {
                md5.update(bytes);
            }
        }
        let rest = self.rest.work(batch, seals);
        rest.map_err(|source| Error::Body { source })
    }

    /// To be called at the end of the content, which had `size` bytes.
    pub(super) fn finish(self, size: u64) -> Result<Digests, Error> {
        if let Some(guard) = self.rest.guard {
            guard.finish().map_err(|source| Error::Body { source })?;
        }
        let checksum = self.rest.checksum.map(Running::finish);
        let tag = match self.md5 {
            Some(md5) => Some(Tag::Md5(md5.finish())),
            None => Tag::of_checksum(checksum.as_ref(), size),
        };
        let tag = tag.ok_or(Error::Hashing)?;
        Ok(Digests { tag, checksum })
    }
}

impl Md5Job {
    pub(super) async fn done(self) -> Result<Option<Md5>, Error> {
        match self {
            Self::Idle => Ok(None),
            Self::Busy(job) => job.await.map(Some),
        }
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
