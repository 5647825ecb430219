//! A node that does what real ones will not do on demand.
//!
//! It lives on the thread of its test. With the clock paused, waits pass at once, but in steps of a millisecond, between which the kernel is asked for what has come: so no wait is over
//! before an answer that is on its way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_elasticsearch::access::{Access, Credentials};
use lifeboat_elasticsearch::client::Client;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::exchanges::Exchange;

/// What is done with one request. Each has a connection of its own.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, headers, a body.
    Answer(u16, Vec<(String, String)>, String),
    /// An answer of success that ends before the last byte of its body.
    Cut(String),
    /// The request is read, and the connection ends.
    HangUp,
    /// The request is read, and the answer comes after so long.
    After(Duration, Box<Reply>),
}

impl Reply {
    pub(crate) fn good(body: &str) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::Answer(status, Vec::new(), body.to_owned())
    }

    /// As the engine says it.
    pub(crate) fn refusal(status: u16, kind: &str, reason: &str) -> Self {
        let body =
            format!(r#"{{"error":{{"type":"{kind}","reason":"{reason}"}},"status":{status}}}"#);
        Self::status(status, &body)
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        match self {
            Self::Answer(status, mut headers, body) => {
                headers.push((name.to_owned(), value.to_owned()));
                Self::Answer(status, headers, body)
            }
            other => other,
        }
    }
}

impl From<&Exchange> for Reply {
    fn from(exchange: &Exchange) -> Self {
        let headers = exchange.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.clone()));
        Self::Answer(exchange.status, headers.collect(), exchange.body.clone())
    }
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `GET /_cat/indices`, without what stands behind `?`.
    pub(crate) asked: String,
    head: String,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

type Answering = Box<dyn FnMut(&Seen) -> Reply + Send>;

struct Work {
    answering: Mutex<Answering>,
    seen: Mutex<Vec<Seen>>,
}

pub(crate) struct Server {
    address: SocketAddr,
    scheme: &'static str,
    work: Arc<Work>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Server {
    /// Plays replies, one for each request. The last one is repeated.
    pub(crate) async fn playing(script: Vec<Reply>) -> Self {
        let mut script = script.into_iter();
        let mut reply = script.next().unwrap();
        Self::answering(move |_| {
            let next = script.next().unwrap_or_else(|| reply.clone());
            std::mem::replace(&mut reply, next)
        })
        .await
    }

    /// Answers each request by what it asks for, without what stands behind `?`; others are an unknown route.
    pub(crate) async fn knowing(routes: &[(&str, Reply)]) -> Self {
        let routes: Vec<(String, Reply)> = routes
            .iter()
            .map(|(asked, reply)| ((*asked).to_owned(), reply.clone()))
            .collect();
        Self::answering(move |seen| {
            let known = routes.iter().find(|(asked, _)| *asked == seen.asked);
            known.map_or_else(
                || Reply::status(400, r#"{"error":"no handler found"}"#),
                |(_, reply)| reply.clone(),
            )
        })
        .await
    }

    pub(crate) async fn answering(answering: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        Self::listening(Box::new(answering), None).await
    }

    pub(crate) async fn secured(acceptor: TlsAcceptor, reply: Reply) -> Self {
        Self::listening(Box::new(move |_| reply.clone()), Some(acceptor)).await
    }

    async fn listening(answering: Answering, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let work = Arc::new(Work {
            answering: Mutex::new(answering),
            seen: Mutex::new(Vec::new()),
        });
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&work)));
        let ticking = tokio::spawn(async {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                std::thread::yield_now();
            }
        });
        Self {
            address,
            scheme,
            work,
            tasks: vec![accepting, ticking],
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.work.seen.lock().unwrap().clone()
    }

    /// What was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.asked).collect()
    }

    pub(crate) fn client(&self) -> Client {
        client([self.url()])
    }
}

/// A client of these nodes that says nothing of itself.
pub(crate) fn client(urls: impl IntoIterator<Item = String>) -> Client {
    Client::new(Access {
        urls: urls.into_iter().collect(),
        credentials: Credentials::None,
        certificates: Vec::new(),
    })
    .unwrap()
}

/// An address where nobody listens, as long as it lives.
pub(crate) struct Nobody(TcpSocket);

impl Nobody {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().unwrap())
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, work: Arc<Work>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let work = Arc::clone(&work);
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, &work).await,
                Some(acceptor) => {
                    // Who does not trust the certificate goes away.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &work).await;
                    }
                }
            }
        });
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, work: &Work) {
    let Some(seen) = read(&mut stream).await else {
        return;
    };
    let mut reply = (work.answering.lock().unwrap())(&seen);
    work.seen.lock().unwrap().push(seen);
    while let Reply::After(wait, then) = reply {
        tokio::time::sleep(wait).await;
        reply = *then;
    }
    let written = match reply {
        Reply::Answer(status, headers, body) => written(status, &headers, body.len(), &body),
        Reply::Cut(body) => written(200, &[], body.len(), &body[..body.len() - 1]),
        Reply::HangUp | Reply::After(..) => return,
    };
    // The other side may have given up meanwhile.
    drop(stream.write_all(written.as_bytes()).await);
    drop(stream.shutdown().await);
}

fn written(status: u16, headers: &[(String, String)], length: usize, body: &str) -> String {
    let mut head =
        format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    format!("{head}\r\n{body}")
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut words = head.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let path = target.split('?').next()?;
    let mut seen = Seen {
        asked: format!("{method} {path}"),
        head: head.clone(),
        body: String::new(),
    };
    let mut body = bytes[end + 4..].to_vec();
    let length = seen.header("content-length").map_or(0, |length| {
        let length: usize = length.parse().unwrap();
        length
    });
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}
