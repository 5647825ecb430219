//! From a `.graph` file to a store.

use std::io::Read;

use lifeboat_core::progress::Progress;

use crate::error::Error;
use crate::format::{Damage, Decoder, Ending, Footer, Next, RawBlock, Reader, Tally};
use crate::pipeline;
use crate::store::{Expected, GraphStore, LoadMode};

/// How to read a file into a store.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// How many threads decompress and check; one more reads, and the caller's feeds the store.
    pub workers: usize,
    pub mode: LoadMode,
    /// What is known of the file before it is read, and the memory that the store may take.
    pub expected: Expected,
    /// Counts elements and bytes of the file.
    pub progress: &'a Progress,
}

/// Makes the store equal to the file, or changes nothing: the store switches only after every block, the digest, the
/// file's BLAKE3 and its tail have been checked. Holds at most `2 * workers + 3` blocks at a time beside what the
/// store's loader takes.
pub fn run(
    reader: impl Read + Send,
    store: &dyn GraphStore,
    options: &Options<'_>,
) -> Result<Footer, Error> {
    let mut reader = Reader::new(reader)?;
    let mut loader = store.begin_load(options.mode, &options.expected)?;
    let progress = options.progress;
    progress.add(0, reader.position());
    let mut tally = Tally::default();
    let mut ending = None;
    let ending_slot = &mut ending;
    pipeline::run(
        "import",
        options.workers,
        move || fetch(&mut reader, progress, ending_slot),
        || {
            let mut decoder = Decoder::new()?;
            Ok(move |block: RawBlock| decoder.decode(&block).map_err(Error::from))
        },
        |block| {
            let summary = block.content.as_ref().map(|(_, summary)| summary);
            tally
                .add(block.at, block.kind, block.raw_len, summary)
                .map_err(|what| Damage { at: block.at, what })?;
            if let Some((piece, summary)) = block.content {
                loader.add(piece)?;
                progress.add(summary.labels.values().sum(), 0);
            }
            Ok(())
        },
    )?;
    let ending = ending.ok_or(Error::Worker("import"))?;
    ending.check(&tally)?;
    loader.commit(&ending.footer.totals)?;
    Ok(ending.footer)
}

fn fetch<R: Read>(
    reader: &mut Reader<R>,
    progress: &Progress,
    ending: &mut Option<Box<Ending>>,
) -> Result<Option<RawBlock>, Error> {
    let before = reader.position();
    let next = reader.next_block();
    progress.add(0, reader.position() - before);
    match next? {
        Next::Block(block) => Ok(Some(block)),
        Next::End(end) => {
            *ending = Some(end);
            Ok(None)
        }
    }
}
