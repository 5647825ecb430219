//! A column of 64-bit numbers: docs/graph-format.md §Columns, "numbers".
//!
//! Three encodings, whichever is smallest: a line (ids in sequence, one value throughout), differences (times, sorted
//! ids), and offsets of a fixed width from the smallest (ids in no order, labels). All arithmetic wraps, so that every
//! 64-bit number can stand in every one of them.

use super::input::Input;
use crate::value::{Malformed, put_uvarint};

const LINE: u8 = 0;
const DIFFERENCES: u8 = 1;
const OFFSETS: u8 = 2;

/// What stands before the offsets themselves.
const OFFSETS_FIXED: usize = 9;

/// Appends a column. No values take no bytes.
pub(super) fn encode(values: impl Iterator<Item = u64> + Clone, out: &mut Vec<u8>) {
    let mut rest = values.clone();
    let Some(first) = rest.next() else { return };
    let (mut low, mut high) = (first, first);
    let mut differences_size = uvarint_size(zigzag(first));
    let mut count = 1_usize;
    let mut last = first;
    let mut step = None;
    let mut is_line = true;
    for value in rest {
        let difference = value.wrapping_sub(last);
        is_line &= *step.get_or_insert(difference) == difference;
        differences_size += uvarint_size(zigzag(difference));
        low = low.min(value);
        high = high.max(value);
        last = value;
        count += 1;
    }
    let width = (u64::BITS - (high - low).leading_zeros())
        .div_ceil(8)
        .max(1) as usize;
    if is_line {
        out.push(LINE);
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&step.unwrap_or(0).to_le_bytes());
    } else if differences_size < count * width + OFFSETS_FIXED {
        out.push(DIFFERENCES);
        let mut last = 0_u64;
        for value in values {
            put_uvarint(zigzag(value.wrapping_sub(last)), out);
            last = value;
        }
    } else {
        out.push(OFFSETS);
        out.extend_from_slice(&low.to_le_bytes());
        out.push(u8::try_from(width).expect("a width is at most 8"));
        for value in values {
            out.extend_from_slice(&(value - low).to_le_bytes()[..width]);
        }
    }
}

/// Takes a column of `count` numbers. The caller has asked for the memory.
pub(super) fn decode(input: &mut Input<'_>, count: usize) -> Result<Vec<u64>, Malformed> {
    if count == 0 {
        return Ok(Vec::new());
    }
    match input.byte()? {
        LINE => {
            let first = input.u64()?;
            let step = input.u64()?;
            Ok((0..count as u64)
                .map(|index| first.wrapping_add(step.wrapping_mul(index)))
                .collect())
        }
        DIFFERENCES => {
            let mut values = Vec::with_capacity(count);
            let mut last = 0_u64;
            for _ in 0..count {
                last = last.wrapping_add(unzigzag(input.uvarint()?));
                values.push(last);
            }
            Ok(values)
        }
        OFFSETS => {
            let low = input.u64()?;
            let width = usize::from(input.byte()?);
            let bytes = count
                .checked_mul(width)
                .ok_or(Malformed("a column is cut short"))?;
            let bytes = input.take(bytes)?;
            match width {
                1 => Ok(offsets::<1>(low, bytes)),
                2 => Ok(offsets::<2>(low, bytes)),
                3 => Ok(offsets::<3>(low, bytes)),
                4 => Ok(offsets::<4>(low, bytes)),
                5 => Ok(offsets::<5>(low, bytes)),
                6 => Ok(offsets::<6>(low, bytes)),
                7 => Ok(offsets::<7>(low, bytes)),
                8 => Ok(offsets::<8>(low, bytes)),
                _ => Err(Malformed("numbers are not 1 to 8 bytes wide")),
            }
        }
        _ => Err(Malformed("numbers have an unknown encoding")),
    }
}

/// Takes a column of `count` numbers of at most 32 bits.
pub(super) fn decode_u32(input: &mut Input<'_>, count: usize) -> Result<Vec<u32>, Malformed> {
    decode(input, count)?
        .into_iter()
        .map(|value| u32::try_from(value).map_err(|_| Malformed("a number is larger than 32 bits")))
        .collect()
}

/// The width is known when this is compiled, so that the copy of each number is one or two moves.
fn offsets<const WIDTH: usize>(low: u64, bytes: &[u8]) -> Vec<u64> {
    let (numbers, _) = bytes.as_chunks::<WIDTH>();
    numbers
        .iter()
        .map(|number| {
            let mut wide = [0; 8];
            wide[..WIDTH].copy_from_slice(number);
            low.wrapping_add(u64::from_le_bytes(wide))
        })
        .collect()
}

/// Makes small numbers of either sign small: 0, −1, 1, −2 become 0, 1, 2, 3.
fn zigzag(value: u64) -> u64 {
    (value << 1) ^ (value.cast_signed() >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

fn uvarint_size(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(values: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values.iter().copied(), &mut out);
        out
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            values in prop_oneof![
                prop::collection::vec(any::<u64>(), 0..50),
                prop::collection::vec(1_000_u64..1_300, 0..50),
                prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), Just(1 << 63)], 0..9),
                (any::<u64>(), any::<u64>(), 0_u64..50).prop_map(|(first, step, count)| {
                    (0..count).map(|index| first.wrapping_add(step.wrapping_mul(index))).collect()
                }),
            ],
        ) {
            let bytes = encoded(&values);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(decode(&mut input, values.len()), Ok(values));
            prop_assert_eq!(input.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_a_column_or_refused(bytes: Vec<u8>, count in 0_usize..100) {
            if let Ok(values) = decode(&mut Input::new(&bytes), count) {
                prop_assert_eq!(values.len(), count);
            }
        }
    }

    #[test]
    fn a_sequence_takes_the_same_few_bytes_at_any_length() {
        let sequence: Vec<u64> = (7..60_000).collect();
        assert_eq!(encoded(&sequence).len(), 17);
    }

    #[test]
    fn the_smallest_encoding_is_taken() {
        assert_eq!(encoded(&[5, 6, 9, 10])[0], DIFFERENCES);
        let scattered: Vec<u64> = (0..50).map(|n| n * 7919 % 251).collect();
        assert_eq!(encoded(&scattered)[0], OFFSETS);
    }
}
