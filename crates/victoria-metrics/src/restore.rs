//! A backup back into the data folder of a server that does not run.
//!
//! Everything is checked before anything is touched: what is stored, that a server can open it, that it fits. The files are prepared beside the data;
//! parts that the data has already are shared with it, once their bytes were compared. Then folders are renamed. What a SIGKILL leaves: the
//! old data, and files that the next run compares and goes on with; or, between two renames, a folder that no server opens and that the next run
//! finishes. See [`target`].

mod prepare;
mod reuse;

use std::collections::BTreeMap;
use std::path::Path;

use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;

use crate::backup::adopted;
use crate::catalog;
use crate::era::{self, Version};
use crate::error::Error;
use crate::files::Fault;
use crate::layout::{MANIFEST, Slice};
use crate::manifest::Manifest;
use crate::parts::Inventory;
use crate::reader::{self, Identity};
use crate::standing::Standing;
use crate::store::Place;
use crate::target::{self, Preparation, Room, State, Target};

pub use self::prepare::Prepared;

pub struct Options<'a> {
    /// The data folder of the server.
    pub data: &'a Path,
    /// Of the server that will open it, where it is known.
    pub server: Option<Version>,
    pub room: RoomWish,
    pub limit: Option<ByteSize>,
    pub memory: ByteSize,
    pub program: String,
    /// The version that the data was backed up to just before, for whoever confirms.
    pub final_backup: Option<String>,
    /// For whoever would delete what is read meanwhile.
    pub reader: Identity<'a>,
}

/// Where the new data may be prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomWish {
    /// Beside the old, or not at all.
    Beside,
    /// In place of the old where there is no room beside it.
    InPlaceIfNeeded,
}

/// A backup that was looked over and found to be whole.
#[derive(Debug)]
pub struct Source {
    pub version: String,
    pub manifest: Manifest,
    /// Whether the manifest is ours, with checksums, or was made up from what vmbackup left.
    pub checked_by: CheckedBy,
    /// What is wrong with what was written to the version after this backup, where that does not count.
    overruled: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckedBy {
    /// Size and checksum of every object.
    Manifest,
    /// Size of every object, and all files of all parts that the lists name.
    Listing,
}

/// What a restore will do.
#[derive(Debug)]
pub struct Plan {
    pub source: Source,
    pub size: u64,
    /// Bytes that the data there seems to have already: files of the same name and size.
    pub shared: u64,
    pub room: Room,
    /// Bytes that the volume has left.
    pub free: u64,
    /// What is in the data folder now.
    pub replaces: Replaces,
    /// Of the server that wrote the backup, or the oldest whose files look so.
    pub writer: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaces {
    Nothing,
    /// Bytes of data.
    Data(u64),
}

/// Looks a backup over. Nothing but whole ones pass.
pub async fn source(place: Place<'_>, version: &str, program: &str) -> Result<Source, Error> {
    let mut found = None;
    if place.is_version(version) {
        // Nothing lies there where it is no version that exists.
        found = Some(place.look(version).await?).filter(|found| !found.is_nothing());
    }
    let found = match found {
        Some(found) => found,
        None => place.look(&catalog::find(place, version).await?).await?,
    };
    let version = found.version.clone();
    let (manifest, checked_by) = match &found.standing {
        Standing::Incomplete(reason) => {
            let reason = reason.clone();
            return Err(Error::Incomplete { version, reason });
        }
        Standing::Whole(manifest) => ((**manifest).clone(), CheckedBy::Manifest),
        Standing::Marked(_) => {
            let survey = place.survey(&found).await?;
            let faults = survey.files.sliced_otherwise();
            if !faults.is_empty() {
                // It counts all the same: vmrestore can restore it, and expiry must not take it for a leftover.
                return Err(Error::Damaged { version, faults });
            }
            let counted = survey.inventory.counted_in();
            let read = place.contents(&version, &survey.files, counted).await?;
            let summary = survey.inventory.summary(|path| read.get(path).cloned());
            let summary = summary.map_err(|fault| Error::Damaged {
                version: version.clone(),
                faults: vec![fault],
            })?;
            let manifest = adopted(place, &found, &survey, Some(summary), program);
            (manifest, CheckedBy::Listing)
        }
    };
    let inventory = Inventory::take(manifest.paths(), &manifest.lists());
    if !inventory.faults.is_empty() {
        let faults = inventory.faults;
        return Err(Error::Damaged { version, faults });
    }
    Ok(Source {
        version,
        manifest,
        checked_by,
        overruled: found.overruled,
    })
}

impl Source {
    /// What a person has to know of a backup that is not what was written to its version last.
    pub fn overruled(&self) -> Option<String> {
        let fault = self.overruled.as_ref()?;
        Some(format!(
            "what was written to `{}` last is damaged ({fault}): this is Lifeboat's backup from before that, completed at {}",
            self.version, self.manifest.completed
        ))
    }
}

/// Refuses what a server could not open.
pub fn check_server(source: &Source, server: Option<Version>) -> Result<Version, Error> {
    let writer = source.manifest.writer();
    if let Some(server) = server
        && let Some(reason) = era::refusal(writer, server)
    {
        return Err(Error::TooOld {
            server,
            writer,
            reason,
        });
    }
    Ok(writer)
}

/// Finds out what a restore would do. Changes nothing.
pub async fn plan(place: Place<'_>, version: &str, options: &Options<'_>) -> Result<Plan, Error> {
    let source = source(place, version, &options.program).await?;
    let server = match options.server {
        Some(server) => Some(server),
        None => prepare::server_of(options.data),
    };
    let writer = check_server(&source, server)?;
    prepare::plan(source, writer, options)
}

/// Returns once no server has the data open.
pub async fn wait_for_stop(data: &Path, progress: &Progress) -> Result<(), Error> {
    loop {
        match Target::open(data) {
            Ok(_) => return Ok(()),
            Err(Error::InUse { .. }) => {}
            Err(error) => return Err(error),
        }
        if progress.is_stopped() {
            return Err(Error::Stopped);
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// What a restore came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    pub prepared: Prepared,
    /// Whether the data from before lies beside, so that an undo can bring it back.
    pub can_be_undone: bool,
}

/// Carries a plan out. `progress` can ask to stop until folders are renamed; then the data is as it was, or, where it had to make room, gone: see
/// [`left`]. What was fetched stays for the next run.
pub async fn run(
    place: Place<'_>,
    plan: &Plan,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Restored, Error> {
    let target = Target::open(options.data)?;
    // The folder is ours: no server has it open any more.
    let begun = (options.reader.clock)();
    target.settle()?;
    target.sweep()?;
    let manifest = &plan.source.manifest;
    let before = target.preparation()?;
    let was_barred = match &before {
        Some(before) => before.was_barred,
        None => target.is_barred()?,
    };
    let mut preparation = Preparation {
        version: plan.source.version.clone(),
        completed: manifest.completed,
        begun,
        is_emptied: before.as_ref().is_some_and(|before| before.is_emptied),
        was_barred,
        // A run that was cut made it, and this one goes on with what that began.
        final_backup: options.final_backup.clone().or_else(|| {
            let before = before.filter(|before| before.version == plan.source.version);
            before?.final_backup
        }),
    };
    let work = async {
        if !is_current(place, &plan.source, &options.program).await? {
            return Err(Error::Superseded {
                version: plan.source.version.clone(),
            });
        }
        tokio::select! {
        prepared = prepare::run(place, &target, plan, &mut preparation, options, progress) => {
            let prepared = prepared?;
            target.sync().await?;
            let can_be_undone = target.switch(&preparation, manifest)?;
            Ok(Restored { prepared, can_be_undone })
        }
        stopped = crate::backup::stopped(progress) => Err(stopped),
        }
    };
    reader::while_noted(place, &plan.source.version, &options.reader, work).await
}

/// Whether no backup has gone to the version since it was looked over. What was looked over stays only from when it is noted that it is read.
async fn is_current(place: Place<'_>, source: &Source, program: &str) -> Result<bool, Error> {
    let version = &source.version;
    if source.checked_by == CheckedBy::Listing {
        let now = self::source(place, version, program).await?;
        return Ok(now.manifest == source.manifest);
    }
    let found = place.bucket.fetch(&format!("{version}/{MANIFEST}")).await?;
    let now = found.and_then(|found| Manifest::read(&found.bytes).ok());
    Ok(now.as_ref() == Some(&source.manifest))
}

/// Reads some of what a restore would fetch, and returns how many bytes: how long that takes tells how long the restore takes.
pub async fn probe(place: Place<'_>, plan: &Plan) -> Result<u64, Error> {
    const PIECE: u64 = 4 << 20;
    let mut slices: Vec<Slice> = plan
        .source
        .manifest
        .slices()
        .map(|(slice, _)| slice)
        .collect();
    slices.sort_by_key(|slice| std::cmp::Reverse(slice.size));
    let read = slices.iter().take(8).map(async |slice| {
        let range = 0..slice.size.min(PIECE);
        let object = crate::store::key(&plan.source.version, slice);
        let bytes = place.bucket.read_range(&object, range).await?;
        Ok::<_, Error>(bytes.len() as u64)
    });
    Ok(futures::future::try_join_all(read).await?.iter().sum())
}

/// What restores that have not ended left in a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Nothing,
    /// The data is as it was; beside it lie files of a backup.
    Fetched,
    /// The same, and no server starts on it: the same command, or an undo, ends that.
    Barred,
    /// The data was removed: only a restore brings anything back.
    Emptied,
    /// Folders are being renamed: the same command, or an undo, ends it.
    Between,
    /// The data is that of the backup; what was prepared for it was not put away.
    Restored,
    /// The data from before a restore is back; what was restored, and lies beside, was not put away.
    Undone,
}

/// Looks at a data folder.
pub fn left(data: &Path) -> Result<Left, Error> {
    let journal = target::journal_beside(data)?;
    if let Some(journal) = &journal
        && journal.state != State::Switched
    {
        return Ok(if target::is_undone(data, journal)? {
            Left::Undone
        } else {
            Left::Between
        });
    }
    let is_barred = target::is_barred(data)?;
    let Some(preparation) = target::preparation_beside(data)? else {
        return Ok(match (target::is_untidied(data)?, is_barred) {
            (true, true) => Left::Between,
            (true, false) => Left::Restored,
            (false, _) => Left::Nothing,
        });
    };
    Ok(match (preparation.is_emptied, is_barred) {
        (true, _) => Left::Emptied,
        // It was so before where the data is half of something.
        (false, true) if !preparation.was_barred => Left::Barred,
        _ => Left::Fetched,
    })
}

/// Slices whose bytes are not those of the manifest.
pub(crate) fn differing(slices: &BTreeMap<Slice, u64>, manifest: &Manifest) -> Vec<Fault> {
    let wanted = manifest.slices();
    wanted
        .filter_map(|(slice, sum)| {
            let found = slices.get(&slice)?;
            (sum.is_some_and(|sum| sum != *found)).then_some(Fault::Checksum { path: slice.path })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lifeboat_storage::{Access, Bucket, Endpoint, Signing};

    use super::*;
    use crate::manifest::FileEntry;
    use crate::target::{Journal, scene};

    /// Every step of a restore, and what is said of a run that fails or is cut after it.
    #[test]
    fn what_is_left_is_told_by_the_notes_and_by_what_keeps_servers_from_starting() {
        let preparation = |is_emptied, was_barred| Preparation {
            version: "a".to_owned(),
            completed: Timestamp::UNIX_EPOCH,
            begun: Timestamp::UNIX_EPOCH,
            is_emptied,
            was_barred,
            final_backup: None,
        };
        let journal = |version: &str, state| Journal {
            version: version.to_owned(),
            completed: Timestamp::UNIX_EPOCH,
            state,
            begun: Timestamp::UNIX_EPOCH,
            was_barred: false,
            arriving: Vec::new(),
            final_backup: None,
            writer: None,
            rows: None,
            series: None,
            range: None,
        };
        let (before, ours) = (journal("b", State::Switched), journal("a", State::Switched));
        let under_way = journal("a", State::Switching);
        let (fetched, emptied) = (preparation(false, false), preparation(true, false));
        let half = preparation(false, true);
        for (journal, preparation, is_barred, wanted) in [
            (None, None, false, Left::Nothing),
            (None, Some(&fetched), false, Left::Fetched),
            (None, Some(&fetched), true, Left::Barred),
            (Some(&before), Some(&fetched), false, Left::Fetched),
            (Some(&before), Some(&fetched), true, Left::Barred),
            (None, Some(&half), true, Left::Fetched),
            (None, Some(&emptied), true, Left::Emptied),
            (Some(&under_way), Some(&fetched), true, Left::Between),
            (Some(&ours), Some(&fetched), true, Left::Between),
            (Some(&ours), Some(&emptied), true, Left::Between),
            (Some(&ours), Some(&fetched), false, Left::Restored),
            (Some(&ours), Some(&emptied), false, Left::Restored),
            (Some(&ours), None, false, Left::Nothing),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let target = Target::open(folder.path()).unwrap();
            if let Some(journal) = journal {
                target.note(journal).unwrap();
            }
            if let Some(preparation) = preparation {
                target.note_preparation(preparation).unwrap();
            }
            if is_barred {
                target.raise_barrier().unwrap();
            }
            let told = left(folder.path()).unwrap();
            assert_eq!(told, wanted, "{journal:?} {preparation:?} {is_barred}");
        }
    }

    /// Another restore had removed the data when this one was planned, and has ended since: the data is its own.
    #[tokio::test]
    async fn data_that_came_after_the_plan_makes_no_room_unless_it_may() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let there = std::fs::File::create(data.join("there")).unwrap();
        let length = 256 << 20;
        let flags = rustix::fs::FallocateFlags::empty();
        if let Err(error) = rustix::fs::fallocate(&there, flags, 0, length) {
            return lifeboat_testkit::skip!("no room can be taken here: {error}");
        }
        let target = Target::open(root.path()).unwrap();
        let endpoint = Endpoint {
            url: "http://127.0.0.1:9".to_owned(),
            region: String::new(),
            read_timeout: None,
            content: Signing::Content,
        };
        let access = Access {
            access_key: String::new(),
            secret_key: String::new(),
        };
        let bucket = Bucket::new(endpoint, "b", &access).unwrap();
        let place = Place {
            bucket: &bucket,
            instance: "victoria-metrics-0",
            prefix: "victoria-metrics-0",
        };
        let options = Options {
            data: root.path(),
            server: None,
            room: RoomWish::Beside,
            limit: None,
            memory: ByteSize(1 << 20),
            program: String::new(),
            final_backup: None,
            reader: Identity {
                owner: String::new(),
                run: String::new(),
                clock: &|| Timestamp::UNIX_EPOCH,
            },
        };
        let file = FileEntry {
            size: target.free().unwrap() + length / 2,
            slices: vec![0],
        };
        let manifest = Manifest {
            files: [("data/small/a/values.bin".to_owned(), file)].into(),
            ..scene::manifest()
        };
        let plan = Plan {
            size: manifest.size(),
            shared: 0,
            room: Room::InPlace,
            free: 0,
            replaces: Replaces::Nothing,
            writer: manifest.writer(),
            source: Source {
                version: "victoria-metrics-0-latest".to_owned(),
                manifest,
                checked_by: CheckedBy::Manifest,
                overruled: None,
            },
        };
        let mut preparation = scene::preparation(&plan.source.version);
        let progress = Progress::default();
        let done = prepare::run(place, &target, &plan, &mut preparation, &options, &progress).await;
        assert!(matches!(done, Err(Error::NoSpace { .. })), "{done:?}");
        assert!(data.join("there").exists());
        assert!(!target.is_barred().unwrap());
    }
}
