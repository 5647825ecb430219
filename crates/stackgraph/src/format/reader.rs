//! Reads a file from front to back, block by block, and proves at its end that nothing was lost.

use std::io::{self, BufReader, Read};

use super::block::{self, HEAD_BYTES};
use super::footer::{TAIL_BYTES, decode_tail};
use super::header::{HEADER_BYTES, Header, ends_early};
use super::{BlockKind, Damage, Footer, Head, Tally};
use crate::error::Error;

/// A block as it lies in the file. Its head is sound; of its payload nothing is known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBlock {
    /// Where its head starts.
    pub at: u64,
    pub head: Head,
    pub(super) bytes: Vec<u8>,
}

/// What follows in a file.
#[derive(Debug)]
pub enum Next {
    Block(RawBlock),
    End(Box<Ending>),
}

/// The end of a file. Footer, tail and length have been checked; [`Ending::check`] does the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub footer: Footer,
    /// Where the footer's block starts.
    at: u64,
    /// Of the bytes before the footer, as they were read.
    blake3: blake3::Hash,
}

impl Ending {
    /// Compares what the footer promises with the file that was read: the last of all checks.
    pub fn check(&self, tally: &Tally) -> Result<(), Damage> {
        let damage = |what| Damage { at: self.at, what };
        tally.compare(&self.footer).map_err(damage)?;
        if self.blake3 == self.footer.blake3 {
            Ok(())
        } else {
            Err(damage(
                "the file does not match the BLAKE3 of its footer".to_owned(),
            ))
        }
    }
}

/// A file being read.
pub struct Reader<R> {
    input: BufReader<R>,
    at: u64,
    blake3: blake3::Hasher,
    header: Option<Header>,
    /// None until a first block has told, where the header could not.
    file_id: Option<[u8; 8]>,
    sequence: u32,
    /// The bytes where a head should have been.
    window: [u8; HEAD_BYTES],
    /// A head found by [`Reader::recover`].
    found: Option<Head>,
}

impl<R: Read> Reader<R> {
    /// Reads the header. Fails as [`Header::decode`] does.
    pub fn new(input: R) -> Result<Self, Error> {
        let mut reader = Self::unopened(input);
        let bytes = reader.take(HEADER_BYTES)?;
        reader.open(Header::decode(&bytes)?);
        Ok(reader)
    }

    /// Like [`Reader::new`] for a file that is searched for damage: that of its header is returned beside the reader.
    pub fn salvage(input: R) -> Result<(Self, Option<Damage>), Error> {
        let mut reader = Self::unopened(input);
        let bytes = reader.take(HEADER_BYTES)?;
        match Header::decode(&bytes) {
            Ok(header) => {
                reader.open(header);
                Ok((reader, None))
            }
            Err(Error::Damaged(damage)) => Ok((reader, Some(damage))),
            Err(other) => Err(other),
        }
    }

    fn unopened(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(256 << 10, input),
            at: 0,
            blake3: blake3::Hasher::new(),
            header: None,
            file_id: None,
            sequence: 0,
            window: [0; HEAD_BYTES],
            found: None,
        }
    }

    fn open(&mut self, header: Header) {
        self.file_id = Some(header.file_id());
        self.header = Some(header);
    }

    /// None where the file was opened by [`Reader::salvage`] and its header is damaged.
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// How many bytes were read so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Returns the next block, or the footer. After an [`Error::Damaged`] only [`Reader::recover`] may follow.
    pub fn next_block(&mut self) -> Result<Next, Error> {
        let before = self.blake3.clone();
        let (at, head) = self.head()?;
        if self.file_id.is_some_and(|id| id != head.file_id) {
            return Err(Damage::new(at, "a block of another file stands").into());
        }
        self.file_id = Some(head.file_id);
        if head.sequence != self.sequence {
            let (found, expected) = (head.sequence, self.sequence);
            self.found = Some(head);
            return Err(Damage::new(
                at,
                format!("block {found} stands where block {expected} should be,"),
            )
            .into());
        }
        if let BlockKind::Other(kind) = head.kind
            && !head.optional
        {
            return Err(Error::Newer {
                what: format!("block {} has the unknown type {kind}", head.sequence),
            });
        }
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = self.take(head.stored_len as usize)?;
        if bytes.len() < head.stored_len as usize {
            return Err(ends_early(self.at).into());
        }
        let block = RawBlock { at, head, bytes };
        if head.kind == BlockKind::Footer {
            return self.end(&block, &before).map(Next::End);
        }
        Ok(Next::Block(block))
    }

    /// Searches for the next block with a sound head and goes on from there. Returns false where there is none.
    pub fn recover(&mut self) -> Result<bool, Error> {
        if let Some(head) = self.found {
            self.sequence = head.sequence;
            return Ok(true);
        }
        // A payload may lack its end: what follows it is a new window.
        loop {
            let mut next = [0];
            if self.fill(&mut next)? == 0 {
                return Ok(false);
            }
            self.window.rotate_left(1);
            self.window[HEAD_BYTES - 1] = next[0];
            if self.window.starts_with(&block::MAGIC)
                && let Ok(head) = Head::decode(&self.window)
            {
                self.found = Some(head);
                self.sequence = head.sequence;
                return Ok(true);
            }
        }
    }

    /// Returns the next head and where it starts.
    fn head(&mut self) -> Result<(u64, Head), Error> {
        if let Some(head) = self.found.take() {
            return Ok((self.at - HEAD_BYTES as u64, head));
        }
        let at = self.at;
        let mut window = [0; HEAD_BYTES];
        let length = self.fill(&mut window)?;
        self.window = window;
        if length < HEAD_BYTES {
            return Err(ends_early(self.at).into());
        }
        let head = Head::decode(&window).map_err(|what| Damage::new(at, format!("{what},")))?;
        Ok((at, head))
    }

    fn end(&mut self, block: &RawBlock, before: &blake3::Hasher) -> Result<Box<Ending>, Error> {
        let footer = Footer::of_block(block)?;
        let tail_at = self.at;
        let mut tail = [0; TAIL_BYTES];
        if self.fill(&mut tail)? < TAIL_BYTES {
            return Err(ends_early(self.at).into());
        }
        let (at, length) =
            decode_tail(&tail).ok_or_else(|| Damage::new(tail_at, "the end mark is damaged"))?;
        if at != block.at || u64::from(length) != tail_at - block.at {
            return Err(Damage::new(tail_at, "the end mark does not point at the footer").into());
        }
        let file_bytes = self.at;
        if self.fill(&mut [0])? > 0 {
            return Err(Damage::new(file_bytes, "more bytes follow the end mark").into());
        }
        if let Some(header) = &self.header {
            let same = header.uuid == footer.uuid
                && header.created == footer.created
                && (header.major, header.minor) == (footer.major, footer.minor);
            if !same {
                return Err(Damage::new(block.at, "the footer is that of another file").into());
            }
        }
        Ok(Box::new(Ending {
            footer,
            at: block.at,
            blake3: before.finalize(),
        }))
    }

    /// Takes up to `count` bytes. Memory grows with what arrives, not with what was asked for.
    fn take(&mut self, count: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(count.min(1 << 20));
        let input = &mut self.input;
        input
            .take(count as u64)
            .read_to_end(&mut bytes)
            .map_err(cannot_read)?;
        self.blake3.update(&bytes);
        self.at += bytes.len() as u64;
        Ok(bytes)
    }

    /// Fills `bytes` as far as the file goes.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        let mut length = 0;
        while length < bytes.len() {
            match self.input.read(&mut bytes[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cannot_read(error)),
            }
        }
        self.blake3.update(&bytes[..length]);
        self.at += length as u64;
        Ok(length)
    }
}

fn cannot_read(source: io::Error) -> Error {
    Error::Io {
        doing: "cannot read the backup".to_owned(),
        source,
    }
}
