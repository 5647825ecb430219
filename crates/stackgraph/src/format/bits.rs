//! A column of truth values, and which elements have a property: docs/graph-format.md §Columns, "bits".

use super::input::Input;
use super::ints;
use crate::value::{Malformed, put_uvarint};

const NONE: u8 = 0;
const ALL: u8 = 1;
const BITMAP: u8 = 2;
const POSITIONS: u8 = 3;

/// Appends one bit for each value.
pub(super) fn encode(values: &[bool], out: &mut Vec<u8>) {
    if !values.contains(&true) {
        out.push(NONE);
    } else if !values.contains(&false) {
        out.push(ALL);
    } else {
        out.push(BITMAP);
        for eight in values.chunks(8) {
            out.push(
                eight
                    .iter()
                    .enumerate()
                    .fold(0, |byte, (bit, &value)| byte | u8::from(value) << bit),
            );
        }
    }
}

/// Appends which of `count` elements are in `rows` (ascending): as bits, or one by one where they are few.
pub(super) fn encode_rows(rows: &[u32], count: usize, out: &mut Vec<u8>) {
    if rows.len() == count || rows.len() > count / 32 {
        let mut values = vec![false; count];
        for &row in rows {
            values[row as usize] = true;
        }
        encode(&values, out);
    } else {
        out.push(POSITIONS);
        put_uvarint(rows.len() as u64, out);
        ints::encode(rows.iter().map(|&row| u64::from(row)), out);
    }
}

/// Takes `count` bits.
pub(super) fn decode(input: &mut Input<'_>, count: usize) -> Result<Vec<bool>, Malformed> {
    match input.byte()? {
        NONE => Ok(vec![false; count]),
        ALL => Ok(vec![true; count]),
        BITMAP => {
            let bytes = input.take(count.div_ceil(8))?;
            if !count.is_multiple_of(8) && bytes[count / 8] >> (count % 8) != 0 {
                return Err(Malformed("bits beyond the last element are set"));
            }
            Ok((0..count)
                .map(|index| bytes[index / 8] >> (index % 8) & 1 == 1)
                .collect())
        }
        _ => Err(Malformed("bits have an unknown encoding")),
    }
}

/// Takes which of `count` elements have something. Whether they ascend is left to
/// [`Batch::check`](crate::batch::Batch::check).
pub(super) fn decode_rows(input: &mut Input<'_>, count: usize) -> Result<Vec<u32>, Malformed> {
    let all = 0..u32::try_from(count).map_err(|_| Malformed("a block has too many elements"))?;
    match input.byte()? {
        NONE => Ok(Vec::new()),
        ALL => {
            input.spend(count, 4)?;
            Ok(all.collect())
        }
        BITMAP => {
            let bytes = input.take(count.div_ceil(8))?;
            let ones: u32 = bytes.iter().map(|byte| byte.count_ones()).sum();
            input.spend(ones as usize, 4)?;
            let mut rows = Vec::with_capacity(ones as usize);
            for (start, &byte) in all.step_by(8).zip(bytes) {
                let mut rest = byte;
                while rest != 0 {
                    rows.push(start + rest.trailing_zeros());
                    rest &= rest - 1;
                }
            }
            Ok(rows)
        }
        POSITIONS => {
            let ones = input.uvarint()?;
            let ones = usize::try_from(ones)
                .ok()
                .filter(|&ones| ones <= count)
                .ok_or(Malformed("more elements have a property than there are"))?;
            input.spend(ones, 4)?;
            ints::decode_u32(input, ones)
        }
        _ => Err(Malformed("bits have an unknown encoding")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_come_back(values: Vec<bool>) {
            let mut out = Vec::new();
            encode(&values, &mut out);
            prop_assert_eq!(decode(&mut Input::new(&out), values.len()), Ok(values));
        }

        #[test]
        fn rows_come_back(values in prop::collection::vec(prop::bool::weighted(0.1), 0..300)) {
            let rows: Vec<u32> = (0..).zip(&values).filter(|(_, has)| **has).map(|(row, _)| row).collect();
            let mut out = Vec::new();
            encode_rows(&rows, values.len(), &mut out);
            prop_assert_eq!(decode_rows(&mut Input::new(&out), values.len()), Ok(rows));
        }

        #[test]
        fn any_bytes_are_rows_or_refused(bytes: Vec<u8>, count in 0_usize..100) {
            if let Ok(rows) = decode_rows(&mut Input::new(&bytes), count) {
                prop_assert!(rows.len() <= count.next_multiple_of(8));
            }
        }
    }

    #[test]
    fn few_rows_of_many_take_few_bytes() {
        let mut out = Vec::new();
        encode_rows(&[60_000], 65_536, &mut out);
        assert!(out.len() < 20, "{} bytes", out.len());
    }
}
