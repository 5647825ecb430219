//! The rounds of MD5 over several blocks of unrelated contents at once, one in each lane of a vector.
//!
//! A round needs the one before, so one content alone leaves a processor mostly waiting: 0.8 GB/s on a core of 2024.
//! Sixteen in a vector take little more than twice as long, 5.7 GB/s together. Vectors are those of `fearless_simd`, which
//! chooses the instructions the processor has and is safe to call; what they compute is compared with another
//! implementation in the tests of [`super::md5`].

#![expect(
    clippy::inline_always,
    reason = "what computes in vectors must be part of the function that was compiled for them"
)]

use std::hint::black_box;
use std::num::Wrapping;
use std::ops::{Add, BitAnd, BitOr, BitXor, Not};

use fearless_simd::{Level, Simd, SimdInt, dispatch, u32x8, u32x16};

/// The most contents that are hashed at once.
pub(super) const LANES: usize = 16;
/// Up to so many fit in a shorter vector, which takes less time.
const FEW: usize = 8;

/// What is hashed at a time.
pub(super) type Block = [u8; 64];

/// The state of a content: A, B, C and D of RFC 1321.
pub(super) type Words = [u32; 4];

pub(super) const START: Words = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// What each round adds: the whole part of 2^32 times the sine of its number.
#[rustfmt::skip]
const ADDED: [u32; 64] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// How far the rounds rotate: four distances, in turn, for each sixteen of them.
const ROTATED: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];
/// Which word each round takes: a factor of its number, and what is added to that.
const TAKEN: [(usize, usize); 4] = [(1, 0), (5, 1), (3, 5), (7, 0)];

/// What the rounds are computed in: a number, or a vector with one for each lane. Sums wrap around.
trait Word:
    Copy
    + Add<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
{
    fn plus(self, number: u32) -> Self;
    fn rotate(self, by: u32) -> Self;
}

impl Word for Wrapping<u32> {
    #[inline(always)]
    fn plus(self, number: u32) -> Self {
        self + Wrapping(number)
    }

    #[inline(always)]
    fn rotate(self, by: u32) -> Self {
        Self(self.0.rotate_left(by))
    }
}

macro_rules! words {
    ($($vector:ident)*) => {$(
        impl<S: Simd> Word for $vector<S> {
            #[inline(always)]
            fn plus(self, number: u32) -> Self {
                self + number
            }

            #[inline(always)]
            fn rotate(self, by: u32) -> Self {
                (self << by) | (self >> (32 - by))
            }
        }
    )*};
}
words!(u32x8 u32x16);

/// Works blocks into the state of one content.
pub(super) fn compress(state: &mut Words, blocks: &[Block]) {
    let added = hidden();
    let mut now = state.map(Wrapping);
    for block in blocks {
        let mut words = [Wrapping(0); 16];
        for (index, word) in words.iter_mut().enumerate() {
            *word = Wrapping(read(block, index));
        }
        rounds(&mut now, &words, added);
    }
    *state = now.map(|word| word.0);
}

/// Works as many blocks into the state of each of several contents, [`LANES`] at most.
pub(super) fn compress_many(level: Level, states: &mut [Words], blocks: &[&[Block]]) {
    if states.len() <= FEW {
        dispatch!(level, simd => in_vectors::<_, u32x8<_>, FEW>(simd, states, blocks));
    } else {
        dispatch!(level, simd => in_vectors::<_, u32x16<_>, LANES>(simd, states, blocks));
    }
}

/// One word of a block for each lane.
type Row<const N: usize> = [u32; N];

// No closures, here and below: each is a function of its own, which the compiler may leave without these vectors.
#[inline(always)]
fn in_vectors<S: Simd, V: SimdInt<S, Element = u32> + Word, const N: usize>(
    simd: S,
    states: &mut [Words],
    blocks: &[&[Block]],
) {
    let mut rows = [[0; N]; 4];
    for (lane, state) in states.iter().enumerate() {
        for (row, word) in rows.iter_mut().zip(state) {
            row[lane] = *word;
        }
    }
    let mut now = [V::splat(simd, 0); 4];
    for (vector, row) in now.iter_mut().zip(&rows) {
        *vector = V::from_slice(simd, &row[..]);
    }
    let added = hidden();
    let mut count = usize::MAX;
    for blocks in blocks {
        count = count.min(blocks.len());
    }
    // Two, so that a row is written long before it is read as a whole, which would otherwise wait for the writes.
    let mut words = [[[0; N]; 16]; 2];
    transpose(&mut words[0], blocks, 0);
    for index in 0..count {
        if index + 1 < count {
            transpose(&mut words[(index + 1) % 2], blocks, index + 1);
        }
        let mut vectors = [V::splat(simd, 0); 16];
        for (vector, row) in vectors.iter_mut().zip(&words[index % 2]) {
            *vector = V::from_slice(simd, &row[..]);
        }
        rounds(&mut now, &vectors, added);
    }
    for (row, vector) in rows.iter_mut().zip(now) {
        vector.store_slice(row);
    }
    for (lane, state) in states.iter_mut().enumerate() {
        for (word, row) in state.iter_mut().zip(&rows) {
            *word = row[lane];
        }
    }
}

#[inline(always)]
fn transpose<const N: usize>(words: &mut [Row<N>; 16], blocks: &[&[Block]], index: usize) {
    for (lane, blocks) in blocks.iter().enumerate() {
        for (word, row) in words.iter_mut().enumerate() {
            row[lane] = read(&blocks[index], word);
        }
    }
}

#[inline(always)]
fn read(block: &Block, word: usize) -> u32 {
    let at = 4 * word;
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// The 64 rounds for one block. `added` is [`ADDED`], see [`hidden`].
#[inline(always)]
fn rounds<W: Word>(state: &mut [W; 4], words: &[W; 16], added: &[u32; 64]) {
    let before = *state;
    macro_rules! rounds {
        ($($index:literal)*) => { $( round::<W, $index>(state, words, added); )* };
    }
    rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    rounds!(16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    rounds!(32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47);
    rounds!(48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
    for (after, before) in state.iter_mut().zip(before) {
        *after = *after + before;
    }
}

/// One round. Its number is known when it is compiled, and so is where it finds what.
///
/// Of what a round adds only `b` has just been computed, so it comes last in every sum: a round cannot be faster than what
/// follows `b`.
#[inline(always)]
fn round<W: Word, const INDEX: usize>(state: &mut [W; 4], words: &[W; 16], added: &[u32; 64]) {
    let first = 64 - INDEX;
    let (a, b) = (state[first % 4], state[(first + 1) % 4]);
    let (c, d) = (state[(first + 2) % 4], state[(first + 3) % 4]);
    let (factor, more) = TAKEN[INDEX / 16];
    let early = a + words[(factor * INDEX + more) % 16].plus(added[INDEX]);
    let sum = match INDEX / 16 {
        0 => early + (d ^ (b & (c ^ d))),
        // No bit is in both, so that a sum is as good as an or.
        1 => early + (c & !d) + (b & d),
        2 => early + (b ^ (c ^ d)),
        _ => early + (c ^ (b | !d)),
    };
    state[first % 4] = b + sum.rotate(ROTATED[INDEX / 16][INDEX % 4]);
}

/// Numbers the compiler knows it would add last in each round, where everything waits for the sum: a fifth of the time.
#[inline(always)]
fn hidden() -> &'static [u32; 64] {
    black_box(&ADDED)
}
