//! The first 64 bytes: docs/graph-format.md §Header.

use jiff::Timestamp;

use super::{Damage, MAJOR, MINOR, crc32c};
use crate::error::Error;

pub const HEADER_BYTES: usize = 64;

const MAGIC: &[u8; 8] = b"LBGRAPH\0";

/// What is known of a file from its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub major: u16,
    pub minor: u16,
    /// Tells this file from every other; every block carries the first eight bytes.
    pub uuid: [u8; 16],
    /// To the millisecond.
    pub created: Timestamp,
}

impl Header {
    /// A header of the version that this crate writes.
    pub fn new(uuid: [u8; 16], created: Timestamp) -> Self {
        Self {
            major: MAJOR,
            minor: MINOR,
            uuid,
            created,
        }
    }

    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&self.major.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.minor.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.uuid);
        bytes[40..48].copy_from_slice(&self.created.as_millisecond().to_le_bytes());
        let crc = crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the first bytes of a file, of which fewer than [`HEADER_BYTES`] may be there.
    ///
    /// Fails with [`Error::Foreign`] for a file of another kind, with [`Error::Newer`] for a higher major version or a
    /// feature that must be understood, and with [`Error::Damaged`] otherwise.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] {
            return Err(Error::Foreign {
                start: bytes[..bytes.len().min(16)].escape_ascii().to_string(),
            });
        }
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(ends_early(bytes.len() as u64).into());
        };
        if crc32c(&bytes[..60]).to_le_bytes() != bytes[60..] {
            return Err(Damage::new(0, "the header does not match its checksum").into());
        }
        let major = u16::from_le_bytes([bytes[8], bytes[9]]);
        let minor = u16::from_le_bytes([bytes[10], bytes[11]]);
        refuse_newer(major)?;
        let required = u32::from_le_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]);
        if required != 0 {
            return Err(Error::Newer {
                what: format!(
                    "it uses the features {required:#x}, which this version does not know"
                ),
            });
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[24..40]);
        let mut millis = [0; 8];
        millis.copy_from_slice(&bytes[40..48]);
        Ok(Self {
            major,
            minor,
            uuid,
            created: Timestamp::from_millisecond(i64::from_le_bytes(millis))
                .map_err(|_| Damage::new(40, "the time of the backup is no time"))?,
        })
    }

    pub(super) fn file_id(&self) -> [u8; 8] {
        let mut id = [0; 8];
        id.copy_from_slice(&self.uuid[..8]);
        id
    }
}

pub(super) fn refuse_newer(major: u16) -> Result<(), Error> {
    if major == MAJOR {
        return Ok(());
    }
    Err(Error::Newer {
        what: format!(
            "it has format version {major}, this one reads version {MAJOR}; restore it with a release that reads version {major}"
        ),
    })
}

/// Every file ends with a mark that is written last, so one without it was not written to its end.
pub(super) fn ends_early(length: u64) -> Damage {
    Damage::new(
        length,
        "the file is incomplete: it ends without its end mark",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(uuid: [u8; 16], millis in -1_000_000_000_000_i64..9_000_000_000_000) {
            let header = Header::new(uuid, Timestamp::from_millisecond(millis).unwrap());
            prop_assert_eq!(Header::decode(&header.encode()).unwrap(), header);
        }

        #[test]
        fn any_bytes_are_a_header_or_refused(bytes: Vec<u8>) {
            prop_assert!(Header::decode(&bytes).is_err());
        }
    }

    #[test]
    fn a_newer_minor_version_is_read_and_a_newer_major_is_refused() {
        let mut header = Header::new([7; 16], Timestamp::UNIX_EPOCH);
        header.minor = MINOR + 1;
        assert_eq!(Header::decode(&header.encode()).unwrap(), header);
        header.major = MAJOR + 1;
        insta::assert_snapshot!(
            Header::decode(&header.encode()).unwrap_err(),
            @"the file needs a newer Lifeboat: it has format version 2, this one reads version 1; restore it with a release that reads version 2"
        );
    }

    #[test]
    fn a_foreign_file_is_named_by_its_first_bytes() {
        insta::assert_snapshot!(
            Header::decode(b"\x1f\x8b\x08 some other format").unwrap_err(),
            @r"not a Lifeboat `.graph` file, it starts with `\x1f\x8b\x08 some other f`"
        );
    }
}
