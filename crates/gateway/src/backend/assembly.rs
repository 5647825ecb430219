//! What the parts that a request names come to as an object. Pure, and the same for every backend that keeps parts itself.

use super::digest::{Checksum, multipart_etag};
use super::upload::{ChecksumType, CompleteOptions, PartInfo, UploadOptions};
use super::{Error, MIN_PART_BYTES};

/// An object made of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assembly {
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
}

/// Checks a request against the parts that have arrived; `find` returns the one of a number.
pub(crate) fn assemble<'a>(
    find: impl Fn(u16) -> Option<&'a PartInfo>,
    options: &UploadOptions,
    request: &CompleteOptions,
) -> Result<Assembly, Error> {
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
        let part = find(wanted.number)
            .filter(|part| part.etag == wanted.etag)
            .filter(|part| match (&wanted.checksum, &part.checksum) {
                (Some(wanted), Some(found)) => wanted == found,
                _ => true,
            })
            .ok_or(Error::InvalidPart {
                number: wanted.number,
            })?;
        if part.size < MIN_PART_BYTES && wanted.number != last.number {
            return Err(Error::PartTooSmall {
                number: wanted.number,
                size: part.size,
            });
        }
        parts.push(part);
    }
    let etags = parts.iter().map(|part| part.etag.as_str());
    let etag = multipart_etag(etags).ok_or(Error::InvalidPart {
        number: last.number,
    })?;
    let size = parts.iter().map(|part| part.size).sum();
    let checksum = object_checksum(&parts, options);
    if let (Some(expected), Some(found)) = (&request.checksum, &checksum)
        && !expected.is_said_of(found)
    {
        return Err(Error::DigestMismatch {
            algorithm: expected.algorithm.name(),
            expected: expected.value.clone(),
            found: found.value.clone(),
        });
    }
    Ok(Assembly {
        size,
        etag,
        checksum,
    })
}

fn object_checksum(parts: &[&PartInfo], options: &UploadOptions) -> Option<Checksum> {
    let (algorithm, kind) = options.checksum?;
    let checksums: Option<Vec<_>> = parts.iter().map(|part| part.checksum.as_ref()).collect();
    let checksums = checksums?;
    match kind {
        ChecksumType::Composite => Checksum::composite(algorithm, &checksums),
        ChecksumType::Full => {
            let sizes = parts.iter().map(|part| part.size);
            let pairs: Vec<_> = checksums.into_iter().zip(sizes).collect();
            Checksum::joined(algorithm, &pairs)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::backend::digest::Algorithm;
    use crate::backend::relay::Relayed;
    use crate::backend::upload::CompletedPart;

    const FULL: u64 = MIN_PART_BYTES;

    fn parts(sizes: &[u64]) -> BTreeMap<u16, PartInfo> {
        let numbered = sizes.iter().zip(1..);
        numbered
            .map(|(size, number)| {
                let part = PartInfo {
                    number,
                    size: *size,
                    etag: hex::encode([u8::try_from(number).unwrap(); 16]),
                    modified: Timestamp::UNIX_EPOCH,
                    checksum: None,
                    relayed: Relayed::default(),
                };
                (number, part)
            })
            .collect()
    }

    fn assembled(have: &BTreeMap<u16, PartInfo>, numbers: &[u16]) -> Result<Assembly, Error> {
        let wanted = numbers.iter().map(|number| CompletedPart {
            number: *number,
            etag: have
                .get(number)
                .map(|part| part.etag.clone())
                .unwrap_or_default(),
            checksum: None,
        });
        let request = CompleteOptions {
            parts: wanted.collect(),
            ..CompleteOptions::default()
        };
        let options = UploadOptions::default();
        assemble(|number| have.get(&number), &options, &request)
    }

    #[test]
    fn an_object_is_as_large_as_its_parts() {
        let whole = assembled(&parts(&[FULL, FULL, 7]), &[1, 2, 3]).unwrap();
        assert_eq!(whole.size, 2 * FULL + 7);
        assert!(whole.etag.ends_with("-3"));
    }

    #[test]
    fn wrong_lists_are_told_apart() {
        let have = parts(&[FULL, 7, FULL]);
        let assembled = |numbers: &[u16]| assembled(&have, numbers);
        assert!(matches!(assembled(&[]), Err(Error::NoParts)));
        assert!(matches!(
            assembled(&[3, 1]),
            Err(Error::InvalidPartOrder { number: 1 })
        ));
        assert!(matches!(
            assembled(&[1, 1]),
            Err(Error::InvalidPartOrder { number: 1 })
        ));
        assert!(matches!(
            assembled(&[1, 4]),
            Err(Error::InvalidPart { number: 4 })
        ));
        assert!(matches!(
            assembled(&[1, 2, 3]),
            Err(Error::PartTooSmall { number: 2, .. })
        ));
        assert!(assembled(&[1, 2]).is_ok());
    }

    #[test]
    fn a_composite_may_be_claimed_without_the_number_of_its_parts_but_not_with_another() {
        let mut have = parts(&[FULL, 7]);
        for part in have.values_mut() {
            part.checksum = Some(Checksum::new(Algorithm::Crc32, "AAAAAA==").unwrap());
        }
        let options = UploadOptions {
            checksum: Some((Algorithm::Crc32, ChecksumType::Composite)),
            ..UploadOptions::default()
        };
        let assembled = |value: &str| {
            let request = CompleteOptions {
                parts: have.values().map(named).collect(),
                checksum: Some(Checksum {
                    algorithm: Algorithm::Crc32,
                    value: value.to_owned(),
                }),
                ..CompleteOptions::default()
            };
            assemble(|number| have.get(&number), &options, &request)
        };
        let refused = assembled("");
        let Err(Error::DigestMismatch { found: whole, .. }) = refused else {
            panic!("{refused:?}");
        };
        let value = whole.strip_suffix("-2").unwrap();
        for said in [&whole, value] {
            // What is kept and told later has the number.
            let kept = assembled(said).unwrap().checksum.unwrap();
            assert_eq!(kept.value, whole);
        }
        for said in [&format!("{value}-3"), "AAAAAA==", "AAAAAA==-2"] {
            assert!(assembled(said).is_err(), "{said}");
        }
    }

    fn named(part: &PartInfo) -> CompletedPart {
        CompletedPart {
            number: part.number,
            etag: part.etag.clone(),
            checksum: None,
        }
    }
}
