//! A command that is killed at one of its requests.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_testkit::process::Process;
use lifeboat_testkit::turnstile::{Stop, Turnstile};

/// Runs a command whose requests go through the turnstile. False where it was killed; an end that is not good fails the test.
pub(crate) fn runs_to_its_end(gate: &Turnstile, stop: Option<Stop>, command: &mut Command) -> bool {
    let running: Arc<Mutex<Option<Process>>> = Arc::default();
    let killed = Arc::clone(&running);
    let action: Box<dyn FnOnce() + Send> = Box::new(move || {
        // It was stored before its first request could come.
        let process = killed.lock().unwrap().take().unwrap();
        process.kill().unwrap();
    });
    gate.reset(stop.map(|stop| (stop, action)));
    {
        let mut place = running.lock().unwrap();
        *place = Some(Process::start(command).unwrap());
    }
    loop {
        let ended = {
            let place = running.lock().unwrap();
            match place.as_ref() {
                None => return false,
                Some(process) => process.ends_within(Duration::from_millis(5)),
            }
        };
        if ended {
            break;
        }
        // The action must be able to take it.
        std::thread::yield_now();
    }
    let process = running.lock().unwrap().take();
    match process {
        None => false,
        Some(process) => {
            process.finish().unwrap().success().unwrap();
            true
        }
    }
}
