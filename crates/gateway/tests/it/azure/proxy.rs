//! Something between the backend and Azurite: it makes the faults that Azurite does not, and can what Azurite cannot.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// What happens to a call instead of being passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is refused in the words of the service.
    Refuse(u16, &'static str),
    /// It takes effect, but its answer does not arrive.
    LoseAnswer,
    /// Half of the answer's content arrives.
    CutAnswer,
}

/// A fault, for the next `times` calls whose method and address match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) method: &'static str,
    /// Must be in the address, or nothing.
    pub(crate) part: &'static str,
    pub(crate) fault: Fault,
    pub(crate) times: usize,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// Method and address of every call, in order.
    calls: Vec<String>,
    /// What a call must bring instead of a signature, and the query that then goes on in its place.
    token: Option<(String, String)>,
}

/// The way to Azurite.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    /// Where Azurite is, without the account.
    behind: String,
    state: Arc<Mutex<State>>,
    http: reqwest::Client,
}

impl Proxy {
    /// Stands before the account at `endpoint`.
    pub(crate) async fn before(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (behind, account) = endpoint.rsplit_once('/').unwrap();
        let proxy = Self {
            endpoint: format!("http://{}/{account}", listener.local_addr().unwrap()),
            behind: behind.to_owned(),
            state: Arc::default(),
            http: reqwest::Client::builder().http1_only().build().unwrap(),
        };
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let proxy = serving.clone();
                let service = service_fn(move |request| {
                    let proxy = proxy.clone();
                    async move { proxy.answer(request).await }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        proxy
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fault(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// From now on whoever brings `token` is let in, with the rights of `query`.
    pub(crate) fn let_in(&self, token: &str, query: String) {
        self.state().token = Some((format!("Bearer {token}"), query));
    }

    /// Returns the calls since the last time, without what differs from run to run.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state().calls)
    }

    fn fault_for(&self, method: &Method, address: &str) -> Option<Fault> {
        let mut state = self.state();
        let rule = state.rules.iter_mut().find(|rule| {
            rule.times > 0 && rule.method == method.as_str() && address.contains(rule.part)
        })?;
        rule.times -= 1;
        Some(rule.fault)
    }

    /// An error closes the connection without an answer.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, BoxError> {
        let (head, body) = request.into_parts();
        let address = head.uri.to_string();
        self.state().calls.push(told(&head.method, &address));
        let fault = self.fault_for(&head.method, &address);
        // A body that breaks off breaks this off too, as it would with the service.
        let body = body.collect().await?.to_bytes();
        if let Some(Fault::Refuse(status, code)) = fault {
            return Ok(refusal(status, code));
        }
        let mut address = address;
        let mut headers = head.headers;
        let token = self.state().token.clone();
        if let Some((token, query)) = token {
            let brought = headers.remove("authorization");
            if brought.is_none_or(|brought| brought != token.as_str()) {
                return Ok(refusal(403, "AuthenticationFailed"));
            }
            let join = if address.contains('?') { '&' } else { '?' };
            address = format!("{address}{join}{query}");
        }
        headers.remove("host");
        let source = headers.get("x-ms-copy-source").cloned();
        let answer = match source {
            Some(source) if address.contains("comp=block&") => {
                self.copy_range(&address, headers, source.to_str()?).await?
            }
            _ => {
                self.http
                    .request(head.method, format!("{}{address}", self.behind))
                    .headers(headers)
                    .body(body)
                    .send()
                    .await?
            }
        };
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        let content = answer.bytes().await?;
        headers.remove("transfer-encoding");
        let body = match fault {
            Some(Fault::LoseAnswer) => return Err("lost".into()),
            Some(Fault::CutAnswer) => {
                let half = Frame::data(content.slice(..content.len() / 2));
                let pieces: [Result<_, BoxError>; 2] = [Ok(half), Err("cut".into())];
                StreamBody::new(stream::iter(pieces)).boxed_unsync()
            }
            _ => whole(content),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Does what Azurite has not: reads the source as it is told to, and puts what it reads as a block.
    async fn copy_range(
        &self,
        address: &str,
        mut headers: hyper::HeaderMap,
        source: &str,
    ) -> Result<reqwest::Response, BoxError> {
        let host = self.endpoint.rsplit_once('/').unwrap().0;
        let mut source = source.replacen(host, &self.behind, 1);
        let proof = headers.remove("x-ms-copy-source-authorization");
        if let (Some(proof), Some((token, query))) = (proof, self.state().token.clone())
            && proof == token.as_str()
        {
            source = format!("{source}?{query}");
        }
        let mut read = self.http.get(source);
        for (theirs, ours) in [
            ("x-ms-source-range", "x-ms-range"),
            ("x-ms-source-if-match", "if-match"),
        ] {
            if let Some(value) = headers.remove(theirs) {
                read = read.header(ours, value);
            }
        }
        let read = read.send().await?;
        if !read.status().is_success() {
            return Ok(read);
        }
        let content = read.bytes().await?;
        // The signature covers the call as it was, so what goes on has one of the test's own.
        let name = address.split_once('?').map_or(address, |(name, _)| name);
        let block = address
            .split(['?', '&'])
            .find_map(|pair| pair.strip_prefix("blockid="))
            .ok_or("no block")?;
        let query = super::account::account_query();
        let put = self
            .http
            .put(format!(
                "{}{name}?comp=block&blockid={block}&{query}",
                self.behind
            ))
            .body(content);
        Ok(put.send().await?)
    }
}

/// The method and what the address says of the kind of the call.
fn told(method: &Method, address: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let place = match path.split('/').nth(3) {
        None => "container",
        Some(".lifeboat") => "aside",
        Some(_) => "blob",
    };
    let kind = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("comp="))
        .unwrap_or_default();
    format!("{method} {place} {kind}").trim_end().to_owned()
}

fn whole(content: Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    Full::new(content)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn refusal(status: u16, code: &'static str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>By order of a test.</Message></Error>");
    let mut response = Response::new(whole(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
        .headers_mut()
        .insert("x-ms-error-code", code.parse().unwrap());
    response
}
