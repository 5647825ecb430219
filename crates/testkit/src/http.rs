//! The plainest HTTP client: one request, one answer, unsigned and unencrypted.
//!
//! It asks servers on loopback whether they are ready and what they have. The S3 clients of tests are real ones.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a server may be silent before a request is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// Asks for `path`, which may have a query.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    send(address, "GET", path, "text/plain", "")
}

/// Sends a request and reads the answer to its end.
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> Result<Answer> {
    send_within(PATIENCE, address, method, path, content_type, body)
}

/// Like [`send`], to a server that may be silent for so long: it works before it answers.
pub fn send_within(
    patience: Duration,
    address: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> Result<Answer> {
    exchange(patience, address, method, path, content_type, body)
        .with_context(|| format!("no answer to `{method} {path}` from {address}"))
}

fn exchange(
    patience: Duration,
    address: SocketAddr,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    // 1.0: the body ends with the connection and never comes in chunks.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .context("the answer has no end of its headers")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.get(..3)?.parse().ok())
        .with_context(|| {
            format!(
                "the answer begins with `{}`",
                head.lines().next().unwrap_or("")
            )
        })?;
    let is_chunked = head.lines().any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("transfer-encoding:") && line.contains("chunked")
    });
    // Some answer so although they were asked in 1.0.
    let body = if is_chunked {
        joined(body).context("the answer's chunks are no chunks")?
    } else {
        body.to_owned()
    };
    Ok(Answer { status, body })
}

/// The text of a body in chunks.
fn joined(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..size)?);
        chunks = rest.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer = parse(b"HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\nno\r\n\r\nmore").unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.body, "no\r\n\r\nmore");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in [&b""[..], b"HTTP/1.1 200 OK", b"SSH-2.0 hello\r\n\r\n"] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn chunks_are_joined() {
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = parse(&[&head[..], b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"].concat());
        assert_eq!(answer.unwrap().body, "abcde");
        assert!(parse(&[&head[..], b"9\r\nabc"].concat()).is_err());
    }

    #[test]
    fn nobody_at_the_address_is_an_error_that_names_it() {
        let address = crate::port::free().unwrap();
        let error = get(address, "/health").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no answer to `GET /health` from {address}")
        );
    }
}
