//! The way back from a restore.
//!
//! Cut anywhere, running it again ends it; so does the next restore. See [`switch`](super::switch).

use std::path::Path;

use super::journal::{Journal, State};
use super::mounts::Mounted;
use super::switch::{empty, present};
use super::{DISCARDED, PREVIOUS, Target, WORK, is_barred, is_there, remove};
use crate::error::Error;

/// What an undo came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// The data from before the restore of this version is back.
    Back(String),
    /// The restore of this version had changed nothing yet. What it had fetched is removed.
    NotBegun(String),
}

impl Target {
    /// What [`undo`](Self::undo) would do, without doing it. None where there is nothing to undo.
    pub fn undoable(&self) -> Result<Option<Undone>, Error> {
        let journal = self.journal()?;
        let is_kept = is_there(&self.work.join(PREVIOUS))?;
        let is_discarding = is_there(&self.work.join(DISCARDED))?;
        // One that was cut while it moved what is kept goes forward first, and keeps it.
        let moves = |journal: &Journal| {
            journal.state == State::Undoing || (journal.state == State::Switching && !is_discarding)
        };
        match journal {
            Some(journal) if is_kept || moves(&journal) => Ok(Some(Undone::Back(journal.version))),
            _ => Ok(self
                .preparation()?
                .filter(|preparation| !preparation.is_emptied)
                .map(|preparation| Undone::NotBegun(preparation.version))),
        }
    }

    /// Brings back the data before the restore, and removes what was restored, and what was prepared beside it. Cut anywhere, running it again ends it.
    pub fn undo(&self) -> Result<Undone, Error> {
        let nothing = || Error::NothingToUndo {
            path: self.root.clone(),
        };
        // Before servers are kept from starting.
        let mounted = self.mounted()?;
        let mut journal = self.journal()?;
        if let Some(before) = journal.take_if(|journal| journal.state == State::Switching) {
            journal = Some(self.finish(before, &mounted)?);
        }
        if let Some(journal) = &journal {
            // With nothing to bring back, what was restored is there for a server at least.
            self.tidy_after(journal)?;
        }
        let (previous, discarded) = (self.work.join(PREVIOUS), self.work.join(DISCARDED));
        if let Some(mut journal) = journal {
            if journal.state == State::Undoing {
                self.finish_undo(&journal, &mounted)?;
                return Ok(Undone::Back(journal.version));
            }
            if is_there(&previous)? {
                remove(&discarded)?;
                journal.arriving = present(&previous)?;
                self.raise_barrier()?;
                journal.state = State::Undoing;
                self.note(&journal)?;
                self.finish_undo(&journal, &mounted)?;
                return Ok(Undone::Back(journal.version));
            }
        }
        let preparation = self.preparation()?.filter(|found| !found.is_emptied);
        let preparation = preparation.ok_or_else(nothing)?;
        if !preparation.was_barred {
            self.lower_barrier()?;
        }
        self.forget_preparation()?;
        if self.journal()?.is_none() {
            self.forget()?;
        }
        Ok(Undone::NotBegun(preparation.version))
    }

    pub(super) fn finish_undo(&self, journal: &Journal, mounted: &Mounted) -> Result<(), Error> {
        let (previous, discarded) = (self.work.join(PREVIOUS), self.work.join(DISCARDED));
        if is_undone(&self.root, journal)? {
            // A server may have opened it since, and made what an exchange would take for what was restored.
            return self.forget();
        }
        self.make(&discarded)?;
        self.exchange(&journal.arriving, &previous, &discarded, mounted)?;
        // It knows the series of what it was moved away for.
        let cache = self.root.join("cache");
        if mounted.contains("cache") {
            empty(&cache)?;
        } else {
            remove(&cache)?;
        }
        if !journal.was_barred {
            self.lower_barrier()?;
        }
        self.forget()
    }
}

/// Whether an undo was cut once servers were let in again: nothing is left of it but to remove what lies beside.
pub fn is_undone(root: &Path, journal: &Journal) -> Result<bool, Error> {
    if journal.state != State::Undoing || journal.was_barred || is_barred(root)? {
        return Ok(false);
    }
    // Not so where somebody else has let them in meanwhile.
    Ok(present(&root.join(WORK).join(PREVIOUS))?.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::restore::{Left, left};
    use crate::target::scene::*;
    use crate::target::{BARRIER, ENTRIES, Preparation, check};

    #[test]
    fn a_switch_replaces_everything_and_undo_brings_it_back() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        assert!(target.switch(&preparation("a"), &manifest()).unwrap());
        assert_eq!(shown(root.path()), ["data new", "metadata new"]);
        assert!(!root.path().join(BARRIER).exists());
        assert_eq!(target.undoable().unwrap(), Some(back("a")));
        assert_eq!(target.undo().unwrap(), back("a"));
        assert_eq!(shown(root.path()), WAS);
        assert!(!root.path().join(WORK).exists());
        assert!(!root.path().join(BARRIER).exists());
        assert_eq!(target.undoable().unwrap(), None);
        assert!(matches!(target.undo(), Err(Error::NothingToUndo { .. })));
    }

    /// A disk that fails, or a share that was unmounted, does not say that a name is not there.
    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_what_is_not_there() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        let previous = target.work.join(PREVIOUS);
        fs::rename(&previous, target.work.join("elsewhere")).unwrap();
        // Every name below it is an error, and none is missing.
        fs::write(&previous, "").unwrap();
        let was = shown(root.path());
        let none = Mounted::default();
        let aside = target.work.join(DISCARDED);
        let arriving = present(root.path()).unwrap();
        for refused in [
            target.undo().map(drop),
            check(root.path()),
            target.switch(&preparation("b"), &manifest()).map(drop),
            target.exchange(&arriving, &previous, &aside, &none),
        ] {
            assert!(matches!(refused, Err(Error::File { .. })), "{refused:?}");
            assert_eq!(shown(root.path()), was);
            assert!(!target.is_barred().unwrap());
        }
        fs::remove_file(&previous).unwrap();
        fs::rename(target.work.join("elsewhere"), &previous).unwrap();
        target.undo().unwrap();
        assert_eq!(shown(root.path()), WAS);
    }

    #[test]
    fn a_second_restore_can_be_undone_to_what_was_before_the_first() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        write(&target.new_files(), &["data"], "newer");
        assert!(target.switch(&preparation("b"), &manifest()).unwrap());
        assert_eq!(shown(root.path()), ["data newer"]);
        assert_eq!(target.undo().unwrap(), back("b"));
        assert_eq!(shown(root.path()), WAS);
    }

    #[test]
    fn a_second_restore_that_was_only_prepared_leaves_the_first_to_be_undone() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        target.note_preparation(&preparation("b")).unwrap();
        write(&target.new_files(), &["data"], "newer");
        // Cut between the barrier and the journal.
        target.raise_barrier().unwrap();
        assert_eq!(target.undoable().unwrap(), Some(back("a")));
        assert_eq!(target.undo().unwrap(), back("a"));
        assert_eq!(shown(root.path()), WAS);
        assert!(!target.is_barred().unwrap());
        assert!(!root.path().join(WORK).exists());
    }

    #[test]
    fn what_was_only_prepared_is_removed_and_the_data_stays() {
        for was_barred in [false, true] {
            let root = folder(&OLD, &NEW_NAMES);
            let target = Target::open(root.path()).unwrap();
            let prepared = Preparation {
                was_barred,
                ..preparation("a")
            };
            target.note_preparation(&prepared).unwrap();
            target.raise_barrier().unwrap();
            target.sweep().unwrap();
            let not_begun = Undone::NotBegun("a".to_owned());
            assert_eq!(target.undo().unwrap(), not_begun);
            assert_eq!(shown(root.path())[..2], WAS[..2]);
            assert!(!root.path().join(WORK).exists());
            // What another tool left half is not for a server.
            assert_eq!(target.is_barred().unwrap(), was_barred);
        }
    }

    #[test]
    fn half_a_restore_of_another_tool_is_kept_from_servers_when_it_is_brought_back() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        let prepared = Preparation {
            was_barred: true,
            ..preparation("a")
        };
        target.switch(&prepared, &manifest()).unwrap();
        assert!(!target.is_barred().unwrap(), "what was restored is whole");
        target.undo().unwrap();
        assert!(target.is_barred().unwrap());
    }

    #[test]
    fn an_undo_that_was_cut_once_servers_were_let_in_touches_no_data_any_more() {
        for before in [&OLD[..], &[]] {
            let root = folder(before, &NEW_NAMES);
            let target = Target::open(root.path()).unwrap();
            target.switch(&preparation("a"), &manifest()).unwrap();
            let journal = target.journal().unwrap().unwrap();
            target.undo().unwrap();
            // As it is before the last step of all.
            let undoing = Journal {
                state: State::Undoing,
                arriving: before.iter().map(|name| (*name).to_owned()).collect(),
                ..journal
            };
            target.note(&undoing).unwrap();
            fs::create_dir(target.work.join(PREVIOUS)).unwrap();
            write(&target.work.join(DISCARDED), &["data", "metadata"], "new");
            write(root.path(), &ENTRIES, "by a server");
            let was = shown(root.path());
            assert_eq!(left(root.path()).unwrap(), Left::Undone);
            if before.is_empty() {
                target.settle().unwrap();
            } else {
                assert_eq!(target.undo().unwrap(), back("a"));
            }
            assert_eq!(shown(root.path()), was);
            assert!(!root.path().join(WORK).exists());
            assert_eq!(left(root.path()).unwrap(), Left::Nothing);
        }
    }

    /// Folders are being renamed yet, and somebody has removed what keeps servers from starting.
    #[test]
    fn an_undo_that_was_cut_goes_on_whoever_has_let_servers_in() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        let mut journal = target.journal().unwrap().unwrap();
        journal.state = State::Undoing;
        journal.arriving = present(&target.work.join(PREVIOUS)).unwrap();
        target.note(&journal).unwrap();
        assert_eq!(left(root.path()).unwrap(), Left::Between);
        target.undo().unwrap();
        assert_eq!(shown(root.path()), WAS);
    }

    #[tokio::test]
    async fn what_made_room_does_not_come_back_as_the_nothing_of_before_the_first() {
        for opened in [true, false] {
            let root = folder(&[], &NEW_NAMES);
            let target = Target::open(root.path()).unwrap();
            // Into an empty folder, and nobody has confirmed it.
            assert!(target.switch(&preparation("a"), &manifest()).unwrap());
            if opened {
                write(root.path(), &["snapshots", "cache"], "by a server");
            }
            let mut emptied = preparation("b");
            target.note_preparation(&emptied).unwrap();
            assert_eq!(target.undoable().unwrap(), Some(back("a")));
            target.note_emptied(&mut emptied).unwrap();
            assert!(target.is_barred().unwrap());
            assert_eq!(target.undoable().unwrap(), None);
            target.remove_data().await.unwrap();
            assert_eq!(target.undoable().unwrap(), None);
            write(&target.new_files(), &["data"], "newer");
            assert!(!target.switch(&emptied, &manifest()).unwrap());
            assert!(matches!(target.undo(), Err(Error::NothingToUndo { .. })));
            assert_eq!(shown(root.path()), ["data newer"]);
        }
    }

    #[tokio::test]
    async fn what_a_restore_in_place_removes_is_not_what_was_before_the_first() {
        let root = folder(&OLD, &NEW_NAMES);
        let target = Target::open(root.path()).unwrap();
        target.switch(&preparation("a"), &manifest()).unwrap();
        let mut emptied = preparation("b");
        target.note_emptied(&mut emptied).unwrap();
        target.remove_data().await.unwrap();
        write(&target.new_files(), &["data"], "newer");
        assert_eq!(target.undoable().unwrap(), Some(back("a")));
        assert!(target.switch(&emptied, &manifest()).unwrap());
        assert_eq!(shown(root.path()), ["data newer"]);
        assert_eq!(target.undo().unwrap(), back("b"));
        assert_eq!(shown(root.path()), WAS);
    }
}
