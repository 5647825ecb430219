//! One object read from end to end and compared with what its record says. Everything here blocks.
//!
//! Bytes are read past the page cache where the file system can do that: what is compared is what the disk has, and nothing
//! that clients need is pushed out of the cache.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use jiff::Timestamp;
use rustix::fs::{Advice, OFlags};
use rustix::io::Errno;

use super::damage::{Bytes, Damage};
use crate::backend::digest::{Checksum, Hasher};
use crate::backend::{Error, ObjectPath};
use crate::backends::local::crc::{Crc, Running};
use crate::backends::local::objects::{Found, Lies};
use crate::backends::local::record::Record;

/// How many bytes are read at a time.
const STEP: usize = 1024 * 1024;
/// What reading past the page cache asks of addresses and offsets; more than any disk does.
const ALIGNMENT: usize = 4096;

/// What the bytes of an object are compared with, and what they have come to so far. The first that there is, in this order.
enum Proof {
    Crc {
        kept: Crc,
        running: Box<Running>,
    },
    /// Of the whole content.
    Checksum {
        kept: Checksum,
        hasher: Box<Hasher>,
    },
    /// The etag, where it is the MD5 of the content.
    Md5 {
        kept: String,
        hasher: Box<Hasher>,
    },
    Nothing,
}

impl Proof {
    fn of(record: &Record) -> Self {
        if let Some(kept) = record.crc {
            let running = Box::default();
            return Self::Crc { kept, running };
        }
        let whole = record
            .checksum
            .clone()
            .filter(|checksum| !checksum.is_composite());
        if let Some(kept) = whole {
            let hasher = Box::new(Hasher::new(Some(kept.algorithm)));
            return Self::Checksum { kept, hasher };
        }
        let digits = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if record.etag.len() == 32 && record.etag.bytes().all(digits) {
            let kept = record.etag.clone();
            let hasher = Box::new(Hasher::new(None));
            return Self::Md5 { kept, hasher };
        }
        Self::Nothing
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc { running, .. } => running.update(bytes),
            Self::Checksum { hasher, .. } | Self::Md5 { hasher, .. } => hasher.update(bytes),
            Self::Nothing => {}
        }
    }

    fn judge(self) -> Verdict {
        let (what, kept, found) = match self {
            Self::Nothing => return Verdict::Unverifiable,
            Self::Crc { kept, running } => {
                ("CRC64NVME", kept.to_string(), running.finish().to_string())
            }
            Self::Md5 { kept, hasher } => ("MD5", kept, hasher.finish().tag.etag()),
            Self::Checksum { kept, hasher } => {
                let found = hasher.finish().checksum.map(|checksum| checksum.value);
                (kept.algorithm.name(), kept.value, found.unwrap_or_default())
            }
        };
        if kept == found {
            Verdict::Sound
        } else {
            Verdict::Damaged(Reason::Differs { what, kept, found })
        }
    }
}

/// How an object proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backends::local) enum Verdict {
    Sound,
    /// All of it can be read, and there is nothing to compare it with.
    Unverifiable,
    Damaged(Reason),
}

/// What is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backends::local) enum Reason {
    Differs {
        what: &'static str,
        kept: String,
        found: String,
    },
    Shorter {
        kept: u64,
        found: u64,
    },
    Unreadable {
        at: u64,
        error: String,
    },
    Record {
        error: String,
    },
}

impl Reason {
    /// What it says of an object that it cannot be opened, if that is damage.
    pub(in crate::backends::local) fn of(error: &Error) -> Option<Self> {
        let text = |error: &dyn std::error::Error| error.to_string();
        match error {
            Error::DamagedRecord { source, .. } => Some(Self::Record {
                error: text(source),
            }),
            Error::Io { source, .. } if source.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                Some(Self::Unreadable {
                    at: 0,
                    error: text(source),
                })
            }
            _ => None,
        }
    }

    /// The entry of the list for an object that is damaged so. `bytes` are nothing where its record cannot be read.
    pub(in crate::backends::local) fn about(
        &self,
        path: &ObjectPath,
        found: Timestamp,
        bytes: Option<Bytes>,
    ) -> Damage {
        Damage::new((path.bucket(), path.key()), found, self.to_string(), bytes)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { what, kept, found } => {
                write!(
                    f,
                    "{what} of the bytes is `{found}`, its record says `{kept}`"
                )
            }
            Self::Shorter { kept, found } => {
                write!(f, "ends after {found} bytes of {kept}")
            }
            Self::Unreadable { at, error } => write!(f, "cannot be read at byte {at}: {error}"),
            Self::Record { error } => write!(f, "its record cannot be read: {error}"),
        }
    }
}

/// An object being read.
pub(in crate::backends::local) struct Check {
    file: File,
    lies: Lies,
    proof: Proof,
    /// In bytes.
    size: u64,
    offset: u64,
}

/// Memory for reading, used again for each step.
pub(in crate::backends::local) struct Buffer(Vec<u8>);

impl Default for Buffer {
    fn default() -> Self {
        Self(vec![0; STEP + ALIGNMENT])
    }
}

impl Buffer {
    fn aligned(&mut self) -> &mut [u8] {
        let start = self.0.as_ptr().align_offset(ALIGNMENT);
        &mut self.0[start..start + STEP]
    }
}

impl Check {
    pub(in crate::backends::local) fn new(found: Found) -> Self {
        if let Err(error) = rustix::fs::fcntl_setfl(&found.file, OFlags::DIRECT) {
            tracing::trace!(%error, "an object is read through the page cache");
        }
        Self {
            size: found.size(),
            proof: Proof::of(&found.record),
            file: found.file,
            lies: found.lies,
            offset: 0,
        }
    }

    /// How far it has come, in bytes.
    pub(in crate::backends::local) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads on by at most a mebibyte. Returns the verdict at the end.
    pub(in crate::backends::local) fn step(&mut self, buffer: &mut Buffer) -> Option<Verdict> {
        if self.lies == Lies::AsFolder {
            return Some(Verdict::Sound);
        }
        let left = self.size - self.offset;
        if left > 0 {
            let bytes = match self.read(buffer.aligned()) {
                Ok(bytes) => bytes,
                Err(error) => {
                    return Some(Verdict::Damaged(Reason::Unreadable {
                        at: self.offset,
                        error: error.to_string(),
                    }));
                }
            };
            if bytes.is_empty() {
                return Some(Verdict::Damaged(Reason::Shorter {
                    kept: self.size,
                    found: self.offset,
                }));
            }
            let wanted =
                usize::try_from(left).map_or(bytes, |left| &bytes[..left.min(bytes.len())]);
            self.proof.update(wanted);
            self.offset += u64::try_from(wanted.len()).expect("sizes fit in 64 bits");
        }
        (self.offset == self.size).then(|| self.end())
    }

    fn read<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let length = loop {
            match self.file.read_at(buffer, self.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Some file systems let past the cache only what suits them.
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    rustix::fs::fcntl_setfl(&self.file, OFlags::empty())?;
                    break self.file.read_at(buffer, self.offset)?;
                }
                other => break other?,
            }
        };
        Ok(&buffer[..length])
    }

    fn end(&mut self) -> Verdict {
        // Where it was read through the cache.
        if let Err(error) = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed) {
            tracing::trace!(%error, "cannot let go of what was read");
        }
        std::mem::replace(&mut self.proof, Proof::Nothing).judge()
    }
}
