//! What the tests share: a volume that goes away by itself, a clock that ticks, and short ways to say things.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use base64::Engine as _;
use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use lifeboat_gateway::backend::condition::{ReadConditions, WriteCondition};
use lifeboat_gateway::backend::content::{ByteStream, Content};
use lifeboat_gateway::backend::digest::Expected;
use lifeboat_gateway::backend::listing::ListQuery;
use lifeboat_gateway::backend::options::{ByteRange, DeleteOptions, PutOptions, ReadOptions};
use lifeboat_gateway::backend::relay::Relayed;
use lifeboat_gateway::backend::upload::{PartInfo, UploadOptions};
use lifeboat_gateway::backend::{Attributes, Backend, Error, ObjectInfo, ObjectPath, Stored};
use lifeboat_gateway::backends::Sources;
use lifeboat_gateway::backends::local::{Capability, Local};
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

/// The time of the machine, which servers compare a signature's with, and numbers that do not repeat.
#[expect(
    clippy::disallowed_methods,
    reason = "a server refuses requests whose time is not the machine's"
)]
pub(crate) fn wall_clock() -> Sources {
    Sources {
        now: Arc::new(Timestamp::now),
        ..sources(3)
    }
}

/// A volume in service with the bucket `bucket`.
pub(crate) struct Volume {
    pub(crate) directory: TempDir,
    pub(crate) local: Local,
    pub(crate) lacking: &'static [Capability],
}

impl Volume {
    pub(crate) async fn new() -> Self {
        Self::lacking(&[]).await
    }

    /// One on a file system that cannot do everything.
    pub(crate) async fn lacking(lacking: &'static [Capability]) -> Self {
        let directory = TempDir::new().unwrap();
        let local = Local::open_lacking(directory.path(), sources(1), lacking).unwrap();
        local.create_bucket("bucket").await.unwrap();
        Self {
            directory,
            local,
            lacking,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Ends the service as a crash would, and opens the volume again.
    pub(crate) fn reopen(self) -> Self {
        let Self {
            directory,
            local,
            lacking,
        } = self;
        drop(local);
        let local = Local::open_lacking(directory.path(), sources(2), lacking).unwrap();
        Self {
            directory,
            local,
            lacking,
        }
    }
}

/// A bucket in a backend that nothing else uses: what the contract's promises are tried on.
pub(crate) trait Place: Send + Sync {
    fn backend(&self) -> &dyn Backend;

    /// It is there and empty.
    fn bucket(&self) -> &str;

    /// A bucket that is not there and may be made.
    fn another(&self) -> String {
        format!("{}-another", self.bucket())
    }

    fn at(&self, key: &str) -> ObjectPath {
        ObjectPath::new(self.bucket(), key).unwrap()
    }
}

impl<B: Backend> Place for B {
    fn backend(&self) -> &dyn Backend {
        self
    }

    fn bucket(&self) -> &'static str {
        "bucket"
    }
}

impl Place for Volume {
    fn backend(&self) -> &dyn Backend {
        &self.local
    }

    fn bucket(&self) -> &'static str {
        "bucket"
    }
}

/// A volume whose clock stands until it is moved.
pub(crate) struct Timed {
    pub(crate) volume: Volume,
    /// In seconds since 1970.
    clock: Arc<AtomicI64>,
}

impl Timed {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let clock = Arc::new(AtomicI64::new(1_700_000_000));
        let local = Self::open(directory.path(), &clock);
        local.create_bucket("bucket").await.unwrap();
        let volume = Volume {
            directory,
            local,
            lacking: &[],
        };
        Self { volume, clock }
    }

    fn open(path: &Path, clock: &Arc<AtomicI64>) -> Local {
        let clock = Arc::clone(clock);
        let now = move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap();
        let sources = Sources {
            now: Arc::new(now),
            ..sources(1)
        };
        Local::open(path, sources).unwrap()
    }

    pub(crate) fn reopen(self) -> Self {
        let Self { volume, clock } = self;
        let Volume {
            directory, local, ..
        } = volume;
        drop(local);
        let local = Self::open(directory.path(), &clock);
        let volume = Volume {
            directory,
            local,
            lacking: &[],
        };
        Self { volume, clock }
    }

    /// Moves the clock, and looks after the volume as the gateway does meanwhile.
    pub(crate) async fn pass(&self, time: SignedDuration) {
        let mut left = time.as_secs();
        while left > 0 {
            let step = left.min(300);
            self.clock.fetch_add(step, Ordering::Relaxed);
            self.volume.local.tend().await.unwrap();
            left -= step;
        }
    }

    pub(crate) fn jump(&self, time: SignedDuration) {
        self.clock.fetch_add(time.as_secs(), Ordering::Relaxed);
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

pub(crate) async fn put(place: &dyn Place, key: &str, bytes: &str) -> Result<Stored, Error> {
    put_if(place, key, bytes, WriteCondition::None).await
}

pub(crate) async fn put_if(
    place: &dyn Place,
    key: &str,
    bytes: &str,
    condition: WriteCondition,
) -> Result<Stored, Error> {
    let options = PutOptions {
        condition,
        ..PutOptions::default()
    };
    place
        .backend()
        .put(&place.at(key), options, content(bytes))
        .await
}

pub(crate) async fn read(place: &dyn Place, key: &str) -> Result<String, Error> {
    read_with(place, key, &ReadOptions::default()).await
}

pub(crate) async fn read_range(
    place: &dyn Place,
    key: &str,
    range: ByteRange,
) -> Result<String, Error> {
    let options = ReadOptions {
        range: Some(range),
        ..ReadOptions::default()
    };
    read_with(place, key, &options).await
}

pub(crate) async fn read_if(
    place: &dyn Place,
    key: &str,
    conditions: ReadConditions,
) -> Result<String, Error> {
    let options = ReadOptions {
        conditions,
        ..ReadOptions::default()
    };
    read_with(place, key, &options).await
}

pub(crate) async fn read_with(
    place: &dyn Place,
    key: &str,
    options: &ReadOptions,
) -> Result<String, Error> {
    let opened = place.backend().get(&place.at(key), options).await?;
    let pieces: Vec<Bytes> = opened.body.try_collect().await.unwrap();
    Ok(String::from_utf8(pieces.concat()).unwrap())
}

pub(crate) async fn head(place: &dyn Place, key: &str) -> Result<ObjectInfo, Error> {
    place
        .backend()
        .head(&place.at(key), &ReadOptions::default())
        .await
}

pub(crate) async fn delete(place: &dyn Place, key: &str) -> Result<(), Error> {
    let options = DeleteOptions::default();
    place
        .backend()
        .delete(&place.at(key), &options)
        .await
        .map(drop)
}

/// Begins an upload of which nothing is said, and returns its id.
pub(crate) async fn begin(place: &dyn Place, key: &str) -> Result<String, Error> {
    begin_with(place, key, UploadOptions::default()).await
}

pub(crate) async fn begin_with(
    place: &dyn Place,
    key: &str,
    options: UploadOptions,
) -> Result<String, Error> {
    let begun = place
        .backend()
        .begin_upload(&place.at(key), options)
        .await?;
    Ok(begun.id)
}

pub(crate) async fn put_part(
    place: &dyn Place,
    key: &str,
    upload: &str,
    number: u16,
    content: Content,
) -> Result<PartInfo, Error> {
    place
        .backend()
        .put_part(&place.at(key), upload, number, content, Relayed::default())
        .await
}

pub(crate) async fn keys(place: &dyn Place, query: &ListQuery) -> Vec<String> {
    let page = place.backend().list(place.bucket(), query).await.unwrap();
    page.entries
        .iter()
        .map(|entry| entry.name().to_owned())
        .collect()
}

pub(crate) async fn all_keys(place: &dyn Place) -> Vec<String> {
    let query = ListQuery {
        limit: 10_000,
        ..ListQuery::default()
    };
    keys(place, &query).await
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Checks that what a write said of an object is what readers are told. Times on the way are of whole seconds.
pub(crate) fn assert_agree(stored: &Stored, info: &ObjectInfo) {
    assert_eq!(stored.etag, info.etag);
    assert_eq!(stored.version, info.version);
    if let Some(modified) = stored.modified {
        assert_eq!(modified.as_second(), info.modified.as_second());
    }
}

/// Checks that an object is given back with what its writer said. A store may add a type to one that has none.
pub(crate) fn assert_carries(info: &ObjectInfo, attributes: &Attributes) {
    let pairs = info.attributes.user.iter();
    let user = pairs.map(|(name, value)| (name.clone(), decoded(value)));
    assert_eq!(user.collect::<BTreeMap<_, _>>(), attributes.user);
    for (name, value) in &attributes.headers {
        assert_eq!(info.attributes.headers.get(name), Some(value), "{name}");
    }
}

/// Takes the encoding off with which HTTP carries what is not ASCII, as RFC 2047 has it and AWS does it.
fn decoded(value: &str) -> String {
    let word = value
        .strip_prefix("=?UTF-8?")
        .and_then(|rest| rest.strip_suffix("?="));
    let bytes = match word.and_then(|word| word.split_once('?')) {
        Some(("q" | "Q", text)) => {
            let text = text.replace('_', " ").replace('=', "%");
            percent_encoding::percent_decode_str(&text).collect()
        }
        Some(("b" | "B", text)) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap(),
        _ => return value.to_owned(),
    };
    String::from_utf8(bytes).unwrap()
}

/// The error that a client of S3 is told, which is all that a store behind the gateway tells it.
pub(crate) fn code<T: std::fmt::Debug>(refused: Result<T, Error>) -> String {
    match refused.unwrap_err() {
        Error::InvalidPart { .. } => "InvalidPart".to_owned(),
        Error::PartTooSmall { .. } => "EntityTooSmall".to_owned(),
        Error::DigestMismatch { .. } => "BadDigest".to_owned(),
        Error::Upstream { code, .. } => code,
        other => panic!("{other}"),
    }
}

pub(crate) async fn read_bytes(place: &dyn Place, key: &str) -> Vec<u8> {
    let opened = place
        .backend()
        .get(&place.at(key), &ReadOptions::default())
        .await
        .unwrap();
    let pieces: Vec<Bytes> = opened.body.try_collect().await.unwrap();
    pieces.concat()
}
