//! The files that slices make up, and what is wrong with those that do not.

use std::collections::BTreeMap;
use std::fmt;

use crate::layout::Slice;

/// The files of one backup, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    by_path: BTreeMap<String, File>,
}

/// One file, in slices that follow each other from its first byte to its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub size: u64,
    pub slices: Vec<Slice>,
}

/// Why a file cannot be put together, or a backup not be opened by a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The object of a slice has another length than its name says.
    Length {
        slice: Slice,
        found: u64,
    },
    /// Bytes that no slice holds, or that two do.
    Gap {
        path: String,
        offset: u64,
    },
    Overlap {
        path: String,
        offset: u64,
    },
    /// Objects speak of two sizes of one file.
    Sizes {
        path: String,
        sizes: [u64; 2],
    },
    /// A file that must be there and is not.
    Missing {
        path: String,
    },
    /// A list of parts, or what a part says of itself, that cannot be read.
    Unreadable {
        path: String,
        reason: String,
    },
    /// Bytes that are not those of the backup.
    Checksum {
        path: String,
    },
    /// A whole file in other slices than those that are read: vmbackup made smaller ones before 2021.
    Sliced {
        path: String,
    },
    /// A list that the backup does not have, of a table whose parts it has.
    Foreign {
        path: String,
    },
}

impl Files {
    /// Puts together what a listing shows: slices, and how long their objects are. Files with a fault are left out.
    pub fn assemble(listed: impl IntoIterator<Item = (Slice, u64)>) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut slices: BTreeMap<String, Vec<Slice>> = BTreeMap::new();
        let mut broken: Vec<String> = Vec::new();
        for (slice, found) in listed {
            if slice.size != found {
                broken.push(slice.path.clone());
                faults.push(Fault::Length { slice, found });
                continue;
            }
            slices.entry(slice.path.clone()).or_default().push(slice);
        }
        let mut by_path = BTreeMap::new();
        for (path, mut slices) in slices {
            slices.sort_unstable();
            if broken.contains(&path) {
                continue;
            }
            match File::join(&path, slices) {
                Ok(file) => {
                    by_path.insert(path, file);
                }
                Err(fault) => faults.push(fault),
            }
        }
        (Self { by_path }, faults)
    }

    pub fn get(&self, path: &str) -> Option<&File> {
        self.by_path.get(path)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &File)> {
        self.by_path
            .iter()
            .map(|(path, file)| (path.as_str(), file))
    }

    /// Returns a fault for each whose slices are not those that a restore asks for.
    pub fn sliced_otherwise(&self) -> Vec<Fault> {
        let others = self.by_path.iter().filter(|(path, file)| {
            let wanted = Slice::of(path, file.size);
            !wanted.eq(file.slices.iter().cloned())
        });
        others
            .map(|(path, _)| Fault::Sliced { path: path.clone() })
            .collect()
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.by_path.values().map(|file| file.size).sum()
    }

    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }
}

impl File {
    fn join(path: &str, slices: Vec<Slice>) -> Result<Self, Fault> {
        let size = slices[0].file_size;
        if let Some(other) = slices.iter().find(|slice| slice.file_size != size) {
            return Err(Fault::Sizes {
                path: path.to_owned(),
                sizes: [size, other.file_size],
            });
        }
        let mut at = 0;
        for slice in &slices {
            let path = path.to_owned();
            match slice.offset.cmp(&at) {
                std::cmp::Ordering::Less => {
                    let offset = slice.offset;
                    return Err(Fault::Overlap { path, offset });
                }
                std::cmp::Ordering::Greater => return Err(Fault::Gap { path, offset: at }),
                std::cmp::Ordering::Equal => {}
            }
            at = slice.end().ok_or(Fault::Overlap { path, offset: at })?;
        }
        match at.cmp(&size) {
            std::cmp::Ordering::Equal => Ok(Self { size, slices }),
            std::cmp::Ordering::Less => Err(Fault::Gap {
                path: path.to_owned(),
                offset: at,
            }),
            std::cmp::Ordering::Greater => Err(Fault::Overlap {
                path: path.to_owned(),
                offset: size,
            }),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { slice, found } => write!(
                f,
                "the object of `{}` at byte {} has {found} bytes, its name says {}",
                slice.path, slice.offset, slice.size
            ),
            Self::Gap { path, offset } => {
                write!(f, "`{path}` lacks what comes at byte {offset}")
            }
            Self::Overlap { path, offset } => {
                write!(
                    f,
                    "`{path}` has more than one object for what comes at byte {offset}"
                )
            }
            Self::Sizes { path, sizes } => write!(
                f,
                "`{path}` is there with {} bytes and with {}",
                sizes[0], sizes[1]
            ),
            Self::Missing { path } => write!(f, "`{path}` is missing"),
            Self::Unreadable { path, reason } => write!(f, "`{path}` cannot be read: {reason}"),
            Self::Checksum { path } => {
                write!(f, "`{path}` does not have the bytes that were backed up")
            }
            Self::Sliced { path } => write!(
                f,
                "`{path}` is stored in pieces of another size than 1 GiB, as vmbackup made them before 2021; vmrestore can put it together"
            ),
            Self::Foreign { path } => {
                write!(
                    f,
                    "`{path}` is none of the backup, whose parts it does not name"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::SLICE;

    fn slice(file_size: u64, offset: u64, size: u64) -> (Slice, u64) {
        let path = "data/small/a".to_owned();
        let slice = Slice {
            path,
            file_size,
            offset,
            size,
        };
        (slice, size)
    }

    fn faults(listed: Vec<(Slice, u64)>) -> Vec<String> {
        let (files, faults) = Files::assemble(listed);
        assert_eq!(files.is_empty(), !faults.is_empty());
        faults.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn what_does_not_make_a_file_is_told() {
        let long = (slice(10, 0, 10).0, 7);
        let cases = [
            faults(vec![long]),
            faults(vec![slice(10, 0, 4), slice(10, 6, 4)]),
            faults(vec![slice(10, 0, 6), slice(10, 4, 6)]),
            faults(vec![slice(10, 0, 6)]),
            faults(vec![slice(10, 0, 12)]),
            faults(vec![slice(10, 0, 10), slice(11, 0, 11)]),
            faults(vec![slice(u64::MAX, 0, 9), slice(u64::MAX, 9, u64::MAX)]),
        ];
        insta::assert_snapshot!(cases.concat().join("\n"), @"
        the object of `data/small/a` at byte 0 has 7 bytes, its name says 10
        `data/small/a` lacks what comes at byte 4
        `data/small/a` has more than one object for what comes at byte 4
        `data/small/a` lacks what comes at byte 6
        `data/small/a` has more than one object for what comes at byte 10
        `data/small/a` is there with 10 bytes and with 11
        `data/small/a` has more than one object for what comes at byte 9
        ");
    }

    #[test]
    fn a_file_in_slices_of_another_size_is_whole_and_told() {
        let (files, faults) = Files::assemble([slice(10, 0, 6), slice(10, 6, 4)]);
        assert_eq!(faults, []);
        let path = "data/small/a".to_owned();
        assert_eq!(files.sliced_otherwise(), [Fault::Sliced { path }]);
    }

    proptest! {
        #[test]
        fn the_slices_of_a_file_make_it_again_in_any_order(size in 0..4 * SLICE, seed in any::<u64>()) {
            let mut listed: Vec<_> = Slice::of("data/small/a", size).map(|slice| (slice.clone(), slice.size)).collect();
            let turn = usize::try_from(seed % listed.len() as u64).unwrap();
            listed.rotate_left(turn);
            let (files, faults) = Files::assemble(listed);
            prop_assert_eq!(faults, vec![]);
            prop_assert_eq!(files.sliced_otherwise(), vec![]);
            prop_assert_eq!(files.get("data/small/a").unwrap().size, size);
        }
    }
}
