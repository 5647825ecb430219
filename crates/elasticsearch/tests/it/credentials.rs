//! Who is asking, who is answering, and that neither is told to anybody else.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::Arc;

use lifeboat_core::error::Kind;
use lifeboat_elasticsearch::access::{Access, Credentials};
use lifeboat_elasticsearch::client::{Client, Request};
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::repository::Keys;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::server::{Nobody, Reply, Server};

const SECRET: &str = "correct-horse";
/// What basic authentication makes of `lifeboat:correct-horse`.
const ENCODED: &str = "bGlmZWJvYXQ6Y29ycmVjdC1ob3JzZQ==";

fn all() -> [(Credentials, Option<String>); 4] {
    let basic = Credentials::Basic {
        user: "lifeboat".to_owned(),
        password: SECRET.to_owned(),
    };
    [
        (Credentials::None, None),
        (basic, Some(format!("Basic {ENCODED}"))),
        (
            Credentials::ApiKey(SECRET.to_owned()),
            Some(format!("ApiKey {SECRET}")),
        ),
        (
            Credentials::Bearer(SECRET.to_owned()),
            Some(format!("Bearer {SECRET}")),
        ),
    ]
}

fn access(url: String, credentials: Credentials) -> Access {
    Access {
        urls: vec![url],
        credentials,
        certificates: Vec::new(),
    }
}

fn asking() -> Request {
    Request::get("_nodes", "count its nodes")
}

#[tokio::test(start_paused = true)]
async fn each_request_says_who_it_is_from_the_second_time_too() {
    for (credentials, expected) in all() {
        let script = vec![Reply::status(503, "{}"), Reply::good("{}")];
        let server = Server::playing(script).await;
        let client = Client::new(access(server.url(), credentials)).unwrap();
        client.ask(asking()).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 2);
        for seen in seen {
            assert_eq!(seen.header("authorization"), expected.as_deref());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_are_in_no_error_and_in_nothing_that_is_printed() {
    let mut told = format!(
        "{:?}",
        Keys::InSettings {
            access: SECRET.to_owned(),
            secret: SECRET.to_owned()
        }
    );
    let nobody = Nobody::new();
    let replies = [
        Reply::status(401, "{}"),
        Reply::status(403, "{}"),
        Reply::status(500, "{}"),
        Reply::status(301, "").header("location", "http://localhost"),
        Reply::good("<html>"),
        Reply::HangUp,
    ];
    for (credentials, _) in all() {
        write!(told, "{:?}", access(nobody.url(), credentials.clone())).unwrap();
        let client = Client::new(access(nobody.url(), credentials.clone())).unwrap();
        write!(told, "{client:?}").unwrap();
        // Keeps the clock going.
        let server = Server::playing(replies.to_vec()).await;
        tell(&mut told, &client.ask(asking()).await.unwrap_err());
        let client = Client::new(access(server.url(), credentials)).unwrap();
        for _ in 0..replies.len() {
            tell(&mut told, &client.ask(asking()).await.unwrap_err());
        }
    }
    let unfit = Credentials::ApiKey(format!("{SECRET}\n"));
    tell(
        &mut told,
        &Client::new(access(nobody.url(), unfit)).unwrap_err(),
    );
    // What the tests look for would be there in this form.
    assert!(told.contains("authorization"), "{told}");
    assert!(!told.contains(SECRET), "{told}");
    assert!(!told.contains(ENCODED), "{told}");
}

fn tell(told: &mut String, error: &Error) {
    writeln!(told, "{error:?} {error}").unwrap();
    let mut source = error.source();
    while let Some(cause) = source {
        writeln!(told, "{cause:?} {cause}").unwrap();
        source = cause.source();
    }
}

#[tokio::test]
async fn credentials_that_are_not_accepted_are_told_with_what_the_server_said() {
    let kind = "security_exception";
    for status in [401, 403] {
        let server = Server::playing(vec![Reply::refusal(status, kind, "not you")]).await;
        let error = server.client().ask(asking()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let text = error.to_string().replace(&server.url(), "URL");
        assert_eq!(
            text,
            "the cluster at URL did not accept the credentials to count its nodes: not you"
        );
        assert_eq!(server.asked().len(), 1);
    }
}

/// An index or a cluster may be closed to writes: nobody's credentials help.
#[tokio::test]
async fn a_block_of_the_cluster_is_not_blamed_on_the_credentials() {
    let reason = "index [sts_a] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];";
    let reply = Reply::refusal(403, "cluster_block_exception", reason);
    let server = Server::playing(vec![reply]).await;
    let error = server.client().ask(asking()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the cluster refused to count its nodes: {reason}")
    );
}

#[test]
fn what_no_header_can_hold_is_refused_at_once() {
    for credentials in [
        Credentials::ApiKey("a\nb".to_owned()),
        Credentials::Bearer("a\0".to_owned()),
    ] {
        let error = Client::new(access("http://localhost".to_owned(), credentials)).unwrap_err();
        assert!(matches!(error, Error::Credentials), "{error:?}");
    }
}

/// A certificate for the loopback address: who vouches for it, in PEM, and a server that shows it.
fn certified() -> (Vec<u8>, TlsAcceptor) {
    let mut asked = CertificateParams::new(Vec::new()).unwrap();
    asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = "the authority of a test";
    asked.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let authority = asked.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(asked, key);
    let key = KeyPair::generate().unwrap();
    let asked = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = asked.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority.into_bytes(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn a_certificate_is_trusted_whose_authority_is_named() {
    let (authority, acceptor) = certified();
    let server = Server::secured(acceptor, Reply::good("{}")).await;
    let client = Client::new(Access {
        certificates: authority,
        ..access(server.url(), Credentials::Bearer(SECRET.to_owned()))
    });
    client.unwrap().ask(asking()).await.unwrap();
    let expected = format!("Bearer {SECRET}");
    assert_eq!(server.seen()[0].header("authorization"), Some(&*expected));
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_nobody_vouches_for_is_not_trusted() {
    let (_, acceptor) = certified();
    let (another, _) = certified();
    let server = Server::secured(acceptor, Reply::good("{}")).await;
    for certificates in [Vec::new(), another] {
        let access = access(server.url(), Credentials::Bearer(SECRET.to_owned()));
        let client = Client::new(Access {
            certificates,
            ..access
        })
        .unwrap();
        let error = client.ask(asking()).await.unwrap_err();
        let mut told = String::new();
        tell(&mut told, &error);
        assert!(told.contains("InvalidCertificate"), "{told}");
    }
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn certificates_that_are_none_are_refused_at_once() {
    let url = "https://localhost".to_owned();
    for text in [
        "no certificate",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        let error = Client::new(Access {
            certificates: text.as_bytes().to_vec(),
            ..access(url.clone(), Credentials::None)
        });
        assert_eq!(error.unwrap_err().kind(), Kind::Invalid, "{text}");
    }
}
