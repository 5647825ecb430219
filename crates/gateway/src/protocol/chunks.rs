//! What the protocol layer does not check of a streaming body: that no chunk is too large, and that the last one came.
//!
//! It collects a signed chunk whole before it checks the signature, whatever size the client announces. Clients send chunks
//! of 64 to 128 KiB; one that announces more than [`MAX_CHUNK`] is refused before it is collected. And it takes the end of
//! the body for the end of the chunks: only the empty chunk, whose signature closes the chain, says that nothing was cut off.

/// The largest chunk, in bytes.
pub(super) const MAX_CHUNK: u64 = 16 * 1024 * 1024;

/// Why chunks are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// A chunk larger than [`MAX_CHUNK`] was announced.
    #[error("a chunk is larger than 16 MiB")]
    TooLarge,
    #[error("the body ends before its last chunk")]
    Cut,
}

/// Follows the chunks of a body as it passes. Whether they are well formed is for the protocol layer to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the hexadecimal size at the beginning of a chunk.
    Size(u64),
    /// After the size, up to the end of the line.
    Signature(u64),
    /// In the bytes of the chunk and the line end after it, so many left.
    Data(u64),
    /// After the last chunk, or after something that is no chunk.
    End,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self::Size(0)
    }

    /// To be called with all bytes in order.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Refused> {
        while let Some((byte, rest)) = bytes.split_first() {
            match *self {
                Self::Size(size) => {
                    *self = match (char::from(*byte).to_digit(16), byte) {
                        (Some(digit), _) => Self::Size(size * 16 + u64::from(digit)),
                        (None, b';' | b'\r') => Self::Signature(size),
                        (None, _) => Self::End,
                    };
                    if matches!(*self, Self::Size(size) if size > MAX_CHUNK) {
                        return Err(Refused::TooLarge);
                    }
                    bytes = rest;
                }
                Self::Signature(size) => {
                    if *byte == b'\n' {
                        *self = if size == 0 {
                            Self::End
                        } else {
                            Self::Data(size + 2)
                        };
                    }
                    bytes = rest;
                }
                Self::Data(left) => {
                    let here = left.min(u64::try_from(bytes.len()).expect("sizes fit in 64 bits"));
                    bytes = &bytes[usize::try_from(here).expect("no more than there is")..];
                    *self = if here == left {
                        Self::Size(0)
                    } else {
                        Self::Data(left - here)
                    };
                }
                Self::End => return Ok(()),
            }
        }
        Ok(())
    }

    /// To be called when the body ends.
    pub(super) fn end(&self) -> Result<(), Refused> {
        match self {
            Self::End => Ok(()),
            _ => Err(Refused::Cut),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(sizes: &[usize]) -> Vec<u8> {
        let mut body = Vec::new();
        for size in sizes.iter().copied().filter(|size| *size > 0).chain([0]) {
            body.extend(format!("{size:x};chunk-signature=ab\r\n").into_bytes());
            body.extend(vec![b'f'; size]);
            body.extend(b"\r\n");
        }
        body
    }

    proptest! {
        #[test]
        fn ordinary_chunks_pass_however_they_are_cut(sizes in proptest::collection::vec(0_usize..300, 0..6), step in 1_usize..50) {
            let mut chunks = Chunks::new();
            for piece in body(&sizes).chunks(step) {
                prop_assert_eq!(chunks.pass(piece), Ok(()));
            }
            prop_assert_eq!(chunks, Chunks::End);
        }

        #[test]
        fn chunks_cut_before_the_end_of_the_last_size_are_refused(sizes in proptest::collection::vec(0_usize..300, 0..6), cut in 0_usize..2000) {
            let body = body(&sizes);
            // All but the two bytes that end the body.
            let whole = body.len() - 2;
            let mut chunks = Chunks::new();
            prop_assert_eq!(chunks.pass(&body[..cut.min(body.len())]), Ok(()));
            prop_assert_eq!(chunks.end().is_ok(), cut >= whole);
        }

        #[test]
        fn any_bytes_pass_or_are_refused_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let refused = Chunks::new().pass(&bytes).is_err();
            let digits = bytes.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            prop_assert!(!refused || digits > 0 || bytes.contains(&b'\n'));
        }
    }

    #[test]
    fn a_chunk_beyond_the_limit_is_refused_by_its_size_alone() {
        assert_eq!(Chunks::new().pass(b"1000000;"), Ok(()));
        assert_eq!(Chunks::new().pass(b"1000001"), Err(Refused::TooLarge));
        assert_eq!(Chunks::new().pass(&[b'f'; 100]), Err(Refused::TooLarge));
        let mut second = Chunks::new();
        assert_eq!(
            second.pass(b"3;s\r\nabc\r\nfffffff;"),
            Err(Refused::TooLarge)
        );
    }
}
