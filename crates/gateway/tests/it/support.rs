//! What the tests share: a volume that goes away by itself, a clock that ticks, and short ways to say things.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use jiff::Timestamp;
use lifeboat_gateway::backend::condition::{ReadConditions, WriteCondition};
use lifeboat_gateway::backend::digest::Expected;
use lifeboat_gateway::backend::{
    Attributes, Backend, Content, Error, ListQuery, ObjectInfo, ObjectPath,
};
use lifeboat_gateway::backends::local::{Local, Sources};
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

/// Content that arrives in pieces.
pub(crate) fn content(bytes: impl Into<Bytes>) -> Content {
    let bytes = bytes.into();
    let length = u64::try_from(bytes.len()).unwrap();
    let pieces: Vec<_> = bytes
        .chunks(100_000)
        .map(Bytes::copy_from_slice)
        .map(Ok)
        .collect();
    Content {
        stream: Box::pin(stream::iter(pieces)),
        length: Some(length),
        expected: Expected::default(),
    }
}

pub(crate) async fn put(
    backend: &dyn Backend,
    key: &str,
    bytes: &str,
) -> Result<ObjectInfo, Error> {
    let bytes = Bytes::copy_from_slice(bytes.as_bytes());
    backend
        .put(
            &at(key),
            Attributes::default(),
            content(bytes),
            WriteCondition::None,
        )
        .await
}

pub(crate) async fn read(backend: &dyn Backend, key: &str) -> Result<String, Error> {
    let opened = backend
        .get(&at(key), None, &ReadConditions::default())
        .await?;
    let pieces: Vec<Bytes> = opened.body.try_collect().await.unwrap();
    Ok(String::from_utf8(pieces.concat()).unwrap())
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
