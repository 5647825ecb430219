//! A server as it is seen from afar: each request waits before it goes on, what it brings and fetches does not.
//!
//! For measurements: bodies pass as they come, but for those in chunks, so that the way costs little but time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::connections::Connections;
use crate::message::{Body, Framing, chunks, head};

/// What is taken from a connection at once, in bytes.
const BUFFER: usize = 256 * 1024;

/// A long way that is there until it is dropped.
pub struct LongWay {
    connections: Connections,
    passed: Arc<AtomicUsize>,
}

impl LongWay {
    /// To the server at `upstream`, from a free port of the loopback interface.
    pub fn start(upstream: SocketAddr, delay: Duration) -> Result<Self> {
        let passed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&passed);
        let connections =
            Connections::serve(move |client| serve(client, upstream, delay, &counted))?;
        Ok(Self {
            connections,
            passed,
        })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.connections.address())
    }

    /// Requests that have come since this was asked last.
    pub fn take_count(&self) -> usize {
        self.passed.swap(0, Ordering::SeqCst)
    }
}

/// One connection: request after request, each with its answer.
fn serve(
    mut client: TcpStream,
    upstream: SocketAddr,
    delay: Duration,
    passed: &AtomicUsize,
) -> io::Result<()> {
    let mut server = TcpStream::connect(upstream)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let mut from_client = BufReader::with_capacity(BUFFER, client.try_clone()?);
    let mut from_server = BufReader::with_capacity(BUFFER, server.try_clone()?);
    while let Some((request, framing)) = head(&mut from_client, Body::OfRequest)? {
        passed.fetch_add(1, Ordering::SeqCst);
        #[expect(clippy::disallowed_methods, reason = "this is the way")]
        thread::sleep(delay);
        server.write_all(&request)?;
        let lower = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if lower.contains("\r\nexpect: 100-continue\r\n") {
            // Answered by the server, or refused at once.
            let Some((answer, after)) = head(&mut from_server, Body::OfAnswer)? else {
                return Ok(());
            };
            client.write_all(&answer)?;
            if !answer.starts_with(b"HTTP/1.1 100") {
                pass(&mut from_server, &mut client, after)?;
                return Ok(());
            }
        }
        pass(&mut from_client, &mut server, framing)?;
        let is_head = request.starts_with(b"HEAD ");
        let body = if is_head { Body::None } else { Body::OfAnswer };
        let Some((answer, framing)) = head(&mut from_server, body)? else {
            return Ok(());
        };
        client.write_all(&answer)?;
        pass(&mut from_server, &mut client, framing)?;
    }
    Ok(())
}

/// Passes a body on as it comes.
fn pass(from: &mut impl BufRead, to: &mut impl Write, framing: Framing) -> io::Result<()> {
    match framing {
        Framing::Nothing => Ok(()),
        Framing::Chunked => {
            let mut whole = Vec::new();
            chunks(from, &mut whole)?;
            to.write_all(&whole)
        }
        Framing::Length(length) => {
            if io::copy(&mut from.take(length), to)? < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(())
        }
        Framing::Rest => io::copy(from, to).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn requests_and_answers_pass_whole_and_are_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = listener.local_addr().unwrap();
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut seen = Vec::new();
            while let Some((request, framing)) = head(&mut reader, Body::OfRequest).unwrap() {
                pass(&mut reader, &mut seen, framing).unwrap();
                if request.starts_with(b"HEAD") {
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
                        .unwrap();
                    continue;
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                stream.write_all(answer).unwrap();
            }
            seen
        });
        let way = LongWay::start(upstream, Duration::from_millis(1)).unwrap();
        let mut stream = TcpStream::connect(way.connections.address()).unwrap();
        let body = vec![7; 3 * BUFFER + 1];
        let put = format!("PUT /a HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(put.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        stream
            .write_all(b"HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
            .unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert_eq!(answers.matches("200 OK").count(), 3);
        assert_eq!(answers.matches("ok").count(), 2);
        assert_eq!((way.take_count(), way.take_count()), (3, 0));
        assert!(answering.join().unwrap() == body);
    }
}
