//! The cluster of telemetry, as Lifeboat reaches it, and as it reaches the gateway.

use super::error::{Error, Problem};
use super::origin::Origin;
use super::resolve::Resolver;
use super::secret::Secret;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// At least one, no `/` at the end.
    pub urls: Vec<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub api_key: Option<Secret>,
    pub token: Option<Secret>,
    /// A file in PEM.
    pub certificates: Option<String>,
    /// The gateway, as its nodes reach it; `None`: as the commands do.
    pub gateway: Option<String>,
    pub region: String,
    pub keys: KeyPlace,
    /// More settings of the repository.
    pub repository_settings: Vec<(String, String)>,
}

/// Where the nodes find the key pair of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    Keystore,
    RepositorySettings,
}

/// Who takes snapshots and lets them expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Lifeboat,
    /// The lifecycle management of the engine.
    Native,
}

impl Cluster {
    pub(super) fn resolve(resolver: &mut Resolver) -> Self {
        let path = |rest: &str| format!("lifeboat.elasticsearch.{rest}");
        let mut secret = |rest: &str| resolver.secret(&path(rest)).map(|found| found.secret);
        let [password, api_key, token] = ["password", "apiKey", "token"].map(&mut secret);
        let pairs = resolver.list(&path("repositorySettings"));
        let pair = |text: &String| {
            let (name, value) = text.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        Self {
            urls: resolver.list(&path("url")),
            user: resolver.optional(&path("user")),
            password,
            api_key,
            token,
            certificates: resolver.optional(&path("certificates")),
            gateway: resolver.optional(&path("gateway")),
            region: resolver.text(&path("region")),
            keys: match resolver.text(&path("keys")).as_str() {
                "settings" => KeyPlace::RepositorySettings,
                _ => KeyPlace::Keystore,
            },
            repository_settings: pairs.iter().filter_map(pair).collect(),
        }
    }

    /// Refuses more than one way to say who asks.
    pub fn require_one_credential(&self) -> Result<(), Error> {
        let given = [
            ("user", self.user.is_some()),
            ("apiKey", self.api_key.is_some()),
            ("token", self.token.is_some()),
        ];
        let given: Vec<&str> = given
            .iter()
            .filter(|(_, is_given)| *is_given)
            .map(|(name, _)| *name)
            .collect();
        match given[..] {
            [first, second, ..] => {
                let path = format!("lifeboat.elasticsearch.{second}");
                let reason = format!(
                    "is given beside `lifeboat.elasticsearch.{first}`: a request says only once who it is from"
                );
                Err(Error::new(Origin::Default, Problem::Rule { path, reason }))
            }
            _ => Ok(()),
        }
    }
}

impl Mode {
    pub(super) fn resolve(resolver: &mut Resolver) -> Self {
        match resolver
            .text("backup.elasticsearch.scheduled.mode")
            .as_str()
        {
            "native" => Self::Native,
            _ => Self::Lifeboat,
        }
    }
}
