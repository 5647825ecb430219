//! A store of S3 that does what real ones will not do on demand: it answers from a script, breaks off, or falls silent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_gateway::backends::s3::{Keys, Options, S3};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::remote::quick;
use crate::support::sources;

/// What is done with one request. Each connection has one.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// The request is read, and answered with a status, headers and a body.
    Answer(u16, &'static [(&'static str, &'static str)], String),
    /// The same, but the connection ends before the last so many bytes of the body.
    Cut(usize, String),
    /// The request is read, and the connection ends without an answer.
    HangUp,
    /// The answer comes before any of the request's body is read.
    Early(u16, String),
    /// The head of the request is read, and nothing happens.
    Silence,
    /// The body of the answer has so many bytes. How many were taken is counted.
    Large(u64),
}

/// An answer in which S3 says why not.
pub(crate) fn refusal(status: u16, code: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>because</Message></Error>");
    Reply::Answer(status, &[], body)
}

/// An answer of success.
pub(crate) fn success(
    headers: &'static [(&'static str, &'static str)],
    body: impl Into<String>,
) -> Reply {
    Reply::Answer(200, headers, body.into())
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines();
        lines
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.trim())
    }
}

/// A script that is being played. The last reply is repeated.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Bytes of a large answer that were taken.
    taken: Arc<Mutex<u64>>,
    /// Whether a reply of the script never comes.
    falls_silent: bool,
    playing: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.playing.abort();
    }
}

impl Fake {
    pub(crate) async fn playing(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::new(Mutex::new(0));
        let falls_silent = script.iter().any(|reply| matches!(reply, Reply::Silence));
        let playing = tokio::spawn(play(
            listener,
            script,
            Arc::clone(&seen),
            Arc::clone(&taken),
        ));
        Self {
            address,
            seen,
            taken,
            falls_silent,
            playing,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn taken(&self) -> u64 {
        *self.taken.lock().unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options {
            endpoint: Some(format!("http://{}", self.address)),
            keys: Some(Keys {
                access_key: "reader".to_owned(),
                secret_key: "hidden-hidden".to_owned(),
                token: Some("hidden-token".to_owned()),
            }),
            patience: quick(),
            ..Options::new("us-east-1")
        };
        // Where an answer comes it may take as long as a busy machine makes it.
        let patience = if self.falls_silent {
            Duration::from_millis(200)
        } else {
            Duration::from_mins(1)
        };
        options.patience.silence = patience;
        options.patience.answer = patience;
        options
    }

    pub(crate) fn s3(&self) -> S3 {
        S3::open(self.options(), sources(7)).unwrap()
    }
}

async fn play(
    listener: TcpListener,
    script: Vec<Reply>,
    seen: Arc<Mutex<Vec<Seen>>>,
    taken: Arc<Mutex<u64>>,
) {
    // Connections that must not end.
    let mut silent = Vec::new();
    let mut script = script.into_iter();
    let mut reply = script.next().unwrap();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            return;
        };
        let Some((head, rest)) = read_head(&mut stream).await else {
            continue;
        };
        let mut request = Seen {
            head: head.to_ascii_lowercase(),
            body: rest,
        };
        match &reply {
            Reply::Answer(status, headers, body) => {
                read_body(&mut stream, &mut request).await;
                let answer = written(*status, headers, body.len(), body, &request);
                drop(stream.write_all(answer.as_bytes()).await);
            }
            Reply::Cut(missing, body) => {
                read_body(&mut stream, &mut request).await;
                let kept = &body[..body.len() - missing];
                let answer = written(200, &[], body.len(), kept, &request);
                drop(stream.write_all(answer.as_bytes()).await);
            }
            Reply::HangUp => read_body(&mut stream, &mut request).await,
            Reply::Early(status, body) => {
                let answer = written(*status, &[], body.len(), body, &request);
                drop(stream.write_all(answer.as_bytes()).await);
                read_body(&mut stream, &mut request).await;
            }
            Reply::Silence => silent.push(stream),
            Reply::Large(size) => {
                let size = usize::try_from(*size).unwrap();
                let answer = written(200, &[], size, "", &request);
                stream.write_all(answer.as_bytes()).await.unwrap();
                let taken = Arc::clone(&taken);
                tokio::spawn(async move {
                    let piece = vec![b'x'; 64 * 1024];
                    for _ in 0..size / piece.len() {
                        if stream.write_all(&piece).await.is_err() {
                            return;
                        }
                        *taken.lock().unwrap() += 64 * 1024;
                    }
                });
            }
        }
        seen.lock().unwrap().push(request);
        reply = script.next().unwrap_or(reply);
    }
}

fn written(
    status: u16,
    headers: &[(&str, &str)],
    length: usize,
    body: &str,
    request: &Seen,
) -> String {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let headers = headers.concat();
    let body = if request.head.starts_with("head ") {
        ""
    } else {
        body
    };
    format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

/// Returns the head, and what came of the body with it.
async fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            return Some((head, bytes[end + 4..].to_vec()));
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Reads until the body is whole or the sender has gone.
async fn read_body(stream: &mut TcpStream, request: &mut Seen) {
    let length = request.header("content-length");
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while request.body.len() < length {
        match stream.read_buf(&mut request.body).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}
