//! A blob as Azure describes it, in the headers of an answer or in a listing, and what it is as an object.
//!
//! The etag of an object is, in this order: for a blob of ours the one in its metadata; the blob's Content-MD5, which Azure
//! computes of what comes in one call; the one that MinIO's gateway kept in the metadata; Azure's own with `-1`. MinIO's
//! gateway answered by the same rule, though not in its listings.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::metadata::{self, MD5SUM, OURS};
use super::record::Record;
use crate::backend::relay::Relayed;
use crate::backend::{Attributes, ObjectInfo};

/// The header that Azure has no place for.
const EXPIRES: &str = "expires";
/// What is said of the content, with what it is called in a listing.
pub(super) const CONTENT_HEADERS: [(&str, &str); 5] = [
    ("cache-control", "Cache-Control"),
    ("content-disposition", "Content-Disposition"),
    ("content-encoding", "Content-Encoding"),
    ("content-language", "Content-Language"),
    ("content-type", "Content-Type"),
];
const CONTENT_TYPE: &str = "content-type";
const META: &str = "x-ms-meta-";

/// A blob as it was when Azure was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob {
    /// In bytes, of the whole blob.
    pub(super) size: u64,
    /// Azure's etag, as conditions need it.
    pub(super) tag: String,
    pub(super) modified: Timestamp,
    /// By lower-case name.
    pub(super) content: BTreeMap<String, String>,
    /// The MD5 of the whole content, where Azure has one.
    pub(super) md5: Option<[u8; 16]>,
    /// By lower-case name.
    pub(super) metadata: BTreeMap<String, String>,
    /// Somebody holds a lease on it.
    pub(super) leased: bool,
}

impl Blob {
    /// Reads the headers of an answer about a blob. Nothing if they do not describe one.
    pub(super) fn from_headers(status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let size = match text("content-range") {
            Some(range) => range.rsplit_once('/')?.1.parse().ok()?,
            None => text("content-length")?.parse().ok()?,
        };
        // Of a range, `content-md5` is the MD5 of that range.
        let md5 = match text("x-ms-blob-content-md5") {
            None if status == StatusCode::PARTIAL_CONTENT => None,
            None => text("content-md5"),
            whole => whole,
        };
        let content = CONTENT_HEADERS
            .into_iter()
            .filter_map(|(name, _)| Some((name.to_owned(), text(name)?.to_owned())))
            .collect();
        let metadata = headers
            .iter()
            .filter_map(|(name, value)| {
                let name = name.as_str().strip_prefix(META)?;
                Some((name.to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        Some(Self {
            size,
            tag: text("etag")?.to_owned(),
            modified: http_date(text("last-modified")?)?,
            content,
            md5: md5.and_then(md5_of),
            metadata,
            leased: text("x-ms-lease-status") == Some("locked"),
        })
    }

    /// What the gateway remembers of it, if it is one of its own.
    pub(super) fn record(&self) -> Option<Record> {
        Record::from_text(self.metadata.get(OURS)?)
    }

    pub(super) fn etag(&self) -> String {
        let kept = self.metadata.get(MD5SUM);
        let ours = kept.filter(|_| self.record().is_some());
        match (ours, self.md5, kept) {
            (Some(etag), _, _) | (None, None, Some(etag)) => etag.clone(),
            (None, Some(md5), _) => hex::encode(md5),
            (None, None, None) => {
                let token = self.tag.trim_matches('"');
                let suffix = if token.ends_with("-1") { "" } else { "-1" };
                format!("{token}{suffix}")
            }
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        let mut headers = self.content.clone();
        if let Some(record) = self.record() {
            if record.untyped {
                headers.remove(CONTENT_TYPE);
            }
            headers.extend(record.headers);
        }
        Attributes {
            headers,
            user: metadata::decode(&self.metadata),
        }
    }

    pub(super) fn info(&self) -> ObjectInfo {
        let record = self.record();
        ObjectInfo {
            size: self.size,
            etag: self.etag(),
            modified: self.modified,
            attributes: self.attributes(),
            checksum: record.as_ref().and_then(|record| record.checksum.clone()),
            parts: record
                .and_then(|record| record.parts)
                .map(|parts| parts.count),
            version: None,
            relayed: Relayed::default(),
        }
    }
}

/// What is written beside the bytes of a blob, in the same call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    /// By the names that calls which write a blob have for them.
    pub(super) content: BTreeMap<String, String>,
    /// By the names of headers.
    pub(super) metadata: BTreeMap<String, String>,
}

impl Label {
    /// `etag` where Azure's MD5 of the content will not be it.
    pub(super) fn new(attributes: &Attributes, mut record: Record, etag: Option<&str>) -> Self {
        let mut content = BTreeMap::new();
        record.headers.clear();
        for (name, value) in &attributes.headers {
            if name == EXPIRES || !metadata::is_plain(value) {
                record.headers.insert(name.clone(), value.clone());
            } else {
                content.insert(format!("x-ms-blob-{name}"), value.clone());
            }
        }
        record.untyped = !attributes.headers.contains_key(CONTENT_TYPE);
        let mut kept = metadata::encode(&attributes.user);
        kept.insert(OURS.to_owned(), record.to_text());
        if let Some(etag) = etag {
            kept.insert(MD5SUM.to_owned(), etag.to_owned());
        }
        let metadata = kept
            .into_iter()
            .map(|(name, value)| (format!("{META}{name}"), value))
            .collect();
        Self { content, metadata }
    }

    /// Whether a blob has just what is said of the content here, so that only its metadata would differ.
    pub(super) fn fits(&self, blob: &Blob) -> bool {
        let shown = |name: &str| match blob.content.get(name).map(String::as_str) {
            None if name == CONTENT_TYPE => UNTYPED.to_owned(),
            shown => shown.unwrap_or_default().to_owned(),
        };
        CONTENT_HEADERS.iter().all(|(name, _)| {
            let default = if *name == CONTENT_TYPE { UNTYPED } else { "" };
            let wanted = self.content.get(&format!("x-ms-blob-{name}"));
            wanted.map_or(default, String::as_str) == shown(name)
        })
    }

    /// In bytes, names and values of the metadata together, as Azure counts them.
    pub(super) fn metadata_bytes(&self) -> usize {
        self.metadata
            .iter()
            .map(|(name, value)| name.len() - META.len() + value.len())
            .sum()
    }
}

/// The content type that Azure shows where none was named.
const UNTYPED: &str = "application/octet-stream";

/// Returns the MD5 in a header.
pub(super) fn md5_of(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn blob(md5: Option<[u8; 16]>, metadata: &[(&str, &str)]) -> Blob {
        Blob {
            size: 5,
            tag: "\"0x8D4BCC2E4835CD0\"".to_owned(),
            modified: Timestamp::UNIX_EPOCH,
            content: BTreeMap::new(),
            md5,
            metadata: metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            leased: false,
        }
    }

    /// The blob that a label makes.
    fn labelled(label: &Label) -> Blob {
        let strip = |map: &BTreeMap<String, String>, start: &str| {
            map.iter()
                .map(|(name, value)| (name[start.len()..].to_owned(), value.clone()))
                .collect::<BTreeMap<_, _>>()
        };
        let mut content = strip(&label.content, "x-ms-blob-");
        content
            .entry(CONTENT_TYPE.to_owned())
            .or_insert_with(|| UNTYPED.to_owned());
        Blob {
            content,
            metadata: strip(&label.metadata, META),
            ..blob(None, &[])
        }
    }

    proptest! {
        #[test]
        fn what_a_writer_says_is_given_back(
            headers in btree_map("cache-control|content-disposition|content-encoding|content-language|content-type|expires", ".{0,9}", 0..6),
            user in btree_map(".{1,9}", ".{0,9}", 0..4),
        ) {
            let attributes = Attributes { headers, user };
            let label = Label::new(&attributes, Record::new("id".to_owned()), Some("etag-2"));
            let blob = labelled(&label);
            prop_assert!(label.fits(&blob));
            prop_assert_eq!(blob.attributes(), attributes);
            prop_assert_eq!(blob.etag(), "etag-2");
        }

        #[test]
        fn any_headers_are_read_without_harm(
            headers in btree_map("content-length|content-range|etag|last-modified|content-md5|x-ms-meta-[a-z]{1,3}", "[ -~]{0,12}", 0..6),
        ) {
            let headers = headers
                .iter()
                .filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)))
                .collect::<HeaderMap>();
            Blob::from_headers(StatusCode::OK, &headers);
        }
    }

    #[test]
    fn the_etag_of_a_blob_that_others_wrote_is_what_minio_answered() {
        let md5 = Some([0xab; 16]);
        let hex = hex::encode([0xab; 16]);
        assert_eq!(blob(md5, &[]).etag(), hex);
        assert_eq!(blob(md5, &[("md5sum", "other-1")]).etag(), hex);
        assert_eq!(blob(None, &[("md5sum", "0123-2")]).etag(), "0123-2");
        assert_eq!(blob(None, &[]).etag(), "0x8D4BCC2E4835CD0-1");
    }

    #[test]
    fn the_etag_of_a_blob_of_ours_is_the_one_it_was_written_with() {
        let record = Record::new("id".to_owned()).to_text();
        let ours = blob(
            Some([0xab; 16]),
            &[("lifeboat", &record), ("md5sum", "0123-2")],
        );
        assert_eq!(ours.etag(), "0123-2");
        let at_once = blob(Some([0xab; 16]), &[("lifeboat", &record)]);
        assert_eq!(at_once.etag(), hex::encode([0xab; 16]));
    }

    #[test]
    fn a_range_tells_the_size_and_the_digest_of_the_whole() {
        let headers = |pairs: &[(&'static str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let part = [
            ("content-length", "2"),
            ("content-range", "bytes 1-2/5"),
            ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ("etag", "\"0x1\""),
            ("last-modified", "Wed, 25 Nov 2026 08:32:28 GMT"),
        ];
        let found = Blob::from_headers(StatusCode::PARTIAL_CONTENT, &headers(&part)).unwrap();
        assert_eq!((found.size, found.md5), (5, None));
        assert_eq!(found.modified.to_string(), "2026-11-25T08:32:28Z");
        let whole = [
            part.as_slice(),
            &[("x-ms-blob-content-md5", "XUFAKrxLKna5cZ2REBfFkg==")],
        ]
        .concat();
        let found = Blob::from_headers(StatusCode::PARTIAL_CONTENT, &headers(&whole)).unwrap();
        assert_eq!(found.etag(), "5d41402abc4b2a76b9719d911017c592");
    }
}
