//! Requests to a cluster, and when one is made again.
//!
//! What only reads, or may be said twice, is said again after a failure that passes, to the next node. What may not is said once: whoever asks looks
//! whether it was heard.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lifeboat_core::progress::Progress;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;
use tokio::time::Instant;

use crate::access::{Access, Credentials};
use crate::answer::{Refusal, short};
use crate::error::Error;

/// What may stand in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Waits between attempts.
const WAITS: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// For how long, and how often, whoever follows work that goes on without an answer asks for one: a node may be started again meanwhile.
const WATCHED: Duration = Duration::from_mins(5);
const LONGER: Duration = Duration::from_secs(5);

/// How long an answer may take.
const QUESTION: Duration = Duration::from_secs(30);
/// Answers for which the cluster works, or reads many objects.
const WORK: Duration = Duration::from_mins(10);

/// Whether a request may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The second time changes nothing.
    Safe,
    /// Only where the first one was certainly not heard.
    Never,
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    Question,
    Work,
}

/// One request, not sent yet.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    path: String,
    body: Option<Value>,
    /// For people, after `to`: `list the snapshots`.
    doing: String,
    repeat: Repeat,
    patience: Patience,
    /// What goes on is followed by it.
    is_watching: bool,
}

/// An answer that is none of refusal.
#[derive(Debug)]
pub struct Answer {
    pub headers: HeaderMap,
    pub body: Value,
}

/// A cluster.
#[derive(Debug)]
pub struct Client {
    access: Access,
    http: reqwest::Client,
    /// The node that is asked next.
    current: AtomicUsize,
}

impl Request {
    /// Reads, and so may be made again.
    pub fn get(path: impl Into<String>, doing: impl Into<String>) -> Self {
        Self::new(Method::GET, path, doing, Repeat::Safe)
    }

    pub fn put(path: impl Into<String>, doing: impl Into<String>, repeat: Repeat) -> Self {
        Self::new(Method::PUT, path, doing, repeat)
    }

    pub fn post(path: impl Into<String>, doing: impl Into<String>, repeat: Repeat) -> Self {
        Self::new(Method::POST, path, doing, repeat)
    }

    pub fn delete(path: impl Into<String>, doing: impl Into<String>, repeat: Repeat) -> Self {
        Self::new(Method::DELETE, path, doing, repeat)
    }

    fn new(
        method: Method,
        path: impl Into<String>,
        doing: impl Into<String>,
        repeat: Repeat,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            body: None,
            doing: doing.into(),
            repeat,
            patience: Patience::Question,
            is_watching: false,
        }
    }

    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Asks for five minutes before the cluster counts as gone, for what goes on in it meanwhile.
    #[must_use]
    pub fn watching(mut self) -> Self {
        self.is_watching = true;
        self
    }

    /// Lets the cluster take its time.
    #[must_use]
    pub fn patiently(mut self) -> Self {
        self.patience = Patience::Work;
        self
    }
}

impl Client {
    /// Prepares the client. Nothing is sent.
    pub fn new(access: Access) -> Result<Self, Error> {
        let wrong = |url: &str, source: reqwest::Error| Error::Unreachable {
            url: url.to_owned(),
            doing: "be reached".to_owned(),
            source: source.without_url(),
        };
        let first = access.urls.first().cloned().unwrap_or_default();
        let mut headers = HeaderMap::new();
        let authorization = match &access.credentials {
            Credentials::ApiKey(key) => Some(format!("ApiKey {key}")),
            Credentials::Bearer(token) => Some(format!("Bearer {token}")),
            Credentials::None | Credentials::Basic { .. } => None,
        };
        if let Some(text) = authorization {
            let mut value = HeaderValue::from_str(&text).map_err(|_| Error::Credentials)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            // Elsewhere a `PUT` would arrive as a `GET`, and with credentials that were not meant for it.
            .redirect(redirect::Policy::none())
            .default_headers(headers);
        if !access.certificates.is_empty() {
            let certificates = reqwest::Certificate::from_pem_bundle(&access.certificates)
                .map_err(|source| wrong(&first, source))?;
            if certificates.is_empty() {
                return Err(Error::NoCertificate);
            }
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder.build().map_err(|source| wrong(&first, source))?;
        Ok(Self {
            access,
            http,
            current: AtomicUsize::new(0),
        })
    }

    /// Where the next request goes.
    pub fn url(&self) -> &str {
        let urls = &self.access.urls;
        let at = self.current.load(Ordering::Relaxed) % urls.len().max(1);
        urls.get(at).map_or("", String::as_str)
    }

    /// Sends a request, and again where that is safe.
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let mut waits = WAITS.iter();
        let begun = Instant::now();
        // Nodes that may still be waited for in vain: each of them once.
        let mut silent = self.access.urls.len();
        let mut told = false;
        loop {
            let failed = match self.once(&request).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if passes(&failed) {
                // Also where this is not asked again: the next question goes to another node.
                self.current.fetch_add(1, Ordering::Relaxed);
            }
            if is_timeout(&failed) {
                silent = silent.saturating_sub(1);
            }
            if (silent == 0 && !request.is_watching) || !may_try_again(&request, &failed) {
                return Err(failed);
            }
            let wait = match waits.next() {
                Some(wait) => *wait,
                None if request.is_watching && begun.elapsed() < WATCHED => {
                    if !told {
                        tracing::warn!(error = %failed, "the cluster does not tell how far it is; it is asked for five minutes, and goes on without being asked");
                        told = true;
                    }
                    LONGER
                }
                None => return Err(failed),
            };
            tracing::debug!(error = %failed, "asking again");
            tokio::time::sleep(wait).await;
        }
    }

    /// The body of a good answer.
    pub async fn ask(&self, request: Request) -> Result<Value, Error> {
        Ok(self.send(request).await?.body)
    }

    async fn once(&self, request: &Request) -> Result<Answer, Error> {
        let url = self.url().to_owned();
        let unreachable = |source: reqwest::Error| Error::Unreachable {
            url: url.clone(),
            doing: request.doing.clone(),
            source: source.without_url(),
        };
        let patience = match request.patience {
            Patience::Question => QUESTION,
            Patience::Work => WORK,
        };
        let mut sent = self
            .http
            .request(request.method.clone(), format!("{url}/{}", request.path))
            .timeout(patience);
        if let Credentials::Basic { user, password } = &self.access.credentials {
            sent = sent.basic_auth(user, Some(password));
        }
        if let Some(body) = &request.body {
            sent = sent.json(body);
        }
        let answer = sent.send().await.map_err(unreachable)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(unreachable)?;
        if !status.is_success() {
            let doing = request.doing.clone();
            if status.is_redirection() {
                let to = headers.get(LOCATION).and_then(|to| to.to_str().ok());
                let to = to.and_then(|to| to.split('?').next());
                let to = short(to.unwrap_or_default()).to_owned();
                return Err(Error::Redirected { url, doing, to });
            }
            let refusal = Refusal::read(status.as_u16(), &text);
            let is_denied = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            // Whoever asks, an index or a cluster may be closed to writes.
            if is_denied && !refusal.is("cluster_block_exception") {
                let reply = refusal.to_string();
                return Err(Error::Unauthorized { url, doing, reply });
            }
            let refusal = Box::new(refusal);
            return Err(Error::Refused { doing, refusal });
        }
        if text.is_empty() {
            return Ok(Answer {
                headers,
                body: Value::Null,
            });
        }
        match serde_json::from_str(&text) {
            Ok(body) => Ok(Answer { headers, body }),
            Err(_) => Err(Error::Strange {
                doing: request.doing.clone(),
                reply: short(&text).to_owned(),
            }),
        }
    }
}

/// Gives a question up once somebody asked to stop. Only for what may be cut off at any moment: a cluster that says nothing may be waited for for minutes.
pub(crate) async fn unless_stopped<T>(
    progress: &Progress,
    question: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    const LOOK: Duration = Duration::from_millis(200);
    let mut question = std::pin::pin!(question);
    loop {
        if progress.is_stopped() {
            return Err(Error::Stopped);
        }
        if let Ok(answer) = tokio::time::timeout(LOOK, &mut question).await {
            return answer;
        }
    }
}

fn may_try_again(request: &Request, failed: &Error) -> bool {
    if let Error::Unreachable { source, .. } = failed
        && source.is_connect()
    {
        // Nobody was there to hear it.
        return true;
    }
    // Who was given its time is not given it again.
    let has_waited = is_timeout(failed) && request.patience == Patience::Work;
    request.repeat == Repeat::Safe && passes(failed) && !has_waited
}

/// Whether another node, or the same one in a moment, may answer.
fn passes(failed: &Error) -> bool {
    match failed {
        Error::Unreachable { source, .. } => !source.is_builder(),
        Error::Refused { refusal, .. } => refusal.is_passing(),
        _ => false,
    }
}

/// Whether a node took the request and did not answer in time.
fn is_timeout(failed: &Error) -> bool {
    match failed {
        Error::Unreachable { source, .. } => source.is_timeout() && !source.is_connect(),
        _ => false,
    }
}

/// A name as a segment of a path.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// Names as a comma list in a path.
pub fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| segment(name)).collect();
    names.join(",")
}
