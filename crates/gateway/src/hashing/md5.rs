//! MD5, of one content or of several side by side.
//!
//! Not for safety, which it has none of, but because it is the etag that clients of S3 compare. It is written here because
//! what others offer for several at once takes whole contents, while ours arrive in pieces, each at its own pace
//! (`docs/decisions/0007-hashing.md`). The tests compare it with the crate `md-5`.

use std::iter;

use bytes::Bytes;
use fearless_simd::Level;

use super::lanes::{Block, LANES, START, Words, compress, compress_many};

/// The MD5 of what has come of a content so far.
#[derive(Debug, Clone)]
pub(crate) struct Md5 {
    state: Words,
    /// In bytes.
    length: u64,
    /// The first `length % 64` bytes are what came after the last whole block.
    rest: Block,
}

impl Default for Md5 {
    fn default() -> Self {
        Self {
            state: START,
            length: 0,
            rest: [0; 64],
        }
    }
}

impl Md5 {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let mut source = Source::new(iter::once(bytes));
        while let Some(run) = source.take(self) {
            compress(&mut self.state, run.blocks());
        }
    }

    pub(crate) fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8).to_le_bytes();
        // One bit, as many zeros as fill a block, and the length.
        let mut end = [0; 128];
        end[0] = 0x80;
        let zeros = (2 * 64 - 1 - bits.len() - self.kept()) % 64;
        end[1 + zeros..][..bits.len()].copy_from_slice(&bits);
        self.update(&end[..1 + zeros + bits.len()]);
        let mut digest = [0; 16];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }

    /// How many bytes wait for the rest of their block.
    fn kept(&self) -> usize {
        usize::try_from(self.length % 64).expect("less than a block")
    }
}

/// Updates several contents, each with pieces of its own.
pub(super) fn update_many<'a>(
    level: Level,
    contents: impl IntoIterator<Item = (&'a mut Md5, &'a [Bytes])>,
) {
    let mut waiting = contents.into_iter().map(|(md5, pieces)| Lane {
        source: Source::new(pieces.iter().map(Bytes::as_ref)),
        run: Run::None,
        md5,
    });
    let mut lanes = Vec::with_capacity(LANES);
    loop {
        // A lane that is through makes room for whoever waits.
        lanes.retain_mut(Lane::is_ready);
        while lanes.len() < LANES
            && let Some(mut lane) = waiting.next()
        {
            if lane.is_ready() {
                lanes.push(lane);
            }
        }
        match lanes.as_mut_slice() {
            [] => return,
            [alone] => {
                compress(&mut alone.md5.state, alone.run.blocks());
                alone.run = Run::None;
            }
            lanes => step(level, lanes),
        }
    }
}

/// Works as many blocks into each lane as all of them have.
fn step<'a, I: Iterator<Item = &'a [u8]>>(level: Level, lanes: &mut [Lane<'a, I>]) {
    let count = lanes.iter().map(|lane| lane.run.blocks().len()).min();
    let count = count.unwrap_or(0);
    let mut states = [START; LANES];
    let mut blocks: [&[Block]; LANES] = [&[]; LANES];
    for (index, lane) in lanes.iter().enumerate() {
        states[index] = lane.md5.state;
        blocks[index] = &lane.run.blocks()[..count];
    }
    compress_many(level, &mut states[..lanes.len()], &blocks[..lanes.len()]);
    for (lane, state) in lanes.iter_mut().zip(states) {
        lane.md5.state = state;
        lane.run.skip(count);
    }
}

struct Lane<'a, I> {
    md5: &'a mut Md5,
    source: Source<'a, I>,
    run: Run<'a>,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Lane<'a, I> {
    /// Whether there is a block to go on with.
    fn is_ready(&mut self) -> bool {
        if self.run.blocks().is_empty() {
            self.run = self.source.take(self.md5).unwrap_or(Run::None);
        }
        !self.run.blocks().is_empty()
    }
}

/// Whole blocks that lie one behind the other.
enum Run<'a> {
    None,
    /// In a piece.
    Within(&'a [Block]),
    /// Across pieces, put together.
    Across(Block),
}

impl Run<'_> {
    fn blocks(&self) -> &[Block] {
        match self {
            Self::None => &[],
            Self::Within(blocks) => blocks,
            Self::Across(block) => std::slice::from_ref(block),
        }
    }

    fn skip(&mut self, count: usize) {
        match self {
            Self::Within(blocks) => *blocks = &blocks[count..],
            Self::Across(_) if count > 0 => *self = Self::None,
            Self::None | Self::Across(_) => {}
        }
    }
}

/// The pieces of a content that have not been hashed.
struct Source<'a, I> {
    pieces: I,
    /// What is left of the piece begun.
    rest: &'a [u8],
}

impl<'a, I: Iterator<Item = &'a [u8]>> Source<'a, I> {
    fn new(pieces: I) -> Self {
        Self { pieces, rest: &[] }
    }

    /// Returns the next blocks, which count as hashed. Nothing once less than a block is left, which `md5` then keeps.
    fn take(&mut self, md5: &mut Md5) -> Option<Run<'a>> {
        loop {
            if self.rest.is_empty() {
                self.rest = self.pieces.next()?;
                continue;
            }
            let kept = md5.kept();
            let (run, taken) = match self.rest.as_chunks() {
                (blocks @ [_, ..], _) if kept == 0 => {
                    (Some(Run::Within(blocks)), 64 * blocks.len())
                }
                _ => {
                    let taken = self.rest.len().min(64 - kept);
                    md5.rest[kept..][..taken].copy_from_slice(&self.rest[..taken]);
                    let whole = kept + taken == 64;
                    (whole.then_some(Run::Across(md5.rest)), taken)
                }
            };
            md5.length += u64::try_from(taken).expect("sizes fit in 64 bits");
            self.rest = &self.rest[taken..];
            if run.is_some() {
                return run;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use md5::Digest as _;
    use proptest::prelude::*;

    use super::*;

    fn reference(content: &[u8]) -> [u8; 16] {
        md5::Md5::digest(content).into()
    }

    fn content(length: usize, seed: usize) -> Vec<u8> {
        let byte =
            |index: usize| u8::try_from((index * 31 + seed * 7 + index / 251) % 256).unwrap();
        (0..length).map(byte).collect()
    }

    fn cut(content: &[u8], step: usize) -> Vec<Bytes> {
        content.chunks(step).map(Bytes::copy_from_slice).collect()
    }

    /// What this processor has, and what every one of its kind has.
    fn levels() -> [Level; 2] {
        [Level::new(), Level::baseline()]
    }

    #[test]
    fn every_length_around_a_block_is_hashed_as_by_others() {
        for length in 0..300 {
            let content = content(length, length);
            let mut md5 = Md5::default();
            md5.update(&content);
            assert_eq!(md5.finish(), reference(&content), "{length} bytes");
        }
    }

    #[test]
    fn no_content_changes_the_digest_of_another() {
        // Every number of lanes, and more contents than there are lanes.
        for count in 1..=2 * LANES + 1 {
            for level in levels() {
                let contents: Vec<_> = (0..count)
                    .map(|seed| content(100 + 97 * seed, seed))
                    .collect();
                let pieces: Vec<_> = contents.iter().map(|content| cut(content, 150)).collect();
                let mut states = vec![Md5::default(); count];
                update_many(
                    level,
                    states.iter_mut().zip(pieces.iter().map(Vec::as_slice)),
                );
                for (md5, content) in states.into_iter().zip(&contents) {
                    assert_eq!(md5.finish(), reference(content), "{count} contents");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn contents_are_hashed_alike_however_they_come(
            lengths in proptest::collection::vec(0_usize..2000, 1..20),
            steps in proptest::collection::vec(1_usize..700, 20),
            turns in 1_usize..5,
        ) {
            let contents: Vec<_> = lengths.iter().enumerate().map(|(seed, length)| content(*length, seed)).collect();
            let pieces: Vec<_> = contents.iter().zip(&steps).map(|(content, step)| cut(content, *step)).collect();
            for level in levels() {
                let mut states = vec![Md5::default(); contents.len()];
                for turn in 0..turns {
                    let now = pieces.iter().map(|pieces| {
                        let each = pieces.len().div_ceil(turns);
                        let begin = (turn * each).min(pieces.len());
                        &pieces[begin..(begin + each).min(pieces.len())]
                    });
                    update_many(level, states.iter_mut().zip(now));
                }
                for (md5, content) in states.into_iter().zip(&contents) {
                    prop_assert_eq!(md5.finish(), reference(content));
                }
            }
        }
    }
}
