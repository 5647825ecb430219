//! What every request passes before its operation begins: what it may not be, who signed it, and its share of the memory.
//!
//! The share is taken after the signature has been checked and before the body is read, so that strangers take nothing and
//! nothing is taken twice.

use async_trait::async_trait;
use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING,
};
use hyper::{HeaderMap, Method};
use s3s::access::{S3Access, S3AccessContext};
use s3s::path::S3Path;
use s3s::{HttpRequest, S3Error, S3Result, s3_error};
use std::sync::Arc;

use super::content;
use super::door::Door;
use super::relay::pairs;
use super::story::Story;
use crate::backend::Buffers;
use crate::backend::content::HELD;
use crate::budget::{Budget, Spent};

/// The largest XML body, in bytes.
const MAX_XML: u64 = super::MAX_XML_BYTES as u64;
/// The most bytes of one PUT, as in S3: more must come in parts.
const MAX_PUT_BYTES: u64 = 5 * 1024 * 1024 * 1024;
/// What any request costs beside its content: its head, its state, a small answer.
const SMALL: u64 = 16 * 1024;
/// What a page of a listing costs while it is written: 1,000 keys of half the greatest length, as they are, as they are
/// answered, and as XML.
const LISTING: u64 = 4 * 1024 * 1024;
/// What is read from an XML body takes so many times its size, if its entries are as short as they can be.
const XML_GROWTH: u64 = 8;
/// In how many seconds a client that was refused for lack of memory should come again.
const RETRY_SECONDS: &str = "1";

/// Refuses what the protocol layer would take and the gateway does not: Signature Version 2, which it compares byte by byte,
/// and forms, whose file it collects in memory before it asks who sends it.
pub(super) fn refuse_unsupported(request: &HttpRequest) -> S3Result<()> {
    let text = |name: HeaderName| content::text(request.headers(), name.as_str());
    let form = text(CONTENT_TYPE).is_some_and(|kind| {
        let begin = "multipart/".len();
        kind.trim_start()
            .get(..begin)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/"))
    });
    if form && request.method() == Method::POST {
        return Err(s3_error!(NotImplemented, "forms are not supported"));
    }
    let old_header = text(AUTHORIZATION).is_some_and(|text| text.trim_start().starts_with("AWS "));
    let old_query = pairs(request.uri())
        .iter()
        .any(|(name, _)| name == "Signature");
    if old_header || old_query {
        return Err(s3_error!(
            InvalidRequest,
            "the signature must be of version 4: AWS4-HMAC-SHA256"
        ));
    }
    Ok(())
}

/// Lets requests in, one by one.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) door: Door,
    pub(super) budget: Budget,
}

#[async_trait]
impl S3Access for Admission {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let story = context.extensions_mut().get::<Arc<Story>>().cloned();
        let operation = context.s3_op().name();
        let (bucket, key) = match context.s3_path() {
            S3Path::Root => (None, None),
            S3Path::Bucket { bucket } => (Some(bucket), None),
            S3Path::Object { bucket, key } => (Some(bucket), Some(key)),
        };
        let asked = Asked {
            operation,
            access_key: context.credentials().map(|keys| keys.access_key.as_str()),
            bucket: bucket.map(AsRef::as_ref),
            key: key.map(AsRef::as_ref),
            headers: context.headers(),
        };
        self.admit(story.as_deref(), asked).await
    }
}

/// What a request asks for, as far as its head says.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) operation: &'a str,
    pub(super) access_key: Option<&'a str>,
    pub(super) bucket: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
}

impl Admission {
    pub(super) async fn admit(&self, story: Option<&Story>, asked: Asked<'_>) -> S3Result<()> {
        let story = story.ok_or_else(|| s3_error!(InternalError, "the request has no story"))?;
        {
            let mut details = story.details();
            details.operation = Some(asked.operation.to_owned());
            details.access_key = asked.access_key.map(str::to_owned);
            details.bucket = asked.bucket.map(str::to_owned);
            details.key = asked.key.map(str::to_owned);
        }
        if asked.access_key.is_none() {
            return Err(s3_error!(AccessDenied, "a signature is required"));
        }
        let length = length(asked.headers);
        if length > Some(MAX_PUT_BYTES) {
            return Err(s3_error!(
                EntityTooLarge,
                "more than 5 GiB in one request: use a multipart upload"
            ));
        }
        let buffers = self.door.buffers(asked.bucket.unwrap_or_default());
        let body = match length {
            // Nobody knows how much comes.
            None if asked.headers.contains_key(TRANSFER_ENCODING) => MAX_XML,
            length => length.unwrap_or_default(),
        };
        let share = share(asked.operation, body, buffers);
        let permit = self.budget.take(share).await.map_err(slow_down)?;
        story.details().permit = Some(permit);
        Ok(())
    }
}

fn slow_down(spent: Spent) -> S3Error {
    let mut error = s3_error!(SlowDown, "{spent}");
    let after = HeaderValue::from_static(RETRY_SECONDS);
    error.set_headers(HeaderMap::from_iter([(RETRY_AFTER, after)]));
    error
}

/// How many bytes of content come, without what signs them on their way.
fn length(headers: &HeaderMap) -> Option<u64> {
    content::text(headers, "x-amz-decoded-content-length")
        .or_else(|| content::text(headers, CONTENT_LENGTH.as_str()))?
        .parse()
        .ok()
}

/// The most memory that a request uses at a time, in bytes. `length` is that of its body.
fn share(operation: &str, length: u64, buffers: Buffers) -> u64 {
    let xml = XML_GROWTH * length.min(MAX_XML);
    SMALL
        + match operation {
            "PutObject" | "UploadPart" => length.min(HELD + buffers.write),
            "UploadPartCopy" => HELD + buffers.write + buffers.read,
            "CopyObject" => buffers.copy,
            "GetObject" => buffers.read,
            "ListObjects" | "ListObjectsV2" | "ListMultipartUploads" | "ListParts" => LISTING,
            _ => xml,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFERS: Buffers = Buffers {
        write: 100,
        read: 200,
        copy: 300,
    };

    #[test]
    fn small_objects_take_little_and_large_ones_what_is_held_of_them() {
        let of = |operation, length| share(operation, length, BUFFERS) - SMALL;
        assert_eq!(of("PutObject", 1000), 1000);
        assert_eq!(of("UploadPart", 1 << 40), HELD + 100);
        assert_eq!(of("UploadPartCopy", 0), HELD + 300);
        assert_eq!(of("CopyObject", 0), 300);
        assert_eq!(of("GetObject", 0), 200);
        assert_eq!(of("HeadObject", 0), 0);
        assert_eq!(of("DeleteObjects", 1000), 8000);
        assert_eq!(of("DeleteObjects", 1 << 40), 8 * MAX_XML);
    }

    #[test]
    fn the_length_that_counts_is_that_of_the_content() {
        let mut headers = HeaderMap::new();
        assert_eq!(length(&headers), None);
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("120"));
        assert_eq!(length(&headers), Some(120));
        let decoded = HeaderValue::from_static("100");
        headers.insert("x-amz-decoded-content-length", decoded);
        assert_eq!(length(&headers), Some(100));
    }
}
