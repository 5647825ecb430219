//! Taking objects out of their places. Everything here blocks.
//!
//! What one request removes from one directory becomes durable with one sync of it.

use std::collections::HashMap;
use std::io;

use rustix::fs::Stat;

use super::foreign::s3proxy;
use super::objects::{Lies, OnDamage, is_absent};
use super::path::{EMPTY, SELF_NAME, encode};
use super::record::Record;
use super::switch::Spare;
use super::trash::{Keeping, Why};
use super::tree::{Directory, NameKind};
use super::volume::Volume;
use crate::backend::condition::WriteCondition;
use crate::backend::{Error, ObjectPath};

/// Objects taken out of one directory, to be gone once that is durable.
struct Group {
    bucket: Directory,
    /// Below the bucket.
    names: Vec<String>,
    directory: Directory,
    taken: Vec<Taken>,
}

struct Taken {
    /// Which of the objects of the request it is.
    index: usize,
    name: String,
    record: Record,
    stat: Stat,
    spare: Spare,
}

impl Volume {
    /// Removes an object, and the directories that are empty without it.
    pub(super) fn remove(
        &self,
        path: &ObjectPath,
        condition: &WriteCondition,
    ) -> Result<(), Error> {
        let wrap = Error::io("removing the object");
        let bucket = self.bucket(path.bucket())?;
        let names = encode(path.key());
        let (last, parents) = names.split_last().expect("a key has a name");
        let directories = {
            let _guard = self.lock(path.bucket(), path.key());
            // What cannot be read can still be removed.
            let found = self.find_in(&bucket, path, OnDamage::Overlook)?;
            condition.judge(
                path.key(),
                found.as_ref().map(|found| found.record.etag.as_str()),
            )?;
            let Some(found) = found else {
                return Ok(());
            };
            let (directories, name) = match found.lies {
                Lies::AtItsName => (parents, last.as_str()),
                Lies::Inside => (names.as_slice(), SELF_NAME),
                Lies::AsFolder => (parents, ""),
            };
            let directory = bucket.walk(directories).map_err(&wrap)?;
            let kept = self.keep(path, &found, Why::Deleted, Keeping::AsSet)?;
            if last == EMPTY {
                // Before the file, which hides it: the folder would be the object again.
                s3proxy::forget_folder(&directory).map_err(&wrap)?;
            }
            let taken = match found.lies {
                Lies::AsFolder => remove_folder(&bucket, directories),
                Lies::AtItsName => self.names.removing(&directory, component(path), || {
                    self.take_out(&directory, name)
                }),
                Lies::Inside => self.take_out(&directory, name),
            };
            if let Some(kept) = kept {
                self.resolve(kept, &found, &directory, name, &taken);
            }
            taken.map_err(&wrap)?;
            self.forget_record(path, &found.record, &found.stat, None);
            match found.lies {
                Lies::AsFolder => directories
                    .split_last()
                    .map_or(directories, |(_, above)| above),
                Lies::AtItsName | Lies::Inside => directories,
            }
        };
        prune(&bucket, directories);
        Ok(())
    }

    /// Removes many objects. Returns one result for each, in order.
    pub(super) fn remove_many(
        &self,
        objects: &[(ObjectPath, WriteCondition)],
    ) -> Vec<Result<(), Error>> {
        let mut groups = HashMap::new();
        let mut results: Vec<_> = objects
            .iter()
            .enumerate()
            .map(|(index, (path, condition))| self.take_one(&mut groups, index, path, condition))
            .collect();
        for group in groups.into_values() {
            self.finish(group, objects, &mut results);
        }
        results
    }

    /// Takes an object out of its place, into the group of its directory. Objects that are no ordinary files are removed
    /// at once.
    fn take_one(
        &self,
        groups: &mut HashMap<(String, Vec<String>), Group>,
        index: usize,
        path: &ObjectPath,
        condition: &WriteCondition,
    ) -> Result<(), Error> {
        let wrap = Error::io("removing the object");
        let mut parents = encode(path.key());
        let name = parents.pop().expect("a key has a name");
        let place = (path.bucket().to_owned(), parents);
        if !groups.contains_key(&place) {
            let bucket = self.bucket(path.bucket())?;
            let directory = match bucket.walk(&place.1) {
                Ok(directory) => directory,
                Err(error) if is_absent(&error) => return condition.judge(path.key(), None),
                Err(error) => return Err(wrap(error)),
            };
            let group = Group {
                bucket,
                names: place.1.clone(),
                directory,
                taken: Vec::new(),
            };
            groups.insert(place.clone(), group);
        }
        let group = groups.get_mut(&place).expect("it is there now");
        let guard = self.lock(path.bucket(), path.key());
        let found = self.find_at(&group.directory, &name, path, OnDamage::Overlook)?;
        if name == EMPTY
            || found
                .as_ref()
                .is_some_and(|found| found.lies != Lies::AtItsName)
        {
            drop(guard);
            return self.remove(path, condition);
        }
        condition.judge(
            path.key(),
            found.as_ref().map(|found| found.record.etag.as_str()),
        )?;
        let Some(found) = found else { return Ok(()) };
        let aside = || self.set_aside(&group.directory, &name);
        let spare = self
            .names
            .removing(&group.directory, component(path), aside)
            .map_err(wrap)?;
        group.taken.push(Taken {
            index,
            name,
            record: found.record,
            stat: found.stat,
            spare,
        });
        Ok(())
    }

    /// Makes durable what was taken out of a directory, or puts it back.
    fn finish(
        &self,
        group: Group,
        objects: &[(ObjectPath, WriteCondition)],
        results: &mut [Result<(), Error>],
    ) {
        let synced = if group.taken.is_empty() {
            Ok(())
        } else {
            group.directory.sync()
        };
        for taken in group.taken {
            match &synced {
                Ok(()) => {
                    let path = &objects[taken.index].0;
                    self.forget_record(path, &taken.record, &taken.stat, None);
                }
                Err(error) => {
                    taken
                        .spare
                        .put_back_unless_taken(&group.directory, &taken.name);
                    let error = error
                        .raw_os_error()
                        .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
                    results[taken.index] = Err(Error::io("removing the object")(error));
                }
            }
        }
        if synced.is_ok() {
            drop(group.directory);
            prune(&group.bucket, &group.names);
        }
    }
}

/// What a key is called in its directory.
fn component(path: &ObjectPath) -> &str {
    let key = path.key();
    key.rsplit_once('/').map_or(key, |(_, component)| component)
}

/// Removes the directories at the end of `names` as long as they are empty and no objects, never the bucket's own.
pub(super) fn prune(bucket: &Directory, names: &[String]) {
    for depth in (0..names.len()).rev() {
        let removed = bucket.walk(&names[..depth]).and_then(|parent| {
            if s3proxy::is_object(parent.open(&names[depth])?)? {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            parent.remove_directory(&names[depth])
        });
        if removed.is_err() {
            return;
        }
    }
}

/// Removes the directory at the end of `names` if it is empty. Durable when it returns.
fn remove_folder(bucket: &Directory, names: &[String]) -> io::Result<()> {
    let Some((last, parents)) = names.split_last() else {
        return Ok(());
    };
    let parent = bucket.walk(parents)?;
    match parent.remove_directory(last) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => parent.sync(),
    }
}

/// Removes the directories below `directory` that hold nothing. Files stay, and with them the directories they lie in.
pub(super) fn remove_empty_directories(directory: &Directory) -> io::Result<()> {
    for name in directory.names()? {
        if name.kind == NameKind::Directory {
            remove_empty_directories(&directory.open(&name.text)?)?;
            match directory.remove_directory(&name.text) {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }
    Ok(())
}
