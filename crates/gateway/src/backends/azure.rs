//! Objects as blobs of one Azure storage account: a bucket is a container, a key (nearly always) the name of a blob.
//!
//! A thin client of Azure's REST interface, because the official one has neither the key of an account nor listings by
//! delimiter. Nothing is kept outside the account and nothing is changed in two steps: bytes, metadata and condition go
//! into one call, so any number of gateways may serve one account, and one that is killed leaves at most what lies aside:
//!
//! | place in a container | what |
//! |---|---|
//! | `.lifeboat/uploads/<id>.<key>` | a multipart upload, see `upload` |
//! | `.lifeboat/writes/<id>` | content of one PUT that is larger than can be held and whose checksum comes last |
//!
//! Why uploads lie aside and not where the object will be: docs/decisions/0006-azure-uploads.md.

mod blob;
mod block;
mod body;
mod call;
mod client;
mod container;
mod copy;
mod failure;
mod identity;
mod intake;
mod lease;
mod list;
mod listing;
mod markers;
mod metadata;
mod name;
mod objects;
mod options;
mod publish;
mod put;
mod read;
mod record;
mod sign;
mod stage;
mod sweep;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::client::Client;
pub use self::client::Retry;
pub use self::identity::{Identity, Workload};
use self::markers::Markers;
pub use self::options::{Limits, OpenError, Options};
use crate::backend::content::Content;
use crate::backend::listing::{ListQuery, Page};
use crate::backend::options::{CopyOptions, DeleteOptions, Deleted, PutOptions, ReadOptions};
use crate::backend::relay::Relayed;
use crate::backend::upload::{
    BegunUpload, CompleteOptions, PartInfo, UploadInfo, UploadOptions, UploadParts,
};
use crate::backend::{
    Backend, BucketInfo, Buffers, Error, ObjectInfo, ObjectPath, Opened, Status, Stored,
};
use crate::backends::Sources;

/// The most bytes that come from a connection at a time.
const PIECE: u64 = 512 * 1024;

/// Objects in a storage account. Clones serve the same account.
#[derive(Debug, Clone)]
pub struct Azure {
    client: Client,
    limits: Limits,
    sources: Sources,
    markers: Arc<Markers>,
}

impl Azure {
    /// Checks what can be checked without asking the account. Blocks.
    pub fn open(options: Options, sources: Sources) -> Result<Self, OpenError> {
        let base = options.base()?;
        let certificates = options.certificates()?;
        let prover = identity::Prover::new(&options.account, options.identity)?;
        let client = Client::new(base, prover, sources.clone(), options.retry, certificates)
            .map_err(|source| OpenError::Client { source })?;
        Ok(Self {
            client,
            limits: options.limits,
            sources,
            markers: Arc::default(),
        })
    }
}

#[async_trait]
impl Backend for Azure {
    async fn create_bucket(&self, bucket: &str) -> Result<(), Error> {
        container::create(&self.client, bucket).await
    }

    async fn bucket(&self, bucket: &str) -> Result<BucketInfo, Error> {
        container::info(&self.client, bucket).await
    }

    async fn buckets(&self) -> Result<Vec<BucketInfo>, Error> {
        container::list(&self.client).await
    }

    /// The service removes a container with all that is in it, so an object that is written between the look and the
    /// removal goes too.
    async fn delete_bucket(&self, bucket: &str) -> Result<(), Error> {
        if self.holds_objects(bucket).await? {
            return Err(Error::BucketNotEmpty {
                bucket: bucket.to_owned(),
            });
        }
        container::remove(&self.client, bucket).await
    }

    async fn put(
        &self,
        path: &ObjectPath,
        options: PutOptions,
        content: Content,
    ) -> Result<Stored, Error> {
        self.put_object(path, options, content).await
    }

    async fn head(&self, path: &ObjectPath, options: &ReadOptions) -> Result<ObjectInfo, Error> {
        self.describe(path, options).await
    }

    async fn get(&self, path: &ObjectPath, options: &ReadOptions) -> Result<Opened, Error> {
        self.open_object(path, options).await
    }

    async fn delete(&self, path: &ObjectPath, options: &DeleteOptions) -> Result<Deleted, Error> {
        read::refuse_version(options.version.as_deref())?;
        self.delete_object(path, &options.condition).await?;
        Ok(Deleted::default())
    }

    async fn copy(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: CopyOptions,
    ) -> Result<Stored, Error> {
        self.copy_object(from, to, &options).await
    }

    async fn list(&self, bucket: &str, query: &ListQuery) -> Result<Page, Error> {
        self.list_objects(bucket, query).await
    }

    async fn begin_upload(
        &self,
        path: &ObjectPath,
        options: UploadOptions,
    ) -> Result<BegunUpload, Error> {
        Ok(BegunUpload {
            id: self.begin(path, options).await?,
            relayed: Relayed::default(),
        })
    }

    async fn put_part(
        &self,
        path: &ObjectPath,
        upload: &str,
        number: u16,
        content: Content,
        _: Relayed,
    ) -> Result<PartInfo, Error> {
        self.put_upload_part(path, upload, number, content).await
    }

    async fn parts(&self, path: &ObjectPath, upload: &str) -> Result<UploadParts, Error> {
        self.upload_parts(path, upload).await
    }

    async fn complete_upload(
        &self,
        path: &ObjectPath,
        upload: &str,
        options: CompleteOptions,
    ) -> Result<Stored, Error> {
        self.complete(path, upload, &options).await
    }

    async fn abort_upload(&self, path: &ObjectPath, upload: &str) -> Result<(), Error> {
        self.abort(path, upload).await
    }

    async fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadInfo>, Error> {
        self.live_uploads(bucket, prefix).await
    }

    async fn sweep_uploads(&self, age: Duration) -> Result<usize, Error> {
        self.sweep(age).await
    }

    async fn status(&self) -> Result<Status, Error> {
        container::probe(&self.client).await?;
        Ok(Status::default())
    }

    fn buffers(&self, _: &str) -> Buffers {
        Buffers {
            write: self.limits.window,
            // A piece that is taken, one that is ready, and one that is read.
            read: 3 * PIECE,
            copy: 3 * PIECE,
        }
    }
}
