//! Whether the gateway can serve: asked by Kubernetes, told in words.
//!
//! The store is asked now and then, not at each question, so that questions cost nothing and a store that hangs holds
//! nobody up: what counts is that it answered lately.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is known of the gateway's own state.
#[derive(Debug)]
pub(crate) struct Health {
    /// How often the store is asked how it is.
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    draining: bool,
    answered: Option<Instant>,
    /// What the last failed answer said; nothing after a good one.
    failure: Option<String>,
}

impl Health {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::default(),
        }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// How long the store may take to answer.
    pub(crate) fn patience(&self) -> Duration {
        self.interval * 2
    }

    /// How old its last good answer may be for the gateway to be ready: one that failed or was slow is forgiven.
    fn lately(&self) -> Duration {
        self.interval * 4
    }

    /// No new requests are taken any more.
    pub(crate) fn drain(&self) {
        self.with(|state| state.draining = true);
    }

    pub(crate) fn answered(&self, now: Instant) {
        self.with(|state| {
            state.answered = Some(now);
            state.failure = None;
        });
    }

    /// Returns whether that is news.
    pub(crate) fn failed(&self, reason: String) -> bool {
        self.with(|state| {
            let news = state.failure.as_ref() != Some(&reason);
            state.failure = Some(reason);
            news
        })
    }

    /// Why the gateway is not ready, if it is not.
    pub(crate) fn obstacle(&self, now: Instant) -> Option<String> {
        let lately = self.lately();
        self.with(|state| {
            if state.draining {
                return Some("the gateway is ending".to_owned());
            }
            let age = state
                .answered
                .map(|then| now.saturating_duration_since(then));
            match (age, &state.failure) {
                (Some(age), _) if age <= lately => None,
                (_, Some(reason)) => Some(format!("the store does not answer: {reason}")),
                (Some(age), None) => {
                    let seconds = age.as_secs();
                    Some(format!("the store has not answered for {seconds} s"))
                }
                (None, None) => Some("the store has not answered yet".to_owned()),
            }
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_forgiven_and_a_long_silence_is_not() {
        let health = Health::new(Duration::from_secs(10));
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let at = |seconds| health.obstacle(later(seconds));
        assert_eq!(at(0).unwrap(), "the store has not answered yet");
        health.answered(start);
        assert_eq!(at(40), None);
        assert!(health.failed("no route".to_owned()));
        assert!(!health.failed("no route".to_owned()), "told once");
        assert_eq!(at(40), None);
        assert_eq!(at(41).unwrap(), "the store does not answer: no route");
        health.answered(later(50));
        assert_eq!(at(60), None);
        assert_eq!(at(110).unwrap(), "the store has not answered for 60 s");
    }

    #[test]
    fn a_gateway_that_is_ending_is_not_ready_whatever_its_store_says() {
        let health = Health::new(Duration::from_secs(10));
        let now = Instant::now();
        health.answered(now);
        health.drain();
        assert_eq!(health.obstacle(now).unwrap(), "the gateway is ending");
    }
}
