//! One call of the service, as a value that can be sent again.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderValue;

use super::identity::Source;
use super::intake::size;
use super::name::Name;

/// How long an answer is waited for.
const REPLY: Duration = Duration::from_mins(2);
/// How long the service may take to copy what one call asks it to copy.
const COPYING: Duration = Duration::from_mins(10);

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Completes "gave no answer while …".
    pub(super) action: &'static str,
    pub(super) method: Method,
    pub(super) container: Option<String>,
    pub(super) name: Option<Name>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(String, Value)>,
    /// In pieces, as it came.
    pub(super) body: Vec<Bytes>,
    /// How long the answer is waited for once all was sent.
    pub(super) patience: Duration,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Plain(String),
    Sensitive(HeaderValue),
}

impl Call {
    pub(super) fn new(method: Method, action: &'static str) -> Self {
        Self {
            action,
            method,
            container: None,
            name: None,
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            patience: REPLY,
        }
    }

    pub(super) fn container(mut self, container: &str) -> Self {
        self.container = Some(container.to_owned());
        self
    }

    pub(super) fn blob(self, container: &str, name: &Name) -> Self {
        let mut call = self.container(container);
        call.name = Some(name.clone());
        call
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), Value::Plain(value.into())));
        self
    }

    pub(super) fn headers<'a>(
        self,
        pairs: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        pairs
            .into_iter()
            .fold(self, |call, (name, value)| call.header(name, value))
    }

    /// Has the service read `source`, which may take it long.
    pub(super) fn source(mut self, source: Source) -> Self {
        self.patience = COPYING;
        self.headers
            .push(("x-ms-copy-source".to_owned(), Value::Sensitive(source.url)));
        if let Some(authorization) = source.authorization {
            let name = "x-ms-copy-source-authorization".to_owned();
            self.headers.push((name, Value::Sensitive(authorization)));
        }
        self
    }

    pub(super) fn body(mut self, pieces: Vec<Bytes>) -> Self {
        self.body = pieces;
        self
    }

    /// In bytes, of the body.
    pub(super) fn length(&self) -> u64 {
        self.body.iter().map(size).sum()
    }
}
