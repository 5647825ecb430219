//! What was prepared takes the place of the data, and the way back.
//!
//! Folders are renamed one after the other, while the barrier keeps servers from starting and the journal says how to go on. What a SIGKILL leaves: before
//! the journal says `switching` the old data, with caches emptied that are on volumes of their own, and the barrier perhaps up, which the next restore or `undo` takes down; from then on a folder that no server opens
//! and that the next restore or `undo` brings to its end, in the same direction; after it says `switched`, the new data, with the barrier perhaps up, and things
//! beside it that are removed later.

use std::fs;
use std::path::Path;

use super::journal::{Journal, Preparation, State};
use super::mounts::Mounted;
use super::{
    DISCARDED, ENTRIES, JOURNAL, PREVIOUS, Target, examine, failed, has_previous, is_there, remove,
    remove_file, remove_rest, sync,
};
use crate::error::Error;
use crate::manifest::Manifest;

impl Target {
    /// Puts what was prepared in the place of the data. Cut anywhere, [`settle`](Self::settle) ends it. The data before is kept beside; of a restore over a restore
    /// that no server has opened, the data before the first. Data that was removed for want of room is not kept. Returns whether there is a way back.
    pub fn switch(&self, preparation: &Preparation, manifest: &Manifest) -> Result<bool, Error> {
        let mounted = examine(&self.root)?;
        // What cannot be emptied must be known before anything is moved.
        for name in mounted.names() {
            empty(&self.root.join(name))?;
        }
        let (previous, discarded) = (self.work.join(PREVIOUS), self.work.join(DISCARDED));
        // Left by a restore that was cut when it had nearly ended: would be taken for what this one moves away.
        remove(&discarded)?;
        let is_kept = has_previous(&self.root)?;
        let journal_before = self.journal()?;
        let before = journal_before.clone().filter(|_| is_kept);
        let arriving = present(&self.new_files())?;
        if is_kept || preparation.is_emptied {
            // The data now is that of a restore that no server opened, or what is left of it.
            self.make(&discarded)?;
        }
        self.raise_barrier()?;
        let journal = Journal {
            version: preparation.version.clone(),
            completed: preparation.completed,
            state: State::Switching,
            begun: preparation.begun,
            was_barred: before
                .as_ref()
                .map_or(preparation.was_barred, |before| before.was_barred),
            arriving: arriving.clone(),
            final_backup: preparation
                .final_backup
                .clone()
                .or_else(|| before?.final_backup),
            writer: Some(manifest.writer()),
            rows: manifest.rows,
            series: manifest.series,
            range: manifest.range,
        };
        self.note(&journal)?;
        if let Err(error) = self.finish(journal, &mounted) {
            // Where nobody can tell, servers are kept from starting until the next restore or undo.
            let is_as_it_was = self.has_moved_nothing(&arriving).unwrap_or(false);
            if !preparation.is_emptied && is_as_it_was {
                self.take_back(journal_before, preparation)?;
            }
            return Err(error);
        }
        is_there(&previous)
    }

    /// Brings to its end whatever was cut while folders were renamed.
    pub fn settle(&self) -> Result<(), Error> {
        match self.journal()? {
            Some(journal) if journal.state == State::Switching => {
                self.finish(journal, &self.mounted()?).map(drop)
            }
            Some(journal) if journal.state == State::Undoing => {
                self.finish_undo(&journal, &self.mounted()?)
            }
            Some(journal) => self.tidy_after(&journal),
            None => Ok(()),
        }
    }

    /// Does what was cut, or is not on the disk, of the last steps of a restore.
    pub(super) fn tidy_after(&self, journal: &Journal) -> Result<(), Error> {
        match self.preparation()? {
            Some(preparation) if journal.is_of(&preparation) => self.tidy(),
            _ => Ok(()),
        }
    }

    /// Whether no folder was renamed: the first was refused, as some file systems made of layers do.
    fn has_moved_nothing(&self, arriving: &[String]) -> Result<bool, Error> {
        let discarded = self.work.join(DISCARDED);
        let aside = if is_there(&discarded)? {
            discarded
        } else {
            self.work.join(PREVIOUS)
        };
        Ok(present(&aside)?.is_empty() && present(&self.new_files())? == arriving)
    }

    /// Lets servers start on the data again, which is as it was.
    fn take_back(&self, before: Option<Journal>, preparation: &Preparation) -> Result<(), Error> {
        if let Some(before) = before {
            self.note(&before)?;
        } else {
            let path = self.work.join(JOURNAL);
            let removed = remove_file(&path).and_then(|()| sync(&self.work));
            removed.map_err(failed("remove", &path))?;
        }
        if preparation.was_barred {
            return Ok(());
        }
        self.lower_barrier()
    }

    pub(super) fn finish(&self, mut journal: Journal, mounted: &Mounted) -> Result<Journal, Error> {
        let (new, previous) = (self.new_files(), self.work.join(PREVIOUS));
        let discarded = self.work.join(DISCARDED);
        let aside = if is_there(&discarded)? {
            &discarded
        } else {
            &previous
        };
        self.make(aside)?;
        self.exchange(&journal.arriving, &new, aside, mounted)?;
        journal.state = State::Switched;
        self.note(&journal)?;
        self.tidy()?;
        Ok(journal)
    }

    /// What is left to be done once the new data is in its place. Its note goes before what was discarded, which counts for nothing.
    fn tidy(&self) -> Result<(), Error> {
        self.lower_barrier()?;
        self.forget_preparation()?;
        remove_rest(&self.work.join(DISCARDED));
        Ok(())
    }

    /// Moves the entries of the data to `aside`, and those of `from` to their place. Nothing else may touch them meanwhile; cut anywhere, it can be run
    /// again with the same `arriving`.
    pub(super) fn exchange(
        &self,
        arriving: &[String],
        from: &Path,
        aside: &Path,
        mounted: &Mounted,
    ) -> Result<(), Error> {
        for name in ENTRIES {
            let (now, new, old) = (self.root.join(name), from.join(name), aside.join(name));
            if mounted.contains(name) {
                empty(&now)?;
                continue;
            }
            let arrives = arriving.iter().any(|arriving| arriving == name);
            let has_arrived = arrives && !is_there(&new)?;
            if is_there(&now)? && !has_arrived && !is_there(&old)? {
                fs::rename(&now, &old).map_err(failed("move away", &now))?;
            }
            if arrives && !has_arrived {
                fs::rename(&new, &now).map_err(failed("move", &new))?;
            }
        }
        for folder in [from, aside, &self.root] {
            if is_there(folder)? {
                sync(folder).map_err(failed("sync", folder))?;
            }
        }
        Ok(())
    }
}

/// The entries of data that are there.
pub(super) fn present(folder: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for name in ENTRIES {
        if is_there(&folder.join(name))? {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Removes what is in a folder that is a volume of its own and stays, but for what its file system has put there.
pub(super) fn empty(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(failed("look at", folder))? {
        let path = entry.map_err(failed("look at", folder))?.path();
        if path.ends_with("lost+found") {
            continue;
        }
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir());
        if is_folder {
            remove(&path)?;
        } else {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
    }
    // A volume of its own is not on the disk with the rest.
    sync(folder).map_err(failed("sync", folder))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::target::scene::*;
    use crate::target::{Beside, GONE, WORK, check, preparation_beside};

    #[tokio::test]
    async fn what_made_room_cannot_come_back() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        let emptied = Preparation {
            is_emptied: true,
            ..preparation("a")
        };
        target.note_preparation(&emptied).unwrap();
        target.raise_barrier().unwrap();
        target.remove_data().await.unwrap();
        assert_eq!(target.undoable().unwrap(), None);
        assert!(matches!(target.undo(), Err(Error::NothingToUndo { .. })));
        assert!(target.is_barred().unwrap());
        assert!(!target.switch(&emptied, &manifest()).unwrap());
        assert!(matches!(target.undo(), Err(Error::NothingToUndo { .. })));
        assert_eq!(shown(root.path()), ["data new", "metadata new"]);
        assert!(!target.is_barred().unwrap());
    }

    #[test]
    fn what_an_ended_restore_had_not_come_to_remove_stops_nobody() {
        for again in [true, false] {
            let root = folder(&OLD, &NEW_NAMES);
            let target = Target::open(root.path()).unwrap();
            target.switch(&preparation("a"), &manifest()).unwrap();
            write(&target.work.join(DISCARDED), &["data", "metadata"], "stale");
            if again {
                write(&target.new_files(), &["data"], "newer");
                target.switch(&preparation("b"), &manifest()).unwrap();
                assert_eq!(shown(root.path()), ["data newer"]);
            }
            target.undo().unwrap();
            assert_eq!(shown(root.path()), WAS);
        }
    }

    /// What was there before is still that from before the first.
    #[test]
    fn a_restore_over_another_knows_where_the_data_from_before_was_backed_up() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        let last = Some("last".to_owned());
        let backed_up = Preparation {
            final_backup: last.clone(),
            ..preparation("a")
        };
        target.switch(&backed_up, &manifest()).unwrap();
        write(&target.new_files(), &["data"], "newer");
        target.switch(&preparation("b"), &manifest()).unwrap();
        let journal = target.journal().unwrap().unwrap();
        assert_eq!((&journal.version[..], journal.final_backup), ("b", last));
    }

    #[test]
    fn a_removal_that_was_cut_leaves_nothing_that_counts() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        // Cut after the rename, with half of it removed.
        fs::rename(root.path().join(WORK), root.path().join(GONE)).unwrap();
        assert_eq!(target.undoable().unwrap(), None);
        write(&target.new_files(), &["data"], "newer");
        target.note_preparation(&preparation("b")).unwrap();
        target.sweep().unwrap();
        assert!(!root.path().join(GONE).exists());
        assert!(target.switch(&preparation("b"), &manifest()).unwrap());
        target.undo().unwrap();
        assert_eq!(shown(root.path()), ["data new", "metadata new"]);
        drop(target);
        Beside::hold(root.path()).unwrap().forget().unwrap();
    }

    #[test]
    fn work_that_no_note_speaks_of_is_removed() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        write(&target.work.join(PREVIOUS), &["data"], "half");
        target.sweep().unwrap();
        assert!(!root.path().join(WORK).exists());
    }

    #[test]
    fn a_folder_that_a_server_has_open_is_refused() {
        let root = folder(&OLD, &[]);
        assert!(!crate::target::is_in_use(root.path()).unwrap());
        let _held = Target::open(root.path()).unwrap();
        assert!(crate::target::is_in_use(root.path()).unwrap());
        assert!(matches!(
            Target::open(root.path()),
            Err(Error::InUse { .. })
        ));
    }

    #[test]
    fn data_that_a_server_has_opened_since_is_not_given_up() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        check(root.path()).unwrap();
        write(root.path(), &["snapshots", "cache"], "by a server");
        let was = shown(root.path());
        write(&target.new_files(), &["data"], "newer");
        for refused in [check(root.path()), target.sweep()] {
            assert!(matches!(refused, Err(Error::Unconfirmed { version, .. }) if version == "a"));
        }
        let refused = target.switch(&preparation("b"), &manifest());
        assert!(matches!(refused, Err(Error::Unconfirmed { .. })));
        assert_eq!(shown(root.path()), was);
        assert!(!target.is_barred().unwrap());
        target.undo().unwrap();
        assert_eq!(shown(root.path()), WAS);
    }

    #[test]
    fn where_there_was_nothing_the_data_of_a_restore_is_what_the_next_one_keeps() {
        let root = folder(&[], &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        write(root.path(), &["snapshots"], "by a server");
        let was = shown(root.path());
        write(&target.new_files(), &["data"], "newer");
        target.switch(&preparation("b"), &manifest()).unwrap();
        assert_eq!(shown(root.path()), ["data newer"]);
        assert_eq!(target.undo().unwrap(), back("b"));
        assert_eq!(shown(root.path()), was);
    }

    #[test]
    fn what_was_cut_once_the_new_data_was_there_is_no_preparation_of_the_next() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        let emptied = Preparation {
            is_emptied: true,
            ..preparation("a")
        };
        target.switch(&emptied, &manifest()).unwrap();
        // Cut before the last steps, or its removal was not on the disk when the power failed.
        target.note_preparation(&emptied).unwrap();
        target.raise_barrier().unwrap();
        assert_eq!(preparation_beside(root.path()).unwrap(), None);
        target.settle().unwrap();
        assert_eq!(target.preparation().unwrap(), None);
        assert!(!target.is_barred().unwrap());
        target.note_preparation(&emptied).unwrap();
        target.raise_barrier().unwrap();
        // Nothing was there that could come back.
        remove(&target.work.join(PREVIOUS)).unwrap();
        assert!(matches!(target.undo(), Err(Error::NothingToUndo { .. })));
        assert!(!target.is_barred().unwrap());
        // One of another restore stays.
        let other = preparation("b");
        target.note_preparation(&other).unwrap();
        target.settle().unwrap();
        assert_eq!(preparation_beside(root.path()).unwrap(), Some(other));
    }

    #[test]
    fn who_removes_what_a_restore_left_does_not_meet_another() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        let refused = Beside::hold(root.path()).map(drop);
        assert!(matches!(refused, Err(Error::Busy { .. })));
        drop(target);
        Beside::hold(root.path()).unwrap().forget().unwrap();
        assert!(!root.path().join(WORK).exists());
    }

    /// What was asked for is done by then: a backup is back, or confirmed.
    #[test]
    fn what_cannot_be_removed_in_the_end_is_no_failure() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        target.note_preparation(&preparation("a")).unwrap();
        target.raise_barrier().unwrap();
        // Root removes any folder; as one, this cannot be.
        fs::write(target.work.join(DISCARDED), "").unwrap();
        target.settle().unwrap();
        assert!(!target.is_barred().unwrap());
        assert_eq!(target.preparation().unwrap(), None);
        drop(target);
        fs::remove_dir_all(root.path().join(WORK)).unwrap();
        fs::write(root.path().join(WORK), "").unwrap();
        Beside::hold(root.path()).unwrap().forget().unwrap();
        assert!(!root.path().join(WORK).exists());
    }

    #[test]
    fn what_a_file_system_puts_into_its_root_stays() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("lost+found/a")).unwrap();
        write(root.path(), &["metricName", "lost"], "old");
        empty(root.path()).unwrap();
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert!(root.path().join("lost+found/a").exists());
    }

    /// Every state in which renames can be cut, made by hand: `switched` of the entries have been exchanged, and of the next one `half` says whether the old one
    /// has gone.
    #[test]
    fn a_switch_that_was_cut_between_any_two_renames_is_ended_by_the_next() {
        for old in [&OLD[..], &[]] {
            for switched in 0..=ENTRIES.len() {
                for half in [false, true] {
                    let root = folder(old, &NEW_NAMES);
                    let target = Target::open(root.path()).unwrap();
                    let cut = Journal {
                        version: "a".to_owned(),
                        completed: Timestamp::UNIX_EPOCH,
                        state: State::Switching,
                        begun: Timestamp::UNIX_EPOCH,
                        was_barred: false,
                        arriving: NEW_NAMES.map(str::to_owned).to_vec(),
                        final_backup: None,
                        writer: None,
                        rows: None,
                        series: None,
                        range: None,
                    };
                    target.raise_barrier().unwrap();
                    target.note(&cut).unwrap();
                    let (new, previous) = (target.new_files(), target.work.join(PREVIOUS));
                    fs::create_dir_all(&previous).unwrap();
                    for (at, name) in ENTRIES.iter().enumerate() {
                        let now = root.path().join(name);
                        let goes = at < switched || (at == switched && half);
                        if goes && now.exists() {
                            fs::rename(&now, previous.join(name)).unwrap();
                        }
                        if at < switched && new.join(name).exists() {
                            fs::rename(new.join(name), &now).unwrap();
                        }
                    }
                    let left = crate::restore::left(root.path()).unwrap();
                    assert_eq!(left, crate::restore::Left::Between);
                    if switched % 2 == 0 {
                        target.settle().unwrap();
                        assert_eq!(shown(root.path()), ["data new", "metadata new"]);
                    }
                    assert_eq!(target.undoable().unwrap(), Some(back("a")));
                    target.undo().unwrap();
                    let before: Vec<_> = ENTRIES
                        .iter()
                        .filter(|name| old.contains(name) && **name != "cache")
                        .map(|name| format!("{name} old"))
                        .collect();
                    assert_eq!(shown(root.path()), before, "{switched} {half}");
                }
            }
        }
    }
}
