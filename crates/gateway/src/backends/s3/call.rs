//! One request to the store, before it is signed and sent.

use std::time::Duration;

use bytes::Bytes;
use md5::Digest as _;
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::body::Streamed;
use super::refusal::Subject;
use crate::backend::{Error, ObjectPath};

/// What is asked, of which bucket or object.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) bucket: Option<String>,
    pub(super) key: Option<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Completes "no answer while …".
    pub(super) action: &'static str,
    pub(super) repeat: Repeat,
    pub(super) effort: Effort,
}

/// What is sent along.
#[derive(Debug)]
pub(super) enum Body {
    Whole(Bytes),
    Streamed(Streamed),
}

/// When the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Whatever happened: doing it twice is doing it once.
    Safely,
    /// Only if the store did nothing: it was never reached, or it asked for patience.
    IfRefused,
    /// What is sent cannot be had again.
    Never,
}

/// How long the store may need before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    Little,
    /// It may have to move the bytes of an object.
    Work,
}

impl Call {
    fn new(action: &'static str, method: Method) -> Self {
        let repeat = if matches!(method, Method::GET | Method::HEAD) {
            Repeat::Safely
        } else {
            Repeat::IfRefused
        };
        Self {
            method,
            bucket: None,
            key: None,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Body::Whole(Bytes::new()),
            action,
            repeat,
            effort: Effort::Little,
        }
    }

    /// About the server itself.
    pub(super) fn server(action: &'static str, method: Method) -> Self {
        Self::new(action, method)
    }

    pub(super) fn bucket(action: &'static str, method: Method, bucket: &str) -> Self {
        Self {
            bucket: Some(bucket.to_owned()),
            ..Self::new(action, method)
        }
    }

    pub(super) fn object(action: &'static str, method: Method, path: &ObjectPath) -> Self {
        Self {
            key: Some(path.key().to_owned()),
            ..Self::bucket(action, method, path.bucket())
        }
    }

    pub(super) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// The same, if there is a value.
    pub(super) fn query_if(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        self.set(name, value)?;
        Ok(self)
    }

    pub(super) fn repeat(self, repeat: Repeat) -> Self {
        Self { repeat, ..self }
    }

    pub(super) fn effort(self, effort: Effort) -> Self {
        Self { effort, ..self }
    }

    pub(super) fn body(self, body: Body) -> Self {
        let repeat = match body {
            Body::Whole(_) => self.repeat,
            Body::Streamed(_) => Repeat::Never,
        };
        Self {
            body,
            repeat,
            ..self
        }
    }

    /// An XML document, with its MD5 for those operations that insist on one.
    pub(super) fn document(self, document: String) -> Result<Self, Error> {
        let digest = md5::Md5::digest(document.as_bytes());
        self.body(Body::Whole(document.into()))
            .header("content-type", "application/xml")?
            .header("content-md5", &base64(&digest))
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        let queried = |wanted: &str| {
            let pair = self.query.iter().find(|(name, _)| name == wanted);
            pair.map(|(_, value)| value.as_str())
        };
        Subject {
            bucket: self.bucket.as_deref().unwrap_or_default(),
            key: self.key.as_deref(),
            upload: queried("uploadId"),
            version: queried("versionId"),
        }
    }

    pub(super) fn time_to_answer(&self, patience: &super::options::Patience) -> Duration {
        match self.effort {
            Effort::Little => patience.answer,
            Effort::Work => patience.work,
        }
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
