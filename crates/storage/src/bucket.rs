//! One bucket at one endpoint.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};

use crate::again;
use crate::error::{Cause, Error};
use crate::leftovers;
use crate::peer::{Connections, Peer};
use crate::pipe::{Feed, Source};
use crate::upload;

/// Where an S3 server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// With scheme, without bucket: `http://stackstate-minio:9000`. Buckets are addressed in the path.
    pub url: String,
    pub region: String,
    /// How long it may send nothing while an answer is awaited; then the request is made again, a few times. None: as long as it takes.
    pub read_timeout: Option<Duration>,
    pub content: Signing,
}

/// What the signature of a request that brings content is made over, where a gateway of ours answers. Any other server gets all signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// The CRC-64/NVME of the content, which the gateway compares. Whoever can change what goes over an unencrypted connection can make it fit.
    Checksum,
    /// All of the content, which costs each side a SHA-256 of it.
    Content,
}

/// The key pair of a client. Never printed.
#[derive(Clone)]
pub struct Access {
    pub access_key: String,
    pub secret_key: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Access(***)")
    }
}

/// An object as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub size: ByteSize,
    pub modified: Timestamp,
}

/// A bucket that backups are kept in.
pub struct Bucket {
    name: String,
    endpoint: Endpoint,
    s3: Arc<AmazonS3>,
    /// Sends a checksum of content instead of signing it.
    by_checksum: Arc<AmazonS3>,
    peer: Peer,
}

impl Bucket {
    /// Prepares the client. Nothing is sent: [`Bucket::check`] asks the server.
    pub fn new(endpoint: Endpoint, name: &str, access: &Access) -> Result<Self, Error> {
        const RETRIES: u32 = 4;
        let mut client = ClientOptions::new()
            .with_allow_http(true)
            .with_timeout_disabled()
            .with_connect_timeout(Duration::from_secs(5));
        if let Some(read_timeout) = endpoint.read_timeout {
            client = client.with_read_timeout(read_timeout);
        }
        let silence = endpoint.read_timeout.unwrap_or_default();
        let retry = RetryConfig {
            max_retries: RETRIES as usize,
            // Beside the time that the server is waited for.
            retry_timeout: Duration::from_mins(1) + silence * RETRIES,
            ..RetryConfig::default()
        };
        let peer = Peer::default();
        let builder = AmazonS3Builder::new()
            .with_endpoint(&endpoint.url)
            .with_region(&endpoint.region)
            .with_bucket_name(name)
            .with_access_key_id(&access.access_key)
            .with_secret_access_key(&access.secret_key)
            .with_virtual_hosted_style_request(false)
            .with_retry(retry);
        let build = || {
            let connections = Connections::new(&client, peer.clone())?;
            let builder = builder
                .with_client_options(client)
                .with_http_connector(connections);
            let by_checksum = builder
                .clone()
                .with_unsigned_payload(true)
                .with_checksum_algorithm(Checksum::CRC64NVME);
            Ok::<_, object_store::Error>((builder.build()?, by_checksum.build()?))
        };
        let name = name.to_owned();
        match build() {
            Ok((s3, by_checksum)) => Ok(Self {
                name,
                endpoint,
                s3: Arc::new(s3),
                by_checksum: Arc::new(by_checksum),
                peer,
            }),
            Err(_) => Err(Error {
                doing: "connect".to_owned(),
                cause: Box::new(Cause::Name(endpoint.url.clone())),
                endpoint: endpoint.url,
                bucket: name,
            }),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks the server whether bucket and key pair are good. Changes nothing.
    pub async fn check(&self) -> Result<(), Error> {
        let probe = object_store::list::PaginatedListOptions {
            max_keys: Some(1),
            ..Default::default()
        };
        let listed = again::ask(async || {
            object_store::list::PaginatedListStore::list_paginated(&*self.s3, None, probe.clone())
                .await
        });
        match listed.await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.failed("be reached", Cause::of(&error).for_bucket())),
        }
    }

    /// Returns the objects directly under `prefix` (empty, or ending in `/`), not those under deeper prefixes,
    /// ascending by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        Ok(self.level(prefix).await?.entries)
    }

    /// Returns the object's size, none where there is no such object.
    pub async fn size(&self, key: &str) -> Result<Option<u64>, Error> {
        match self.s3.head(&self.path(key)?).await {
            Ok(found) => Ok(Some(found.size)),
            Err(error) => match Cause::of(&error) {
                Cause::NoObject => Ok(None),
                cause => Err(self.failed(format!("look at `{key}`"), cause)),
            },
        }
    }

    /// Returns bytes of an object.
    pub async fn read_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        let path = self.path(key)?;
        let read = again::ask(async || self.s3.get_range(&path, range.clone()).await);
        read.await
            .map_err(|error| self.failed(format!("read `{key}`"), Cause::of(&error)))
    }

    /// Hands all of an object to `feed`, and a failure both to `feed` and to the caller. A reader that stops early is
    /// no failure.
    pub async fn read(&self, key: &str, feed: Feed, progress: &Progress) -> Result<(), Error> {
        match self.read_into(key, &feed, progress).await {
            Ok(()) => {
                feed.end().await;
                Ok(())
            }
            Err(cause) => {
                feed.failed(std::io::Error::other(cause.to_string())).await;
                Err(self.failed(format!("read `{key}`"), cause))
            }
        }
    }

    async fn read_into(&self, key: &str, feed: &Feed, progress: &Progress) -> Result<(), Cause> {
        let path = Path::parse(key).map_err(|_| Cause::Name(key.to_owned()))?;
        let found = self
            .s3
            .get(&path)
            .await
            .map_err(|error| Cause::of(&error))?;
        let mut stream = found.into_stream();
        while let Some(bytes) = stream.try_next().await.map_err(|error| Cause::of(&error))? {
            progress.add(0, bytes.len() as u64);
            if !feed.data(bytes).await {
                break;
            }
        }
        Ok(())
    }

    /// Makes an object of what `source` delivers, once its writer has said that it is whole, and returns its size.
    /// Refuses to replace an object. On failure there is no object, or, where only the last answer was lost, the whole
    /// one; a killed process leaves at most an upload that [`Bucket::remove_leftovers`] ends.
    pub async fn write(
        &self,
        key: &str,
        source: Source,
        progress: &Progress,
    ) -> Result<u64, Error> {
        let failed = |cause| self.failed(format!("write `{key}`"), cause);
        let path = self.path(key)?;
        if self.size(key).await?.is_some() {
            return Err(failed(Cause::Exists));
        }
        let store: Arc<dyn ObjectStore> = self.for_content().clone();
        let sent = upload::run(&store, &path, source, progress)
            .await
            .map_err(failed)?;
        upload::confirm(&store, &path, sent).await.map_err(failed)?;
        Ok(sent)
    }

    /// Deletes an object. One that is not there is no failure.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key)?;
        self.deleted(key, again::ask(async || self.s3.delete(&path).await).await)
    }

    /// The same, and asks no second time where the answer broke off: by then another object may be there that is not to go.
    pub async fn delete_once(&self, key: &str) -> Result<(), Error> {
        self.deleted(key, self.s3.delete(&self.path(key)?).await)
    }

    fn deleted(&self, key: &str, answer: object_store::Result<()>) -> Result<(), Error> {
        match answer {
            Ok(()) => Ok(()),
            Err(error) => match Cause::of(&error) {
                Cause::NoObject => Ok(()),
                cause => Err(self.failed(format!("delete `{key}`"), cause)),
            },
        }
    }

    /// Ends the uploads under `prefix` that no living run can own: begun more than a day before
    /// `now`, by a key that `ours` knows. Returns their keys.
    pub async fn remove_leftovers(
        &self,
        prefix: &str,
        now: Timestamp,
        ours: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, Error> {
        leftovers::remove(&self.s3, prefix, now, ours)
            .await
            .map_err(|cause| self.failed("end unfinished uploads", cause))
    }

    /// Ends all uploads under `prefix`, however young: for whoever alone may write there.
    pub async fn end_uploads(&self, prefix: &str) -> Result<Vec<String>, Error> {
        leftovers::remove(&self.s3, prefix, Timestamp::MAX, |_| true)
            .await
            .map_err(|cause| self.failed("end unfinished uploads", cause))
    }

    pub(crate) fn s3(&self) -> &AmazonS3 {
        &self.s3
    }

    /// The client for content of any size; an upload keeps to one.
    pub(crate) fn for_content(&self) -> &Arc<AmazonS3> {
        if self.endpoint.content == Signing::Checksum && self.peer.is_ours() {
            &self.by_checksum
        } else {
            &self.s3
        }
    }

    pub(crate) fn path(&self, key: &str) -> Result<Path, Error> {
        Path::parse(key).map_err(|_| self.failed("use the name", Cause::Name(key.to_owned())))
    }

    pub(crate) fn failed(&self, doing: impl Into<String>, cause: Cause) -> Error {
        Error {
            endpoint: self.endpoint.url.clone(),
            bucket: self.name.clone(),
            doing: doing.into(),
            cause: Box::new(cause),
        }
    }
}
