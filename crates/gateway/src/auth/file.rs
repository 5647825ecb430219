//! Users from their file: read, their secrets found, everybody put together.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use lifeboat_core::error::Kind;
use lifeboat_core::settings;
use lifeboat_core::settings::users::{self, SecretKey};

use super::{Credentials, User};
use crate::reload::{Loaded, Source};

/// Where users come from.
#[derive(Debug, Clone)]
pub enum Users {
    /// These.
    Fixed(Vec<User>),
    /// What this file says, also when it changes later.
    File(PathBuf),
}

/// Why nobody can be let in as told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no credentials: set `minio.accessKey` and `minio.secretKey`")]
    NoCredentials,
    #[error("access key `{access_key}` belongs to two key pairs")]
    SameKey { access_key: String },
    #[error("cannot read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    File(settings::Errors),
    #[error("the secret key of `{access_key}` in `{path}` {reason}")]
    Secret {
        access_key: String,
        path: PathBuf,
        reason: String,
    },
}

impl Error {
    pub fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

/// Everybody: those who may do everything, and those of a file.
#[derive(Debug, Clone)]
pub(crate) struct Everybody {
    pub(crate) admins: Vec<Credentials>,
    pub(crate) file: PathBuf,
}

impl Source for Everybody {
    type Value = Vec<User>;
    type Error = Error;
    const WHAT: &'static str = "users";

    fn load(&self) -> Result<Loaded<Vec<User>>, Error> {
        let text = read(&self.file)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(text.as_bytes());
        let name = self.file.display().to_string();
        let mut users = Vec::new();
        for user in users::parse(&name, &text).map_err(Error::File)? {
            let secret_key = match user.secret_key {
                SecretKey::Here(secret) => secret.expose().to_owned(),
                SecretKey::File(path) => secret(&user.access_key, path)?,
            };
            hasher.update(blake3::hash(secret_key.as_bytes()).as_bytes());
            users.push(User {
                credentials: Credentials {
                    access_key: user.access_key,
                    secret_key,
                },
                grants: user.grants.into_iter().map(Into::into).collect(),
            });
        }
        Ok(Loaded {
            value: everybody(&self.admins, users)?,
            fingerprint: hasher.finalize(),
        })
    }
}

/// Puts everybody together, each with an access key of their own.
pub(crate) fn everybody(admins: &[Credentials], users: Vec<User>) -> Result<Vec<User>, Error> {
    let usable = |one: &Credentials| !one.access_key.is_empty() && !one.secret_key.is_empty();
    if admins.is_empty() || !admins.iter().all(usable) {
        return Err(Error::NoCredentials);
    }
    let admins = admins.iter().cloned().map(User::admin);
    let everybody: Vec<User> = admins.chain(users).collect();
    let mut seen = BTreeSet::new();
    for user in &everybody {
        let access_key = user.credentials.access_key.as_str();
        if !seen.insert(access_key) {
            let access_key = access_key.to_owned();
            return Err(Error::SameKey { access_key });
        }
    }
    Ok(everybody)
}

fn secret(access_key: &str, path: PathBuf) -> Result<String, Error> {
    let text = read(&path)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    users::check_secret(secret).map_err(|reason| Error::Secret {
        access_key: access_key.to_owned(),
        path,
        reason,
    })?;
    Ok(secret.to_owned())
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn source(folder: &TempDir, text: &str) -> Everybody {
        let file = folder.path().join("users.yaml");
        let text = text.replace("{folder}", &folder.path().display().to_string());
        fs::write(&file, text).unwrap();
        let admins = vec![Credentials {
            access_key: "admin-key".to_owned(),
            secret_key: "admin-secret".to_owned(),
        }];
        Everybody { admins, file }
    }

    #[test]
    fn a_secret_that_changes_in_its_file_is_a_change() {
        let folder = TempDir::new().unwrap();
        let secret = folder.path().join("secret");
        let text = "users:\n  - {accessKey: reader, secretKeyFile: \"{folder}/secret\"}\n";
        let source = source(&folder, text);
        fs::write(&secret, "first-secret\n").unwrap();
        let first = source.load().unwrap();
        let names: Vec<_> = first
            .value
            .iter()
            .map(|user| {
                (
                    user.credentials.access_key.as_str(),
                    user.credentials.secret_key.as_str(),
                )
            })
            .collect();
        assert_eq!(
            names,
            [("admin-key", "admin-secret"), ("reader", "first-secret")]
        );
        assert_eq!(source.load().unwrap().fingerprint, first.fingerprint);
        fs::write(&secret, "second-secret\n").unwrap();
        assert_ne!(source.load().unwrap().fingerprint, first.fingerprint);
    }

    #[test]
    fn whatever_is_wrong_is_named_without_the_secret() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("short"), "hush").unwrap();
        let told = |text: &str| {
            let error = source(&folder, text).load().unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "")
        };
        let short = "users:\n  - {accessKey: reader, secretKeyFile: \"{folder}/short\"}\n";
        assert_eq!(
            told(short),
            "the secret key of `reader` in `/short` must be at least 8 characters of ASCII without blanks"
        );
        let missing = "users:\n  - {accessKey: reader, secretKeyFile: \"{folder}/missing\"}\n";
        assert_eq!(told(missing), "cannot read `/missing`");
        let admin = "users:\n  - {accessKey: admin-key, secretKey: \"12345678\"}\n";
        assert_eq!(
            told(admin),
            "access key `admin-key` belongs to two key pairs"
        );
        assert!(told("users: 1").contains("users.yaml:1:8"));
    }
}
