//! The one way from the protocol to the backend.
//!
//! The backend itself is in here and does not come out: a request gets it as its key pair may use it, or not at all.

use std::sync::Arc;

use s3s::auth::Credentials;
use s3s::{S3Error, S3Result, s3_error};

use crate::auth::KeyRing;
use crate::auth::guard::Guarded;
use crate::backend::{Backend, Buffers, Error};
use crate::metrics::Metrics;

#[derive(Clone)]
pub(super) struct Door {
    backend: Arc<dyn Backend>,
    keys: KeyRing,
    metrics: Arc<Metrics>,
}

impl Door {
    pub(super) fn new(backend: Arc<dyn Backend>, keys: KeyRing, metrics: Arc<Metrics>) -> Self {
        Self {
            backend,
            keys,
            metrics,
        }
    }

    /// Opens to whoever signed, if they are still on the ring.
    pub(super) fn open(&self, credentials: Option<&Credentials>) -> S3Result<Guarded> {
        let credentials =
            credentials.ok_or_else(|| s3_error!(AccessDenied, "a signature is required"))?;
        let user = self.keys.find(&credentials.access_key).ok_or_else(|| {
            s3_error!(
                InvalidAccessKeyId,
                "the access key does not exist in our records"
            )
        })?;
        Ok(Guarded::new(Arc::clone(&self.backend), user))
    }

    /// Whether there is a store for requests that the gateway has no operation for.
    pub(super) fn leads_onward(&self, bucket: &str) -> bool {
        self.backend.relay(bucket).is_some()
    }

    /// Counts what failed because of the store behind the gateway.
    pub(super) fn note<T>(&self, answer: &S3Result<T>) {
        let error = answer.as_ref().err().and_then(S3Error::source);
        if let Some(Error::Upstream { status: 500.., .. } | Error::Unreachable { .. }) =
            error.and_then(|error| error.downcast_ref())
        {
            self.metrics.upstream_failed();
        }
    }

    pub(super) fn buffers(&self, bucket: &str) -> Buffers {
        self.backend.buffers(bucket)
    }
}
