//! A server that lets requests through to another one, counts them, and acts at one of them.
//!
//! For tests that end a program at each of its requests: before the server has seen it, or after the server has answered
//! and before the program hears of it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::connections::Connections;

/// Where in a request something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The server has not seen it.
    Before,
    /// The server has answered, the client has not heard it.
    After,
}

/// At which request, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// From 1.
    pub request: usize,
    pub moment: Moment,
}

/// What is done at the stop. The request goes no further.
pub type Action = Box<dyn FnOnce() + Send>;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server does not see it, and the client is answered with this status.
    Status(u16),
    /// The server has answered, and the client gets the first half of it.
    Cut,
    /// The same, and the connection stays open, for a minute at most.
    Stall,
    /// The server sees another last byte of what it is sent, where the first line of the request has this in it.
    Flip(&'static str),
}

/// Something goes wrong with every so many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disturbance {
    pub fault: Fault,
    /// The first of them, from 1.
    pub from: usize,
    /// 1 for all after it.
    pub every: usize,
}

/// A turnstile that stands until it is dropped.
pub struct Turnstile {
    connections: Connections,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    delay: Duration,
    passed: AtomicUsize,
    stop: Mutex<Option<(Stop, Action)>>,
    disturbance: Mutex<Option<Disturbance>>,
}

impl Turnstile {
    /// Stands before the server at `upstream`, on a free port of the loopback interface.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        Self::start_slow(upstream, Duration::ZERO)
    }

    /// The same, where each request waits before it goes on, as on a long way.
    pub fn start_slow(upstream: SocketAddr, delay: Duration) -> Result<Self> {
        let shared = Arc::new(Shared {
            upstream,
            delay,
            passed: AtomicUsize::new(0),
            stop: Mutex::new(None),
            disturbance: Mutex::new(None),
        });
        let serving = Arc::clone(&shared);
        let connections = Connections::serve(move |client| serving.serve(client))?;
        Ok(Self {
            connections,
            shared,
        })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.connections.address())
    }

    /// Counts from nothing again, with another stop or none.
    pub fn reset(&self, stop: Option<(Stop, Action)>) {
        *self
            .shared
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = stop;
        self.shared.passed.store(0, Ordering::SeqCst);
    }

    /// From now on something goes wrong, or nothing any more.
    pub fn disturb(&self, disturbance: Option<Disturbance>) {
        *self
            .shared
            .disturbance
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = disturbance;
    }

    /// Requests that have come since the last [`Turnstile::reset`].
    pub fn passed(&self) -> usize {
        self.shared.passed.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// One connection: request after request, each with its answer.
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        const PATIENCE: Option<Duration> = Some(Duration::from_mins(1));
        let server = TcpStream::connect(self.upstream)?;
        for stream in [&client, &server] {
            stream.set_read_timeout(PATIENCE)?;
            stream.set_nodelay(true)?;
        }
        let mut from_client = BufReader::new(client.try_clone()?);
        let mut from_server = BufReader::new(server.try_clone()?);
        let (mut to_client, mut to_server) = (client, server);
        // Whoever asks whether to send the body is told to, and the server hears nothing of the question: it would answer twice.
        let mut go_on = to_client.try_clone()?;
        let mut on_head = |head: &mut Vec<u8>| {
            if take_expectation(head) {
                go_on.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            Ok(())
        };
        while let Some(mut request) = message(&mut from_client, Body::OfRequest, &mut on_head)? {
            let number = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
            if self.act(number, Moment::Before) {
                return Ok(());
            }
            #[expect(clippy::disallowed_methods, reason = "this is the long way")]
            thread::sleep(self.delay);
            let fault = self.fault(number);
            if let Some(Fault::Status(status)) = fault {
                let head = format!("HTTP/1.1 {status} Not Now\r\nContent-Length: 0\r\n\r\n");
                to_client.write_all(head.as_bytes())?;
                continue;
            }
            if let Some(Fault::Flip(of)) = fault {
                flip(&mut request, of);
            }
            to_server.write_all(&request)?;
            let is_head = request.starts_with(b"HEAD ");
            let body = if is_head { Body::None } else { Body::OfAnswer };
            let Some(answer) = message(&mut from_server, body, &mut |_| Ok(()))? else {
                return Ok(());
            };
            if self.act(number, Moment::After) {
                return Ok(());
            }
            if let Some(Fault::Cut | Fault::Stall) = fault {
                to_client.write_all(&answer[..answer.len() / 2])?;
                if fault == Some(Fault::Stall) {
                    // Until the client has had enough.
                    from_client.fill_buf()?;
                }
                return Ok(());
            }
            to_client.write_all(&answer)?;
        }
        Ok(())
    }

    fn fault(&self, request: usize) -> Option<Fault> {
        let disturbance = self.disturbance.lock();
        let disturbance = (*disturbance.unwrap_or_else(PoisonError::into_inner))?;
        let after = request.checked_sub(disturbance.from)?;
        after
            .is_multiple_of(disturbance.every)
            .then_some(disturbance.fault)
    }

    /// Acts if this is the stop. True if the request goes no further.
    fn act(&self, request: usize, moment: Moment) -> bool {
        let this = Stop { request, moment };
        let found = {
            let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
            stop.take_if(|(stop, _)| *stop == this)
        };
        // Others may pass meanwhile.
        if let Some((_, action)) = found {
            action();
            return true;
        }
        false
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    OfRequest,
    OfAnswer,
}

/// Changes the body of a request whose first line has `of` in it.
fn flip(request: &mut [u8], of: &str) {
    let first = request.split(|byte| *byte == b'\n').next();
    let is_meant = first.is_some_and(|line| String::from_utf8_lossy(line).contains(of));
    if is_meant
        && !request.ends_with(b"\r\n\r\n")
        && let Some(last) = request.last_mut()
    {
        *last ^= 1;
    }
}

/// Takes `Expect: 100-continue` out of a head. False where it is not there.
fn take_expectation(head: &mut Vec<u8>) -> bool {
    let text = String::from_utf8_lossy(head).into_owned();
    let is_it = |line: &&str| line.to_ascii_lowercase().starts_with("expect:");
    let lines = text.split_inclusive('\n');
    let Some(line) = lines.clone().find(is_it) else {
        return false;
    };
    let line = line.as_bytes();
    let at = head.windows(line.len()).position(|window| window == line);
    let at = at.expect("it was just read from there");
    head.drain(at..at + line.len());
    true
}

/// One whole message of HTTP/1.1, none at the end of the connection. `on_head` may change its head before the body is read.
pub(crate) fn message(
    source: &mut impl BufRead,
    body: Body,
    on_head: &mut impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    let mut length = None;
    let mut chunked = false;
    loop {
        let begin = whole.len();
        if source.read_until(b'\n', &mut whole)? == 0 {
            return if begin == 0 {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let line = String::from_utf8_lossy(&whole[begin..]).to_ascii_lowercase();
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name {
                "content-length" => length = value.trim().parse::<u64>().ok(),
                "transfer-encoding" => chunked |= value.contains("chunked"),
                _ => {}
            }
        }
    }
    on_head(&mut whole)?;
    let has_no_body = whole.starts_with(b"HTTP/1.1 204") || whole.starts_with(b"HTTP/1.1 304");
    match (body, length) {
        (Body::None, _) => {}
        (Body::OfAnswer, _) if has_no_body => {}
        _ if chunked => chunks(source, &mut whole)?,
        (_, Some(length)) => {
            let read = source.take(length).read_to_end(&mut whole)?;
            if (read as u64) < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        (Body::OfRequest, None) => {}
        (Body::OfAnswer, None) => drop(source.read_to_end(&mut whole)?),
    }
    Ok(Some(whole))
}

fn chunks(source: &mut impl BufRead, whole: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let begin = whole.len();
        source.read_until(b'\n', whole)?;
        let head = String::from_utf8_lossy(&whole[begin..]).into_owned();
        let size = head.trim().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
        source.take(size).read_to_end(whole)?;
        let begin = whole.len();
        source.read_until(b'\n', whole)?;
        if size == 0 {
            // Trailers, up to an empty line.
            while !whole[begin..].ends_with(b"\r\n\r\n") && &whole[begin..] != b"\r\n" {
                if source.read_until(b'\n', whole)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_messages_are_told_apart() {
        let text = b"PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\nPOST /c HTTP/1.1\r\n\
                     Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /d HTTP/1.1\r\n\r\n";
        let mut source = &text[..];
        let mut read = Vec::new();
        while let Some(one) = message(&mut source, Body::OfRequest, &mut |_| Ok(())).unwrap() {
            read.push(String::from_utf8(one).unwrap());
        }
        let starts: Vec<_> = read.iter().map(|one| &one[..6]).collect();
        assert_eq!(starts, ["PUT /a", "GET /b", "POST /", "GET /d"]);
        assert_eq!(read.concat().as_bytes(), text);
        let mut asking = b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nHost: b\r\n\r\n".to_vec();
        assert!(take_expectation(&mut asking));
        assert_eq!(asking, b"PUT /a HTTP/1.1\r\nHost: b\r\n\r\n");
        assert!(!take_expectation(&mut asking));
        let mut cut = &b"PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab"[..];
        assert!(message(&mut cut, Body::OfRequest, &mut |_| Ok(())).is_err());
    }
}
