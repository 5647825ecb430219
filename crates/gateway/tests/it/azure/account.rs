//! Containers in Azurite, as places to keep promises in.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use lifeboat_core::settings::Secret;
use lifeboat_gateway::backend::Backend;
use lifeboat_gateway::backends::azure::{Azure, Identity, Limits, Options, Retry};
use lifeboat_testkit::servers::{self, azurite};
use lifeboat_testkit::{scratch, skip};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use tempfile::TempDir;

use super::proxy::Proxy;
use crate::support::{Place, wall_clock};

/// An Azurite that several tests use at once. It ends with the last of them.
pub(crate) struct Azurite {
    pub(crate) server: servers::Server,
    _work: TempDir,
}

/// Joins the Azurite that others use, or starts it. Nothing, said aloud, if it cannot be had here.
pub(crate) fn azurite() -> Option<Arc<Azurite>> {
    static SHARED: Mutex<Weak<Azurite>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return Some(server);
    }
    let server = own_azurite()?;
    *shared = Arc::downgrade(&server);
    Some(server)
}

/// Starts an Azurite for one test alone.
pub(crate) fn own_azurite() -> Option<Arc<Azurite>> {
    let work = scratch::folder(Path::new(env!("CARGO_TARGET_TMPDIR")), "azurite").unwrap();
    match azurite::start(work.path()) {
        Ok(server) => Some(Arc::new(Azurite {
            server,
            _work: work,
        })),
        Err(error) => {
            skip!("no Azurite: {error:#}");
            None
        }
    }
}

/// Options for the account behind an address.
pub(crate) fn options(endpoint: &str) -> Options {
    let keys = azurite::ACCOUNT;
    Options {
        endpoint: Some(endpoint.to_owned()),
        retry: Retry {
            first: Duration::from_millis(1),
            ..Retry::default()
        },
        ..Options::new(keys.access, Identity::Key(Secret::new(keys.secret)))
    }
}

/// A shared access signature of the account that allows everything with blobs, for a time that will not end soon.
pub(crate) fn account_query() -> String {
    const EXPIRES: &str = "2099-01-01T00:00:00Z";
    const VERSION: &str = "2023-11-03";
    let keys = azurite::ACCOUNT;
    let text = format!(
        "{}\nrwdlac\nb\nsco\n\n{EXPIRES}\n\n\n{VERSION}\n\n",
        keys.access
    );
    let key = STANDARD.decode(keys.secret).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!(
        "sv={VERSION}&ss=b&srt=sco&sp=rwdlac&se={}&sig={}",
        encode(EXPIRES),
        encode(&signature)
    )
}

/// A container of its own.
pub(crate) struct Account {
    pub(crate) azure: Azure,
    pub(crate) azurite: Arc<Azurite>,
    pub(crate) bucket: String,
}

impl Account {
    pub(crate) async fn in_azurite() -> Option<Self> {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Option<Self> {
        Some(Self::on(azurite()?, limits).await)
    }

    pub(crate) async fn on(azurite: Arc<Azurite>, limits: Limits) -> Self {
        let options = Options {
            limits,
            ..options(azurite.server.endpoint())
        };
        let azure = Azure::open(options, wall_clock()).unwrap();
        Self::new(azure, azurite).await
    }

    /// Seen through something that makes faults.
    pub(crate) async fn behind_proxy(limits: Limits) -> Option<(Self, Proxy)> {
        let azurite = azurite()?;
        let proxy = Proxy::before(azurite.server.endpoint()).await;
        let options = Options {
            limits,
            ..options(&proxy.endpoint)
        };
        let azure = Azure::open(options, wall_clock()).unwrap();
        let account = Self::new(azure, azurite).await;
        proxy.calls();
        Some((account, proxy))
    }

    /// Another gateway before the same container.
    pub(crate) fn again(&self) -> Self {
        let options = options(self.azurite.server.endpoint());
        Self {
            azure: Azure::open(options, wall_clock()).unwrap(),
            azurite: Arc::clone(&self.azurite),
            bucket: self.bucket.clone(),
        }
    }

    /// A new container, seen through `azure`.
    pub(crate) async fn new(azure: Azure, azurite: Arc<Azurite>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let bucket = format!("bucket-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        azure.create_bucket(&bucket).await.unwrap();
        Self {
            azure,
            azurite,
            bucket,
        }
    }
}

impl Place for Account {
    fn backend(&self) -> &dyn Backend {
        &self.azure
    }

    fn bucket(&self) -> &str {
        &self.bucket
    }
}
