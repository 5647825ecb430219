//! Whose the files of a data folder are, and have to be after a restore.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, chown, fchown};
use std::path::Path;

use super::LOCK;

/// Whose the files of a server are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    user: u32,
    group: u32,
    pub folder_mode: u32,
}

impl Owner {
    /// By the data that is there, else by the lock that a server left, else by the folder. The folder itself tells least: where a volume is mounted for a group it
    /// stays with root, and whoever is in the group writes to it.
    ///
    /// An error where the data is another user's and this one is not root: the server could not open what came back.
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        let folder = fs::metadata(root)?;
        let data = look(&root.join("data"))?;
        let folder_mode = data.as_ref().unwrap_or(&folder).mode() & 0o777;
        let known = match data {
            Some(data) => Some(data),
            None => look(&root.join(LOCK))?,
        };
        let me = rustix::process::geteuid();
        let user = match &known {
            Some(known) => known.uid(),
            None if me.is_root() => folder.uid(),
            None => me.as_raw(),
        };
        if !me.is_root() && user != me.as_raw() {
            return Err(io::Error::other(format!(
                "what is in it belongs to user {user}, and this is user {}: restore as that user, or as root",
                me.as_raw()
            )));
        }
        Ok(Self {
            user,
            group: known.as_ref().unwrap_or(&folder).gid(),
            folder_mode,
        })
    }

    /// Gives a file or folder to its owner.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        self.with(|user| chown(path, user, Some(self.group)))
    }

    pub(super) fn give_file(&self, file: &File) -> io::Result<()> {
        self.with(|user| fchown(file, user, Some(self.group)))
    }

    fn with(&self, change: impl FnOnce(Option<u32>) -> io::Result<()>) -> io::Result<()> {
        if rustix::process::geteuid().is_root() {
            return change(Some(self.user));
        }
        match change(None) {
            // What this user makes is its own, of whatever group.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            given => given,
        }
    }
}

/// What is there, if anything is. Whose it is must not be guessed where the disk does not tell.
fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_data_that_cannot_be_looked_at_is_not_guessed() {
        let root = tempfile::tempdir().unwrap();
        Owner::of(root.path()).unwrap();
        // Leads to itself: an error, and not a name that is missing.
        std::os::unix::fs::symlink("data", root.path().join("data")).unwrap();
        Owner::of(root.path()).unwrap_err();
    }
}
