//! Which parts of a request and an answer are passed on to and from a store that speaks S3, and the requests that only
//! such a store can answer.

use hyper::header::{HeaderName, HeaderValue};
use hyper::http::Extensions;
use hyper::{HeaderMap, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use s3s::route::S3Route;
use s3s::{Body, S3Error, S3Request, S3Response, S3Result, s3_error};
use std::sync::Arc;

use super::MAX_XML_BYTES;
use super::admission::{Admission, Asked};
use super::door::Door;
use super::story::Story;
use crate::backend::relay::{Relayed, Request};
use crate::backend::{Backend, Error, ObjectPath};

/// Headers of requests, or what their names begin with.
const ASKED: [&str; 15] = [
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption-",
    "x-amz-storage-class",
    "x-amz-tagging",
    "x-amz-acl",
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-bypass-governance-retention",
    "x-amz-website-redirect-location",
    "x-amz-request-payer",
    "x-amz-expected-bucket-owner",
    "x-amz-source-expected-bucket-owner",
    "x-amz-checksum-mode",
    "x-amz-checksum-type",
    "x-amz-mp-object-size",
];

/// Headers of answers, or what their names begin with.
const ANSWERED: [&str; 14] = [
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-tagging-count",
    "x-amz-object-lock-",
    "x-amz-website-redirect-location",
    "x-amz-request-charged",
    "x-amz-version-id",
    "x-amz-copy-source-version-id",
    "x-amz-delete-marker",
    "x-amz-expiration",
    "x-amz-restore",
    "x-amz-replication-status",
    "x-amz-mp-parts-count",
    "x-amz-abort-",
];

/// Parts of a query that make a request one about something beside objects and uploads.
const SUBRESOURCES: [&str; 22] = [
    "accelerate",
    "acl",
    "attributes",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "tagging",
    "versioning",
];

/// Returns what of a request a store that speaks S3 has to see.
pub(super) fn asked(headers: &HeaderMap) -> Relayed {
    select(headers, &ASKED)
}

fn select(headers: &HeaderMap, beginnings: &[&str]) -> Relayed {
    headers
        .iter()
        .filter(|(name, _)| {
            beginnings
                .iter()
                .any(|beginning| name.as_str().starts_with(beginning))
        })
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

/// Adds what such a store said to an answer.
pub(super) fn answer<T>(output: T, relayed: &Relayed) -> S3Response<T> {
    let mut response = S3Response::new(output);
    let said = relayed
        .iter()
        .filter(|(name, _)| ANSWERED.iter().any(|beginning| name.starts_with(beginning)));
    for (name, value) in said {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers.insert(name, value);
        }
    }
    response
}

/// Passes requests on that the gateway has no operation for, where the bucket is in a store that speaks S3.
pub(super) struct Onward {
    pub(super) door: Door,
    pub(super) admission: Admission,
}

#[async_trait::async_trait]
impl S3Route for Onward {
    fn is_match(&self, _: &Method, uri: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        let Some((bucket, _)) = target(uri) else {
            return false;
        };
        let special = pairs(uri)
            .iter()
            .any(|(name, _)| SUBRESOURCES.contains(&name.as_str()) || name == "versions");
        special && self.door.leads_onward(&bucket)
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let story = request.extensions.get::<Arc<Story>>().cloned();
        let (bucket, key) = target(&request.uri).unwrap_or_default();
        let asked = Asked {
            operation: "Relay",
            access_key: request
                .credentials
                .as_ref()
                .map(|keys| keys.access_key.as_str()),
            bucket: Some(&bucket),
            key: key.as_deref(),
            headers: &request.headers,
        };
        self.admission.admit(story.as_deref(), asked).await
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let (bucket, key) =
            target(&request.uri).ok_or_else(|| s3_error!(InvalidRequest, "no bucket is named"))?;
        if let Some(key) = &key {
            ObjectPath::new(bucket.as_str(), key.as_str())?;
        }
        let backend = self.door.open(request.credentials.as_ref())?;
        let relay = backend
            .relay(&bucket)
            .ok_or_else(|| s3_error!(NotImplemented))?;
        let mut body = request.input;
        let body = body
            .store_all_limited(MAX_XML_BYTES)
            .await
            .map_err(|source| Error::Body { source })?;
        let query = pairs(&request.uri)
            .into_iter()
            .filter(|(name, _)| !name.to_ascii_lowercase().starts_with("x-amz-"))
            .collect();
        let answered = relay
            .relay(Request {
                method: request.method.to_string(),
                bucket,
                key,
                query,
                headers: select(
                    &request.headers,
                    &[
                        ASKED.as_slice(),
                        &[
                            "content-md5",
                            "content-type",
                            "x-amz-object-attributes",
                            "x-amz-sdk-checksum-algorithm",
                            "x-amz-checksum-",
                            "x-amz-mfa",
                            "x-amz-max-parts",
                            "x-amz-part-number-marker",
                        ],
                    ]
                    .concat(),
                ),
                body,
            })
            .await
            .map_err(S3Error::from);
        self.door.note(&answered);
        let answered = answered?;
        let mut response = S3Response::new(Body::from(answered.body));
        response.status = StatusCode::from_u16(answered.status).ok();
        for (name, value) in answered.headers.iter() {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers.insert(name, value);
            }
        }
        Ok(response)
    }
}

/// The bucket and key of a path-style request.
fn target(uri: &Uri) -> Option<(String, Option<String>)> {
    let path = percent_decode_str(uri.path().strip_prefix('/')?)
        .decode_utf8()
        .ok()?;
    let (bucket, key) = match path.split_once('/') {
        Some((bucket, key)) => (bucket, Some(key).filter(|key| !key.is_empty())),
        None => (path.as_ref(), None),
    };
    (!bucket.is_empty()).then(|| (bucket.to_owned(), key.map(str::to_owned)))
}

/// The pairs of a query, decoded.
pub(super) fn pairs(uri: &Uri) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    uri.query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decode(name), decode(value)),
            None => (decode(pair), String::new()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_passed_on_and_what_signs_the_request_is_not() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "x-amz-date",
            "x-amz-content-sha256",
            "x-amz-security-token",
            "x-amz-server-side-encryption-customer-key",
            "x-amz-storage-class",
        ] {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let asked = asked(&headers);
        let names: Vec<_> = asked.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "x-amz-server-side-encryption-customer-key",
                "x-amz-storage-class"
            ]
        );
    }

    #[test]
    fn a_target_is_read_from_the_path() {
        let of = |path: &str| target(&Uri::try_from(path).unwrap());
        assert_eq!(of("/"), None);
        assert_eq!(of("/b?acl"), Some(("b".to_owned(), None)));
        assert_eq!(of("/b/"), Some(("b".to_owned(), None)));
        assert_eq!(
            of("/b/a%2F%2Fc%20d?x"),
            Some(("b".to_owned(), Some("a//c d".to_owned())))
        );
    }

    #[test]
    fn a_query_is_decoded_once() {
        let uri = Uri::try_from("/b?versions&prefix=a%2Bb+c%2525&x=").unwrap();
        let expected = [("versions", ""), ("prefix", "a+b c%25"), ("x", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs(&uri), expected);
    }
}
