//! The second port: is the gateway alive, is it ready, and what has it counted.
//!
//! A port of its own because Kubernetes and Prometheus have no key pair, and because it must answer when all connections of
//! the first are taken and while the gateway drains.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::backend::{self, Backend, Status};
use crate::budget::Budget;
use crate::health::Health;
use crate::metrics::Metrics;

/// Who scrapes and probes needs few.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take to send a request, and a connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one connection may go on at all.
const LONGEST: Duration = Duration::from_mins(10);

/// What is told.
#[derive(Debug, Clone)]
pub(super) struct Monitor {
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) budget: Budget,
}

impl Monitor {
    /// Answers until dropped.
    pub(super) async fn serve(self, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let accepting = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (listener.accept().await, slot)
            };
            tokio::select! {
                Some(_) = connections.join_next() => {}
                (accepted, slot) = accepting => match accepted {
                    Ok((stream, _)) => {
                        let monitor = self.clone();
                        connections.spawn(async move {
                            // Over time or broken: either way it is over.
                            drop(timeout(LONGEST, monitor.connection(stream)).await);
                            drop(slot);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection on the second port");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
    }

    async fn connection(self, stream: TcpStream) {
        let answer = service_fn(|request: Request<Incoming>| {
            let response = self.answer(request.method(), request.uri().path());
            async move { Ok::<_, Infallible>(response) }
        });
        let ended = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), answer)
            .await;
        if let Err(error) = ended {
            tracing::debug!(%error, "connection on the second port ended");
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Text> {
        if method != Method::GET && method != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        }
        match path {
            "/-/healthy" => text(StatusCode::OK, "healthy\n"),
            "/-/ready" => match self.health.obstacle(Instant::now()) {
                None => text(StatusCode::OK, "ready\n"),
                Some(obstacle) => {
                    let said = format!("not ready: {obstacle}\n");
                    text(StatusCode::SERVICE_UNAVAILABLE, said)
                }
            },
            "/metrics" => {
                let mut response = text(StatusCode::OK, self.metrics.text(&self.budget));
                let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /-/healthy, /-/ready and /metrics\n",
            ),
        }
    }
}

type Text = http_body_util::Full<Bytes>;

fn text(status: StatusCode, said: impl Into<Bytes>) -> Response<Text> {
    let mut response = Response::new(Text::new(said.into()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Asks the store how it is, now and then, until dropped. A store that tells nothing of itself is asked for a bucket.
pub(super) async fn watch(
    backend: Arc<dyn Backend>,
    bucket: Option<String>,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
) {
    let mut ticks = tokio::time::interval(health.interval());
    loop {
        ticks.tick().await;
        let asking = timeout(health.patience(), ask(&*backend, bucket.as_deref()));
        let reason = match asking.await {
            Ok(Ok(status)) => {
                health.answered(Instant::now());
                metrics.store_is(Some(&status));
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("nothing came within {} s", health.patience().as_secs()),
        };
        metrics.store_is(None);
        if health.failed(reason.clone()) {
            tracing::error!(reason, "the store does not answer");
        }
    }
}

async fn ask(backend: &dyn Backend, bucket: Option<&str>) -> Result<Status, backend::Error> {
    let status = backend.status().await?;
    if let Some(bucket) = bucket {
        match backend.bucket(bucket).await {
            // An answer is an answer.
            Err(error) if error.kind().is_transient() => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(status)
}
