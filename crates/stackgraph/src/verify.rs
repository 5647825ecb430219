//! Proves that a `.graph` file can be restored, or finds all that is wrong with it. Needs no store.

use std::io::Read;

use lifeboat_core::progress::Progress;

use crate::error::Error;
use crate::format::{Damage, Decoded, Decoder, Ending, Footer, Next, RawBlock, Reader, Tally};
use crate::pipeline;
use crate::store::Totals;

/// The most damaged places that are listed.
pub const MAX_DAMAGES: usize = 1_000;

/// How to verify.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// How many threads decompress and check; one more reads.
    pub workers: usize,
    /// Counts elements and bytes of the file.
    pub progress: &'a Progress,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What the file says of itself; none where its end is missing or damaged.
    pub footer: Option<Footer>,
    /// What its sound blocks hold.
    pub found: Totals,
    pub sound_blocks: u64,
    /// Ascending by position, at most [`MAX_DAMAGES`]. None means that the file restores.
    pub damages: Vec<Damage>,
    /// How many places are damaged, listed or not.
    pub damaged_places: u64,
    /// How long the file is.
    pub file_bytes: u64,
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.damaged_places == 0 && self.footer.is_some()
    }
}

/// Reads the whole file. A damaged block does not end it: what follows is found by its length or, where that is lost,
/// by searching for the next head.
///
/// Fails only where the file cannot be read, is [foreign](Error::Foreign), or needs a [newer](Error::Newer) Lifeboat.
pub fn run(reader: impl Read + Send, options: &Options<'_>) -> Result<Report, Error> {
    let (mut reader, header_damage) = Reader::salvage(reader)?;
    let progress = options.progress;
    progress.add(0, reader.position());
    let mut search = Search::default();
    if let Some(damage) = header_damage {
        search.report.note(damage);
    }
    let mut ended = false;
    pipeline::run(
        "verify",
        options.workers,
        move || {
            if ended {
                return Ok(None);
            }
            let before = reader.position();
            let found = fetch(&mut reader)?;
            progress.add(0, reader.position() - before);
            ended = matches!(found, Fetched::End(_));
            Ok(Some(found))
        },
        || {
            let mut decoder = Decoder::new()?;
            Ok(move |fetched: Fetched| {
                Ok(match fetched {
                    Fetched::Block(block) => Checked::Block(decoder.decode(&block)),
                    Fetched::Damaged(damage) => Checked::Block(Err(damage)),
                    Fetched::End(end) => Checked::End(end),
                })
            })
        },
        |checked| {
            match checked {
                Checked::Block(Ok(block)) => progress.add(search.block(&block), 0),
                Checked::Block(Err(damage)) => search.report.note(damage),
                Checked::End(end) => search.end(end),
            }
            Ok(())
        },
    )?;
    search.report.found = search.tally.totals;
    Ok(search.report)
}

enum Fetched {
    Block(RawBlock),
    Damaged(Damage),
    End(End),
}

enum Checked {
    Block(Result<Decoded, Damage>),
    End(End),
}

/// Beyond this there are no more blocks.
struct End {
    ending: Result<Box<Ending>, Damage>,
    file_bytes: u64,
}

fn fetch<R: Read>(reader: &mut Reader<R>) -> Result<Fetched, Error> {
    let ending = match reader.next_block() {
        Ok(Next::Block(block)) => return Ok(Fetched::Block(block)),
        Ok(Next::End(ending)) => Ok(ending),
        Err(Error::Damaged(damage)) => {
            if reader.recover()? {
                return Ok(Fetched::Damaged(damage));
            }
            Err(damage)
        }
        Err(other) => return Err(other),
    };
    Ok(Fetched::End(End {
        ending,
        file_bytes: reader.position(),
    }))
}

#[derive(Default)]
struct Search {
    tally: Tally,
    report: Report,
}

impl Report {
    fn note(&mut self, damage: Damage) {
        self.damaged_places += 1;
        if self.damages.len() < MAX_DAMAGES {
            self.damages.push(damage);
        }
    }
}

impl Search {
    /// Returns how many elements the block holds.
    fn block(&mut self, block: &Decoded) -> u64 {
        let summary = block.content.as_ref().map(|(_, summary)| summary);
        match self.tally.add(block.at, block.kind, block.raw_len, summary) {
            Ok(()) => self.report.sound_blocks += 1,
            Err(what) => self.report.note(Damage { at: block.at, what }),
        }
        summary.map_or(0, |summary| summary.labels.values().sum())
    }

    fn end(&mut self, end: End) {
        self.report.file_bytes = end.file_bytes;
        match end.ending {
            Ok(ending) => {
                // Where blocks are missing, the sums differ for that reason alone.
                if self.report.damaged_places == 0
                    && let Err(damage) = ending.check(&self.tally)
                {
                    self.report.note(damage);
                }
                self.report.footer = Some(ending.footer);
            }
            Err(damage) => self.report.note(damage),
        }
    }
}
