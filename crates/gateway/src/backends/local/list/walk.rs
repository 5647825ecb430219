//! Visiting the keys of a bucket in their order, with the directories that lead to them.

use std::io;
use std::sync::{Arc, PoisonError};

use super::names::{Kind, Names};
use crate::backend::listing::ListQuery;
use crate::backends::local::contents::Contents;
use crate::backends::local::objects::is_absent;
use crate::backends::local::path::{SELF_NAME, encode, encode_directory};
use crate::backends::local::tree::{Directory, NameKind};

/// What leads from the directory of the walk to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Names to its file.
    Object(Vec<String>),
    /// The object is the directory itself, as other programs have it.
    Folder,
}

/// A directory being walked.
struct Frame {
    directory: Directory,
    /// What every key below begins with: empty or ending in `/`.
    prefix: String,
    names: Arc<Names>,
    /// Of the next name to visit.
    index: usize,
    /// Whether the directory may be an object itself, which is still to be visited.
    folder: Visit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Due,
    Done,
}

/// Walks the keys of one bucket in order.
pub(super) struct Walk<'a> {
    contents: &'a Contents,
    query: &'a ListQuery,
    frames: Vec<Frame>,
    /// Keys beginning with this have been rolled up already.
    rolled_up: Option<String>,
}

impl<'a> Walk<'a> {
    /// Starts in the deepest directory that holds every key wanted; nothing if there is none.
    pub(super) fn new(
        contents: &'a Contents,
        root: &Directory,
        query: &'a ListQuery,
    ) -> io::Result<Option<Self>> {
        let end = query.prefix.rfind('/').map_or(0, |slash| slash + 1);
        let prefix = &query.prefix[..end];
        let directory = match root.walk(&encode_directory(prefix)) {
            Ok(directory) => directory,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut walk = Self {
            contents,
            query,
            frames: Vec::new(),
            rolled_up: None,
        };
        walk.enter(directory, prefix.to_owned())?;
        Ok(Some(walk))
    }

    /// Passes over all keys that begin with `prefix`.
    pub(super) fn roll_up(&mut self, prefix: String) {
        while self.frames.len() > 1
            && self
                .frames
                .last()
                .is_some_and(|frame| frame.prefix.starts_with(&prefix))
        {
            self.frames.pop();
        }
        if let Some(frame) = self.frames.last_mut()
            && let Some(rest) = prefix.strip_prefix(&frame.prefix)
        {
            let passed = |text: &str| text < rest || text.starts_with(rest);
            frame.index = frame.index.max(frame.names.position(passed));
        }
        self.rolled_up = Some(prefix);
    }

    /// Whether a key can be wanted, or for a directory any key that begins with `text`.
    fn wants(&self, text: &str, kind: Kind) -> bool {
        let directory = kind == Kind::Inner;
        let prefix = self.query.prefix.as_str();
        let matching = text.starts_with(prefix) || (directory && prefix.starts_with(text));
        let later = self
            .query
            .after
            .as_deref()
            .is_none_or(|after| text > after || (directory && after.starts_with(text)));
        let rolled_up = self
            .rolled_up
            .as_deref()
            .is_some_and(|rolled_up| text.starts_with(rolled_up));
        matching && later && !rolled_up
    }

    fn enter(&mut self, directory: Directory, prefix: String) -> io::Result<()> {
        let seek = self.seek(&prefix);
        let names = self.names(&directory, seek)?;
        let index = names.position(|text| text < seek);
        let ours = names.get(0) == Some(("", Kind::File));
        let folder = if prefix.is_empty() || ours {
            Visit::Done
        } else {
            Visit::Due
        };
        self.frames.push(Frame {
            directory,
            prefix,
            names,
            index,
            folder,
        });
        Ok(())
    }

    /// The first text in a directory that can be wanted.
    fn seek(&self, directory_prefix: &str) -> &'a str {
        let query = self.query;
        let rest = |text: &'a str| text.strip_prefix(directory_prefix).unwrap_or_default();
        let after = rest(query.after.as_deref().unwrap_or_default());
        // Of a directory that the last key lies in, more may follow.
        let after = after.find('/').map_or(after, |slash| &after[..=slash]);
        rest(&query.prefix).max(after)
    }

    fn names(&self, directory: &Directory, seek: &str) -> io::Result<Arc<Names>> {
        let contents = self.contents;
        let _settled = contents.moves_in_steps().then(|| {
            let settled = contents.directories.read();
            settled.unwrap_or_else(PoisonError::into_inner)
        });
        contents
            .names
            .names(directory, seek, contents.sources.now())
    }

    /// The directory that the step to the last key starts from.
    pub(super) fn directory(&self) -> &Directory {
        let frame = self
            .frames
            .last()
            .expect("the frame a key came from is still there");
        &frame.directory
    }

    /// Returns the next key with the step to it from [`Walk::directory`].
    pub(super) fn next(&mut self) -> io::Result<Option<(String, Step)>> {
        while let Some(frame) = self.frames.last_mut() {
            if frame.folder == Visit::Due {
                frame.folder = Visit::Done;
                let key = frame.prefix.clone();
                if self.wants(&key, Kind::File)
                    && self.contents.foreign.folder(self.directory())?.is_some()
                {
                    return Ok(Some((key, Step::Folder)));
                }
                continue;
            }
            frame.index = frame.names.still_there(frame.index);
            let Some((text, kind)) = frame.names.get(frame.index) else {
                self.go_on()?;
                continue;
            };
            frame.index += 1;
            let key = format!("{}{text}", frame.prefix);
            if !self.wants(&key, kind) {
                if is_past(&key, &self.query.prefix) {
                    self.frames.pop();
                }
                continue;
            }
            if let Some(step) = self.step(key, kind)? {
                return Ok(Some(step));
            }
        }
        Ok(None)
    }

    /// Goes on with the next names of the innermost directory, or leaves it if there are none.
    fn go_on(&mut self) -> io::Result<()> {
        let Some(mut frame) = self.frames.pop() else {
            return Ok(());
        };
        if !frame.names.more {
            return Ok(());
        }
        let last = frame.names.len().checked_sub(1);
        let Some((last, _)) = last.and_then(|last| frame.names.get(last)) else {
            return Ok(());
        };
        let seek = format!("{last}\0");
        frame.names = self.names(&frame.directory, &seek)?;
        frame.index = frame.names.position(|text| text < seek.as_str());
        self.frames.push(frame);
        Ok(())
    }

    /// Returns the step to a key, or enters the directory that keys with this beginning lie in.
    fn step(&mut self, key: String, kind: Kind) -> io::Result<Option<(String, Step)>> {
        let Some(frame) = self.frames.last() else {
            return Ok(None);
        };
        let component = &key[frame.prefix.len()..];
        let mut names = encode(component.strip_suffix('/').unwrap_or(component));
        match kind {
            Kind::File => Ok(Some((key, Step::Object(names)))),
            Kind::Itself => {
                names.push(SELF_NAME.to_owned());
                let there = match frame.directory.kind_at(&names) {
                    Ok(there) => there,
                    Err(error) if is_absent(&error) => None,
                    Err(error) => return Err(error),
                };
                let object = there == Some(NameKind::File);
                Ok(object.then_some((key, Step::Object(names))))
            }
            Kind::Inner => {
                match frame.directory.walk(&names) {
                    Ok(inner) => self.enter(inner, key)?,
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return Err(error),
                }
                Ok(None)
            }
        }
    }
}

/// Whether neither a key nor any after it begins with `prefix`, nor with a beginning of it.
fn is_past(key: &str, prefix: &str) -> bool {
    key > prefix && !key.starts_with(prefix)
}
