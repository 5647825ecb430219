//! Objects in AWS S3 or in a store that speaks its language.
//!
//! One to one: the buckets, keys, upload ids, etags and versions are the store's; conditions are judged by it, so they hold
//! among all its clients; checksums, metadata, storage classes, tags, locks and encryption pass through in both directions.
//! Content is checked here before the store can have all of it, and of no request more than a window is held.
//!
//! A client of its own on `reqwest`, because a typed model stands in the way of passing things on as they are.
//!
//! | file | what |
//! |---|---|
//! | `options`, `credentials` | which store, whose keys |
//! | `call`, `target`, `sign`, `client` | a request, its URL, its signature, and how it is sent |
//! | `body`, `watch` | content there and back |
//! | `headers`, `refusal` | what is said of objects, and why something was not done |
//! | `objects`, `windows`, `delete`, `list`, `uploads`, `buckets`, `relay` | the operations |

mod body;
mod buckets;
mod call;
mod client;
mod credentials;
mod delete;
mod headers;
mod list;
mod objects;
mod options;
mod refusal;
mod relay;
mod sign;
mod target;
mod uploads;
mod watch;
mod windows;

use std::sync::Arc;

use async_trait::async_trait;

use self::client::Client;
pub use self::options::{Keys, OpenError, Options, Patience, Style};
use super::Sources;
use crate::backend::content::Content;
use crate::backend::listing::{ListQuery, Page};
use crate::backend::options::{CopyOptions, DeleteOptions, Deleted, PutOptions, ReadOptions};
use crate::backend::relay::{Relay, Relayed};
use crate::backend::upload::{
    BegunUpload, CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts,
};
use crate::backend::{
    Backend, BucketInfo, Buffers, Error, ObjectInfo, ObjectPath, Opened, Status, Stored,
};

/// Buckets of one store. Clones share its connections.
///
/// Uploads that nobody goes on with are left to the bucket's own rules, as are old versions.
#[derive(Debug, Clone)]
pub struct S3 {
    client: Arc<Client>,
}

impl S3 {
    /// Takes the options as they are; the store is first asked by the first request. Reads the file of certificates, so it
    /// blocks.
    pub fn open(options: Options, sources: Sources) -> Result<Self, OpenError> {
        let client = Client::new(options, sources)?;
        Ok(Self {
            client: Arc::new(client),
        })
    }
}

#[async_trait]
impl Backend for S3 {
    async fn create_bucket(&self, bucket: &str) -> Result<(), Error> {
        self.client.create_bucket(bucket).await
    }

    async fn bucket(&self, bucket: &str) -> Result<BucketInfo, Error> {
        self.client.bucket(bucket).await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        self.client.buckets().await
    }

    async fn delete_bucket(&self, bucket: &str) -> Result<(), Error> {
        self.client.delete_bucket(bucket).await
    }

    async fn put(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error> {
        self.client.put(path, options, content).await
    }

    async fn head(&self, path: &ObjectPath, options: &ReadOptions) -> Result<ObjectInfo, Error> {
        self.client.head(path, options).await
    }

    async fn get(&self, path: &ObjectPath, options: &ReadOptions) -> Result<Opened, Error> {
        self.client.get(path, options).await
    }

    async fn delete(&self, path: &ObjectPath, options: &DeleteOptions) -> Result<Deleted, Error> {
        self.client.delete(path, options).await
    }

    async fn delete_many(
        &self,
        objects: Vec<(ObjectPath, DeleteOptions)>,
    ) -> Vec<Result<Deleted, Error>> {
        self.client.delete_many(objects).await
    }

    async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<Stored, Error> {
        self.client.copy(from, to, options).await
    }

    async fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error> {
        self.client.list(bucket, query).await
    }

    async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<BegunUpload, Error> {
        self.client.begin_upload(path, options).await
    }

    async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        content: Content,
        relayed: Relayed,
    ) -> Result<PartInfo, Error> {
        let client = &self.client;
        client
            .put_part(path, upload, number, content, relayed)
            .await
    }

    async fn copy_part(
        &self,
        from: &ObjectPath,
        read: &ReadOptions,
        to: &ObjectPath,
        upload: &str,
        number: u16,
    ) -> Result<PartInfo, Error> {
        self.client.copy_part(from, read, to, upload, number).await
    }

    async fn parts(&self, path: &ObjectPath, upload: &str) -> Result<UploadParts, Error> {
        self.client.parts(path, upload).await
    }

    async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<Stored, Error> {
        self.client.complete_upload(path, upload, options).await
    }

    async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error> {
        self.client.abort_upload(path, upload).await
    }

    async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadInfo>, Error> {
        self.client.uploads(bucket, prefix).await
    }

    /// Beside the content: the batch that waits for all of it, and what the client of the store has taken.
    fn buffers(&self, _: &str) -> Buffers {
        Buffers {
            write: 2 * 256 * 1024,
            ..Buffers::default()
        }
    }

    /// Nothing: the right to list buckets is one that many identities lack, and there is no volume.
    async fn status(&self) -> Result<Status, Error> {
        Ok(Status::default())
    }

    fn relay(&self, _: &str) -> Option<&dyn Relay> {
        Some(self)
    }
}
