//! Buckets in other servers, as places to keep the contract in: real ones, and our own gateway as the store behind another.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::Result;
use lifeboat_gateway::backend::Backend;
use lifeboat_gateway::backends::local::Local;
use lifeboat_gateway::backends::s3::{Keys, Options, Patience, S3};
use lifeboat_testkit::servers::{self, minio, versitygw};
use lifeboat_testkit::{scratch, skip};
use tempfile::TempDir;

use crate::gateway::{self, Gateway};
use crate::support::{Place, sources, wall_clock};

/// A server that several tests use at once. It ends with the last of them.
pub(crate) struct Shared {
    pub(crate) server: servers::Server,
    _work: TempDir,
}

type Slot = Mutex<Weak<Shared>>;

static VERSITYGW: Slot = Mutex::new(Weak::new());
static MINIO: Slot = Mutex::new(Weak::new());
static ENCRYPTED_MINIO: Slot = Mutex::new(Weak::new());

/// Joins a server, or starts it if nobody uses it. Nothing, said aloud, if it cannot be had here.
fn join(
    slot: &Slot,
    name: &str,
    start: impl Fn(&Path) -> Result<servers::Server>,
) -> Option<Arc<Shared>> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = slot.upgrade() {
        return Some(shared);
    }
    let work = scratch::folder(Path::new(env!("CARGO_TARGET_TMPDIR")), name).unwrap();
    match start(work.path()) {
        Ok(server) => {
            let shared = Arc::new(Shared {
                server,
                _work: work,
            });
            *slot = Arc::downgrade(&shared);
            Some(shared)
        }
        Err(error) => {
            skip!("no {name}: {error:#}");
            None
        }
    }
}

pub(crate) fn minio_server() -> Option<Arc<Shared>> {
    join(&MINIO, "minio", |work| {
        minio::start_2026(work, minio::Storage::Plain)
    })
}

/// Its etags are no MD5.
pub(crate) fn encrypted_minio_server() -> Option<Arc<Shared>> {
    join(&ENCRYPTED_MINIO, "minio-kms", |work| {
        minio::start_2026(work, minio::Storage::Encrypted)
    })
}

pub(crate) fn versitygw_server() -> Option<Arc<Shared>> {
    join(&VERSITYGW, "versitygw", versitygw::start)
}

/// Options for a server of the test kit.
pub(crate) fn options(server: &servers::Server) -> Options {
    let keys = server.keys();
    Options {
        endpoint: Some(server.endpoint().to_owned()),
        keys: Some(Keys {
            access_key: keys.access.to_owned(),
            secret_key: keys.secret.to_owned(),
            token: None,
        }),
        patience: quick(),
        ..Options::new("us-east-1")
    }
}

/// Repetitions at once.
pub(crate) fn quick() -> Patience {
    Patience {
        pause: Duration::from_millis(1),
        ..Patience::default()
    }
}

/// A bucket of its own in a server of S3.
pub(crate) struct Remote {
    s3: S3,
    bucket: String,
    _server: Arc<Shared>,
}

impl Remote {
    async fn in_server(server: Option<Arc<Shared>>) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let server = server?;
        let bucket = format!("bucket-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let s3 = S3::open(options(&server.server), wall_clock()).unwrap();
        s3.create_bucket(&bucket).await.unwrap();
        Some(Self {
            s3,
            bucket,
            _server: server,
        })
    }

    pub(crate) async fn in_versitygw() -> Option<Self> {
        Self::in_server(versitygw_server()).await
    }

    pub(crate) async fn in_minio() -> Option<Self> {
        Self::in_server(minio_server()).await
    }

    pub(crate) async fn in_encrypted_minio() -> Option<Self> {
        Self::in_server(encrypted_minio_server()).await
    }

    pub(crate) fn s3(&self) -> &S3 {
        &self.s3
    }
}

impl Place for Remote {
    fn backend(&self) -> &dyn Backend {
        &self.s3
    }

    fn bucket(&self) -> &str {
        &self.bucket
    }
}

/// Our own gateway in front of any store.
pub(crate) async fn gateway_before(backend: Arc<dyn Backend>) -> Gateway {
    let mut config = gateway::config();
    config.buckets.clear();
    Gateway::start_on(TempDir::new().unwrap(), backend, config).await
}

/// Options for our own gateway as a store.
pub(crate) fn options_behind(gateway: &Gateway) -> Options {
    Options {
        endpoint: Some(format!("http://{}", gateway.address)),
        keys: Some(Keys {
            access_key: gateway::ACCESS_KEY.to_owned(),
            secret_key: gateway::SECRET_KEY.to_owned(),
            token: None,
        }),
        patience: quick(),
        ..Options::new("eu-west-1")
    }
}

/// A bucket on a volume, behind our own gateway.
pub(crate) struct Behind {
    s3: S3,
    _gateway: Gateway,
    _volume: TempDir,
}

impl Behind {
    pub(crate) async fn ourselves() -> Option<Self> {
        let volume = TempDir::new().unwrap();
        let local = Local::open(volume.path(), sources(1)).unwrap();
        let gateway = gateway_before(Arc::new(local)).await;
        let s3 = S3::open(options_behind(&gateway), wall_clock()).unwrap();
        s3.create_bucket("bucket").await.unwrap();
        Some(Self {
            s3,
            _gateway: gateway,
            _volume: volume,
        })
    }
}

impl Place for Behind {
    fn backend(&self) -> &dyn Backend {
        &self.s3
    }

    fn bucket(&self) -> &'static str {
        "bucket"
    }
}
