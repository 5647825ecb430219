//! The keys of the gateway: who said them, and whether they will do.
//!
//! They are checked when a command asks for them, not when settings are read: `settings show` or a command that needs
//! no keys must work while they are still the chart's placeholders.

use std::collections::BTreeMap;

use super::Settings;
use super::error::{Error, Problem};
use super::origin::Origin;
use super::resolve::{Resolver, Sourced};
use super::secret::{Credentials, Secret};
use super::storage::Storage;

const ACCESS_KEY: &str = "global.s3proxy.credentials.accessKey";
const SECRET_KEY: &str = "global.s3proxy.credentials.secretKey";

/// All that was said about the gateway's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    access_key: Option<Sourced>,
    secret_key: Option<Sourced>,
    /// What clients use when the gateway's own keys are not in the environment.
    aws: Option<Credentials>,
    /// The Secret from which the keys should have reached the environment.
    existing_secret: Option<String>,
}

/// One of the two keys, and the rule of MinIO for it.
struct Part {
    what: &'static str,
    value_key: &'static str,
    variable: &'static str,
    shortest: usize,
    longest: usize,
}

const ACCESS: Part = Part {
    what: "the access key of the gateway",
    value_key: "minio.accessKey",
    variable: "LIFEBOAT_ACCESS_KEY",
    shortest: 5,
    longest: 20,
};

const SECRET: Part = Part {
    what: "the secret key of the gateway",
    value_key: "minio.secretKey",
    variable: "LIFEBOAT_SECRET_KEY",
    shortest: 8,
    longest: 40,
};

impl Keys {
    pub(super) fn resolve(resolver: &mut Resolver, environment: &BTreeMap<String, String>) -> Self {
        let access_key = resolver.secret(ACCESS_KEY);
        let secret_key = resolver.secret(SECRET_KEY);
        let existing_secret = resolver.optional("global.s3proxy.credentials.fromExternalSecret");
        let aws = variable(environment, "AWS_ACCESS_KEY_ID")
            .zip(variable(environment, "AWS_SECRET_ACCESS_KEY"))
            .map(|(access, secret)| Credentials {
                access_key: access.secret,
                secret_key: secret.secret,
            });
        let mut override_with = |path: &'static str, part: &Part, said: Option<Sourced>| {
            let Some(found) = variable(environment, part.variable) else {
                return said;
            };
            resolver.show_instead(path, "***", &found.origin);
            Some(found)
        };
        Self {
            access_key: override_with(ACCESS_KEY, &ACCESS, access_key),
            secret_key: override_with(SECRET_KEY, &SECRET, secret_key),
            aws,
            existing_secret,
        }
    }

    fn usable<'a>(&self, part: &Part, said: Option<&'a Sourced>) -> Result<&'a Sourced, Error> {
        let said = said.filter(|said| said.origin != Origin::Default);
        let Some(said) = said else {
            let Part {
                what,
                value_key,
                variable,
                ..
            } = part;
            let advice = match &self.existing_secret {
                None => format!("set `{value_key}` in the values or {variable} in the environment"),
                Some(name) => format!(
                    "it is in the Secret `{name}`: pass it on as {variable} in the environment"
                ),
            };
            let what = (*what).to_owned();
            return Err(Error::new(
                Origin::Default,
                Problem::Missing { what, advice },
            ));
        };
        if said.placeholder {
            let rule = part.rule();
            return Err(refuse(
                said,
                format!("is still the chart's placeholder: set it to {rule}"),
            ));
        }
        Ok(said)
    }
}

impl Part {
    fn rule(&self) -> String {
        format!("{} to {} letters and digits", self.shortest, self.longest)
    }

    /// MinIO's rule holds for MinIO's keys. Keys of the current generation and of the environment may have been made by
    /// others: they must be long enough, and be able to travel in a header.
    fn check(&self, said: &Sourced) -> Result<(), Error> {
        let text = said.secret.expose();
        if said.name == self.value_key {
            let fits = (self.shortest..=self.longest).contains(&text.len());
            if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Ok(());
            }
            return Err(refuse(said, format!("must be {}", self.rule())));
        }
        if text.len() >= self.shortest && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(());
        }
        let shortest = self.shortest;
        Err(refuse(
            said,
            format!("must be at least {shortest} characters of ASCII without blanks"),
        ))
    }
}

impl Settings {
    /// Returns the keys the gateway accepts. Refuses placeholders, missing keys and, except in front of Azure, whose
    /// account they are, keys that break the rules.
    pub fn gateway_credentials(&self) -> Result<Credentials, Error> {
        let keys = &self.keys;
        let access = keys.usable(&ACCESS, keys.access_key.as_ref())?;
        let secret = keys.usable(&SECRET, keys.secret_key.as_ref())?;
        if !matches!(self.storage, Storage::Azure(_)) {
            ACCESS.check(access)?;
            SECRET.check(secret)?;
        }
        Ok(Credentials {
            access_key: access.secret.clone(),
            secret_key: secret.secret.clone(),
        })
    }

    /// Returns the keys with which a command reaches the gateway. Whether they are right, the gateway decides.
    ///
    /// The pair for AWS stands in only where nothing else gives keys: in the shell of a person it may well be meant
    /// for something else.
    pub fn client_credentials(&self) -> Result<Credentials, Error> {
        let keys = &self.keys;
        let access = keys.usable(&ACCESS, keys.access_key.as_ref());
        let secret = keys.usable(&SECRET, keys.secret_key.as_ref());
        match (access, secret, &keys.aws) {
            (Ok(access), Ok(secret), _) => Ok(Credentials {
                access_key: access.secret.clone(),
                secret_key: secret.secret.clone(),
            }),
            (Err(_), Err(_), Some(aws)) => Ok(aws.clone()),
            (Err(error), ..) | (_, Err(error), _) => Err(error),
        }
    }
}

fn refuse(said: &Sourced, reason: String) -> Error {
    let path = said.name.to_owned();
    Error::new(said.origin.clone(), Problem::Rule { path, reason })
}

/// Reads a variable; an empty one counts as not set, and the line end of a mounted file is not part of a key.
fn variable(environment: &BTreeMap<String, String>, name: &'static str) -> Option<Sourced> {
    let text = environment.get(name)?.trim_end_matches(['\r', '\n']);
    (!text.is_empty()).then(|| Sourced {
        secret: Secret::new(text),
        origin: Origin::Environment(name),
        name,
        placeholder: false,
    })
}
