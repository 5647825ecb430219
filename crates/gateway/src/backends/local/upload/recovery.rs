//! Uploads of an earlier process: which go on, which have ended, told from what lies on the volume.

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::journal::{self, Journal, Line, PartLine, Place};
use super::{Completed, DATA, JOURNAL, State, Upload, Uploads};
use crate::backend::{Error, ObjectInfo, ObjectPath};
use crate::backends::local::tree::{Directory, NameKind};
use crate::backends::local::volume::Volume;

/// What became of an upload.
enum Fate {
    /// It goes on.
    Live(Upload),
    /// It became an object; whoever asked for that may not have heard so.
    Completed(Completed),
    /// It never began, or it ended.
    Over,
}

impl Uploads {
    /// Takes up the uploads that were live when the last process ended, and removes what is left of others.
    pub(in crate::backends::local) fn recover(volume: &Volume) -> io::Result<Self> {
        let uploads = Self::default();
        for name in volume.uploads.names()? {
            let fate = match name.kind {
                NameKind::Directory => reopen(volume, &name.text)?,
                NameKind::File => Fate::Over,
            };
            match fate {
                Fate::Live(upload) => {
                    uploads.live().insert(name.text, Arc::new(upload));
                }
                Fate::Completed(completed) => {
                    uploads.remember(completed);
                    volume.uploads.remove_tree(&name.text)?;
                }
                Fate::Over => volume.uploads.remove_tree(&name.text)?,
            }
        }
        Ok(uploads)
    }
}

fn reopen(volume: &Volume, id: &str) -> io::Result<Fate> {
    let directory = volume.uploads.open(id)?;
    let bytes = match directory.open_file(JOURNAL) {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            bytes
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Fate::Over),
        Err(error) => return Err(error),
    };
    let (lines, whole) = journal::read(&bytes);
    let Some(Line::Begun {
        bucket,
        key,
        initiated,
        options,
    }) = lines.first().cloned()
    else {
        return Ok(Fate::Over);
    };
    let Ok(path) = ObjectPath::new(bucket, key) else {
        return Ok(Fate::Over);
    };
    // Its uploads go with a bucket, also with one that was made again.
    if let Err(Error::NoSuchBucket { .. }) = volume.bucket(path.bucket()) {
        return Ok(Fate::Over);
    }
    if let Some(info) = published(volume, &path, &lines) {
        let id = id.to_owned();
        return Ok(Fate::Completed(Completed { id, path, info }));
    }
    let data = match directory.open_writable(DATA) {
        Ok(data) => data,
        // Published by moving it away, and replaced since.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Fate::Over),
        Err(error) => return Err(error),
    };
    let journal = Journal::new(directory.open_writable(JOURNAL)?, whole);
    let initiated = Timestamp::from_millisecond(initiated).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut state = State::new(journal, initiated);
    let length = data.metadata()?.len();
    for line in lines {
        if let Line::Part(line) = line
            && lies(&directory, length, &line)?
        {
            state.take(line);
        }
    }
    Ok(Fate::Live(Upload {
        id: id.to_owned(),
        path,
        options,
        initiated,
        directory: Arc::new(directory),
        data: Arc::new(data),
        state: Mutex::new(state),
    }))
}

/// The object that the upload became, if it is still there.
fn published(volume: &Volume, path: &ObjectPath, lines: &[Line]) -> Option<ObjectInfo> {
    let found = volume.find(path).ok()?;
    let ours =
        |line: &Line| matches!(line, Line::Completing { object } if *object == found.record.id);
    lines.iter().any(ours).then(|| found.info())
}

/// Whether the bytes of a part are there.
fn lies(directory: &Directory, length: u64, line: &PartLine) -> io::Result<bool> {
    match &line.place {
        Place::Slot { stride } => {
            let end = u64::from(line.number.saturating_sub(1))
                .checked_mul(*stride)
                .and_then(|start| start.checked_add(line.size));
            Ok(line.number > 0 && end.is_some_and(|end| end <= length))
        }
        Place::Aside { name } => Ok(directory.kind(name)? == Some(NameKind::File)),
    }
}
