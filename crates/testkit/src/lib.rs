//! What tests, the demo and the benches need from the machine: real servers and tools of pinned versions,
//! processes that never outlive their owner, and an honest way to skip.
//!
//! Nothing here is linked into the product. What has to be fetched goes into one cache folder, once; a
//! test that cannot get it calls [`skip!`] and is counted as skipped, never as passed.

pub mod cache;
mod connections;
pub mod debian;
pub mod environment;
pub mod go;
pub mod http;
pub mod java;
pub mod load;
pub mod long_way;
pub mod maven;
mod message;
pub mod npm;
pub mod port;
pub mod process;
mod progress;
pub mod python;
pub mod random;
pub mod scheduler;
pub mod scratch;
pub mod servers;
pub mod sightings;
pub mod skip;
pub mod turnstile;
pub mod workspace;
