//! Memory that can be written from, or read into, past the page cache.

use std::ops::{Deref, DerefMut};

use crate::BLOCK;

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
}
