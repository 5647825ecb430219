//! Multipart uploads: parts are written where the object will have them, so that completing an upload copies nothing.
//!
//! Each upload has a directory `.lifeboat/uploads/<id>` with a journal and one data file. The length of the part that
//! comes first is the stride: part `n` is written at `(n - 1) * stride` if it fits. A part that is longer, of unknown
//! length, or sent again while an earlier one counts, gets a file of its own; completing then joins the pieces.

mod journal;
mod part;
mod plan;
mod recovery;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use self::journal::{Journal, Line, Place};
pub(super) use self::part::PartSink;
use super::crc::Crc;
use super::record::Record;
use super::stage::Staged;
use super::tree::Directory;
use super::volume::Volume;
use crate::backend::upload::{CompleteOptions, PartInfo, UploadInfo, UploadOptions};
use crate::backend::{Error, ObjectInfo, ObjectPath};

const JOURNAL: &str = "journal";
const DATA: &str = "data";
/// How many completed uploads are remembered, so that a repeated request gets the same answer.
const REMEMBERED: usize = 1000;

/// All live uploads of a volume.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    live: Mutex<BTreeMap<String, Arc<Upload>>>,
    completed: Mutex<VecDeque<Completed>>,
}

#[derive(Debug)]
struct Completed {
    id: String,
    path: ObjectPath,
    info: ObjectInfo,
}

/// One live upload.
#[derive(Debug)]
pub(super) struct Upload {
    id: String,
    path: ObjectPath,
    pub(super) options: UploadOptions,
    initiated: Timestamp,
    directory: Arc<Directory>,
    data: Arc<File>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    journal: Journal,
    parts: BTreeMap<u16, Part>,
    stride: Option<u64>,
    /// Slots being written.
    busy: BTreeSet<u16>,
    /// When something last happened.
    active: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Completing,
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    info: PartInfo,
    /// Of its content. A part that an earlier version took has none.
    crc: Option<Crc>,
    place: Place,
}

impl Upload {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> Error {
        Error::NoSuchUpload {
            upload: self.id.clone(),
        }
    }

    pub(super) fn info(&self) -> UploadInfo {
        UploadInfo {
            key: self.path.key().to_owned(),
            id: self.id.clone(),
            initiated: self.initiated,
            options: self.options.clone(),
        }
    }

    pub(super) fn parts(&self) -> Vec<PartInfo> {
        self.state()
            .parts
            .values()
            .map(|part| part.info.clone())
            .collect()
    }
}

impl Uploads {
    fn live(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Upload>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(
        &self,
        volume: &Volume,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<String, Error> {
        let wrap = Error::io("beginning the upload");
        drop(volume.bucket(path.bucket())?);
        let id = volume.sources.id();
        let initiated = volume.sources.now();
        let directory = volume.uploads.make(&id).map_err(&wrap)?;
        let begun = || {
            let mut journal = Journal::new(directory.create_file(JOURNAL)?, 0);
            let line = Line::Begun {
                bucket: path.bucket().to_owned(),
                key: path.key().to_owned(),
                initiated: initiated.as_millisecond(),
                options: options.clone(),
            };
            journal.append(&line)?;
            let data = directory.create_file(DATA)?;
            directory.sync()?;
            Ok((journal, data))
        };
        let (journal, data) = match begun() {
            Ok(files) => files,
            Err(error) => {
                discard(volume, &id);
                return Err(wrap(error));
            }
        };
        let upload = Upload {
            id: id.clone(),
            path: path.clone(),
            options,
            initiated,
            directory: Arc::new(directory),
            data: Arc::new(data),
            state: Mutex::new(State::new(journal, initiated)),
        };
        self.live().insert(id.clone(), Arc::new(upload));
        Ok(id)
    }

    /// Returns a live upload, if it is one to `path`.
    pub(super) fn get(&self, path: &ObjectPath, id: &str) -> Result<Arc<Upload>, Error> {
        self.live()
            .get(id)
            .filter(|upload| upload.path == *path)
            .cloned()
            .ok_or_else(|| Error::NoSuchUpload {
                upload: id.to_owned(),
            })
    }

    pub(super) fn count(&self) -> usize {
        self.live().len()
    }

    /// Ordered by key, then by id.
    pub(super) fn list(&self, bucket: &str, prefix: &str) -> Vec<UploadInfo> {
        let mut found: Vec<_> = self
            .live()
            .values()
            .filter(|upload| {
                upload.path.bucket() == bucket && upload.path.key().starts_with(prefix)
            })
            .map(|upload| upload.info())
            .collect();
        found.sort_by(|one, other| (&one.key, &one.id).cmp(&(&other.key, &other.id)));
        found
    }

    pub(super) fn abort(&self, volume: &Volume, path: &ObjectPath, id: &str) -> Result<(), Error> {
        let upload = self.get(path, id)?;
        {
            let mut state = upload.state();
            match state.phase {
                Phase::Open => state.phase = Phase::Ended,
                Phase::Completing => {
                    return Err(Error::UploadBusy {
                        upload: id.to_owned(),
                    });
                }
                Phase::Ended => return Err(upload.gone()),
            }
        }
        self.live().remove(id);
        discard(volume, id);
        Ok(())
    }

    /// Aborts all uploads to a bucket.
    pub(super) fn abort_all(&self, volume: &Volume, bucket: &str) {
        for info in self.list(bucket, "") {
            let aborted = ObjectPath::new(bucket, info.key)
                .and_then(|path| self.abort(volume, &path, &info.id));
            if let Err(error) = aborted {
                tracing::debug!(%error, "an upload to a removed bucket ended by itself");
            }
        }
    }

    /// Aborts the uploads in which nothing has happened for `age`, and returns how many.
    pub(super) fn sweep(&self, volume: &Volume, age: Duration) -> usize {
        let now = volume.sources.now();
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let old: Vec<_> = self
            .live()
            .values()
            .filter(|upload| {
                let state = upload.state();
                state.busy.is_empty() && now.duration_since(state.active) > age
            })
            .cloned()
            .collect();
        old.iter()
            .filter(|upload| self.abort(volume, &upload.path, &upload.id).is_ok())
            .count()
    }

    /// Makes the parts an object. Repeating a request that succeeded gives the same answer.
    pub(super) fn complete(
        &self,
        volume: &Volume,
        path: &ObjectPath,
        id: &str,
        request: &CompleteOptions,
    ) -> Result<ObjectInfo, Error> {
        let upload = match self.get(path, id) {
            Ok(upload) => upload,
            Err(error) => return self.completed(path, id).ok_or(error),
        };
        let plan = {
            let mut state = upload.state();
            match state.phase {
                Phase::Open => {}
                Phase::Completing => {
                    return Err(Error::UploadBusy {
                        upload: id.to_owned(),
                    });
                }
                Phase::Ended => return self.completed(path, id).ok_or_else(|| upload.gone()),
            }
            let mut plan = plan::plan(&state.parts, &upload.options, request)?;
            // A part still arriving would be written into the object.
            plan.in_place &= state.busy.is_empty();
            state.phase = Phase::Completing;
            plan
        };
        let published = upload.publish(volume, &plan, request);
        let mut state = upload.state();
        match published {
            Ok(info) => {
                state.phase = Phase::Ended;
                drop(state);
                self.remember(Completed {
                    id: id.to_owned(),
                    path: path.clone(),
                    info: info.clone(),
                });
                self.live().remove(id);
                discard(volume, id);
                Ok(info)
            }
            Err(error) => {
                state.phase = Phase::Open;
                Err(error)
            }
        }
    }

    fn completed(&self, path: &ObjectPath, id: &str) -> Option<ObjectInfo> {
        let completed = self
            .completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let same = completed
            .iter()
            .find(|known| known.id == id && known.path == *path)?;
        Some(same.info.clone())
    }

    fn remember(&self, completed: Completed) {
        let mut known = self
            .completed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() == REMEMBERED {
            known.pop_front();
        }
        known.push_back(completed);
    }
}

impl State {
    fn new(journal: Journal, active: Timestamp) -> Self {
        Self {
            phase: Phase::Open,
            journal,
            parts: BTreeMap::new(),
            stride: None,
            busy: BTreeSet::new(),
            active,
        }
    }
}

impl Upload {
    /// Carries a plan out. If it fails, every part is where it was.
    fn publish(
        &self,
        volume: &Volume,
        plan: &plan::Plan,
        request: &CompleteOptions,
    ) -> Result<ObjectInfo, Error> {
        let wrap = Error::io("completing the upload");
        let object = volume.sources.id();
        let mut record = Record::new(
            object.clone(),
            plan.etag.clone(),
            volume.sources.now(),
            self.options.attributes.clone(),
        );
        record.checksum.clone_from(&plan.checksum);
        record.parts = u16::try_from(plan.parts.len()).ok();
        record.crc = plan.crc();
        self.state()
            .journal
            .append(&Line::Completing { object })
            .map_err(&wrap)?;
        if plan.in_place {
            self.data.set_len(plan.size).map_err(&wrap)?;
            let file = self.data.try_clone().map_err(&wrap)?;
            let directory = Arc::clone(&self.directory);
            let mut staged = Staged::adopt(file, directory, DATA.to_owned(), volume.can);
            let published = volume
                .seal(&mut staged, &record)
                .and_then(|()| volume.publish(&self.path, &request.condition, &mut staged));
            staged.release();
            published?;
        } else {
            let mut staged = volume.stage().map_err(&wrap)?;
            self.join(plan, &staged.file).map_err(&wrap)?;
            volume.seal(&mut staged, &record)?;
            volume.publish(&self.path, &request.condition, &mut staged)?;
        }
        Ok(record.info(plan.size))
    }

    /// Writes the parts of a plan one after the other.
    fn join(&self, plan: &plan::Plan, target: &File) -> io::Result<()> {
        let mut written = 0;
        for part in &plan.parts {
            let aside;
            let (source, offset) = match &part.place {
                Place::Slot { stride } => (&*self.data, u64::from(part.info.number - 1) * stride),
                Place::Aside { name } => {
                    aside = self.directory.open_file(name)?;
                    (&aside, 0)
                }
            };
            part::copy_range(source, offset, target, written, part.info.size)?;
            written += part.info.size;
        }
        Ok(())
    }
}

/// Removes what is left of an upload that has ended. The journal goes first: without it, what stays is removed at the
/// next start and never taken for an upload that goes on.
fn discard(volume: &Volume, id: &str) {
    let removed = volume
        .uploads
        .open(id)
        .and_then(|directory| {
            directory.remove_file(JOURNAL)?;
            directory.sync()
        })
        .and_then(|()| volume.uploads.remove_tree(id))
        .and_then(|()| volume.uploads.sync());
    if let Err(error) = removed {
        tracing::warn!(%error, upload = id, "cannot remove the files of an upload; the next start will");
    }
}
