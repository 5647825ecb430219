//! A volume given back: the same objects in a folder that MinIO of 2021 or s3proxy serves with the same keys, bytes, etags
//! and metadata.
//!
//! Files are not copied where a second name will do: neither this gateway nor those servers ever write into the file of an
//! object, each puts a new file in its place. So the volume shows what it showed and goes on to be one. What the other
//! server asks the file for, its time and for s3proxy attributes, is given to the shared file too: this gateway has its own
//! record of both. Names that share a file and have different records get files of their own.
//!
//! The objects must not change meanwhile, so the volume is held as by a gateway. A plan is made without that.

mod fit;
mod steps;
mod target;

use std::io;
use std::path::{Component, Path, PathBuf};

use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use serde::Serialize;

use self::steps::{Step, Steps, Way};
use self::target::{Before, Target};
use super::check::CheckError;
use super::contents::Contents;
use super::foreign::minio;
use super::trash::Filter;
use super::visit::{Room, Visit};
use super::volume::{HOME, UPLOADS};
use super::{Local, OpenError};
use crate::backend::{Error, ObjectPath, is_bucket_name};
use crate::backends::Sources;

/// How many objects that the other server cannot hold are named. More are counted.
const MOST: usize = 10_000;

/// Who is going to serve the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// MinIO of 2021 on a folder.
    Minio,
    /// s3proxy with `filesystem-nio2`.
    S3Proxy,
}

/// Whether target and volume may share files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Where they can.
    Link,
    /// The target is to have everything for itself.
    Copy,
}

/// What becomes of objects that the other server cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnfit {
    Refuse,
    /// They are not in the target.
    LeaveOut,
}

/// What an export will do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub buckets: u64,
    pub objects: u64,
    pub bytes: u64,
    /// Objects that share their files with the volume.
    pub linked: Room,
    /// Objects that take room in the target.
    pub copied: Room,
    /// How many objects and buckets the other server cannot hold.
    pub unfit: u64,
    /// The first of them.
    pub unfit_objects: Vec<UnfitObject>,
    /// What stays behind.
    pub trash: Room,
    pub uploads: Room,
    /// Objects that are known to be damaged. They are given back as they are.
    pub damaged: u64,
}

/// Something that the other server cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnfitObject {
    pub bucket: String,
    /// Nothing if it is the whole bucket.
    pub key: Option<String>,
    pub why: String,
}

/// What an export has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    pub objects: u64,
    pub bytes: u64,
    pub copied: Room,
    pub left_out: u64,
}

/// How a place for an export was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Free,
    /// An earlier export was made there and cut off before all of it had its place. [`finish`] ends it.
    Unfinished,
}

/// Why a volume was not given back.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("`{target}` is not empty", target = target.display())]
    Occupied { target: PathBuf },
    #[error("`{target}` lies among the objects of the volume", target = target.display())]
    Inside { target: PathBuf },
    #[error("the file system of `{target}` keeps no extended attributes, in which s3proxy has its records", target = target.display())]
    NoAttributes { target: PathBuf },
    #[error("`{target}` has room for {}, and {} have to be copied there", ByteSize(*free), ByteSize(*needed), target = target.display())]
    NoRoom {
        target: PathBuf,
        free: u64,
        needed: u64,
    },
    #[error("the other server cannot hold {count} of the objects")]
    Unfit { count: u64 },
    #[error("cannot write to `{target}`", target = target.display())]
    Target {
        target: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot give back `{bucket}/{key}`")]
    Object {
        bucket: String,
        key: String,
        #[source]
        source: io::Error,
    },
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Look(#[from] CheckError),
    #[error(transparent)]
    Backend(#[from] Error),
}

impl ExportError {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Occupied { .. } => Kind::Conflict,
            Self::Inside { .. } | Self::NoAttributes { .. } | Self::Unfit { .. } => Kind::Invalid,
            Self::NoRoom { .. } | Self::Target { .. } | Self::Object { .. } | Self::Stopped => {
                Kind::Unavailable
            }
            Self::Look(error) => error.kind(),
            Self::Backend(error) => error.kind(),
        }
    }

    fn target(target: &Path, source: io::Error) -> Self {
        let target = target.to_owned();
        match source.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => {
                Self::Occupied { target }
            }
            _ => Self::Target { target, source },
        }
    }

    fn object(path: &ObjectPath, source: io::Error) -> Self {
        Self::Object {
            bucket: path.bucket().to_owned(),
            key: path.key().to_owned(),
            source,
        }
    }
}

impl From<OpenError> for ExportError {
    fn from(error: OpenError) -> Self {
        Self::Look(error.into())
    }
}

impl Plan {
    fn make(contents: &Contents, format: Format, device: Option<u64>) -> Result<Self, ExportError> {
        let mut plan = Self::default();
        Steps::new(contents, format, device).each(|step| {
            match step {
                Step::Bucket(_) => plan.buckets += 1,
                Step::Unfit { bucket, key, unfit } => {
                    plan.unfit += 1;
                    if plan.unfit_objects.len() < MOST {
                        let why = unfit.to_string();
                        plan.unfit_objects.push(UnfitObject { bucket, key, why });
                    }
                }
                Step::Object(item) => {
                    let size = item.found.size();
                    plan.objects += 1;
                    plan.bytes += size;
                    let room = match item.way {
                        Way::Link | Way::Change => &mut plan.linked,
                        Way::Copy => &mut plan.copied,
                        Way::Folder => return Ok(()),
                    };
                    room.count += 1;
                    room.bytes += size;
                }
            }
            Ok(())
        })?;
        Ok(plan)
    }

    /// Whether the target has room for what is copied.
    fn fits(&self, target: &Path, free: u64) -> Result<(), ExportError> {
        let needed = self.copied.bytes;
        if needed <= free {
            return Ok(());
        }
        let target = target.to_owned();
        Err(ExportError::NoRoom {
            target,
            free,
            needed,
        })
    }
}

impl Visit {
    /// Says what an export would do. Blocks, and changes nothing; a gateway may be serving the volume.
    pub fn plan_export(
        &self,
        format: Format,
        target: &Path,
        sharing: Sharing,
        sources: &Sources,
    ) -> Result<Plan, ExportError> {
        let unused = || CheckError::Unused {
            path: self.path().to_owned(),
        };
        let contents = self.contents(sources)?.ok_or_else(unused)?;
        let (device, free) = target::file_system(target)?;
        let device = Some(device).filter(|_| sharing == Sharing::Link);
        let mut plan = Plan::make(&contents, format, device)?;
        plan.fits(target, free)?;
        let wrap = Error::io("looking below the gateway's own directory");
        plan.uploads = self.room(UPLOADS).map_err(wrap)?;
        for entry in self.trash(&Filter::default())? {
            plan.trash.count += 1;
            plan.trash.bytes += entry.size;
        }
        for damage in self.damages()? {
            plan.damaged += u64::from(!contents.is_gone(&damage));
        }
        Ok(plan)
    }
}

/// Looks at the place of an export: it must be empty but for what an export left that was cut off.
pub fn look(volume: &Path, target: &Path) -> Result<Place, ExportError> {
    if lies_among_objects(volume, target).map_err(|error| ExportError::target(target, error))? {
        let target = target.to_owned();
        return Err(ExportError::Inside { target });
    }
    Ok(match target::look(target)? {
        Before::Whole => Place::Unfinished,
        Before::Empty | Before::Half => Place::Free,
    })
}

/// Ends an export that was cut off after all had been made: only some names are missing. Blocks.
pub fn finish(target: &Path) -> Result<(), ExportError> {
    target::finish_moves(target)
}

/// Below the volume there is room for another folder, as long as nobody takes it for a bucket.
fn lies_among_objects(volume: &Path, target: &Path) -> io::Result<bool> {
    let volume = volume.canonicalize()?;
    let mut existing = std::path::absolute(target)?;
    let mut missing = Vec::new();
    let target = loop {
        match existing.canonicalize() {
            Ok(real) => {
                break missing
                    .iter()
                    .rev()
                    .fold(real, |path, name| path.join(name));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match existing.file_name() {
                    Some(name) => missing.push(name.to_owned()),
                    // It ends in `..` below what is not there.
                    None => return Err(error),
                }
                existing.pop();
            }
            Err(error) => return Err(error),
        }
    };
    let Ok(below) = target.strip_prefix(&volume) else {
        return Ok(false);
    };
    Ok(match below.components().next() {
        Some(Component::Normal(name)) => {
            let name = name.to_string_lossy();
            is_bucket_name(&name) || name == HOME || name == minio::HOME
        }
        _ => true,
    })
}

impl Local {
    /// Gives the volume back into `target`, which [`look`] has found free. Blocks. What a cut leaves in `target` has no
    /// place yet: the next export there removes it, and begins anew.
    pub fn export(
        &self,
        format: Format,
        target: &Path,
        sharing: Sharing,
        on_unfit: OnUnfit,
        progress: &Progress,
    ) -> Result<Done, ExportError> {
        let volume = &self.inner.volume;
        let (device, free) = target::file_system(target)?;
        let device = Some(device).filter(|_| sharing == Sharing::Link);
        let plan = Plan::make(volume, format, device)?;
        plan.fits(target, free)?;
        if plan.unfit > 0 && on_unfit == OnUnfit::Refuse {
            return Err(ExportError::Unfit { count: plan.unfit });
        }
        progress.expect(plan.objects, plan.bytes);
        let mut made = Target::begin(target, format)?;
        let mut done = Done::default();
        Steps::new(volume, format, device).each(|step| {
            if progress.is_stopped() {
                return Err(ExportError::Stopped);
            }
            match step {
                Step::Bucket(bucket) => made
                    .bucket(&bucket)
                    .map_err(|error| ExportError::target(target, error))?,
                Step::Unfit { .. } => done.left_out += 1,
                Step::Object(item) => {
                    let copied = made.add(&item, progress)?;
                    done.objects += 1;
                    done.bytes += item.found.size();
                    done.copied.count += copied.count;
                    done.copied.bytes += copied.bytes;
                }
            }
            Ok(())
        })?;
        made.finish(target, &uuid(&volume.sources))?;
        Ok(done)
    }
}

/// A random UUID.
fn uuid(sources: &Sources) -> String {
    let high = ((sources.random)() & !0xF000) | 0x4000;
    let low = ((sources.random)() & !(0b11 << 62)) | (0b10 << 62);
    let text = format!("{high:016x}{low:016x}");
    let ends = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    ends.map(|(from, to)| &text[from..to]).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_lie_below_the_volume_where_nobody_takes_it_for_a_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let volume = folder.path().join("volume");
        std::fs::create_dir_all(volume.join("bucket")).unwrap();
        std::os::unix::fs::symlink(&volume, folder.path().join("link")).unwrap();
        let among =
            |target: &str| lies_among_objects(&volume, &folder.path().join(target)).unwrap();
        for target in [
            "volume",
            "volume/bucket/x",
            "volume/new-bucket",
            "volume/.lifeboat/x",
            "volume/.minio.sys",
            "link/bucket",
            "link/missing/deep",
        ] {
            assert!(among(target), "{target}");
        }
        for target in [
            "target",
            "volume/.back",
            "volume/.back/deep",
            "volumes/x",
            "a/b/c",
        ] {
            assert!(!among(target), "{target}");
        }
    }

    #[test]
    fn a_uuid_says_that_it_is_random() {
        let sources = Sources {
            now: std::sync::Arc::new(|| jiff::Timestamp::UNIX_EPOCH),
            random: std::sync::Arc::new(|| u64::MAX),
        };
        assert_eq!(uuid(&sources), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
