//! Messages of HTTP/1.1 as they go over a connection, for what stands between a client and a server.

use std::io::{self, BufRead, Read};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    OfRequest,
    OfAnswer,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    /// Up to the end of the connection.
    Rest,
}

/// All of a message but its body, with the empty line, and how long that is. None at the end of the connection.
pub(crate) fn head(
    source: &mut impl BufRead,
    body: Body,
) -> io::Result<Option<(Vec<u8>, Framing)>> {
    let mut head = Vec::new();
    let mut length = None;
    let mut chunked = false;
    loop {
        let begin = head.len();
        if source.read_until(b'\n', &mut head)? == 0 {
            return if begin == 0 {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let line = String::from_utf8_lossy(&head[begin..]).to_ascii_lowercase();
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
    let has_no_body = head.starts_with(b"HTTP/1.1 204") || head.starts_with(b"HTTP/1.1 304");
    let framing = match (body, length) {
        (Body::None, _) => Framing::Nothing,
        (Body::OfAnswer, _) if has_no_body => Framing::Nothing,
        _ if chunked => Framing::Chunked,
        (_, Some(length)) => Framing::Length(length),
        (Body::OfRequest, None) => Framing::Nothing,
        (Body::OfAnswer, None) => Framing::Rest,
    };
    Ok(Some((head, framing)))
}

/// One whole message, none at the end of the connection. `on_head` may change its head before the body is read.
pub(crate) fn message(
    source: &mut impl BufRead,
    body: Body,
    on_head: &mut impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<Option<Vec<u8>>> {
    let Some((mut whole, framing)) = head(source, body)? else {
        return Ok(None);
    };
    on_head(&mut whole)?;
    match framing {
        Framing::Nothing => {}
        Framing::Chunked => chunks(source, &mut whole)?,
        Framing::Length(length) => {
            let read = source.take(length).read_to_end(&mut whole)?;
            if (read as u64) < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Framing::Rest => drop(source.read_to_end(&mut whole)?),
    }
    Ok(Some(whole))
}

/// Appends a body in chunks, as it came.
pub(crate) fn chunks(source: &mut impl BufRead, whole: &mut Vec<u8>) -> io::Result<()> {
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
        let mut cut = &b"PUT /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nab"[..];
        assert!(message(&mut cut, Body::OfRequest, &mut |_| Ok(())).is_err());
    }
}
