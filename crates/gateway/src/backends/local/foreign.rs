//! What other programs left on the volume: whose it was is found out at start, in which form their records are here.
//!
//! A volume is adopted as it is: files stay where they are, with the etags and metadata that the other program shows, and
//! nothing is converted. Only what they had not finished is passed over.

pub(super) mod minio;
pub(super) mod s3proxy;

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

use self::minio::Reading;
use super::capabilities::keeps_removed_files;
use super::record::{Record, modified};
use super::tree::{Directory, NameKind, present};
use super::volume::LOCK;
use crate::backend::{Error, ObjectPath, is_bucket_name};

/// In the home of ours: which programs' unfinished files are passed over.
const ADOPTED: &str = "adopted";
/// How many files of a bucket are looked at to find out whose they are.
const LOOKED_AT: usize = 1000;

/// Programs that kept objects on this volume.
#[derive(Debug)]
pub(super) struct Foreign {
    adopted: Adopted,
    minio: Option<minio::Records>,
    /// The file system has names of its own for removed files.
    keeps_removed_files: bool,
    /// When the volume was taken into service, by its own clock: seconds and nanoseconds since 1970.
    since: (i64, u64),
}

/// Found out once, and kept: what tells whose a volume was may be gone later, what was left unfinished may not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Adopted {
    s3proxy: bool,
}

/// Why a volume is not taken over.
#[derive(Debug)]
pub(super) enum Refusal {
    /// MinIO kept its objects in this form, in which files are no objects.
    Format(String),
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Foreign {
    /// Finds out whose the volume was. `home` is ours, `lock` a file in it that has just been written.
    pub(super) fn find(root: &Directory, home: &Directory, lock: &File) -> Result<Self, Refusal> {
        let minio = records_of_minio(root)?;
        let adopted = if let Some(known) = read_adopted(home)? {
            known
        } else {
            let s3proxy = was_of_s3proxy(root)?;
            let found = Adopted { s3proxy };
            write_adopted(home, found)?;
            found
        };
        tracing::info!(
            s3proxy = adopted.s3proxy,
            minio = minio.is_some(),
            "records of other programs on the volume"
        );
        Self::known(adopted, minio, root, lock)
    }

    /// Reads what has been found out, and changes nothing; nothing where no gateway has been.
    pub(super) fn look(root: &Directory, home: &Directory) -> Result<Option<Self>, Refusal> {
        let minio = records_of_minio(root)?;
        let (Some(adopted), Some(lock)) = (read_adopted(home)?, present(home.open_file(LOCK))?)
        else {
            return Ok(None);
        };
        Self::known(adopted, minio, root, &lock).map(Some)
    }

    fn known(
        adopted: Adopted,
        minio: Option<minio::Records>,
        root: &Directory,
        lock: &File,
    ) -> Result<Self, Refusal> {
        let stat = rustix::fs::fstat(lock).map_err(io::Error::from)?;
        Ok(Self {
            adopted,
            minio,
            keeps_removed_files: keeps_removed_files(root)?,
            since: (stat.st_mtime, stat.st_mtime_nsec),
        })
    }

    /// Returns the record of a file that has none of ours.
    pub(super) fn record(
        &self,
        file: &File,
        stat: &Stat,
        path: &ObjectPath,
    ) -> Result<Record, Error> {
        let wrap = Error::io("reading the record of the object");
        let modified = modified(stat);
        let attached = s3proxy::attached(file).map_err(&wrap)?;
        if let Some(record) = attached.and_then(|attached| s3proxy::record(&attached, modified)) {
            return Ok(record);
        }
        if let Some(minio) = &self.minio {
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            match minio.read(path, size, modified).map_err(&wrap)? {
                Reading::Record(record) => return Ok(record),
                Reading::Transformed => {
                    return Err(Error::NotSupported {
                        what: "reading an object that MinIO encrypted or compressed",
                    });
                }
                Reading::Nothing => {}
            }
        }
        Ok(Record::of_bare_file(stat))
    }

    /// Returns the record of a folder if it stands for the key of its name and a `/`.
    pub(super) fn folder(&self, folder: &Directory) -> io::Result<Option<Record>> {
        let stat = rustix::fs::fstat(folder)?;
        if let Some(attached) = s3proxy::attached(folder)? {
            return Ok(Some(s3proxy::record_of_folder(&attached, modified(&stat))));
        }
        // A folder of ours is empty only while an object is put into it or taken out of it.
        let before_ours = (stat.st_mtime, stat.st_mtime_nsec) < self.since;
        if self.minio.is_some() && before_ours && folder.is_empty()? {
            return Ok(Some(minio::record_of_folder(modified(&stat))));
        }
        Ok(None)
    }

    /// Whether a key can be something that is no object because another program has not finished it.
    pub(super) fn may_be_leftover(&self, key: &str) -> bool {
        (self.adopted.s3proxy && s3proxy::may_be_leftover(key))
            || (self.keeps_removed_files && is_removed_file(key))
    }

    /// Whether a file with this record is no object because another program has not finished it.
    pub(super) fn is_leftover(&self, key: &str, record: &Record) -> bool {
        (self.adopted.s3proxy && s3proxy::is_leftover(key, record.origin))
            || (self.keeps_removed_files && is_removed_file(key))
    }

    /// Removes what is said elsewhere of an object that has been removed or replaced.
    pub(super) fn forget(&self, path: &ObjectPath) -> io::Result<()> {
        self.minio
            .as_ref()
            .map_or(Ok(()), |minio| minio.forget(path))
    }

    pub(super) fn forget_bucket(&self, bucket: &str) -> io::Result<()> {
        self.minio
            .as_ref()
            .map_or(Ok(()), |minio| minio.forget_bucket(bucket))
    }
}

/// Whether a key ends in the name that NFS gives a file which is removed while somebody reads it.
fn is_removed_file(key: &str) -> bool {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    name.strip_prefix(".nfs").is_some_and(|number| {
        number.len() == 24 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn records_of_minio(root: &Directory) -> Result<Option<minio::Records>, Refusal> {
    match minio::format(root)? {
        None => Ok(None),
        Some(minio::Format::Files) => Ok(Some(minio::Records::open(root)?)),
        Some(minio::Format::Other(format)) => Err(Refusal::Format(format)),
    }
}

fn read_adopted(home: &Directory) -> io::Result<Option<Adopted>> {
    let mut bytes = Vec::new();
    match home.open_file(ADOPTED) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Cut off while it was written: found out again.
    Ok(serde_json::from_slice(&bytes).ok())
}

fn write_adopted(home: &Directory, adopted: Adopted) -> io::Result<()> {
    match home.remove_file(ADOPTED) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = home.create_file(ADOPTED)?;
    file.write_all(&serde_json::to_vec(&adopted).map_err(io::Error::from)?)?;
    file.sync_all()?;
    home.sync()
}

/// Whether any of the first files of a bucket has a record of s3proxy.
fn was_of_s3proxy(root: &Directory) -> io::Result<bool> {
    for bucket in root.names()? {
        if bucket.kind == NameKind::Directory && is_bucket_name(&bucket.text) {
            let mut left = LOOKED_AT;
            if holds_object_of_s3proxy(&root.open(&bucket.text)?, &mut left)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn holds_object_of_s3proxy(directory: &Directory, left: &mut usize) -> io::Result<bool> {
    for name in directory.names()? {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let found = match name.kind {
            NameKind::File => s3proxy::is_object(directory.open_file(&name.text)?)?,
            NameKind::Directory => {
                let inner = directory.open(&name.text)?;
                s3proxy::is_object(&inner)? || holds_object_of_s3proxy(&inner, left)?
            }
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nfs_gives_are_those_of_removed_files() {
        assert!(is_removed_file(".nfs00000000012ab3c400000001"));
        assert!(is_removed_file("a/.nfs00000000012ab3c400000001"));
        for key in [
            ".nfs",
            ".nfs0000",
            "a.nfs00000000012ab3c400000001",
            ".nfs00000000012ab3c400000001/a",
        ] {
            assert!(!is_removed_file(key), "{key}");
        }
    }
}
