//! How much memory all buffers of the gateway may take together.
//!
//! Whoever fills a buffer for a request takes its size from here first and gives it back when the buffer is gone. So what
//! the gateway uses is bounded by one number, however many clients come at once: those for whom nothing is left wait, and
//! after a while are told to come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What is counted, in bytes: shares are rounded up to it.
const UNIT: u64 = 1024;

/// No share became free in time. The request has done nothing and may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the gateway's memory for requests is in use: try again")]
pub struct Spent;

/// Memory that is shared by all requests.
#[derive(Debug, Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
    limit: u32,
    patience: Duration,
    refused: Arc<AtomicU64>,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
#[must_use = "the share is given back when this is dropped"]
pub struct Permit {
    held: OwnedSemaphorePermit,
}

impl Budget {
    /// `limit` in bytes. Nobody waits longer than `patience` for a share.
    pub fn new(limit: u64, patience: Duration) -> Self {
        let limit = units(limit).max(1);
        Self {
            units: Arc::new(Semaphore::new(size(limit))),
            limit,
            patience,
            refused: Arc::default(),
        }
    }

    /// Takes a share of `bytes`, waiting for it in turn. More than there is in all counts as all there is: such a request
    /// runs alone instead of never.
    pub async fn take(&self, bytes: u64) -> Result<Permit, Spent> {
        let wanted = units(bytes).min(self.limit);
        let units = Arc::clone(&self.units).acquire_many_owned(wanted);
        if let Ok(held) = timeout(self.patience, units).await {
            return Ok(Permit {
                held: held.expect("the semaphore is never closed"),
            });
        }
        self.refused.fetch_add(1, Ordering::Relaxed);
        Err(Spent)
    }

    /// All there is, in bytes.
    pub fn limit(&self) -> u64 {
        u64::from(self.limit) * UNIT
    }

    /// What is taken now, in bytes.
    pub fn used(&self) -> u64 {
        let free = u64::try_from(self.units.available_permits()).expect("sizes fit in 64 bits");
        self.limit().saturating_sub(free * UNIT)
    }

    /// How many requests got no share so far.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Permit {
    /// In bytes, rounded up.
    pub fn bytes(&self) -> u64 {
        UNIT * u64::try_from(self.held.num_permits()).expect("sizes fit in 64 bits")
    }
}

/// Two tebibytes at most, which the semaphore can count on every machine.
fn units(bytes: u64) -> u32 {
    let most = u32::MAX / 2;
    u32::try_from(bytes.div_ceil(UNIT)).map_or(most, |units| units.min(most))
}

fn size(units: u32) -> usize {
    usize::try_from(units).expect("32 bits fit")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const KIB: u64 = 1024;

    #[tokio::test]
    async fn shares_never_add_up_to_more_than_there_is() {
        let budget = Budget::new(10 * KIB, Duration::from_millis(1));
        let first = budget.take(6 * KIB).await.unwrap();
        let second = budget.take(3 * KIB + 1).await.unwrap();
        assert_eq!((first.bytes(), second.bytes()), (6 * KIB, 4 * KIB));
        assert_eq!(budget.used(), budget.limit());
        assert_eq!(budget.take(1).await.unwrap_err(), Spent);
        assert_eq!(budget.refused(), 1);
        drop(first);
        let third = budget.take(6 * KIB).await.unwrap();
        drop((second, third));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_share_that_is_given_back_goes_to_whoever_waited_first() {
        let budget = Budget::new(10 * KIB, Duration::from_mins(1));
        let all = budget.take(10 * KIB).await.unwrap();
        let mut large = Box::pin(budget.take(8 * KIB));
        assert!(large.as_mut().now_or_never().is_none());
        let mut small = Box::pin(budget.take(4 * KIB));
        assert!(small.as_mut().now_or_never().is_none());
        drop(all);
        let large = large.await.unwrap();
        assert!(
            small.as_mut().now_or_never().is_none(),
            "4 KiB of 2 were given"
        );
        drop(large);
        assert!(small.await.is_ok());
    }

    #[tokio::test]
    async fn a_request_larger_than_the_budget_runs_alone() {
        let budget = Budget::new(KIB, Duration::from_mins(1));
        let permit = budget.take(u64::MAX).await.unwrap();
        assert_eq!((permit.bytes(), budget.used()), (KIB, KIB));
        assert!(budget.take(1).now_or_never().is_none());
    }
}
