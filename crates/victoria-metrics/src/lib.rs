//! Backups of `VictoriaMetrics`, in the layout of vmbackup, which reads and continues them, as we do its own.
//!
//! [`layout`], [`files`], [`parts`], [`plan`], [`standing`] and [`generation`] are pure and hold the rules. Around them are a server
//! ([`server`]), a snapshot on its volume ([`snapshot`]), the bucket ([`store`]) and the data folder of a restore ([`target`]). [`backup`],
//! [`restore`], [`verify`] and [`expire`] are what people ask for.

pub mod backup;
pub mod catalog;
pub mod confirm;
mod copy;
pub mod era;
pub mod error;
pub mod expire;
pub mod files;
pub mod generation;
pub mod layout;
pub mod lease;
pub mod manifest;
pub mod parts;
pub mod plan;
pub mod reader;
pub mod restore;
pub mod server;
pub mod snapshot;
pub mod standing;
pub mod store;
mod sum;
pub mod target;
pub mod verify;
pub mod vmagent;
