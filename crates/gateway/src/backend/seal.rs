//! Seals: marks in arriving content that judge the SHA-256 of the bytes before them.
//!
//! A sender may sign its content in pieces while it sends them. The bytes are hashed where all digests are computed, off
//! the network's threads; what the right digest is, only the protocol knows. So the protocol puts a seal behind each
//! signed run of bytes, and content with one broken seal never counts. Bytes are handed on before the seal behind them is
//! judged, which is why a run may have any length.

use bytes::Bytes;
use futures::stream::BoxStream;
use sha2::{Digest as _, Sha256};

use super::content::BodyError;

/// Judges the SHA-256 of the bytes between itself and the seal before, or the beginning.
pub type Seal = Box<dyn FnOnce(&[u8; 32]) -> Result<(), BodyError> + Send>;

/// What arrives of sealed content.
pub enum Piece {
    Bytes(Bytes),
    Seal(Seal),
}

/// Sealed content, bit by bit. An error ends it.
pub type Pieces = BoxStream<'static, Result<Piece, BodyError>>;

/// Seals among pieces of content, in order, each with how many of the pieces lie before it.
pub(super) type Seals = Vec<(usize, Seal)>;

/// Follows content from seal to seal.
pub(super) struct Guard {
    sha256: Sha256,
    /// A seal stands behind everything so far. Not so at the beginning: without a seal nothing is proved.
    closed: bool,
}

/// The content ends with something that no seal stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content ends without a seal")]
struct Unsealed;

impl Guard {
    pub(super) fn new() -> Self {
        Self {
            sha256: Sha256::new(),
            closed: false,
        }
    }

    /// Takes the next pieces and the seals among them. After an error nothing of the content counts.
    pub(super) fn follow(&mut self, pieces: &[Bytes], seals: Seals) -> Result<(), BodyError> {
        let mut seals = seals.into_iter().peekable();
        for (before, piece) in pieces.iter().enumerate() {
            while let Some((_, seal)) = seals.next_if(|(at, _)| *at <= before) {
                self.judge(seal)?;
            }
            self.sha256.update(piece);
            self.closed = false;
        }
        seals.try_for_each(|(_, seal)| self.judge(seal))
    }

    fn judge(&mut self, seal: Seal) -> Result<(), BodyError> {
        self.closed = true;
        seal(&self.sha256.finalize_reset().into())
    }

    /// To be called at the end of the content.
    pub(super) fn finish(self) -> Result<(), BodyError> {
        if self.closed {
            Ok(())
        } else {
            Err(Unsealed.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(text: &str) -> Seal {
        let expected: [u8; 32] = Sha256::digest(text).into();
        Box::new(move |found| {
            let right = *found == expected;
            right.then_some(()).ok_or_else(|| "broken".into())
        })
    }

    fn pieces(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().copied().map(Bytes::from).collect()
    }

    #[test]
    fn each_seal_stands_for_the_bytes_since_the_one_before() {
        let mut guard = Guard::new();
        let seals = vec![(0, sealed("")), (2, sealed("onetwo")), (2, sealed(""))];
        guard
            .follow(&pieces(&["one", "two", "thr"]), seals)
            .unwrap();
        guard
            .follow(&pieces(&["ee"]), vec![(1, sealed("three"))])
            .unwrap();
        guard.finish().unwrap();
        let mut guard = Guard::new();
        let seals = vec![(1, sealed("one")), (2, sealed("onetwo"))];
        assert!(guard.follow(&pieces(&["one", "two"]), seals).is_err());
    }

    #[test]
    fn what_no_seal_stands_behind_is_not_proved() {
        assert!(Guard::new().finish().is_err());
        let mut guard = Guard::new();
        let seals = vec![(1, sealed("one"))];
        guard.follow(&pieces(&["one", "two"]), seals).unwrap();
        assert!(guard.finish().is_err());
        let mut guard = Guard::new();
        guard.follow(&[], vec![(0, sealed(""))]).unwrap();
        guard.finish().unwrap();
    }
}
