//! The gateway as a running server: connections accepted, limited, drained at the end.

mod monitor;

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lifeboat_core::error::Kind;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::monitor::Monitor;
use crate::auth::{Credentials, KeyRing, User};
use crate::backend::{self, Backend};
use crate::budget::Budget;
use crate::metrics::Metrics;
use crate::protocol::{Options, Service};

/// How long a request waits for its share of the memory.
const MEMORY_PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest head of a request: 8 KiB of headers of S3, as much for the signature and a key of 3 KiB.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 200;
/// How often uploads that nobody goes on with are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// What a gateway needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Port 0 lets the system choose; see [`Server::local_addr`].
    pub listen: SocketAddr,
    /// Whoever signs with one of these may do everything. Not empty.
    pub credentials: Vec<Credentials>,
    /// Who may do less.
    pub users: Vec<User>,
    /// Created at start where they do not exist.
    pub buckets: Vec<String>,
    /// Uploads in which nothing happened for so long are aborted.
    pub upload_expiry: Duration,
    /// How long requests may go on after shutdown began.
    pub drain: Duration,
    /// The most connections served at a time; others wait to be accepted.
    pub connections: usize,
    /// What all buffers of requests may take together, in bytes.
    pub memory: u64,
    /// How long a request waits for its share of the memory before it is told to slow down.
    pub memory_patience: Duration,
    /// Where health and metrics are told, if anywhere.
    pub monitor: Option<SocketAddr>,
    /// Where the ids of requests begin: a number of chance, so that those of two runs are not the same.
    pub first_request: u64,
}

impl Config {
    /// A week for uploads, half a minute to drain, 1,024 connections, 192 MiB, no buckets and no second port.
    pub fn new(listen: SocketAddr, credentials: Vec<Credentials>) -> Self {
        Self {
            listen,
            credentials,
            users: Vec::new(),
            buckets: Vec::new(),
            upload_expiry: Duration::from_hours(7 * 24),
            drain: Duration::from_secs(30),
            connections: 1024,
            memory: 192 * 1024 * 1024,
            memory_patience: MEMORY_PATIENCE,
            monitor: None,
            first_request: 0,
        }
    }
}

/// Why a gateway does not start or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no credentials: set `minio.accessKey` and `minio.secretKey`")]
    NoCredentials,
    #[error("access key `{access_key}` belongs to two key pairs")]
    SameKey { access_key: String },
    #[error("cannot listen on `{address}`")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot create bucket `{bucket}` at start")]
    Bucket {
        bucket: String,
        #[source]
        source: backend::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoCredentials | Self::SameKey { .. } => Kind::Invalid,
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => Kind::Conflict,
                io::ErrorKind::PermissionDenied | io::ErrorKind::AddrNotAvailable => Kind::Invalid,
                _ => Kind::Unavailable,
            },
            Self::Bucket { source, .. } => source.kind(),
        }
    }
}

/// A gateway that has its buckets and its port.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Service,
    backend: Arc<dyn Backend>,
    monitor: Monitor,
    monitor_listener: Option<TcpListener>,
    connections: usize,
    upload_expiry: Duration,
    drain: Duration,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Creates the buckets and opens the port.
    pub async fn bind(config: Config, backend: Arc<dyn Backend>) -> Result<Self, Error> {
        let Config {
            listen,
            credentials,
            users,
            buckets,
            upload_expiry,
            drain,
            connections,
            memory,
            memory_patience,
            monitor,
            first_request,
        } = config;
        let everybody = everybody(credentials, users)?;
        for bucket in buckets {
            match backend.create_bucket(&bucket).await {
                Ok(()) | Err(backend::Error::BucketExists { .. }) => {}
                Err(source) => return Err(Error::Bucket { bucket, source }),
            }
        }
        sweep(&*backend, upload_expiry).await;
        let listener = open(listen).await?;
        let monitor_listener = match monitor {
            Some(address) => Some(open(address).await?),
            None => None,
        };
        let budget = Budget::new(memory, memory_patience);
        let monitor = Monitor {
            health: Arc::default(),
            metrics: Arc::default(),
            budget: budget.clone(),
        };
        let options = Options {
            keys: KeyRing::new(everybody),
            budget,
            metrics: Arc::clone(&monitor.metrics),
            first_id: first_request,
        };
        Ok(Self {
            address: address_of(&listener, listen)?,
            listener,
            service: Service::new(Arc::clone(&backend), options),
            backend,
            monitor,
            monitor_listener,
            connections,
            upload_expiry,
            drain,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where health and metrics are told.
    pub fn monitor_addr(&self) -> Option<SocketAddr> {
        self.monitor_listener.as_ref()?.local_addr().ok()
    }

    /// Serves until `shutdown` is ready, then lets the requests under way come to their end, unless `at_once`, which is
    /// looked at from then on, is ready before.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        at_once: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let Self {
            listener,
            address,
            service,
            backend,
            monitor,
            monitor_listener,
            connections: most,
            upload_expiry,
            drain,
        } = self;
        let mut shutdown = pin!(shutdown);
        let Monitor {
            health, metrics, ..
        } = monitor.clone();
        // What runs beside ends when this is dropped.
        let mut beside = JoinSet::new();
        let watched = (
            Arc::clone(&backend),
            Arc::clone(&health),
            Arc::clone(&metrics),
        );
        beside.spawn(monitor::watch(watched.0, watched.1, watched.2));
        if let Some(listener) = monitor_listener {
            beside.spawn(monitor.serve(listener));
        }
        let slots = Arc::new(Semaphore::new(most));
        let (drained, draining) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut sweeps =
            tokio::time::interval_at(tokio::time::Instant::now() + SWEEP_INTERVAL, SWEEP_INTERVAL);
        tracing::info!(%address, "gateway listens");
        loop {
            let accepting = async {
                let slot = Arc::clone(&slots)
                    .acquire_owned()
                    .await
                    .expect("the semaphore is never closed");
                (listener.accept().await, slot)
            };
            tokio::select! {
                () = &mut shutdown => break,
                _ = sweeps.tick() => sweep(&*backend, upload_expiry).await,
                Some(_) = connections.join_next() => {}
                (accepted, slot) = accepting => match accepted {
                    Ok((stream, _)) => {
                        let connection = serve(stream, service.clone(), draining.clone());
                        let counted = Connected::new(&metrics);
                        connections.spawn(async move {
                            connection.await;
                            drop((slot, counted));
                        });
                    }
                    // Out of file descriptors, or the client has gone: neither ends the gateway.
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        health.drain();
        drop(listener);
        drained.send_replace(true);
        let rest = async { while connections.join_next().await.is_some() {} };
        let whole = tokio::select! {
            ended = tokio::time::timeout(drain, rest) => ended.is_ok(),
            () = at_once => false,
        };
        if !whole {
            tracing::warn!(
                connections = connections.len(),
                "requests were cut off by the end of the gateway"
            );
        }
        Ok(())
    }
}

/// Everybody who may use the gateway, each with a key of their own.
fn everybody(credentials: Vec<Credentials>, users: Vec<User>) -> Result<Vec<User>, Error> {
    let usable = |one: &Credentials| !one.access_key.is_empty() && !one.secret_key.is_empty();
    if credentials.is_empty() || !credentials.iter().all(usable) {
        return Err(Error::NoCredentials);
    }
    let admins = credentials.into_iter().map(User::admin);
    let everybody: Vec<User> = admins.chain(users).collect();
    let mut seen = BTreeSet::new();
    for user in &everybody {
        let access_key = user.credentials.access_key.as_str();
        if !seen.insert(access_key) {
            let access_key = access_key.to_owned();
            return Err(Error::SameKey { access_key });
        }
    }
    Ok(everybody)
}

async fn open(address: SocketAddr) -> Result<TcpListener, Error> {
    let wrap = |source| Error::Listen { address, source };
    TcpListener::bind(address).await.map_err(wrap)
}

fn address_of(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, Error> {
    let wrap = |source| Error::Listen { address, source };
    listener.local_addr().map_err(wrap)
}

/// Counts a connection while it lives.
struct Connected(Arc<Metrics>);

impl Connected {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.connected();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.disconnected();
    }
}

async fn serve(stream: TcpStream, service: Service, mut draining: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch delays off");
    }
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move { service.call(request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    // A sender that is gone means the same.
    let begun = async move { drop(draining.wait_for(|draining| *draining).await) };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = begun => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

async fn sweep(backend: &dyn Backend, age: Duration) {
    match backend.sweep_uploads(age).await {
        Ok(0) => {}
        Ok(uploads) => tracing::info!(uploads, "removed uploads that nobody went on with"),
        Err(error) => tracing::warn!(%error, "cannot look for old uploads"),
    }
}
