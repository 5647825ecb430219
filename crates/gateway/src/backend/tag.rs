//! What tells one content from another under the same key: its entity tag.
//!
//! S3 shows the MD5 of a content as its etag, and clients compare it, so it has to be computed of everything that anybody sends. Of all that a gateway computes it
//! takes longest. A client of ours compares a CRC-64/NVME instead and says that it wants no MD5: see docs/decisions/0010.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::digest::{Algorithm, Checksum};

/// What a tag is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TagBy {
    #[default]
    Md5,
    /// The CRC-64/NVME and the size, for who says so and sends that checksum.
    Checksum,
}

/// The tag of a content, sixteen bytes in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Md5([u8; 16]),
    Checksum([u8; 16]),
}

impl Tag {
    /// Of a content of `size` bytes. None where the checksum is no CRC-64/NVME of all of it.
    pub(super) fn of_checksum(checksum: Option<&Checksum>, size: u64) -> Option<Self> {
        let checksum = checksum.filter(|checksum| checksum.algorithm == Algorithm::Crc64Nvme)?;
        let value: [u8; 8] = STANDARD.decode(&checksum.value).ok()?.try_into().ok()?;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&value);
        bytes[8..].copy_from_slice(&size.to_be_bytes());
        Some(Self::Checksum(bytes))
    }

    pub fn bytes(&self) -> &[u8; 16] {
        match self {
            Self::Md5(bytes) | Self::Checksum(bytes) => bytes,
        }
    }

    pub fn md5(&self) -> Option<[u8; 16]> {
        match self {
            Self::Md5(md5) => Some(*md5),
            Self::Checksum(_) => None,
        }
    }

    /// As the etag of an object: an MD5 only where it is one. A client that finds a `-` in it, as in that of an object in parts, does not take it for one.
    pub fn etag(&self) -> String {
        match self {
            Self::Md5(md5) => hex::encode(md5),
            Self::Checksum(bytes) => format!("{}-1", hex::encode(bytes)),
        }
    }

    /// As the etag of a part, which goes into that of the object, and which nobody but its sender sees.
    pub fn part_etag(&self) -> String {
        hex::encode(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checksum(algorithm: Algorithm, value: &[u8]) -> Checksum {
        Checksum {
            algorithm,
            value: STANDARD.encode(value),
        }
    }

    #[test]
    fn a_tag_by_checksum_says_checksum_and_size_and_is_no_md5() {
        let checksum = checksum(Algorithm::Crc64Nvme, &[0xae; 8]);
        let tag = Tag::of_checksum(Some(&checksum), 0x102).unwrap();
        assert_eq!(tag.etag(), "aeaeaeaeaeaeaeae0000000000000102-1");
        assert_eq!(tag.part_etag(), "aeaeaeaeaeaeaeae0000000000000102");
        assert_eq!(tag.md5(), None);
        assert_ne!(Tag::of_checksum(Some(&checksum), 0x103), Some(tag));
    }

    #[test]
    fn no_other_checksum_makes_a_tag() {
        assert_eq!(Tag::of_checksum(None, 5), None);
        for algorithm in Algorithm::ALL {
            let checksum = checksum(algorithm, &vec![1; algorithm.length()]);
            let tag = Tag::of_checksum(Some(&checksum), 5);
            assert_eq!(tag.is_some(), algorithm == Algorithm::Crc64Nvme);
        }
        let composite = Checksum {
            algorithm: Algorithm::Crc64Nvme,
            value: "AAAAAAAAAAA=-2".to_owned(),
        };
        assert_eq!(Tag::of_checksum(Some(&composite), 5), None);
    }
}
