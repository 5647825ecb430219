//! What the tests share: a volume that goes away by itself, a clock that ticks, and short ways to say things.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use jiff::Timestamp;
use lifeboat_gateway::backend::condition::{ReadConditions, WriteCondition};
use lifeboat_gateway::backend::content::{ByteStream, Content};
use lifeboat_gateway::backend::digest::Expected;
use lifeboat_gateway::backend::listing::ListQuery;
use lifeboat_gateway::backend::options::{ByteRange, DeleteOptions, PutOptions, ReadOptions};
use lifeboat_gateway::backend::relay::Relayed;
use lifeboat_gateway::backend::upload::{PartInfo, UploadOptions};
use lifeboat_gateway::backend::{Backend, Error, ObjectInfo, ObjectPath};
use lifeboat_gateway::backends::Sources;
use lifeboat_gateway::backends::local::Local;
use tempfile::TempDir;

/// A clock that is one second later whenever it is asked, and numbers that do not repeat.
pub(crate) fn sources(seed: u64) -> Sources {
    let clock = AtomicI64::new(1_700_000_000);
    let number = AtomicU64::new(seed << 32);
    Sources {
        now: Arc::new(move || {
            Timestamp::from_second(clock.fetch_add(1, Ordering::Relaxed)).unwrap()
        }),
        random: Arc::new(move || {
            number
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        }),
    }
}

/// A volume in service with the bucket `bucket`.
pub(crate) struct Volume {
    pub(crate) directory: TempDir,
    pub(crate) local: Local,
}

impl Volume {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let local = Local::open(directory.path(), sources(1)).unwrap();
        local.create_bucket("bucket").await.unwrap();
        Self { directory, local }
    }

    pub(crate) fn backend(&self) -> &dyn Backend {
        &self.local
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Ends the service as a crash would, and opens the volume again.
    pub(crate) fn reopen(self) -> Self {
        let Self { directory, local } = self;
        drop(local);
        let local = Local::open(directory.path(), sources(2)).unwrap();
        Self { directory, local }
    }
}

pub(crate) fn at(key: &str) -> ObjectPath {
    ObjectPath::new("bucket", key).unwrap()
}

/// A stream of bytes, as it arrives from the network.
pub(crate) fn pieces(bytes: &[u8]) -> ByteStream {
    let pieces: Vec<_> = bytes
        .chunks(100_000)
        .map(Bytes::copy_from_slice)
        .map(Ok)
        .collect();
    Box::pin(stream::iter(pieces))
}

/// Content that arrives in pieces.
pub(crate) fn content(bytes: impl AsRef<[u8]>) -> Content {
    content_expecting(bytes, Expected::default())
}

pub(crate) fn content_expecting(bytes: impl AsRef<[u8]>, expected: Expected) -> Content {
    let bytes = bytes.as_ref();
    Content::new(pieces(bytes), u64::try_from(bytes.len()).ok(), expected)
}

pub(crate) async fn put(
    backend: &dyn Backend,
    key: &str,
    bytes: &str,
) -> Result<ObjectInfo, Error> {
    put_if(backend, key, bytes, WriteCondition::None).await
}

pub(crate) async fn put_if(
    backend: &dyn Backend,
    key: &str,
    bytes: &str,
    condition: WriteCondition,
) -> Result<ObjectInfo, Error> {
    let options = PutOptions {
        condition,
        ..PutOptions::default()
    };
    backend.put(&at(key), options, content(bytes)).await
}

pub(crate) async fn read(backend: &dyn Backend, key: &str) -> Result<String, Error> {
    read_with(backend, key, &ReadOptions::default()).await
}

pub(crate) async fn read_range(
    backend: &dyn Backend,
    key: &str,
    range: ByteRange,
) -> Result<String, Error> {
    let options = ReadOptions {
        range: Some(range),
        ..ReadOptions::default()
    };
    read_with(backend, key, &options).await
}

pub(crate) async fn read_if(
    backend: &dyn Backend,
    key: &str,
    conditions: ReadConditions,
) -> Result<String, Error> {
    let options = ReadOptions {
        conditions,
        ..ReadOptions::default()
    };
    read_with(backend, key, &options).await
}

pub(crate) async fn read_with(
    backend: &dyn Backend,
    key: &str,
    options: &ReadOptions,
) -> Result<String, Error> {
    let opened = backend.get(&at(key), options).await?;
    let pieces: Vec<Bytes> = opened.body.try_collect().await.unwrap();
    Ok(String::from_utf8(pieces.concat()).unwrap())
}

pub(crate) async fn head(backend: &dyn Backend, key: &str) -> Result<ObjectInfo, Error> {
    backend.head(&at(key), &ReadOptions::default()).await
}

pub(crate) async fn delete(backend: &dyn Backend, key: &str) -> Result<(), Error> {
    let options = DeleteOptions::default();
    backend.delete(&at(key), &options).await.map(drop)
}

/// Begins an upload of which nothing is said, and returns its id.
pub(crate) async fn begin(backend: &dyn Backend, key: &str) -> Result<String, Error> {
    begin_with(backend, key, UploadOptions::default()).await
}

pub(crate) async fn begin_with(
    backend: &dyn Backend,
    key: &str,
    options: UploadOptions,
) -> Result<String, Error> {
    let begun = backend.begin_upload(&at(key), options).await?;
    Ok(begun.id)
}

pub(crate) async fn put_part(
    backend: &dyn Backend,
    key: &str,
    upload: &str,
    number: u16,
    content: Content,
) -> Result<PartInfo, Error> {
    backend
        .put_part(&at(key), upload, number, content, Relayed::default())
        .await
}

pub(crate) async fn keys(backend: &dyn Backend, query: &ListQuery) -> Vec<String> {
    let page = backend.list("bucket", query).await.unwrap();
    page.entries
        .iter()
        .map(|entry| entry.name().to_owned())
        .collect()
}

pub(crate) async fn all_keys(backend: &dyn Backend) -> Vec<String> {
    let query = ListQuery {
        limit: 10_000,
        ..ListQuery::default()
    };
    keys(backend, &query).await
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
