//! Every way to prove who the gateway is.

use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use lifeboat_core::settings::{self, Secret};
use lifeboat_gateway::backend::options::CopyOptions;
use lifeboat_gateway::backend::{Backend as _, Error};
use lifeboat_gateway::backends::azure::{Azure, Identity, Limits, Options, Workload};
use lifeboat_testkit::servers::azurite;
use tempfile::TempDir;

use super::account::{self, Account, account_query, options};
use super::proxy::Proxy;
use super::uploads::complete;
use crate::support::{Place as _, begin, content, put, put_part, read, wall_clock};

/// Small enough that the service copies ranges, which needs a proof of its own.
const LIMITS: Limits = Limits {
    window: 100_000,
    put: 1_000_000,
    block: 100_000,
    copy: 10,
    range: 8,
    metadata: 8 * 1024,
};

/// Writes, reads and copies in every way that has to prove something.
async fn works(account: &Account) {
    put(account, "k", "some more bytes").await.unwrap();
    let copy = account
        .backend()
        .copy(
            &account.at("k"),
            &account.at("copy"),
            CopyOptions::default(),
        )
        .await;
    copy.unwrap();
    assert_eq!(read(account, "copy").await.unwrap(), "some more bytes");
    let upload = begin(account, "u").await.unwrap();
    let part = put_part(account, "u", &upload, 1, content("part"))
        .await
        .unwrap();
    complete(account, "u", &upload, &[part]).await.unwrap();
    assert_eq!(read(account, "u").await.unwrap(), "part");
    account.backend().status().await.unwrap();
}

#[tokio::test]
async fn a_shared_access_signature_is_enough() {
    let Some(azurite) = account::azurite() else {
        return;
    };
    let proxy = Proxy::before(azurite.server.endpoint()).await;
    let identity = Identity::Sas(Secret::new(format!("?{}", account_query())));
    let options = Options {
        identity,
        limits: LIMITS,
        ..options(&proxy.endpoint)
    };
    let azure = Azure::open(options, wall_clock()).unwrap();
    works(&Account::new(azure, azurite).await).await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_shown_nowhere() {
    let Some(azurite) = account::azurite() else {
        return;
    };
    let options = Options {
        identity: Identity::Key(Secret::new("d3Jvbmcga2V5")),
        ..options(azurite.server.endpoint())
    };
    let azure = Azure::open(options, wall_clock()).unwrap();
    let refused = azure.buckets().await.unwrap_err();
    assert!(
        matches!(&refused, Error::Upstream { status: 403, code, .. } if code == "AccessDenied")
    );
    let shown = format!("{refused} {refused:?} {azure:?}");
    assert!(!shown.contains("d3Jvbmcga2V5"));
    assert!(azure.status().await.is_err());
}

#[tokio::test]
async fn a_signature_is_shown_nowhere_when_nobody_answers() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = Options {
        identity: Identity::Sas(Secret::new("sv=1&sig=hidden")),
        ..options(&format!("http://{nobody}/backups"))
    };
    let azure = Azure::open(options, wall_clock()).unwrap();
    let error = azure.buckets().await.unwrap_err();
    let mut shown = format!("{error} {error:?} {azure:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        shown = format!("{shown} {error} {error:?}");
        cause = error.source();
    }
    assert!(
        shown.contains("while listing the buckets") && !shown.contains("hidden"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_pod_proves_itself_with_its_service_account() {
    let Some(azurite) = account::azurite() else {
        return;
    };
    let proxy = Proxy::before(azurite.server.endpoint()).await;
    proxy.let_in("token-for-the-pod", account_query());
    let authority = Authority::start("token-for-the-pod").await;
    let folder = TempDir::new().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "assertion-of-kubernetes").unwrap();
    let environment = |name: &str| match name {
        "AZURE_CLIENT_ID" => Some("client".to_owned()),
        "AZURE_TENANT_ID" => Some("tenant".to_owned()),
        "AZURE_FEDERATED_TOKEN_FILE" => Some(token_file.to_str().unwrap().to_owned()),
        "AZURE_AUTHORITY_HOST" => Some(authority.clone()),
        _ => None,
    };
    let settings = settings::Azure {
        account: Some(Secret::new(azurite::ACCOUNT.access)),
        key: None,
        sas: None,
        endpoint: Some(proxy.endpoint.clone()),
        certificates: None,
        existing_secret: None,
    };
    let chosen = Options::choose(&settings, environment).unwrap();
    assert!(matches!(
        &chosen.identity,
        Identity::Workload(Workload { .. })
    ));
    let options = Options {
        limits: LIMITS,
        ..chosen
    };
    let azure = Azure::open(options, wall_clock()).unwrap();
    works(&Account::new(azure, azurite).await).await;
}

#[tokio::test]
async fn an_identity_that_cannot_be_proved_is_told_so() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let workload = Workload {
        tenant: "tenant".to_owned(),
        client: "client".to_owned(),
        token_file: "/no/such/token".to_owned(),
        authority: Some(format!("http://{nobody}/")),
    };
    let options = Options::new("backups", Identity::Workload(workload));
    let azure = Azure::open(options, wall_clock()).unwrap();
    let error = azure.buckets().await.unwrap_err();
    insta::assert_snapshot!(error, @"the store behind the gateway gave no answer while proving who the gateway is");
}

/// Gives tokens to whoever asks as Azure's webhook has pods ask.
struct Authority;

impl Authority {
    async fn start(token: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let token: Arc<str> = token.into();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let token = Arc::clone(&token);
                let service = service_fn(move |request| Self::answer(request, Arc::clone(&token)));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        address
    }

    async fn answer(
        request: Request<Incoming>,
        token: Arc<str>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let path = request.uri().path().to_owned();
        let form = request.into_body().collect().await?.to_bytes();
        let form = String::from_utf8_lossy(&form);
        let asked = path == "/tenant/oauth2/v2.0/token"
            && form.contains("client_id=client")
            && form.contains("client_assertion=assertion-of-kubernetes");
        let body = if asked {
            format!(r#"{{"access_token":"{token}","expires_in":3600,"token_type":"Bearer"}}"#)
        } else {
            String::new()
        };
        Ok(Response::new(Full::new(Bytes::from(body))))
    }
}
