//! The `aws-chunked` form of a body: chunks, each with its size and perhaps a signature, and trailers after the last one.
//!
//! The decoder does no I/O and checks no signature: bytes go in as they arrive, cut anywhere, and come out as content and
//! as the claims made about it. It keeps nothing of the content, so a chunk may be of any size; what it does keep, lines
//! and trailers, is bounded.

use bytes::{Buf as _, Bytes};

/// The longest line at the beginning of a chunk: 16 digits, and a signature with its name.
const MAX_LINE: usize = 256;
/// All trailers together.
const MAX_TRAILERS: usize = 16 * 1024;

/// A signature: an HMAC-SHA256.
pub(super) type Signature = [u8; 32];

/// What every chunk must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Signed,
    /// Extensions of a chunk are overlooked.
    Unsigned,
}

/// What came out of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// Some of the content. Never empty.
    Content(Bytes),
    /// A chunk is complete: all content since the one before. The last chunk is empty.
    Chunk {
        /// Always there if chunks must be signed, otherwise never.
        signature: Option<Signature>,
    },
    /// The body is complete.
    End(Trailers),
}

/// Why a body is not in chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a chunk begins with no size")]
    Size,
    #[error("a chunk has no signature")]
    Unsigned,
    #[error("the line at the beginning of a chunk is too long")]
    Line,
    #[error("a chunk is longer than its size says")]
    End,
    #[error("the trailers are too long")]
    Trailers,
    #[error("a trailer is not a name and a value")]
    Trailer,
    #[error("the body ends before its last chunk")]
    Cut,
}

/// Takes a body apart. After an error nothing more must be fed.
#[derive(Debug)]
pub(super) struct Decoder {
    framing: Framing,
    state: State,
    /// The line begun, or the trailers so far.
    kept: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// In the line at the beginning of a chunk.
    Head,
    /// In the content of a chunk, so many bytes left.
    Content {
        left: u64,
        signature: Option<Signature>,
    },
    /// In the line end after the content, so many bytes of it there.
    End {
        seen: usize,
        signature: Option<Signature>,
    },
    /// After the last chunk.
    Trailers,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        Self {
            framing,
            state: State::Head,
            kept: Vec::new(),
        }
    }

    /// Takes the next bytes of the body, and tells `each` what they are.
    pub(super) fn feed(
        &mut self,
        mut bytes: Bytes,
        mut each: impl FnMut(Event),
    ) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            self.state = match self.state {
                State::Head => {
                    let Some((size, signature)) = self.head(&mut bytes)? else {
                        return Ok(());
                    };
                    if size == 0 {
                        each(Event::Chunk { signature });
                        State::Trailers
                    } else {
                        let left = size;
                        State::Content { left, signature }
                    }
                }
                State::Content { left, signature } => {
                    let here =
                        usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    let content = bytes.split_to(here);
                    let left = left - u64::try_from(here).expect("sizes fit in 64 bits");
                    each(Event::Content(content));
                    if left == 0 {
                        State::End { seen: 0, signature }
                    } else {
                        State::Content { left, signature }
                    }
                }
                State::End { seen, signature } => {
                    if bytes.get_u8() != b"\r\n"[seen] {
                        return Err(Malformed::End);
                    }
                    if seen == 1 {
                        each(Event::Chunk { signature });
                        State::Head
                    } else {
                        State::End { seen: 1, signature }
                    }
                }
                State::Trailers => {
                    if self.kept.len() + bytes.len() > MAX_TRAILERS {
                        return Err(Malformed::Trailers);
                    }
                    self.kept.extend_from_slice(&bytes);
                    bytes.clear();
                    State::Trailers
                }
            };
        }
        Ok(())
    }

    /// Returns size and signature of a chunk once the line that says them is whole.
    fn head(&mut self, bytes: &mut Bytes) -> Result<Option<(u64, Option<Signature>)>, Malformed> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let here = bytes.split_to(end.map_or(bytes.len(), |end| end + 1));
        if self.kept.len() + here.len() > MAX_LINE {
            return Err(Malformed::Line);
        }
        self.kept.extend_from_slice(&here);
        if end.is_none() {
            return Ok(None);
        }
        let line = self.kept.strip_suffix(b"\r\n").ok_or(Malformed::Size)?;
        let read = read_head(line, self.framing)?;
        self.kept.clear();
        Ok(Some(read))
    }

    /// To be called when the body has ended. Returns [`Event::End`].
    pub(super) fn finish(self) -> Result<Event, Malformed> {
        match self.state {
            // Half a line end: the other half was cut off.
            State::Trailers if self.kept.ends_with(b"\r") => Err(Malformed::Cut),
            State::Trailers => Trailers::read(&self.kept).map(Event::End),
            _ => Err(Malformed::Cut),
        }
    }
}

fn read_head(line: &[u8], framing: Framing) -> Result<(u64, Option<Signature>), Malformed> {
    let line = str::from_utf8(line).map_err(|_| Malformed::Size)?;
    let (size, extension) = match line.split_once(';') {
        Some((size, extension)) => (size, Some(extension)),
        None => (line, None),
    };
    if size.is_empty() || size.len() > 16 || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Malformed::Size);
    }
    let size = u64::from_str_radix(size, 16).map_err(|_| Malformed::Size)?;
    let signature = match framing {
        Framing::Unsigned => None,
        Framing::Signed => Some(
            extension
                .and_then(|extension| extension.strip_prefix("chunk-signature="))
                .and_then(read_signature)
                .ok_or(Malformed::Unsigned)?,
        ),
    };
    Ok((size, signature))
}

/// Reads a signature as it is written everywhere: 64 digits.
pub(super) fn read_signature(text: &str) -> Option<Signature> {
    let mut signature = Signature::default();
    hex::decode_to_slice(text, &mut signature).ok()?;
    Some(signature)
}

/// What a sender said only after the content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Trailers {
    /// Names in lower case, ordered by name.
    fields: Vec<(String, String)>,
    /// The signature of all of them.
    pub(super) signature: Option<Signature>,
}

impl Trailers {
    /// Lines end with or without a carriage return; empty ones mean nothing.
    fn read(text: &[u8]) -> Result<Self, Malformed> {
        let text = str::from_utf8(text).map_err(|_| Malformed::Trailer)?;
        let mut trailers = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(Malformed::Trailer)?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            if name == "x-amz-trailer-signature" {
                trailers.signature = Some(read_signature(value).ok_or(Malformed::Trailer)?);
            } else {
                trailers.fields.push((name, value.to_owned()));
            }
        }
        trailers.fields.sort();
        Ok(trailers)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.signature.is_none()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(field, _)| field == name)?;
        Some(value)
    }

    /// The text that is signed.
    pub(super) fn canonical(&self) -> String {
        self.fields
            .iter()
            .flat_map(|(name, value)| [name, ":", value, "\n"])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(framing: Framing, body: &[u8], step: usize) -> Result<Vec<Event>, Malformed> {
        let mut decoder = Decoder::new(framing);
        let mut events: Vec<Event> = Vec::new();
        for piece in body.chunks(step.max(1)) {
            decoder.feed(Bytes::copy_from_slice(piece), |event| {
                // However content was cut, it is the same content.
                if let (Some(Event::Content(before)), Event::Content(more)) =
                    (events.last_mut(), &event)
                {
                    *before = [before.as_ref(), more].concat().into();
                } else {
                    events.push(event);
                }
            })?;
        }
        events.push(decoder.finish()?);
        Ok(events)
    }

    fn trailers(body: &str) -> Trailers {
        match decode(Framing::Unsigned, body.as_bytes(), 7).unwrap().pop() {
            Some(Event::End(trailers)) => trailers,
            other => panic!("{other:?}"),
        }
    }

    /// A body of chunks, and what is to come out of it.
    fn body(framing: Framing, sizes: &[usize]) -> (Vec<u8>, Vec<Event>) {
        let (mut body, mut events) = (Vec::new(), Vec::new());
        let signed = framing == Framing::Signed;
        let signature = signed.then_some([0xab; 32]);
        for size in sizes.iter().copied().filter(|size| *size > 0).chain([0]) {
            let extension = if signed {
                format!(";chunk-signature={}", "ab".repeat(32))
            } else {
                String::new()
            };
            body.extend(format!("{size:x}{extension}\r\n").into_bytes());
            if size > 0 {
                body.extend(vec![b'f'; size]);
                body.extend(b"\r\n");
                events.push(Event::Content(vec![b'f'; size].into()));
            }
            events.push(Event::Chunk { signature });
        }
        body.extend(b"\r\n");
        events.push(Event::End(Trailers::default()));
        (body, events)
    }

    fn framing() -> impl Strategy<Value = Framing> {
        prop_oneof![Just(Framing::Signed), Just(Framing::Unsigned)]
    }

    proptest! {
        #[test]
        fn chunks_come_out_as_they_were_however_the_body_is_cut(framing in framing(), sizes in proptest::collection::vec(0_usize..300, 0..6), step in 1_usize..50) {
            let (body, events) = body(framing, &sizes);
            prop_assert_eq!(decode(framing, &body, step), Ok(events));
        }

        #[test]
        fn a_body_cut_before_the_end_of_its_last_chunk_is_refused(framing in framing(), sizes in proptest::collection::vec(0_usize..300, 0..6), cut in 0_usize..2000) {
            let (body, events) = body(framing, &sizes);
            // All but the two bytes that end the body.
            let whole = body.len() - 2;
            // One byte more is half a line, where trailers may stand.
            let half_a_line = cut == whole + 1;
            match decode(framing, &body[..cut.min(body.len())], 100) {
                Ok(found) => { prop_assert!(cut >= whole); prop_assert_eq!(found, events); }
                Err(error) => { prop_assert!(cut < whole || half_a_line); prop_assert_eq!(error, Malformed::Cut); }
            }
        }

        #[test]
        fn any_bytes_mean_the_same_however_they_are_cut(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b';')], 0..200), step in 1_usize..20) {
            for framing in [Framing::Signed, Framing::Unsigned] {
                prop_assert_eq!(decode(framing, &bytes, step), decode(framing, &bytes, bytes.len()));
            }
        }
    }

    #[test]
    fn a_body_cut_inside_its_last_line_end_is_cut() {
        for body in ["0\r\n\r", "0\r\na:b\r"] {
            let cut = decode(Framing::Unsigned, body.as_bytes(), 3);
            assert_eq!(cut, Err(Malformed::Cut), "{body:?}");
        }
    }

    #[test]
    fn what_is_not_a_chunk_is_named() {
        let of = |framing, body: &str| decode(framing, body.as_bytes(), 3).unwrap_err();
        let signature = "ab".repeat(32);
        assert_eq!(of(Framing::Unsigned, "x\r\n"), Malformed::Size);
        assert_eq!(of(Framing::Unsigned, "\r\n"), Malformed::Size);
        assert_eq!(of(Framing::Unsigned, "+1\r\n"), Malformed::Size);
        assert_eq!(of(Framing::Unsigned, "1\n"), Malformed::Size);
        assert_eq!(
            of(Framing::Unsigned, "11112222333344445\r\n"),
            Malformed::Size
        );
        assert_eq!(of(Framing::Signed, "1\r\n"), Malformed::Unsigned);
        assert_eq!(
            of(Framing::Signed, "1;chunk-signature=ab\r\n"),
            Malformed::Unsigned
        );
        assert_eq!(
            of(Framing::Signed, &format!("1;other={signature}\r\n")),
            Malformed::Unsigned
        );
        assert_eq!(of(Framing::Unsigned, &"1".repeat(300)), Malformed::Line);
        assert_eq!(of(Framing::Unsigned, "1\r\nab"), Malformed::End);
        assert_eq!(of(Framing::Unsigned, "1\r\na\r\r"), Malformed::End);
        assert_eq!(
            of(Framing::Unsigned, "0\r\nno trailer\r\n\r\n"),
            Malformed::Trailer
        );
        let long = format!("0\r\nname:{}\r\n\r\n", "v".repeat(MAX_TRAILERS));
        assert_eq!(of(Framing::Unsigned, &long), Malformed::Trailers);
    }

    #[test]
    fn a_chunk_of_any_size_is_handed_on_as_it_comes() {
        let mut decoder = Decoder::new(Framing::Unsigned);
        let first = Bytes::from_static(b"ffffffffffffffff\r\nabc");
        let mut events = Vec::new();
        decoder.feed(first, |event| events.push(event)).unwrap();
        assert_eq!(events, [Event::Content(Bytes::from_static(b"abc"))]);
        assert_eq!(decoder.kept.len(), 0);
        assert_eq!(decoder.finish(), Err(Malformed::Cut));
    }

    #[test]
    fn trailers_are_read_in_the_forms_that_clients_write() {
        let signature = "cd".repeat(32);
        let body = format!(
            "0\r\nX-Amz-Checksum-Crc32: AAAAAA==\na:b\r\nx-amz-trailer-signature:{signature}\r\n\r\n"
        );
        let trailers = trailers(&body);
        assert_eq!(trailers.get("x-amz-checksum-crc32"), Some("AAAAAA=="));
        assert_eq!(trailers.signature, Some([0xcd; 32]));
        assert_eq!(trailers.canonical(), "a:b\nx-amz-checksum-crc32:AAAAAA==\n");
        assert!(super::tests::trailers("0\r\n").is_empty());
    }
}
