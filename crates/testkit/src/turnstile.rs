//! A server that lets requests through to another one, counts them, and acts at one of them.
//!
//! For tests that end a program at each of its requests: before the server has seen it, or after the server has answered
//! and before the program hears of it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;

use crate::connections::Connections;
use crate::message::{Body, message};

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
    /// The server sees another last byte of what it is sent.
    Flip,
}

/// Something goes wrong with every so many requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disturbance {
    pub fault: Fault,
    /// Only those count whose first line has this in it.
    pub of: &'static str,
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
    passed: AtomicUsize,
    /// Those of them that the disturbance is about.
    meant: AtomicUsize,
    stop: Mutex<Option<(Stop, Action)>>,
    disturbance: Mutex<Option<Disturbance>>,
}

impl Turnstile {
    /// Stands before the server at `upstream`, on a free port of the loopback interface.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let shared = Arc::new(Shared {
            upstream,
            passed: AtomicUsize::new(0),
            meant: AtomicUsize::new(0),
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
        self.shared.meant.store(0, Ordering::SeqCst);
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
            let fault = self.fault(&request);
            if let Some(Fault::Status(status)) = fault {
                let head = format!("HTTP/1.1 {status} Not Now\r\nContent-Length: 0\r\n\r\n");
                to_client.write_all(head.as_bytes())?;
                continue;
            }
            if fault == Some(Fault::Flip) {
                flip(&mut request);
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

    fn fault(&self, request: &[u8]) -> Option<Fault> {
        let disturbance = self.disturbance.lock();
        let disturbance = (*disturbance.unwrap_or_else(PoisonError::into_inner))?;
        if !is_of(request, disturbance.of) {
            return None;
        }
        let number = self.meant.fetch_add(1, Ordering::SeqCst) + 1;
        let after = number.checked_sub(disturbance.from)?;
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

/// Whether the first line of a request has `of` in it.
fn is_of(request: &[u8], of: &str) -> bool {
    let first = request.split(|byte| *byte == b'\n').next();
    first.is_some_and(|line| String::from_utf8_lossy(line).contains(of))
}

/// Changes the body of a request, if it has one.
fn flip(request: &mut [u8]) {
    if !request.ends_with(b"\r\n\r\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_whether_to_send_is_not_passed_on() {
        let mut asking = b"PUT /a HTTP/1.1\r\nExpect: 100-continue\r\nHost: b\r\n\r\n".to_vec();
        assert!(take_expectation(&mut asking));
        assert_eq!(asking, b"PUT /a HTTP/1.1\r\nHost: b\r\n\r\n");
        assert!(!take_expectation(&mut asking));
    }

    #[test]
    fn only_the_bodies_that_are_meant_change() {
        let flipped = |text: &str| {
            let mut request = text.as_bytes().to_vec();
            flip(&mut request);
            String::from_utf8(request).unwrap()
        };
        let put = "PUT /a/data/b HTTP/1.1\r\nContent-Length: 1\r\n\r\n";
        assert_eq!(flipped(&format!("{put}b")), format!("{put}c"));
        let get = "GET /a/data/b HTTP/1.1\r\n\r\n";
        assert_eq!(flipped(get), get);
        assert!(is_of(put.as_bytes(), "/data/"));
        assert!(!is_of(b"PUT /a HTTP/1.1\r\nX: /data/\r\n\r\nb", "/data/"));
    }
}
