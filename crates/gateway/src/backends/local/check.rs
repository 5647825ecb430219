//! A volume looked over: how much there is, what is known to be damaged, what lies there and is not served.
//!
//! Nothing is changed, so this may run beside a gateway that serves the volume. It uses what the scrub has written down,
//! and on request does at full speed what the scrub does slowly; only the scrub's own list is left as it is.

use std::path::PathBuf;

use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;

use super::OpenError;
use super::contents::Contents;
use super::scrub::{
    Begun, Buffer, Counts, Damage, Damages, Progress as Scrubbed, Verdict, next_keys,
};
use super::survey::{Stray, Survey};
use super::trash::Filter;
use super::visit::{Room, Visit};
use super::volume::{TEMPORARY, UPLOADS};
use crate::backend::{Error, ObjectPath};
use crate::backends::Sources;

/// How closely a volume is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every name and every record.
    Records,
    /// Also every byte, compared with the checksums of the records.
    Bytes,
}

/// What was found.
#[derive(Debug)]
pub struct Findings {
    /// The process of the gateway that serves the volume, if one does so on this machine.
    pub process: Option<u32>,
    pub survey: Survey,
    pub trash: Room,
    pub uploads: Room,
    /// On its way, or left by a gateway that was killed; the next start removes it.
    pub temporary: Room,
    pub scrub: Scrubbed,
    /// What was read now, with [`Depth::Bytes`].
    pub read: Option<Counts>,
    /// By bucket and key.
    pub damages: Vec<Damage>,
}

impl Findings {
    /// The first things among the objects that are not served, by where they lie.
    pub fn strays(&self) -> &[Stray] {
        &self.survey.strays
    }

    pub fn is_well(&self) -> bool {
        self.damages.is_empty() && self.survey.unserved == 0
    }
}

/// Why a volume could not be looked over.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("no gateway has served volume `{path}` yet", path = path.display())]
    Unused { path: PathBuf },
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Backend(#[from] Error),
}

impl CheckError {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unused { .. } => Kind::NotFound,
            Self::Stopped => Kind::Unavailable,
            Self::Open(error) => error.kind(),
            Self::Backend(error) => error.kind(),
        }
    }
}

impl Visit {
    /// Looks the volume over. Blocks. With [`Depth::Bytes`], `progress` says how far the reading has come, and can end it.
    pub fn check(
        &self,
        depth: Depth,
        sources: &Sources,
        progress: &Progress,
    ) -> Result<Findings, CheckError> {
        let unused = || CheckError::Unused {
            path: self.path().to_owned(),
        };
        let contents = self.contents(sources)?.ok_or_else(unused)?;
        let mut damages = Damages::default();
        for damage in self.damages()? {
            // The list may be older than what the key holds now.
            if !contents.is_gone(&damage) {
                damages.add(damage);
            }
        }
        let survey = Survey::make(&contents, &mut damages)?;
        let read = match depth {
            Depth::Records => None,
            Depth::Bytes => {
                progress.expect(survey.objects, survey.bytes);
                Some(read_all(&contents, &mut damages, progress)?)
            }
        };
        let wrap = Error::io("looking below the gateway's own directory");
        let trash = self.trash(&Filter::default())?;
        Ok(Findings {
            process: self.gateway()?.map(|gateway| gateway.process()),
            trash: trash.iter().fold(Room::default(), |room, entry| Room {
                count: room.count + 1,
                bytes: room.bytes + entry.size,
            }),
            uploads: self.room(UPLOADS).map_err(&wrap)?,
            temporary: self.room(TEMPORARY).map_err(&wrap)?,
            scrub: self.scrub()?,
            read,
            damages: damages.iter().cloned().collect(),
            survey,
        })
    }
}

/// Reads every object and compares it with its checksum. What is known to be damaged is judged anew.
fn read_all(
    contents: &Contents,
    damages: &mut Damages,
    progress: &Progress,
) -> Result<Counts, CheckError> {
    let mut counts = Counts::default();
    let mut buffer = Buffer::default();
    let (mut bucket, mut key) = (String::new(), String::new());
    while let Some((in_bucket, keys)) = next_keys(contents, &bucket, &key)? {
        bucket = in_bucket;
        for name in keys {
            key = name;
            let Ok(path) = ObjectPath::new(bucket.as_str(), key.as_str()) else {
                continue;
            };
            let before = progress.read().bytes;
            let mut judged = read_one(contents, &path, &mut buffer, progress)?;
            if let Some((Verdict::Damaged(_), _)) = judged {
                // Once more, before a person is called. It is counted once.
                judged = read_one(contents, &path, &mut buffer, &Progress::default())?;
            }
            progress.add(1, 0);
            let Some((verdict, bytes)) = judged else {
                continue;
            };
            counts.objects += 1;
            counts.bytes += progress.read().bytes - before;
            match verdict {
                Verdict::Damaged(reason) => {
                    counts.damaged += 1;
                    damages.add(reason.about(&path, contents.sources.now(), bytes));
                    continue;
                }
                Verdict::Unverifiable => counts.unverifiable += 1,
                Verdict::Sound => {}
            }
            damages.remove(path.bucket(), path.key());
        }
    }
    Ok(counts)
}

type Judged = (Verdict, Option<super::scrub::Bytes>);

/// Reads one object from end to end; nothing if it is not there any more.
fn read_one(
    contents: &Contents,
    path: &ObjectPath,
    buffer: &mut Buffer,
    progress: &Progress,
) -> Result<Option<Judged>, CheckError> {
    let (bytes, mut check) = match contents.begin_check(path)? {
        Begun::Check(bytes, check) => (bytes, check),
        Begun::Gone => return Ok(None),
        Begun::Judged(verdict) => return Ok(Some((verdict, None))),
    };
    loop {
        if progress.is_stopped() {
            return Err(CheckError::Stopped);
        }
        let before = check.offset();
        let verdict = check.step(buffer);
        progress.add(0, check.offset() - before);
        if let Some(verdict) = verdict {
            return Ok(Some((verdict, Some(bytes))));
        }
    }
}
