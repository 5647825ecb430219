//! Which store it is, and why it cannot be used.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use lifeboat_core::error::Kind;
use lifeboat_core::settings;

use crate::backend::content::BodyError;

/// Where the store is and how to speak to it.
#[derive(Debug, Clone)]
pub struct Options {
    /// Nothing: Amazon's own in the region. A host without a scheme is spoken to over TLS.
    pub endpoint: Option<String>,
    pub region: String,
    /// Nothing: the identity of the pod or the machine.
    pub keys: Option<Keys>,
    pub style: Style,
    /// A file in PEM with certificates to trust beside those of the system.
    pub certificates: Option<PathBuf>,
    pub patience: Patience,
}

/// A pair of keys, with the token that belongs to it if it is a temporary one.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub access_key: String,
    /// Never shown: not in `Debug`, not in a log, not in an error.
    pub secret_key: String,
    /// Never shown either.
    pub token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// Where in a request the bucket is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// In the host for Amazon's own endpoint, in the path for every other.
    #[default]
    Auto,
    Path,
    /// In the host. A bucket with dots over TLS is named in the path all the same: no certificate covers its host.
    Virtual,
}

/// How long and how often the store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// To connect.
    pub connect: Duration,
    /// Until an answer begins.
    pub answer: Duration,
    /// The same for what a store may have to move bytes for: copies, and the completion of an upload.
    pub work: Duration,
    /// In which nothing moves of content on its way.
    pub silence: Duration,
    /// How often a request is sent that may be sent again.
    pub attempts: u32,
    /// Before the second attempt; doubled for each that follows. Chance decides how much of it is waited.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_mins(1),
            work: Duration::from_mins(15),
            silence: Duration::from_mins(2),
            attempts: 4,
            pause: Duration::from_millis(200),
        }
    }
}

impl Options {
    /// Amazon's own endpoint in a region, with the identity of the pod or the machine.
    pub fn new(region: impl Into<String>) -> Self {
        Self {
            endpoint: None,
            region: region.into(),
            keys: None,
            style: Style::default(),
            certificates: None,
            patience: Patience::default(),
        }
    }
}

impl From<&settings::S3> for Options {
    fn from(settings: &settings::S3) -> Self {
        let keys = settings.credentials.as_ref().map(|credentials| Keys {
            access_key: credentials.access_key.expose().to_owned(),
            secret_key: credentials.secret_key.expose().to_owned(),
            token: None,
        });
        Self {
            endpoint: settings.endpoint.clone(),
            keys,
            style: match settings.style {
                settings::S3Style::Auto => Style::Auto,
                settings::S3Style::Path => Style::Path,
                settings::S3Style::Virtual => Style::Virtual,
            },
            certificates: settings.certificates.as_ref().map(PathBuf::from),
            ..Self::new(settings.region.as_str())
        }
    }
}

/// Why a store cannot be used as the options say.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`backup.storage.backend.s3.endpoint` is `{endpoint}`, which is no URL of a server")]
    Endpoint { endpoint: String },
    #[error("`backup.storage.backend.s3.{key}` cannot travel in a header")]
    Value { key: &'static str },
    #[error("cannot read `{}`, which `lifeboat.gateway.s3.certificates` names", path.display())]
    ReadCertificates {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}`, which `lifeboat.gateway.s3.certificates` names, holds no certificates in PEM", path.display())]
    Certificates {
        path: PathBuf,
        #[source]
        source: Option<BodyError>,
    },
    #[error(
        "the environment says whose keys to use for S3, but not well: set all or none of its `AWS_…` variables"
    )]
    Identity {
        #[source]
        source: BodyError,
    },
    #[error("cannot set up the client of S3")]
    Client {
        #[source]
        source: BodyError,
    },
}

impl OpenError {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Endpoint { .. }
            | Self::Value { .. }
            | Self::Certificates { .. }
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

    #[test]
    fn a_secret_is_never_printed() {
        let options = Options {
            keys: Some(Keys {
                access_key: "reader".to_owned(),
                secret_key: "hidden-hidden".to_owned(),
                token: Some("hidden-too".to_owned()),
            }),
            ..Options::new("us-east-1")
        };
        let text = format!("{options:?}");
        assert!(text.contains("reader") && !text.contains("hidden"));
    }
}
