//! What completing an upload comes to: which bytes in which order, under which etag. Pure.

use std::collections::BTreeMap;

use super::Part;
use super::journal::Place;
use crate::backend::Error;
use crate::backend::assembly::{Assembly, assemble};
use crate::backend::digest::Checksum;
use crate::backend::upload::{CompleteOptions, UploadOptions};
use crate::backends::local::crc::Crc;

/// How to make an object of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
    /// Of the object, in bytes.
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) checksum: Option<Checksum>,
    /// The upload's one file holds the object as it will be, and nothing that may still be wanted after it.
    pub(super) in_place: bool,
}

impl Plan {
    /// Of the object's content, without reading it.
    pub(super) fn crc(&self) -> Option<Crc> {
        let parts: Option<Vec<_>> = self
            .parts
            .iter()
            .map(|part| Some((part.crc?, part.info.size)))
            .collect();
        parts.map(Crc::joined)
    }
}

/// Checks the request against the parts there are.
pub(super) fn plan(
    have: &BTreeMap<u16, Part>,
    options: &UploadOptions,
    request: &CompleteOptions,
) -> Result<Plan, Error> {
    let Assembly {
        size,
        etag,
        checksum,
    } = assemble(
        |number| have.get(&number).map(|part| &part.info),
        options,
        request,
    )?;
    let parts: Vec<_> = request
        .parts
        .iter()
        .filter_map(|wanted| have.get(&wanted.number).cloned())
        .collect();
    let in_place = parts.len() == have.len() && lie_in_place(&parts);
    Ok(Plan {
        parts,
        size,
        etag,
        checksum,
        in_place,
    })
}

/// Whether the parts are numbered from 1 and fill their slots, so that nothing has to be moved.
fn lie_in_place(parts: &[Part]) -> bool {
    parts
        .iter()
        .zip(1..)
        .all(|(part, number)| match part.place {
            Place::Slot { stride } => {
                let last = usize::from(number) == parts.len();
                part.info.number == number
                    && (part.info.size == stride || (last && part.info.size < stride))
            }
            Place::Aside { .. } => false,
        })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::backend::MIN_PART_BYTES;
    use crate::backend::relay::Relayed;
    use crate::backend::upload::{CompletedPart, PartInfo};

    const FULL: u64 = MIN_PART_BYTES;

    fn parts(sizes: &[u64]) -> BTreeMap<u16, Part> {
        sizes
            .iter()
            .zip(1..)
            .map(|(size, number)| {
                let info = PartInfo {
                    number,
                    size: *size,
                    etag: hex::encode([u8::try_from(number).unwrap(); 16]),
                    modified: Timestamp::UNIX_EPOCH,
                    checksum: None,
                    relayed: Relayed::default(),
                };
                (
                    number,
                    Part {
                        info,
                        crc: None,
                        place: Place::Slot { stride: FULL },
                    },
                )
            })
            .collect()
    }

    fn request(have: &BTreeMap<u16, Part>, numbers: &[u16]) -> CompleteOptions {
        let parts = numbers
            .iter()
            .map(|number| CompletedPart {
                number: *number,
                etag: have
                    .get(number)
                    .map(|part| part.info.etag.clone())
                    .unwrap_or_default(),
                checksum: None,
            })
            .collect();
        CompleteOptions {
            parts,
            ..CompleteOptions::default()
        }
    }

    fn plan_of(have: &BTreeMap<u16, Part>, numbers: &[u16]) -> Result<Plan, Error> {
        plan(have, &UploadOptions::default(), &request(have, numbers))
    }

    #[test]
    fn full_slots_and_a_shorter_last_need_no_copy() {
        let have = parts(&[FULL, FULL, 7]);
        let plan = plan_of(&have, &[1, 2, 3]).unwrap();
        assert!(plan.in_place);
        assert_eq!(plan.size, 2 * FULL + 7);
        assert!(plan.etag.ends_with("-3"));
    }

    #[test]
    fn a_part_left_out_may_be_wanted_again_if_completing_fails() {
        let have = parts(&[FULL, FULL, 7]);
        assert!(!plan_of(&have, &[1, 2]).unwrap().in_place);
    }

    #[test]
    fn a_part_elsewhere_or_a_gap_means_copying() {
        let mut have = parts(&[FULL, FULL]);
        have.get_mut(&1).unwrap().place = Place::Aside {
            name: "x".to_owned(),
        };
        assert!(!plan_of(&have, &[1, 2]).unwrap().in_place);
        let mut have = parts(&[FULL, FULL]);
        have.remove(&1);
        assert!(!plan_of(&have, &[2]).unwrap().in_place);
    }
}
