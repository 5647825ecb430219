//! Sends requests: signed anew each time, within limits of time, again where that does no harm.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::redirect;
use reqwest::{Certificate, Method, Response, StatusCode};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::call::{Body, Call, Repeat};
use super::credentials::Credentials;
use super::headers;
use super::options::{OpenError, Options, Patience};
use super::refusal::Refusal;
use super::sign::{Payload, sign};
use super::target::Target;
use super::watch::Watched;
use crate::backend::Error;
use crate::backend::content::{BodyError, ByteStream, Checked};
use crate::backends::Sources;
use crate::backends::xml::{Element, Malformed};

/// The largest document that is read: a list of 1,000 keys of 1,024 bytes, each of them encoded.
const MAX_DOCUMENT: usize = 8 * 1024 * 1024;
/// How long a connection that nobody uses is kept: shorter than stores keep it, or a request could meet its end.
const IDLE: Duration = Duration::from_secs(4);

/// A client of one store.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    target: Target,
    region: String,
    credentials: Credentials,
    patience: Patience,
    sources: Sources,
}

/// An answer that has been read, and is one of success unless any was wanted.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer whose content is still to come.
pub(super) struct OpenAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ByteStream,
}

/// Why one attempt was none.
enum Failure {
    Refused(Refusal),
    /// The store has not seen the request.
    NotReached(BodyError),
    /// Nobody knows what it did.
    NoAnswer(BodyError),
    /// Nothing of the store's: sending it again would not help.
    Ours(Error),
}

/// Which answers are taken for one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Success,
    /// Also a refusal, to be passed on as it is.
    Any,
}

impl Client {
    pub(super) fn new(options: Options, sources: Sources) -> Result<Self, OpenError> {
        let target = Target::new(&options)?;
        let Options {
            region,
            keys,
            certificates,
            patience,
            ..
        } = options;
        check_value("region", &region)?;
        let credentials = match keys {
            Some(keys) => {
                check_value("accessKey", &keys.access_key)?;
                Credentials::given(keys)
            }
            None => Credentials::identity(&region)?,
        };
        let mut builder = reqwest::Client::builder()
            .http1_only()
            // It would sign nothing and follow to wherever it is sent.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(patience.connect)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("lifeboat/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &certificates {
            builder = builder.tls_certs_merge(read_certificates(path)?);
        }
        let http = builder.build().map_err(|source| OpenError::Client {
            source: source.into(),
        })?;
        Ok(Self {
            http,
            target,
            region,
            credentials,
            patience,
            sources,
        })
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Sends a request and reads the answer.
    pub(super) async fn ask(&self, call: Call) -> Result<Answer, Error> {
        self.answer(call, Wanted::Success).await
    }

    /// The same, whatever the answer.
    pub(super) async fn ask_for_any(&self, call: Call) -> Result<Answer, Error> {
        self.answer(call, Wanted::Any).await
    }

    /// Sends a request and reads the document in the answer.
    pub(super) async fn document(&self, call: Call) -> Result<(HeaderMap, Element), Error> {
        let action = call.action;
        let (bucket, key) = (call.bucket.clone(), call.key.clone());
        let query = call.query.clone();
        let answer = self.ask(call).await?;
        let document = Element::parse(&answer.body).map_err(|error| unreadable(action, error))?;
        if document.name() == "Error" {
            let mut about = Call::server(action, Method::GET);
            (about.bucket, about.key, about.query) = (bucket, key, query);
            return Err(Refusal::late(&document).into_error(about.subject()));
        }
        Ok((answer.headers, document))
    }

    /// Sends a request and leaves the content of the answer to be read.
    pub(super) async fn open(&self, mut call: Call) -> Result<OpenAnswer, Error> {
        let mut attempt = 1;
        loop {
            match self.send(&mut call, Wanted::Success).await {
                Ok(response) => {
                    let status = response.status();
                    let headers = response.headers().clone();
                    let body = response.bytes_stream().map_err(lost);
                    let body = Box::pin(Watched::new(body, self.patience.silence));
                    return Ok(OpenAnswer {
                        status,
                        headers,
                        body,
                    });
                }
                Err(failure) => self.again(&mut call, failure, &mut attempt).await?,
            }
        }
    }

    async fn answer(&self, mut call: Call, wanted: Wanted) -> Result<Answer, Error> {
        let mut attempt = 1;
        loop {
            let answered = match self.send(&mut call, wanted).await {
                Ok(response) => self.read(response).await,
                Err(failure) => Err(failure),
            };
            match answered {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.again(&mut call, failure, &mut attempt).await?,
            }
        }
    }

    /// Waits until the request may be sent again; an error if it may not.
    async fn again(
        &self,
        call: &mut Call,
        failure: Failure,
        attempt: &mut u32,
    ) -> Result<(), Error> {
        let harmless = match (&failure, call.repeat) {
            (Failure::Ours(_), _) | (_, Repeat::Never) => false,
            (Failure::NotReached(_), _) => true,
            (Failure::NoAnswer(_), repeat) => repeat == Repeat::Safely,
            (Failure::Refused(refusal), repeat) => {
                refusal.asks_for_patience()
                    || (repeat == Repeat::Safely && refusal.is_servers_fault())
            }
        };
        if !harmless || *attempt >= self.patience.attempts {
            return Err(match failure {
                Failure::Refused(refusal) => refusal.into_error(call.subject()),
                Failure::NotReached(source) | Failure::NoAnswer(source) => Error::Unreachable {
                    action: call.action,
                    source,
                },
                Failure::Ours(error) => error,
            });
        }
        let longest = self.patience.pause * 2_u32.saturating_pow(*attempt - 1);
        // Between half of it and all, so that many do not come again at once.
        let chance = u32::try_from((self.sources.random)() % 1024).unwrap_or(0);
        let pause = longest / 2 + longest / 2 * chance / 1024;
        tracing::debug!(action = call.action, attempt, "the store is asked again");
        sleep(pause).await;
        *attempt += 1;
        Ok(())
    }

    /// Sends a request once and waits until an answer begins.
    async fn send(&self, call: &mut Call, wanted: Wanted) -> Result<Response, Failure> {
        let (request, watch) = self.prepare(call).await.map_err(Failure::Ours)?;
        let sending = self.http.execute(request);
        let response = match &watch {
            None => {
                let limit = call.time_to_answer(&self.patience);
                match timeout(limit, sending).await {
                    Ok(response) => response.map_err(unsent),
                    Err(_) => Err(silent(limit)),
                }
            }
            Some((checked, progress)) => {
                let mut sending = Box::pin(sending);
                let response = loop {
                    let limit = progress.last() + self.patience.silence;
                    tokio::select! {
                        response = &mut sending => break response.map_err(unsent),
                        () = sleep_until(limit) => {
                            if progress.last() + self.patience.silence <= Instant::now() {
                                break Err(silent(self.patience.silence));
                            }
                        }
                    }
                };
                blame(response, checked)
            }
        }?;
        if response.status().is_success() {
            return Ok(response);
        }
        if wanted == Wanted::Any && !response.status().is_redirection() {
            return Ok(response);
        }
        let status = response.status();
        let headers = response.headers().clone();
        // A refusal counts even if its reason cannot be read.
        let body = self.read(response).await.map(|answer| answer.body);
        let refusal = Refusal::new(status, &headers, &body.unwrap_or_default());
        Err(Failure::Refused(refusal))
    }

    /// Signs a call. A body that is streamed is taken out of it.
    async fn prepare(
        &self,
        call: &mut Call,
    ) -> Result<(reqwest::Request, Option<(Checked, super::body::Progress)>), Error> {
        let url = self
            .target
            .url(call.bucket.as_deref(), call.key.as_deref(), &call.query)?;
        let mut headers = call.headers.clone();
        let body = std::mem::replace(&mut call.body, Body::Whole(Bytes::new()));
        let (payload, length, body, watch) = match body {
            Body::Whole(bytes) => {
                call.body = Body::Whole(bytes.clone());
                let length = u64::try_from(bytes.len()).expect("sizes fit in 64 bits");
                (
                    Payload::of(&bytes),
                    length,
                    reqwest::Body::from(bytes),
                    None,
                )
            }
            Body::Streamed(streamed) => {
                let payload = streamed.payload();
                if let Some(algorithm) = streamed.trailer {
                    let set = |name: &'static str, value: &str, headers: &mut HeaderMap| {
                        let value = HeaderValue::from_str(value).expect("a name or a number");
                        headers.insert(name, value);
                    };
                    set(
                        "x-amz-trailer",
                        &headers::checksum_name(algorithm),
                        &mut headers,
                    );
                    set(
                        "x-amz-decoded-content-length",
                        &streamed.size.to_string(),
                        &mut headers,
                    );
                    let coding = match headers.get("content-encoding") {
                        Some(kept) => [b"aws-chunked,", kept.as_bytes()].concat(),
                        None => b"aws-chunked".to_vec(),
                    };
                    let coding = HeaderValue::from_bytes(&coding).expect("it was a header before");
                    headers.insert("content-encoding", coding);
                }
                let watch = (streamed.checked, streamed.progress);
                let body = reqwest::Body::wrap_stream(streamed.stream);
                (payload, streamed.length, body, Some(watch))
            }
        };
        let keys = self.credentials.keys().await?;
        let now = self.sources.now();
        let method = call.method.clone();
        sign(
            method.as_str(),
            &url,
            &mut headers,
            &payload,
            &self.region,
            &keys,
            now,
        )
        .map_err(|_| Error::Unreachable {
            action: call.action,
            source: "the keys for S3 cannot travel in a header".into(),
        })?;
        if length > 0 || matches!(method, Method::PUT | Method::POST) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body);
        Ok((request, watch))
    }

    async fn read(&self, response: Response) -> Result<Answer, Failure> {
        let status = response.status();
        let headers = response.headers().clone();
        let stream = response.bytes_stream().map_err(lost);
        let mut stream = Watched::new(stream, self.patience.silence);
        let mut body = BytesMut::new();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(Failure::NoAnswer)?;
            if body.len() + bytes.len() > MAX_DOCUMENT {
                return Err(Failure::NoAnswer(
                    "the answer is longer than any should be".into(),
                ));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(Answer {
            status,
            headers,
            body: body.freeze(),
        })
    }
}

/// When content was sent, it may be the cause of a failure; and without having had it, no store can have stored it.
fn blame(response: Result<Response, Failure>, checked: &Checked) -> Result<Response, Failure> {
    match (response, checked.take()) {
        (Ok(response), Some(Ok(_))) => Ok(response),
        (Ok(response), _) if !response.status().is_success() => Ok(response),
        (_, Some(Err(error))) => Err(Failure::Ours(error)),
        (Ok(_), None) => Err(Failure::NoAnswer(
            "it answered before it had all of the content".into(),
        )),
        (Err(failure), _) => Err(failure),
    }
}

fn unsent(error: reqwest::Error) -> Failure {
    let reached = !error.is_connect();
    let source = lost(error);
    if reached {
        Failure::NoAnswer(source)
    } else {
        Failure::NotReached(source)
    }
}

/// A URL may name what nobody but the client and the store should know, so none is shown.
fn lost(error: reqwest::Error) -> BodyError {
    error.without_url().into()
}

fn silent(limit: Duration) -> Failure {
    Failure::NoAnswer(format!("it was silent for {} s", limit.as_secs()).into())
}

pub(super) fn unreadable(action: &'static str, source: Malformed) -> Error {
    Error::Unreachable {
        action,
        source: source.into(),
    }
}

fn check_value(key: &'static str, value: &str) -> Result<(), OpenError> {
    let fits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(()).ok_or(OpenError::Value { key })
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, OpenError> {
    let bytes = std::fs::read(path).map_err(|source| OpenError::ReadCertificates {
        path: path.to_owned(),
        source,
    })?;
    let certificates =
        Certificate::from_pem_bundle(&bytes).map_err(|source| OpenError::Certificates {
            path: path.to_owned(),
            source: Some(source.into()),
        })?;
    if certificates.is_empty() {
        return Err(OpenError::Certificates {
            path: path.to_owned(),
            source: None,
        });
    }
    Ok(certificates)
}
