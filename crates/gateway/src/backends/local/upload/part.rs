//! One part on its way into an upload.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use jiff::Timestamp;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::journal::{Line, PartLine, Place};
use super::{DATA, Part, Phase, State, Upload};
use crate::backend::content::{Batch, Received};
use crate::backend::relay::Relayed;
use crate::backend::upload::PartInfo;
use crate::backend::{Error, MAX_PART_NUMBER};
use crate::backends::local::receive::Sink;
use crate::backends::local::volume::Volume;
use crate::backends::local::writer::Writer;

/// Where the bytes of one part go. Dropping it before [`PartSink::finish`] leaves the upload as it was.
pub(in crate::backends::local) struct PartSink {
    upload: Arc<Upload>,
    number: u16,
    place: Place,
    file: File,
    writer: Writer,
    acknowledged: bool,
}

impl PartSink {
    /// Finds a place for a part; `length` in bytes if it is known beforehand.
    pub(in crate::backends::local) fn new(
        volume: &Volume,
        upload: Arc<Upload>,
        number: u16,
        length: Option<u64>,
    ) -> Result<Self, Error> {
        if !(1..=MAX_PART_NUMBER).contains(&number) {
            return Err(Error::InvalidPartNumber { number });
        }
        let (place, file, offset) = {
            let mut state = upload.state();
            if state.phase != Phase::Open {
                return Err(upload.gone());
            }
            if let Some(stride) = state.slot(number, length) {
                state.busy.insert(number);
                let offset = u64::from(number - 1) * stride;
                // Opened anew: the kernel tells each open file of a failed write only once, and parts share the bytes.
                match upload.directory.open_writable(DATA) {
                    Ok(file) => (Place::Slot { stride }, file, offset),
                    Err(error) => {
                        state.busy.remove(&number);
                        return Err(Error::io("storing the part")(error));
                    }
                }
            } else {
                let name = format!("part-{number}-{}", volume.sources.id());
                let file = upload
                    .directory
                    .create_file(&name)
                    .map_err(Error::io("storing the part"))?;
                (Place::Aside { name }, file, 0)
            }
        };
        Ok(Self {
            upload,
            number,
            place,
            file,
            writer: Writer::new(offset, length),
            acknowledged: false,
        })
    }

    /// Makes the part count. Durable when it returns.
    pub(in crate::backends::local) fn finish(
        mut self,
        received: Received,
        now: Timestamp,
    ) -> Result<PartInfo, Error> {
        let wrap = Error::io("storing the part");
        let crc = self.writer.finish(&self.file).map_err(&wrap)?;
        self.file.sync_data().map_err(&wrap)?;
        if let Place::Aside { .. } = self.place {
            self.upload.directory.sync().map_err(&wrap)?;
        }
        let line = PartLine {
            number: self.number,
            size: received.size,
            etag: received.digests.tag.part_etag(),
            modified: now.as_millisecond(),
            checksum: received.digests.checksum,
            crc: Some(crc),
            place: self.place.clone(),
        };
        let mut state = self.upload.state();
        match state.phase {
            Phase::Open => {}
            Phase::Completing => {
                return Err(Error::UploadBusy {
                    upload: self.upload.id.clone(),
                });
            }
            Phase::Ended => return Err(self.upload.gone()),
        }
        state
            .journal
            .append(&Line::Part(line.clone()))
            .map_err(&wrap)?;
        state.active = now;
        let (info, replaced) = state.take(line);
        drop(state);
        self.acknowledged = true;
        if let Some(Place::Aside { name }) = replaced
            && let Err(error) = self.upload.directory.remove_file(&name)
        {
            tracing::debug!(%error, "cannot remove a part that was replaced");
        }
        Ok(info)
    }
}

impl Sink for PartSink {
    fn write(&mut self, batch: &Batch) -> Result<(), Error> {
        let written = self.writer.write(&self.file, batch);
        written.map_err(Error::io("storing the part"))
    }
}

impl Drop for PartSink {
    fn drop(&mut self) {
        match &self.place {
            Place::Slot { stride } => {
                if !self.acknowledged {
                    self.give_back(u64::from(self.number - 1) * stride);
                }
                self.upload.state().busy.remove(&self.number);
            }
            Place::Aside { name } if !self.acknowledged => {
                if let Err(error) = self.upload.directory.remove_file(name) {
                    tracing::debug!(%error, "cannot remove a part that did not arrive");
                }
            }
            Place::Aside { .. } => {}
        }
    }
}

impl PartSink {
    /// Returns the room of a slot from `start` on to the volume. Where that is impossible it comes back with the upload.
    fn give_back(&self, start: u64) {
        let written = self.writer.taken() - start;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if written > 0
            && let Err(error) = rustix::fs::fallocate(&self.file, flags, start, written)
        {
            tracing::debug!(%error, "cannot give the room of a part back");
        }
    }
}

impl State {
    /// Returns the stride if the part can be written where the object will have it.
    fn slot(&mut self, number: u16, length: Option<u64>) -> Option<u64> {
        let length = length.filter(|length| *length > 0)?;
        let stride = *self.stride.get_or_insert(length);
        let free = !self.parts.contains_key(&number) && !self.busy.contains(&number);
        let reachable = u64::from(number)
            .checked_mul(stride)
            .is_some_and(|end| i64::try_from(end).is_ok());
        (free && length <= stride && reachable).then_some(stride)
    }

    /// Lets a part count and returns where the part lay that it replaces.
    pub(super) fn take(&mut self, line: PartLine) -> (PartInfo, Option<Place>) {
        if let Place::Slot { stride } = line.place {
            self.stride = Some(stride);
        }
        let modified = Timestamp::from_millisecond(line.modified).unwrap_or(Timestamp::UNIX_EPOCH);
        self.active = self.active.max(modified);
        let info = PartInfo {
            number: line.number,
            size: line.size,
            etag: line.etag,
            modified,
            checksum: line.checksum,
            relayed: Relayed::default(),
        };
        let part = Part {
            info: info.clone(),
            crc: line.crc,
            place: line.place,
        };
        let replaced = self.parts.insert(line.number, part);
        (info, replaced.map(|part| part.place))
    }
}

/// Copies `length` bytes between files inside the kernel, or through memory where it cannot.
pub(super) fn copy_range(
    source: &File,
    mut from: u64,
    target: &File,
    mut to: u64,
    length: u64,
) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        let step = usize::try_from(left.min(1 << 30)).expect("a step fits in memory");
        let copied =
            match rustix::fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), step)
            {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(copied) => copied,
                Err(Errno::NOSYS | Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP) => {
                    return copy_through_memory(source, from, target, to, left);
                }
                Err(error) => return Err(error.into()),
            };
        left -= u64::try_from(copied).expect("sizes fit in 64 bits");
    }
    Ok(())
}

fn copy_through_memory(
    source: &File,
    mut from: u64,
    target: &File,
    mut to: u64,
    mut left: u64,
) -> io::Result<()> {
    let mut buffer = vec![0; 256 * 1024];
    while left > 0 {
        let step = u64::try_from(buffer.len())
            .expect("a small number")
            .min(left);
        let piece = &mut buffer[..usize::try_from(step).expect("a piece fits in memory")];
        source.read_exact_at(piece, from)?;
        target.write_all_at(piece, to)?;
        from += step;
        to += step;
        left -= step;
    }
    Ok(())
}
