//! The checksum of bytes of a file on the disk.

use std::fs::File;
use std::io::{self, Read};

use lifeboat_storage::transfer::Crc64;

/// What is read at once: it is still near the processor when its checksum is taken.
const READ: usize = 128 * 1024;

/// Reads so many bytes from where the file stands. Blocks.
pub(crate) fn of_next(file: &mut File, mut left: u64) -> io::Result<u64> {
    let mut buffer = vec![0; READ];
    let mut sum = Crc64::default();
    while left > 0 {
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(READ);
        file.read_exact(&mut buffer[..want])?;
        sum.update(&buffer[..want]);
        left -= want as u64;
    }
    Ok(sum.value())
}
