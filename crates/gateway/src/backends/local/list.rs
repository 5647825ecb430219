//! Listing a bucket in the byte order of its keys by walking its directories.
//!
//! A key that is `c` in its directory sorts as `c`; keys inside directory `c` sort as `c/…`. With that, a walk that visits
//! the names of each directory in order meets all keys in order, and whole directories outside the page are never opened.
//! Of a directory only the next [`BATCH`] names are held, however many it has.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::PoisonError;

use super::objects::is_absent;
use super::path::{Decoded, SELF_NAME, decode, encode_directory};
use super::record::Record;
use super::stage::get_record;
use super::tree::{Directory, NameKind};
use super::volume::Volume;
use crate::backend::listing::{Entry, ListQuery, Page};
use crate::backend::{Error, ObjectInfo, ObjectPath};

/// How many names of one directory are held at a time.
const BATCH: usize = 1024;

/// What a name in a directory leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// An object: names from the directory of the walk to its file.
    Object(Vec<String>),
    /// The object that the directory of the walk itself is, as other programs have it.
    Folder,
    /// A directory with keys that begin with the step's text.
    Inner(Vec<String>),
}

/// A directory being walked.
struct Frame {
    directory: Directory,
    /// What every key below begins with: empty or ending in `/`.
    prefix: String,
    /// Names still to visit, by what they sort as: the whole key, or the prefix of keys.
    batch: VecDeque<(String, Step)>,
    /// The directory has more names after the batch.
    more: bool,
}

/// Walks the keys of one bucket in order.
struct Walk<'a> {
    volume: &'a Volume,
    query: &'a ListQuery,
    frames: Vec<Frame>,
    /// Keys beginning with this have been rolled up already.
    rolled_up: Option<String>,
}

impl Volume {
    /// Returns one page of a listing.
    pub(super) fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error> {
        let wrap = Error::io("listing the bucket");
        let root = self.bucket(bucket)?;
        let mut page = Page::default();
        let Some(mut walk) = Walk::new(self, &root, query).map_err(&wrap)? else {
            return Ok(page);
        };
        while let Some((key, step)) = walk.next().map_err(&wrap)? {
            let leftover = self.foreign.may_be_leftover(&key)
                && self
                    .describe(bucket, &key, walk.directory(), &step)?
                    .is_none();
            if leftover {
                continue;
            }
            if page.entries.len() == query.limit {
                page.truncated = true;
                break;
            }
            match common_prefix(query, &key) {
                Some(prefix) => {
                    walk.roll_up(prefix.to_owned());
                    if query.after.as_deref().is_none_or(|after| prefix > after) {
                        page.entries.push(Entry::Prefix(prefix.to_owned()));
                    }
                }
                None => {
                    if let Some(info) = self.describe(bucket, &key, walk.directory(), &step)? {
                        page.entries.push(Entry::Object { key, info });
                    }
                }
            }
        }
        Ok(page)
    }

    /// Whether a bucket holds any object.
    pub(super) fn holds_objects(&self, bucket: &str) -> Result<bool, Error> {
        let query = ListQuery {
            limit: 1,
            ..ListQuery::default()
        };
        Ok(!self.list(bucket, &query)?.entries.is_empty())
    }

    /// Removes the files of a bucket that are no objects because another program did not finish them.
    pub(super) fn remove_leftovers(&self, bucket: &str) -> Result<(), Error> {
        let wrap = Error::io("removing what another program left in the bucket");
        let root = self.bucket(bucket)?;
        let query = ListQuery::default();
        let Some(mut walk) = Walk::new(self, &root, &query).map_err(&wrap)? else {
            return Ok(());
        };
        while let Some((key, step)) = walk.next().map_err(&wrap)? {
            let Step::Object(names) = &step else { continue };
            let leftover = self.foreign.may_be_leftover(&key)
                && self
                    .describe(bucket, &key, walk.directory(), &step)?
                    .is_none();
            if let (true, Some((last, parents))) = (leftover, names.split_last()) {
                let parent = walk.directory().walk(parents).map_err(&wrap)?;
                parent.remove_file(last).map_err(&wrap)?;
            }
        }
        Ok(())
    }

    fn describe(
        &self,
        bucket: &str,
        key: &str,
        directory: &Directory,
        step: &Step,
    ) -> Result<Option<ObjectInfo>, Error> {
        let wrap = Error::io("listing the bucket");
        let Ok(path) = ObjectPath::new(bucket, key) else {
            return Ok(None);
        };
        let names = match step {
            Step::Object(names) => names,
            Step::Folder => {
                let record = self.foreign.folder(directory).map_err(wrap)?;
                return Ok(record.map(|record| record.info(0)));
            }
            Step::Inner(_) => return Ok(None),
        };
        let (last, parents) = names.split_last().expect("an object has a name");
        let opened = if parents.is_empty() {
            directory.open_file(last)
        } else {
            directory
                .walk(parents)
                .and_then(|parent| parent.open_file(last))
        };
        let file = match opened {
            Ok(file) => file,
            // Removed since its name was read, or moved into a directory of its name.
            Err(error) if is_absent(&error) && !self.moves_in_steps() => return Ok(None),
            Err(error) if is_absent(&error) || error.kind() == io::ErrorKind::IsADirectory => {
                return match self.find(&path) {
                    Ok(found) => Ok(Some(found.info())),
                    Err(Error::NoSuchKey { .. }) => Ok(None),
                    Err(error) => Err(error),
                };
            }
            Err(error) => return Err(wrap(error)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| wrap(error.into()))?;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let record = match self.record(&file, &stat, &path) {
            Ok(record) => record,
            Err(error @ (Error::DamagedRecord { .. } | Error::NotSupported { .. })) => {
                // One damaged object must not hide all others; reading it says what is wrong.
                let bytes = get_record(&file)
                    .map_err(&wrap)?
                    .map_or(0, |bytes| bytes.len());
                tracing::warn!(%path, %error, bytes, "unreadable record of an object");
                Record::of_bare_file(&stat)
            }
            Err(error) => return Err(error),
        };
        if self.foreign.is_leftover(key, &record) {
            return Ok(None);
        }
        Ok(Some(record.info(size)))
    }
}

/// Returns the common prefix that stands for `key`, if it is rolled up.
fn common_prefix<'a>(query: &ListQuery, key: &'a str) -> Option<&'a str> {
    let delimiter = query.delimiter.as_deref()?;
    let rest = key.strip_prefix(query.prefix.as_str())?;
    let end = query.prefix.len() + rest.find(delimiter)? + delimiter.len();
    Some(&key[..end])
}

impl<'a> Walk<'a> {
    /// Starts in the deepest directory that holds every key wanted; nothing if there is none.
    fn new(volume: &'a Volume, root: &Directory, query: &'a ListQuery) -> io::Result<Option<Self>> {
        let end = query.prefix.rfind('/').map_or(0, |slash| slash + 1);
        let prefix = &query.prefix[..end];
        let directory = match root.walk(&encode_directory(prefix)) {
            Ok(directory) => directory,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut walk = Self {
            volume,
            query,
            frames: Vec::new(),
            rolled_up: None,
        };
        walk.enter(directory, prefix.to_owned())?;
        Ok(Some(walk))
    }

    /// Passes over all keys that begin with `prefix`.
    fn roll_up(&mut self, prefix: String) {
        while self.frames.len() > 1
            && self
                .frames
                .last()
                .is_some_and(|frame| frame.prefix.starts_with(&prefix))
        {
            self.frames.pop();
        }
        self.rolled_up = Some(prefix);
    }

    /// Whether a key can be wanted, or for a `directory` any key that begins with `text`.
    fn wants(&self, text: &str, directory: bool) -> bool {
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
        let mut frame = Frame {
            directory,
            prefix,
            batch: VecDeque::new(),
            more: false,
        };
        self.fill(&mut frame, None)?;
        self.frames.push(frame);
        Ok(())
    }

    /// Reads the next names of a directory: the first [`BATCH`] of those after `passed`.
    fn fill(&self, frame: &mut Frame, passed: Option<&str>) -> io::Result<()> {
        let mut first = BTreeMap::new();
        frame.more = false;
        let volume = self.volume;
        let _settled = volume.moves_in_steps().then(|| {
            let settled = volume.directories.read();
            settled.unwrap_or_else(PoisonError::into_inner)
        });
        // Most names of a large directory are not of this batch, so nothing is made of those.
        let mut keep = |text: String,
                        directory: bool,
                        step: &dyn Fn() -> io::Result<Option<Step>>| {
            if passed.is_some_and(|passed| text.as_str() <= passed) || !self.wants(&text, directory)
            {
                return Ok(());
            }
            let full = first.len() == BATCH;
            if full && first.last_key_value().is_some_and(|(last, _)| text > *last) {
                frame.more = true;
                return Ok(());
            }
            let Some(step) = step()? else { return Ok(()) };
            first.insert(text, step);
            if first.len() > BATCH {
                first.pop_last();
                frame.more = true;
            }
            Ok(())
        };
        if !frame.prefix.is_empty() {
            let itself = || {
                Ok(self
                    .volume
                    .foreign
                    .folder(&frame.directory)?
                    .map(|_| Step::Folder))
            };
            keep(frame.prefix.clone(), false, &itself)?;
        }
        gather(&frame.directory, &frame.prefix, &mut Vec::new(), &mut keep)?;
        frame.batch = first.into_iter().collect();
        Ok(())
    }

    /// The directory that the names of the last key start from.
    fn directory(&self) -> &Directory {
        let frame = self
            .frames
            .last()
            .expect("the frame a key came from is still there");
        &frame.directory
    }

    /// Returns the next key with the step to it from [`Walk::directory`].
    fn next(&mut self) -> io::Result<Option<(String, Step)>> {
        while let Some(mut frame) = self.frames.pop() {
            let Some((text, step)) = frame.batch.pop_front() else {
                continue;
            };
            if frame.batch.is_empty() && frame.more {
                self.fill(&mut frame, Some(&text))?;
            }
            let wanted = self.wants(&text, matches!(step, Step::Inner(_)));
            let inner = match &step {
                Step::Inner(names) if wanted => match frame.directory.walk(names) {
                    Ok(inner) => Some(inner),
                    Err(error) if is_absent(&error) => None,
                    Err(error) => return Err(error),
                },
                _ => None,
            };
            self.frames.push(frame);
            if let Some(inner) = inner {
                self.enter(inner, text)?;
            } else if wanted && !matches!(step, Step::Inner(_)) {
                return Ok(Some((text, step)));
            }
        }
        Ok(None)
    }
}

/// Calls `keep` for everything in a directory, with what it sorts as, whether it is a directory, and a way to make the
/// step to it. `pieces` are the directories of a long component between the frame's directory and this one.
fn gather(
    directory: &Directory,
    prefix: &str,
    pieces: &mut Vec<String>,
    keep: &mut impl FnMut(String, bool, &dyn Fn() -> io::Result<Option<Step>>) -> io::Result<()>,
) -> io::Result<()> {
    let mut long = Vec::new();
    directory.for_each(|name| {
        let names = || {
            pieces
                .iter()
                .cloned()
                .chain([name.text.clone()])
                .collect::<Vec<_>>()
        };
        match (decode(pieces, &name.text), name.kind) {
            (Some(Decoded::Component(component)), NameKind::File) => {
                let object = || Ok(Some(Step::Object(names())));
                keep(format!("{prefix}{component}"), false, &object)?;
            }
            (Some(Decoded::Component(component)), NameKind::Directory) => {
                let itself = || {
                    let kind = kind_of_itself(directory, &name.text)?;
                    Ok((kind == Some(NameKind::File)).then(|| {
                        let mut itself = names();
                        itself.push(SELF_NAME.to_owned());
                        Step::Object(itself)
                    }))
                };
                keep(format!("{prefix}{component}"), false, &itself)?;
                let inner = || Ok(Some(Step::Inner(names())));
                keep(format!("{prefix}{component}/"), true, &inner)?;
            }
            (Some(Decoded::Beginning), NameKind::Directory) => long.push(name.text),
            _ => {}
        }
        Ok(())
    })?;
    for piece in long {
        match directory.open(&piece) {
            Ok(inner) => {
                pieces.push(piece);
                gather(&inner, prefix, pieces, keep)?;
                pieces.pop();
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn kind_of_itself(directory: &Directory, name: &str) -> io::Result<Option<NameKind>> {
    match directory.kind(&format!("{name}/{SELF_NAME}")) {
        Err(error) if is_absent(&error) => Ok(None),
        other => other,
    }
}
