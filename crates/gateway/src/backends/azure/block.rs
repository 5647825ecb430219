//! Blocks of uploads: their ids, which carry all that is known of a part, and the lists that the service keeps of them.
//!
//! The blocks of an upload lie uncommitted on a blob of its own until it is completed. What has to survive a restart of the
//! gateway is in their ids, 64 bytes each as Azure allows, so a part of ordinary size costs one call:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | form of the id, and whether it is the part's last block |
//! | 2 | number of the part |
//! | 6, 4 | when it began, in milliseconds, and a random number: an attempt to send the part |
//! | 2 | place of the block in the part, from 0 |
//! | 1 | which checksum the part has |
//! | 16, 32 | MD5 and checksum of the part, in its last block |
//!
//! A part counts once its last block has arrived, the attempt that began last before all others.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::backend::digest::{Algorithm, Checksum, Digests};
use crate::backend::relay::Relayed;
use crate::backend::tag::Tag;
use crate::backend::upload::PartInfo;
use crate::backends::xml::Element;

const LENGTH: usize = 64;
/// The form that this version writes, and the only one it reads.
const FORM: u8 = 0x10;
/// More of the part follows.
const MORE: u8 = 0;
/// The last block of the part.
const LAST: u8 = 1;
/// The last block of a part that is empty. Azure has no empty blocks, so it holds a byte that is not part of it.
const EMPTY: u8 = 2;

/// One attempt to send a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attempt {
    pub(super) part: u16,
    /// In milliseconds since 1970.
    pub(super) begun: u64,
    pub(super) chance: u32,
}

/// The id of a block, read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Id {
    attempt: Attempt,
    place: u16,
    end: Option<End>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    digests: Digests,
    empty: bool,
}

impl Attempt {
    /// Returns the id of a block that is not the part's last.
    pub(super) fn block(&self, place: u16) -> String {
        self.id(place, MORE, None)
    }

    /// Returns the id of the part's last block.
    pub(super) fn last_block(&self, place: u16, digests: &Digests) -> String {
        self.id(place, LAST, Some(digests))
    }

    /// Returns the id of the only block of an empty part.
    pub(super) fn empty_block(&self, digests: &Digests) -> String {
        self.id(0, EMPTY, Some(digests))
    }

    /// Describes the part once all of it has arrived. `size` in bytes.
    pub(super) fn info(&self, size: u64, digests: &Digests) -> PartInfo {
        PartInfo {
            number: self.part,
            size,
            etag: digests.tag.part_etag(),
            modified: self.begun().unwrap_or(Timestamp::UNIX_EPOCH),
            checksum: digests.checksum.clone(),
            relayed: Relayed::default(),
        }
    }

    fn begun(&self) -> Option<Timestamp> {
        Timestamp::from_millisecond(i64::try_from(self.begun).ok()?).ok()
    }

    fn id(&self, place: u16, kind: u8, digests: Option<&Digests>) -> String {
        let mut bytes = [0; LENGTH];
        bytes[0] = FORM | kind;
        bytes[1..3].copy_from_slice(&self.part.to_be_bytes());
        bytes[3..9].copy_from_slice(&self.begun.to_be_bytes()[2..]);
        bytes[9..13].copy_from_slice(&self.chance.to_be_bytes());
        bytes[13..15].copy_from_slice(&place.to_be_bytes());
        if let Some(digests) = digests {
            bytes[16..32].copy_from_slice(digests.tag.bytes());
            if let Some(checksum) = &digests.checksum
                && let Ok(value) = STANDARD.decode(&checksum.value)
                && value.len() == checksum.algorithm.length()
            {
                bytes[15] = code(checksum.algorithm);
                bytes[32..32 + value.len()].copy_from_slice(&value);
            }
        }
        STANDARD.encode(bytes)
    }
}

impl Id {
    fn from_text(text: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = STANDARD.decode(text).ok()?.try_into().ok()?;
        let two = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let mut begun = [0; 8];
        begun[2..].copy_from_slice(&bytes[3..9]);
        let attempt = Attempt {
            part: two(1),
            begun: u64::from_be_bytes(begun),
            chance: u32::from_be_bytes(bytes[9..13].try_into().ok()?),
        };
        let checksum = match bytes[15] {
            0 => None,
            code => {
                let algorithm = algorithm(code)?;
                let value = STANDARD.encode(&bytes[32..32 + algorithm.length()]);
                Some(Checksum { algorithm, value })
            }
        };
        let digests = Digests {
            tag: Tag::Md5(bytes[16..32].try_into().ok()?),
            checksum,
        };
        let end = match bytes[0].checked_sub(FORM)? {
            MORE => None,
            LAST => Some(End {
                digests,
                empty: false,
            }),
            EMPTY => Some(End {
                digests,
                empty: true,
            }),
            _ => return None,
        };
        Some(Self {
            attempt,
            place: two(13),
            end,
        })
    }
}

fn code(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Crc32 => 1,
        Algorithm::Crc32c => 2,
        Algorithm::Crc64Nvme => 3,
        Algorithm::Sha1 => 4,
        Algorithm::Sha256 => 5,
    }
}

fn algorithm(code: u8) -> Option<Algorithm> {
    Algorithm::ALL
        .into_iter()
        .find(|algorithm| self::code(*algorithm) == code)
}

/// A part that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) info: PartInfo,
    /// The ids of its blocks, in order.
    pub(super) blocks: Vec<String>,
    /// The one block is not part of the content.
    pub(super) empty: bool,
}

/// The blocks of an attempt by their places, each with its id, its size and what it says of the whole.
type Places<'a> = BTreeMap<u16, (&'a String, u64, Option<End>)>;

/// Returns the parts that a list of blocks amounts to, each block with its size in bytes. Blocks of attempts that did not
/// arrive, or that a later one replaced, are left out.
pub(super) fn parts(blocks: &[(String, u64)]) -> BTreeMap<u16, Part> {
    let mut attempts: BTreeMap<Attempt, Places<'_>> = BTreeMap::new();
    for (text, size) in blocks {
        if let Some(id) = Id::from_text(text) {
            let places = attempts.entry(id.attempt).or_default();
            places.insert(id.place, (text, *size, id.end));
        }
    }
    // Attempts are ordered by part, then by time, so the last that arrived stays.
    attempts
        .into_iter()
        .filter_map(|(attempt, places)| Some((attempt.part, whole(attempt, &places)?)))
        .collect()
}

fn whole(attempt: Attempt, places: &Places<'_>) -> Option<Part> {
    let (last, (_, _, end)) = places.last_key_value()?;
    let end = end.as_ref()?;
    if places.len() != usize::from(*last) + 1 {
        return None;
    }
    let size = places.values().map(|(_, size, _)| size).sum();
    Some(Part {
        info: attempt.info(if end.empty { 0 } else { size }, &end.digests),
        blocks: places.values().map(|(id, _, _)| (*id).clone()).collect(),
        empty: end.empty,
    })
}

/// When a block of the list was last sent, if one was.
pub(super) fn last_sent(blocks: &[(String, u64)]) -> Option<Timestamp> {
    blocks
        .iter()
        .filter_map(|(text, _)| Id::from_text(text))
        .filter_map(|id| id.attempt.begun())
        .max()
}

/// Reads the service's list of the blocks of a blob, committed or not.
pub(super) fn from_list(root: &Element) -> Vec<(String, u64)> {
    ["CommittedBlocks", "UncommittedBlocks"]
        .into_iter()
        .filter_map(|list| root.child(list))
        .flat_map(Element::children)
        .filter_map(|block| {
            let id = block.text("Name")?.to_owned();
            Some((id, block.text("Size")?.parse().ok()?))
        })
        .collect()
}

/// Writes the list of blocks that shall be a blob. Each is taken where it is: not yet committed, else committed.
pub(super) fn to_list<'a>(ids: impl IntoIterator<Item = &'a String>) -> String {
    let mut list = "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>".to_owned();
    for id in ids {
        // Base64 holds nothing that XML would take for its own.
        list.push_str("<Latest>");
        list.push_str(id);
        list.push_str("</Latest>");
    }
    list.push_str("</BlockList>");
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digests(byte: u8, algorithm: Option<Algorithm>) -> Digests {
        Digests {
            tag: Tag::Md5([byte; 16]),
            checksum: algorithm.map(|algorithm| Checksum {
                algorithm,
                value: STANDARD.encode(vec![byte; algorithm.length()]),
            }),
        }
    }

    fn attempt(part: u16, begun: u64) -> Attempt {
        Attempt {
            part,
            begun,
            chance: 7,
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_was_written(
            part: u16,
            begun in 0_u64..(1 << 48),
            chance: u32,
            place: u16,
            byte: u8,
            algorithm in prop::option::of(prop::sample::select(Algorithm::ALL.to_vec())),
        ) {
            let attempt = Attempt { part, begun, chance };
            let digests = digests(byte, algorithm);
            let more = attempt.block(place);
            let last = attempt.last_block(place, &digests);
            prop_assert_eq!(more.len(), last.len());
            prop_assert_eq!(Id::from_text(&more).unwrap(), Id { attempt, place, end: None });
            let end = Some(End { digests, empty: false });
            prop_assert_eq!(Id::from_text(&last).unwrap(), Id { attempt, place, end });
        }

        #[test]
        fn any_text_is_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in ".{0,90}") {
            Id::from_text(&STANDARD.encode(&bytes));
            Id::from_text(&text);
        }
    }

    #[test]
    fn a_part_counts_once_its_last_block_is_there() {
        let one = attempt(1, 5);
        let digests = digests(1, Some(Algorithm::Crc32c));
        let blocks = [
            (one.block(0), 8),
            (one.block(1), 8),
            (one.last_block(2, &digests), 3),
        ];
        let found = parts(&blocks);
        assert_eq!(found[&1].info.size, 19);
        assert_eq!(found[&1].info.checksum, digests.checksum);
        assert_eq!(found[&1].blocks.len(), 3);
        assert!(parts(&blocks[..2]).is_empty());
        assert!(parts(&[blocks[0].clone(), blocks[2].clone()]).is_empty());
    }

    #[test]
    fn the_attempt_that_began_last_counts_if_it_arrived() {
        let (old, new, broken) = (attempt(2, 5), attempt(2, 6), attempt(2, 7));
        let blocks = [
            (new.last_block(0, &digests(2, None)), 2),
            (old.last_block(0, &digests(1, None)), 1),
            (broken.block(0), 9),
            (attempt(1, 9).empty_block(&digests(3, None)), 1),
            ("AAAA".to_owned(), 5),
        ];
        let found = parts(&blocks);
        let sizes: Vec<_> = found.values().map(|part| part.info.size).collect();
        assert_eq!(sizes, [0, 2]);
        assert!(found[&1].empty && !found[&2].empty);
        assert_eq!(last_sent(&blocks).unwrap().as_millisecond(), 9);
    }

    #[test]
    fn lists_of_the_service_are_read_and_written() {
        let document = b"<BlockList><CommittedBlocks><Block><Name>YQ==</Name><Size>5</Size></Block></CommittedBlocks>\
            <UncommittedBlocks><Block><Name>Yg==</Name><Size>6</Size></Block></UncommittedBlocks></BlockList>";
        let blocks = from_list(&Element::parse(document).unwrap());
        assert_eq!(blocks, [("YQ==".to_owned(), 5), ("Yg==".to_owned(), 6)]);
        let ids: Vec<_> = blocks.into_iter().map(|(id, _)| id).collect();
        assert!(
            to_list(&ids)
                .ends_with("<BlockList><Latest>YQ==</Latest><Latest>Yg==</Latest></BlockList>")
        );
    }
}
