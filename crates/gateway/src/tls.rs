//! The gateway's own certificate.
//!
//! The key must belong to the certificate, or neither is taken: between the two files of a half-swapped pair there is no
//! moment in which clients are refused.

mod expiry;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use lifeboat_core::error::Kind;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::reload::{Loaded, Source};

/// The two files of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// PEM: the certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` holds no {what} in PEM")]
    Pem {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: pem::Error,
    },
    #[error("`{path}` holds no certificate")]
    Empty { path: PathBuf },
    #[error("`{certificate}` and `{key}` are no pair that can be used")]
    Pair {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("this build of TLS cannot be used")]
    Setup {
        #[source]
        source: rustls::Error,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Read { .. } | Self::Pem { .. } | Self::Empty { .. } | Self::Pair { .. } => {
                Kind::Invalid
            }
            Self::Setup { .. } => Kind::Bug,
        }
    }
}

/// A certificate that can be used.
pub(crate) struct Identity {
    pair: Arc<CertifiedKey>,
    /// When it runs out, in seconds since 1970, where it says so in a way that is understood.
    pub(crate) expiry: Option<i64>,
}

impl Source for Files {
    type Value = Identity;
    type Error = Error;
    const WHAT: &'static str = "certificate";

    fn load(&self) -> Result<Loaded<Identity>, Error> {
        let chain_text = read(&self.certificate)?;
        let key_text = read(&self.key)?;
        let wrap = |path: &Path, what| {
            let path = path.to_owned();
            move |source| Error::Pem { path, what, source }
        };
        let chain = CertificateDer::pem_slice_iter(&chain_text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(wrap(&self.certificate, "certificate"))?;
        let first = chain.first().ok_or_else(|| Error::Empty {
            path: self.certificate.clone(),
        })?;
        let expiry = expiry::not_after(first);
        let key =
            PrivateKeyDer::from_pem_slice(&key_text).map_err(wrap(&self.key, "private key"))?;
        let pair = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let pair = pair.map_err(|source| Error::Pair {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        })?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(blake3::hash(&chain_text).as_bytes());
        hasher.update(&key_text);
        let value = Identity {
            pair: Arc::new(pair),
            expiry,
        };
        Ok(Loaded {
            value,
            fingerprint: hasher.finalize(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// The certificate in service. Clones share it, and one that is replaced in one is replaced in all.
#[derive(Clone)]
pub(crate) struct Current(Arc<RwLock<Arc<CertifiedKey>>>);

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

impl Current {
    pub(crate) fn new(identity: Identity) -> Self {
        Self(Arc::new(RwLock::new(identity.pair)))
    }

    /// From now on this one is shown to who connects. Connections go on as they began.
    pub(crate) fn replace(&self, identity: Identity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity.pair;
    }

    /// TLS 1.2 and 1.3, HTTP/1.1 inside.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|source| Error::Setup { source })?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&pair))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn pair(folder: &TempDir, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = folder.path().join(format!("{name}.crt"));
        let key = folder.path().join(format!("{name}.key"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }

    #[test]
    fn a_pair_has_a_fingerprint_of_its_own() {
        let folder = TempDir::new().unwrap();
        let of = |name| {
            let (certificate, key) = pair(&folder, name);
            let files = Files { certificate, key };
            let first = files.load().unwrap();
            assert_eq!(first.fingerprint, files.load().unwrap().fingerprint);
            assert!(first.value.expiry.is_some());
            first.fingerprint
        };
        assert_ne!(of("one"), of("two"));
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_name() {
        let folder = TempDir::new().unwrap();
        let (one, one_key) = pair(&folder, "one");
        let (_, other_key) = pair(&folder, "other");
        let empty = folder.path().join("empty");
        fs::write(&empty, "").unwrap();
        let broken = folder.path().join("broken");
        fs::write(
            &broken,
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        let told = |certificate: &Path, key: &Path| {
            let files = Files {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
            };
            let error = files.load().err().unwrap();
            assert_eq!(error.kind(), Kind::Invalid);
            error
                .to_string()
                .replace(&folder.path().display().to_string(), "")
        };
        let missing = folder.path().join("missing");
        assert_eq!(told(&missing, &one_key), "cannot read `/missing`");
        assert_eq!(told(&empty, &one_key), "`/empty` holds no certificate");
        assert_eq!(
            told(&broken, &one_key),
            "`/broken` holds no certificate in PEM"
        );
        assert_eq!(told(&one, &one), "`/one.crt` holds no private key in PEM");
        let halves = "`/one.crt` and `/other.key` are no pair that can be used";
        assert_eq!(told(&one, &other_key), halves);
    }
}
