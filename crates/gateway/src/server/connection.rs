//! One connection, from its handshake to its end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::config::Limits;
use super::stall::Moving;
use crate::metrics::Metrics;
use crate::protocol::Service;

/// The largest head of a request: 8 KiB of headers of S3, as much for the signature and a key of 3 KiB.
const MAX_HEAD_BYTES: usize = 64 * 1024;
const MAX_HEADERS: usize = 200;

/// How all connections are served.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) service: Service,
    pub(super) acceptor: Option<TlsAcceptor>,
    pub(super) limits: Limits,
    pub(super) metrics: Arc<Metrics>,
    /// Becomes true when the gateway ends.
    pub(super) draining: watch::Receiver<bool>,
}

impl Connections {
    /// Serves a client until it goes, breaks a limit, or the gateway ends.
    pub(super) async fn serve(self, stream: TcpStream, client: SocketAddr) {
        self.metrics.connected();
        let metrics = Counted(Arc::clone(&self.metrics));
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot switch delays off");
        }
        let stream = Moving::new(stream, self.limits.stall);
        let Some(acceptor) = self.acceptor.clone() else {
            return self.requests(stream, client).await;
        };
        let shaken = timeout(self.limits.handshake, acceptor.accept(stream)).await;
        match shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => self.requests(stream, client).await,
            Err(error) => {
                metrics.0.handshake_failed();
                tracing::debug!(%error, %client, "no handshake");
            }
        }
    }

    async fn requests<S>(self, stream: S, client: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Self {
            service,
            limits,
            mut draining,
            ..
        } = self;
        let answer = service_fn(move |request| {
            let service = service.clone();
            async move { service.call(request, client).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
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
            tracing::debug!(%error, %client, "connection ended");
        }
    }
}

/// Counts a connection while it lives.
struct Counted(Arc<Metrics>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.disconnected();
    }
}
