//! Hashing off the network's threads: as many jobs at a time as there are processors, and MD5s of several contents in one.
//!
//! Hashing is what storing costs, so it must neither hold up the network nor be done by more threads than can run. While
//! all turns are taken, MD5s gather; whoever is free next takes up to sixteen of them at once, which costs little more
//! than one. So the more clients there are, the less each byte costs. A turn borrows a thread of the runtime's blocking
//! pool for as long as there is work.

mod lanes;
mod md5;

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fearless_simd::Level;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use self::lanes::LANES;
pub(crate) use self::md5::Md5;
use crate::backend::Error;

/// Told how long each job waited for its turn.
type Waited = Box<dyn Fn(Duration) + Send + Sync>;

/// Turns at hashing. Clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    /// The most that are taken at a time.
    turns: usize,
    level: Level,
    waited: Waited,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    md5s: VecDeque<Md5Job>,
    others: VecDeque<OtherJob>,
    /// Turns taken.
    taken: usize,
}

struct Md5Job {
    md5: Md5,
    pieces: Arc<Vec<Bytes>>,
    since: Instant,
    done: oneshot::Sender<Md5>,
}

struct OtherJob {
    run: Box<dyn FnOnce() + Send>,
    since: Instant,
}

enum Work {
    Md5s(Vec<Md5Job>),
    Other(OtherJob),
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("turns", &self.shared.turns)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// `turns` is how many jobs run at a time; `waited` is told of each how long it waited.
    pub(crate) fn new(turns: usize, waited: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        let shared = Shared {
            turns: turns.max(1),
            level: Level::new(),
            waited: Box::new(waited),
            waiting: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Works pieces of a content into its MD5.
    pub(crate) fn md5(&self, md5: Md5, pieces: Arc<Vec<Bytes>>) -> Job<Md5> {
        let (done, job) = oneshot::channel();
        self.submit(|waiting, since| {
            waiting.md5s.push_back(Md5Job {
                md5,
                pieces,
                since,
                done,
            });
        });
        Job(job)
    }

    /// Does other work that only computes.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Job<T> {
        let (done, job) = oneshot::channel();
        let run = Box::new(move || {
            if !done.is_closed() {
                // Whoever waited may have gone meanwhile.
                drop(done.send(work()));
            }
        });
        self.submit(|waiting, since| waiting.others.push_back(OtherJob { run, since }));
        Job(job)
    }

    fn submit(&self, add: impl FnOnce(&mut Waiting, Instant)) {
        let mut waiting = self.shared.waiting();
        add(&mut waiting, Instant::now());
        if waiting.taken < self.shared.turns {
            waiting.taken += 1;
            let shared = Arc::clone(&self.shared);
            drop(waiting);
            drop(spawn_blocking(move || shared.turn()));
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works until nothing waits.
    fn turn(&self) {
        while let Some(work) = self.next() {
            let done = AssertUnwindSafe(|| self.carry_out(work));
            if catch_unwind(done).is_err() {
                // Whoever waits for it learns of it; the turn goes on for the others.
                tracing::error!("hashing panicked");
            }
        }
    }

    /// Returns what is to be done next. If nothing is, the turn has ended before anything can be added.
    fn next(&self) -> Option<Work> {
        let mut waiting = self.waiting();
        // While others are done, more MD5s gather. They never wait for long: a content brings no more work of either kind
        // before both are done.
        if let Some(other) = waiting.others.pop_front() {
            return Some(Work::Other(other));
        }
        let count = waiting.md5s.len().min(LANES);
        if count == 0 {
            waiting.taken -= 1;
            return None;
        }
        Some(Work::Md5s(waiting.md5s.drain(..count).collect()))
    }

    fn carry_out(&self, work: Work) {
        match work {
            Work::Other(job) => {
                (self.waited)(job.since.elapsed());
                (job.run)();
            }
            Work::Md5s(mut jobs) => {
                // Whoever waited may have gone meanwhile.
                jobs.retain(|job| !job.done.is_closed());
                for job in &jobs {
                    (self.waited)(job.since.elapsed());
                }
                let contents = jobs
                    .iter_mut()
                    .map(|job| (&mut job.md5, job.pieces.as_slice()));
                md5::update_many(self.level, contents);
                for Md5Job {
                    md5, pieces, done, ..
                } in jobs
                {
                    // Given back first, so that whoever waits has the pieces alone.
                    drop(pieces);
                    drop(done.send(md5));
                }
            }
        }
    }
}

/// Work that waits or is done.
pub(crate) struct Job<T>(oneshot::Receiver<T>);

impl<T> Future for Job<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let done = Pin::new(&mut self.0).poll(context);
        done.map_err(|_| Error::Hashing)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn reference(content: &[u8]) -> [u8; 16] {
        use ::md5::Digest as _;
        ::md5::Md5::digest(content).into()
    }

    fn pieces(content: &'static [u8]) -> Arc<Vec<Bytes>> {
        Arc::new(vec![Bytes::from_static(content)])
    }

    #[tokio::test]
    async fn work_waits_for_a_turn_and_all_of_it_is_done() {
        let waits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&waits);
        let pool = Pool::new(1, move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let (go, held) = mpsc::channel::<()>();
        let first = pool.run(move || held.recv().is_ok());
        // More than can be taken at once, some of whom nobody waits for any more.
        let md5s: Vec<_> = (0..3 * LANES)
            .map(|_| pool.md5(Md5::default(), pieces(b"content")))
            .collect();
        drop(pool.md5(Md5::default(), pieces(b"gone")));
        let other = pool.run(|| 7);
        assert_eq!(pool.shared.waiting().taken, 1);
        go.send(()).unwrap();
        assert!(first.await.unwrap());
        assert_eq!(other.await.unwrap(), 7);
        for md5 in md5s {
            assert_eq!(md5.await.unwrap().finish(), reference(b"content"));
        }
        assert_eq!(waits.load(Ordering::Relaxed), 2 + 3 * LANES);
    }

    #[tokio::test]
    async fn one_that_fails_does_not_take_the_others_with_it() {
        let pool = Pool::new(1, |_| {});
        let failed = pool.run(|| panic!("on purpose"));
        assert!(matches!(failed.await, Err(Error::Hashing)));
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn no_more_turns_are_taken_than_there_are() {
        let pool = Pool::new(2, |_| {});
        let running = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..50)
            .map(|_| {
                let running = Arc::clone(&running);
                pool.run(move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    now
                })
            })
            .collect();
        for job in jobs {
            assert!(job.await.unwrap() <= 2);
        }
    }
}
