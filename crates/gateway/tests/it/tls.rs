//! The gateway with a certificate of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lifeboat_core::error::Kind;
use lifeboat_gateway::backend::Backend as _;
use lifeboat_gateway::backends::s3::{Options, Patience, S3};
use lifeboat_gateway::server::Error;
use lifeboat_gateway::{Config, Limits, Server, tls};
use object_store::aws::AmazonS3;
use object_store::{Certificate, ClientOptions, ObjectStoreExt as _, RetryConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::gateway::{Gateway, config, local, path};
use crate::remote::options_behind;
use crate::support::{put, read, wall_clock};

/// Who vouches for the certificates of a test, and where those are.
struct Authority {
    folder: TempDir,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut asked = CertificateParams::new(Vec::new()).unwrap();
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = asked.self_signed(&key).unwrap().pem();
        Self {
            folder: TempDir::new().unwrap(),
            pem,
            issuer: Issuer::new(asked, key),
        }
    }

    /// Puts a new pair that runs out in this year in place of the one before.
    fn certify(&self, year: i32) {
        let mut asked = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        asked.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = asked.signed_by(&key, &self.issuer).unwrap();
        // Two files, one after the other: in between they are no pair.
        self.write("tls.crt", &certificate.pem());
        self.write("tls.key", &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        let aside = self.path().join("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(&aside, self.path().join(name)).unwrap();
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self) -> Config {
        Config {
            tls: Some(tls::Files {
                certificate: self.path().join("tls.crt"),
                key: self.path().join("tls.key"),
            }),
            reload: Duration::from_millis(5),
            ..config()
        }
    }

    /// A client that shakes hands for every request and takes the first answer for an answer.
    fn client(&self, gateway: &Gateway) -> AmazonS3 {
        let root = Certificate::from_pem(self.pem.as_bytes()).unwrap();
        let options = ClientOptions::new()
            .with_root_certificate(root)
            .with_pool_max_idle_per_host(0);
        let retry = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        gateway
            .builder()
            .with_endpoint(format!("https://{}", gateway.address))
            .with_client_options(options)
            .with_retry(retry)
            .build()
            .unwrap()
    }
}

/// When the year begins, in seconds since 1970.
fn second_of(year: i16) -> i64 {
    let day = jiff::civil::date(year, 1, 1);
    let zoned = day.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    zoned.timestamp().as_second()
}

fn expiry(year: i16) -> String {
    format!(
        "lifeboat_gateway_certificate_expiry_seconds {}\n",
        second_of(year)
    )
}

#[tokio::test]
async fn a_certificate_is_changed_under_load_without_a_failed_request() {
    let authority = Authority::new();
    authority.certify(2040);
    let gateway = Gateway::start_with(authority.config()).await;
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|number| {
            let client = authority.client(&gateway);
            let over = Arc::clone(&over);
            tokio::spawn(async move {
                let mut requests = 0;
                while !over.load(Ordering::Relaxed) {
                    let key = path(&format!("{number}/{requests}"));
                    client.put(&key, "content".into()).await.unwrap();
                    let read = client.get(&key).await.unwrap().bytes().await.unwrap();
                    assert_eq!(read, "content");
                    requests += 1;
                }
                requests
            })
        })
        .collect();
    for year in 2041..2046 {
        authority.certify(i32::from(year));
        gateway
            .wait_for("/metrics", |metrics| metrics.contains(&expiry(year)))
            .await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_leaves_the_one_before_in_service() {
    let authority = Authority::new();
    authority.certify(2040);
    let gateway = Gateway::start_with(authority.config()).await;
    let client = authority.client(&gateway);
    authority.write("tls.crt", "no certificate");
    let failed = |metrics: &str| {
        metrics.contains("lifeboat_gateway_reload_failures_total{what=\"certificate\"}")
    };
    let metrics = gateway.wait_for("/metrics", failed).await;
    assert!(metrics.contains(&expiry(2040)), "{metrics}");
    client.put(&path("k"), "x".into()).await.unwrap();
    authority.certify(2041);
    gateway
        .wait_for("/metrics", |metrics| metrics.contains(&expiry(2041)))
        .await;
    client.put(&path("k"), "x".into()).await.unwrap();
    gateway.stop().await;
}

#[tokio::test]
async fn whoever_does_not_shake_hands_is_not_served() {
    let authority = Authority::new();
    authority.certify(2040);
    let gateway = Gateway::start_with(Config {
        limits: Limits {
            handshake: Duration::from_millis(50),
            ..Limits::default()
        },
        ..authority.config()
    })
    .await;
    let address = gateway.address;
    for said in ["", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(said.as_bytes()).unwrap();
            let mut answer = Vec::new();
            // A reset is an end, too.
            drop(stream.read_to_end(&mut answer));
            answer
        });
        let answer = answer.await.unwrap();
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    gateway
        .wait_for("/metrics", |metrics| {
            metrics.contains("lifeboat_gateway_handshakes_failed_total 2\n")
        })
        .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_whose_certificate_is_missing_does_not_start() {
    let authority = Authority::new();
    let volume = TempDir::new().unwrap();
    let error = Server::bind(authority.config(), local(&volume))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        cause.starts_with("cannot read") && cause.contains("tls.crt"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_store_behind_the_gateway_is_trusted_with_the_certificates_of_the_settings() {
    let authority = Authority::new();
    authority.certify(2999);
    authority.write("ca.crt", &authority.pem);
    let store = Gateway::start_with(authority.config()).await;
    let options = Options {
        endpoint: Some(format!("https://{}", store.address)),
        patience: Patience {
            attempts: 1,
            ..Patience::default()
        },
        ..options_behind(&store)
    };
    let s3 = S3::open(options.clone(), wall_clock()).unwrap();
    let refused = s3.bucket("bucket").await.unwrap_err();
    // The causes are in it.
    let text = format!("{refused:?}").to_lowercase();
    assert!(text.contains("certificate"), "{text}");

    let trusting = Options {
        certificates: Some(authority.path().join("ca.crt")),
        ..options.clone()
    };
    let s3 = S3::open(trusting, wall_clock()).unwrap();
    put(&s3, "k", "content").await.unwrap();
    assert_eq!(read(&s3, "k").await.unwrap(), "content");

    for (name, kind) in [("none.crt", Kind::NotFound), ("tls.key", Kind::Invalid)] {
        let wrong = Options {
            certificates: Some(authority.path().join(name)),
            ..options.clone()
        };
        let error = S3::open(wrong, wall_clock()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    store.stop().await;
}
