//! A folder of files that backup tools find hard, and the comparison of two such folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const MIB: usize = 1024 * 1024;

/// Bytes that do not compress and do not repeat.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Many small files, one that is uploaded in parts, names that need care, an empty file, an empty folder.
pub(super) fn plant(root: &Path) {
    let mut files: Vec<(String, Vec<u8>)> = (0..300)
        .map(|number| {
            let name = format!("many/{}/file {number:03}", number % 7);
            (name, noise(number, usize::try_from(number).unwrap() * 13))
        })
        .collect();
    for name in [
        "ünï/世界/naïve €.txt",
        "🚢 boat",
        "a+b%20c&d=<e>;'f'.txt",
        "dots/..hidden/...",
        "a",
        "a.b/c",
        "a-b",
        "empty",
    ] {
        let length = if name == "empty" { 0 } else { 100 };
        files.push((name.to_owned(), noise(1000, length)));
    }
    files.push(("large".to_owned(), noise(1001, 20 * MIB + 5)));
    for (name, bytes) in files {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    fs::create_dir(root.join("nothing inside")).unwrap();
}

/// Every file below `root` with what is in it.
fn harvest(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn gather(folder: &Path, root: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                gather(&path, root, found);
            } else {
                let name = path.strip_prefix(root).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    gather(root, root, &mut found);
    found
}

/// Compares names and contents, without printing megabytes when they differ.
pub(super) fn assert_same_tree(found: &Path, expected: &Path) {
    let (found, expected) = (harvest(found), harvest(expected));
    assert!(expected.len() > 200, "there is something to compare");
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "`{}` differs", name.display());
    }
}
