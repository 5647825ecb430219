//! What is made of files, and made anew when they change: certificates and users, which Kubernetes replaces while the
//! gateway runs.
//!
//! Files are read now and then rather than watched: a mounted Secret changes by the swap of a link several folders away. What
//! cannot be used is told, and what served before goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::metrics::Metrics;

/// Files, and what is made of them.
pub(crate) trait Source: Send + Sync + 'static {
    type Value: Send + 'static;
    type Error: std::error::Error + Send + Sync + 'static;
    /// What it is, in a word, for the log and the metrics.
    const WHAT: &'static str;

    /// Reads the files and makes a value of them.
    fn load(&self) -> Result<Loaded<Self::Value>, Self::Error>;
}

/// A value with what tells it from another one.
#[derive(Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) value: T,
    pub(crate) fingerprint: blake3::Hash,
}

/// Reads the files every so often and hands out what is made of them when it differs from `known`. Ends when dropped.
pub(crate) async fn follow<S: Source>(
    source: Arc<S>,
    every: Duration,
    mut known: blake3::Hash,
    metrics: Arc<Metrics>,
    take: impl Fn(S::Value),
) {
    let mut told = None;
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        let reading = Arc::clone(&source);
        let Ok(loaded) = spawn_blocking(move || reading.load()).await else {
            continue;
        };
        match loaded {
            Ok(loaded) => {
                if told.take().is_some() || loaded.fingerprint != known {
                    tracing::info!(what = S::WHAT, "taken into service anew");
                }
                if loaded.fingerprint != known {
                    known = loaded.fingerprint;
                    take(loaded.value);
                }
            }
            Err(error) => {
                metrics.reload_failed(S::WHAT);
                let reason = with_causes(&error);
                if told.as_ref() != Some(&reason) {
                    tracing::error!(
                        what = S::WHAT,
                        reason,
                        "cannot be used: what served before goes on"
                    );
                    told = Some(reason);
                }
            }
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;
    use crate::budget::Budget;

    /// Says one thing after the other, then the last one for ever.
    struct Script(Mutex<Vec<Result<u8, ()>>>);

    #[derive(Debug, thiserror::Error)]
    #[error("no value")]
    struct NoValue;

    impl Source for Script {
        type Value = u8;
        type Error = NoValue;
        const WHAT: &'static str = "script";

        fn load(&self) -> Result<Loaded<u8>, NoValue> {
            let mut lines = self.0.lock().unwrap();
            let line = if lines.len() > 1 {
                lines.remove(0)
            } else {
                lines[0]
            };
            let value = line.map_err(|()| NoValue)?;
            let fingerprint = blake3::hash(&[value]);
            Ok(Loaded { value, fingerprint })
        }
    }

    #[tokio::test]
    async fn only_what_differs_and_can_be_used_is_handed_out() {
        let script = vec![
            Ok(1),
            Ok(1),
            Err(()),
            Err(()),
            Ok(1),
            Ok(2),
            Err(()),
            Ok(2),
            Ok(3),
        ];
        let source = Arc::new(Script(Mutex::new(script)));
        let metrics = Arc::new(Metrics::default());
        let (taken, values) = mpsc::channel();
        let known = blake3::hash(&[1]);
        let take = move |value| taken.send(value).unwrap();
        let every = Duration::from_millis(1);
        let following = tokio::spawn(follow(source, every, known, Arc::clone(&metrics), take));
        let values = tokio::task::spawn_blocking(move || [values.recv(), values.recv()]);
        assert_eq!(values.await.unwrap(), [Ok(2), Ok(3)]);
        following.abort();
        let text = metrics.text(&Budget::new(1, Duration::ZERO));
        let line = "lifeboat_gateway_reload_failures_total{what=\"script\"} 3";
        assert!(text.contains(line), "{text}");
    }
}
