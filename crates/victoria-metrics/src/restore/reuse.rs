//! Files that need not be fetched: prepared by a run before, or part of the data there.
//!
//! Each is read and compared before it counts. One that cannot be read is fetched like one that is not there: what is damaged on the disk must not be what
//! keeps the backup from it.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Advice, fadvise};

use super::prepare::{failed, remove_file};
use crate::error::Error;
use crate::layout::Slice;
use crate::manifest::FileEntry;
use crate::sum;
use crate::target::Owner;

/// Removes files that a run before has prepared and this one does not want, and gives the others to their owner: that run may have been cut before it did.
pub(super) fn prune(new: &Path, wanted: &BTreeSet<String>, owner: Owner) -> Result<(), Error> {
    let mut pending = vec![new.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed("look at", &folder)(error)),
        };
        give(&folder, owner.folder_mode, owner).map_err(failed("give", &folder))?;
        for entry in entries {
            let path = entry.map_err(failed("look at", &folder))?.path();
            let found = fs::symlink_metadata(&path).ok();
            if found.as_ref().is_some_and(Metadata::is_dir) {
                pending.push(path);
                continue;
            }
            let inside = path.strip_prefix(new).ok().and_then(Path::to_str);
            if inside.is_none_or(|inside| !wanted.contains(inside)) {
                remove_file(&path).map_err(failed("remove", &path))?;
            } else if found.is_some_and(|found| found.is_file() && found.nlink() == 1) {
                // One with a second name is the server's.
                give(&path, owner.folder_mode & 0o666, owner).map_err(failed("give", &path))?;
            }
        }
    }
    remove_empty(new)
}

fn give(path: &Path, mode: u32, owner: Owner) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    owner.give(path)
}

/// Removes folders that hold no file. A server takes a folder for a part.
fn remove_empty(folder: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", folder)(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed("look at", folder))?.path();
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            remove_empty(&path)?;
        }
    }
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(failed("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Whether a file that a run before has prepared is that of the backup.
///
/// By the disk: of what could not be written there the page cache keeps the right bytes for a while, and tells of the failure once, to the run that is over.
pub(super) fn is_prepared(path: &Path, wanted: &FileEntry) -> bool {
    has_size(path, wanted.size)
        && is_told(path, || {
            let file = File::open(path)?;
            pass_over_cache(&file)?;
            has_bytes(file, wanted)
        })
}

/// Whether a file of the data there is that of the backup.
pub(super) fn is_in_data(path: &Path, wanted: &FileEntry) -> bool {
    has_size(path, wanted.size) && is_told(path, || has_bytes(File::open(path)?, wanted))
}

pub(super) fn has_size(path: &Path, size: u64) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() == size)
}

fn is_told(path: &Path, look: impl FnOnce() -> io::Result<bool>) -> bool {
    look().unwrap_or_else(|error| {
        tracing::info!(path = %path.display(), %error, "a file that is there already cannot be read, and is fetched");
        false
    })
}

/// Has the next reads come from the disk, but for what has yet to be written there.
fn pass_over_cache(file: &File) -> io::Result<()> {
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

fn has_bytes(mut file: File, wanted: &FileEntry) -> io::Result<bool> {
    for (slice, expected) in Slice::of("", wanted.size).zip(&wanted.slices) {
        if sum::of_next(&mut file, slice.size)? != *expected {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;

    use lifeboat_testkit::skip;
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use super::*;
    use crate::target::{Target, scene};

    const SIZE: usize = 4096;

    fn entry(bytes: &[u8]) -> FileEntry {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bytes");
        fs::write(&path, bytes).unwrap();
        let sum = sum::of_next(&mut File::open(path).unwrap(), bytes.len() as u64).unwrap();
        FileEntry {
            size: bytes.len() as u64,
            slices: vec![sum],
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_fetched() {
        // Says that it has so many bytes, and fails before the last.
        let path = Path::new("/sys/kernel/mm/transparent_hugepage/enabled");
        let wanted = entry(&[7; SIZE]);
        if !has_size(path, wanted.size) {
            return skip!("no `{}`, which fails to be read to its end", path.display());
        }
        assert!(has_bytes(File::open(path).unwrap(), &wanted).is_err());
        assert!(!is_in_data(path, &wanted));
        assert!(!is_prepared(path, &wanted));
    }

    /// None where the file system does not tell.
    fn is_cached(file: &File) -> Option<bool> {
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        match preadv2(file, &mut into, 0, ReadWriteFlags::NOWAIT) {
            Ok(_) => Some(true),
            Err(Errno::AGAIN) => Some(false),
            Err(_) => None,
        }
    }

    #[test]
    fn what_a_run_before_has_prepared_is_compared_by_what_is_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values.bin");
        let bytes = [7; SIZE];
        fs::write(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        assert!(is_prepared(&path, &entry(&bytes)));
        assert!(!is_prepared(&path, &entry(&[8; SIZE])));
        pass_over_cache(&file).unwrap();
        if is_cached(&file) != Some(false) {
            return skip!(
                "the file system does not tell what is in the page cache, or is in memory"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(is_cached(&file), Some(true));
        // Nothing of it is read again.
        let unread = FileEntry {
            size: SIZE as u64,
            slices: Vec::new(),
        };
        assert!(is_prepared(&path, &unread));
        assert_eq!(is_cached(&file), Some(false));
    }

    #[test]
    fn what_a_run_was_cut_in_before_it_gave_it_is_given() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("data")).unwrap();
        fs::set_permissions(root.path().join("data"), Permissions::from_mode(0o770)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let user = if is_root {
            65_534
        } else {
            rustix::process::geteuid().as_raw()
        };
        let known = root.path().join("data");
        std::os::unix::fs::chown(&known, Some(user), None).unwrap();
        let target = Target::open(root.path()).unwrap();
        let new = target.new_files();
        let part = new.join("data/small/part");
        fs::create_dir_all(&part).unwrap();
        let [empty, shared, stale] = ["empty", "shared", "stale"].map(|name| part.join(name));
        for path in [&empty, &stale, &known.join("shared")] {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        }
        fs::hard_link(known.join("shared"), &shared).unwrap();
        let wanted = ["empty", "shared"].map(|name| format!("data/small/part/{name}"));
        prune(&new, &wanted.into(), target.owner()).unwrap();
        target.note_preparation(&scene::preparation("a")).unwrap();
        let seen = |path: &Path| {
            let found = fs::metadata(path).unwrap();
            (found.uid(), found.mode() & 0o777)
        };
        for folder in [&new, &new.join("data"), &part] {
            assert_eq!(seen(folder), (user, 0o770), "{}", folder.display());
        }
        assert_eq!(seen(new.parent().unwrap()).0, user);
        assert_eq!(seen(&empty), (user, 0o660));
        // It is what a server has made of it.
        assert_eq!(seen(&shared).1, 0o600);
        assert!(!stale.exists());
    }
}
