//! A volume looked at from outside, by a process that does not serve it and may do so while another one does.

use std::path::{Path, PathBuf};

use super::OpenError;
use super::trash::{self, Entry, Filter};
use super::tree::{Directory, present};
use super::volume::HOME;
use crate::backend::Error;

/// A volume that somebody else may be serving. Looking changes nothing.
#[derive(Debug)]
pub struct Visit {
    path: PathBuf,
    root: Directory,
    /// Nothing where no gateway has been yet.
    home: Option<Directory>,
}

impl Visit {
    /// Blocks, as everything here does.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let wrap = |source| OpenError::new(path, source);
        let root = Directory::open_root(path).map_err(wrap)?;
        let home = present(root.open(HOME)).map_err(wrap)?;
        Ok(Self {
            path: path.to_owned(),
            root,
            home,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies in the trash, by bucket and key, those of one key from the first removed to the last.
    pub fn trash(&self, filter: &Filter) -> Result<Vec<Entry>, Error> {
        let wrap = Error::io("reading the trash");
        let Some(home) = &self.home else {
            return Ok(Vec::new());
        };
        match present(home.open("trash")).map_err(&wrap)? {
            Some(trash) => trash::entries(&self.root, &trash, filter).map_err(&wrap),
            None => Ok(Vec::new()),
        }
    }
}
