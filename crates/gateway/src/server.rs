//! The gateway as a running server: connections accepted, limited, drained at the end.

mod config;
mod connection;
mod monitor;
mod stall;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::error::Kind;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub use self::config::{Config, Limits};
use self::connection::Connections;
use self::monitor::Monitor;
use crate::auth::file::{Everybody, Users, everybody};
use crate::auth::{self, Credentials, KeyRing};
use crate::backend::{self, Backend};
use crate::budget::Budget;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::protocol::{Options, Service};
use crate::reload::{self, Source as _};
use crate::tls;

/// How often uploads that nobody goes on with are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// Why a gateway does not start or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Users(#[from] auth::file::Error),
    #[error("cannot serve with this certificate")]
    Tls(#[from] tls::Error),
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
            Self::Users(error) => error.kind(),
            Self::Tls(error) => error.kind(),
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
    acceptor: Option<TlsAcceptor>,
    backend: Arc<dyn Backend>,
    monitor: Monitor,
    monitor_listener: Option<TcpListener>,
    /// The bucket by which a store is asked whether it is there.
    asked: Option<String>,
    /// What runs beside the connections; ends with the server.
    beside: JoinSet<()>,
    limits: Limits,
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
            tls,
            reload,
            buckets,
            upload_expiry,
            drain,
            limits,
            monitor,
            probe,
            first_request,
        } = config;
        let metrics = Arc::new(Metrics::default());
        let mut following = Following {
            every: reload,
            metrics: Arc::clone(&metrics),
            tasks: JoinSet::new(),
        };
        let keys = following.users(credentials, users)?;
        let acceptor = match tls {
            Some(files) => Some(following.certificate(files)?),
            None => None,
        };
        let asked = buckets.first().cloned();
        for bucket in buckets {
            match backend.create_bucket(&bucket).await {
                Ok(()) | Err(backend::Error::BucketExists { .. }) => {}
                Err(source) => return Err(Error::Bucket { bucket, source }),
            }
        }
        let listener = open(listen)?;
        let monitor_listener = match monitor {
            Some(address) => Some(open(address)?),
            None => None,
        };
        let budget = Budget::new(limits.memory, limits.memory_patience);
        let monitor = Monitor {
            health: Arc::new(Health::new(probe)),
            metrics: Arc::clone(&metrics),
            budget: budget.clone(),
        };
        let options = Options {
            keys,
            budget,
            metrics,
            first_id: first_request,
            processors: std::thread::available_parallelism().map_or(1, NonZero::get),
        };
        Ok(Self {
            address: address_of(&listener, listen)?,
            listener,
            service: Service::new(Arc::clone(&backend), options),
            acceptor,
            backend,
            monitor,
            monitor_listener,
            asked,
            beside: following.tasks,
            limits,
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
            acceptor,
            backend,
            monitor,
            monitor_listener,
            asked,
            mut beside,
            limits,
            upload_expiry,
            drain,
        } = self;
        let mut shutdown = pin!(shutdown);
        let Monitor {
            health, metrics, ..
        } = monitor.clone();
        beside.spawn(monitor::watch(
            Arc::clone(&backend),
            asked,
            Arc::clone(&health),
            Arc::clone(&metrics),
        ));
        beside.spawn(sweep(backend, upload_expiry));
        if let Some(listener) = monitor_listener {
            beside.spawn(monitor.serve(listener));
        }
        let slots = Arc::new(Semaphore::new(
            limits.connections.min(Semaphore::MAX_PERMITS),
        ));
        let (drained, draining) = watch::channel(false);
        let template = Connections {
            service,
            acceptor,
            limits,
            metrics,
            draining,
        };
        let mut connections = JoinSet::new();
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
                Some(_) = connections.join_next() => {}
                (accepted, slot) = accepting => match accepted {
                    Ok((stream, client)) => {
                        let connection = template.clone().serve(stream, client);
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
        let rest = async {
            health.drain();
            while connections.join_next().await.is_some() {}
        };
        let whole = tokio::select! {
            // Waited for before it is told that the gateway ends: whoever is told may ask at once.
            biased;
            () = at_once => false,
            ended = tokio::time::timeout(drain, rest) => ended.is_ok(),
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

/// Starts to follow the files that may change while the gateway runs.
struct Following {
    every: Duration,
    metrics: Arc<Metrics>,
    tasks: JoinSet<()>,
}

impl Following {
    fn users(&mut self, admins: Vec<Credentials>, users: Users) -> Result<KeyRing, Error> {
        let file = match users {
            Users::Fixed(users) => return Ok(KeyRing::new(everybody(&admins, users)?)),
            Users::File(file) => file,
        };
        let source = Everybody { admins, file };
        let loaded = source.load()?;
        let keys = KeyRing::new(loaded.value);
        let shared = keys.clone();
        self.follow(source, loaded.fingerprint, move |users| {
            shared.replace(users);
        });
        Ok(keys)
    }

    fn certificate(&mut self, files: tls::Files) -> Result<TlsAcceptor, Error> {
        let loaded = files.load()?;
        let metrics = Arc::clone(&self.metrics);
        metrics.certificate_expires(loaded.value.expiry);
        let current = tls::Current::new(loaded.value);
        let acceptor = current.acceptor()?;
        self.follow(files, loaded.fingerprint, move |identity| {
            metrics.certificate_expires(identity.expiry);
            current.replace(identity);
        });
        Ok(acceptor)
    }

    fn follow<S: reload::Source>(
        &mut self,
        source: S,
        known: blake3::Hash,
        take: impl Fn(S::Value) + Send + Sync + 'static,
    ) {
        let metrics = Arc::clone(&self.metrics);
        let source = Arc::new(source);
        self.tasks
            .spawn(reload::follow(source, self.every, known, metrics, take));
    }
}

/// Connections that may wait until they are accepted; the kernel lowers it to `net.core.somaxconn`. Beyond them it drops
/// what a client sends first, who then comes again after a second, three, seven: 128, the number of the standard library,
/// are fewer than an engine opens at once.
const BACKLOG: u32 = 1024;

/// In a runtime.
fn open(address: SocketAddr) -> Result<TcpListener, Error> {
    let open = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|source| Error::Listen { address, source })
}

fn address_of(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, Error> {
    let wrap = |source| Error::Listen { address, source };
    listener.local_addr().map_err(wrap)
}

/// Ends uploads that nobody goes on with, at once and then every so often, until dropped.
async fn sweep(backend: Arc<dyn Backend>, age: Duration) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        match backend.sweep_uploads(age).await {
            Ok(0) => {}
            Ok(uploads) => tracing::info!(uploads, "removed uploads that nobody went on with"),
            Err(error) => tracing::warn!(%error, "cannot look for old uploads"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    #[tokio::test]
    async fn a_crowd_is_let_in_that_nobody_has_accepted_yet() {
        let allowed = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        if allowed.trim().parse::<usize>().unwrap() < 400 {
            lifeboat_testkit::skip!("net.core.somaxconn lets fewer wait");
        }
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = super::open(any).unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_secs(30)).unwrap();
        let waiting: Vec<_> = (0..400).map(connect).collect();
        assert_eq!(waiting.len(), 400);
    }
}
