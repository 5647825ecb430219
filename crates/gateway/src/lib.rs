//! The S3 gateway: an S3 endpoint in front of a place that keeps objects.
//!
//! It is a crate of its own so that nothing else sees the S3 protocol or the kernel calls under it. Three layers, each
//! knowing only the one below: [`server`] (connections, limits, drain), `protocol` (S3 requests and answers), and
//! [`backend`] (the contract of a store of objects, free of protocol types) with its implementations in [`backends`] and the
//! [`router`] that chooses among them.

pub mod auth;
pub mod backend;
pub mod backends;
pub mod budget;
mod hashing;
mod health;
pub mod metrics;
mod pace;
mod protocol;
mod reload;
pub mod router;
pub mod server;
pub mod tls;

pub use auth::{Credentials, User};
pub use server::{Config, Limits, Server};
