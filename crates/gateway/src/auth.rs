//! Who may use the gateway, and for what.
//!
//! Whoever signs with a known key pair is somebody; there is no anonymous access. What somebody may do is decided by
//! [`policy`], a pure function, and enforced by [`guard`], the only way from the protocol to a backend.

pub mod file;
pub mod guard;
pub mod policy;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};
use subtle::{Choice, ConstantTimeEq as _};

use self::policy::Grant;

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

/// A key pair and what it may do.
#[derive(Debug, Clone)]
pub struct User {
    pub credentials: Credentials,
    pub grants: Vec<Grant>,
}

impl User {
    /// Somebody who may do everything.
    pub fn admin(credentials: Credentials) -> Self {
        let grants = vec![Grant::everything()];
        Self {
            credentials,
            grants,
        }
    }
}

/// Everybody there is. Clones share it, and who is replaced in one is replaced in all.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(Arc<RwLock<Arc<Vec<Arc<User>>>>>);

impl KeyRing {
    pub fn new(users: Vec<User>) -> Self {
        let ring = Self::default();
        ring.replace(users);
        ring
    }

    /// From now on these are everybody. Requests under way go on as they began.
    pub fn replace(&self, users: Vec<User>) {
        let users = Arc::new(users.into_iter().map(Arc::new).collect());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = users;
    }

    /// Looks at everybody, whoever is found, so that the time it takes tells nothing about the keys there are but their
    /// lengths.
    pub(crate) fn find(&self, access_key: &str) -> Option<Arc<User>> {
        let users = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        let mut found = None;
        for user in users.iter() {
            let known = user.credentials.access_key.as_bytes();
            let same: Choice = known.ct_eq(access_key.as_bytes());
            if bool::from(same) {
                found = Some(Arc::clone(user));
            }
        }
        found
    }
}

/// Gives the protocol layer the secret of a signed request; it compares signatures in constant time.
#[async_trait::async_trait]
impl S3Auth for KeyRing {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let user = self.find(access_key).ok_or_else(|| {
            s3_error!(
                InvalidAccessKeyId,
                "the access key does not exist in our records"
            )
        })?;
        Ok(SecretKey::from(user.credentials.secret_key.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(access_key: &str) -> User {
        User::admin(Credentials {
            access_key: access_key.to_owned(),
            secret_key: "hidden-hidden".to_owned(),
        })
    }

    #[test]
    fn a_secret_is_never_printed() {
        let text = format!("{:?}", KeyRing::new(vec![user("reader")]));
        assert!(text.contains("reader") && !text.contains("hidden"));
    }

    #[test]
    fn only_who_is_on_the_ring_is_found_and_only_while_there() {
        let ring = KeyRing::new(vec![user("first"), user("second")]);
        let shared = ring.clone();
        assert!(shared.find("first").is_some() && shared.find("second").is_some());
        for other in ["", "firs", "first1", "First"] {
            assert!(shared.find(other).is_none(), "{other}");
        }
        ring.replace(vec![user("second")]);
        assert!(shared.find("first").is_none());
    }
}
