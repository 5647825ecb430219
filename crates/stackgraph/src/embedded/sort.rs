//! A sort of more records than fit into memory.
//!
//! Two indexes are wanted in an order in which their entries do not arrive. Filling a B-tree in random order is ten
//! times slower than in key order, so the entries are sorted in bounded runs, the runs are spilled to files and
//! merged. What fits into one run never touches the disk.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::claim::io;
use crate::error::Error;

/// What is sorted: three numbers, compared from the left.
pub(super) type Record = [u64; 3];

const RECORD: usize = size_of::<Record>();
/// A decoder's window: 128 KiB, so that hundreds of runs can be merged at once.
const WINDOW_LOG: u32 = 17;

/// Takes records in any order.
pub(super) struct Sorter {
    directory: PathBuf,
    prefix: &'static str,
    capacity: usize,
    records: Vec<Record>,
    runs: Vec<PathBuf>,
}

impl Sorter {
    /// Sorts with at most about `memory` bytes. Files are made in `directory` and removed when they have been read.
    pub(super) fn new(directory: &Path, prefix: &'static str, memory: usize) -> Self {
        Self {
            directory: directory.to_owned(),
            prefix,
            capacity: (memory / RECORD).max(16),
            records: Vec::new(),
            runs: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, record: Record) -> Result<(), Error> {
        if self.records.len() == self.capacity {
            self.spill()?;
        }
        if self.records.len() == self.records.capacity() {
            // Doubling could pass the bound by half.
            let room = self.records.len().max(1024);
            self.records
                .reserve_exact(room.min(self.capacity - self.records.len()));
        }
        self.records.push(record);
        Ok(())
    }

    fn spill(&mut self) -> Result<(), Error> {
        let path = self
            .directory
            .join(format!("{}-{:05}.run", self.prefix, self.runs.len()));
        let cannot = || format!("cannot write `{}`", path.display());
        sort(&mut self.records);
        let file = File::create_new(&path).map_err(io(cannot))?;
        self.runs.push(path.clone());
        let mut encoder = zstd::Encoder::new(BufWriter::new(file), -3).map_err(io(cannot))?;
        encoder.window_log(WINDOW_LOG).map_err(io(cannot))?;
        let mut block = Vec::with_capacity(1024 * RECORD);
        for records in self.records.chunks(1024) {
            block.clear();
            for number in records.iter().flatten() {
                block.extend_from_slice(&number.to_le_bytes());
            }
            encoder.write_all(&block).map_err(io(cannot))?;
        }
        let mut writer = encoder.finish().map_err(io(cannot))?;
        writer.flush().map_err(io(cannot))?;
        self.records.clear();
        Ok(())
    }

    /// Returns all records in order, repetitions included.
    pub(super) fn finish(mut self) -> Result<Merge, Error> {
        sort(&mut self.records);
        let mut merge = Merge {
            memory: self.records.into_iter(),
            runs: Vec::new(),
            heap: BinaryHeap::new(),
        };
        for path in self.runs {
            merge.runs.push(Run::open(path)?);
        }
        for source in 0..=merge.runs.len() {
            merge.advance(source)?;
        }
        Ok(merge)
    }
}

fn sort(records: &mut [Record]) {
    records.sort_unstable_by_key(|&[first, second, third]| (first, second, third));
}

/// The sorted records.
pub(super) struct Merge {
    memory: std::vec::IntoIter<Record>,
    runs: Vec<Run>,
    /// The next record of each source that has one; the last source is `memory`.
    heap: BinaryHeap<Reverse<(Record, usize)>>,
}

impl Merge {
    pub(super) fn next(&mut self) -> Result<Option<Record>, Error> {
        let Some(Reverse((record, source))) = self.heap.pop() else {
            return Ok(None);
        };
        self.advance(source)?;
        Ok(Some(record))
    }

    fn advance(&mut self, source: usize) -> Result<(), Error> {
        let next = match self.runs.get_mut(source) {
            Some(run) => run.next()?,
            None => self.memory.next(),
        };
        if let Some(record) = next {
            self.heap.push(Reverse((record, source)));
        }
        Ok(())
    }
}

/// One spilled file, removed when dropped.
struct Run {
    path: PathBuf,
    input: BufReader<zstd::Decoder<'static, BufReader<File>>>,
}

impl Run {
    fn open(path: PathBuf) -> Result<Self, Error> {
        let input = File::open(&path)
            .and_then(zstd::Decoder::new)
            .map_err(io(|| format!("cannot read `{}`", path.display())))?;
        Ok(Self {
            path,
            input: BufReader::with_capacity(1024 * RECORD, input),
        })
    }

    fn next(&mut self) -> Result<Option<Record>, Error> {
        let mut bytes = [0; RECORD];
        let cannot = || format!("cannot read `{}`", self.path.display());
        if std::io::BufRead::fill_buf(&mut self.input)
            .map_err(io(cannot))?
            .is_empty()
        {
            return Ok(None);
        }
        self.input.read_exact(&mut bytes).map_err(io(cannot))?;
        let number = |index: usize| {
            let eight = bytes[index * 8..index * 8 + 8].try_into();
            u64::from_le_bytes(eight.expect("a slice of eight bytes"))
        };
        Ok(Some([number(0), number(1), number(2)]))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Left behind, it goes with its generation.
        drop(std::fs::remove_file(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(records: &[Record], memory: usize) -> (Vec<Record>, usize) {
        let scratch = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(scratch.path(), "in", memory);
        for &record in records {
            sorter.push(record).unwrap();
        }
        let runs = sorter.runs.len();
        let mut merge = sorter.finish().unwrap();
        let mut out = Vec::new();
        while let Some(record) = merge.next().unwrap() {
            out.push(record);
        }
        drop(merge);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
        (out, runs)
    }

    proptest! {
        #[test]
        fn gives_back_what_it_took_in_order(
            records in prop::collection::vec(any::<[u64; 3]>(), 0..400),
            memory in 0_usize..4096,
        ) {
            let mut expected = records.clone();
            expected.sort_unstable();
            prop_assert_eq!(sorted(&records, memory).0, expected);
        }
    }

    #[test]
    fn spills_no_more_often_than_the_memory_demands() {
        let records: Vec<Record> = (0..10_000).rev().map(|number| [number, 0, 7]).collect();
        let (all, runs) = sorted(&records, 2_500 * RECORD);
        assert_eq!((all.len(), runs), (10_000, 3));
        assert!(all.is_sorted());
        assert_eq!(sorted(&records, 10_000 * RECORD).1, 0);
    }
}
