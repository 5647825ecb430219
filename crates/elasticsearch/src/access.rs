//! How a cluster is reached.

use std::fmt;

/// The nodes of a cluster, and who asks them.
#[derive(Clone, Default)]
pub struct Access {
    /// With scheme, without a slash at the end; the next one is asked where one does not answer. At least one.
    pub urls: Vec<String>,
    pub credentials: Credentials,
    /// Certificates to trust beside those of the system, in PEM.
    pub certificates: Vec<u8>,
}

/// How requests say who they are from. Never printed.
#[derive(Clone, Default)]
pub enum Credentials {
    #[default]
    None,
    Basic {
        user: String,
        password: String,
    },
    /// What `Authorization: ApiKey` carries.
    ApiKey(String),
    Bearer(String),
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}
