//! How vmbackup names what it stores: one object for each slice of each file.
//!
//! `<prefix>/<path of the file>/<FILESIZE>_<OFFSET>_<SIZE>`, three numbers of 16 upper-case hexadecimal digits. The names have
//! been the same since 2021 (seen in vmbackup 1.79.5 to 1.145.0), and are all that says how a file is put together again.

use std::fmt;

/// Bytes of every slice of a file but its last.
pub const SLICE: u64 = 1 << 30;

/// What vmbackup and vmrestore pass over: names that end so.
pub const IGNORED: &str = ".ignore";

/// vmbackup's completion mark.
pub const MARK: &str = "backup_complete.ignore";
/// When the snapshot was taken and when the backup was complete, in JSON, since vmbackup 1.91.
pub const TIMES: &str = "backup_metadata.ignore";
/// vmbackupmanager's mark on what its retention leaves alone.
pub const LOCKED: &str = "backup_locked.ignore";
/// Our manifest.
pub const MANIFEST: &str = "lifeboat_manifest.ignore";
/// Who writes below the prefix.
pub const LEASE: &str = "lifeboat_lease.ignore";

/// One slice of one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slice {
    /// Below the snapshot, with `/` between its names: `data/small/2026_11/parts.json`.
    pub path: String,
    /// Bytes of the whole file.
    pub file_size: u64,
    pub offset: u64,
    /// Bytes of this slice, and of its object.
    pub size: u64,
}

impl Slice {
    /// Returns the slices of a file, in order. An empty file has one.
    pub fn of(path: &str, file_size: u64) -> impl Iterator<Item = Self> {
        let count = file_size.div_ceil(SLICE).max(1);
        (0..count).map(move |number| {
            let offset = number * SLICE;
            Self {
                path: path.to_owned(),
                file_size,
                offset,
                size: (file_size - offset).min(SLICE),
            }
        })
    }

    /// Reads the name of an object, without its prefix. Nothing where it is no slice, or one whose path leads out of
    /// the folder it is restored to.
    pub fn parse(name: &str) -> Option<Self> {
        let (path, numbers) = name.rsplit_once('/')?;
        let mut numbers = numbers.split('_').map(number);
        let mut next = || numbers.next().flatten();
        let slice = Self {
            path: path.to_owned(),
            file_size: next()?,
            offset: next()?,
            size: next()?,
        };
        (numbers.next().is_none() && is_inside(path)).then_some(slice)
    }

    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.size)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            file_size,
            offset,
            size,
        } = self;
        write!(f, "{path}/{file_size:016X}_{offset:016X}_{size:016X}")
    }
}

fn number(text: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
    if text.len() != 16 || !text.bytes().all(is_digit) {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

/// At least one folder and a name, none of which is empty, `.` or `..`, or holds what a path must not.
pub(crate) fn is_inside(path: &str) -> bool {
    path.contains('/')
        && path.split('/').all(|name| {
            !matches!(name, "" | "." | "..") && !name.contains(['\\', '\0']) && name.len() <= 255
        })
}

/// Files that keep their name when their content changes: the lists of parts, the retention that was applied to a partition,
/// and what lies in `metadata`. They are sent with every backup; all others have names of their own for their content.
pub fn is_mutable(path: &str) -> bool {
    path.ends_with("/parts.json")
        || path.ends_with("/appliedRetention.txt")
        || path.starts_with("metadata/")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_that_of_vmbackup() {
        let name =
            "data/small/2026_11/parts.json/0000000000000027_0000000000000000_0000000000000027";
        let slice = Slice::parse(name).unwrap();
        assert_eq!(slice.path, "data/small/2026_11/parts.json");
        assert_eq!((slice.file_size, slice.offset, slice.size), (39, 0, 39));
        assert_eq!(slice.to_string(), name);
    }

    #[test]
    fn odd_sizes_have_the_slices_that_vmbackup_makes() {
        let sizes = |file_size| {
            Slice::of("data/a", file_size)
                .map(|slice| (slice.offset, slice.size))
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(0), [(0, 0)]);
        assert_eq!(sizes(SLICE - 1), [(0, SLICE - 1)]);
        assert_eq!(sizes(SLICE), [(0, SLICE)]);
        assert_eq!(sizes(SLICE + 1), [(0, SLICE), (SLICE, 1)]);
        assert_eq!(
            sizes(2 * SLICE + 101),
            [(0, SLICE), (SLICE, SLICE), (2 * SLICE, 101)]
        );
    }

    #[test]
    fn what_is_no_slice_or_leads_elsewhere_is_none() {
        let numbers = "0000000000000027_0000000000000000_0000000000000027";
        for path in [
            "..", "a/../b", "../a", "/a/b", "a//b", "a/./b", "a", "a/b\\c",
        ] {
            assert_eq!(Slice::parse(&format!("{path}/{numbers}")), None, "{path}");
        }
        for name in [
            "data/a/000000000000002a_0000000000000000_000000000000002a",
            "data/a/27_0_27",
            "data/a/0000000000000027_0000000000000000",
            "data/a/0000000000000027_0000000000000000_0000000000000027_0000000000000027",
            "data/a/+000000000000027_0000000000000000_0000000000000027",
            "backup_complete.ignore",
            "",
        ] {
            assert_eq!(Slice::parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_slice_is_read_back(file_size in any::<u64>(), offset in any::<u64>(), size in any::<u64>()) {
            let slice = Slice { path: "data/big/2026_01/00000000000000AB/values.bin".to_owned(), file_size, offset, size };
            prop_assert_eq!(Slice::parse(&slice.to_string()), Some(slice));
        }

        #[test]
        fn no_name_panics(name in "\\PC*") {
            if let Some(slice) = Slice::parse(&name) {
                prop_assert_eq!(slice.to_string(), name);
            }
        }

        #[test]
        fn slices_follow_each_other_to_the_end(file_size in 0..5 * SLICE) {
            let mut at = 0;
            for slice in Slice::of("data/a", file_size) {
                prop_assert_eq!(slice.offset, at);
                at = slice.end().unwrap();
            }
            prop_assert_eq!(at, file_size);
        }
    }
}
