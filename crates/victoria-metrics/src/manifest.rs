//! What a backup consists of: the one object that makes it count.
//!
//! vmbackup replaces a backup in place, object by object, and takes its completion mark away meanwhile. Our backup counts from the moment
//! its manifest is written: the manifest names every object with its checksum, and carries the files whose names stay when their
//! content changes. So with the manifest the backup before can be restored until the very moment at which the new one can.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::era::Version;
use crate::layout::{self, Slice};

/// More than any volume holds, and few enough for the slices to be counted.
const LARGEST: u64 = 1 << 50;

/// The version of the document. A reader refuses one that is newer than itself.
const FORMAT: u32 = 1;

/// The whole of one backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Program and version that wrote it; for what another program had written, who looked it over.
    pub program: String,
    pub instance: String,
    /// What the server said of itself, where it did.
    pub server: Option<Version>,
    /// The oldest release whose files look so.
    pub layout: Version,
    pub snapshot: Option<String>,
    /// The time of the sample by which the server kept the label of this version, written just before the snapshot, or, where the server took no samples,
    /// some time before. A server whose latest is earlier has lost this backup. None where no label is kept, and of what another program wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labelled: Option<Timestamp>,
    /// The moment whose data the backup holds.
    pub taken: Timestamp,
    pub completed: Timestamp,
    /// Samples in all parts; none where another program wrote the backup.
    pub rows: Option<u64>,
    /// Time of the earliest and of the latest sample.
    pub range: Option<(Timestamp, Timestamp)>,
    /// What vmbackup's mark and times have to be while this backup is the one that they stand for.
    pub mark: Mark,
    /// Time series that the server knew, where it told.
    pub series: Option<u64>,
    /// Files that are stored in slices, by path.
    pub files: BTreeMap<String, FileEntry>,
    /// Files that are held here: their name stays when their content changes.
    pub held: BTreeMap<String, Held>,
}

/// vmbackup's two objects beside a backup: another run of vmbackup changes at least one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Bytes of the completion mark: 2 up to vmbackup 1.90, then none.
    pub size: u64,
    /// The text of the times, since vmbackup 1.91.
    pub times: Option<String>,
    /// When the mark of another program was stored: up to vmbackup 1.90 nothing else tells its runs apart. None of a mark of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Timestamp>,
}

/// A file that never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub size: u64,
    /// CRC-64/NVME of each slice, in order; empty where nobody has read the bytes yet.
    #[serde(with = "checksums", default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<u64>,
}

/// The content of a file, in Base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held(pub Vec<u8>);

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("it is not what its checksum says")]
    Checksum,
    #[error("it is no manifest: {0}")]
    Document(#[from] serde_json::Error),
    #[error("its format is {0}, written by a newer program")]
    Newer(u32),
    #[error("it names `{0}`, which leads out of the data folder")]
    Outside(String),
    #[error("the size or the checksums of `{0}` cannot be right")]
    Size(String),
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    /// BLAKE3 of the text of `manifest`.
    blake3: String,
    #[serde(borrow)]
    manifest: &'a RawValue,
}

impl Manifest {
    pub const FORMAT: u32 = FORMAT;

    pub fn write(&self) -> Vec<u8> {
        let text = serde_json::to_string(self).expect("names are text and numbers are whole");
        let blake3 = blake3::hash(text.as_bytes()).to_hex().to_string();
        let manifest = RawValue::from_string(text).expect("it was just written");
        serde_json::to_vec(&Envelope {
            blake3,
            manifest: &manifest,
        })
        .expect("it is text")
    }

    pub fn read(bytes: &[u8]) -> Result<Self, Unusable> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
        let text = envelope.manifest.get();
        if blake3::hash(text.as_bytes()).to_hex().as_str() != envelope.blake3 {
            return Err(Unusable::Checksum);
        }
        let Format { format } = serde_json::from_str(text)?;
        if format > FORMAT {
            return Err(Unusable::Newer(format));
        }
        let manifest: Self = serde_json::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Its checksum says that it is as it was written, not that who wrote it meant well.
    fn check(&self) -> Result<(), Unusable> {
        if let Some(path) = self.paths().find(|path| !layout::is_inside(path)) {
            return Err(Unusable::Outside(path.to_owned()));
        }
        let mut total = 0_u64;
        for (path, file) in &self.files {
            total = total.saturating_add(file.size);
            let sums = file.slices.len();
            if total > LARGEST || (sums != 0 && sums != Slice::of(path, file.size).count()) {
                return Err(Unusable::Size(path.clone()));
            }
        }
        Ok(())
    }

    /// All slices of the files that are not held here, with their checksums.
    pub fn slices(&self) -> impl Iterator<Item = (Slice, Option<u64>)> {
        self.files.iter().flat_map(|(path, file)| {
            let checksums = file.slices.iter().copied().map(Some);
            Slice::of(path, file.size).zip(checksums.chain(std::iter::repeat(None)))
        })
    }

    /// The server that wrote the files, or the oldest whose files look so.
    pub fn writer(&self) -> Version {
        self.server.unwrap_or(self.layout).max(self.layout)
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        let held: usize = self.held.values().map(|held| held.0.len()).sum();
        self.files.values().map(|file| file.size).sum::<u64>() + held as u64
    }

    /// Bytes that its files take on a disk.
    pub fn room(&self) -> u64 {
        let held = self.held.values().map(|held| held.0.len() as u64);
        let sizes = self.files.values().map(|file| file.size).chain(held);
        sizes.map(room_of).fold(0, u64::saturating_add)
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files
            .keys()
            .chain(self.held.keys())
            .map(String::as_str)
    }

    /// The lists of parts.
    pub fn lists(&self) -> BTreeMap<String, Vec<u8>> {
        let lists = self.held.iter();
        lists
            .filter(|(path, _)| path.ends_with("/parts.json"))
            .map(|(path, held)| (path.clone(), held.0.clone()))
            .collect()
    }
}

impl Serialize for Held {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// In hexadecimal: many readers of JSON keep only 53 bits of a number.
mod checksums {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(sums: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(sums.iter().map(|sum| format!("{sum:016x}")))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u64>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| u64::from_str_radix(text, 16).map_err(serde::de::Error::custom))
            .collect()
    }
}

/// Bytes that a file of so many takes on a disk: whole blocks, and where to find them.
pub(crate) fn room_of(size: u64) -> u64 {
    const BLOCK: u64 = 4096;
    (size.div_ceil(BLOCK) * BLOCK).saturating_add(BLOCK / 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::SLICE;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            program: "lifeboat 0.1.0".to_owned(),
            instance: "victoria-metrics-0".to_owned(),
            server: "1.112.0".parse().ok(),
            layout: "1.90.0".parse().unwrap(),
            snapshot: Some("20231128160000-1A".to_owned()),
            labelled: "2023-11-28T15:59:59.123Z".parse().ok(),
            taken: "2023-11-28T16:00:00Z".parse().unwrap(),
            completed: "2023-11-28T16:00:09Z".parse().unwrap(),
            rows: Some(90_000),
            range: None,
            mark: Mark {
                size: 0,
                times: Some("{}".to_owned()),
                stored: None,
            },
            series: None,
            files: BTreeMap::from([(
                "data/big/2023_11/1A/values.bin".to_owned(),
                FileEntry {
                    size: SLICE + 1,
                    slices: vec![u64::MAX, 7],
                },
            )]),
            held: BTreeMap::from([(
                "data/small/2023_11/parts.json".to_owned(),
                Held(b"{}".to_vec()),
            )]),
        }
    }

    #[test]
    fn a_manifest_is_read_back() {
        let written = manifest().write();
        assert_eq!(Manifest::read(&written).unwrap(), manifest());
        let slices: Vec<_> = manifest().slices().map(|(_, sum)| sum).collect();
        assert_eq!(slices, [Some(u64::MAX), Some(7)]);
        assert_eq!(manifest().size(), SLICE + 3);
    }

    /// As all were before there was one.
    #[test]
    fn a_manifest_without_the_time_of_its_label_is_read() {
        let old = Manifest {
            labelled: None,
            ..manifest()
        };
        let written = String::from_utf8(old.write()).unwrap();
        assert!(!written.contains("labelled"), "{written}");
        assert_eq!(Manifest::read(written.as_bytes()).unwrap(), old);
    }

    #[test]
    fn a_newer_format_is_refused_as_such() {
        let newer = Manifest {
            format: 2,
            ..manifest()
        };
        assert!(matches!(
            Manifest::read(&newer.write()),
            Err(Unusable::Newer(2))
        ));
    }

    #[test]
    fn what_leads_elsewhere_or_fits_nowhere_is_refused() {
        for path in [
            "../evil",
            "data/../../evil",
            "/etc/passwd",
            "data//a",
            "data",
        ] {
            let mut outside = manifest();
            outside.held.insert(path.to_owned(), Held(b"evil".to_vec()));
            let read = Manifest::read(&outside.write());
            assert!(
                matches!(read, Err(Unusable::Outside(_))),
                "{path}: {read:?}"
            );
        }
        for (size, slices) in [
            (u64::MAX, vec![]),
            (LARGEST, vec![1; 3]),
            (SLICE + 1, vec![1]),
            (5, vec![1, 2]),
        ] {
            let mut wrong = manifest();
            let entry = FileEntry { size, slices };
            wrong.files.insert("data/small/a".to_owned(), entry);
            let read = Manifest::read(&wrong.write());
            assert!(matches!(read, Err(Unusable::Size(_))), "{size}: {read:?}");
        }
    }

    proptest! {
        #[test]
        fn no_flipped_bit_of_a_manifest_goes_unseen(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut written = manifest().write();
            let at = at.index(written.len());
            written[at] ^= 1 << bit;
            // Upper-case digits of the checksum would say the same, but there are none in what we write.
            prop_assert!(Manifest::read(&written).is_err());
        }

        #[test]
        fn any_bytes_are_no_manifest_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Manifest::read(&bytes).is_err());
        }
    }
}
