//! Who the gateway is to Azure, and how its requests prove it.
//!
//! Tokens of workload and managed identities come from `object_store`, which gets a new one five minutes before the old
//! one ends. Requests with the key of the account are signed here.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::settings::Secret;
use object_store::ClientOptions;
use object_store::azure::{AzureCredential, AzureCredentialProvider, MicrosoftAzureBuilder};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Request, Url};

use super::OpenError;
use super::name::Name;
use super::sign::Key;
use crate::backend::Error;

/// The version of the service that is spoken.
const VERSION: &str = "2023-11-03";
/// For how long the service may read what it is told to copy.
const SOURCE_TERM: SignedDuration = SignedDuration::from_hours(12);

/// What proves to Azure who the gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The key of the account, in Base64.
    Key(Secret),
    /// A shared access signature, as the portal shows it. It must allow reading, writing, creating, deleting and listing.
    Sas(Secret),
    /// A service account of Kubernetes that Azure trusts.
    Workload(Workload),
    /// What the machine is to Azure. With a client id, the one of several identities.
    Managed { client: Option<String> },
}

/// Where a workload identity is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    pub tenant: String,
    pub client: String,
    /// Read again for each new token: Kubernetes replaces it.
    pub token_file: String,
    /// `None`: that of the public cloud.
    pub authority: Option<String>,
}

impl Identity {
    /// Takes the key or the signature if there is one, else the identity that `environment` tells of: as Azure's webhook
    /// for workload identities sets it, else that of the machine.
    pub(super) fn choose(
        key: Option<Secret>,
        sas: Option<Secret>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        if let Some(key) = key {
            return Self::Key(key);
        }
        if let Some(sas) = sas {
            return Self::Sas(sas);
        }
        let get = |name: &str| environment(name).filter(|value| !value.is_empty());
        match (
            get("AZURE_CLIENT_ID"),
            get("AZURE_TENANT_ID"),
            get("AZURE_FEDERATED_TOKEN_FILE"),
        ) {
            (Some(client), Some(tenant), Some(token_file)) => Self::Workload(Workload {
                tenant,
                client,
                token_file,
                authority: get("AZURE_AUTHORITY_HOST"),
            }),
            (client, _, _) => Self::Managed { client },
        }
    }
}

/// Proves requests.
#[derive(Clone)]
pub(super) struct Prover {
    account: String,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    Key(Key),
    /// The query of an address.
    Sas(String),
    Token(AzureCredentialProvider),
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover").finish_non_exhaustive()
    }
}

/// A blob as the service is told to read it.
#[derive(Debug)]
pub(super) struct Source {
    /// May hold a signature.
    pub(super) url: HeaderValue,
    pub(super) authorization: Option<HeaderValue>,
}

impl Prover {
    pub(super) fn new(account: &str, identity: Identity) -> Result<Self, OpenError> {
        let tokens = || {
            MicrosoftAzureBuilder::new()
                .with_account(account)
                .with_container_name("any")
        };
        let proof = match identity {
            Identity::Key(key) => Proof::Key(Key::new(key.expose()).ok_or(OpenError::BadKey)?),
            Identity::Sas(sas) => Proof::Sas(sas_query(sas.expose()).ok_or(OpenError::BadSas)?),
            Identity::Workload(workload) => {
                let authority = workload.authority.unwrap_or_else(|| {
                    object_store::azure::authority_hosts::AZURE_PUBLIC_CLOUD.to_owned()
                });
                let plain = ClientOptions::new().with_allow_http(authority.starts_with("http://"));
                let builder = tokens()
                    .with_credential_type("workload_identity")
                    .with_tenant_id(workload.tenant)
                    .with_client_id(workload.client)
                    .with_federated_token_file(workload.token_file)
                    .with_authority_host(authority.trim_end_matches('/'))
                    .with_client_options(plain);
                Proof::Token(provider(builder)?)
            }
            Identity::Managed { client } => {
                let mut builder = tokens().with_credential_type("managed_identity");
                if let Some(client) = client {
                    builder = builder.with_client_id(client);
                }
                Proof::Token(provider(builder)?)
            }
        };
        Ok(Self {
            account: account.to_owned(),
            proof,
        })
    }

    /// Adds time, version and proof to a request that is otherwise complete.
    pub(super) async fn prove(&self, request: &mut Request, now: Timestamp) -> Result<(), Error> {
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let headers = request.headers_mut();
        headers.insert(HeaderName::from_static("x-ms-date"), value(&date)?);
        headers.insert(
            HeaderName::from_static("x-ms-version"),
            HeaderValue::from_static(VERSION),
        );
        match &self.proof {
            Proof::Key(key) => {
                let text = key.authorization(
                    &self.account,
                    request.method(),
                    request.url(),
                    request.headers(),
                );
                let proof = sensitive(&text)?;
                request.headers_mut().insert(AUTHORIZATION, proof);
            }
            Proof::Sas(query) => append_query(request.url_mut(), query),
            Proof::Token(provider) => {
                let proof = bearer(provider).await?;
                request.headers_mut().insert(AUTHORIZATION, proof);
            }
        }
        Ok(())
    }

    /// Lets the service read a blob of this account. `url` is where the blob lies.
    pub(super) async fn source(
        &self,
        mut url: Url,
        container: &str,
        name: &Name,
        now: Timestamp,
    ) -> Result<Source, Error> {
        let mut authorization = None;
        match &self.proof {
            Proof::Key(key) => {
                let expires = now.saturating_add(SOURCE_TERM).unwrap_or(Timestamp::MAX);
                let query = key.source_query(&self.account, container, name.as_str(), expires);
                append_query(&mut url, &query);
            }
            Proof::Sas(query) => append_query(&mut url, query),
            Proof::Token(provider) => authorization = Some(bearer(provider).await?),
        }
        Ok(Source {
            url: sensitive(url.as_str())?,
            authorization,
        })
    }
}

fn provider(builder: MicrosoftAzureBuilder) -> Result<AzureCredentialProvider, OpenError> {
    let store = builder
        .build()
        .map_err(|source| OpenError::Identity { source })?;
    Ok(Arc::clone(store.credentials()))
}

async fn bearer(provider: &AzureCredentialProvider) -> Result<HeaderValue, Error> {
    let credential = provider
        .get_credential()
        .await
        .map_err(|source| Error::Unreachable {
            action: "proving who the gateway is",
            source: Box::new(source),
        })?;
    match &*credential {
        AzureCredential::BearerToken(token) => sensitive(&format!("Bearer {token}")),
        _ => Err(Error::NotSupported {
            what: "this kind of credential",
        }),
    }
}

/// Returns a signature as the query of an address, if it is one.
fn sas_query(text: &str) -> Option<String> {
    let query = text.trim().trim_start_matches('?');
    let printable = query.bytes().all(|byte| byte.is_ascii_graphic());
    let signed = query.split('&').any(|pair| pair.starts_with("sig="));
    (printable && signed).then(|| query.to_owned())
}

fn append_query(url: &mut Url, more: &str) {
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&{more}"),
        _ => more.to_owned(),
    };
    url.set_query(Some(&query));
}

/// A header that is never printed.
fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    let mut value = value(text)?;
    value.set_sensitive(true);
    Ok(value)
}

fn value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(|_| Error::NotSupported {
        what: "a header with such a value",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_goes_before_what_the_environment_tells() {
        let environment = |name: &str| Some(format!("value of {name}"));
        let chosen = |key, sas| Identity::choose(key, sas, environment);
        let secret = || Some(Secret::new("x"));
        assert!(matches!(chosen(secret(), None), Identity::Key(_)));
        assert!(matches!(chosen(None, secret()), Identity::Sas(_)));
        let Identity::Workload(workload) = chosen(None, None) else {
            panic!("a workload identity is told of");
        };
        assert_eq!(workload.client, "value of AZURE_CLIENT_ID");
        assert_eq!(workload.token_file, "value of AZURE_FEDERATED_TOKEN_FILE");
    }

    #[test]
    fn without_anything_the_machine_proves_itself() {
        let none = Identity::choose(None, None, |_| None);
        assert_eq!(none, Identity::Managed { client: None });
        let half = Identity::choose(None, None, |name| {
            (name == "AZURE_CLIENT_ID").then(|| "id".to_owned())
        });
        let client = Some("id".to_owned());
        assert_eq!(half, Identity::Managed { client });
    }

    #[test]
    fn a_signature_is_the_query_of_an_address() {
        assert_eq!(
            sas_query("?sv=1&sig=a%2Bb \n").as_deref(),
            Some("sv=1&sig=a%2Bb")
        );
        assert_eq!(sas_query("sv=1"), None);
        assert_eq!(sas_query("sig=a b"), None);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let key = Identity::Key(Secret::new("c2VjcmV0"));
        let prover = Prover::new("account", key.clone()).unwrap();
        let printed = format!("{key:?} {prover:?} {:?}", sensitive("c2VjcmV0").unwrap());
        assert!(!printed.contains("c2VjcmV0"));
    }

    #[tokio::test]
    async fn a_signature_is_added_to_what_is_asked() {
        let sas = Identity::Sas(Secret::new("?sv=1&sig=x%3D"));
        let prover = Prover::new("account", sas).unwrap();
        let url = Url::parse("https://account.blob.core.windows.net/c?comp=list").unwrap();
        let mut request = Request::new(reqwest::Method::GET, url);
        prover
            .prove(&mut request, Timestamp::UNIX_EPOCH)
            .await
            .unwrap();
        assert_eq!(request.url().query(), Some("comp=list&sv=1&sig=x%3D"));
        assert!(request.headers().get(AUTHORIZATION).is_none());
        assert_eq!(
            request.headers()["x-ms-date"],
            "Thu, 01 Jan 1970 00:00:00 GMT"
        );
    }
}
