//! Listing a bucket in the byte order of its keys by walking its directories.
//!
//! A key that is `c` in its directory sorts as `c`; keys inside directory `c` sort as `c/…`. With that, a walk that visits
//! the names of each directory in order meets all keys in order, and whole directories outside the page are never opened.

mod names;
mod walk;

use std::io;

pub(super) use self::names::Cache;
use self::walk::{Step, Walk};
use super::contents::Contents;
use super::objects::is_absent;
use super::record::Record;
use super::stage::get_record;
use super::tree::Directory;
use crate::backend::listing::{Entry, ListQuery, Page};
use crate::backend::{Error, ObjectInfo, ObjectPath};

impl Contents {
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
        };
        let (last, parents) = names.split_last().expect("an object has a name");
        let opened = if parents.is_empty() {
            directory.open_known(last)
        } else {
            directory
                .walk(parents)
                .and_then(|parent| parent.open_known(last))
        };
        let (file, stat) = match opened {
            Ok(opened) => opened,
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
