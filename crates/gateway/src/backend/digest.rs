//! Digests of content: which there are, computing them while bytes pass, comparing them with what was promised.
//!
//! Apart from the protocol because every backend computes them where it has the bytes in hand, off the network's threads.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::Error;
use super::tag::{Tag, TagBy};
use crate::hashing::Md5;

/// A checksum algorithm of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// As S3 spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// In bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The polynomial, if it is one of the checksums that can be joined without reading the content again.
    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

/// A checksum as it is sent, kept and given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    pub algorithm: Algorithm,
    /// Base64; for a composite of parts followed by `-` and their number.
    pub value: String,
}

impl Checksum {
    /// A checksum of content. Refuses a text that cannot be one.
    pub fn new(algorithm: Algorithm, value: impl Into<String>) -> Result<Self, Error> {
        let value = value.into();
        match STANDARD.decode(&value) {
            Ok(bytes) if bytes.len() == algorithm.length() => Ok(Self { algorithm, value }),
            _ => Err(Error::InvalidDigest {
                algorithm: algorithm.name(),
                text: value,
            }),
        }
    }

    fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Self {
        Self {
            algorithm,
            value: STANDARD.encode(bytes),
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.value).ok()
    }

    /// Whether it stands for the parts' checksums and not for the content.
    pub fn is_composite(&self) -> bool {
        self.value.contains('-')
    }

    /// Whether a request that says this means `found`: of a composite some clients, as minio-go, leave out the number of parts.
    pub(crate) fn is_said_of(&self, found: &Self) -> bool {
        let without_number = found.value.split_once('-').map(|(value, _)| value);
        self.algorithm == found.algorithm
            && (self.value == found.value || Some(self.value.as_str()) == without_number)
    }

    /// Returns the checksum of checksums, or nothing if one is of another kind.
    pub fn composite(algorithm: Algorithm, parts: &[&Self]) -> Option<Self> {
        let mut hasher = Hasher::new(Some(algorithm));
        for part in parts {
            if part.algorithm != algorithm {
                return None;
            }
            hasher.update(&part.bytes()?);
        }
        let mut whole = hasher.finish().checksum?;
        whole.value = format!("{}-{}", whole.value, parts.len());
        Some(whole)
    }

    /// Returns the checksum of the joined content of parts, each with its size in bytes, without reading it. Only for
    /// the three CRCs.
    pub fn joined(algorithm: Algorithm, parts: &[(&Self, u64)]) -> Option<Self> {
        let crc = algorithm.crc()?;
        let mut whole = crc_fast::checksum(crc, b"");
        for (part, size) in parts {
            if part.algorithm != algorithm {
                return None;
            }
            let value = part
                .bytes()?
                .iter()
                .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
            whole = crc_fast::checksum_combine(crc, whole, value, *size);
        }
        Some(Self::from_crc(algorithm, whole))
    }

    fn from_crc(algorithm: Algorithm, value: u64) -> Self {
        Self::from_bytes(algorithm, &value.to_be_bytes()[8 - algorithm.length()..])
    }
}

/// Returns the checksum that a sender announces only after the content, once that has been read to its end.
pub type Trailer = Box<dyn FnOnce() -> Result<Checksum, Error> + Send>;

/// Digests that content must match.
#[derive(Default)]
pub struct Expected {
    pub md5: Option<[u8; 16]>,
    pub checksum: Option<Checksum>,
    /// Of this algorithm, known when the content has been read.
    pub trailer: Option<(Algorithm, Trailer)>,
    /// Computed and kept even if there is nothing to compare it with.
    pub compute: Option<Algorithm>,
    /// What the sender wants the content to be told apart by. A backend may always take the MD5.
    pub tag: TagBy,
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected")
            .field("checksum", &self.checksum)
            .finish_non_exhaustive()
    }
}

impl Expected {
    /// Which checksum has to be computed to decide.
    pub fn algorithm(&self) -> Option<Algorithm> {
        let sent = self.checksum.as_ref().map(|checksum| checksum.algorithm);
        let trailing = self.trailer.as_ref().map(|(algorithm, _)| *algorithm);
        sent.or(trailing).or(self.compute)
    }

    /// Whether nobody needs the MD5.
    pub(super) fn is_without_md5(&self) -> bool {
        let sent = self.checksum.as_ref().map(|checksum| checksum.algorithm);
        self.tag == TagBy::Checksum && self.md5.is_none() && sent == Some(Algorithm::Crc64Nvme)
    }

    /// Compares. To be called once the content has been read to its end.
    pub fn check(self, found: &Digests) -> Result<(), Error> {
        if let Some(md5) = self.md5
            && found.tag.md5() != Some(md5)
        {
            return Err(Error::DigestMismatch {
                algorithm: "MD5",
                expected: STANDARD.encode(md5),
                found: STANDARD.encode(found.tag.bytes()),
            });
        }
        let announced = match self.trailer {
            Some((_, trailer)) => Some(trailer()?),
            None => self.checksum,
        };
        match (announced, &found.checksum) {
            (Some(expected), Some(found)) if expected != *found => Err(Error::DigestMismatch {
                algorithm: expected.algorithm.name(),
                expected: expected.value,
                found: found.value.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// The digests of some content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    pub tag: Tag,
    pub checksum: Option<Checksum>,
}

/// Computes MD5 and at most one checksum in one pass.
pub struct Hasher {
    md5: Md5,
    checksum: Option<Running>,
}

impl Hasher {
    pub fn new(algorithm: Option<Algorithm>) -> Self {
        Self {
            md5: Md5::default(),
            checksum: algorithm.map(Running::new),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
    }

    pub fn finish(self) -> Digests {
        Digests {
            tag: Tag::Md5(self.md5.finish()),
            checksum: self.checksum.map(Running::finish),
        }
    }
}

/// A checksum while the content passes.
pub(super) struct Running {
    algorithm: Algorithm,
    state: State,
}

enum State {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Running {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        let state = match (algorithm.crc(), algorithm) {
            (Some(crc), _) => State::Crc(crc_fast::Digest::new(crc)),
            (None, Algorithm::Sha1) => State::Sha1(Sha1::new()),
            (None, _) => State::Sha256(Sha256::new()),
        };
        Self { algorithm, state }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(state) => state.update(bytes),
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Checksum {
        match self.state {
            State::Crc(state) => Checksum::from_crc(self.algorithm, state.finalize()),
            State::Sha1(state) => Checksum::from_bytes(self.algorithm, &state.finalize()),
            State::Sha256(state) => Checksum::from_bytes(self.algorithm, &state.finalize()),
        }
    }
}

/// Returns the etag of a multipart object: the MD5 of its parts' tags, and their number.
pub fn multipart_etag<'a>(part_etags: impl ExactSizeIterator<Item = &'a str>) -> Option<String> {
    let count = part_etags.len();
    let mut md5 = Md5::default();
    for etag in part_etags {
        md5.update(&hex::decode(etag).ok()?);
    }
    Some(format!("{}-{count}", hex::encode(md5.finish())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(algorithm: Algorithm, content: &[u8]) -> Checksum {
        let mut hasher = Hasher::new(Some(algorithm));
        hasher.update(content);
        hasher.finish().checksum.unwrap()
    }

    #[test]
    fn checksums_equal_the_published_check_values() {
        let of = |algorithm| checksum(algorithm, b"123456789").value;
        assert_eq!(
            of(Algorithm::Crc32),
            STANDARD.encode(0xcbf4_3926_u32.to_be_bytes())
        );
        assert_eq!(
            of(Algorithm::Crc32c),
            STANDARD.encode(0xe306_9283_u32.to_be_bytes())
        );
        assert_eq!(
            of(Algorithm::Crc64Nvme),
            STANDARD.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes())
        );
        assert_eq!(of(Algorithm::Sha1), "98O8HYCOBHMq32eZZczDTKeuNEE=");
    }

    #[test]
    fn joined_checksums_equal_the_checksum_of_the_joined_content() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let (one, two) = (checksum(algorithm, b"one"), checksum(algorithm, b"three"));
            let joined = Checksum::joined(algorithm, &[(&one, 3), (&two, 5)]);
            assert_eq!(joined, Some(checksum(algorithm, b"onethree")));
        }
        let sha = checksum(Algorithm::Sha256, b"one");
        assert_eq!(Checksum::joined(Algorithm::Sha256, &[(&sha, 3)]), None);
    }

    #[test]
    fn a_wrong_digest_is_named_with_both_values() {
        let mut hasher = Hasher::new(Some(Algorithm::Crc32));
        hasher.update(b"content");
        let found = hasher.finish();
        let expected = Expected {
            checksum: Some(checksum(Algorithm::Crc32, b"other")),
            ..Expected::default()
        };
        assert!(matches!(
            expected.check(&found),
            Err(Error::DigestMismatch {
                algorithm: "CRC32",
                ..
            })
        ));
        let expected = Expected {
            md5: Some([0; 16]),
            ..Expected::default()
        };
        assert!(matches!(
            expected.check(&found),
            Err(Error::DigestMismatch {
                algorithm: "MD5",
                ..
            })
        ));
        let expected = Expected {
            md5: found.tag.md5(),
            ..Expected::default()
        };
        assert!(expected.check(&found).is_ok());
    }

    #[test]
    fn texts_that_cannot_be_a_checksum_are_refused() {
        assert!(Checksum::new(Algorithm::Crc32, "AAAA").is_err());
        assert!(Checksum::new(Algorithm::Crc32, "not base64").is_err());
        assert!(Checksum::new(Algorithm::Crc32, "AAAAAA==").is_ok());
    }
}
