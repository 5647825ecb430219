//! Writing the bytes of an object or part one after another, so that they are on the disk soon.
//!
//! Large content goes past the page cache where the file system lets it: every byte is synced before it is acknowledged,
//! and hardly any is read again soon, so that the cache would only cost a copy, pages and, in a container, the memory it
//! is given. What cannot go there, small content and the last bytes of large, is written as usual.

use std::fs::File;
use std::io::{self, IoSlice};
use std::num::NonZero;

use lifeboat_direct::{self as direct, BLOCK, Memory};
use rustix::fs::Advice;
use rustix::io::Errno;

use super::crc;
use crate::backend::content::Batch;

/// Content of fewer bytes is written through the page cache.
const LARGE: u64 = 1024 * 1024;
/// How much goes past the page cache at once, in bytes.
const WINDOW: usize = 256 * 1024;
/// What a writer keeps in memory, in bytes.
pub(super) const HELD: u64 = 256 * 1024 + 4096;
/// How much room is taken at a time, in bytes: blocks that lie together, found once, and never more than this for a client
/// that promises much and sends little. A SIGKILL leaves so much with an upload at most, until that is completed or aborted.
const ROOM: u64 = 32 * 1024 * 1024;
/// How much is written through the page cache before the disk is told to begin with it, in bytes.
const AHEAD: u64 = 8 * 1024 * 1024;
/// The most slices that one call of the system takes.
const SLICES: usize = 1024;

/// Where the next bytes of a file go, and the checksum of those that went before.
#[derive(Debug)]
pub(super) struct Writer {
    /// In bytes from the beginning of the file, like all that follow.
    next: u64,
    /// What the disk has been told to begin with ends here.
    begun: u64,
    /// Room has been taken up to here.
    reserved: u64,
    /// Where the content will end, if that is known and worth preparing for.
    end: Option<u64>,
    crc: crc::Running,
    way: Way,
}

/// How bytes get to the file.
#[derive(Debug)]
enum Way {
    /// Not decided before there is something to write.
    Open,
    Cached,
    /// Past the cache, from memory that is aligned.
    Direct(Window),
}

impl Writer {
    /// `length` of the content in bytes, if it is known.
    pub(super) fn new(next: u64, length: Option<u64>) -> Self {
        let large = length.filter(|length| *length >= LARGE);
        Self {
            next,
            begun: next,
            reserved: next,
            end: large.and_then(|length| next.checked_add(length)),
            crc: crc::Running::default(),
            way: Way::Open,
        }
    }

    /// Where the room ends that the content has in the file, written or not.
    pub(super) fn taken(&self) -> u64 {
        self.next.max(self.reserved)
    }

    /// Takes the next bytes. They may stay in memory until [`Writer::finish`].
    pub(super) fn write(&mut self, file: &File, batch: &Batch) -> io::Result<()> {
        for bytes in batch {
            self.crc.update(bytes);
        }
        if let Way::Open = self.way {
            let window = self.end.and_then(|_| enter(file, self.next));
            self.way = window.map_or(Way::Cached, Way::Direct);
        }
        match std::mem::replace(&mut self.way, Way::Cached) {
            Way::Open | Way::Cached => self.write_cached(file, batch),
            Way::Direct(mut window) => {
                for bytes in batch {
                    let mut rest = bytes.as_ref();
                    while !rest.is_empty() {
                        rest = window.take(rest);
                        if window.is_full() {
                            self.write_direct(file, &mut window)?;
                        }
                    }
                }
                self.way = Way::Direct(window);
                Ok(())
            }
        }
    }

    /// Writes what is still in memory, and returns the checksum of everything. To be called before the file is synced.
    pub(super) fn finish(&mut self, file: &File) -> io::Result<crc::Crc> {
        if let Way::Direct(mut window) = std::mem::replace(&mut self.way, Way::Cached) {
            self.write_direct(file, &mut window)?;
            direct::leave(file)?;
        }
        Ok(std::mem::take(&mut self.crc).finish())
    }

    /// Empties a window: whole blocks past the cache, what cannot go there through it.
    fn write_direct(&mut self, file: &File, window: &mut Window) -> io::Result<()> {
        self.reserve(file)?;
        let mut rest = window.filled();
        let mut past = true;
        while !rest.is_empty() {
            let whole = rest.len() - rest.len() % BLOCK;
            if past && (whole == 0 || !direct::is_aligned(self.next)) {
                direct::leave(file)?;
                past = false;
            }
            let now = if past { &rest[..whole] } else { rest };
            match rustix::io::pwrite(file, now, self.next) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.next += u64::try_from(written).expect("sizes fit in 64 bits");
                    rest = &rest[written..];
                }
                Err(Errno::INTR) => {}
                Err(Errno::INVAL) if past => {
                    direct::leave(file)?;
                    past = false;
                }
                Err(error) => return Err(error.into()),
            }
        }
        window.clear();
        self.begin_storing(file);
        Ok(())
    }

    /// Takes room for what comes next. Where the file system cannot, writing will.
    fn reserve(&mut self, file: &File) -> io::Result<()> {
        let Some(end) = self.end.filter(|end| *end > self.reserved) else {
            return Ok(());
        };
        let window = u64::try_from(WINDOW).expect("sizes fit in 64 bits");
        if self.next + window <= self.reserved {
            return Ok(());
        }
        let length = ROOM.min(end - self.reserved);
        if direct::reserve(file, self.reserved, length)? {
            self.reserved += length;
        } else {
            self.end = None;
        }
        Ok(())
    }

    fn write_cached(&mut self, file: &File, batch: &Batch) -> io::Result<()> {
        let mut slices: Vec<_> = batch.iter().map(|bytes| IoSlice::new(bytes)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let now = &rest[..rest.len().min(SLICES)];
            let written = match rustix::io::pwritev(file, now, self.next) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Err(Errno::INTR) => continue,
                written => written?,
            };
            IoSlice::advance_slices(&mut rest, written);
            self.next += u64::try_from(written).expect("sizes fit in 64 bits");
        }
        self.begin_storing(file);
        Ok(())
    }

    /// From time to time, has the disk begin with what was written, so that little is left to wait for at the end and little of the memory
    /// that the gateway is given is taken by pages that wait to be written.
    fn begin_storing(&mut self, file: &File) {
        if self.next - self.begun < AHEAD {
            return;
        }
        let length = NonZero::new(self.next - self.begun);
        // On Linux this begins the writing of changed pages, without waiting for it, and gives up those already written.
        if let Err(error) = rustix::fs::fadvise(file, self.begun, length, Advice::DontNeed) {
            tracing::debug!(%error, "cannot have the disk begin early");
        }
        self.begun = self.next;
    }
}

/// Has the file go past the page cache, if it can from `next` on.
fn enter(file: &File, next: u64) -> Option<Window> {
    if !direct::is_aligned(next) || !direct::is_possible(file) {
        return None;
    }
    direct::enter(file).ok()?;
    Some(Window::new())
}

/// Memory that can be written past the page cache.
#[derive(Debug)]
struct Window {
    memory: Memory,
    /// How many bytes of it wait.
    filled: usize,
}

impl Window {
    fn new() -> Self {
        Self {
            memory: Memory::new(WINDOW),
            filled: 0,
        }
    }

    /// Takes as much as there is room for and returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, rest) = bytes.split_at(bytes.len().min(WINDOW - self.filled));
        self.memory[self.filled..][..now.len()].copy_from_slice(now);
        self.filled += now.len();
        rest
    }

    fn is_full(&self) -> bool {
        self.filled == WINDOW
    }

    fn filled(&self) -> &[u8] {
        &self.memory[..self.filled]
    }

    fn clear(&mut self) {
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use rustix::fs::OFlags;
    use tempfile::tempfile;

    use super::*;

    fn content(length: usize) -> Vec<u8> {
        (0..length)
            .map(|index| u8::try_from((index + index / 251) % 256).unwrap())
            .collect()
    }

    /// Writes content in batches of pieces, and returns what is in the file from `next` on.
    fn written(content: &[u8], next: u64, length: Option<u64>, piece: usize) -> Vec<u8> {
        let file = tempfile().unwrap();
        let mut writer = Writer::new(next, length);
        let pieces: Vec<_> = content.chunks(piece).map(Bytes::copy_from_slice).collect();
        for batch in pieces.chunks(3) {
            writer.write(&file, &batch.to_vec()).unwrap();
        }
        let mut crc = crc::Running::default();
        crc.update(content);
        assert_eq!(writer.finish(&file).unwrap(), crc.finish());
        let end = next + u64::try_from(content.len()).unwrap();
        assert_eq!(writer.next, end);
        assert!(writer.taken() >= end);
        let flags = rustix::fs::fcntl_getfl(&file).unwrap();
        assert!(!flags.contains(OFlags::DIRECT), "left past the cache");
        let mut found = vec![0; content.len()];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut found, next).unwrap();
        found
    }

    #[test]
    fn large_content_is_written_whole_wherever_it_ends() {
        let large = usize::try_from(LARGE).unwrap();
        for size in [
            large,
            large + 1,
            large + BLOCK,
            2 * large - 1,
            large + WINDOW + 5,
        ] {
            let content = content(size);
            let length = u64::try_from(size).ok();
            for next in [0, 4096, 5 << 20, 77] {
                assert!(
                    written(&content, next, length, 70_000) == content,
                    "{size} bytes at {next}"
                );
            }
        }
    }

    #[test]
    fn less_or_more_than_was_said_is_written_as_it_comes() {
        for said in [LARGE, 2 * LARGE, 8 * LARGE] {
            let content = content(3 << 19);
            assert!(written(&content, 0, Some(said), 100_000) == content);
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        // It takes nothing.
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut writer = Writer::new(0, Some(LARGE));
        let batch = vec![Bytes::from(content(WINDOW))];
        let error = writer.write(&file, &batch).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::NOSPC));
        assert_eq!(writer.next, 0);
    }

    #[test]
    fn a_client_that_promises_much_is_given_little_beforehand() {
        let file = tempfile().unwrap();
        let mut writer = Writer::new(0, Some(1 << 50));
        let batch = vec![Bytes::from(content(2 * WINDOW))];
        writer.write(&file, &batch).unwrap();
        assert!(writer.taken() <= ROOM);
    }

    proptest! {
        #[test]
        fn content_is_written_whole_however_it_comes(size in 0_usize..600_000, piece in 1_000_usize..300_000, next in 0_u64..9, known: bool) {
            let content = content(size + usize::try_from(LARGE).unwrap() / 2);
            let length = known.then(|| u64::try_from(content.len()).unwrap());
            prop_assert!(written(&content, next * 2048, length, piece) == content);
        }
    }
}
