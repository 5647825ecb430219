//! What completing an upload comes to: which bytes in which order, under which etag. Pure.

use std::collections::BTreeMap;

use super::Part;
use super::journal::Place;
use crate::backend::digest::{Checksum, multipart_etag};
use crate::backend::upload::{ChecksumType, CompleteOptions, UploadOptions};
use crate::backend::{Error, MIN_PART_BYTES};
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
    let (last, _) = request.parts.split_last().ok_or(Error::NoParts)?;
    for pair in request.parts.windows(2) {
        if pair[0].number >= pair[1].number {
            return Err(Error::InvalidPartOrder {
                number: pair[1].number,
            });
        }
    }
    let mut parts = Vec::with_capacity(request.parts.len());
    for wanted in &request.parts {
        let part = have
            .get(&wanted.number)
            .filter(|part| part.info.etag == wanted.etag)
            .filter(|part| match (&wanted.checksum, &part.info.checksum) {
                (Some(wanted), Some(found)) => wanted == found,
                _ => true,
            })
            .ok_or(Error::InvalidPart {
                number: wanted.number,
            })?;
        if part.info.size < MIN_PART_BYTES && wanted.number != last.number {
            return Err(Error::PartTooSmall {
                number: wanted.number,
                size: part.info.size,
            });
        }
        parts.push(part.clone());
    }
    let etags = parts.iter().map(|part| part.info.etag.as_str());
    let etag = multipart_etag(etags).ok_or(Error::InvalidPart {
        number: last.number,
    })?;
    let size = parts.iter().map(|part| part.info.size).sum();
    let checksum = object_checksum(&parts, options);
    if let (Some(expected), Some(found)) = (&request.checksum, &checksum)
        && expected != found
    {
        return Err(Error::DigestMismatch {
            algorithm: expected.algorithm.name(),
            expected: expected.value.clone(),
            found: found.value.clone(),
        });
    }
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

fn object_checksum(parts: &[Part], options: &UploadOptions) -> Option<Checksum> {
    let (algorithm, kind) = options.checksum?;
    let checksums: Option<Vec<_>> = parts
        .iter()
        .map(|part| part.info.checksum.as_ref())
        .collect();
    let checksums = checksums?;
    match kind {
        ChecksumType::Composite => Checksum::composite(algorithm, &checksums),
        ChecksumType::Full => {
            let sizes = parts.iter().map(|part| part.info.size);
            let pairs: Vec<_> = checksums.into_iter().zip(sizes).collect();
            Checksum::joined(algorithm, &pairs)
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
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

    #[test]
    fn wrong_lists_are_told_apart() {
        let have = parts(&[FULL, 7, FULL]);
        assert!(matches!(plan_of(&have, &[]), Err(Error::NoParts)));
        assert!(matches!(
            plan_of(&have, &[3, 1]),
            Err(Error::InvalidPartOrder { number: 1 })
        ));
        assert!(matches!(
            plan_of(&have, &[1, 1]),
            Err(Error::InvalidPartOrder { number: 1 })
        ));
        assert!(matches!(
            plan_of(&have, &[1, 4]),
            Err(Error::InvalidPart { number: 4 })
        ));
        assert!(matches!(
            plan_of(&have, &[1, 2, 3]),
            Err(Error::PartTooSmall { number: 2, .. })
        ));
        assert!(plan_of(&have, &[1, 2]).is_ok());
    }
}
