//! Telemetry: snapshots of Elasticsearch and OpenSearch, taken, listed, expired and restored.

pub mod access;
pub mod answer;
pub mod backup;
pub mod catalog;
pub mod client;
pub mod counts;
pub mod drift;
pub mod engine;
pub mod error;
pub mod expire;
pub mod indices;
pub mod name;
pub mod native;
#[cfg(test)]
mod odd;
pub mod pattern;
pub mod repository;
pub mod restore;
pub mod retention;
pub mod snapshot;
