//! The disk below everything: what is in memory of it, and how fast it is when nothing else is done.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use lifeboat_direct::{self as direct, Memory};
use rustix::fs::Advice;
use serde::Serialize;

use super::data;

/// What is written or read at once.
const PIECE: usize = 4 << 20;

/// Has files read from the disk when they are read next, whoever wrote or read them last.
pub(super) fn forget(folder: &Path) -> Result<()> {
    for (_, path) in data::files_below(folder)? {
        let file = match File::open(&path) {
            Ok(file) => file,
            // A server removes files when it likes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        file.sync_data()?;
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

/// Seconds that one program takes which does nothing else.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Floor {
    pub(super) write: f64,
    pub(super) read: f64,
}

impl Floor {
    /// Writes so many bytes into a file, syncs it, and reads it back from the disk.
    pub(super) fn measure(folder: &Path, bytes: u64) -> Result<Self> {
        let path = folder.join("floor");
        let mut memory = Memory::new(PIECE);
        // Nothing that a disk could leave out.
        for (at, byte) in memory.iter_mut().enumerate() {
            *byte = u8::try_from((at * 31 + at / 257) % 256)?;
        }
        let begun = Instant::now();
        let mut file = File::create(&path)?;
        if direct::is_possible(&file) {
            direct::enter(&file)?;
        }
        for _ in 0..bytes / PIECE as u64 {
            file.write_all(&memory)?;
        }
        file.sync_all()?;
        let write = begun.elapsed().as_secs_f64();
        let mut file = File::open(&path)?;
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
        if direct::is_possible(&file) {
            direct::enter(&file)?;
        }
        let begun = Instant::now();
        while file.read(&mut memory)? > 0 {}
        let read = begun.elapsed().as_secs_f64();
        fs::remove_file(&path)?;
        Ok(Self { write, read })
    }
}
