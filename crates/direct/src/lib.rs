//! Files that are written past the page cache: whether a file system lets them be, and memory that it can be done from.
//!
//! For what is written once, in large pieces, and hardly read again soon. The cache would cost a copy, pages and, in a container, the memory
//! that the program is given.

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};

use rustix::fs::{AtFlags, OFlags, StatxFlags};

/// What is written begins and ends at multiples of this, in the file and in memory: the largest block that file systems ask for. One that
/// wants more is said not to be fit.
pub const BLOCK: usize = 4096;

/// Whether the file system says that it writes past its cache, and that [`BLOCK`] is enough. A file system in memory takes the
/// flag and writes to its cache all the same.
pub fn is_possible(file: &File) -> bool {
    let asked = StatxFlags::DIOALIGN;
    rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, asked).is_ok_and(|found| {
        let fits = |wanted: u32| usize::try_from(wanted).is_ok_and(|n| (1..=BLOCK).contains(&n));
        StatxFlags::from_bits_retain(found.stx_mask).contains(asked)
            && fits(found.stx_dio_mem_align)
            && fits(found.stx_dio_offset_align)
    })
}

/// Whether writing past the cache can begin there.
pub fn is_aligned(offset: u64) -> bool {
    offset.is_multiple_of(u64::try_from(BLOCK).expect("sizes fit in 64 bits"))
}

/// Has all that is written through this handle go past the cache.
pub fn enter(file: &File) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    Ok(rustix::fs::fcntl_setfl(file, flags | OFlags::DIRECT)?)
}

/// Has what is written through this handle go through the cache again.
pub fn leave(file: &File) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(file)?;
    Ok(rustix::fs::fcntl_setfl(file, flags - OFlags::DIRECT)?)
}

/// Memory that begins at a multiple of [`BLOCK`].
#[derive(Debug, Default)]
pub struct Memory {
    bytes: Vec<u8>,
    begin: usize,
    size: usize,
}

impl Memory {
    /// So many bytes, all of them zero.
    pub fn new(size: usize) -> Self {
        let bytes = vec![0; size + BLOCK];
        Self {
            begin: bytes.as_ptr().align_offset(BLOCK).min(BLOCK),
            bytes,
            size,
        }
    }
}

impl Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.begin..][..self.size]
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.begin..][..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_wherever_it_lies() {
        let many: Vec<Memory> = [1, 7, BLOCK, BLOCK + 1, 1 << 20].map(Memory::new).into();
        for memory in many {
            assert_eq!(memory.as_ptr().align_offset(BLOCK), 0);
            assert!(memory.iter().all(|byte| *byte == 0));
            // Where it lies now does not depend on where its owner does.
            let moved = Box::new(memory);
            assert_eq!(moved.as_ptr().align_offset(BLOCK), 0);
        }
    }

    #[test]
    fn a_handle_goes_past_the_cache_and_back() {
        let file = tempfile::tempfile().unwrap();
        let is_direct = || {
            let flags = rustix::fs::fcntl_getfl(&file).unwrap();
            flags.contains(OFlags::DIRECT)
        };
        if is_possible(&file) {
            enter(&file).unwrap();
            assert!(is_direct());
            let memory = Memory::new(BLOCK);
            assert_eq!(rustix::io::pwrite(&file, &memory, 0).unwrap(), BLOCK);
        }
        leave(&file).unwrap();
        assert!(!is_direct());
        assert!(!is_possible(&File::open("/dev/null").unwrap()));
    }

    #[test]
    fn only_multiples_of_a_block_are_aligned() {
        for (offset, is) in [
            (0, true),
            (4096, true),
            (1 << 30, true),
            (4095, false),
            (2048, false),
        ] {
            assert_eq!(is_aligned(offset), is, "{offset}");
        }
    }
}
