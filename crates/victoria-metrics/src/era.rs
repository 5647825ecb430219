//! Which servers can open a backup.
//!
//! A server opens what it or an older one wrote. Going back, three releases changed the files so that an older server
//! fails (1.90, names of parts) or, worse, starts and finds nothing (1.92, 1.133, the index). Facts of upstream's changelog, and of
//! runs of 1.79.5, 1.112.0 and 1.145.0 on each other's data.

use std::fmt;
use std::str::FromStr;

use crate::parts::{Kind, Part, is_old_name};

/// A release of VictoriaMetrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

/// The text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version of VictoriaMetrics, such as `1.145.0`")]
pub struct NotAVersion(String);

const fn since(minor: u32) -> Version {
    Version {
        major: 1,
        minor,
        patch: 0,
    }
}

/// Parts are named by an identity alone, and lists say which count.
const PART_LISTS: Version = since(90);
/// Entries of the index are for a day and a metric name.
const INDEX_FORMAT: Version = since(92);
/// Each month has an index of its own.
const MONTHLY_INDEX: Version = since(133);

/// Returns the oldest release that writes files with such names. See [`is_undecided`].
pub fn of_layout<'a>(paths: impl IntoIterator<Item = &'a str>, parts: &[Part]) -> Version {
    let mut lists = false;
    for path in paths {
        if path.starts_with("data/indexdb/") {
            return MONTHLY_INDEX;
        }
        lists |= path.ends_with("/parts.json");
    }
    let has_new_names = parts.iter().any(|part| {
        let name = part.path.rsplit('/').next().unwrap_or_default();
        part.kind == Kind::Data && !is_old_name(name, part.kind)
    });
    if lists || has_new_names {
        PART_LISTS
    } else {
        since(0)
    }
}

/// Whether the index has to be looked into.
pub fn is_undecided(layout: Version) -> bool {
    (PART_LISTS..INDEX_FORMAT).contains(&layout)
}

/// The first byte of entries for a day and a metric name, in hexadecimal. They come after all others, so the last entry of a part shows whether it has any.
const DAY_AND_NAME: &str = "07";

/// Returns the oldest release that writes such parts of the index, which say of themselves what their last entry is. None where they do not tell.
pub fn of_index<'a>(metadata: impl IntoIterator<Item = &'a [u8]>) -> Option<Version> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        #[serde(rename = "LastItem")]
        last: String,
    }
    let mut metadata = metadata.into_iter();
    let has_any = metadata.any(|content| {
        serde_json::from_slice::<Metadata>(content)
            .is_ok_and(|metadata| metadata.last.starts_with(DAY_AND_NAME))
    });
    has_any.then_some(INDEX_FORMAT)
}

/// Why a server must not be given what another wrote. `writer` may be the oldest that could have written it.
pub fn refusal(writer: Version, server: Version) -> Option<&'static str> {
    let steps = [
        (
            PART_LISTS,
            "it does not know the names of the parts, and would not start",
        ),
        (INDEX_FORMAT, "it would not find all series"),
        (MONTHLY_INDEX, "it would start and find nothing"),
    ];
    steps
        .into_iter()
        .find(|(since, _)| server < *since && *since <= writer)
        .map(|(_, reason)| reason)
}

impl FromStr for Version {
    type Err = NotAVersion;

    /// Reads `1.145.0`, `v1.145.0` and what servers say of themselves: `victoria-metrics-20260101-000000-tags-v1.145.0-0-g1234567890`.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let not = || NotAVersion(text.to_owned());
        let inner = text.rsplit("tags-").next().unwrap_or(text);
        let inner = inner.strip_prefix('v').unwrap_or(inner);
        let inner = inner.split(['-', '+']).next().unwrap_or(inner);
        let mut numbers = inner.split('.').map(|number| {
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| number.parse::<u32>().ok()).flatten()
        });
        let mut next = || numbers.next().flatten();
        let (Some(major), Some(minor)) = (next(), next()) else {
            return Err(not());
        };
        let patch = match numbers.next() {
            None => 0,
            Some(patch) => patch.ok_or_else(not)?,
        };
        match numbers.next() {
            None => Ok(Self {
                major,
                minor,
                patch,
            }),
            Some(_) => Err(not()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn a_version_is_read_as_people_and_servers_write_it() {
        let expected = version("1.145.0");
        for text in [
            "v1.145.0",
            "1.145",
            "victoria-metrics-20260101-000000-tags-v1.145.0-0-g1234567890",
            "v1.145.0-enterprise",
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
        for text in ["", "v", "1", "1.x", "1.2.3.4", "latest", "1.-2"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    /// As servers of 1.79.5 and 1.112.0 were seen to write it.
    #[test]
    fn an_index_that_older_servers_could_not_read_shows_it() {
        let of = |last: &str| {
            let text = format!(
                "{{\"ItemsCount\":9,\"BlocksCount\":1,\"FirstItem\":\"00\",\"LastItem\":\"{last}\"}}"
            );
            of_index([&b"garbage"[..], text.as_bytes()])
        };
        assert_eq!(of("06000000000000"), None);
        assert_eq!(of("07000000000000"), Some(version("1.92.0")));
        assert_eq!(of_index([]), None);
        assert!(refusal(version("1.92.0"), version("1.91.3")).is_some());
    }

    #[test]
    fn the_impossible_ways_back_are_refused_and_all_others_are_not() {
        let releases = ["1.79.5", "1.91.0", "1.112.0", "1.145.0"].map(version);
        let refused = |writer: usize, server: usize| refusal(releases[writer], releases[server]);
        for server in 0..releases.len() {
            for writer in 0..releases.len() {
                assert_eq!(
                    refused(writer, server).is_some(),
                    writer > server,
                    "{writer} {server}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string().parse(), Ok(version));
            }
        }

        #[test]
        fn a_newer_server_is_never_refused(writer in 0_u32..200, more in 0_u32..100) {
            prop_assert_eq!(refusal(since(writer), since(writer + more)), None);
        }
    }
}
