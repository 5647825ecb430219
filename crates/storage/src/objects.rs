//! Objects as wholes: small ones read and replaced under a condition, many listed, copied and deleted.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use lifeboat_core::size::ByteSize;
use object_store::{
    CopyMode, CopyOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    UpdateVersion,
};

use crate::again;
use crate::bucket::{Bucket, Entry};
use crate::error::{Cause, Error};
use crate::raw::{self, Depth};

/// Which object it is that was read or written, for a condition: its etag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(UpdateVersion);

/// What must be so at the moment of the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    None,
    /// There is no such object.
    Absent,
    /// The object is still that one.
    Unchanged(&'a Version),
}

/// What is directly under a prefix.
#[derive(Debug, Clone)]
pub struct Level {
    pub entries: Vec<Entry>,
    /// Names that other names lie below, without their `/`.
    pub folders: Vec<String>,
}

/// A whole object.
#[derive(Debug, Clone)]
pub struct Fetched {
    pub bytes: Bytes,
    pub version: Version,
    pub modified: Timestamp,
}

impl Bucket {
    /// Returns all objects below `prefix`, however deep, ascending by key. `prefix` ends in `/`. Objects that only mark a folder are left out as far as they can be
    /// told: a marker deeper below comes as an object without bytes that has the name of the folder.
    pub async fn list_below(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let Some(path) = raw::path_of(prefix) else {
            return Ok(self.raw_level(prefix, Depth::All).await?.entries);
        };
        let listed = again::ask(async || {
            let listed = self.s3().list(Some(&path));
            let entries = listed.map_ok(|object| Entry {
                key: object.location.to_string(),
                size: ByteSize(object.size),
                modified: moment(object.last_modified.timestamp_millis()),
            });
            entries.try_collect::<Vec<_>>().await
        });
        let mut entries = match listed.await {
            Ok(entries) => entries,
            Err(object_store::Error::InvalidPath { .. }) => {
                return Ok(self.raw_level(prefix, Depth::All).await?.entries);
            }
            Err(error) => {
                let cause = Cause::of(&error).for_bucket();
                return Err(self.failed(format!("list `{prefix}`"), cause));
            }
        };
        entries.retain(|entry| entry.key.starts_with(prefix));
        entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    /// The same where names are met that the client cannot hold.
    async fn raw_level(&self, prefix: &str, depth: Depth) -> Result<Level, Error> {
        let listed = raw::level(self.s3(), prefix, depth).await;
        listed.map_err(|cause| self.failed(format!("list `{prefix}`"), cause.for_bucket()))
    }

    /// Returns the names directly under `prefix` (empty, or ending in `/`) that other names lie below, without their `/`, ascending.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, Error> {
        Ok(self.level(prefix).await?.folders)
    }

    /// Returns what is directly under `prefix` (empty, or ending in `/`), from one listing.
    pub async fn level(&self, prefix: &str) -> Result<Level, Error> {
        let Some(parent) = raw::path_of(prefix) else {
            return self.raw_level(prefix, Depth::One).await;
        };
        let parent = (!prefix.is_empty()).then_some(&parent);
        let listed = again::ask(async || self.s3().list_with_delimiter(parent).await);
        let listed = match listed.await {
            Ok(listed) => listed,
            Err(object_store::Error::InvalidPath { .. }) => {
                return self.raw_level(prefix, Depth::One).await;
            }
            Err(error) => {
                let doing = match prefix {
                    "" => "list the objects".to_owned(),
                    prefix => format!("list `{prefix}`"),
                };
                return Err(self.failed(doing, Cause::of(&error).for_bucket()));
            }
        };
        let names = listed.common_prefixes.iter();
        let mut folders: Vec<String> = names
            .filter_map(|path| path.parts().next_back())
            .map(|part| part.as_ref().to_owned())
            .collect();
        folders.sort_unstable();
        let objects = listed.objects.into_iter();
        let mut entries: Vec<Entry> = objects
            .map(|object| Entry {
                key: object.location.to_string(),
                size: ByteSize(object.size),
                modified: moment(object.last_modified.timestamp_millis()),
            })
            .collect();
        // What marks the folder itself comes under its name.
        entries.retain(|entry| entry.key.starts_with(prefix));
        entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(Level { entries, folders })
    }

    /// Returns the object, none where there is no such object.
    pub async fn fetch(&self, key: &str) -> Result<Option<Fetched>, Error> {
        let path = self.path(key)?;
        let read = again::ask(async || {
            let found = self.s3().get(&path).await?;
            let meta = found.meta.clone();
            let bytes = found.bytes().await?;
            Ok::<_, object_store::Error>(Fetched {
                bytes,
                version: Version(UpdateVersion {
                    e_tag: meta.e_tag,
                    version: meta.version,
                }),
                modified: moment(meta.last_modified.timestamp_millis()),
            })
        });
        match read.await {
            Ok(fetched) => Ok(Some(fetched)),
            Err(error) => match Cause::of(&error) {
                Cause::NoObject => Ok(None),
                cause => Err(self.failed(format!("read `{key}`"), cause)),
            },
        }
    }

    /// Returns when the object was stored, none where there is no such object.
    pub async fn modified(&self, key: &str) -> Result<Option<Timestamp>, Error> {
        match self.s3().head(&self.path(key)?).await {
            Ok(found) => Ok(Some(moment(found.last_modified.timestamp_millis()))),
            Err(error) => match Cause::of(&error) {
                Cause::NoObject => Ok(None),
                cause => Err(self.failed(format!("look at `{key}`"), cause)),
            },
        }
    }

    /// Stores a small object in one request. A condition that is not met fails with [`Cause::Exists`]. After an answer that was lost, an object with
    /// these very bytes is taken for the one that was sent: with a condition, bytes should be nobody else's.
    pub async fn store(
        &self,
        key: &str,
        bytes: impl Into<Bytes>,
        condition: Condition<'_>,
    ) -> Result<Version, Error> {
        let path = self.path(key)?;
        let bytes = bytes.into();
        let mode = match condition {
            Condition::None => PutMode::Overwrite,
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(version) => PutMode::Update(version.0.clone()),
        };
        let stored = again::ask(async || {
            let payload = PutPayload::from_bytes(bytes.clone());
            let options = PutOptions::from(mode.clone());
            self.s3().put_opts(&path, payload, options).await
        });
        match stored.await {
            Ok(stored) => Ok(Version(stored.into())),
            Err(error) => {
                let cause = Cause::of(&error);
                if condition != Condition::None && matches!(cause, Cause::Exists) {
                    match self.fetch(key).await? {
                        Some(found) if found.bytes == bytes => return Ok(found.version),
                        _ => {}
                    }
                }
                Err(self.failed(format!("write `{key}`"), cause))
            }
        }
    }

    /// Copies an object inside the store. Its bytes do not come here.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        let (source, target) = (self.path(from)?, self.path(to)?);
        let options = CopyOptions::new().with_mode(CopyMode::Overwrite);
        let copied =
            again::ask(async || self.s3().copy_opts(&source, &target, options.clone()).await);
        copied
            .await
            .map_err(|error| self.failed(format!("copy `{from}` to `{to}`"), Cause::of(&error)))
    }

    /// Deletes many objects, up to a thousand in a request. Those that are not there are no failure.
    pub async fn delete_many(&self, keys: Vec<String>) -> Result<(), Error> {
        let paths = keys.iter().map(|key| self.path(key));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        let deleted = again::ask(async || {
            let paths = futures::stream::iter(paths.clone().into_iter().map(Ok)).boxed();
            let mut deleted = self.s3().delete_stream(paths);
            while let Some(one) = deleted.next().await {
                match one {
                    Err(object_store::Error::NotFound { .. }) | Ok(_) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        let deleted = deleted.await;
        deleted.map_err(|error| self.failed("delete objects", Cause::of(&error)))
    }
}

pub(crate) fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
