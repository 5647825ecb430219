//! One thread that fetches, several that work, one that takes the results in the order in which they were fetched.
//!
//! Export, import and verify are all of this shape. What is under way is bounded, whichever stage is slow; a stage that
//! fails or panics ends all others, and the failure that is reported is the first in order, not in time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::Error;

type Numbered<T> = (u64, Result<T, Error>);

/// Runs `fetch` until it returns none, each result through one of the workers that `worker` makes, and the results in
/// order through `take`, which runs on the calling thread. At most `2 * workers + 2` items are under way at any time.
pub(crate) fn run<I: Send, O: Send, W>(
    name: &'static str,
    workers: usize,
    fetch: impl FnMut() -> Result<Option<I>, Error> + Send,
    worker: impl Fn() -> Result<W, Error> + Sync,
    mut take: impl FnMut(O) -> Result<(), Error>,
) -> Result<(), Error>
where
    W: FnMut(I) -> Result<O, Error>,
{
    let workers = workers.max(1);
    let under_way = 2 * workers + 2;
    let (fetched, to_do) = bounded::<(u64, I)>(under_way);
    let (finished, results) = bounded::<Numbered<O>>(under_way + workers + 1);
    // Whoever fetches takes a ticket, whoever takes the result gives it back.
    let (give_back, tickets) = bounded::<()>(under_way);
    for _ in 0..under_way {
        give_back.send(()).expect("there is room for each ticket");
    }
    thread::scope(|scope| {
        let failures = finished.clone();
        scope.spawn(move || fetch_all(name, fetch, &tickets, &fetched, &failures));
        for _ in 0..workers {
            let (to_do, finished, worker) = (to_do.clone(), finished.clone(), &worker);
            scope.spawn(move || work_all(name, worker, &to_do, &finished));
        }
        // With these gone, the ends of the threads end the channels.
        drop((to_do, finished));
        let outcome = take_all(name, &results, &give_back, &mut take);
        // Nobody listens any more, at the end or after a failure: that is what stops the other threads.
        drop((results, give_back));
        outcome
    })
}

fn fetch_all<I, O>(
    name: &'static str,
    mut fetch: impl FnMut() -> Result<Option<I>, Error>,
    tickets: &Receiver<()>,
    fetched: &Sender<(u64, I)>,
    failures: &Sender<Numbered<O>>,
) {
    let mut number = 0;
    while tickets.recv().is_ok() {
        match catch(name, &mut fetch) {
            Ok(Some(item)) => {
                if fetched.send((number, item)).is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                // Nobody listens any more where an earlier failure came first.
                drop(failures.send((number, Err(error))));
                return;
            }
        }
        number += 1;
    }
}

fn work_all<I, O, W: FnMut(I) -> Result<O, Error>>(
    name: &'static str,
    worker: &impl Fn() -> Result<W, Error>,
    to_do: &Receiver<(u64, I)>,
    finished: &Sender<Numbered<O>>,
) {
    match catch(name, worker) {
        Ok(mut work) => {
            for (number, item) in to_do {
                let result = catch(name, || work(item));
                if finished.send((number, result)).is_err() {
                    return;
                }
            }
        }
        Err(error) => {
            if let Ok((number, _)) = to_do.recv() {
                drop(finished.send((number, Err(error))));
            }
        }
    }
}

fn take_all<O>(
    name: &'static str,
    results: &Receiver<Numbered<O>>,
    give_back: &Sender<()>,
    take: &mut impl FnMut(O) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, result) in results {
        early.insert(number, result);
        while let Some(result) = early.remove(&next) {
            take(result?)?;
            next += 1;
            // Nobody takes it where the end was reached.
            let _ = give_back.send(());
        }
    }
    if early.is_empty() {
        Ok(())
    } else {
        Err(Error::Worker(name))
    }
}

/// A panic in one run must not end the program, nor leave the other stages waiting.
fn catch<T>(name: &'static str, stage: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(stage)).unwrap_or(Err(Error::Worker(name)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    fn failure(number: u64) -> Error {
        Error::Inconsistent {
            what: number.to_string(),
        }
    }

    /// Counts to `count` and fails where it is told to; returns what arrived and how the run ended.
    fn count_to(
        count: u64,
        workers: usize,
        fails: impl Fn(&'static str, u64) -> bool + Sync,
    ) -> (Vec<u64>, Result<(), String>) {
        let mut numbers = 0..count;
        let mut taken = Vec::new();
        let fails = &fails;
        let result = run(
            "test",
            workers,
            || match numbers.next() {
                Some(number) if fails("fetch", number) => Err(failure(number)),
                next => Ok(next),
            },
            || {
                Ok(move |number| {
                    if fails("work", number) {
                        Err(failure(number))
                    } else {
                        Ok(number)
                    }
                })
            },
            |number| {
                if fails("take", number) {
                    return Err(failure(number));
                }
                taken.push(number);
                Ok(())
            },
        );
        (taken, result.map_err(|error| error.to_string()))
    }

    proptest! {
        #[test]
        fn results_come_in_order(count in 0_u64..200, workers in 0_usize..6) {
            let (taken, result) = count_to(count, workers, |_, _| false);
            prop_assert_eq!(taken, (0..count).collect::<Vec<_>>());
            prop_assert_eq!(result, Ok(()));
        }

        #[test]
        fn the_first_failure_in_order_wins_and_ends_the_rest(
            at in 0_u64..150,
            stage in prop_oneof![Just("fetch"), Just("work"), Just("take")],
            workers in 1_usize..5,
        ) {
            let (taken, result) = count_to(1_000, workers, |here, number| {
                here == stage && number >= at
            });
            prop_assert_eq!(taken, (0..at).collect::<Vec<_>>());
            prop_assert_eq!(result, Err(failure(at).to_string()));
        }
    }

    #[test]
    fn a_panic_is_a_failure_of_its_stage_and_not_a_deadlock() {
        let (taken, result) = count_to(1_000, 2, |stage, number| {
            assert!(stage != "work" || number != 70, "on purpose");
            false
        });
        assert_eq!(taken, (0..70).collect::<Vec<_>>());
        assert_eq!(result, Err(Error::Worker("test").to_string()));
    }

    #[test]
    fn what_is_under_way_is_bounded_while_one_item_is_slow() {
        let (release, gate) = bounded::<()>(0);
        let fetched = AtomicU64::new(0);
        let mut numbers = 0..1_000_u64;
        run(
            "test",
            3,
            || {
                let next = numbers.next();
                // The eighth ticket is the last: only then may the first item go on.
                if fetched.fetch_add(1, Ordering::SeqCst) == 7 {
                    release.send(()).expect("the first item waits");
                }
                Ok(next)
            },
            || {
                Ok(|number| {
                    if number == 0 {
                        gate.recv().expect("the eighth is fetched");
                        assert_eq!(fetched.load(Ordering::SeqCst), 8);
                    }
                    Ok(number)
                })
            },
            |_| Ok(()),
        )
        .unwrap();
        assert_eq!(fetched.load(Ordering::SeqCst), 1_001);
    }
}
