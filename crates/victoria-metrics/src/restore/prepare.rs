//! The files of a backup beside the data that they will replace.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_storage::transfer::{Lane, Output};

use super::reuse::{self, has_size};
use super::{Options, Plan, Replaces, RoomWish, Source, differing};
use crate::backup::blocking;
use crate::era::Version;
use crate::error::Error;
use crate::files::Fault;
use crate::layout::Slice;
use crate::manifest::{FileEntry, Manifest, room_of};
use crate::store::{Place, key};
use crate::target::{self, Owner, Preparation, Room, Target};

/// What the preparation came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prepared {
    pub fetched_bytes: u64,
    /// Shared with the data that was there, or prepared by a run that was killed.
    pub reused_bytes: u64,
    pub files: u64,
}

/// Room that a volume should have left when all is there.
const SPARE: u64 = 64 * 1024 * 1024;
const SMALL: u64 = 256 * 1024;
const LARGE_FILES: usize = 8;
const SMALL_FILES: usize = 64;

/// Which servers cannot have written the data that is there: they are not newer than this. None where it does not tell.
pub(super) fn server_of(data: &Path) -> Option<Version> {
    if data.join("data/indexdb").is_dir() {
        return None;
    }
    let months = fs::read_dir(data.join("data/small")).ok()?;
    let mut months = months.flatten().map(|month| month.path());
    let before = |minor| Version {
        major: 1,
        minor,
        patch: 0,
    };
    let lists = months.any(|month| month.join("parts.json").exists());
    let tables = fs::read_dir(data.join("indexdb")).ok()?;
    let index_lists = tables
        .flatten()
        .any(|table| table.path().join("parts.json").exists());
    Some(before(if lists || index_lists { 132 } else { 89 }))
}

pub(super) fn plan(source: Source, writer: Version, options: &Options<'_>) -> Result<Plan, Error> {
    target::check(options.data)?;
    let size = source.manifest.size();
    let failed = |source| Error::Target {
        path: options.data.to_owned(),
        source,
    };
    let existing = options
        .data
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let found = rustix::fs::statvfs(existing).map_err(|error| failed(error.into()))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let free = free.saturating_add(target::taken_by_rubbish(options.data)?);
    let there = target::extent_of_data(options.data);
    let shared: u64 = source
        .manifest
        .files
        .iter()
        .filter(|(path, file)| has_size(&options.data.join(path), file.size))
        .map(|(_, file)| if file.slices.is_empty() { 0 } else { file.size })
        .sum();
    let prepared = target::taken_by(target::new_files_beside(options.data));
    let needed = (source.manifest.room() + SPARE).saturating_sub(shared.max(prepared));
    // What the new data shares with the old does not come free. Before anything is removed, this is looked at once more, by the files that were really shared.
    let freed = there.freed.saturating_sub(shared);
    let is_emptied =
        target::preparation_beside(options.data)?.is_some_and(|found| found.is_emptied);
    let room = if is_emptied {
        Room::InPlace
    } else if needed <= free {
        Room::Beside
    } else if options.room == RoomWish::InPlaceIfNeeded && needed <= free + freed {
        Room::InPlace
    } else {
        return Err(Error::NoSpace {
            path: options.data.to_owned(),
            needed: ByteSize(needed),
            spare: ByteSize(SPARE),
            free: ByteSize(free),
        });
    };
    Ok(Plan {
        size,
        shared,
        room,
        free,
        replaces: if there.bytes > 0 {
            Replaces::Data(there.bytes)
        } else {
            Replaces::Nothing
        },
        writer,
        source,
    })
}

pub(super) async fn run(
    place: Place<'_>,
    target: &Target,
    plan: &Plan,
    preparation: &mut Preparation,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Prepared, Error> {
    let manifest = &plan.source.manifest;
    progress.expect(manifest.files.len() as u64, plan.size);
    let work = Work {
        place,
        version: &plan.source.version,
        new: target.new_files(),
        data: target.root().to_owned(),
        owner: target.owner(),
        lane: Lane::new(16, options.memory.0, options.limit),
        progress,
    };
    // What another run prepared is good for this one where it is the same file.
    let (new, owner) = (work.new.clone(), work.owner);
    let wanted = manifest.files.keys().cloned().collect();
    blocking(move || reuse::prune(&new, &wanted, owner)).await?;
    target.note_preparation(preparation)?;
    // What is there already needs no network, and must be shared before the data goes.
    let mut missing = Vec::new();
    let mut prepared = Prepared::default();
    let mut reuse = futures::stream::iter(&manifest.files)
        .map(|(path, file)| work.reuse(path, file))
        .buffer_unordered(2);
    while let Some((path, file, reused)) = reuse.try_next().await? {
        prepared.files += 1;
        if reused {
            prepared.reused_bytes += file.size;
        } else {
            prepared.fetched_bytes += file.size;
            missing.push((path, file));
        }
    }
    drop(reuse);
    work.make_room(target, &missing, preparation, options)
        .await?;
    missing.sort_by_key(|(_, file)| std::cmp::Reverse(file.size));
    let (small, large): (Vec<_>, Vec<_>) = missing
        .into_iter()
        .partition(|(_, file)| file.size <= SMALL);
    let beside = work.lane.beside(SMALL_FILES);
    let large = futures::stream::iter(large)
        .map(|(path, file)| work.fetch(path, file, &work.lane))
        .buffer_unordered(LARGE_FILES)
        .try_collect::<Vec<_>>();
    let small = futures::stream::iter(small)
        .map(|(path, file)| work.fetch(path, file, &beside))
        .buffer_unordered(SMALL_FILES)
        .try_collect::<Vec<_>>();
    let (large, small) = tokio::try_join!(large, small)?;
    let sums = large.into_iter().chain(small).flatten().collect();
    work.compare(&sums, manifest)?;
    for (path, held) in &manifest.held {
        work.write(path, held.0.clone()).await?;
        prepared.files += 1;
    }
    Ok(prepared)
}

struct Work<'a> {
    place: Place<'a>,
    version: &'a str,
    new: PathBuf,
    data: PathBuf,
    owner: Owner,
    lane: Lane,
    progress: &'a Progress,
}

impl Work<'_> {
    /// Removes the data where there is no room beside it for what has to be fetched, and that is allowed. Only now is it known how much that is: of what has the name and
    /// the size of a file of the backup some may have other bytes.
    async fn make_room(
        &self,
        target: &Target,
        missing: &[(&str, &FileEntry)],
        preparation: &mut Preparation,
        options: &Options<'_>,
    ) -> Result<(), Error> {
        let needed: u64 = missing.iter().map(|(_, file)| room_of(file.size)).sum();
        let needed = needed + SPARE;
        // Once rubbish was removed, and what could be shared was, there may be room.
        let stale = self.taken_by_stale(missing).await?;
        let free = target.free()?.saturating_add(stale);
        if !preparation.is_emptied && needed > free {
            if options.room != RoomWish::InPlaceIfNeeded {
                return Err(Error::NoSpace {
                    path: target.root().to_owned(),
                    needed: ByteSize(needed),
                    spare: ByteSize(SPARE),
                    free: ByteSize(free),
                });
            }
            self.check_before_removal(missing, needed, free).await?;
            tracing::warn!(
                needed = %ByteSize(needed),
                free = %ByteSize(free),
                "there is no room beside the data, which is removed; it cannot be brought back"
            );
            target.note_emptied(preparation)?;
        }
        if preparation.is_emptied {
            target.remove_data().await?;
        }
        Ok(())
    }

    /// Bytes on the disk of what a run before had begun to fetch, and which is fetched anew.
    async fn taken_by_stale(&self, missing: &[(&str, &FileEntry)]) -> Result<u64, Error> {
        let paths = missing.iter().map(|(path, _)| self.new.join(path));
        let paths: Vec<PathBuf> = paths.collect();
        blocking(move || {
            let found = paths.iter().filter_map(|path| path.symlink_metadata().ok());
            let alone = found.filter(|found| found.nlink() == 1);
            Ok(alone.map(|found| found.blocks() * 512).sum())
        })
        .await
    }

    /// What has to hold before data is removed that cannot be brought back: there will be room, and what has to be fetched is what it should be.
    async fn check_before_removal(
        &self,
        missing: &[(&str, &FileEntry)],
        needed: u64,
        free: u64,
    ) -> Result<(), Error> {
        let root = self.data.clone();
        // Files that are shared by now have another name, and do not come free.
        let extent = blocking(move || Ok(target::extent_of_data(&root))).await?;
        if needed > free + extent.freed {
            return Err(Error::NoSpace {
                path: self.data.clone(),
                needed: ByteSize(needed),
                spare: ByteSize(SPARE),
                free: ByteSize(free + extent.freed),
            });
        }
        let slices = missing.iter().flat_map(|(path, file)| {
            let sums = file.slices.iter().map(Some).chain(std::iter::repeat(None));
            Slice::of(path, file.size).zip(sums)
        });
        let read = futures::stream::iter(slices)
            .map(|(slice, wanted)| async move {
                let object = key(self.version, &slice);
                // Not counted: it is fetched once more.
                let silent = Progress::default();
                let bucket = self.place.bucket;
                let sum = bucket
                    .sum_of(&object, slice.size, &self.lane, &silent)
                    .await?;
                let differs = wanted.is_some_and(|wanted| *wanted != sum);
                Ok::<_, Error>(differs.then_some(Fault::Checksum { path: slice.path }))
            })
            .buffer_unordered(LARGE_FILES)
            .try_collect::<Vec<_>>();
        let faults: Vec<Fault> = read.await?.into_iter().flatten().collect();
        self.refuse(faults)
    }

    fn compare(&self, sums: &BTreeMap<Slice, u64>, manifest: &Manifest) -> Result<(), Error> {
        self.refuse(differing(sums, manifest))
    }

    fn refuse(&self, faults: Vec<Fault>) -> Result<(), Error> {
        if faults.is_empty() {
            return Ok(());
        }
        let version = self.version.to_owned();
        Err(Error::Damaged { version, faults })
    }

    /// Takes a file from a run that was killed, or shares it with the data, if its bytes are those of the backup.
    async fn reuse<'f>(
        &self,
        path: &'f str,
        file: &'f FileEntry,
    ) -> Result<(&'f str, &'f FileEntry, bool), Error> {
        if file.slices.is_empty() {
            // Nobody knows what the bytes have to be.
            return Ok((path, file, false));
        }
        let (new, old) = (self.new.join(path), self.data.join(path));
        let (wanted, owner, root) = (file.clone(), self.owner, self.new.clone());
        let reused = blocking(move || {
            if reuse::is_prepared(&new, &wanted) {
                return Ok(true);
            }
            if !reuse::is_in_data(&old, &wanted) {
                return Ok(false);
            }
            make_parents(&root, &new, owner)?;
            remove_file(&new).map_err(failed("remove", &new))?;
            Ok(fs::hard_link(&old, &new).is_ok())
        })
        .await?;
        if reused {
            self.progress.add(1, file.size);
        }
        Ok((path, file, reused))
    }

    /// Fetches a file, all its slices at once, and returns what was received.
    async fn fetch(
        &self,
        path: &str,
        file: &FileEntry,
        lane: &Lane,
    ) -> Result<Vec<(Slice, u64)>, Error> {
        let new = self.new.join(path);
        let opened = self.create(new.clone(), file.size).await?;
        let slices: Vec<Slice> = Slice::of(path, file.size).collect();
        let fetched = slices.iter().map(|slice| {
            let opened = &opened;
            let new = &new;
            async move {
                let object = key(self.version, slice);
                let sum = self
                    .place
                    .bucket
                    .fetch_into(
                        &object,
                        slice.size,
                        opened,
                        slice.offset,
                        lane,
                        self.progress,
                    )
                    .await
                    .map_err(Error::transfer(new.clone(), "write"))?;
                Ok::<_, Error>((slice.clone(), sum))
            }
        });
        futures::future::try_join_all(fetched).await
    }

    async fn create(&self, new: PathBuf, size: u64) -> Result<Arc<Output>, Error> {
        let (owner, root) = (self.owner, self.new.clone());
        blocking(move || {
            make_parents(&root, &new, owner)?;
            // A name that shares its file with the data must not be written to.
            remove_file(&new).map_err(failed("remove", &new))?;
            let make = || -> io::Result<Output> {
                let output = Output::create(&new, size)?;
                output
                    .file()
                    .set_permissions(Permissions::from_mode(owner.folder_mode & 0o666))?;
                owner.give(&new)?;
                Ok(output)
            };
            make().map(Arc::new).map_err(failed("write", &new))
        })
        .await
    }

    async fn write(&self, path: &str, content: Vec<u8>) -> Result<(), Error> {
        use std::io::Write;
        let new = self.new.join(path);
        let output = self.create(new.clone(), 0).await?;
        blocking(move || {
            output
                .file()
                .write_all(&content)
                .map_err(failed("write", &new))
        })
        .await
    }
}

/// Makes the folders above a file, each for whom the data belongs to.
fn make_parents(root: &Path, file: &Path, owner: Owner) -> Result<(), Error> {
    let mut missing = Vec::new();
    let mut folder = file.parent();
    while let Some(path) = folder {
        if path.exists() {
            break;
        }
        missing.push(path);
        if path == root {
            // The work folder itself is nobody's business but ours.
            break;
        }
        folder = path.parent();
    }
    for path in missing.into_iter().rev() {
        let make = || -> io::Result<()> {
            fs::create_dir_all(path)?;
            fs::set_permissions(path, Permissions::from_mode(owner.folder_mode))?;
            owner.give(path)
        };
        make().map_err(failed("make", path))?;
    }
    Ok(())
}

pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

pub(super) fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        doing,
        path: path.clone(),
        source,
    }
}
