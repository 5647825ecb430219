//! What the gateway of a test stores its objects in.

use std::path::Path;

use anyhow::Result;
use lifeboat_testkit::servers::{Keys, Server, azurite, minio, versitygw};

use super::{ACCESS_KEY, SECRET_KEY};

/// A kind of storage, each a real server but for the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    Volume,
    Versitygw,
    Minio,
    /// Encrypts every object with a key of its key service, so that no `ETag` is an MD5.
    MinioEncrypted,
    Azurite,
}

impl Storage {
    /// Starts the server behind the gateway, if there is one. `work` is for what it keeps.
    pub(super) fn start(self, work: &Path) -> Result<Option<Server>> {
        Ok(match self {
            Self::Volume => None,
            Self::Versitygw => Some(versitygw::start(work)?),
            Self::Minio => Some(minio::start_2026(work, minio::Storage::Plain)?),
            Self::MinioEncrypted => Some(minio::start_2026(work, minio::Storage::Encrypted)?),
            Self::Azurite => Some(azurite::start(work)?),
        })
    }

    /// As the table of clients calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Volume => "volume",
            Self::Versitygw => "S3: versitygw",
            Self::Minio => "S3: MinIO",
            Self::MinioEncrypted => "S3: MinIO with KMS",
            Self::Azurite => "Azure: Azurite",
        }
    }

    /// Stores that keep objects as files have no `a` beside `a/b`, nothing in `a/`, and no key that is no file name.
    /// versitygw does not count parts, does not copy `a/`, loses something when uploads of one key are completed or aborted
    /// at once, and tells a time of attributes in a form that no SDK for Java reads. MinIO finds uploads by their whole key
    /// only, and aborts those it does not have. What is encrypted has no MD5.
    pub(super) fn lacks(self) -> &'static str {
        match self {
            Self::Volume | Self::Azurite => "",
            Self::Versitygw => {
                "nesting strange-keys folder-content folder-copies attribute-parts attribute-dates complete-races"
            }
            Self::Minio => "nesting strange-keys upload-prefixes unknown-uploads",
            Self::MinioEncrypted => {
                "nesting strange-keys upload-prefixes unknown-uploads md5-etags"
            }
        }
    }

    /// The keys that clients of the gateway sign with. In front of Azure they are those of the account, as in the
    /// platform's own values.
    pub(super) fn keys(self, behind: Option<&Server>) -> Keys {
        match (self, behind) {
            (Self::Azurite, Some(behind)) => behind.keys(),
            _ => Keys {
                access: ACCESS_KEY,
                secret: SECRET_KEY,
            },
        }
    }

    /// The section of the values that says where objects are stored, two spaces deep.
    pub(super) fn values(self, behind: Option<&Server>) -> String {
        match (self, behind) {
            (Self::Azurite, Some(_)) => "azuregateway: {enabled: true}".to_owned(),
            (_, Some(server)) => format!(
                "s3gateway: {{enabled: true, serviceEndpoint: '{}', accessKey: {}, secretKey: {}}}",
                server.endpoint(),
                server.keys().access,
                server.keys().secret
            ),
            (_, None) => "persistence: {enabled: true}".to_owned(),
        }
    }

    /// What the values say beside that.
    pub(super) fn more_values(self, behind: Option<&Server>) -> String {
        match (self, behind) {
            (Self::Azurite, Some(server)) => format!(
                "  storage: {{backend: {{azure: {{endpoint: '{}'}}}}}}\n",
                server.endpoint()
            ),
            _ => String::new(),
        }
    }
}
