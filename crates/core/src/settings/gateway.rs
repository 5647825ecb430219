//! Lifeboat's own settings of the gateway.

use std::net::SocketAddr;

use super::error::Problem;
use super::resolve::Resolver;
use crate::age::Age;
use crate::size::ByteSize;

/// How the gateway serves, beside where it stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    pub listen: SocketAddr,
    /// Where health and metrics are told.
    pub metrics_listen: Option<SocketAddr>,
    /// The most connections served at a time.
    pub connections: u64,
    /// What all buffers of requests may take together.
    pub memory: ByteSize,
    /// The files of the certificate; without them the gateway speaks HTTP.
    pub tls: Option<Tls>,
    /// Who may use the gateway beside the key pair of the values.
    pub users_file: Option<String>,
    /// The folder of the local storage.
    pub volume: String,
    /// How long the volume keeps what is deleted or replaced.
    pub trash: Option<Age>,
    /// How much of it is read again each second; 0: nothing.
    pub scrub: ByteSize,
    /// Buckets that lie elsewhere than all others; no bucket twice.
    pub routes: Vec<Route>,
}

/// Two files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub certificate: String,
    pub key: String,
}

/// Where one bucket lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// As clients name it.
    pub bucket: String,
    pub target: Target,
}

/// What a bucket is served from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A volume of its own: this folder.
    Volume(String),
    /// The storage of all other buckets, under another name.
    Storage {
        bucket: String,
        /// Empty, or ends in `/`.
        prefix: String,
    },
}

impl Gateway {
    pub(super) fn resolve(resolver: &mut Resolver) -> Self {
        Self {
            listen: resolver.listen("lifeboat.gateway.listen"),
            metrics_listen: resolver.optional_listen("lifeboat.gateway.metricsListen"),
            connections: connections(resolver),
            memory: resolver.size("lifeboat.gateway.memory"),
            tls: tls(resolver),
            users_file: resolver.optional("lifeboat.gateway.usersFile"),
            volume: resolver.text("lifeboat.gateway.volume"),
            trash: resolver.optional_age("lifeboat.gateway.trash"),
            scrub: resolver.size("lifeboat.gateway.scrub"),
            routes: routes(resolver),
        }
    }
}

fn tls(resolver: &mut Resolver) -> Option<Tls> {
    let (this, other) = (
        "lifeboat.gateway.tls.certificate",
        "lifeboat.gateway.tls.key",
    );
    match (resolver.optional(this), resolver.optional(other)) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Tls { certificate, key }),
        (certificate, _) => {
            let (given, missing) = match certificate {
                Some(_) => (this, other),
                None => (other, this),
            };
            let origin = resolver.resolve(given).origin;
            let path = given.to_owned();
            let reason = format!("is of no use without `{missing}`");
            resolver.fail(origin, Problem::Rule { path, reason });
            None
        }
    }
}

fn connections(resolver: &mut Resolver) -> u64 {
    let path = "lifeboat.gateway.connections";
    let origin = resolver.resolve(path).origin;
    let count = resolver.count(path);
    if count == 0 {
        let path = path.to_owned();
        let reason = "must be at least 1: nobody would be served".to_owned();
        resolver.fail(origin, Problem::Rule { path, reason });
    }
    count
}

fn routes(resolver: &mut Resolver) -> Vec<Route> {
    let path = "lifeboat.gateway.routes";
    let origin = resolver.resolve(path).origin;
    let mut routes: Vec<Route> = Vec::new();
    for text in resolver.list(path) {
        let route = Route::parse(&text).and_then(|route| {
            let twice = routes.iter().any(|other| other.bucket == route.bucket);
            (!twice).then_some(route).ok_or("names its bucket twice")
        });
        match route {
            Ok(route) => routes.push(route),
            Err(reason) => {
                let reason = format!("`{text}` {reason}");
                let path = path.to_owned();
                resolver.fail(origin.clone(), Problem::Rule { path, reason });
            }
        }
    }
    routes
}

impl Route {
    /// Reads `BUCKET=volume:FOLDER` or `BUCKET=storage:BUCKET/PREFIX`. An error completes "this text …".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "is not of the form `BUCKET=volume:FOLDER` or `BUCKET=storage:BUCKET/PREFIX`";
        let (bucket, target) = text.split_once('=').ok_or(FORM)?;
        let (kind, place) = target.split_once(':').ok_or(FORM)?;
        if bucket.is_empty() || place.is_empty() {
            return Err(FORM);
        }
        let target = match kind {
            "volume" if place.starts_with('/') => Target::Volume(place.to_owned()),
            "volume" => return Err("names a folder that does not begin with `/`"),
            "storage" => {
                let (target, prefix) = place.split_once('/').unwrap_or((place, ""));
                let inner = prefix.trim_matches('/');
                let prefix = match inner {
                    "" => String::new(),
                    inner => format!("{inner}/"),
                };
                if target.is_empty() {
                    return Err(FORM);
                }
                Target::Storage {
                    bucket: target.to_owned(),
                    prefix,
                }
            }
            _ => return Err(FORM),
        };
        Ok(Self {
            bucket: bucket.to_owned(),
            target,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(bucket: &str, prefix: &str) -> Target {
        Target::Storage {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    #[test]
    fn a_route_names_a_folder_or_a_place_in_the_storage() {
        let target = |text: &str| Route::parse(text).unwrap().target;
        assert_eq!(
            target("local-settings-backup=volume:/settings"),
            Target::Volume("/settings".to_owned())
        );
        assert_eq!(target("a=storage:all"), storage("all", ""));
        assert_eq!(target("a=storage:all/"), storage("all", ""));
        assert_eq!(target("a=storage:all/x/y"), storage("all", "x/y/"));
    }

    #[test]
    fn a_route_that_is_none_says_what_one_looks_like() {
        for text in [
            "",
            "a",
            "a=",
            "a=b",
            "a=volume:",
            "=volume:/x",
            "a=s3:b",
            "a=storage:/x",
        ] {
            assert!(
                Route::parse(text)
                    .unwrap_err()
                    .contains("BUCKET=volume:FOLDER"),
                "{text}"
            );
        }
        assert!(
            Route::parse("a=volume:relative")
                .unwrap_err()
                .contains("begin with `/`")
        );
    }
}
