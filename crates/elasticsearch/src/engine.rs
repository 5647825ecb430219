//! Which engine it is, and what it can do.
//!
//! A server may lie about its version where it was told to (`compatibility.override_main_response_version`), and some builds do not serve `/` at all, so the nodes are
//! asked as well, which do not lie.

use std::fmt;
use std::str::FromStr;

use reqwest::header::HeaderMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::answer::short;
use crate::client::{Client, Request};
use crate::error::Error;

/// `8.19.21`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Elasticsearch,
    OpenSearch,
}

/// The engine of a cluster: that of the node that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engine {
    pub family: Family,
    pub version: Version,
}

impl Engine {
    /// Asks the cluster.
    pub async fn detect(client: &Client) -> Result<Self, Error> {
        let doing = "tell its version";
        let path = "_nodes/_local?filter_path=nodes.*.version,nodes.*.build_flavor";
        let nodes = client.send(Request::get(path, doing)).await?;
        let strange = || Error::Strange {
            doing: doing.to_owned(),
            reply: short(&nodes.body.to_string()).to_owned(),
        };
        let family = match Self::by_headers(&nodes.headers) {
            Some(family) => family,
            // Some test builds refuse this with 405, not everybody may ask it, and a proxy may have a page of its own there.
            None => match client.ask(Request::get("", doing)).await {
                Ok(body) => Self::by_banner(&body).or_else(|| by_nodes(&nodes.body)),
                Err(error @ Error::Unreachable { .. }) => return Err(error),
                Err(_) => by_nodes(&nodes.body),
            }
            .ok_or_else(strange)?,
        };
        let version = first_node(&nodes.body)
            .and_then(|node| node["version"].as_str()?.parse().ok())
            .ok_or_else(strange)?;
        Ok(Self { family, version })
    }

    fn by_headers(headers: &HeaderMap) -> Option<Family> {
        if headers.contains_key("x-elastic-product") {
            return Some(Family::Elasticsearch);
        }
        let is_opensearch = headers.contains_key("x-opensearch-version");
        is_opensearch.then_some(Family::OpenSearch)
    }

    fn by_banner(body: &Value) -> Option<Family> {
        let tagline = body["tagline"].as_str().unwrap_or_default();
        if body["version"]["distribution"] == "opensearch" || tagline.contains("OpenSearch") {
            return Some(Family::OpenSearch);
        }
        (tagline == "You Know, for Search").then_some(Family::Elasticsearch)
    }

    /// Whether the engine has snapshot lifecycle management.
    pub fn has_slm(self) -> bool {
        self.family == Family::Elasticsearch
    }

    /// Whether listings may say sizes (`index_details`).
    pub fn has_index_details(self) -> bool {
        self.family == Family::Elasticsearch && self.version >= Version::new(7, 14, 0)
    }

    /// Whether a repository has to be told to keep all its data below its path.
    pub fn spreads_shards(self) -> bool {
        self.family == Family::OpenSearch && self.version >= Version::new(2, 17, 0)
    }

    /// Whether one request may delete several snapshots.
    pub fn deletes_many(self) -> bool {
        self.family == Family::OpenSearch || self.version >= Version::new(7, 8, 0)
    }

    /// Whether requests may say that no state of the engine's own features is meant.
    pub fn has_feature_states(self) -> bool {
        self.family == Family::Elasticsearch && self.version >= Version::new(7, 12, 0)
    }

    /// Whether the engine may read a snapshot that this version took, of itself or of what it came from.
    pub(crate) fn reads(self, taken: Version) -> bool {
        let minor = |version: Version| (version.major, version.minor);
        // OpenSearch left Elasticsearch at 7.10 and began again at 1, which is what 7 was: it reads one major version back.
        let is_inherited = self.family == Family::OpenSearch
            && taken.major >= 5 + self.version.major
            && minor(taken) <= (7, 10);
        // Of a range, which is one of formats, it is the end.
        is_inherited || minor(taken) <= minor(self.version)
    }

    /// The word of the engine for itself.
    pub fn name(self) -> &'static str {
        match self.family {
            Family::Elasticsearch => "Elasticsearch",
            Family::OpenSearch => "OpenSearch",
        }
    }
}

fn first_node(nodes: &Value) -> Option<&Value> {
    nodes["nodes"].as_object()?.values().next()
}

/// Only Elasticsearch names a flavor of its build; and the numbers of the two have not met yet.
fn by_nodes(nodes: &Value) -> Option<Family> {
    let node = first_node(nodes)?;
    if node["build_flavor"].is_string() {
        return Some(Family::Elasticsearch);
    }
    let version: Version = node["version"].as_str()?.parse().ok()?;
    Some(if version.major < 5 {
        Family::OpenSearch
    } else {
        Family::Elasticsearch
    })
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl FromStr for Version {
    type Err = std::num::ParseIntError;

    /// Also of `8.19.9-8.19.21`, the range of versions that an index format belongs to: its later end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let last = text
            .rsplit('-')
            .find(|part| part.starts_with(|first: char| first.is_ascii_digit()))
            .unwrap_or(text);
        let mut numbers = last.splitn(3, '.');
        let mut next = || numbers.next().unwrap_or("0");
        Ok(Self {
            major: next().parse()?,
            minor: next().parse()?,
            patch: next().parse()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::odd;

    proptest! {
        #[test]
        fn no_banner_and_no_node_panics(
            banner in odd::answer(&json!({"version": {"number": "7.10.2", "distribution": "opensearch"}, "tagline": "You Know, for Search"})),
            nodes in odd::answer(&json!({"nodes": {"a": {"version": "8.19.9-8.19.21", "build_flavor": "default"}}})),
        ) {
            Engine::by_banner(&banner);
            by_nodes(&nodes);
        }

        #[test]
        fn no_text_of_a_version_panics(text in "[0-9.-]{0,30}|\\PC*") {
            let read = text.parse::<Version>();
            if let Ok(version) = read {
                prop_assert_eq!(version.to_string().parse(), Ok(version));
            }
        }
    }

    #[test]
    fn an_opensearch_that_calls_itself_7_10_2_is_known_by_its_nodes() {
        let banner = json!({"version": {"number": "7.10.2"}, "tagline": "The OpenSearch Project: https://opensearch.org/"});
        assert_eq!(Engine::by_banner(&banner), Some(Family::OpenSearch));
        let nodes = json!({"nodes": {"a": {"version": "2.19.1"}}});
        assert_eq!(by_nodes(&nodes), Some(Family::OpenSearch));
        let nodes = json!({"nodes": {"a": {"version": "7.17.29", "build_flavor": "oss"}}});
        assert_eq!(by_nodes(&nodes), Some(Family::Elasticsearch));
        assert_eq!(Engine::by_banner(&json!({})), None);
        assert_eq!(by_nodes(&json!({})), None);
    }

    #[test]
    fn an_engine_reads_what_is_not_newer_and_what_it_inherited() {
        let engine = |family, version: &str| Engine {
            family,
            version: version.parse().unwrap(),
        };
        for (family, version, taken, expected) in [
            (Family::Elasticsearch, "8.19.21", "8.19.9-8.19.21", true),
            (Family::Elasticsearch, "8.19.9", "8.19.9-8.19.21", true),
            (Family::Elasticsearch, "8.18.4", "8.19.9-8.19.21", false),
            (Family::Elasticsearch, "7.9.3", "7.10.2", false),
            (Family::OpenSearch, "2.19.1", "2.19.6", true),
            (Family::OpenSearch, "2.19.1", "3.0.0", false),
            (Family::OpenSearch, "1.3.20", "6.8.23", true),
            (Family::OpenSearch, "2.19.1", "6.8.23", false),
            (Family::OpenSearch, "2.19.1", "7.10.2", true),
            (Family::OpenSearch, "2.19.1", "7.11.0", false),
            (Family::OpenSearch, "3.6.0", "7.10.2", false),
        ] {
            let found = engine(family, version).reads(taken.parse().unwrap());
            assert_eq!(found, expected, "{family:?} {version} of {taken}");
        }
    }

    #[test]
    fn versions_are_also_ranges() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert_eq!(version("8.19.9-8.19.21"), Version::new(8, 19, 21));
        assert_eq!(version("3.6.0-SNAPSHOT"), Version::new(3, 6, 0));
        assert_eq!(version("9.0"), Version::new(9, 0, 0));
        // Of a format that the server has no release for yet.
        assert_eq!(
            version("8.19.22-snapshot[8537001]"),
            Version::new(8, 19, 22)
        );
        assert!("".parse::<Version>().is_err());
        assert!(version("7.9.3") < version("7.10.0"));
    }
}
