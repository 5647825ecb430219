//! Topology and settings: the graph, the `.graph` file, and the stores that hold a graph.
//!
//! [`format`](mod@format) reads and writes `.graph` files (docs/graph-format.md), [`store`] is what every driver promises,
//! [`embedded`] is the driver for one machine. [`export`](mod@export), [`import`] and [`verify`](mod@verify) join a
//! file and a store; they know neither a bucket nor a terminal. [`catalog`], [`backup`], [`restore`] and [`expire`] do
//! the same with a bucket in place of the file.

pub mod backup;
pub mod batch;
pub mod catalog;
pub mod digest;
pub mod embedded;
pub mod error;
pub mod expire;
pub mod export;
pub mod format;
pub mod import;
pub mod model;
pub mod payload;
mod pipeline;
pub mod restore;
pub mod store;
pub mod value;
pub mod verify;
