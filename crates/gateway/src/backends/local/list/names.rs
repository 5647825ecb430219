//! The names of one directory in the order of their keys.
//!
//! Of a directory that is very large only a window of names is held. What was read is kept for the next page, which
//! would otherwise read all names again: a listing of a hundred thousand keys reads the directory once.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::backends::local::path::{Decoded, decode};
use crate::backends::local::tree::{Directory, NameKind};

/// The most bytes that one window of names takes; twice that while it is made.
const WINDOW: usize = 8 * 1024 * 1024;
/// The most bytes of names that are kept for the next page.
const KEPT: usize = 2 * WINDOW;
/// More than that, in bytes, is read for one request at a time.
const LARGE: usize = WINDOW / 8;
/// Fewer names are read again sooner than they are looked up.
const WORTH_KEEPING: usize = 1000;
/// How long names are kept. What a person puts into a directory just while objects are removed from it may be seen no sooner.
const KEPT_FOR: SignedDuration = SignedDuration::from_secs(10);
/// Directories share this many counters of what was added to them.
const COUNTERS: usize = 256;

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A file: an object.
    File,
    /// A directory, which may hold the object of its own name.
    Itself,
    /// A directory with keys that go on after a `/`, which ends the text.
    Inner,
}

/// Names by what they sort as, all of a directory or those between two texts.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The first text that may be in here; nothing for the very first.
    from: Option<String>,
    texts: String,
    entries: Vec<(u32, Kind)>,
    /// One bit for each entry that has been removed since.
    gone: Vec<AtomicU64>,
    /// The directory has more after the last.
    pub(super) more: bool,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<(&str, Kind)> {
        let (end, kind) = *self.entries.get(index)?;
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.entries[before].0);
        let place = |offset: u32| usize::try_from(offset).expect("an offset fits in memory");
        Some((&self.texts[place(start)..place(end)], kind))
    }

    /// The first index from `index` on whose name has not been removed since.
    pub(super) fn still_there(&self, mut index: usize) -> usize {
        while index < self.len() {
            let word = self.gone[index / 64].load(Ordering::Relaxed) >> (index % 64);
            let there = usize::try_from((!word).trailing_zeros()).expect("at most 64");
            let rest = 64 - index % 64;
            if there < rest {
                return index + there;
            }
            index += rest;
        }
        index
    }

    /// Notes that the object `text` has been removed.
    fn forget(&self, text: &str) {
        let index = self.position(|before| before < text);
        match self.get(index) {
            Some((found, Kind::File)) if found == text => {
                self.gone[index / 64].fetch_or(1 << (index % 64), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// The index of the first text of which `passed` does not hold. It must hold of none after that.
    pub(super) fn position(&self, passed: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle) {
                Some((text, _)) if passed(text) => low = middle + 1,
                _ => high = middle,
            }
        }
        low
    }

    fn covers(&self, seek: &str) -> bool {
        let begins = self.from.as_deref().is_none_or(|from| from <= seek);
        let last = self.len().checked_sub(1).and_then(|last| self.get(last));
        begins && (!self.more || last.is_some_and(|(last, _)| seek <= last))
    }

    fn bytes(&self) -> usize {
        self.texts.len() + size_of::<(u32, Kind)>() * self.len()
    }

    /// Reads the names of a directory: all, or as many as a window holds from `seek` on.
    fn read(
        directory: &Directory,
        seek: &str,
        window: usize,
        turn: &Mutex<()>,
    ) -> io::Result<Self> {
        let mut reading = Reading {
            turn,
            its_turn: None,
            seek,
            window,
            found: Vec::new(),
            bytes: 0,
            from: None,
            to: None,
        };
        gather(directory, &mut Vec::new(), &mut |text, kind| {
            reading.take(text, kind);
        })?;
        Ok(reading.finish())
    }
}

/// Names as they are found, in no order.
struct Reading<'a> {
    turn: &'a Mutex<()>,
    its_turn: Option<MutexGuard<'a, ()>>,
    seek: &'a str,
    window: usize,
    found: Vec<(Box<str>, Kind)>,
    bytes: usize,
    /// Once there were too many: texts before this are not wanted.
    from: Option<&'a str>,
    /// Nor those after this.
    to: Option<Box<str>>,
}

impl Reading<'_> {
    fn take(&mut self, text: String, kind: Kind) {
        let before = self.from.is_some_and(|from| text.as_str() < from);
        let after = self.to.as_deref().is_some_and(|to| text.as_str() > to);
        if before || after {
            return;
        }
        self.bytes += text.len() + size_of::<(u32, Kind)>();
        self.found.push((text.into_boxed_str(), kind));
        if self.bytes > LARGE && self.its_turn.is_none() {
            self.its_turn = Some(self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        }
        if self.bytes > 2 * self.window {
            self.shrink();
        }
    }

    /// Lets go of what a window has no room for.
    fn shrink(&mut self) {
        self.from = Some(self.seek);
        self.found.retain(|(text, _)| &**text >= self.seek);
        self.found.sort_unstable();
        self.bytes = 0;
        let fitting = self.found.iter().take_while(|(text, _)| {
            self.bytes += text.len() + size_of::<(u32, Kind)>();
            self.bytes <= self.window
        });
        let count = fitting.count().max(1);
        if count < self.found.len() {
            self.found.truncate(count);
            self.to = self.found.last().map(|(text, _)| text.clone());
        }
    }

    fn finish(mut self) -> Names {
        if self.bytes > self.window {
            self.shrink();
        }
        self.found.sort_unstable();
        let mut names = Names {
            from: self.from.map(str::to_owned),
            more: self.to.is_some(),
            ..Names::default()
        };
        for (text, kind) in self.found {
            names.texts.push_str(&text);
            let end = u32::try_from(names.texts.len()).expect("a window is smaller than that");
            names.entries.push((end, kind));
        }
        let words = names.len().div_ceil(64);
        names.gone = (0..words).map(|_| AtomicU64::new(0)).collect();
        names
    }
}

/// Calls `take` for everything in a directory that a key leads to. `pieces` are the directories of a long component
/// between the directory asked for and this one.
fn gather(
    directory: &Directory,
    pieces: &mut Vec<String>,
    take: &mut impl FnMut(String, Kind),
) -> io::Result<()> {
    let mut long = Vec::new();
    directory.for_each(|name| {
        match (decode(pieces, &name.text), name.kind) {
            (Some(Decoded::Component(component)), NameKind::File) => take(component, Kind::File),
            (Some(Decoded::Component(component)), NameKind::Directory) => {
                take(format!("{component}/"), Kind::Inner);
                take(component, Kind::Itself);
            }
            (Some(Decoded::Beginning), NameKind::Directory) => long.push(name.text),
            _ => {}
        }
        Ok(())
    })?;
    for piece in long {
        match directory.open(&piece) {
            Ok(inner) => {
                pieces.push(piece);
                gather(&inner, pieces, take)?;
                pieces.pop();
            }
            Err(error) if super::is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Names of large directories, kept for the next page of a listing.
#[derive(Debug)]
pub(in crate::backends::local) struct Cache {
    /// How often something was added to the directories that share a counter. What this process adds is seen at once.
    added: Vec<AtomicU64>,
    /// The last one used is at the end.
    kept: Mutex<Vec<Kept>>,
    /// Whose turn it is to read a large directory.
    turn: Mutex<()>,
}

/// A directory's times, which change with its names.
type Stamp = [(i64, u64); 2];

#[derive(Debug)]
struct Kept {
    /// Device and inode.
    place: (u64, u64),
    stamp: Stamp,
    added: u64,
    read: Timestamp,
    names: Arc<Names>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            added: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            kept: Mutex::default(),
            turn: Mutex::default(),
        }
    }
}

fn identify(directory: &Directory) -> io::Result<((u64, u64), Stamp)> {
    let stat = rustix::fs::fstat(directory)?;
    let stamp = [
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    ];
    Ok(((stat.st_dev, stat.st_ino), stamp))
}

impl Cache {
    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self, (_, inode): (u64, u64)) -> &AtomicU64 {
        let count = u64::try_from(COUNTERS).expect("a small number");
        let index = usize::try_from(inode % count).expect("less than the number of counters");
        &self.added[index]
    }

    /// Returns names of a directory from `seek` on, and perhaps those before it.
    pub(super) fn names(
        &self,
        directory: &Directory,
        seek: &str,
        now: Timestamp,
    ) -> io::Result<Arc<Names>> {
        self.window(directory, seek, now, WINDOW)
    }

    fn window(
        &self,
        directory: &Directory,
        seek: &str,
        now: Timestamp,
        window: usize,
    ) -> io::Result<Arc<Names>> {
        let (place, stamp) = identify(directory)?;
        let added = self.counter(place).load(Ordering::Acquire);
        if let Some(names) = self.look_up(place, stamp, added, seek, now) {
            return Ok(names);
        }
        let names = Arc::new(Names::read(directory, seek, window, &self.turn)?);
        if names.len() >= WORTH_KEEPING && identify(directory)? == (place, stamp) {
            self.keep(Kept {
                place,
                stamp,
                added,
                read: now,
                names: Arc::clone(&names),
            });
        }
        Ok(names)
    }

    fn look_up(
        &self,
        place: (u64, u64),
        stamp: Stamp,
        added: u64,
        seek: &str,
        now: Timestamp,
    ) -> Option<Arc<Names>> {
        let mut all = self.kept();
        let index = all.iter().position(|kept| kept.place == place)?;
        let kept = all.remove(index);
        let age = now.duration_since(kept.read).abs();
        if kept.stamp != stamp || kept.added != added || age > KEPT_FOR {
            return None;
        }
        let names = kept.names.covers(seek).then(|| Arc::clone(&kept.names));
        all.push(kept);
        names
    }

    fn keep(&self, new: Kept) {
        let mut all = self.kept();
        all.retain(|kept| kept.place != new.place);
        all.push(new);
        let mut bytes = all.iter().map(|kept| kept.names.bytes()).sum::<usize>();
        while bytes > KEPT && all.len() > 1 {
            bytes -= all.remove(0).names.bytes();
        }
    }

    /// To be called after something was given a name in a directory, and before anybody is told so.
    pub(in crate::backends::local) fn added(&self, directory: &Directory) {
        match identify(directory) {
            Ok((place, _)) => drop(self.counter(place).fetch_add(1, Ordering::Release)),
            Err(error) => {
                tracing::debug!(%error, "cannot tell which directory has changed");
                self.kept().clear();
            }
        }
    }

    /// Lets `remove` take the file of the object `text` out of a directory, while nobody else can make one of that name.
    /// Names that are kept stay good.
    pub(in crate::backends::local) fn removing<T>(
        &self,
        directory: &Directory,
        text: &str,
        remove: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let before = identify(directory).ok().filter(|(place, stamp)| {
            let same = |kept: &Kept| (kept.place, kept.stamp) == (*place, *stamp);
            self.kept().iter().any(same)
        });
        let removed = remove();
        if removed.is_err() {
            // It may have been taken out and put back.
            self.added(directory);
        } else if let (Some((place, before)), Ok((_, after))) = (before, identify(directory)) {
            let mut all = self.kept();
            if let Some(kept) = all
                .iter_mut()
                .find(|kept| (kept.place, kept.stamp) == (place, before))
            {
                kept.stamp = after;
                kept.names.forget(text);
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests;
