//! Memory for bytes on their way, used again and again.
//!
//! Fresh memory has to be cleared page by page, and what an allocator keeps of pieces of many MiB it seldom finds a use for: both cost more than the copies do.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lifeboat_direct::Memory;

/// Buffers of one size that are not in use. As many are made as are in use at once.
#[derive(Debug)]
pub(super) struct Buffers {
    size: usize,
    free: Mutex<Vec<Memory>>,
}

/// A buffer in use. It goes back when the last of its bytes is let go.
pub(super) struct Buffer {
    bytes: Memory,
    filled: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    pub(super) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            size,
            free: Mutex::new(Vec::new()),
        })
    }

    /// A buffer with nothing in it.
    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Buffer {
            bytes: free.unwrap_or_else(|| Memory::new(self.size)),
            filled: 0,
            home: Arc::clone(self),
        }
    }
}

impl Buffer {
    /// Takes bytes over, as many as fit, and returns how many those are.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> usize {
        let room = &mut self.bytes[self.filled..];
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        count
    }

    /// So many bytes, to be written to. No more than a buffer has.
    pub(super) fn of_length(&mut self, length: usize) -> &mut [u8] {
        self.filled = length;
        &mut self.bytes[..length]
    }

    pub(super) fn is_full(&self) -> bool {
        self.filled == self.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self
            .home
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_back_when_its_bytes_are_let_go() {
        let buffers = Buffers::new(4);
        let mut buffer = buffers.take();
        assert_eq!(buffer.extend(b"abcdef"), 4);
        assert!(buffer.is_full());
        let bytes = buffer.into_bytes();
        let part = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(
            (&part[..], buffers.free.lock().unwrap().len()),
            (&b"bc"[..], 0)
        );
        drop(part);
        let mut again = buffers.take();
        assert_eq!(buffers.free.lock().unwrap().len(), 0);
        again.of_length(2).copy_from_slice(b"xy");
        assert_eq!(again.as_ref(), b"xy");
    }
}
