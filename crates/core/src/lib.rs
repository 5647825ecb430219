//! The rules of Lifeboat: names, settings, schedules, retention and the record of a backup.
//!
//! Pure by construction: no I/O, no async, no clock, no randomness. Bytes, texts and moments come in as values,
//! decisions go out as values; the other crates carry them out.

pub mod age;
pub mod backup;
pub mod error;
pub mod identity;
pub mod name;
pub mod progress;
pub mod retention;
pub mod schedule;
pub mod settings;
pub mod size;
