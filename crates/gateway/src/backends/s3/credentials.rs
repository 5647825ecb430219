//! Whose keys requests are signed with.
//!
//! Those of the options, or else the identity of the pod or the machine, asked for as Amazon's own clients do. `object_store`
//! knows how, keeps what it got and asks again five minutes before it expires. It reads what the cluster puts into the
//! environment of a pod for that (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_CONTAINER_CREDENTIALS_FULL_URI` and so on), which is
//! the one thing of this crate that comes from the environment.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsCredentialProvider};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::options::{Keys, OpenError};
use crate::backend::Error;

/// How long one question to a service that gives keys may take, and all its repetitions.
const ANSWER: Duration = Duration::from_secs(5);
const ALL_ANSWERS: Duration = Duration::from_secs(20);
const REPETITIONS: usize = 3;

/// Where keys come from.
#[derive(Debug, Clone)]
pub(super) enum Credentials {
    Given(Arc<Keys>),
    Identity(AwsCredentialProvider),
}

impl Credentials {
    pub(super) fn given(keys: Keys) -> Self {
        Self::Given(Arc::new(keys))
    }

    /// Of the environment: a service account's token, a pod identity, a task, and last the machine.
    pub(super) fn identity(region: &str) -> Result<Self, OpenError> {
        Self::asked_by(AmazonS3Builder::from_env().with_region(region))
    }

    fn asked_by(builder: AmazonS3Builder) -> Result<Self, OpenError> {
        let retry = RetryConfig {
            max_retries: REPETITIONS,
            retry_timeout: ALL_ANSWERS,
            backoff: BackoffConfig::default(),
        };
        let client = ClientOptions::new()
            .with_connect_timeout(ANSWER)
            .with_timeout(ANSWER);
        // It insists on a bucket, which keys have nothing to do with.
        let store = builder
            .with_bucket_name("any")
            .with_retry(retry)
            .with_client_options(client)
            .build()
            .map_err(|source| OpenError::Client {
                source: source.into(),
            })?;
        Ok(Self::Identity(Arc::clone(store.credentials())))
    }

    /// Returns keys that are valid for the request about to be sent.
    pub(super) async fn keys(&self) -> Result<Arc<Keys>, Error> {
        match self {
            Self::Given(keys) => Ok(Arc::clone(keys)),
            Self::Identity(provider) => {
                let found = provider.get_credential().await;
                let found = found.map_err(|source| Error::Unreachable {
                    action: "asking for the identity of the pod, because `backup.storage.backend.s3.accessKey` is not set",
                    source: source.into(),
                })?;
                Ok(Arc::new(Keys {
                    access_key: found.key_id.clone(),
                    secret_key: found.secret_key.clone(),
                    token: found.token.clone(),
                }))
            }
        }
    }
}
