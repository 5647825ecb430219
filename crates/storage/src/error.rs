//! What can go wrong between us and a bucket.

use std::fmt;

use lifeboat_core::error::Kind;

/// A request that did not succeed: what was tried, where, and what the server said.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} in bucket `{bucket}` at {endpoint}")]
pub struct Error {
    pub endpoint: String,
    pub bucket: String,
    /// What was tried, for example "read `a.graph`".
    pub doing: String,
    #[source]
    pub cause: Box<Cause>,
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("no answer: {0}")]
    Unreachable(String),
    #[error("the server refused the key pair: {0}")]
    Denied(Reply),
    #[error("there is no such bucket: {0}")]
    NoBucket(Reply),
    #[error("there is no such object")]
    NoObject,
    #[error("the object exists already")]
    Exists,
    #[error("the server's storage is full: {0}")]
    Full(Reply),
    #[error("the server answered: {0}")]
    Server(Reply),
    #[error("the object has {found} bytes, {expected} were written")]
    WrongSize { expected: u64, found: u64 },
    /// The producer of the bytes gave up; its own error says why.
    #[error("the data ended before its end was announced")]
    CutShort,
    #[error("`{0}` is not a usable endpoint or object name")]
    Name(String),
}

/// Codes by which S3 servers say that a key pair is not good, whatever the request.
const REFUSALS: [&str; 4] = [
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
];

/// Status, code and message of an S3 error answer, as far as they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: Option<String>,
    pub message: String,
}

impl Error {
    pub fn kind(&self) -> Kind {
        match *self.cause {
            Cause::Unreachable(_) | Cause::Full(_) | Cause::Server(_) => Kind::Unavailable,
            Cause::Denied(_) | Cause::Name(_) => Kind::Invalid,
            Cause::NoBucket(_) | Cause::NoObject => Kind::NotFound,
            Cause::Exists => Kind::Conflict,
            Cause::WrongSize { .. } => Kind::Damaged,
            Cause::CutShort => Kind::Bug,
        }
    }
}

impl Cause {
    /// Sorts the client's error by what a person can do about it.
    pub(crate) fn of(error: &object_store::Error) -> Self {
        // `object_store` repeats each cause in its own message: this is the whole text.
        let text = error.to_string();
        let reply = Reply::new(&text);
        let code = reply.code.as_deref().unwrap_or_default();
        if matches!(code, "NoSuchBucket") {
            return Self::NoBucket(reply);
        }
        if matches!(
            code,
            "XMinioStorageFull" | "InsufficientStorage" | "StorageFull"
        ) || text.contains("507 ")
        {
            return Self::Full(reply);
        }
        if REFUSALS.contains(&code) {
            return Self::Denied(reply);
        }
        match error {
            object_store::Error::NotFound { .. } => Self::NoObject,
            object_store::Error::AlreadyExists { .. }
            | object_store::Error::Precondition { .. } => Self::Exists,
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => Self::Denied(reply),
            object_store::Error::InvalidPath { .. } => Self::Name(text),
            _ if reply.code.is_some() || text.contains("status code") => Self::Server(reply),
            _ => Self::Unreachable(innermost(error)),
        }
    }
}

impl Cause {
    /// The same for a request that named no object: what is missing then is the bucket.
    pub(crate) fn for_bucket(self) -> Self {
        match self {
            Self::NoObject => Self::NoBucket(Reply {
                code: None,
                message: "not found".to_owned(),
            }),
            other => other,
        }
    }
}

impl Reply {
    /// Finds code and message in an answer's XML wherever it stands in `text`; without any, the text is the message.
    pub(crate) fn new(text: &str) -> Self {
        let element = |name: &str| {
            let start = text.find(&format!("<{name}>"))? + name.len() + 2;
            let length = text[start..].find(&format!("</{name}>"))?;
            Some(text[start..start + length].to_owned())
        };
        let code = element("Code");
        let message = match (&code, element("Message")) {
            (_, Some(message)) => message,
            (Some(_), None) => String::new(),
            (None, None) => text.to_owned(),
        };
        Self { code, message }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) if self.message.is_empty() => f.write_str(code),
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

fn innermost(error: &object_store::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_xml_is_reduced_to_code_and_message() {
        let text = "Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error>\
                    <Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>";
        let error = object_store::Error::PermissionDenied {
            path: "a".into(),
            source: text.into(),
        };
        assert_eq!(
            Cause::of(&error).to_string(),
            "the server refused the key pair: InvalidAccessKeyId: no such key"
        );
    }

    #[test]
    fn a_missing_bucket_is_told_from_a_missing_object() {
        let missing = |body: &str| {
            Cause::of(&object_store::Error::NotFound {
                path: "a".into(),
                source: body.into(),
            })
        };
        assert!(matches!(
            missing("<Code>NoSuchBucket</Code>"),
            Cause::NoBucket(_)
        ));
        assert!(matches!(missing("<Code>NoSuchKey</Code>"), Cause::NoObject));
        assert!(matches!(missing(""), Cause::NoObject));
    }
}
