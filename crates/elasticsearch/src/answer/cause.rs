//! Causes of refusals in plain words.
//!
//! What an engine tells is what its client of S3 says of the gateway, in the words of Amazon, of the gateway, or of Java. The first versions of that client name a code of S3,
//! later ones only a status and the gateway's message, if it had one.

use serde_json::Value;

use super::{short, text};

/// The innermost cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub kind: String,
    pub reason: String,
}

impl Cause {
    /// The last of a chain of causes that has a reason of its own.
    pub(super) fn innermost(error: &Value) -> Option<Self> {
        let outer = text(&error["reason"]);
        let mut found = None;
        let mut at = &error["caused_by"];
        while at.is_object() {
            let reason = text(&at["reason"]);
            if !reason.is_empty() && reason != "null" && reason != outer {
                found = Some(Self {
                    kind: text(&at["type"]),
                    reason,
                });
            }
            at = &at["caused_by"];
        }
        found
    }

    pub(super) fn plain(&self) -> String {
        let reason = short(&self.reason);
        match plain(&self.kind, &self.reason) {
            Some(plain) => format!("{plain} ({reason})"),
            None => reason.to_owned(),
        }
    }
}

/// Words that occur in the type or in the reason of a cause, and what they mean. The first that occurs counts, and so statuses come last.
const KNOWN: [(&[&str], &str); 18] = [
    (
        &[
            "NoSuchBucket",
            "no_such_bucket",
            "specified bucket does not exist",
        ],
        "the bucket does not exist",
    ),
    (
        &[
            "InvalidAccessKeyId",
            "invalid_access_key",
            "does not exist in our records",
        ],
        "the gateway does not know the access key",
    ),
    (
        &[
            "SignatureDoesNotMatch",
            "signature_does_not_match",
            "request signature we calculated",
        ],
        "the secret key is not the one of the gateway",
    ),
    (
        &[
            "RequestTimeTooSkewed",
            "request time is too far",
            "later than server time",
            "difference between the request time",
        ],
        "the clocks of the node and of the gateway differ by too much",
    ),
    (
        &["is wrong; expecting"],
        "the region of the repository is not the one of the bucket",
    ),
    (
        &["allow_insecure_settings"],
        "the nodes do not allow keys in the settings of a repository",
    ),
    (
        &[
            "Unable to load credentials",
            "Unable to load AWS credentials",
        ],
        "the node has no keys in its keystore",
    ),
    (
        &["Connection refused", "http_host_connect"],
        "nobody listens at the endpoint of the repository",
    ),
    (
        &["UnknownHost", "unknown_host"],
        "the host of the endpoint has no address",
    ),
    (
        &["timed out", "connect_timeout", "No route to host"],
        "the endpoint of the repository does not answer",
    ),
    (
        &["valid certification path", "PKIX path"],
        "the node does not trust the certificate of the gateway",
    ),
    (
        &["subject alternative", "peer_unverified"],
        "the certificate of the gateway is for another host than the endpoint says",
    ),
    (
        &["unrecognized SSL message"],
        "the endpoint says `https`, and the gateway speaks `http`",
    ),
    (
        &[
            "readonly repository",
            "repository is readonly",
            "read-only repository",
        ],
        "the repository is registered as read only",
    ),
    (
        &[
            "InsufficientStorage",
            "no space left",
            "No space left",
            "Status Code: 507",
        ],
        "there is no space left behind the gateway",
    ),
    (
        &["SlowDown", "Status Code: 503", "Status Code: 429"],
        "the gateway has too much to do, or its store does not answer it",
    ),
    (
        &["AccessDenied", "access_denied", "Access Denied"],
        "the gateway denies it",
    ),
    (
        &["Status Code: 401", "Status Code: 403"],
        "the gateway does not accept the keys, or denies what they ask for",
    ),
];

/// What is known of a cause.
pub(super) fn plain(kind: &str, reason: &str) -> Option<&'static str> {
    let occurs = |word: &&str| reason.contains(*word) || kind.contains(*word);
    let mut known = KNOWN.iter();
    let found = known.find(|(words, _)| words.iter().any(occurs));
    found.map(|(_, plain)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each in the words of whom it comes from.
    #[test]
    fn what_an_operator_meets_is_told_in_plain_words() {
        let told: Vec<_> = [
            ("amazon_s3_exception", "The AWS Access Key Id you provided does not exist in our records. (Service: Amazon S3; Status Code: 403; Error Code: InvalidAccessKeyId)"),
            ("s3_exception", "The request signature we calculated does not match the signature you provided. (Service: S3, Status Code: 403)"),
            ("s3_exception", "(Service: S3, Status Code: 403, Request ID: 1)"),
            ("s3_exception", "Access Denied. (Service: S3, Status Code: 403, Request ID: 1)"),
            ("s3_exception", "request time is too far from server time (Service: S3, Status Code: 403)"),
            ("amazon_s3_exception", "The difference between the request time and the current time is too large. (Service: Amazon S3; Error Code: RequestTimeTooSkewed)"),
            ("s3_exception", "no space left while writing (Service: S3, Status Code: 507)"),
            ("s3_exception", "Please reduce your request rate. (Service: S3, Status Code: 503)"),
            ("s3_exception", "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1' (Service: S3, Status Code: 400)"),
            ("illegal_argument_exception", "Setting [access_key] is insecure, but property [allow_insecure_settings] is not set"),
            ("sdk_client_exception", "Unable to load credentials from any of the providers in the chain"),
            ("connect_exception", "Connection refused"),
            ("unknown_host_exception", "gateway: Name or service not known"),
            ("socket_timeout_exception", "Connect timed out"),
            ("sun_cert_path_builder_exception", "unable to find valid certification path to requested target"),
            ("s_s_l_peer_unverified_exception", "Certificate for <gateway> doesn't match any of the names"),
            ("s_s_l_exception", "Unsupported or unrecognized SSL message"),
            ("repository_exception", "[r] cannot create snapshot in a readonly repository"),
        ]
        .iter()
        .map(|(kind, reason)| plain(kind, reason).unwrap_or(reason))
        .collect();
        insta::assert_snapshot!(told.join("\n"), @"
        the gateway does not know the access key
        the secret key is not the one of the gateway
        the gateway does not accept the keys, or denies what they ask for
        the gateway denies it
        the clocks of the node and of the gateway differ by too much
        the clocks of the node and of the gateway differ by too much
        there is no space left behind the gateway
        the gateway has too much to do, or its store does not answer it
        the region of the repository is not the one of the bucket
        the nodes do not allow keys in the settings of a repository
        the node has no keys in its keystore
        nobody listens at the endpoint of the repository
        the host of the endpoint has no address
        the endpoint of the repository does not answer
        the node does not trust the certificate of the gateway
        the certificate of the gateway is for another host than the endpoint says
        the endpoint says `https`, and the gateway speaks `http`
        the repository is registered as read only
        ");
        assert_eq!(plain("i_o_exception", "something else"), None);
    }
}
