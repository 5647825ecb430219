//! The end of a term: whole hours go, oldest first, a bounded number of files at a time. Everything here blocks.

use std::io;

use jiff::SignedDuration;
use rustix::fs::AtFlags;

use super::Trash;
use super::clock::Look;
use super::entry::{Hour, Part};
use crate::backend::Tally;
use crate::backends::local::tree::{Directory, present};
use crate::backends::local::volume::Volume;

/// How many entries are removed or counted in one go.
const AT_ONCE: usize = 10_000;
/// How far the trash's time goes on before it is written down again.
const SAVE_EVERY: SignedDuration = SignedDuration::from_mins(5);

impl Volume {
    /// Does some of what there is to do: counts what lies in the trash and removes what has lain there for its term.
    /// To be called every minute. Returns what was removed.
    pub(in crate::backends::local) fn tend_trash(&self) -> io::Result<Tally> {
        self.save_trash_state()?;
        let trash = &self.trash;
        trash.count()?;
        let (time, term) = {
            let state = trash.state();
            let last = state.saved.and_then(|saved| saved.term);
            let term = trash.term.get().copied();
            (
                state.clock.time(),
                term.or(last.map(SignedDuration::from_secs)),
            )
        };
        let mut removed = Tally::default();
        let Some(term) = term else {
            return Ok(removed);
        };
        let over: Vec<Hour> = trash
            .hours()
            .keys()
            .copied()
            .take_while(|hour| hour.is_over(term, time))
            .collect();
        let mut left = AT_ONCE;
        for hour in over {
            left -= trash.empty(hour, left, &mut removed)?;
            if left == 0 {
                break;
            }
        }
        Ok(removed)
    }

    /// Looks at the clock, and writes down now and then what must survive a restart.
    fn save_trash_state(&self) -> io::Result<()> {
        let trash = &self.trash;
        let state = {
            let mut state = trash.state();
            state.clock.look(self.sources.now(), Look::Again);
            let last = state.saved.and_then(|saved| saved.term);
            let wanted = super::State {
                clock: state.clock,
                term: trash.term.get().map(SignedDuration::as_secs).or(last),
            };
            let due = match state.saved {
                Some(saved) => {
                    saved.term != wanted.term
                        || wanted.clock.time().duration_since(saved.clock.time()) >= SAVE_EVERY
                }
                // A trash that was never used needs no state.
                None => wanted.term.is_some(),
            };
            if !due {
                return Ok(());
            }
            wanted
        };
        let bytes = serde_json::to_vec(&state).expect("a state is plain text and numbers");
        self.write_file(&trash.home, super::STATE, &bytes)?;
        trash.state().saved = Some(state);
        Ok(())
    }
}

impl Trash {
    /// Counts hours that an earlier process filled, as many as are not too much at once.
    fn count(&self) -> io::Result<()> {
        let mut counted = 0;
        while counted < AT_ONCE {
            // Held while an hour is counted, so that nothing is counted twice.
            let mut hours = self.hours();
            let Some(hour) = hours
                .iter()
                .find_map(|(hour, tally)| tally.is_none().then_some(*hour))
            else {
                return Ok(());
            };
            let tally = match present(self.home.open(&hour.to_string()))? {
                Some(directory) => tally_of(&directory)?,
                None => Tally::default(),
            };
            counted += usize::try_from(tally.objects).unwrap_or(usize::MAX).max(1);
            hours.insert(hour, Some(tally));
        }
        Ok(())
    }

    /// Removes at most `most` entries of an hour, and the hour when nothing is left. Returns how many it removed.
    fn empty(&self, hour: Hour, most: usize, removed: &mut Tally) -> io::Result<usize> {
        let name = hour.to_string();
        let Some(directory) = present(self.home.open(&name))? else {
            self.hours().remove(&hour);
            return Ok(0);
        };
        let mut ids = Vec::new();
        directory.for_each(|name| {
            let id = Part::Object.id(&name.text).or(Part::Entry.id(&name.text));
            if let Some(id) = id.filter(|_| ids.len() < 2 * most) {
                ids.push(id.to_owned());
            }
            Ok(())
        })?;
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(most);
        for id in &ids {
            let gone = remove_entry(&directory, id)?;
            removed.objects += gone.objects;
            removed.bytes += gone.bytes;
            if let Some(Some(tally)) = self.hours().get_mut(&hour) {
                tally.objects = tally.objects.saturating_sub(gone.objects);
                tally.bytes = tally.bytes.saturating_sub(gone.bytes);
            }
        }
        // Somebody may be moving an entry in; then it is tried again.
        let mut hours = self.hours();
        match self.home.remove_directory(&name) {
            Ok(()) => drop(hours.remove(&hour)),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            Err(error) => return Err(error),
        }
        Ok(ids.len())
    }
}

/// Counts the entries in the directory of an hour.
fn tally_of(directory: &Directory) -> io::Result<Tally> {
    let mut tally = Tally::default();
    directory.for_each(|name| {
        if Part::Object.id(&name.text).is_some() {
            tally.objects += 1;
            tally.bytes += size(directory, &name.text)?;
        }
        Ok(())
    })?;
    Ok(tally)
}

/// Removes both files of an entry. In this order: an object without its entry is no longer listed.
fn remove_entry(directory: &Directory, id: &str) -> io::Result<Tally> {
    let [entry, object] = [Part::Entry, Part::Object].map(|part| part.file(id));
    let bytes = size(directory, &object)?;
    let mut gone = Tally::default();
    for name in [&entry, &object] {
        match directory.remove_file(name) {
            Ok(()) if name == &object => gone = Tally { objects: 1, bytes },
            Ok(()) => {}
            // Restored meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(gone)
}

/// In bytes; 0 for a file that is gone.
fn size(directory: &Directory, name: &str) -> io::Result<u64> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(u64::try_from(stat.st_size).unwrap_or(0)),
        Err(rustix::io::Errno::NOENT) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
