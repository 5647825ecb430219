//! What the backend has to be told.

use std::path::PathBuf;
use std::{fs, io};

use lifeboat_core::error::Kind;
use lifeboat_core::settings::{self, Secret};
use reqwest::{Certificate, Url};

use super::client::Retry;
use super::identity::Identity;

const MIB: u64 = 1024 * 1024;

/// Which account, where, and who the gateway is there.
#[derive(Debug, Clone)]
pub struct Options {
    pub account: String,
    /// Where the account's containers lie, with the account in the path where it is not in the host. `None`: Azure's
    /// public cloud.
    pub endpoint: Option<String>,
    pub identity: Identity,
    /// A file in PEM with certificates to trust beside those of the system.
    pub certificates: Option<PathBuf>,
    pub limits: Limits,
    pub retry: Retry,
}

/// How much goes into one call, in bytes. The defaults are Azure's own limits, and what a request may hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How much of a request's content is held at most.
    pub window: u64,
    /// The most bytes of a blob that is written by one call.
    pub put: u64,
    /// The most bytes of a block.
    pub block: u64,
    /// The most bytes of a blob that is copied by one call.
    pub copy: u64,
    /// How many bytes are copied into a block of a larger one.
    pub range: u64,
    /// The most bytes of a blob's metadata.
    pub metadata: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 8 * MIB,
            put: 5000 * MIB,
            block: 4000 * MIB,
            copy: 256 * MIB,
            range: 256 * MIB,
            metadata: 8 * 1024,
        }
    }
}

impl Options {
    pub fn new(account: impl Into<String>, identity: Identity) -> Self {
        Self {
            account: account.into(),
            endpoint: None,
            identity,
            certificates: None,
            limits: Limits::default(),
            retry: Retry::default(),
        }
    }

    /// What the values say, and where they say nothing, the environment: `AZURE_STORAGE_ACCOUNT`, `AZURE_STORAGE_KEY` or
    /// `AZURE_STORAGE_SAS_TOKEN`, and the variables of workload identities.
    pub fn choose(
        settings: &settings::Azure,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, OpenError> {
        let get = |name: &str| environment(name).filter(|value| !value.is_empty());
        let account = match &settings.account {
            Some(account) => account.expose().to_owned(),
            None => get("AZURE_STORAGE_ACCOUNT").ok_or(OpenError::NoAccount)?,
        };
        let given = (settings.key.clone(), settings.sas.clone());
        let (key, sas) = match given {
            (None, None) => (
                get("AZURE_STORAGE_KEY").map(Secret::new),
                get("AZURE_STORAGE_SAS_TOKEN").map(Secret::new),
            ),
            given => given,
        };
        Ok(Self {
            endpoint: settings.endpoint.clone(),
            certificates: settings.certificates.as_ref().map(PathBuf::from),
            ..Self::new(account, Identity::choose(key, sas, environment))
        })
    }

    pub(super) fn base(&self) -> Result<Url, OpenError> {
        let account = &self.account;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        if account.is_empty() || !account.bytes().all(plain) {
            return Err(OpenError::BadAccount);
        }
        let text = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://{account}.blob.core.windows.net"),
        };
        let url = Url::parse(&text).map_err(|_| OpenError::BadEndpoint)?;
        let usable = matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        usable.then_some(url).ok_or(OpenError::BadEndpoint)
    }

    /// Reads the certificates to trust. Blocks.
    pub(super) fn certificates(&self) -> Result<Vec<Certificate>, OpenError> {
        let Some(path) = &self.certificates else {
            return Ok(Vec::new());
        };
        let text = fs::read(path).map_err(|source| OpenError::ReadCertificates {
            path: path.clone(),
            source,
        })?;
        match Certificate::from_pem_bundle(&text) {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(OpenError::BadCertificates { path: path.clone() }),
        }
    }
}

/// Why an account cannot be taken into service. Nothing of what was set is shown but paths: it may be a secret in the
/// wrong place.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the storage account has no name: set `backup.storage.backend.azure.accountName`, or AZURE_STORAGE_ACCOUNT in the environment"
    )]
    NoAccount,
    #[error(
        "the name of the storage account has other characters than letters, digits, dots and hyphens"
    )]
    BadAccount,
    #[error(
        "`backup.storage.backend.azure.endpoint` is not an address like `https://ACCOUNT.blob.core.windows.net`"
    )]
    BadEndpoint,
    #[error("the key of the storage account is not Base64, as Azure's portal shows it")]
    BadKey,
    #[error("the shared access signature is none: it has the form `sv=…&sig=…`")]
    BadSas,
    #[error("cannot use the identity of the pod for the storage account")]
    Identity {
        #[source]
        source: object_store::Error,
    },
    #[error("cannot read `{}`, which `lifeboat.gateway.azure.certificates` names", path.display())]
    ReadCertificates {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}`, which `lifeboat.gateway.azure.certificates` names, holds no certificates in PEM", path.display())]
    BadCertificates { path: PathBuf },
    #[error("cannot prepare connections to the storage account")]
    Client {
        #[source]
        source: reqwest::Error,
    },
}

impl OpenError {
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoAccount
            | Self::BadAccount
            | Self::BadEndpoint
            | Self::BadKey
            | Self::BadSas
            | Self::BadCertificates { .. }
            | Self::Identity { .. } => Kind::Invalid,
            Self::ReadCertificates { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Kind::NotFound
            }
            Self::ReadCertificates { .. } => Kind::Unavailable,
            Self::Client { .. } => Kind::Bug,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(account: &str, endpoint: Option<&str>) -> Result<String, String> {
        let mut options = Options::new(account, Identity::Managed { client: None });
        options.endpoint = endpoint.map(str::to_owned);
        options
            .base()
            .map(|url| url.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_account_is_in_the_host_or_in_the_path() {
        assert_eq!(
            base("backups", None).unwrap(),
            "https://backups.blob.core.windows.net/"
        );
        let emulator = "http://127.0.0.1:10000/backups";
        assert_eq!(base("backups", Some(emulator)).unwrap(), emulator);
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_shown() {
        for wrong in [
            "",
            "backups",
            "ftp://x/",
            "https://x/?sv=1&sig=hidden",
            "https://user@x/",
        ] {
            let error = base("backups", Some(wrong)).unwrap_err();
            assert!(
                error.contains("endpoint") && !error.contains("hidden"),
                "{error}"
            );
        }
        for wrong in ["", "my account", "a/b"] {
            let error = base(wrong, None).unwrap_err();
            assert!(error.contains("name of the storage account"), "{error}");
        }
    }

    fn settings() -> settings::Azure {
        settings::Azure {
            account: None,
            key: None,
            sas: None,
            endpoint: None,
            certificates: None,
            existing_secret: None,
        }
    }

    #[test]
    fn the_values_go_before_the_environment() {
        let environment = |name: &str| match name {
            "AZURE_STORAGE_ACCOUNT" => Some("fromenvironment".to_owned()),
            "AZURE_STORAGE_KEY" => Some("a2V5".to_owned()),
            _ => None,
        };
        let chosen = |settings: &settings::Azure| Options::choose(settings, environment).unwrap();
        let from_environment = chosen(&settings());
        assert_eq!(from_environment.account, "fromenvironment");
        assert_eq!(
            from_environment.identity,
            Identity::Key(Secret::new("a2V5"))
        );
        let sas = Secret::new("sv=1&sig=x");
        let from_values = chosen(&settings::Azure {
            account: Some(Secret::new("fromvalues")),
            sas: Some(sas.clone()),
            ..settings()
        });
        assert_eq!(from_values.account, "fromvalues");
        assert_eq!(from_values.identity, Identity::Sas(sas));
        let nothing = Options::choose(&settings(), |_| None);
        assert!(matches!(nothing, Err(OpenError::NoAccount)));
    }

    #[test]
    fn certificates_that_are_none_are_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("ca.pem");
        let mut options = Options::new("backups", Identity::Managed { client: None });
        options.certificates = Some(path.clone());
        assert!(matches!(
            options.certificates(),
            Err(OpenError::ReadCertificates { .. })
        ));
        fs::write(&path, "no certificate").unwrap();
        let error = options.certificates().unwrap_err().to_string();
        assert!(
            error.contains("ca.pem") && error.contains("lifeboat.gateway.azure"),
            "{error}"
        );
    }
}
