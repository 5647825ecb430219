//! What a server says when it refuses, put into plain words.
//!
//! The usual error is an object with a type, a reason and nested causes; for a route that it does not know it is only a text. Decisions go by type and
//! status; the reason is for people.

mod cause;

use std::fmt;

use serde_json::Value;

pub use self::cause::Cause;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// `index_not_found_exception`, or empty where the server names none.
    pub kind: String,
    pub reason: String,
    /// What lies at the bottom of its causes, where that is something else than the reason.
    pub cause: Option<Cause>,
}

impl Refusal {
    /// Reads the body of an answer. Any text will do.
    pub fn read(status: u16, body: &str) -> Self {
        let parsed: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        let error = &parsed["error"];
        let fallback = |text: &str| Self {
            status,
            kind: String::new(),
            reason: short(text).to_owned(),
            cause: None,
        };
        match error {
            Value::Object(_) => Self::of(status, error),
            Value::String(reason) => fallback(reason),
            _ => fallback(body),
        }
    }

    /// Reads what stands in an answer as `error`.
    pub(crate) fn of(status: u16, error: &Value) -> Self {
        Self {
            status,
            kind: text(&error["type"]),
            reason: text(&error["reason"]),
            cause: Cause::innermost(error),
        }
    }

    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// Whether the innermost cause or the refusal itself speaks of this.
    pub fn mentions(&self, word: &str) -> bool {
        let cause = self.cause.as_ref();
        self.reason.contains(word)
            || cause.is_some_and(|cause| cause.reason.contains(word) || cause.kind.contains(word))
    }

    /// Whether the same request may succeed in a moment, with nothing corrected.
    pub fn is_passing(&self) -> bool {
        // Another snapshot or restore is in the way: 503 of Elasticsearch, 409 of OpenSearch.
        let is_busy = self.is("concurrent_snapshot_execution_exception");
        is_busy || matches!(self.status, 429 | 502 | 503 | 504)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = if self.reason.is_empty() {
            &self.kind
        } else {
            &self.reason
        };
        if let Some(cause) = &self.cause {
            return write!(f, "{reason}: {}", cause.plain());
        }
        if reason.is_empty() {
            return write!(f, "status {}, and no word of why", self.status);
        }
        // What nodes say to each other comes as one text.
        let is_about_storage = self.kind.starts_with("repository_");
        match cause::plain("", reason).filter(|_| is_about_storage) {
            Some(plain) => write!(f, "{plain} ({reason})"),
            None => write!(f, "{reason}"),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The beginning of a text: enough to know what it is about.
pub(crate) fn short(text: &str) -> &str {
    let text = text.trim();
    &text[..text.floor_char_boundary(400)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::odd;

    #[test]
    fn a_refusal_without_words_is_told_by_its_status() {
        for body in ["", "{\"error\":{}}", " \n"] {
            let told = Refusal::read(503, body).to_string();
            assert_eq!(told, "status 503, and no word of why", "{body:?}");
        }
    }

    #[test]
    fn the_cause_of_a_repository_that_cannot_be_verified_is_dug_out() {
        let body = r#"{"error":{"root_cause":[],"type":"repository_verification_exception","reason":"[r] path  is not accessible on cluster-manager node",
            "caused_by":{"type":"i_o_exception","reason":"Unable to upload object [x] using a single upload",
            "caused_by":{"type":"no_such_bucket_exception","reason":"The specified bucket does not exist (Service: S3, Status Code: 404)"}}},"status":500}"#;
        let refusal = Refusal::read(500, body);
        assert!(refusal.is("repository_verification_exception"));
        insta::assert_snapshot!(refusal, @"[r] path  is not accessible on cluster-manager node: the bucket does not exist (The specified bucket does not exist (Service: S3, Status Code: 404))");
    }

    #[test]
    fn what_other_nodes_said_is_told_in_plain_words_too() {
        let reason = "[r] [[n, 'RemoteTransportException[[vm][127.0.0.1:9300]]; nested: S3Exception[(Service: S3, Status Code: 507)]; ']]";
        let refusal =
            |kind: &str| Refusal::of(500, &serde_json::json!({"type": kind, "reason": reason}));
        let told = refusal("repository_verification_exception").to_string();
        assert_eq!(
            told,
            format!("there is no space left behind the gateway ({reason})")
        );
        // Not of what has nothing to do with storage.
        assert_eq!(refusal("illegal_argument_exception").to_string(), reason);
    }

    #[test]
    fn errors_that_are_only_a_text_are_read_too() {
        let body = r#"{"error":"no handler found for uri [/x] and method [GET]"}"#;
        let refusal = Refusal::read(400, body);
        assert_eq!(refusal.kind, "");
        assert_eq!(
            refusal.to_string(),
            "no handler found for uri [/x] and method [GET]"
        );
        assert_eq!(Refusal::read(502, "<html>").to_string(), "<html>");
    }

    proptest! {
        #[test]
        fn no_body_panics(status in any::<u16>(), body in "\\PC*") {
            Refusal::read(status, &body).to_string();
        }

        #[test]
        fn no_refusal_panics(error in odd::answer(&serde_json::json!({"type": "repository_exception", "reason": "r", "caused_by": {"type": "a", "reason": "b", "caused_by": {"type": "c", "reason": "d"}}}))) {
            Refusal::of(500, &error).to_string();
        }
    }
}
