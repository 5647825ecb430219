//! What the gateway passes on without acting upon it.
//!
//! A store that speaks S3 itself knows more than the gateway does: keys for encryption, storage classes, tags, locks,
//! versions. Such a store gets and gives these as they are, so that nothing is lost between a client and it. Every other
//! store leaves them alone.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::Error;

/// Headers of a request or an answer that only a store which speaks S3 understands, by lower-case name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Relayed(BTreeMap<String, String>);

/// A key of the client for encryption is among the values, so only names are shown.
impl fmt::Debug for Relayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Relayed {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Names and values, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Relayed {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// A whole request that the gateway has no operation for: tags, retention, versions and the like. The client's signature
/// has been checked, and what its key pair may do.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PUT` and so on.
    pub method: String,
    pub bucket: String,
    /// Nothing if the request is about the bucket itself.
    pub key: Option<String>,
    /// Decoded, in the order of the request, without what signs it.
    pub query: Vec<(String, String)>,
    pub headers: Relayed,
    /// Bounded by the protocol; never an object's content.
    pub body: Bytes,
}

/// What the store answered, whatever the status.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Relayed,
    pub body: Bytes,
}

/// A store that understands more of S3 than the gateway does.
#[async_trait]
pub trait Relay: Send + Sync {
    /// Passes a request on and its answer back. An error means that the store could not be asked.
    async fn relay(&self, request: Request) -> Result<Answer, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_for_encryption_is_never_printed() {
        let name = "x-amz-server-side-encryption-customer-key";
        let relayed = Relayed::from_iter([(name.to_owned(), "hidden".to_owned())]);
        let text = format!("{relayed:?}");
        assert!(text.contains(name) && !text.contains("hidden"));
    }
}
