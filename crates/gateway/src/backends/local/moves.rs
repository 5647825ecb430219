//! Making room for `a/b` beside `a` where two names cannot change places in one step. Everything here blocks.
//!
//! The object `a` first moves into a directory of its own in `.lifeboat/moves`, then that directory takes its name. A note
//! written before says where it belongs: a start after a crash in between finishes the move. Readers that miss the object
//! look again once the move is over.

use std::io::{self, Read as _, Write as _};

use serde::{Deserialize, Serialize};

use super::objects::is_absent;
use super::path::SELF_NAME;
use super::tree::Directory;
use super::volume::Volume;

const NOTE: &str = ".note";

/// Where a file is on its way from, and where the directory that holds it will be.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    bucket: String,
    /// Below the bucket.
    names: Vec<String>,
}

impl Volume {
    /// Turns the file `name` of `parent`, which is at the end of `names` in the bucket, into a directory that holds it.
    /// Nobody else may look for it meanwhile.
    pub(super) fn move_in_steps(
        &self,
        bucket: &str,
        names: &[String],
        parent: &Directory,
        name: &str,
    ) -> io::Result<()> {
        let id = self.sources.id();
        let note = Note {
            bucket: bucket.to_owned(),
            names: names.to_vec(),
        };
        let note_name = format!("{id}{NOTE}");
        let mut file = self.moves.create_file(&note_name)?;
        file.write_all(&serde_json::to_vec(&note).map_err(io::Error::from)?)?;
        file.sync_all()?;
        let holder = self.moves.make(&id)?;
        rustix::fs::renameat(parent, name, &holder, SELF_NAME)?;
        holder.sync()?;
        rustix::fs::renameat(&self.moves, id.as_str(), parent, name)?;
        parent.sync()?;
        self.moves.remove_file(&note_name)?;
        self.moves.sync()
    }
}

/// Finishes the moves that a crash interrupted. To be called before anybody looks for an object.
pub(super) fn finish(root: &Directory, moves: &Directory) -> io::Result<()> {
    for name in moves.names()? {
        let Some(id) = name.text.strip_suffix(NOTE) else {
            continue;
        };
        let mut bytes = Vec::new();
        moves.open_file(&name.text)?.read_to_end(&mut bytes)?;
        // A note that is not whole was written by a move that had not begun.
        let Ok(note) = serde_json::from_slice::<Note>(&bytes) else {
            moves.remove_file(&name.text)?;
            continue;
        };
        match finish_one(root, moves, id, &note) {
            Ok(()) => moves.remove_file(&name.text)?,
            Err(error) if is_taken(&error) => {
                let (bucket, names) = (&note.bucket, note.names.join("/"));
                tracing::error!(%error, bucket, names, holder = id, "an object cannot be put back in its place");
            }
            Err(error) => return Err(error),
        }
    }
    // The directory of a move that had not begun, or is over, is empty.
    for name in moves.names()? {
        match moves.remove_directory(&name.text) {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(error);
            }
            _ => {}
        }
    }
    moves.sync()
}

/// Whether a person has put something else where an object was to go.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
    )
}

fn finish_one(root: &Directory, moves: &Directory, id: &str, note: &Note) -> io::Result<()> {
    let holder = match moves.open(id) {
        Ok(holder) => holder,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    if holder.kind(SELF_NAME)?.is_none() {
        // The file is still where it was.
        return Ok(());
    }
    let Some((name, parents)) = note.names.split_last() else {
        return Ok(());
    };
    // Nobody removes a directory above an object that is on its way, but a person may have.
    let mut parent = root.make(&note.bucket)?;
    for above in parents {
        parent = parent.make(above)?;
    }
    rustix::fs::renameat(moves, id, &parent, name.as_str())?;
    parent.sync()
}
