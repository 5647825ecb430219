//! Who completes an upload: one request at a time, in whichever gateway, and nobody aborts it meanwhile.
//!
//! A lease ends by itself a minute after its holder has gone, so a gateway that is killed leaves nothing that has to be
//! cleared by hand.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use reqwest::Method;
use tokio::time::sleep;

use super::Azure;
use super::call::Call;
use super::failure::Failure;
use super::name::Name;
use crate::backend::Error;

/// In seconds, the longest that the service gives for a time.
const TERM: &str = "60";
const RENEWAL: Duration = Duration::from_secs(20);
/// The header by which the service knows the holder.
pub(super) const LEASE_ID: &str = "x-ms-lease-id";

/// A lease of a blob.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    azure: &'a Azure,
    bucket: &'a str,
    name: &'a Name,
    pub(super) id: String,
}

impl Azure {
    /// Takes the lease of a blob, unless somebody holds it.
    pub(super) async fn lease<'a>(
        &'a self,
        bucket: &'a str,
        name: &'a Name,
    ) -> Result<Lease<'a>, Failure> {
        let lease = Lease {
            azure: self,
            bucket,
            name,
            id: guid((self.sources.random)(), (self.sources.random)()),
        };
        let call = lease
            .call("acquire")
            .header("x-ms-lease-duration", TERM)
            // Proposed by us, so that the call can be repeated.
            .header("x-ms-proposed-lease-id", &lease.id);
        self.client.send(&call).await?;
        Ok(lease)
    }
}

impl Lease<'_> {
    fn call(&self, action: &str) -> Call {
        Call::new(Method::PUT, "holding the upload")
            .blob(self.bucket, self.name)
            .query("comp", "lease")
            .header("x-ms-lease-action", action)
    }

    /// Does something while the lease is held. It is dropped if the lease is lost.
    pub(super) async fn during<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let renewing = async {
            loop {
                sleep(RENEWAL).await;
                let call = self.call("renew").header(LEASE_ID, &self.id);
                if let Err(failure) = self.azure.client.send(&call).await {
                    return failure;
                }
            }
        };
        match select(pin!(work), pin!(renewing)).await {
            Either::Left((done, _)) => done,
            Either::Right((failure, _)) => Err(failure.about_bucket(self.bucket)),
        }
    }

    /// Gives the lease back. If that fails it ends by itself.
    pub(super) async fn release(self) {
        let call = self.call("release").header(LEASE_ID, &self.id);
        if let Err(failure) = self.azure.client.send(&call).await {
            tracing::debug!(?failure, "a lease ends by itself");
        }
    }

    /// Removes the blob, and the lease with it.
    pub(super) async fn remove(self) {
        let call = Call::new(Method::DELETE, "removing the upload")
            .blob(self.bucket, self.name)
            .header(LEASE_ID, &self.id);
        match self.azure.client.send(&call).await {
            Err(failure) if !failure.is_missing() => {
                tracing::warn!(?failure, "a completed upload stays until it is swept");
            }
            _ => {}
        }
    }
}

/// Two numbers in the form in which the service wants the ids of leases.
fn guid(one: u64, other: u64) -> String {
    let digits = format!("{one:016x}{other:016x}");
    [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)]
        .map(|(start, end)| &digits[start..end])
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_the_service() {
        assert_eq!(guid(1, u64::MAX), "00000000-0000-0001-ffff-ffffffffffff");
    }
}
