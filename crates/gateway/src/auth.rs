//! Who may use the gateway.
//!
//! Whoever signs with a known key pair; there is no anonymous access. What a key pair may do would be decided here too.

use std::fmt;

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

/// A key pair that clients sign their requests with.
#[derive(Clone)]
pub struct Credentials {
    pub access_key: String,
    /// Never shown: not in `Debug`, not in a log, not in an error.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// Looks the secret of a signed request up; the comparison of signatures takes constant time.
pub(crate) struct KeyRing(pub(crate) Vec<Credentials>);

#[async_trait::async_trait]
impl S3Auth for KeyRing {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.0
            .iter()
            .find(|credentials| credentials.access_key == access_key)
            .map(|credentials| SecretKey::from(credentials.secret_key.as_str()))
            .ok_or_else(|| s3_error!(InvalidAccessKeyId))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let credentials = Credentials {
            access_key: "reader".to_owned(),
            secret_key: "hidden-hidden".to_owned(),
        };
        let text = format!("{credentials:?}");
        assert!(text.contains("reader") && !text.contains("hidden"));
    }
}
