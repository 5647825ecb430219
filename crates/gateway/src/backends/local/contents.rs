//! What lies on a volume, as far as reading goes: enough to find and list objects, and nothing to change them with.
//!
//! The process that serves a volume has it inside its [`Volume`](super::volume::Volume). One that only looks has it alone,
//! also while another process serves the volume: every object then is what it was before a change or after it.

use std::sync::RwLock;

use super::capabilities::Capabilities;
use super::foreign::{Foreign, Refusal};
use super::list;
use super::tree::{Directory, present};
use super::volume::HOME;
use crate::backends::Sources;

/// Below the gateway's own directory.
pub(super) const RECORDS: &str = "records";
pub(super) const BESIDE: &str = "beside";

/// The objects of a volume and what is kept of them.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) root: Directory,
    /// One directory for each bucket, with the records of names that share their bytes.
    pub(super) records: Directory,
    /// The same with the records of all objects, where the file system has no attributes or had none once.
    pub(super) beside: Option<Directory>,
    /// What other programs kept here.
    pub(super) foreign: Foreign,
    pub(super) can: Capabilities,
    /// Names of large directories, for the next page of a listing.
    pub(super) names: list::Cache,
    pub(super) sources: Sources,
    /// Held for writing while directories are made, so that nobody publishes into one whose name is not durable yet.
    pub(super) directories: RwLock<()>,
}

impl Contents {
    /// Opens what a gateway left or is working on; nothing where none has been. Changes nothing.
    ///
    /// What the file system can do is not tried, since that writes. It does not matter to who reads, but for an object that
    /// is in the middle of a move in two steps: that one is not seen for a moment.
    pub(super) fn look(path: &std::path::Path, sources: Sources) -> Result<Option<Self>, Refusal> {
        let root = Directory::open_root(path)?;
        let Some(home) = present(root.open(HOME))? else {
            return Ok(None);
        };
        let Some(records) = present(home.open(RECORDS))? else {
            return Ok(None);
        };
        let Some(foreign) = Foreign::look(&root, &home)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            records,
            beside: present(home.open(BESIDE))?,
            foreign,
            can: Capabilities::ALL,
            names: list::Cache::default(),
            sources,
            directories: RwLock::default(),
            root,
        }))
    }
}
