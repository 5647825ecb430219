//! Where the gateway keeps the backups.

use super::error::Problem;
use super::keys;
use super::origin::Origin;
use super::resolve::{Resolved, Resolver, Sourced};
use super::secret::{Credentials, Secret};

/// The one place in which the gateway stores objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// None was chosen.
    None,
    /// A volume of the cluster.
    Local,
    S3(S3),
    Azure(Azure),
}

/// Buckets in AWS S3 or in something that speaks its language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3 {
    /// `None`: AWS itself.
    pub endpoint: Option<String>,
    pub region: String,
    /// `None`: from the existing Secret, or else the identity of the pod.
    pub credentials: Option<Credentials>,
    /// Name of an existing Secret with `backendAccessKey` and `backendSecretKey`.
    pub existing_secret: Option<String>,
    pub style: S3Style,
    /// A file in PEM with certificates to trust beside those of the system.
    pub certificates: Option<String>,
}

/// Where a request to S3 names the bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum S3Style {
    /// In the host for AWS itself, in the path for every other endpoint.
    #[default]
    Auto,
    Path,
    Virtual,
}

/// Containers of one Azure storage account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Azure {
    pub account: Option<Secret>,
    /// `None`: from the existing Secret, or else the identity of the pod.
    pub key: Option<Secret>,
    /// A shared access signature, in place of the key: never both.
    pub sas: Option<Secret>,
    /// `None`: Azure's own.
    pub endpoint: Option<String>,
    /// A file in PEM with certificates to trust beside those of the system.
    pub certificates: Option<String>,
    /// Name of an existing Secret with `azureAccountName` and `azureAccountKey`.
    pub existing_secret: Option<String>,
}

const SWITCHES: [&str; 3] = [
    "backup.storage.backend.pvc.enabled",
    "backup.storage.backend.s3.enabled",
    "backup.storage.backend.azure.enabled",
];

/// Gateways of MinIO that Lifeboat has no storage for.
const UNSUPPORTED: [&str; 2] = ["minio.gcsgateway.enabled", "minio.nasgateway.enabled"];

impl Storage {
    /// Where nothing is said, the chart of the current generation takes a volume.
    pub(super) fn resolve(resolver: &mut Resolver) -> Self {
        let switches = SWITCHES.map(|path| resolver.resolve(path));
        let [mut local, s3, azure] = SWITCHES.map(|path| resolver.flag(path));
        let unsaid = switches[0].origin == Origin::Default;
        if unsaid && !s3 && !azure && resolver.is_current() {
            local = true;
            resolver.show_instead(SWITCHES[0], "true", &Origin::Default);
        }
        let on: Vec<&Resolved> = switches
            .iter()
            .zip([local, s3, azure])
            .filter_map(|(switch, on)| on.then_some(switch))
            .collect();
        if let [one, other, ..] = on.as_slice() {
            let problem = Problem::TwoStorages {
                path: other.key.path.to_owned(),
                other: one.key.path.to_owned(),
            };
            resolver.fail(other.origin.clone(), problem);
        }
        for path in UNSUPPORTED {
            let origin = resolver.resolve(path).origin;
            if resolver.flag(path) {
                let path = keys::get(path).path.to_owned();
                let reason = "chooses a storage that is not supported: use a volume, S3 or Azure";
                let reason = reason.to_owned();
                resolver.fail(origin, Problem::Rule { path, reason });
            }
        }
        let s3_settings = S3::resolve(resolver);
        let azure_settings = Azure::resolve(resolver);
        match (local, s3, azure) {
            (true, _, _) => Self::Local,
            (_, true, _) => Self::S3(s3_settings),
            (_, _, true) => Self::Azure(azure_settings),
            _ => Self::None,
        }
    }
}

impl S3 {
    fn resolve(resolver: &mut Resolver) -> Self {
        let endpoint = resolver.optional("backup.storage.backend.s3.endpoint");
        let region = resolver.text("backup.storage.backend.s3.region");
        let existing_secret = resolver.optional("backup.storage.backend.s3.fromExternalSecret");
        let access_key = resolver.secret("backup.storage.backend.s3.accessKey");
        let secret_key = resolver.secret("backup.storage.backend.s3.secretKey");
        let credentials = match (access_key, secret_key) {
            (Some(access), Some(secret)) => Some(Credentials {
                access_key: access.secret,
                secret_key: secret.secret,
            }),
            (None, None) => None,
            (Some(one), None) | (None, Some(one)) => {
                half_a_pair(resolver, one);
                None
            }
        };
        let style = match resolver.text("lifeboat.gateway.s3.style").as_str() {
            "path" => S3Style::Path,
            "virtual" => S3Style::Virtual,
            _ => S3Style::Auto,
        };
        Self {
            endpoint,
            region,
            credentials,
            existing_secret,
            style,
            certificates: resolver.optional("lifeboat.gateway.s3.certificates"),
        }
    }
}

impl Azure {
    /// In the seed's mode the gateway's own keys are those of the account.
    fn resolve(resolver: &mut Resolver) -> Self {
        let endpoint = resolver.optional("backup.storage.backend.azure.endpoint");
        let existing_secret = resolver.optional("backup.storage.backend.azure.fromExternalSecret");
        let name = "backup.storage.backend.azure.accountName";
        let key = "backup.storage.backend.azure.accountKey";
        let certificates = resolver.optional("lifeboat.gateway.azure.certificates");
        let sas = resolver.secret("lifeboat.gateway.azure.sasToken");
        let switch = resolver.resolve("backup.storage.backend.azure.enabled");
        let by_minio = switch.key.path == "minio.azuregateway.enabled"
            && switch.reading.text == "true"
            && existing_secret.is_none();
        let (account, key) = if by_minio {
            let access_key = resolver.resolve("global.s3proxy.credentials.accessKey");
            let secret_key = resolver.resolve("global.s3proxy.credentials.secretKey");
            let account = resolver.secret_or(name, &access_key);
            // With a signature the secret key of the gateway is no more than that.
            let key = match &sas {
                Some(_) => resolver.secret(key),
                None => resolver.secret_or(key, &secret_key),
            };
            (account, key)
        } else {
            (resolver.secret(name), resolver.secret(key))
        };
        if let (Some(sas), Some(key)) = (&sas, &key) {
            let problem = Problem::Rule {
                path: sas.name.to_owned(),
                reason: format!("is set, and `{}` too: keep one of them", key.name),
            };
            resolver.fail(sas.origin.clone(), problem);
        }
        let usable = |sourced: Option<Sourced>| {
            sourced
                .filter(|sourced| !sourced.placeholder)
                .map(|sourced| sourced.secret)
        };
        Self {
            account: usable(account),
            key: usable(key),
            sas: usable(sas),
            endpoint,
            certificates,
            existing_secret,
        }
    }
}

fn half_a_pair(resolver: &mut Resolver, given: Sourced) {
    let (section, last) = given.name.rsplit_once('.').unwrap_or(("", given.name));
    let missing = match last {
        "accessKey" => "secretKey",
        _ => "accessKey",
    };
    let missing = format!("{section}.{missing}");
    if resolver.is_wrong(&missing) {
        return;
    }
    let problem = Problem::Rule {
        path: given.name.to_owned(),
        reason: format!("is set, but `{missing}` is not"),
    };
    resolver.fail(given.origin, problem);
}
