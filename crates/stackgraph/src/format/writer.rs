//! Writes a file from front to back.

use std::io::Write;

use lifeboat_core::backup::Consistency;

use super::block::{Compression, HEAD_BYTES};
use super::header::Header;
use super::{BlockKind, Encoded, Footer, Head, MAX_BLOCK_BYTES, Tally, codec, crc32c, footer};
use crate::error::Error;

/// Where a file's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Program and version that write the file, for example `lifeboat 0.1.0`.
    pub program: String,
    /// The name of the store's driver.
    pub driver: String,
    pub consistency: Consistency,
}

/// A file in the making. Until [`Writer::finish`] has returned, what was written is an incomplete file and every
/// reader says so.
pub struct Writer<W> {
    out: W,
    header: Header,
    at: u64,
    sequence: u32,
    blake3: blake3::Hasher,
    tally: Tally,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    pub fn new(out: W, header: Header) -> Result<Self, Error> {
        let mut writer = Self {
            out,
            header,
            at: 0,
            sequence: 0,
            blake3: blake3::Hasher::new(),
            tally: Tally::default(),
        };
        writer.put(&header.encode())?;
        Ok(writer)
    }

    /// Writes the next block and returns how many bytes of the file it took. Fails with [`Error::Inconsistent`] where
    /// it does not come after the blocks before it.
    pub fn write(&mut self, block: &Encoded) -> Result<u64, Error> {
        let summary = &block.summary;
        self.tally
            .add(self.at, summary.kind, block.raw_len, Some(summary))
            .map_err(|what| Error::Inconsistent { what })?;
        let head = Head {
            kind: summary.kind,
            optional: false,
            compression: block.compression,
            raw_len: block.raw_len,
            stored_len: length(&block.bytes),
            count: u32::try_from(summary.count).expect("a block has at most 65,536 elements"),
            sequence: self.sequence,
            payload_crc: block.crc,
            file_id: self.header.file_id(),
        };
        self.put_block(head, &block.bytes)
    }

    /// Writes a text that readers pass over.
    ///
    /// # Panics
    /// For a text of more than 64 MiB.
    pub fn comment(&mut self, text: &str) -> Result<u64, Error> {
        assert!(text.len() <= MAX_BLOCK_BYTES, "a comment is at most 64 MiB");
        let bytes = text.as_bytes();
        let head = self.head(BlockKind::Comment, Compression::Stored, bytes, bytes);
        self.tally
            .add(self.at, BlockKind::Comment, head.raw_len, None)
            .expect("a comment may stand anywhere");
        self.put_block(head, bytes)
    }

    /// What was written so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Writes footer and tail and flushes. With that the file is complete.
    pub fn finish(mut self, origin: Origin) -> Result<Footer, Error> {
        let tally = std::mem::take(&mut self.tally);
        let mut footer = Footer {
            major: self.header.major,
            minor: self.header.minor,
            uuid: self.header.uuid,
            created: self.header.created,
            program: origin.program,
            driver: origin.driver,
            consistency: origin.consistency,
            totals: tally.totals,
            lids: tally.lids,
            txs: tally.txs,
            raw_bytes: tally.raw_bytes,
            blake3: *self.blake3.finalize().as_bytes(),
            entries: tally.entries,
            file_bytes: 0,
        };
        let mut raw = Vec::new();
        footer.encode(&mut raw);
        if raw.len() > MAX_BLOCK_BYTES {
            return Err(Error::Inconsistent {
                what: "a graph of so many blocks and labels does not fit a file".to_owned(),
            });
        }
        let mut zstd = zstd::bulk::Compressor::new(1).map_err(codec::no_zstd)?;
        let (compression, bytes) = codec::compress(&mut zstd, &raw)?;
        let at = self.at;
        let head = self.head(BlockKind::Footer, compression, &raw, &bytes);
        let block_bytes = self.put_block(head, &bytes)?;
        let block_bytes = u32::try_from(block_bytes).expect("a block is at most 64 MiB");
        self.put(&footer::encode_tail(at, block_bytes))?;
        self.out.flush().map_err(cannot_write)?;
        footer.file_bytes = self.at;
        Ok(footer)
    }

    fn head(&self, kind: BlockKind, compression: Compression, raw: &[u8], bytes: &[u8]) -> Head {
        Head {
            kind,
            optional: kind == BlockKind::Comment,
            compression,
            raw_len: length(raw),
            stored_len: length(bytes),
            count: 0,
            sequence: self.sequence,
            payload_crc: crc32c(bytes),
            file_id: self.header.file_id(),
        }
    }

    fn put_block(&mut self, head: Head, bytes: &[u8]) -> Result<u64, Error> {
        self.put(&head.encode())?;
        self.put(bytes)?;
        self.sequence = self
            .sequence
            .checked_add(1)
            .ok_or_else(|| Error::Inconsistent {
                what: "a file has fewer than 2^32 blocks".to_owned(),
            })?;
        Ok((HEAD_BYTES + bytes.len()) as u64)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(cannot_write)?;
        self.blake3.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a block is at most 64 MiB")
}

fn cannot_write(source: std::io::Error) -> Error {
    Error::Io {
        doing: "cannot write the backup".to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::format::{Next, Reader};

    /// A file with one block of a type that does not exist yet.
    fn with_block_of_type(code: u8, optional: bool) -> Vec<u8> {
        let mut file = Vec::new();
        let header = Header::new([3; 16], Timestamp::UNIX_EPOCH);
        let mut writer = Writer::new(&mut file, header).unwrap();
        let kind = BlockKind::from_code(code);
        let mut head = writer.head(kind, Compression::Stored, b"later", b"later");
        head.optional = optional;
        writer.tally.add(writer.at, kind, 5, None).unwrap();
        writer.put_block(head, b"later").unwrap();
        writer
            .finish(Origin {
                program: "later".to_owned(),
                driver: String::new(),
                consistency: Consistency::BestEffort,
            })
            .unwrap();
        file
    }

    fn verify(file: &[u8]) -> Result<crate::verify::Report, Error> {
        let progress = lifeboat_core::progress::Progress::default();
        crate::verify::run(
            file,
            &crate::verify::Options {
                workers: 1,
                progress: &progress,
            },
        )
    }

    #[test]
    fn an_unknown_block_is_passed_over_where_it_says_that_it_may() {
        let report = verify(&with_block_of_type(77, true)).unwrap();
        assert!(report.is_sound(), "{:?}", report.damages);
        assert_eq!(report.sound_blocks, 1);
    }

    #[test]
    fn a_block_of_elements_without_elements_is_damage() {
        let report = verify(&with_block_of_type(BlockKind::Vertices.code(), false)).unwrap();
        assert!(!report.is_sound());
    }

    #[test]
    fn an_unknown_block_that_must_be_understood_is_refused() {
        insta::assert_snapshot!(
            verify(&with_block_of_type(77, false)).unwrap_err(),
            @"the file needs a newer Lifeboat: block 0 has the unknown type 77"
        );
    }

    #[test]
    fn a_comment_is_passed_over() {
        let mut file = Vec::new();
        let header = Header::new([3; 16], Timestamp::UNIX_EPOCH);
        let mut writer = Writer::new(&mut file, header).unwrap();
        writer.comment("for people").unwrap();
        writer
            .finish(Origin {
                program: String::new(),
                driver: String::new(),
                consistency: Consistency::Snapshot,
            })
            .unwrap();
        let mut reader = Reader::new(file.as_slice()).unwrap();
        let Next::Block(block) = reader.next_block().unwrap() else {
            panic!("the comment is a block");
        };
        assert_eq!(block.head.kind, BlockKind::Comment);
        assert!(verify(&file).unwrap().is_sound());
    }
}
