//! The journal of one multipart upload: how it began, which parts are acknowledged, and that it is being completed.
//!
//! One line for each, appended and synced before the answer: a CRC32C in hexadecimal, a space, and JSON. Reading stops at
//! the first line that is not whole, which can only be one that nobody was told of: nothing is ever written after it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crc_fast::{CrcAlgorithm, checksum};
use serde::{Deserialize, Serialize};

use crate::backend::digest::Checksum;
use crate::backend::upload::UploadOptions;
use crate::backends::local::crc::Crc;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    /// The first.
    Begun {
        bucket: String,
        key: String,
        /// In milliseconds since 1970.
        initiated: i64,
        options: UploadOptions,
    },
    /// A part is on the disk. A later one of the same number takes its place.
    Part(PartLine),
    /// The object with this id is about to be published. If it never was, the upload goes on.
    Completing { object: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartLine {
    pub(super) number: u16,
    /// In bytes.
    pub(super) size: u64,
    /// The MD5, or another tag of sixteen bytes.
    #[serde(rename = "md5")]
    pub(super) etag: String,
    /// In milliseconds since 1970.
    pub(super) modified: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) checksum: Option<Checksum>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) crc: Option<Crc>,
    pub(super) place: Place,
}

/// Where a part lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    /// In the upload's one file, where the object will have it: `stride` bytes for each part before it.
    Slot { stride: u64 },
    /// In a file of its own in the upload's directory.
    Aside { name: String },
}

/// A journal open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Of the whole lines, in bytes. Whatever lies after them is the rest of a line that failed.
    length: u64,
    /// Something may lie after them.
    torn: bool,
}

impl Journal {
    /// Takes over a file of which the first `length` bytes are whole lines.
    pub(super) fn new(file: File, length: u64) -> Self {
        Self {
            file,
            length,
            torn: true,
        }
    }

    /// Appends a line and waits until it is on the disk. After a failure the line does not count, and the next one is
    /// written in its place: on a full volume, half a line would otherwise hide all that follow.
    pub(super) fn append(&mut self, line: &Line) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
        }
        self.torn = true;
        let bytes = to_bytes(line);
        self.file.write_all_at(&bytes, self.length)?;
        self.file.sync_data()?;
        self.length += u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
        self.torn = false;
        Ok(())
    }
}

fn to_bytes(line: &Line) -> Vec<u8> {
    let json = serde_json::to_string(line).expect("a line is plain text and numbers");
    let crc = checksum(CrcAlgorithm::Crc32Iscsi, json.as_bytes());
    format!("{crc:08x} {json}\n").into_bytes()
}

/// Returns the lines, and how many bytes of the journal they are.
pub(super) fn read(bytes: &[u8]) -> (Vec<Line>, u64) {
    let mut lines = Vec::new();
    let mut whole = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(read) = read_line(line) else { break };
        lines.push(read);
        whole += u64::try_from(line.len()).expect("sizes fit in 64 bits");
    }
    (lines, whole)
}

fn read_line(line: &[u8]) -> Option<Line> {
    let text = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (crc, json) = text.split_once(' ')?;
    let expected = format!(
        "{:08x}",
        checksum(CrcAlgorithm::Crc32Iscsi, json.as_bytes())
    );
    (crc == expected).then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line() -> impl Strategy<Value = Line> {
        let place = prop_oneof![
            any::<u64>().prop_map(|stride| Place::Slot { stride }),
            "[A-Z]{3}".prop_map(|name| Place::Aside { name }),
        ];
        prop_oneof![
            ("[a-z]{3}", ".{1,9}").prop_map(|(bucket, key)| Line::Begun {
                bucket,
                key,
                initiated: 1,
                options: UploadOptions::default(),
            }),
            (any::<u16>(), any::<u64>(), "[0-9a-f]{16}", place).prop_map(
                |(number, size, crc, place)| {
                    Line::Part(PartLine {
                        number,
                        size,
                        etag: "m".to_owned(),
                        modified: 2,
                        checksum: None,
                        crc: crc.parse().ok(),
                        place,
                    })
                }
            ),
            ".{1,9}".prop_map(|object| Line::Completing { object }),
        ]
    }

    #[test]
    fn a_line_after_half_a_line_is_read() {
        let file = tempfile::tempfile().unwrap();
        let lines = ["one", "two"].map(|object| Line::Completing {
            object: object.to_owned(),
        });
        let mut journal = Journal::new(file.try_clone().unwrap(), 0);
        journal.append(&lines[0]).unwrap();
        let whole = file.metadata().unwrap().len();
        file.write_all_at(&to_bytes(&lines[1])[..9], whole).unwrap();
        journal.torn = true;
        journal.append(&lines[1]).unwrap();
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(read(&bytes).0, lines);
    }

    proptest! {
        #[test]
        fn a_journal_cut_anywhere_keeps_every_whole_line(lines in proptest::collection::vec(line(), 0..6), cut in 0_usize..2000) {
            let each: Vec<_> = lines.iter().map(to_bytes).collect();
            let journal = each.concat();
            let cut = cut.min(journal.len());
            let mut end = 0;
            let whole = each.iter().take_while(|line| { end += line.len(); end <= cut }).count();
            let (read, length) = read(&journal[..cut]);
            prop_assert_eq!(&read[..], &lines[..whole]);
            prop_assert_eq!(length, u64::try_from(each[..whole].concat().len()).unwrap());
        }

        #[test]
        fn a_flipped_bit_is_never_believed(line in line(), position in 0_usize..2000, bit in 0_u32..8) {
            let mut bytes = to_bytes(&line);
            let position = position % bytes.len();
            bytes[position] ^= 1 << bit;
            prop_assert_eq!(read(&bytes).0, vec![]);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).0.is_empty());
        }
    }
}
