//! Handles of files that are written past the page cache.

use std::fs::File;
use std::io;

use rustix::fs::{AtFlags, FallocateFlags, OFlags, StatxFlags};
use rustix::io::Errno;

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

/// Takes room in a file, whose size grows with it. With its blocks there, several writes past the cache go on at once. False where the file system cannot: then
/// writing takes it.
pub fn reserve(file: &File, at: u64, length: u64) -> io::Result<bool> {
    if length == 0 {
        return Ok(true);
    }
    loop {
        return match rustix::fs::fallocate(file, FallocateFlags::empty(), at, length) {
            Ok(()) => Ok(true),
            Err(Errno::INTR) => continue,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

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
