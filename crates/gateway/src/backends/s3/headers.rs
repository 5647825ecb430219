//! What is said of objects in headers: ours to the store's and back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::call::Call;
use crate::backend::condition::{EtagMatch, ReadConditions, WriteCondition};
use crate::backend::digest::{Algorithm, Checksum};
use crate::backend::options::ByteRange;
use crate::backend::relay::Relayed;
use crate::backend::{Attributes, Error, ObjectInfo, Stored};

/// Headers kept with an object beside user metadata.
const KEPT: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
];
const USER: &str = "x-amz-meta-";
const VERSION: &str = "x-amz-version-id";
const CHECKSUM: &str = "x-amz-checksum-";
const STORAGE_CLASS: &str = "x-amz-storage-class";

/// Headers of Amazon that are about the one answer they came with.
const PASSING: [&str; 3] = ["x-amz-request-id", "x-amz-id-2", "x-amz-cf-id"];

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Without its quotes.
pub(super) fn etag(headers: &HeaderMap) -> Option<String> {
    text(headers, "etag").map(unquoted)
}

pub(super) fn unquoted(etag: &str) -> String {
    etag.trim().trim_matches('"').to_owned()
}

pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

impl Call {
    /// Says what the writer of an object says about it.
    pub(super) fn attributes(mut self, attributes: &Attributes) -> Result<Self, Error> {
        for (name, value) in &attributes.headers {
            self.set(name, value)?;
        }
        for (name, value) in &attributes.user {
            self.set(&format!("{USER}{name}"), value)?;
        }
        Ok(self)
    }

    /// Passes on what the client said to the store past the gateway.
    pub(super) fn relayed(mut self, relayed: &Relayed) -> Result<Self, Error> {
        for (name, value) in relayed.iter() {
            self.set(name, value)?;
        }
        Ok(self)
    }

    pub(super) fn condition(mut self, condition: &WriteCondition) -> Result<Self, Error> {
        match condition {
            WriteCondition::None => {}
            WriteCondition::Absent => self.set("if-none-match", "*")?,
            WriteCondition::Matches(wanted) => self.set("if-match", &matched(wanted))?,
            WriteCondition::Differs(etag) => self.set("if-none-match", &quoted(etag))?,
        }
        Ok(self)
    }

    /// `prefix` is empty, or what the same conditions on the source of a copy begin with.
    pub(super) fn conditions(
        mut self,
        prefix: &str,
        conditions: &ReadConditions,
    ) -> Result<Self, Error> {
        let time = |time: &Timestamp| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let pairs = [
            ("if-match", conditions.matches.as_ref().map(matched)),
            ("if-none-match", conditions.differs.as_ref().map(matched)),
            (
                "if-modified-since",
                conditions.modified_since.as_ref().map(time),
            ),
            (
                "if-unmodified-since",
                conditions.unmodified_since.as_ref().map(time),
            ),
        ];
        for (name, value) in pairs {
            if let Some(value) = value {
                self.set(&format!("{prefix}{name}"), &value)?;
            }
        }
        Ok(self)
    }

    pub(super) fn checksum(mut self, checksum: Option<&Checksum>) -> Result<Self, Error> {
        if let Some(checksum) = checksum {
            self.set(&checksum_name(checksum.algorithm), &checksum.value)?;
        }
        Ok(self)
    }

    /// Sets a header. What a client sends may be any bytes above 31, so what cannot travel here came from elsewhere.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let wrong = || Error::Upstream {
            status: 400,
            code: "InvalidArgument".to_owned(),
            message: format!(
                "`{name}` cannot be passed on: its name or value cannot travel in a header"
            ),
        };
        let parsed = HeaderName::try_from(name).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong())?;
        value.set_sensitive(name.contains("customer-key"));
        self.headers.insert(parsed, value);
        Ok(())
    }
}

fn matched(wanted: &EtagMatch) -> String {
    match wanted {
        EtagMatch::Any => "*".to_owned(),
        EtagMatch::Exactly(etag) => quoted(etag),
    }
}

pub(super) fn range(range: ByteRange) -> String {
    match range {
        ByteRange::From { first, last: None } => format!("bytes={first}-"),
        ByteRange::From {
            first,
            last: Some(last),
        } => format!("bytes={first}-{last}"),
        ByteRange::Suffix { length } => format!("bytes=-{length}"),
    }
}

/// The header of a checksum.
pub(super) fn checksum_name(algorithm: Algorithm) -> String {
    format!("{CHECKSUM}{}", algorithm.name().to_ascii_lowercase())
}

fn checksum(headers: &HeaderMap) -> Option<Checksum> {
    Algorithm::ALL.into_iter().find_map(|algorithm| {
        let value = text(headers, &checksum_name(algorithm))?.to_owned();
        Some(Checksum { algorithm, value })
    })
}

/// What the store says that the gateway does not act upon.
pub(super) fn said(headers: &HeaderMap) -> Relayed {
    headers
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            name.starts_with("x-amz-")
                && name != VERSION
                && !name.starts_with(USER)
                && !name.starts_with(CHECKSUM)
                && !PASSING.contains(&name)
        })
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

pub(super) fn version(headers: &HeaderMap) -> Option<String> {
    text(headers, VERSION).map(str::to_owned)
}

/// The time in a header, to the second. What is no time counts as none.
pub(super) fn time(headers: &HeaderMap, name: &str) -> Option<Timestamp> {
    let zoned = rfc2822::parse(text(headers, name)?).ok()?;
    Some(zoned.timestamp())
}

/// What the answer to a write says of the object.
pub(super) fn stored(headers: &HeaderMap) -> Stored {
    Stored {
        etag: etag(headers).unwrap_or_default(),
        modified: time(headers, "last-modified"),
        checksum: checksum(headers),
        version: version(headers),
        relayed: said(headers),
    }
}

/// What the answer to HEAD or GET says of the object. `size` in bytes.
pub(super) fn info(headers: &HeaderMap, size: u64) -> ObjectInfo {
    let kept = KEPT
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), bytes_as_text(headers.get(name)?))))
        .collect();
    let user: BTreeMap<_, _> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(USER)?;
            Some((name.to_owned(), bytes_as_text(value)))
        })
        .collect();
    ObjectInfo {
        size,
        etag: etag(headers).unwrap_or_default(),
        modified: time(headers, "last-modified").unwrap_or(Timestamp::UNIX_EPOCH),
        attributes: Attributes {
            headers: kept,
            user,
        },
        checksum: checksum(headers),
        parts: text(headers, "x-amz-mp-parts-count").and_then(|count| count.parse().ok()),
        version: version(headers),
        relayed: said(headers),
    }
}

/// A class that a listing names, as an object's own headers would.
pub(super) fn storage_class(class: Option<&str>) -> Relayed {
    class
        .map(|class| (STORAGE_CLASS.to_owned(), class.to_owned()))
        .into_iter()
        .collect()
}

fn bytes_as_text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse().unwrap(),
                    HeaderValue::from_bytes(value.as_bytes()).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn an_object_is_described_with_all_that_the_store_says() {
        let info = info(
            &headers(&[
                ("etag", "\"d41d8cd98f00b204e9800998ecf8427e-3\""),
                ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
                ("content-type", "text/plain"),
                ("x-amz-meta-owner", "graph é"),
                ("x-amz-version-id", "v1"),
                ("x-amz-mp-parts-count", "3"),
                ("x-amz-checksum-crc32c", "AAAAAA==-3"),
                ("x-amz-checksum-type", "COMPOSITE"),
                ("x-amz-server-side-encryption", "aws:kms"),
                ("x-amz-storage-class", "GLACIER"),
                ("x-amz-request-id", "1"),
                ("server", "s"),
            ]),
            7,
        );
        assert_eq!(info.etag, "d41d8cd98f00b204e9800998ecf8427e-3");
        assert_eq!(info.modified, "1994-11-06T08:49:37Z".parse().unwrap());
        assert_eq!(info.attributes.headers["content-type"], "text/plain");
        assert_eq!(info.attributes.user["owner"], "graph é");
        assert_eq!(
            (info.size, info.parts, info.version.as_deref()),
            (7, Some(3), Some("v1"))
        );
        assert!(info.checksum.unwrap().is_composite());
        let relayed: Vec<_> = info.relayed.iter().map(|(name, _)| name).collect();
        assert_eq!(
            relayed,
            [
                "x-amz-mp-parts-count",
                "x-amz-server-side-encryption",
                "x-amz-storage-class"
            ]
        );
    }

    #[test]
    fn ranges_are_written_as_http_has_them() {
        assert_eq!(
            range(ByteRange::From {
                first: 2,
                last: Some(4)
            }),
            "bytes=2-4"
        );
        assert_eq!(
            range(ByteRange::From {
                first: 2,
                last: None
            }),
            "bytes=2-"
        );
        assert_eq!(range(ByteRange::Suffix { length: 3 }), "bytes=-3");
    }
}
