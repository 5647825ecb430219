//! Why a call of the service failed, and what that is to whoever asked the gateway: the one place that knows Azure's codes.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::backend::content::BodyError;
use crate::backend::{Error, ObjectPath};
use crate::backends::xml::Element;

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The service said no.
    Refused(Refusal),
    /// It is not known whether the call took effect.
    Unreachable {
        action: &'static str,
        source: BodyError,
    },
    /// Nothing that the service has to do with.
    Ours(Error),
}

/// What the service said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: String,
    message: String,
    /// The call was sent before and its answer was lost, so it may be its own effect that is in the way.
    repeated: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Failure {
    /// Reads the answer to a call that was refused. `body` may be cut off or empty.
    pub(super) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let said = Element::parse(body).ok();
        let said = |name: &str| Some(said.as_ref()?.text(name)?.to_owned());
        let code = headers
            .get("x-ms-error-code")
            .and_then(|code| Some(code.to_str().ok()?.to_owned()))
            .or_else(|| said("Code"))
            .unwrap_or_else(|| {
                status
                    .canonical_reason()
                    .unwrap_or("Unknown")
                    .replace(' ', "")
            });
        // What follows the first line are ids, times, and what the service made of a signature.
        let message = said("Message")
            .and_then(|message| message.lines().next().map(str::to_owned))
            .unwrap_or_default();
        Self::Refused(Refusal {
            status: status.as_u16(),
            code,
            message,
            repeated: false,
        })
    }

    /// A call that did not get an answer. An address may hold a signature, so it is left out.
    pub(super) fn unreachable(action: &'static str, error: reqwest::Error) -> Self {
        Self::Unreachable {
            action,
            source: Box::new(error.without_url()),
        }
    }

    pub(super) fn silent(action: &'static str, patience: Duration) -> Self {
        Self::Unreachable {
            action,
            source: format!("no answer for {} s", patience.as_secs()).into(),
        }
    }

    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Unreachable { .. } | Self::Ours(_) => None,
        }
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == code)
    }

    /// Whether the same call may be answered otherwise in a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(refusal.status, 429 | 500 | 502 | 503 | 504),
            Self::Unreachable { .. } => true,
            Self::Ours(_) => false,
        }
    }

    /// Whether the object was not as the call demanded.
    pub(super) fn is_unmet(&self) -> bool {
        [
            "ConditionNotMet",
            "TargetConditionNotMet",
            "BlobAlreadyExists",
        ]
        .iter()
        .any(|code| self.is(code))
            || self.refusal().is_some_and(|refusal| {
                refusal.status == 412
                    && !refusal.code.starts_with("Lease")
                    && !self.is_source_unmet()
            })
    }

    /// Whether the source of a copy has changed meanwhile, or is gone.
    pub(super) fn is_source_unmet(&self) -> bool {
        self.is("SourceConditionNotMet")
            || self.refusal().is_some_and(|refusal| {
                refusal.code == "CannotVerifyCopySource" && !matches!(refusal.status, 401 | 403)
            })
    }

    /// The failure of a call that read the source of a copy.
    pub(super) fn of_source(mut self) -> Self {
        if self.is_unmet()
            && let Self::Refused(refusal) = &mut self
        {
            "SourceConditionNotMet".clone_into(&mut refusal.code);
        }
        self
    }

    /// Whether somebody holds a lease that the call does not know of.
    pub(super) fn is_leased(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.code.starts_with("Lease"))
    }

    pub(super) fn is_missing(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.status == 404 && !self.is("ContainerNotFound"))
    }

    /// Whether the call itself was wrong.
    pub(super) fn is_not_understood(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.status == 400)
    }

    /// Whether the range asked for begins after the end of the blob.
    pub(super) fn is_beyond_end(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.status == 416)
    }

    /// Whether the service has no such operation, or may not read what it should copy.
    pub(super) fn is_beyond_service(&self) -> bool {
        self.refusal().is_some_and(|refusal| match refusal.status {
            501 => true,
            401 | 403 => ["CannotVerifyCopySource", "NoAuthenticationInformation"]
                .contains(&refusal.code.as_str()),
            _ => false,
        })
    }

    /// Whether the service knows the gateway, but does not let it do this.
    pub(super) fn is_not_allowed(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.status == 403 && refusal.code.ends_with("Mismatch"))
    }

    /// Whether a call was sent again, so that what is in the way may be its own doing.
    pub(super) fn is_repeated(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.repeated)
    }

    pub(super) fn set_repeated(&mut self) {
        if let Self::Refused(refusal) = self {
            refusal.repeated = true;
        }
    }

    /// As an error about an object.
    pub(super) fn about(self, path: &ObjectPath) -> Error {
        if self.is_unmet() || self.is_source_unmet() {
            return Error::PreconditionFailed {
                key: path.key().to_owned(),
            };
        }
        if self.is_missing() {
            return Error::NoSuchKey {
                key: path.key().to_owned(),
            };
        }
        self.about_bucket(path.bucket())
    }

    /// As an error about a bucket, or about none of the two.
    pub(super) fn about_bucket(self, bucket: &str) -> Error {
        let bucket = || bucket.to_owned();
        let refusal = match self {
            Self::Ours(error) => return error,
            Self::Unreachable { action, source } => return Error::Unreachable { action, source },
            Self::Refused(refusal) => refusal,
        };
        let (status, code) = match (refusal.status, &*refusal.code) {
            (404, "ContainerNotFound") | (_, "ContainerBeingDeleted") => {
                return Error::NoSuchBucket { bucket: bucket() };
            }
            (_, "ContainerAlreadyExists") => return Error::BucketExists { bucket: bucket() },
            (401 | 403, _) => {
                // The client did nothing wrong: whoever runs the gateway must know.
                tracing::error!(
                    code = refusal.code,
                    "the store refuses the gateway's credentials"
                );
                (403, "AccessDenied")
            }
            (429 | 503, _) | (_, "ServerBusy" | "OperationTimedOut") => (503, "SlowDown"),
            (_, "BlobArchived" | "BlobBeingRehydrated") => (403, "InvalidObjectState"),
            (_, "BlobImmutableDueToPolicy") => (403, "AccessDenied"),
            (413, _) => (400, "EntityTooLarge"),
            (409, _) => (409, "OperationAborted"),
            (412, code) if code.starts_with("Lease") => (409, "OperationAborted"),
            (status @ 500.., _) => (status, "InternalError"),
            (status, _) => (status, "InvalidRequest"),
        };
        Error::Upstream {
            status,
            code: code.to_owned(),
            message: refusal.told(),
        }
    }
}

impl Refusal {
    fn told(&self) -> String {
        if self.message.is_empty() {
            self.code.clone()
        } else {
            format!("{}: {}", self.code, self.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(status: u16, code: &str) -> Failure {
        let body = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>No &amp; no.\nRequestId:1\nTime:2</Message></Error>"
        );
        Failure::refused(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
        )
    }

    fn told(status: u16, code: &str) -> String {
        let path = ObjectPath::new("bucket", "key").unwrap();
        refused(status, code).about(&path).to_string()
    }

    #[test]
    fn the_codes_of_azure_become_errors_of_a_backend() {
        insta::assert_snapshot!(
            [
                (404, "BlobNotFound"),
                (404, "ContainerNotFound"),
                (409, "ContainerBeingDeleted"),
                (409, "ContainerAlreadyExists"),
                (409, "BlobAlreadyExists"),
                (412, "ConditionNotMet"),
                (412, "SourceConditionNotMet"),
                (412, "LeaseIdMissing"),
                (403, "AuthenticationFailed"),
                (503, "ServerBusy"),
                (500, "OperationTimedOut"),
                (500, "InternalError"),
                (409, "BlobArchived"),
                (400, "InvalidInput"),
            ]
            .map(|(status, code)| told(status, code))
            .join("\n"),
            @r"
        no object `key`
        no bucket `bucket`
        no bucket `bucket`
        bucket `bucket` exists already
        object `key` is not as the request demands
        object `key` is not as the request demands
        object `key` is not as the request demands
        the store behind the gateway says 409 OperationAborted: LeaseIdMissing: No & no.
        the store behind the gateway says 403 AccessDenied: AuthenticationFailed: No & no.
        the store behind the gateway says 503 SlowDown: ServerBusy: No & no.
        the store behind the gateway says 503 SlowDown: OperationTimedOut: No & no.
        the store behind the gateway says 500 InternalError: InternalError: No & no.
        the store behind the gateway says 403 InvalidObjectState: BlobArchived: No & no.
        the store behind the gateway says 400 InvalidRequest: InvalidInput: No & no.
        "
        );
    }

    #[test]
    fn without_a_body_the_header_says_the_code() {
        let headers = HeaderMap::from_iter([(
            "x-ms-error-code".parse().unwrap(),
            "BlobNotFound".parse().unwrap(),
        )]);
        let failure = Failure::refused(StatusCode::NOT_FOUND, &headers, b"");
        assert!(failure.is_missing() && failure.is("BlobNotFound"));
        let bare = Failure::refused(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>");
        assert!(bare.may_pass() && bare.is("BadGateway"));
    }

    #[test]
    fn only_what_may_change_by_itself_is_asked_again() {
        for (status, code, again) in [
            (503, "ServerBusy", true),
            (500, "InternalError", true),
            (429, "TooManyRequests", true),
            (501, "NotImplemented", false),
            (409, "BlobAlreadyExists", false),
            (403, "AuthenticationFailed", false),
        ] {
            assert_eq!(refused(status, code).may_pass(), again, "{code}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_harm(status in 400_u16..600, body in ".{0,60}", tail in proptest::collection::vec(any::<u8>(), 0..9)) {
            let body = [b"<Error><Code>x</Code><Message>".as_slice(), body.as_bytes(), &tail].concat();
            let path = ObjectPath::new("bucket", "key").unwrap();
            Failure::refused(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), &body).about(&path);
        }
    }
}
