//! Waiting until a vmagent has sent what it kept.

use std::time::Duration;

use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;

use super::{Reading, read};
use crate::error::Error;

/// What a look at a vmagent that sends what it kept comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drained {
    NotYet,
    Yes,
    /// No less has waited for three minutes: it tries again only once a minute.
    Never,
}

/// A vmagent that is looked at once a second.
#[derive(Debug)]
struct Drain {
    last: Reading,
    least: u64,
    /// Bytes that come in between two looks, lately.
    came: u64,
    /// Whether something went out, if anything waited at first: what waits no more may only have gone to the workers, who hold it until it is taken.
    has_sent: bool,
    /// Looks in a row in which nothing waited but what had just come in, and no try failed. The numbers of one look need not agree, so that one is not enough.
    quiet: u32,
    /// Of these, the looks in which its workers had nothing in hand.
    idle: u32,
    /// Looks in a row in which no less waited than before.
    stuck: u32,
}

impl Drain {
    const QUIET: u32 = 3;
    /// Where so much comes in that its workers always have something in hand: by then each has tried again, after a minute at most that it waited for an answer, and
    /// another in which it slept.
    const ALL_TRIED: u32 = 130;
    const HOPELESS: u32 = 180;

    fn begin(reading: Reading) -> Self {
        Self {
            last: reading,
            least: reading.pending,
            came: 0,
            has_sent: reading.pending == 0,
            quiet: 0,
            idle: 0,
            stuck: 0,
        }
    }

    fn look(&mut self, reading: Reading) -> Drained {
        let before = self.last.sent + self.last.pending;
        let came = (reading.sent + reading.pending).saturating_sub(before);
        self.came = came.max(self.came / 2);
        let passes_on =
            reading.sent > self.last.sent && reading.pending <= self.came.saturating_mul(3);
        // Another number, not a higher one: it may have been started anew. What its server refuses for good goes out as well.
        self.has_sent |= reading.sent != self.last.sent || reading.dropped != self.last.dropped;
        let is_refused = reading.retries > self.last.retries;
        self.quiet = if (reading.pending == 0 || passes_on) && !is_refused {
            self.quiet + 1
        } else {
            0
        };
        self.idle = match (self.quiet, reading.held) {
            (0, _) => 0,
            (_, 0) => self.idle + 1,
            (_, _) => self.idle,
        };
        let nobody_tries_in_vain = self.idle >= Self::QUIET || self.quiet >= Self::ALL_TRIED;
        if reading.pending < self.least {
            (self.least, self.stuck) = (reading.pending, 0);
        }
        self.stuck += 1;
        self.last = reading;
        if nobody_tries_in_vain && self.has_sent {
            Drained::Yes
        } else if self.stuck > Self::HOPELESS {
            Drained::Never
        } else {
            Drained::NotYet
        }
    }
}

/// Waits until a vmagent holds nothing but what has just come in, its workers included, and no try failed lately.
pub async fn drain(url: &str, progress: &Progress) -> Result<Reading, Error> {
    let begun = read(url).await?;
    progress.expect(0, begun.pending);
    let mut drain = Drain::begin(begun);
    loop {
        let least = drain.least;
        let reading = read(url).await?;
        let sent = reading.sent;
        let drained = drain.look(reading);
        progress.add(0, least - drain.least);
        match drained {
            Drained::Yes => return Ok(reading),
            Drained::Never => {
                return Err(Error::NotDrained {
                    url: url.to_owned(),
                    pending: ByteSize(reading.pending),
                    sends: sent > begun.sent,
                });
            }
            Drained::NotYet if progress.is_stopped() => return Err(Error::Stopped),
            Drained::NotYet => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at queues of so many bytes, of which so many were sent before each look.
    fn looks(looks: impl IntoIterator<Item = (u64, u64)>) -> Vec<Drained> {
        let reading = |(pending, sent)| Reading {
            pending,
            sent,
            ..Reading::default()
        };
        let mut looks = looks.into_iter().map(reading);
        let mut drain = Drain::begin(looks.next().unwrap());
        looks.map(|reading| drain.look(reading)).collect()
    }

    #[test]
    fn an_agent_has_drained_when_nothing_waits_but_what_has_just_come() {
        use Drained::{NotYet, Yes};
        assert_eq!(
            looks([(900, 0), (0, 900), (0, 900), (0, 900)]),
            [NotYet, NotYet, Yes]
        );
        // 100 bytes a look come in all the time.
        let busy = [
            (5000, 0),
            (2000, 3100),
            (150, 5050),
            (100, 5200),
            (130, 5270),
        ];
        assert_eq!(looks(busy), [NotYet, NotYet, NotYet, Yes]);
        // Its server does not answer.
        let stopped = (0..10).map(|look| (5000 + look * 100, 0));
        assert!(looks(stopped).iter().all(|look| *look == NotYet));
    }

    #[test]
    fn an_agent_whose_worker_tries_in_vain_has_not_drained() {
        use Drained::{NotYet, Yes};
        // Between two tries of which nothing is seen: nothing waits, and nothing failed.
        let tries = |held| Reading {
            held,
            ..Reading::default()
        };
        let mut drain = Drain::begin(tries(1));
        for _ in 0..60 {
            assert_eq!(drain.look(tries(1)), NotYet);
        }
        let after = [0, 0, 0].map(|held| drain.look(tries(held)));
        assert_eq!(after, [NotYet, NotYet, Yes]);
        // One that always has something in hand, and sends it.
        let busy = |look: u64| Reading {
            held: 1,
            sent: look * 100,
            ..Reading::default()
        };
        let mut drain = Drain::begin(busy(0));
        let looks: Vec<Drained> = (1..=130_u64).map(|look| drain.look(busy(look))).collect();
        let (last, before) = looks.split_last().unwrap();
        assert_eq!(*last, Yes);
        assert!(before.iter().all(|look| *look == NotYet));
    }

    #[test]
    fn what_only_went_to_the_workers_of_an_agent_was_not_sent() {
        use Drained::{NotYet, Yes};
        let held = looks([(900, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 900)]);
        assert_eq!(held, [NotYet, NotYet, NotYet, NotYet, Yes]);
        // A worker tries in vain meanwhile.
        let tried = |retries| Reading {
            retries,
            ..Reading::default()
        };
        let mut drain = Drain::begin(tried(4));
        let seen = [4, 4, 5, 5, 5, 5].map(|retries| drain.look(tried(retries)));
        assert_eq!(seen, [NotYet, NotYet, NotYet, NotYet, NotYet, Yes]);
    }

    #[test]
    fn an_agent_that_keeps_as_much_for_long_is_given_up() {
        let last = |seen: Vec<Drained>| *seen.last().unwrap();
        assert_eq!(last(looks((0..=180).map(|_| (5000, 0)))), Drained::NotYet);
        assert_eq!(last(looks((0..=181).map(|_| (5000, 0)))), Drained::Never);
        // It sends, and as much comes in.
        let no_faster = (0..=181).map(|look| (50_000, look * 100));
        assert_eq!(last(looks(no_faster)), Drained::Never);
    }
}
