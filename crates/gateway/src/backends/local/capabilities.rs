//! What the file system of a volume can do, found out at start by trying.
//!
//! Local file systems can do everything here. NFS has neither files without a name nor the two special renames, and
//! extended attributes only since version 4.2.

use std::fmt;
use std::fs::File;
use std::io;

use rustix::fs::{RenameFlags, XattrFlags};
use rustix::io::Errno;

use super::stage::{link, open_anonymous};
use super::tree::Directory;

/// Something that not every file system can do. For each there is another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Files without a name. Otherwise files on their way have one among the temporary files.
    AnonymousFiles,
    /// Extended attributes of users. Otherwise records lie apart from their objects.
    Attributes,
    /// More than one name for a file. Otherwise copies take room, and a change that the disk does not confirm cannot be
    /// taken back.
    Links,
    /// A rename onto a name that nobody has. Otherwise only the locks keep others off.
    RenameNew,
    /// A rename that lets two names change places. Otherwise making room for `a/b` beside `a` takes two steps and a note.
    RenameExchange,
}

impl Capability {
    pub const ALL: [Self; 5] = [
        Self::AnonymousFiles,
        Self::Attributes,
        Self::Links,
        Self::RenameNew,
        Self::RenameExchange,
    ];

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// Which of them there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Capabilities(u8);

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let have = Capability::ALL.into_iter().filter(|each| self.has(*each));
        f.debug_set().entries(have).finish()
    }
}

impl Capabilities {
    /// Everything there is.
    pub(super) const ALL: Self = Self((1 << Capability::ALL.len()) - 1);

    pub fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// Nothing can be done without a name that could not get one later.
    fn without(self, lacking: &[Capability]) -> Self {
        let lacking = lacking.iter().fold(0, |bits, each| bits | each.bit());
        let left = Self(self.0 & !lacking);
        if left.has(Capability::Links) {
            left
        } else {
            Self(left.0 & !Capability::AnonymousFiles.bit())
        }
    }

    /// Tries everything in a directory for temporary files. What is `lacking` is not used even if it is there.
    pub(super) fn probe(temporary: &Directory, lacking: &[Capability]) -> io::Result<Self> {
        let mut found = 0;
        for capability in Capability::ALL {
            if probe(temporary, capability)? {
                found |= capability.bit();
            }
        }
        for name in [ONE, OTHER] {
            match temporary.remove_file(name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let found = Self(found).without(lacking);
        tracing::info!(
            anonymous_files = found.has(Capability::AnonymousFiles),
            attributes = found.has(Capability::Attributes),
            links = found.has(Capability::Links),
            rename_new = found.has(Capability::RenameNew),
            rename_exchange = found.has(Capability::RenameExchange),
            "what the file system of the volume can do"
        );
        Ok(found)
    }
}

const ONE: &str = "probe-one";
const OTHER: &str = "probe-other";
/// As long as records often are.
const VALUE: [u8; 300] = [b'x'; 300];

/// Tries one thing, with two files that are there already or made for it.
fn probe(temporary: &Directory, capability: Capability) -> io::Result<bool> {
    match capability {
        Capability::AnonymousFiles => {
            let tried = open_anonymous(temporary).map_err(io::Error::from);
            answer(tried.map(drop))
        }
        Capability::Attributes => {
            let name = "user.lifeboat.probe";
            let file = file(temporary, ONE)?;
            match rustix::fs::fsetxattr(&file, name, &VALUE, XattrFlags::empty()) {
                Ok(()) => {}
                Err(Errno::NOSPC | Errno::DQUOT) => return Err(Errno::NOSPC.into()),
                Err(error) => {
                    tracing::debug!(%error, "attribute refused");
                    return Ok(false);
                }
            }
            let mut read = [0; VALUE.len()];
            let read_back = rustix::fs::fgetxattr(&file, name, read.as_mut_slice());
            Ok(read_back == Ok(VALUE.len()) && read == VALUE)
        }
        Capability::Links => {
            let file = file(temporary, ONE)?;
            gone(temporary.remove_file(OTHER))?;
            answer(link(&file, temporary, OTHER))
        }
        Capability::RenameNew => {
            drop(file(temporary, ONE)?);
            gone(temporary.remove_file(OTHER))?;
            rename(temporary, RenameFlags::NOREPLACE)
        }
        Capability::RenameExchange => {
            drop(file(temporary, ONE)?);
            drop(file(temporary, OTHER)?);
            rename(temporary, RenameFlags::EXCHANGE)
        }
    }
}

fn rename(temporary: &Directory, flags: RenameFlags) -> io::Result<bool> {
    let tried = rustix::fs::renameat_with(temporary, ONE, temporary, OTHER, flags);
    answer(tried.map_err(io::Error::from))
}

fn file(temporary: &Directory, name: &str) -> io::Result<File> {
    match temporary.create_file(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => temporary.open_writable(name),
        other => other,
    }
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Tells "cannot be done here" from a failure.
fn answer(tried: io::Result<()>) -> io::Result<bool> {
    let refusals = [
        Errno::OPNOTSUPP,
        Errno::NOSYS,
        Errno::INVAL,
        Errno::ISDIR,
        Errno::NOENT,
        Errno::PERM,
        Errno::ACCESS,
        Errno::MLINK,
        Errno::XDEV,
    ];
    match tried {
        Ok(()) => Ok(true),
        Err(error)
            if refusals
                .iter()
                .any(|refusal| error.raw_os_error() == Some(refusal.raw_os_error())) =>
        {
            tracing::debug!(%error, "refused by the file system");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether a file system keeps files that are removed while they are open under names of its own.
pub(super) fn keeps_removed_files(root: &Directory) -> io::Result<bool> {
    const NFS: i128 = 0x6969;
    let stat = rustix::fs::fstatfs(root).map_err(io::Error::from)?;
    Ok(i128::from(stat.f_type) == NFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_lacking_is_lacking_and_nothing_is_left_of_the_trial() {
        let volume = tempfile::tempdir().unwrap();
        let directory = Directory::open_root(volume.path()).unwrap();
        let all = Capabilities::probe(&directory, &[]).unwrap();
        for lacking in Capability::ALL {
            let found = Capabilities::probe(&directory, &[lacking]).unwrap();
            for other in Capability::ALL {
                let follows = other == Capability::AnonymousFiles && lacking == Capability::Links;
                let expected = all.has(other) && other != lacking && !follows;
                assert_eq!(found.has(other), expected, "{other:?} without {lacking:?}");
            }
        }
        assert!(directory.is_empty().unwrap());
    }
}
