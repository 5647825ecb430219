//! Bytes being taken from the front of a payload, and how much may be made from them.

use crate::format::MAX_BLOCK_BYTES;
use crate::value::{Malformed, take_uvarint};

/// What is left of a payload. Every length is checked against it before anything is allocated.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    budget: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            budget: MAX_BLOCK_BYTES,
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(Malformed("a column is cut short"))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("as many were taken"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(super) fn uvarint(&mut self) -> Result<u64, Malformed> {
        take_uvarint(&mut self.bytes)
    }

    /// A count of things that take at least a byte each.
    pub(super) fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.uvarint()?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.bytes.len())
            .ok_or(Malformed("a count is larger than what follows"))
    }

    /// A text with its length before it.
    pub(super) fn text(&mut self) -> Result<String, Malformed> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?)
            .map(str::to_owned)
            .map_err(|_| Malformed("a text is not UTF-8"))
    }

    /// Asks for `count` things of `each` bytes in memory. A few bytes of a hostile file could otherwise stand for many
    /// gigabytes: a dictionary entry used often, a column of one value.
    pub(super) fn spend(&mut self, count: usize, each: usize) -> Result<(), Malformed> {
        self.budget = count
            .checked_mul(each)
            .and_then(|bytes| self.budget.checked_sub(bytes))
            .ok_or(Malformed("a block holds more than 64 MiB"))?;
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Malformed("a payload is followed by more bytes"))
        }
    }
}
