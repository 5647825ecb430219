//! Values of the protocol to ours and back.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{self, ETag, ETagCondition, TimestampFormat};
use s3s::{S3Result, s3_error};

use crate::backend::condition::{EtagMatch, ReadConditions, WriteCondition};
use crate::backend::digest::{Algorithm, Checksum};
use crate::backend::options::ByteRange;
use crate::backend::{Attributes, Error, ObjectPath};

/// What `encoding-type=url` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

/// Encodes a key for XML if the client asked for it: XML cannot hold every character of a key.
pub(super) fn key_text(text: &str, encoding: Option<&dto::EncodingType>) -> String {
    if encoding.is_some() {
        utf8_percent_encode(text, PLAIN).to_string()
    } else {
        text.to_owned()
    }
}

pub(super) fn check_encoding(encoding: Option<&dto::EncodingType>) -> S3Result<()> {
    match encoding {
        Some(encoding) if encoding.as_str() != "url" => {
            Err(s3_error!(InvalidArgument, "encoding-type must be url"))
        }
        _ => Ok(()),
    }
}

pub(super) fn path(bucket: String, key: String) -> Result<ObjectPath, Error> {
    ObjectPath::new(bucket, key)
}

pub(super) fn timestamp(time: Timestamp) -> dto::Timestamp {
    dto::Timestamp::from(SystemTime::from(time))
}

/// Like [`timestamp`], to the whole second that HTTP can say.
fn from_protocol(time: &dto::Timestamp) -> Option<Timestamp> {
    let mut text = Vec::new();
    time.format(TimestampFormat::EpochSeconds, &mut text).ok()?;
    let text = String::from_utf8(text).ok()?;
    let seconds = text.split('.').next()?.parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

pub(super) fn etag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

/// Sizes and counts, which the protocol has signed.
pub(super) fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn etag_match(condition: &ETagCondition) -> EtagMatch {
    match condition.as_etag() {
        Some(etag) => EtagMatch::Exactly(etag.value().to_owned()),
        None => EtagMatch::Any,
    }
}

pub(super) fn write_condition(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<WriteCondition> {
    match (if_match.map(etag_match), if_none_match.map(etag_match)) {
        (None, None) => Ok(WriteCondition::None),
        (Some(wanted), None) => Ok(WriteCondition::Matches(wanted)),
        (None, Some(EtagMatch::Any)) => Ok(WriteCondition::Absent),
        (None, Some(EtagMatch::Exactly(etag))) => Ok(WriteCondition::Differs(etag)),
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "If-Match and If-None-Match exclude each other"
        )),
    }
}

pub(super) fn read_conditions(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    if_modified_since: Option<&dto::Timestamp>,
    if_unmodified_since: Option<&dto::Timestamp>,
) -> ReadConditions {
    ReadConditions {
        matches: if_match.map(etag_match),
        differs: if_none_match.map(etag_match),
        modified_since: if_modified_since.and_then(from_protocol),
        unmodified_since: if_unmodified_since.and_then(from_protocol),
    }
}

pub(super) fn byte_range(range: dto::Range) -> ByteRange {
    match range {
        dto::Range::Int { first, last } => ByteRange::From { first, last },
        dto::Range::Suffix { length } => ByteRange::Suffix { length },
    }
}

/// Returns the bucket, key and version of `x-amz-copy-source`.
pub(super) fn copy_source(source: &dto::CopySource) -> S3Result<(ObjectPath, Option<String>)> {
    match source {
        dto::CopySource::Bucket {
            bucket,
            key,
            version_id,
        } => {
            let path = ObjectPath::new(bucket.as_ref(), key.as_ref())?;
            Ok((path, version_id.as_deref().map(str::to_owned)))
        }
        _ => Err(s3_error!(
            NotImplemented,
            "only an object of a bucket can be copied"
        )),
    }
}

/// Returns a part number, which S3 has from 1 to 10,000.
pub(super) fn part_number(number: i32) -> S3Result<u16> {
    u16::try_from(number)
        .ok()
        .filter(|number| (1..=crate::backend::MAX_PART_NUMBER).contains(number))
        .ok_or_else(|| s3_error!(InvalidArgument, "part numbers are from 1 to 10000"))
}

/// The headers that are kept with an object, as the protocol layer has them.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) expires: Option<dto::Timestamp>,
}

const CACHE_CONTROL: &str = "cache-control";
const CONTENT_DISPOSITION: &str = "content-disposition";
const CONTENT_ENCODING: &str = "content-encoding";
const CONTENT_LANGUAGE: &str = "content-language";
const CONTENT_TYPE: &str = "content-type";
const EXPIRES: &str = "expires";

impl Headers {
    pub(super) fn attributes(self, metadata: Option<dto::Metadata>) -> Attributes {
        let encoding = self.content_encoding.as_deref().and_then(stored_encoding);
        let expires = self.expires.as_ref().and_then(http_date);
        let pairs = [
            (CACHE_CONTROL, self.cache_control),
            (CONTENT_DISPOSITION, self.content_disposition),
            (CONTENT_ENCODING, encoding),
            (CONTENT_LANGUAGE, self.content_language),
            (CONTENT_TYPE, self.content_type),
            (EXPIRES, expires),
        ];
        let headers = pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        let user = metadata
            .unwrap_or_default()
            .into_iter()
            .collect::<BTreeMap<_, _>>();
        Attributes { headers, user }
    }

    pub(super) fn of(attributes: &Attributes) -> Self {
        let get = |name: &str| attributes.headers.get(name).cloned();
        Self {
            cache_control: get(CACHE_CONTROL),
            content_disposition: get(CONTENT_DISPOSITION),
            content_encoding: get(CONTENT_ENCODING),
            content_language: get(CONTENT_LANGUAGE),
            content_type: get(CONTENT_TYPE),
            expires: get(EXPIRES)
                .and_then(|date| dto::Timestamp::parse(TimestampFormat::HttpDate, &date).ok()),
        }
    }
}

/// `aws-chunked` says how the content travelled, not what it is.
fn stored_encoding(encoding: &str) -> Option<String> {
    let kept: Vec<_> = encoding
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

fn http_date(time: &dto::Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

pub(super) fn metadata(attributes: &Attributes) -> Option<dto::Metadata> {
    let pairs = attributes
        .user
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    (!attributes.user.is_empty()).then(|| pairs.collect())
}

/// A checksum in the five fields that answers have for it.
#[derive(Default)]
pub(super) struct ChecksumFields {
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) crc64nvme: Option<String>,
    pub(super) sha1: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) kind: Option<dto::ChecksumType>,
}

impl ChecksumFields {
    pub(super) fn of(checksum: Option<&Checksum>) -> Self {
        let mut fields = Self::default();
        let Some(checksum) = checksum else {
            return fields;
        };
        let kind = if checksum.is_composite() {
            dto::ChecksumType::COMPOSITE
        } else {
            dto::ChecksumType::FULL_OBJECT
        };
        fields.kind = Some(dto::ChecksumType::from_static(kind));
        *fields.field(checksum.algorithm) = Some(checksum.value.clone());
        fields
    }

    fn field(&mut self, algorithm: Algorithm) -> &mut Option<String> {
        match algorithm {
            Algorithm::Crc32 => &mut self.crc32,
            Algorithm::Crc32c => &mut self.crc32c,
            Algorithm::Crc64Nvme => &mut self.crc64nvme,
            Algorithm::Sha1 => &mut self.sha1,
            Algorithm::Sha256 => &mut self.sha256,
        }
    }

    /// Returns the one checksum in the fields. A composite one keeps its `-N`.
    pub(super) fn checksum(mut self) -> Option<Checksum> {
        Algorithm::ALL.into_iter().find_map(|algorithm| {
            let value = self.field(algorithm).take()?;
            Some(Checksum { algorithm, value })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_content_travelled_is_not_kept_with_it() {
        assert_eq!(stored_encoding("aws-chunked"), None);
        assert_eq!(
            stored_encoding("gzip, aws-chunked"),
            Some("gzip".to_owned())
        );
        assert_eq!(stored_encoding("gzip"), Some("gzip".to_owned()));
    }

    #[test]
    fn keys_are_encoded_only_on_request() {
        let url = dto::EncodingType::from_static(dto::EncodingType::URL);
        assert_eq!(key_text("a b/\u{1}é", Some(&url)), "a%20b/%01%C3%A9");
        assert_eq!(key_text("a b", None), "a b");
    }

    #[test]
    fn headers_survive_the_way_in_and_out() {
        let expires = dto::Timestamp::parse(TimestampFormat::EpochSeconds, "1700000000").unwrap();
        let headers = Headers {
            content_type: Some("text/plain".to_owned()),
            expires: Some(expires.clone()),
            ..Headers::default()
        };
        let back = Headers::of(&headers.attributes(None));
        assert_eq!(back.content_type.as_deref(), Some("text/plain"));
        assert_eq!(back.expires, Some(expires));
    }
}
