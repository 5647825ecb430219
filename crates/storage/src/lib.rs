//! A bucket as backups see it: list, read, write as a stream, delete.
//!
//! A thin layer over `object_store` that adds what a backup needs and a general client has no reason to know: an
//! object that appears only when its writer says it is whole ([`Source`](pipe::Source)), bridges to code that reads
//! and writes with `std::io`, removal of uploads that a killed run left behind, and errors that name endpoint and
//! bucket and repeat what the server said. Retries and their limits are those of `object_store`; answers that break off in the
//! middle are asked for again.

mod again;
pub mod bucket;
pub mod error;
mod leftovers;
pub mod objects;
mod peer;
pub mod pipe;
mod raw;
pub mod transfer;
mod upload;

pub use bucket::{Access, Bucket, Endpoint, Entry, Signing};
pub use error::Error;
pub use objects::{Condition, Fetched, Level, Version};
