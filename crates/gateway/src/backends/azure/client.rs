//! Calls of the service: addressed, proved, repeated where that does no harm, and never waited for without end.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Request, Response, Url};
use tokio::time::{sleep, timeout};

use super::body::{Feeder, Held, fed};
use super::call::{Call, Value};
use super::failure::Failure;
use super::identity::{Prover, Source};
use super::name::Name;
use crate::backend::Error;
use crate::backends::Sources;
use crate::backends::xml::Element;

/// How long a connection may give or take nothing.
pub(super) const STALL: Duration = Duration::from_mins(1);
const CONNECT: Duration = Duration::from_secs(10);
/// The most bytes of an answer that is no content. Five thousand blobs with all the metadata they can have are fewer.
const MAX_ANSWER: usize = 96 * 1024 * 1024;
/// The most bytes of an answer that says why a call was refused.
const MAX_REFUSAL: usize = 64 * 1024;

/// How a call is repeated that failed in a way that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How often it is sent at most.
    pub attempts: u32,
    /// The longest wait before the second time. Each further one is twice as long; chance shortens all.
    pub first: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(200),
        }
    }
}

/// Calls one account.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    prover: Prover,
    sources: Sources,
    retry: Retry,
}

impl Client {
    /// `base` is where the account's containers lie.
    pub(super) fn new(
        base: Url,
        prover: Prover,
        sources: Sources,
        retry: Retry,
        certificates: Vec<Certificate>,
    ) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .tls_certs_merge(certificates)
            .http1_only()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            base,
            prover,
            sources,
            retry,
        })
    }

    /// Returns the address of a blob, a container or the account.
    fn url(&self, container: Option<&str>, name: Option<&Name>) -> Url {
        let mut url = self.base.clone();
        let mut path = self.base.path().trim_end_matches('/').to_owned();
        for part in [container.map(str::to_owned), name.map(Name::url_path)]
            .into_iter()
            .flatten()
        {
            path.push('/');
            path.push_str(&part);
        }
        url.set_path(&path);
        url
    }

    /// Lets the service read a blob of this account.
    pub(super) async fn source(&self, container: &str, name: &Name) -> Result<Source, Error> {
        let url = self.url(Some(container), Some(name));
        let now = self.sources.now();
        self.prover.source(url, container, name, now).await
    }

    async fn request(&self, call: &Call, length: u64) -> Result<Request, Failure> {
        let mut url = self.url(call.container.as_deref(), call.name.as_ref());
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
            // A form writes a blank as `+`, which the service takes for itself in some places.
            let query = url.query().unwrap_or_default().replace('+', "%20");
            url.set_query(Some(&query));
        }
        let mut request = Request::new(call.method.clone(), url);
        for (name, value) in &call.headers {
            let unusable = |_| Error::NotSupported {
                what: "a header with such a value",
            };
            let value = match value {
                Value::Plain(text) => HeaderValue::from_str(text).map_err(unusable)?,
                Value::Sensitive(value) => value.clone(),
            };
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::NotSupported {
                    what: "a header with such a name",
                })?;
            request.headers_mut().insert(name, value);
        }
        if length > 0 || call.method == Method::PUT {
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        self.prover.prove(&mut request, self.sources.now()).await?;
        Ok(request)
    }

    /// Sends a call, again if it fails in a way that may pass. The answer's content has yet to be read.
    pub(super) async fn send(&self, call: &Call) -> Result<Response, Failure> {
        let mut attempts = Attempts::new(self.retry);
        loop {
            match self.once(call).await {
                Ok(response) => return Ok(response),
                Err(failure) => attempts.wait_after(failure, &self.sources).await?,
            }
        }
    }

    /// Sends a call, and reads the document that answers it.
    pub(super) async fn document(&self, call: &Call) -> Result<Element, Failure> {
        let mut attempts = Attempts::new(self.retry);
        loop {
            match self.document_once(call).await {
                Ok(document) => return Ok(document),
                Err(failure) => attempts.wait_after(failure, &self.sources).await?,
            }
        }
    }

    async fn document_once(&self, call: &Call) -> Result<Element, Failure> {
        let failed = |source| Failure::Unreachable {
            action: call.action,
            source,
        };
        let mut response = self.once(call).await?;
        let mut content = Vec::new();
        while let Some(piece) = next_piece(call.action, &mut response).await? {
            content.extend_from_slice(&piece);
            if content.len() > MAX_ANSWER {
                return Err(failed("its answer is too long".into()));
            }
        }
        Element::parse(&content).map_err(|error| failed(error.into()))
    }

    async fn once(&self, call: &Call) -> Result<Response, Failure> {
        let mut request = self.request(call, call.length()).await?;
        if !call.body.is_empty() {
            *request.body_mut() = Some(reqwest::Body::wrap(Held::new(&call.body)));
        }
        let answered = timeout(call.patience, self.http.execute(request)).await;
        answer(call, answered).await
    }

    /// Sends a call whose body of `length` bytes is fed bit by bit. It is sent once: what was fed is gone.
    ///
    /// `feed` gives the bytes to a [`Feeder`]. If it fails or gives fewer, the call takes no effect.
    pub(super) async fn stream<T, F>(
        &self,
        call: &Call,
        length: u64,
        feed: impl FnOnce(Feeder) -> F,
    ) -> Result<(Response, T), Failure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let action = call.action;
        let (feeder, body) = fed(length, action);
        let mut request = self.request(call, length).await?;
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let mut asked = pin!(self.http.execute(request));
        let mut feeding = pin!(feed(feeder));
        match select(asked.as_mut(), feeding.as_mut()).await {
            Either::Right((result, _)) => {
                let value = result?;
                let answered = timeout(call.patience, asked).await;
                Ok((answer(call, answered).await?, value))
            }
            Either::Left((answered, _)) => {
                let response = answer(call, Ok(answered)).await?;
                // All has been taken, or there would be no such answer.
                let value = timeout(STALL, feeding)
                    .await
                    .map_err(|_| Failure::silent(action, STALL))??;
                Ok((response, value))
            }
        }
    }
}

/// Counts how often a call is sent.
struct Attempts {
    retry: Retry,
    sent: u32,
    wait: Duration,
}

impl Attempts {
    fn new(retry: Retry) -> Self {
        Self {
            retry,
            sent: 0,
            wait: retry.first,
        }
    }

    /// Waits until the call may be sent again after it failed. Returns the failure if it may not.
    async fn wait_after(&mut self, mut failure: Failure, sources: &Sources) -> Result<(), Failure> {
        self.sent += 1;
        if self.sent > 1 {
            failure.set_repeated();
        }
        if self.sent >= self.retry.attempts || !failure.may_pass() {
            return Err(failure);
        }
        tracing::debug!(?failure, self.sent, "a call of the store is sent again");
        // Half of the time, and of the other half as much as chance says.
        let half = self.wait / 2;
        let chance = u32::try_from((sources.random)() % 1000).expect("a small number");
        sleep(half + half * chance / 1000).await;
        self.wait *= 2;
        Ok(())
    }
}

/// Reads more of an answer's content. Nothing at its end.
pub(super) async fn next_piece(
    action: &'static str,
    response: &mut Response,
) -> Result<Option<Bytes>, Failure> {
    timeout(STALL, response.chunk())
        .await
        .map_err(|_| Failure::silent(action, STALL))?
        .map_err(|error| Failure::unreachable(action, error))
}

type Answered = Result<Result<Response, reqwest::Error>, tokio::time::error::Elapsed>;

/// Returns the answer if the call was not refused.
async fn answer(call: &Call, answered: Answered) -> Result<Response, Failure> {
    let mut response = answered
        .map_err(|_| Failure::silent(call.action, call.patience))?
        .map_err(|error| Failure::unreachable(call.action, error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let mut body = Vec::new();
    while let Ok(Some(piece)) = next_piece(call.action, &mut response).await {
        body.extend_from_slice(&piece);
        if body.len() > MAX_REFUSAL {
            break;
        }
    }
    Err(Failure::refused(
        response.status(),
        response.headers(),
        &body,
    ))
}
