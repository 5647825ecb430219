//! How far a long operation has come.
//!
//! The operation counts, whoever shows it (a progress bar, a log line, a metric) reads; neither waits for the other.
//! The same handle carries the wish to stop the other way.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters that an operation advances and a reporter reads. Totals are 0 while they are not known.
#[derive(Debug, Default)]
pub struct Progress {
    elements: AtomicU64,
    bytes: AtomicU64,
    total_elements: AtomicU64,
    total_bytes: AtomicU64,
    stopped: AtomicBool,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    pub elements: u64,
    pub bytes: u64,
    pub total_elements: u64,
    pub total_bytes: u64,
}

impl Progress {
    pub fn add(&self, elements: u64, bytes: u64) {
        self.elements.fetch_add(elements, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn expect(&self, elements: u64, bytes: u64) {
        self.total_elements.store(elements, Ordering::Relaxed);
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Asks the operation to give up at the next opportunity and undo what it began.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub fn read(&self) -> Reading {
        Reading {
            elements: self.elements.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            total_elements: self.total_elements.load(Ordering::Relaxed),
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
        }
    }
}
