//! A file that a download is written to, in many places at once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use lifeboat_direct::{self as direct, BLOCK};
use rustix::io::Errno;

use super::CHUNK;

/// Where downloads go. Nothing is synced.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// A second handle, that goes past the page cache: what is restored is read by somebody else, later.
    past_cache: Option<File>,
}

impl Output {
    /// Makes a file of `size` bytes, which take no room yet. Fails where there is one.
    pub fn create(path: &Path, size: u64) -> io::Result<Self> {
        let file = File::create_new(path)?;
        file.set_len(size)?;
        let is_direct = size >= CHUNK && direct::is_possible(&file);
        let past_cache = is_direct.then(|| open_past_cache(path)).flatten();
        Ok(Self { file, past_cache })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Takes room for what is written next: with its blocks there, several writes past the cache go on at once. Where the file system cannot, writing will.
    pub(super) fn reserve(&self, at: u64, length: u64) -> io::Result<()> {
        let Some(file) = &self.past_cache else {
            return Ok(());
        };
        direct::reserve(file, at, length).map(drop)
    }

    /// Writes bytes, whole blocks past the page cache where they are aligned in the file and in memory.
    pub(super) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut written = 0;
        if let Some(file) = self.past_cache.as_ref().filter(|_| direct::is_aligned(at)) {
            written = write_blocks(file, &bytes[..bytes.len() - bytes.len() % BLOCK], at)?;
        }
        self.file
            .write_all_at(&bytes[written..], at + written as u64)
    }
}

fn open_past_cache(path: &Path) -> Option<File> {
    let file = File::options().write(true).open(path).ok()?;
    direct::enter(&file).ok()?;
    Some(file)
}

/// Writes blocks past the cache and returns how many bytes that were. What is left has to go through it.
fn write_blocks(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::pwrite(file, &bytes[written..], at + written as u64) {
            Ok(0) | Err(Errno::INVAL) => break,
            Ok(count) => written += count,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if !written.is_multiple_of(BLOCK) {
            break;
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use lifeboat_direct::Memory;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_that_is_there_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        drop(Output::create(&path, 0).unwrap());
        let error = Output::create(&path, 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(path.metadata().unwrap().len(), 0);
    }

    #[test]
    fn room_is_taken_for_what_is_written_next_and_no_more() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let output = Output::create(&path, 64 << 20).unwrap();
        let taken = || path.metadata().unwrap().blocks() * 512;
        assert_eq!((path.metadata().unwrap().len(), taken()), (64 << 20, 0));
        output.reserve(16 << 20, 1 << 20).unwrap();
        assert!(taken() <= 2 << 20, "{}", taken());
        assert_eq!(path.metadata().unwrap().len(), 64 << 20);
        if output.past_cache.is_some() {
            assert!(taken() >= 1 << 20, "{}", taken());
            assert!(output.reserve(0, 1 << 60).is_err(), "there is no such room");
        }
    }

    proptest! {
        /// In any order, from memory that is aligned and that is not.
        #[test]
        fn what_is_written_is_there(
            size in (1_usize << 20)..(3 << 20),
            piece in 1_usize..700_000,
            blocks: bool,
            shift in 0_usize..2,
            backwards: bool,
        ) {
            let mut memory = Memory::new(size + shift);
            for (at, byte) in memory.iter_mut().enumerate() {
                *byte = u8::try_from((at * 7 + at / 251) % 256).unwrap();
            }
            let content = &memory[shift..];
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a");
            let output = Output::create(&path, size as u64).unwrap();
            output.reserve(0, (size / 2) as u64).unwrap();
            let piece = if blocks { piece.next_multiple_of(BLOCK) } else { piece };
            let mut pieces: Vec<_> = content.chunks(piece).enumerate().collect();
            if backwards {
                pieces.reverse();
            }
            for (number, bytes) in pieces {
                output.write(bytes, (number * piece) as u64).unwrap();
            }
            prop_assert!(std::fs::read(&path).unwrap() == content);
        }
    }
}
