//! Saying what happens and when, and noticing that the person wants it to end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lifeboat_testkit::process::{Finished, Process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a running command is left alone to look for a signal.
const LOOK: Duration = Duration::from_millis(100);

/// Steps with the time since the start. A signal does not end this program at once: the step in progress fails,
/// and everything is cleaned up on the way out.
#[derive(Debug)]
pub(super) struct Telling {
    started: Instant,
    interrupted: Arc<AtomicBool>,
}

impl Telling {
    pub(super) fn start() -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted))
                .context("cannot watch for signals")?;
        }
        Ok(Self {
            started: Instant::now(),
            interrupted,
        })
    }

    /// Says a step, unless the person wants no further one.
    pub(super) fn tell(&self, step: &(impl fmt::Display + ?Sized)) -> Result<()> {
        self.check()?;
        self.say(step);
        Ok(())
    }

    pub(super) fn say(&self, step: &(impl fmt::Display + ?Sized)) {
        eprintln!("[{:6.1} s] {step}", self.started.elapsed().as_secs_f64());
    }

    /// Waits for the end of a process. A signal ends it.
    pub(super) fn wait(&self, process: Process) -> Result<Finished> {
        while !process.ends_within(LOOK) {
            self.check()?;
        }
        self.check()?;
        process.finish()
    }

    fn check(&self) -> Result<()> {
        if self.interrupted.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        Ok(())
    }
}
