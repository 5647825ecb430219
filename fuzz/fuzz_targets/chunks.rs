//! Bodies in chunks: they mean the same however they are cut, what is written is read back, and little is kept.
//!
//! The first byte of an input chooses the framing, the second how the rest is cut.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/gateway/src/protocol/chunks.rs"]
mod chunks;

use chunks::{Decoder, Event, Framing, Malformed, Signature, Trailers};

/// What the decoder lets all trailers together be.
const MAX_TRAILERS: usize = 16 * 1024;

/// What came out of a body until its end or an error.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    content: Vec<u8>,
    /// All that is not content, with the bytes of content before it.
    marks: Vec<(usize, Event)>,
    error: Option<Malformed>,
}

fuzz_target!(|input: &[u8]| {
    let [framing, cuts, body @ ..] = input else {
        return;
    };
    let framing = if framing % 2 == 0 {
        Framing::Signed
    } else {
        Framing::Unsigned
    };
    let step = usize::from(cuts % 61) + 1;
    let told = decode(framing, body, usize::MAX, 0);
    assert_eq!(told, decode(framing, body, 1, 0), "nearly byte by byte");
    assert_eq!(told, decode(framing, body, step, *cuts), "in pieces");
    check_plausible(framing, body, &told);
    if told.error.is_none() {
        let written = write(&told);
        assert_eq!(told, decode(framing, &written, step, *cuts), "written");
    }
    let chunked = chunk(framing, body, step);
    let told = decode(framing, &chunked, usize::from(*cuts) + 1, *cuts);
    assert_eq!(told.error, None, "chunks of our own");
    assert_eq!(told.content, body, "chunks of our own");
    assert_eq!(told.marks.len(), body.len().div_ceil(step) + 2);
});

/// Feeds a body in pieces of `step` bytes, each longer by what `cuts` says.
fn decode(framing: Framing, mut body: &[u8], step: usize, mut cuts: u8) -> Told {
    let mut decoder = Decoder::new(framing);
    let mut told = Told::default();
    while !body.is_empty() {
        let here = step.saturating_add(usize::from(cuts % 7)).min(body.len());
        cuts = cuts.rotate_left(3);
        let (piece, rest) = body.split_at(here);
        body = rest;
        let fed = decoder.feed(Bytes::copy_from_slice(piece), |event| told.hear(event));
        if let Err(error) = fed {
            told.error = Some(error);
            return told;
        }
    }
    match decoder.finish() {
        Ok(end) => told.hear(end),
        Err(error) => told.error = Some(error),
    }
    told
}

impl Told {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Content(content) => {
                assert!(!content.is_empty());
                self.content.extend(content);
            }
            mark => self.marks.push((self.content.len(), mark)),
        }
    }
}

/// Checks what must be so whatever the body was.
fn check_plausible(framing: Framing, body: &[u8], told: &Told) {
    assert!(told.content.len() <= body.len());
    let mut before = None;
    for (at, (content, mark)) in told.marks.iter().enumerate() {
        // Only the last chunk is empty.
        let last = before == Some(*content) || *content == 0;
        match mark {
            Event::Content(_) => unreachable!("content is no mark"),
            Event::Chunk { signature } => {
                assert_eq!(signature.is_some(), framing == Framing::Signed);
                let next = told.marks.get(at + 1);
                assert!(!last || matches!(next, None | Some((_, Event::End(_)))));
            }
            Event::End(trailers) => {
                assert!(last, "it ends behind an empty chunk");
                assert_eq!(at + 1, told.marks.len(), "nothing comes after the end");
                check_trailers(trailers);
            }
        }
        before = Some(*content);
    }
}

/// What is looked up is what is signed, and it is not much.
fn check_trailers(trailers: &Trailers) {
    let canonical = trailers.canonical();
    // One more than was sent where the last line had no end.
    assert!(canonical.len() <= MAX_TRAILERS + 1);
    let nothing = canonical.is_empty() && trailers.signature.is_none();
    assert_eq!(trailers.is_empty(), nothing);
    for line in canonical.lines() {
        let (name, _) = line.split_once(':').expect("a name and a value");
        assert!(trailers.get(name).is_some(), "`{name}` cannot be looked up");
    }
}

/// Writes what was read, as short as it can be said.
fn write(told: &Told) -> Vec<u8> {
    let mut body = Vec::new();
    let mut written = 0;
    for (content, mark) in &told.marks {
        match mark {
            Event::Content(_) => unreachable!("content is no mark"),
            Event::Chunk { signature } => {
                write_chunk(
                    &mut body,
                    &told.content[written..*content],
                    signature.as_ref(),
                );
                written = *content;
            }
            Event::End(trailers) => {
                let mut lines = trailers.canonical();
                if let Some(signature) = trailers.signature {
                    lines += "x-amz-trailer-signature:";
                    lines += &hex::encode(signature);
                }
                body.extend(lines.trim_end_matches('\n').bytes());
            }
        }
    }
    body
}

/// Puts any content into chunks of `step` bytes.
fn chunk(framing: Framing, content: &[u8], step: usize) -> Vec<u8> {
    let signature = (framing == Framing::Signed).then_some([0x5a; 32]);
    let mut body = Vec::new();
    for piece in content.chunks(step) {
        write_chunk(&mut body, piece, signature.as_ref());
    }
    write_chunk(&mut body, b"", signature.as_ref());
    body.extend(b"\r\n");
    body
}

/// The last chunk is empty, and has no line end of its own.
fn write_chunk(body: &mut Vec<u8>, content: &[u8], signature: Option<&Signature>) {
    body.extend(format!("{:x}", content.len()).into_bytes());
    if let Some(signature) = signature {
        body.extend(format!(";chunk-signature={}", hex::encode(signature)).into_bytes());
    }
    body.extend(b"\r\n");
    body.extend(content);
    if !content.is_empty() {
        body.extend(b"\r\n");
    }
}
