//! A column of byte strings: docs/graph-format.md §Columns, "strings".
//!
//! Plain, or as a dictionary of the distinct ones where that is much smaller: it saves the compressor the work of
//! finding each repetition again.

use twox_hash::XxHash3_64;

use super::input::Input;
use super::ints;
use crate::batch::Blobs;
use crate::value::{Malformed, put_uvarint};

const PLAIN: u8 = 0;
const DICTIONARY: u8 = 1;

/// How many strings are looked at before a dictionary is tried.
const SAMPLE: usize = 256;

/// Appends a column.
pub(super) fn encode(blobs: &Blobs, out: &mut Vec<u8>) {
    if let Some((distinct, positions)) = dictionary(blobs) {
        out.push(DICTIONARY);
        put_uvarint(distinct.len() as u64, out);
        encode_plain(&distinct, out);
        ints::encode(positions.iter().map(|&position| u64::from(position)), out);
    } else {
        out.push(PLAIN);
        encode_plain(blobs, out);
    }
}

/// Appends the lengths, then the bytes end to end.
pub(super) fn encode_plain(blobs: &Blobs, out: &mut Vec<u8>) {
    let starts = std::iter::once(&0).chain(&blobs.ends);
    let lengths = blobs
        .ends
        .iter()
        .zip(starts)
        .map(|(end, start)| u64::from(end - start));
    ints::encode(lengths, out);
    out.extend_from_slice(&blobs.data);
}

/// Takes a column of `count` strings.
pub(super) fn decode(input: &mut Input<'_>, count: usize) -> Result<Blobs, Malformed> {
    match input.byte()? {
        PLAIN => decode_plain(input, count),
        DICTIONARY => {
            input.spend(count, 4)?;
            let distinct = input.uvarint()?;
            let distinct = usize::try_from(distinct)
                .ok()
                .filter(|&distinct| distinct <= count)
                .ok_or(Malformed("a dictionary is larger than its column"))?;
            // Its bytes stand in the payload: only what is made from them is asked for.
            let distinct = lengths_and_bytes(input, distinct)?;
            let positions = ints::decode_u32(input, count)?;
            spread(input, &distinct, &positions)
        }
        _ => Err(Malformed("strings have an unknown encoding")),
    }
}

/// Takes `count` lengths, then the bytes.
pub(super) fn decode_plain(input: &mut Input<'_>, count: usize) -> Result<Blobs, Malformed> {
    input.spend(count, 4)?;
    let blobs = lengths_and_bytes(input, count)?;
    input.spend(blobs.data.len(), 1)?;
    Ok(blobs)
}

fn lengths_and_bytes(input: &mut Input<'_>, count: usize) -> Result<Blobs, Malformed> {
    let mut end = 0_u32;
    let ends = ints::decode(input, count)?
        .into_iter()
        .map(|length| {
            end = u32::try_from(length)
                .ok()
                .and_then(|length| end.checked_add(length))
                .ok_or(Malformed("a column is cut short"))?;
            Ok(end)
        })
        .collect::<Result<Vec<u32>, Malformed>>()?;
    let data = input.take(end as usize)?.to_vec();
    Ok(Blobs { ends, data })
}

/// Writes out the strings that a dictionary stands for.
fn spread(input: &mut Input<'_>, distinct: &Blobs, positions: &[u32]) -> Result<Blobs, Malformed> {
    if positions
        .iter()
        .any(|&position| position as usize >= distinct.len())
    {
        return Err(Malformed("a string is not in its dictionary"));
    }
    let strings = || {
        positions
            .iter()
            .map(|&position| distinct.get(position as usize))
    };
    let total = strings().map(<[u8]>::len).sum();
    input.spend(total, 1)?;
    let mut blobs = Blobs {
        ends: Vec::with_capacity(positions.len()),
        data: Vec::with_capacity(total),
    };
    strings().for_each(|string| blobs.push(string));
    Ok(blobs)
}

/// Returns the distinct strings in the order of their first use and the position of each string among them, or none
/// where there is little repetition.
fn dictionary(blobs: &Blobs) -> Option<(Blobs, Vec<u32>)> {
    let count = blobs.len();
    if count < 4 {
        return None;
    }
    let mut table = Table::new(count);
    let mut distinct = Blobs::default();
    let mut positions = Vec::with_capacity(count);
    for (index, bytes) in blobs.iter().enumerate() {
        positions.push(table.position(&mut distinct, bytes));
        let mostly_new = index + 1 == SAMPLE && distinct.len() > SAMPLE / 2;
        if mostly_new || distinct.len() > count / 2 {
            return None;
        }
    }
    Some((distinct, positions))
}

/// A hash table of positions in the dictionary, with open addressing; 0 is a free slot.
struct Table {
    slots: Vec<u32>,
}

impl Table {
    fn new(count: usize) -> Self {
        Self {
            slots: vec![0; count.next_power_of_two()],
        }
    }

    fn position(&mut self, distinct: &mut Blobs, bytes: &[u8]) -> u32 {
        let mask = self.slots.len() - 1;
        let hash = XxHash3_64::oneshot(bytes) & 0xffff_ffff;
        let mut slot = usize::try_from(hash).expect("32 bits fit") & mask;
        loop {
            match self.slots[slot] {
                0 => {
                    distinct.push(bytes);
                    let next =
                        u32::try_from(distinct.len()).expect("a block has fewer than 2^32 strings");
                    self.slots[slot] = next;
                    return next - 1;
                }
                taken if distinct.get(taken as usize - 1) == bytes => return taken - 1,
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blobs(strings: &[Vec<u8>]) -> Blobs {
        let mut blobs = Blobs::default();
        for string in strings {
            blobs.push(string);
        }
        blobs
    }

    fn encoded(blobs: &Blobs) -> Vec<u8> {
        let mut out = Vec::new();
        encode(blobs, &mut out);
        out
    }

    proptest! {
        #[test]
        fn strings_come_back(
            strings in prop_oneof![
                prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..40),
                prop::collection::vec(prop::collection::vec(0_u8..2, 0..3), 0..400),
            ],
        ) {
            let blobs = blobs(&strings);
            let bytes = encoded(&blobs);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(decode(&mut input, strings.len()), Ok(blobs));
            prop_assert_eq!(input.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_strings_or_refused(bytes: Vec<u8>, count in 0_usize..100) {
            if let Ok(blobs) = decode(&mut Input::new(&bytes), count) {
                prop_assert_eq!(blobs.len(), count);
            }
        }
    }

    #[test]
    fn repetition_makes_a_dictionary_and_its_absence_does_not() {
        let few: Vec<Vec<u8>> = (0..1000_u32).map(|n| (n % 7).to_string().into()).collect();
        let many: Vec<Vec<u8>> = (0..1000_u32).map(|n| n.to_string().into()).collect();
        assert_eq!(encoded(&blobs(&few))[0], DICTIONARY);
        assert_eq!(encoded(&blobs(&many))[0], PLAIN);
    }

    #[test]
    fn a_dictionary_cannot_stand_for_more_than_a_block_holds() {
        let mut bytes = vec![DICTIONARY, 1];
        let mut large = Blobs::default();
        large.push(&vec![b'x'; 1 << 20]);
        encode_plain(&large, &mut bytes);
        ints::encode(std::iter::repeat_n(0, 60_000), &mut bytes);
        assert_eq!(
            decode(&mut Input::new(&bytes), 60_000),
            Err(Malformed("a block holds more than 64 MiB"))
        );
    }
}
