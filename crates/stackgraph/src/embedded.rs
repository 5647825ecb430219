//! The graph store for one machine: a directory with a redb file.
//!
//! | file of the module | what it is |
//! |---|---|
//! | `directory` | generations, and how one takes another's place |
//! | `claim` | who may work on the store at the same time |
//! | `tables`, `row`, `names`, `counters` | what lies where in the redb file |
//! | `scan` | a snapshot, batch by batch |
//! | `load`, `sort` | a new generation, filled in key order |
//! | [`write`](mod@write) | small changes, all or nothing |
//! | [`lookup`], `graph` | one element and what is around it |
//!
//! The rules: readers see one committed state and never wait; one writer works beside them; a restore has the store
//! for itself, fills a new generation aside and switches with one rename. Whatever is cut off, the old state serves.

mod claim;
mod counters;
mod directory;
mod graph;
mod load;
pub mod lookup;
mod names;
mod row;
mod scan;
mod sort;
mod tables;
pub mod write;

use std::path::{Path, PathBuf};

use lifeboat_core::backup::Consistency;
use redb::ReadOnlyDatabase;

pub use claim::Holder;
use claim::{Claim, Purpose, io};
use directory::Directory;
use lookup::View;
use scan::Scan;
use write::Writer;

use crate::error::Error;
use crate::store::{Expected, GraphStore, Info, LoadMode, Loader, Snapshot};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The bytes that reading and small changes may cache. A load is bounded by [`Expected::memory`] instead.
    pub cache: usize,
    /// What others are told while this one holds the store.
    pub holder: Holder,
}

/// A store at a path. It holds no lock and no file open by itself: each snapshot, view, writer and loader does, for
/// as long as it lives.
#[derive(Debug)]
pub struct Store {
    directory: Directory,
    options: Options,
}

impl Store {
    /// Opens a store to read from it. Changes nothing. Fails with [`Error::NoStore`] where there is none.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let store = Self::at(path, options);
        store.generation()?;
        Ok(store)
    }

    /// Opens a store to write to it, and makes an empty one where there is none. Cut off meanwhile, there still is
    /// none, and the next call makes it.
    pub fn create(path: &Path, options: Options) -> Result<Self, Error> {
        let store = Self::at(path, options);
        directory::create(path)?;
        if store.directory.current()?.is_none() {
            let _claim = store.claim(Purpose::Replace)?;
            // Another may have made it while this one was waiting for nothing but the lock.
            if store.directory.current()?.is_none() {
                store.directory.remove_leftovers(None)?;
                let draft = store.directory.draft(None)?;
                let database = tables::open_writable(&draft.graph(), store.options.cache)?;
                tables::initialise(&database)?;
                database.close().map_err(tables::failed(tables::WRITE))?;
                draft.publish()?;
            }
        }
        Ok(store)
    }

    fn at(path: &Path, options: Options) -> Self {
        Self {
            directory: Directory {
                path: path.to_owned(),
            },
            options,
        }
    }

    /// Opens a frozen view in which single elements can be looked up. A restore is refused while it lives.
    pub fn view(&self) -> Result<View, Error> {
        let claim = self.claim(Purpose::Read)?;
        View::new(self.read()?, claim)
    }

    /// Starts a change. At most one writer works at a time, beside any number of readers; a restore is refused while
    /// it lives. Dropped before [`Writer::commit`], nothing happened. `now_millis` is the time that the changes get,
    /// in milliseconds since 1970 in UTC.
    pub fn write(&self, now_millis: i64) -> Result<Writer, Error> {
        let claim = self.claim(Purpose::Write)?;
        let generation = self.generation()?;
        self.directory.remove_leftovers(Some(generation))?;
        let database =
            tables::open_writable(&self.directory.graph(generation), self.options.cache)?;
        Writer::new(database, claim, now_millis)
    }

    fn claim(&self, purpose: Purpose) -> Result<Claim, Error> {
        if !self.directory.path.exists() {
            return Err(self.missing());
        }
        Claim::take(&self.directory.path, purpose, &self.options.holder)
    }

    fn generation(&self) -> Result<u64, Error> {
        self.directory.current()?.ok_or_else(|| self.missing())
    }

    fn missing(&self) -> Error {
        Error::NoStore {
            path: PathBuf::clone(&self.directory.path),
        }
    }

    /// Opens what serves now. A file that a killed writer left behind is repaired first.
    fn read(&self) -> Result<ReadOnlyDatabase, Error> {
        let file = self.directory.graph(self.generation()?);
        match tables::open_readable(&file, self.options.cache) {
            Err(redb::Error::RepairAborted) => {
                // Where it cannot be opened for writing, another one is repairing it at this moment.
                drop(tables::open_writable(&file, self.options.cache));
                tables::open_readable(&file, self.options.cache)
            }
            opened => opened,
        }
        .map_err(tables::failed("cannot open the graph"))
    }
}

impl GraphStore for Store {
    fn info(&self) -> Result<Info, Error> {
        let _claim = self.claim(Purpose::Read)?;
        let transaction = tables::begin_read(&self.read()?)?;
        let names = names::Names::read(&transaction)?;
        Ok(Info {
            driver: "embedded",
            consistency: Consistency::Snapshot,
            totals: tables::read_meta(&transaction)?.totals(&names)?,
        })
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Error> {
        let claim = self.claim(Purpose::Read)?;
        Ok(Box::new(Scan::new(self.read()?, claim)?))
    }

    fn begin_load(&self, mode: LoadMode, expected: &Expected) -> Result<Box<dyn Loader>, Error> {
        let claim = self.claim(Purpose::Replace)?;
        let current = self.generation()?;
        self.directory.remove_leftovers(Some(current))?;
        if mode == LoadMode::IntoEmpty {
            let transaction = tables::begin_read(&self.read()?)?;
            let counters = tables::read_meta(&transaction)?;
            if !counters.is_empty() {
                let totals = counters.totals(&names::Names::read(&transaction)?)?;
                return Err(Error::NotEmpty {
                    vertices: totals.vertex_count(),
                    edges: totals.edge_count(),
                });
            }
        }
        let load = load::Load::begin(&self.directory, current, expected, claim)?;
        Ok(Box::new(load))
    }
}
