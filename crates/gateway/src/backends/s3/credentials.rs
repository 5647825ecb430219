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
            .map_err(|source| OpenError::Identity {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;

    use jiff::{SignedDuration, Timestamp};
    use lifeboat_core::error::Kind;
    use object_store::aws::AmazonS3ConfigKey;
    use tempfile::TempDir;
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// A service that gives keys: of a pod at `/pod`, of a machine where Amazon's machines have theirs.
    struct Service {
        endpoint: String,
        /// Head of each request, in lower case.
        seen: Arc<Mutex<Vec<String>>>,
    }

    impl Service {
        /// Its keys are valid for so long.
        async fn start(valid: SignedDuration) -> Self {
            #[expect(
                clippy::disallowed_methods,
                reason = "whoever gets the keys compares their end with the time of the machine"
            )]
            let end = Timestamp::now() + valid;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = format!("http://{}", listener.local_addr().unwrap());
            let seen = Arc::new(Mutex::new(Vec::new()));
            let noted = Arc::clone(&seen);
            let keys = format!(
                "{{\"AccessKeyId\":\"id\",\"SecretAccessKey\":\"secret\",\"Token\":\"token\",\"Expiration\":\"{end}\"}}"
            );
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let mut stream = BufReader::new(stream);
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        stream.read_line(&mut head).await.unwrap();
                    }
                    let head = head.to_lowercase();
                    let body = match head.split(' ').nth(1).unwrap() {
                        "/latest/api/token" => "session",
                        "/latest/meta-data/iam/security-credentials/" => "role",
                        "/latest/meta-data/iam/security-credentials/role" | "/pod" => &keys,
                        _ => "",
                    };
                    noted.lock().unwrap().push(head);
                    let length = body.len();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
            Self { endpoint, seen }
        }

        fn seen(&self) -> Vec<String> {
            self.seen.lock().unwrap().clone()
        }
    }

    fn pod(service: &Service, token: &TempDir) -> AmazonS3Builder {
        let file = token.path().join("token");
        fs::write(&file, "of-the-pod").unwrap();
        AmazonS3Builder::new()
            .with_config(
                AmazonS3ConfigKey::ContainerCredentialsFullUri,
                format!("{}/pod", service.endpoint),
            )
            .with_config(
                AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
                file.display().to_string(),
            )
    }

    #[tokio::test]
    async fn keys_of_a_pod_are_kept_until_they_are_about_to_expire() {
        let folder = TempDir::new().unwrap();
        let service = Service::start(SignedDuration::from_mins(60)).await;
        let credentials = Credentials::asked_by(pod(&service, &folder)).unwrap();
        for _ in 0..50 {
            let keys = credentials.keys().await.unwrap();
            let told = (keys.access_key.as_str(), keys.token.as_deref());
            assert_eq!(told, ("id", Some("token")));
        }
        let seen = service.seen();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].contains("authorization: of-the-pod"), "{}", seen[0]);

        let service = Service::start(SignedDuration::from_mins(4)).await;
        let credentials = Credentials::asked_by(pod(&service, &folder)).unwrap();
        while service.seen().len() < 3 {
            credentials.keys().await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_machine_is_asked_when_nothing_else_is_said() {
        let service = Service::start(SignedDuration::from_mins(60)).await;
        let builder = AmazonS3Builder::new().with_metadata_endpoint(&service.endpoint);
        let keys = Credentials::asked_by(builder)
            .unwrap()
            .keys()
            .await
            .unwrap();
        assert_eq!(keys.secret_key, "secret");
        assert!(service.seen()[2].contains("x-aws-ec2-metadata-token: session"));
    }

    #[tokio::test]
    async fn an_identity_that_nobody_gives_is_told_with_the_setting() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", closed.local_addr().unwrap());
        drop(closed);
        let builder = AmazonS3Builder::new().with_metadata_endpoint(endpoint);
        let error = Credentials::asked_by(builder)
            .unwrap()
            .keys()
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("backup.storage.backend.s3.accessKey"),
            "{error}"
        );
        let half = AmazonS3Builder::new().with_access_key_id("id");
        let error = Credentials::asked_by(half).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
    }
}
