//! A bucket that lies in a store under another name, or as a prefix of another bucket.
//!
//! Names are translated on the way in and back on the way out; nothing else changes.

use std::sync::Arc;

use async_trait::async_trait;

use super::Place;
use crate::backend::content::Content;
use crate::backend::listing::{Entry, ListQuery, Page};
use crate::backend::options::{CopyOptions, DeleteOptions, Deleted, PutOptions, ReadOptions};
use crate::backend::relay::{self, Relay, Relayed};
use crate::backend::upload::{
    BegunUpload, CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts,
};
use crate::backend::{
    Backend, BucketInfo, Buffers, Error, ObjectInfo, ObjectPath, Opened, Status, Stored,
};

/// One bucket of the clients, kept at a place in a store.
pub(super) struct Mapped {
    bucket: String,
    place: Place,
    store: Arc<dyn Backend>,
}

impl Mapped {
    pub(super) fn new(bucket: &str, place: Place, store: Arc<dyn Backend>) -> Self {
        Self {
            bucket: bucket.to_owned(),
            place,
            store,
        }
    }

    /// A part of a bucket is not made or removed as a bucket.
    fn is_whole(&self) -> bool {
        self.place.prefix.is_empty()
    }

    /// The key as clients know it; nothing if it is outside of the place.
    fn shorter<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.place.prefix.as_str())
    }

    /// The store's words about its own names, in the clients' names.
    fn told(&self, error: Error) -> Error {
        let shorter = |key: String| self.shorter(&key).map(str::to_owned).unwrap_or(key);
        match error {
            Error::NoSuchBucket { .. } => Error::NoSuchBucket {
                bucket: self.bucket.clone(),
            },
            Error::BucketExists { .. } => Error::BucketExists {
                bucket: self.bucket.clone(),
            },
            Error::BucketNotEmpty { .. } => Error::BucketNotEmpty {
                bucket: self.bucket.clone(),
            },
            Error::NoSuchKey { key } => Error::NoSuchKey { key: shorter(key) },
            Error::PreconditionFailed { key } => Error::PreconditionFailed { key: shorter(key) },
            Error::NotModified { key, etag } => Error::NotModified {
                key: shorter(key),
                etag,
            },
            other => other,
        }
    }

    fn upload(&self, info: UploadInfo) -> Option<UploadInfo> {
        let key = self.shorter(&info.key)?.to_owned();
        Some(UploadInfo { key, ..info })
    }
}

#[async_trait]
impl Backend for Mapped {
    fn placed(&self, path: &ObjectPath) -> Result<ObjectPath, Error> {
        let key = format!("{}{}", self.place.prefix, path.key());
        self.store
            .placed(&ObjectPath::new(self.place.bucket.as_str(), key)?)
    }

    async fn create_bucket(&self, _: &str) -> Result<(), Error> {
        self.store
            .create_bucket(&self.place.bucket)
            .await
            .map_err(|error| self.told(error))
    }

    async fn bucket(&self, _: &str) -> Result<BucketInfo, Error> {
        let found = self.store.bucket(&self.place.bucket).await;
        let info = found.map_err(|error| self.told(error))?;
        Ok(BucketInfo {
            name: self.bucket.clone(),
            ..info
        })
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        Ok(vec![self.bucket(&self.bucket).await?])
    }

    async fn delete_bucket(&self, _: &str) -> Result<(), Error> {
        if !self.is_whole() {
            return Err(Error::NotSupported {
                what: "deleting a bucket that is part of another",
            });
        }
        self.store
            .delete_bucket(&self.place.bucket)
            .await
            .map_err(|error| self.told(error))
    }

    async fn put(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error> {
        self.store
            .put(&self.placed(path)?, options, content)
            .await
            .map_err(|error| self.told(error))
    }

    async fn head(&self, path: &ObjectPath, options: &ReadOptions) -> Result<ObjectInfo, Error> {
        self.store
            .head(&self.placed(path)?, options)
            .await
            .map_err(|error| self.told(error))
    }

    async fn get(&self, path: &ObjectPath, options: &ReadOptions) -> Result<Opened, Error> {
        self.store
            .get(&self.placed(path)?, options)
            .await
            .map_err(|error| self.told(error))
    }

    async fn delete(&self, path: &ObjectPath, options: &DeleteOptions) -> Result<Deleted, Error> {
        self.store
            .delete(&self.placed(path)?, options)
            .await
            .map_err(|error| self.told(error))
    }

    async fn delete_many(
        &self,
        objects: Vec<(ObjectPath, DeleteOptions)>,
    ) -> Vec<Result<Deleted, Error>> {
        // A key may be too long once the prefix is before it; the others are removed all the same.
        let mut outcomes: Vec<Option<Result<Deleted, Error>>> = Vec::new();
        let mut inside = Vec::new();
        for (path, options) in objects {
            match self.placed(&path) {
                Ok(placed) => {
                    inside.push((placed, options));
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(Err(error))),
            }
        }
        let mut removed = self.store.delete_many(inside).await.into_iter();
        outcomes
            .into_iter()
            .filter_map(|outcome| outcome.or_else(|| removed.next()))
            .map(|outcome| outcome.map_err(|error| self.told(error)))
            .collect()
    }

    async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<Stored, Error> {
        self.store
            .copy(&self.placed(from)?, &self.placed(to)?, options)
            .await
            .map_err(|error| self.told(error))
    }

    async fn list(&self, _: &str, query: &ListQuery) -> Result<Page, Error> {
        let prefix = &self.place.prefix;
        let inside = ListQuery {
            prefix: format!("{prefix}{}", query.prefix),
            after: query.after.as_ref().map(|after| format!("{prefix}{after}")),
            delimiter: query.delimiter.clone(),
            limit: query.limit,
        };
        let listed = self.store.list(&self.place.bucket, &inside).await;
        let page = listed.map_err(|error| self.told(error))?;
        let entries = page
            .entries
            .into_iter()
            .filter_map(|entry| {
                Some(match entry {
                    Entry::Object { key, info } => Entry::Object {
                        key: self.shorter(&key)?.to_owned(),
                        info,
                    },
                    Entry::Prefix(prefix) => Entry::Prefix(self.shorter(&prefix)?.to_owned()),
                })
            })
            .collect();
        Ok(Page {
            entries,
            truncated: page.truncated,
        })
    }

    async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<BegunUpload, Error> {
        self.store
            .begin_upload(&self.placed(path)?, options)
            .await
            .map_err(|error| self.told(error))
    }

    async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        content: Content,
        relayed: Relayed,
    ) -> Result<PartInfo, Error> {
        self.store
            .put_part(&self.placed(path)?, upload, number, content, relayed)
            .await
            .map_err(|error| self.told(error))
    }

    async fn copy_part(
        &self,
        from: &ObjectPath,
        read: &ReadOptions,
        to: &ObjectPath,
        upload: &str,
        number: u16,
    ) -> Result<PartInfo, Error> {
        self.store
            .copy_part(&self.placed(from)?, read, &self.placed(to)?, upload, number)
            .await
            .map_err(|error| self.told(error))
    }

    async fn parts(&self, path: &ObjectPath, upload: &str) -> Result<UploadParts, Error> {
        self.store
            .parts(&self.placed(path)?, upload)
            .await
            .map_err(|error| self.told(error))
    }

    async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<Stored, Error> {
        self.store
            .complete_upload(&self.placed(path)?, upload, options)
            .await
            .map_err(|error| self.told(error))
    }

    async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error> {
        self.store
            .abort_upload(&self.placed(path)?, upload)
            .await
            .map_err(|error| self.told(error))
    }

    async fn uploads(&self, _: &str, prefix: &str) -> Result<Vec<UploadInfo>, Error> {
        let prefix = format!("{}{prefix}", self.place.prefix);
        let found = self.store.uploads(&self.place.bucket, &prefix).await;
        let uploads = found.map_err(|error| self.told(error))?;
        Ok(uploads
            .into_iter()
            .filter_map(|upload| self.upload(upload))
            .collect())
    }

    async fn status(&self) -> Result<Status, Error> {
        self.store.status().await
    }

    fn buffers(&self, _: &str) -> Buffers {
        self.store.buffers(&self.place.bucket)
    }

    fn relay(&self, _: &str) -> Option<&dyn Relay> {
        self.store
            .relay(&self.place.bucket)
            .map(|_| self as &dyn Relay)
    }
}

#[async_trait]
impl Relay for Mapped {
    async fn relay(&self, request: relay::Request) -> Result<relay::Answer, Error> {
        let inner = self
            .store
            .relay(&self.place.bucket)
            .ok_or(Error::NotSupported {
                what: "this request",
            })?;
        let key = match request.key {
            Some(key) => Some(format!("{}{key}", self.place.prefix)),
            // Its answer would speak of all that lies beside the place.
            None if !self.is_whole() => {
                return Err(Error::NotSupported {
                    what: "asking about a bucket that is part of another",
                });
            }
            None => None,
        };
        let bucket = self.place.bucket.clone();
        inner
            .relay(relay::Request {
                bucket,
                key,
                ..request
            })
            .await
            .map_err(|error| self.told(error))
    }
}
