//! What the store says when it does not do what it was asked, and what that means to the one who asked the gateway.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::headers;
use crate::backend::Error;
use crate::backends::xml::Element;

/// What a request was about: decides what a refusal names.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Subject<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) upload: Option<&'a str>,
    pub(super) version: Option<&'a str>,
}

/// An answer that is none of success.
#[derive(Debug, Clone, Default)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// As S3 spells it, made from the status where the answer has none.
    pub(super) code: String,
    pub(super) message: String,
    region: Option<String>,
    size: Option<u64>,
    etag: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let status = status.as_u16();
        let document = Element::parse(body)
            .ok()
            .filter(|document| document.name() == "Error");
        let said = |name: &str| Some(document.as_ref()?.text(name)?.to_owned());
        // `bytes */1234`
        let range = headers::text(headers, "content-range");
        let size = range
            .and_then(|range| range.rsplit_once('/')?.1.parse().ok())
            .or_else(|| said("ActualObjectSize")?.parse().ok());
        Self {
            status,
            code: said("Code").unwrap_or_else(|| code(status).to_owned()),
            message: said("Message").unwrap_or_else(|| "no reason is given".to_owned()),
            region: headers::text(headers, "x-amz-bucket-region")
                .map(str::to_owned)
                .or_else(|| said("Region")),
            size,
            etag: headers::etag(headers),
        }
    }

    /// Of a document that took the place of a result although the status said success: the store had begun to answer before
    /// it knew.
    pub(super) fn late(document: &Element) -> Self {
        let code = document.text("Code").unwrap_or("InternalError").to_owned();
        let status = match code.as_str() {
            "SlowDown" | "ServiceUnavailable" => 503,
            "PreconditionFailed" => 412,
            "ConditionalRequestConflict" | "OperationAborted" => 409,
            "NoSuchKey" | "NoSuchUpload" | "NoSuchBucket" => 404,
            "InternalError" => 500,
            _ => 400,
        };
        Self {
            status,
            message: document.text("Message").unwrap_or_default().to_owned(),
            code,
            ..Self::default()
        }
    }

    /// Whether the store did nothing and says so.
    pub(super) fn asks_for_patience(&self) -> bool {
        self.status == 429 || self.status == 503
    }

    pub(super) fn is_servers_fault(&self) -> bool {
        self.status >= 500 && self.status != 501
    }

    /// The error that the asker gets.
    pub(super) fn into_error(self, subject: Subject<'_>) -> Error {
        let bucket = || subject.bucket.to_owned();
        let key = || subject.key.unwrap_or_default().to_owned();
        match (self.code.as_str(), self.status) {
            ("NoSuchBucket", _) => Error::NoSuchBucket { bucket: bucket() },
            ("NoSuchUpload", _) => Error::NoSuchUpload {
                upload: subject.upload.unwrap_or_default().to_owned(),
            },
            ("NoSuchVersion", _) => Error::NoSuchVersion {
                version: subject.version.unwrap_or_default().to_owned(),
            },
            ("NoSuchKey", _) if subject.key.is_none() => Error::NoSuchBucket { bucket: bucket() },
            ("NoSuchKey", _) => Error::NoSuchKey { key: key() },
            ("BucketAlreadyOwnedByYou", _) => Error::BucketExists { bucket: bucket() },
            ("BucketNotEmpty", _) => Error::BucketNotEmpty { bucket: bucket() },
            ("PreconditionFailed", _) => Error::PreconditionFailed { key: key() },
            ("NotModified", _) => Error::NotModified {
                key: key(),
                etag: self.etag.unwrap_or_default(),
            },
            ("InvalidRange", _) if self.size.is_some() => Error::RangeNotSatisfiable {
                size: self.size.unwrap_or_default(),
            },
            // Clients would follow a redirect past the gateway.
            (
                "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "TemporaryRedirect"
                | "IncorrectEndpoint",
                _,
            )
            | (_, 301 | 302 | 307 | 308) => self.elsewhere(subject.bucket),
            _ => Error::Upstream {
                status: self.status,
                code: self.code,
                message: self.message,
            },
        }
    }

    fn elsewhere(self, bucket: &str) -> Error {
        let message = match self.region {
            Some(region) => format!(
                "bucket `{bucket}` is in region `{region}`: set `backup.storage.backend.s3.region` to it"
            ),
            None => format!(
                "bucket `{bucket}` is in another region or behind another endpoint: set `backup.storage.backend.s3.region` and \
                 `backup.storage.backend.s3.endpoint` to its own ({} {})",
                self.status, self.code
            ),
        };
        Error::Upstream {
            status: 400,
            code: "AuthorizationHeaderMalformed".to_owned(),
            message,
        }
    }
}

/// What an answer without a document means: one to HEAD, or one of a proxy on the way.
fn code(status: u16) -> &'static str {
    match status {
        301 | 302 | 308 => "PermanentRedirect",
        304 => "NotModified",
        307 => "TemporaryRedirect",
        401 | 403 => "AccessDenied",
        404 => "NoSuchKey",
        405 => "MethodNotAllowed",
        409 => "OperationAborted",
        411 => "MissingContentLength",
        412 => "PreconditionFailed",
        413 => "EntityTooLarge",
        416 => "InvalidRange",
        429 => "TooManyRequests",
        501 => "NotImplemented",
        502..=504 => "ServiceUnavailable",
        400..=499 => "BadRequest",
        _ => "InternalError",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn refused(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Error {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        let subject = Subject {
            bucket: "bucket",
            key: Some("key"),
            ..Subject::default()
        };
        Refusal::new(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            body.as_bytes(),
        )
        .into_error(subject)
    }

    #[test]
    fn what_clients_act_upon_has_a_meaning_of_its_own() {
        let xml = |code: &str| {
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>")
        };
        assert!(matches!(refused(404, &[], ""), Error::NoSuchKey { key } if key == "key"));
        assert!(
            matches!(refused(404, &[], &xml("NoSuchBucket")), Error::NoSuchBucket { bucket } if bucket == "bucket")
        );
        assert!(matches!(
            refused(412, &[], ""),
            Error::PreconditionFailed { .. }
        ));
        let fresh = refused(304, &[("etag", "\"abc\"")], "");
        assert!(matches!(fresh, Error::NotModified { etag, .. } if etag == "abc"));
        let beyond = refused(
            416,
            &[("content-range", "bytes */10")],
            &xml("InvalidRange"),
        );
        assert!(matches!(beyond, Error::RangeNotSatisfiable { size: 10 }));
    }

    #[test]
    fn all_else_keeps_its_status_and_its_code() {
        let slow = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
        assert!(matches!(
            refused(503, &[], slow),
            Error::Upstream { status: 503, code, message }
                if code == "SlowDown" && message == "Please reduce your request rate."
        ));
        assert!(matches!(
            refused(502, &[], "<html>bad gateway</html>"),
            Error::Upstream { status: 502, code, .. } if code == "ServiceUnavailable"
        ));
    }

    #[test]
    fn a_bucket_of_another_region_is_told_with_the_setting() {
        for (status, body) in [
            (301, ""),
            (
                400,
                "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message></Error>",
            ),
        ] {
            let error = refused(status, &[("x-amz-bucket-region", "eu-west-1")], body);
            assert!(matches!(error, Error::Upstream { status: 400, .. }));
            let text = error.to_string();
            assert!(
                text.contains("`eu-west-1`") && text.contains("backup.storage.backend.s3.region"),
                "{text}"
            );
        }
        assert!(
            refused(307, &[], "")
                .to_string()
                .contains("backup.storage.backend.s3.endpoint")
        );
    }

    proptest! {
        #[test]
        fn any_answer_becomes_an_error(status in 100_u16..1000, bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = Refusal::new(status, &HeaderMap::new(), &bytes);
            prop_assert!(!refusal.into_error(Subject::default()).to_string().is_empty());
        }
    }
}
