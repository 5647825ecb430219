//! Content in exact amounts, because blocks and calls have lengths.

use std::collections::VecDeque;

use bytes::Bytes;

use super::body::Feeder;
use crate::backend::Error;
use crate::backend::content::{Content, Received};

/// Content that is taken piece by piece.
pub(super) struct Intake {
    content: Content,
    /// Read, not yet taken.
    held: VecDeque<Bytes>,
    ended: bool,
}

impl Intake {
    pub(super) fn new(content: Content) -> Self {
        Self {
            content,
            held: VecDeque::new(),
            ended: false,
        }
    }

    /// Reads on if nothing is held. Returns whether there is something to take.
    async fn fill(&mut self) -> Result<bool, Error> {
        while self.held.is_empty() && !self.ended {
            match self.content.next().await? {
                Some(batch) => self.held.extend(batch),
                None => self.ended = true,
            }
        }
        Ok(!self.held.is_empty())
    }

    /// Takes at most `limit` bytes of what comes next, as many as lie together.
    async fn piece(&mut self, limit: u64) -> Result<Option<Bytes>, Error> {
        if limit == 0 || !self.fill().await? {
            return Ok(None);
        }
        let Some(mut piece) = self.held.pop_front() else {
            return Ok(None);
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if piece.len() > limit {
            self.held.push_front(piece.split_off(limit));
        }
        Ok(Some(piece))
    }

    /// Takes `limit` bytes, or all that is left if that is less.
    pub(super) async fn take(&mut self, limit: u64) -> Result<Vec<Bytes>, Error> {
        let mut left = limit;
        let mut taken = Vec::new();
        while let Some(piece) = self.piece(left).await? {
            left -= size(&piece);
            taken.push(piece);
        }
        Ok(taken)
    }

    /// Gives the next `length` bytes to a call.
    pub(super) async fn feed(&mut self, feeder: &Feeder, length: u64) -> Result<(), Error> {
        let mut left = length;
        while left > 0 {
            let Some(piece) = self.piece(left).await? else {
                // More was announced than came, which the content itself refuses at its end.
                return Err(Error::IncompleteBody {
                    expected: length,
                    found: length - left,
                });
            };
            left -= size(&piece);
            feeder.give(piece).await?;
        }
        Ok(())
    }

    /// Whether all has been taken.
    pub(super) async fn is_empty(&mut self) -> Result<bool, Error> {
        Ok(!self.fill().await?)
    }

    /// Puts bytes back that were taken last.
    pub(super) fn put_back(&mut self, pieces: Vec<Bytes>) {
        for piece in pieces.into_iter().rev() {
            self.held.push_front(piece);
        }
    }

    /// Compares what came with what was promised of it. All must have been taken.
    pub(super) async fn finish(mut self) -> Result<Received, Error> {
        if !self.is_empty().await? {
            return Err(Error::Body {
                source: "not read to its end".into(),
            });
        }
        self.content.finish()
    }
}

pub(super) fn size(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).expect("sizes fit in 64 bits")
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use proptest::prelude::*;

    use super::*;
    use crate::backend::digest::Expected;

    fn intake(pieces: &[usize], length: Option<u64>) -> Intake {
        let mut next = 0_u8;
        let pieces: Vec<_> = pieces
            .iter()
            .map(|size| {
                next = next.wrapping_add(1);
                Ok(Bytes::from(vec![next; *size]))
            })
            .collect();
        Intake::new(Content::new(
            Box::pin(stream::iter(pieces)),
            length,
            Expected::default(),
        ))
    }

    proptest! {
        #[test]
        fn whatever_the_pieces_amounts_are_exact(
            pieces in proptest::collection::vec(0_usize..400_000, 0..6),
            amounts in proptest::collection::vec(1_u64..300_000, 1..20),
        ) {
            let whole: usize = pieces.iter().sum();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut intake = intake(&pieces, None);
                let mut left = u64::try_from(whole).unwrap();
                for amount in amounts {
                    let taken = intake.take(amount).await.unwrap();
                    let sum: u64 = taken.iter().map(size).sum();
                    assert_eq!(sum, amount.min(left));
                    intake.put_back(taken.clone());
                    assert_eq!(intake.take(sum).await.unwrap(), taken);
                    left -= sum;
                    assert_eq!(intake.is_empty().await.unwrap(), left == 0);
                }
                intake.take(u64::MAX).await.unwrap();
                assert_eq!(intake.finish().await.unwrap().size, u64::try_from(whole).unwrap());
            });
        }
    }

    #[tokio::test]
    async fn what_was_not_taken_whole_has_no_result() {
        let mut intake = intake(&[10], Some(10));
        intake.take(9).await.unwrap();
        assert!(intake.finish().await.is_err());
    }

    #[tokio::test]
    async fn fewer_bytes_than_announced_are_an_error() {
        let mut intake = intake(&[10], Some(12));
        assert!(matches!(
            intake.take(12).await,
            Err(Error::IncompleteBody {
                expected: 12,
                found: 10
            })
        ));
    }
}
