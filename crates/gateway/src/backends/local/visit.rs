//! A volume looked at from outside, by a process that does not serve it and may do so while another one does.

use std::path::{Path, PathBuf};

use super::control::Line;
use super::scrub::{self, Damage, Progress};
use super::trash::{self, Entry, Filter, Occupied, Place, RestoreError};
use super::tree::{Directory, present};
use super::volume::HOME;
use super::{Local, OpenError};
use crate::backend::{Error, ObjectPath};
use crate::backends::Sources;

/// A volume that somebody else may be serving. Looking changes nothing.
#[derive(Debug)]
pub struct Visit {
    path: PathBuf,
    root: Directory,
    /// Nothing where no gateway has been yet.
    home: Option<Directory>,
}

/// Who changes a volume: at any time only one process does.
#[derive(Debug)]
pub enum Keeper {
    /// The gateway that serves it, through its socket.
    Gateway(Gateway),
    /// This process, since nobody serves it.
    Here(Local),
}

/// A gateway that serves a volume on this machine.
#[derive(Debug)]
pub struct Gateway(Line);

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

    /// What is known to be damaged.
    pub fn damages(&self) -> Result<Vec<Damage>, Error> {
        let Some(home) = &self.home else {
            return Ok(Vec::new());
        };
        let damages = scrub::read_damages(home).map_err(Error::io("reading what is damaged"))?;
        Ok(damages.iter().cloned().collect())
    }

    /// How far the scrub has come.
    pub fn scrub(&self) -> Result<Progress, Error> {
        let Some(home) = &self.home else {
            return Ok(Progress::default());
        };
        scrub::read_progress(home).map_err(Error::io("reading how far the scrub has come"))
    }

    /// Whether a key holds an object.
    pub fn holds(&self, path: &ObjectPath) -> Result<bool, Error> {
        let found = trash::open_object(&self.root, path.bucket(), path.key());
        Ok(found.map_err(Error::io("reading the object"))?.is_some())
    }

    /// The gateway that serves the volume; nothing if none answers on this machine.
    pub fn gateway(&self) -> Result<Option<Gateway>, OpenError> {
        let Some(home) = &self.home else {
            return Ok(None);
        };
        let line = Line::open(home).map_err(|source| OpenError::new(&self.path, source))?;
        Ok(line.map(Gateway))
    }

    /// Finds out who can change the volume, and takes it into service where nobody does.
    pub fn keeper(&self, sources: Sources) -> Result<Keeper, OpenError> {
        match self.gateway()? {
            Some(gateway) => Ok(Keeper::Gateway(gateway)),
            None => Local::open(&self.path, sources).map(Keeper::Here),
        }
    }
}

impl Gateway {
    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.0.process()
    }
}

impl Keeper {
    /// Gives an object in the trash its key again. A bucket that is gone is made again. If it fails, the entry stays.
    pub fn restore(&mut self, place: &Place, occupied: Occupied) -> Result<Entry, RestoreError> {
        match self {
            Self::Gateway(Gateway(line)) => line.restore(place, occupied),
            Self::Here(local) => local.inner.volume.restore(place, occupied),
        }
    }
}
