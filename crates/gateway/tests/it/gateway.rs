//! A gateway in process, with what its tests ask of it: clients, requests written by hand, its second port.

use std::future::pending;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_gateway::backend::Backend;
use lifeboat_gateway::backends::local::Local;
use lifeboat_gateway::server::Error;
use lifeboat_gateway::{Config, Credentials, Server};
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{ClientOptions, RetryConfig};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::sources;

pub(crate) const ACCESS_KEY: &str = "lifeboat";
pub(crate) const SECRET_KEY: &str = "a-secret-of-forty-characters-0123456789a";

pub(crate) struct Gateway {
    pub(crate) volume: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) monitor: Option<SocketAddr>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) running: JoinHandle<Result<(), Error>>,
}

pub(crate) fn config() -> Config {
    let credentials = Credentials {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
    };
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config = Config::new(listen, vec![credentials]);
    config.buckets = vec!["bucket".to_owned()];
    config.monitor = Some(listen);
    config
}

pub(crate) fn local(volume: &TempDir) -> Arc<Local> {
    Arc::new(Local::open(volume.path(), sources(1)).unwrap())
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::start_with(config()).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let volume = TempDir::new().unwrap();
        let backend = local(&volume);
        Self::start_on(volume, backend, config).await
    }

    pub(crate) async fn start_on(
        volume: TempDir,
        backend: Arc<dyn Backend>,
        config: Config,
    ) -> Self {
        let server = Server::bind(config, backend).await.unwrap();
        let address = server.local_addr();
        let monitor = server.monitor_addr();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async move { drop(stopped.await) }, pending()));
        Self {
            volume,
            address,
            monitor,
            stop,
            running,
        }
    }

    pub(crate) fn builder(&self) -> AmazonS3Builder {
        AmazonS3Builder::new()
            .with_endpoint(format!("http://{}", self.address))
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            .with_region("minio")
            .with_bucket_name("bucket")
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
    }

    pub(crate) fn client(&self) -> AmazonS3 {
        self.builder().build().unwrap()
    }

    /// A client that takes the first answer for an answer.
    pub(crate) fn impatient(&self) -> AmazonS3Builder {
        let retry = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        self.builder().with_retry(retry).with_client_options(
            ClientOptions::new()
                .with_allow_http(true)
                .with_timeout(Duration::from_mins(1)),
        )
    }

    pub(crate) async fn stop(self) {
        drop(self.stop_keeping_volume().await);
    }

    pub(crate) async fn stop_keeping_volume(self) -> TempDir {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
        self.volume
    }

    /// Sends a request as it stands and returns the whole answer.
    pub(crate) async fn raw(&self, request: &str) -> String {
        raw(self.address, request.as_bytes().to_vec()).await
    }

    /// What the second port answers.
    pub(crate) async fn monitored(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        raw(self.monitor.unwrap(), request.into_bytes()).await
    }

    /// Asks the second port until the answer is as wanted.
    pub(crate) async fn wait_for(&self, page: &str, wanted: impl Fn(&str) -> bool) -> String {
        let asking = async {
            loop {
                let answer = self.monitored(page).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), asking)
            .await
            .unwrap()
    }

    /// The beginning of a request that is signed in its query.
    pub(crate) async fn signed(&self, method: http::Method, key: &str) -> String {
        let url = self
            .client()
            .signed_url(method.clone(), &path(key), Duration::from_mins(10))
            .await
            .unwrap();
        let target = format!("{}?{}", url.path(), url.query().unwrap());
        format!("{method} {target} HTTP/1.1\r\nhost: {}\r\n", self.address)
    }
}

/// Sends a request as it stands and returns the whole answer. `{host}` is replaced by the address.
pub(crate) async fn raw(address: SocketAddr, request: Vec<u8>) -> String {
    tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let host = address.to_string();
        let request = match String::from_utf8(request) {
            Ok(text) => text.replace("{host}", &host).into_bytes(),
            Err(binary) => binary.into_bytes(),
        };
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap()
}

pub(crate) fn path(key: &str) -> Path {
    Path::parse(key).unwrap()
}
