//! The gateway as a running server: connections accepted, limited, drained at the end.

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

use crate::auth::Credentials;
use crate::backend::{self, Backend};
use crate::protocol::Service;

/// The most connections served at a time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
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
    /// Whoever signs with one of these may do everything, others nothing. Not empty.
    pub credentials: Vec<Credentials>,
    /// Created at start where they do not exist.
    pub buckets: Vec<String>,
    /// Uploads in which nothing happened for so long are aborted.
    pub upload_expiry: Duration,
    /// How long requests may go on after shutdown began.
    pub drain: Duration,
}

impl Config {
    /// A week for uploads, half a minute to drain, and no buckets.
    pub fn new(listen: SocketAddr, credentials: Vec<Credentials>) -> Self {
        Self {
            listen,
            credentials,
            buckets: Vec::new(),
            upload_expiry: Duration::from_hours(7 * 24),
            drain: Duration::from_secs(30),
        }
    }
}

/// Why a gateway does not start or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no credentials: set `minio.accessKey` and `minio.secretKey`")]
    NoCredentials,
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
            Self::NoCredentials => Kind::Invalid,
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
            buckets,
            upload_expiry,
            drain,
        } = config;
        let usable = |one: &Credentials| !one.access_key.is_empty() && !one.secret_key.is_empty();
        if credentials.is_empty() || !credentials.iter().all(usable) {
            return Err(Error::NoCredentials);
        }
        for bucket in buckets {
            match backend.create_bucket(&bucket).await {
                Ok(()) | Err(backend::Error::BucketExists { .. }) => {}
                Err(source) => return Err(Error::Bucket { bucket, source }),
            }
        }
        sweep(&*backend, upload_expiry).await;
        let wrap = |source| Error::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(wrap)?;
        let address = listener.local_addr().map_err(wrap)?;
        let service = Service::new(Arc::clone(&backend), credentials);
        Ok(Self {
            listener,
            address,
            service,
            backend,
            upload_expiry,
            drain,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then lets the requests under way come to their end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self {
            listener,
            address,
            service,
            backend,
            upload_expiry,
            drain,
        } = self;
        let mut shutdown = pin!(shutdown);
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
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
                        connections.spawn(async move {
                            connection.await;
                            drop(slot);
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
        drop(listener);
        drained.send_replace(true);
        let rest = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, rest).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "requests were cut off by the end of the gateway"
            );
        }
        Ok(())
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
