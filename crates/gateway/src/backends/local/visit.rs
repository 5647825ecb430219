//! A volume looked at from outside, by a process that does not serve it and may do so while another one does.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::AtFlags;
use rustix::io::Errno;
use serde::Serialize;

use super::contents::Contents;
use super::control::Line;
use super::foreign::Refusal;
use super::scrub::{self, Damage, Progress};
use super::trash::{self, Entry, Filter, Occupied, Place, RestoreError};
use super::tree::{Directory, Name, NameKind, present};
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

/// How much of something there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    pub count: u64,
    pub bytes: u64,
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

    /// The objects, as whoever serves the volume sees them; nothing where no gateway has been yet.
    pub(super) fn contents(&self, sources: &Sources) -> Result<Option<Contents>, OpenError> {
        Contents::look(&self.path, sources.clone()).map_err(|refusal| match refusal {
            Refusal::Format(format) => OpenError::Format {
                path: self.path.clone(),
                format,
            },
            Refusal::Io(error) => OpenError::new(&self.path, error),
        })
    }

    /// What is below the gateway's own directory under `name`: how many names, and how much room they take in bytes.
    pub(super) fn room(&self, name: &str) -> io::Result<Room> {
        let mut room = Room::default();
        let Some(home) = &self.home else {
            return Ok(room);
        };
        if let Some(directory) = present(home.open(name))? {
            directory.for_each(|name| {
                room.count += 1;
                room.bytes += room_of(&directory, &name)?;
                Ok(())
            })?;
        }
        Ok(room)
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

/// What a file takes on the disk, or all files in a directory, in bytes. A part that is being written may have holes.
fn room_of(parent: &Directory, name: &Name) -> io::Result<u64> {
    match name.kind {
        NameKind::File => match rustix::fs::statat(parent, &name.text, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(u64::try_from(stat.st_blocks).unwrap_or(0) * 512),
            Err(Errno::NOENT) => Ok(0),
            Err(error) => Err(error.into()),
        },
        NameKind::Directory => {
            let Some(directory) = present(parent.open(&name.text))? else {
                return Ok(0);
            };
            let mut bytes = 0;
            directory.for_each(|inner| {
                if inner.kind == NameKind::File {
                    bytes += room_of(&directory, &inner)?;
                }
                Ok(())
            })?;
            Ok(bytes)
        }
    }
}
