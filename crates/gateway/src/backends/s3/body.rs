//! Content on its way to the store: checked by us before the store can have all of it, and never more than one window held.
//!
//! Little content is collected, checked and sent as a whole, so that it can be sent again. More is streamed: the last bytes
//! leave only when all of it is what was promised. A checksum that comes after the content, or that is only asked for, goes
//! to the store behind the content too. Content of a length that nobody knows is cut into windows.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::headers::checksum_name;
use super::sign::Payload;
use crate::backend::Error;
use crate::backend::content::{BATCH, BodyError, Checked, Content, Received};
use crate::backend::digest::{Algorithm, Checksum};

/// The most that is held of one request, in bytes.
pub(super) const WINDOW: usize = 8 * 1024 * 1024;
/// The size of chunks of content with a checksum behind it, in bytes. S3 wants at least 8 KiB.
const CHUNK: u64 = 64 * 1024;

/// What a client sent, ready to be sent on.
pub(super) enum Outgoing {
    /// Checked already.
    Whole(Bytes, Received),
    Streamed(Streamed),
    /// More than one window, and nobody knows how much.
    Windows(Windows),
}

impl Outgoing {
    pub(super) async fn of(mut content: Content) -> Result<Self, Error> {
        let small = u64::try_from(BATCH).expect("sizes fit in 64 bits");
        match content.length() {
            Some(length) if length > small => Ok(Self::Streamed(Streamed::new(content, length))),
            Some(_) => {
                let mut whole = BytesMut::new();
                while let Some(batch) = content.next().await? {
                    whole.extend(batch);
                }
                Ok(Self::Whole(whole.freeze(), content.finish()?))
            }
            None => Windows::begin(content).await,
        }
    }
}

/// Content as it passes. Can be sent once.
pub(super) struct Streamed {
    pub(super) stream: BoxStream<'static, Result<Bytes, BodyError>>,
    /// Of what is sent, in bytes.
    pub(super) length: u64,
    /// Of the content, in bytes.
    pub(super) size: u64,
    /// Which checksum follows the content.
    pub(super) trailer: Option<Algorithm>,
    /// Known when all of it has been sent, or could not be.
    pub(super) checked: Checked,
    pub(super) progress: Progress,
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed")
            .field("size", &self.size)
            .field("trailer", &self.trailer)
            .finish_non_exhaustive()
    }
}

impl Streamed {
    fn new(content: Content, size: u64) -> Self {
        let expected = content.expected();
        // What was sent as a header goes on as a header.
        let trailer = match &expected.checksum {
            Some(_) => None,
            None => expected.algorithm(),
        };
        let (stream, checked) = content.into_checked();
        let progress = Progress::default();
        let (stream, length) = match trailer {
            Some(algorithm) => (
                chunked(stream, size, algorithm, checked.clone()),
                chunked_length(size, algorithm),
            ),
            None => (stream, size),
        };
        let moved = progress.clone();
        Self {
            stream: stream.inspect(move |_| moved.mark()).boxed(),
            length,
            size,
            trailer,
            checked,
            progress,
        }
    }

    pub(super) fn payload(&self) -> Payload {
        match self.trailer {
            Some(_) => Payload::Trailed,
            None => Payload::Unsigned,
        }
    }
}

/// When content last moved.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Progress {
    fn mark(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Content in chunks with its checksum behind them, as S3 has it without signatures of chunks.
fn chunked(
    content: BoxStream<'static, Result<Bytes, BodyError>>,
    size: u64,
    algorithm: Algorithm,
    checked: Checked,
) -> BoxStream<'static, Result<Bytes, BodyError>> {
    let mut chunks = Chunks {
        to_come: size,
        in_chunk: 0,
    };
    let pieces = content.map(move |bytes| chunks.frame(bytes?));
    let end = stream::once(async move {
        let checksum = checked
            .checksum()
            .ok_or_else(|| BodyError::from("the content has no checksum"))?;
        Ok(vec![ending(algorithm, &checksum)])
    });
    pieces
        .chain(end)
        .map_ok(|pieces| stream::iter(pieces.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

fn ending(algorithm: Algorithm, checksum: &Checksum) -> Bytes {
    let name = checksum_name(algorithm);
    format!("0\r\n{name}:{}\r\n\r\n", checksum.value).into()
}

/// How many bytes [`chunked`] makes of `size`.
fn chunked_length(size: u64, algorithm: Algorithm) -> u64 {
    let around = |size: u64| {
        let digits = u64::from(size.checked_ilog(16).unwrap_or(0)) + 1;
        digits + 2 + size + 2
    };
    let rest = match size % CHUNK {
        0 => 0,
        rest => around(rest),
    };
    let sum = algorithm.length().div_ceil(3) * 4;
    let ending =
        "0\r\n".len() + checksum_name(algorithm).len() + ":".len() + sum + "\r\n\r\n".len();
    size / CHUNK * around(CHUNK) + rest + u64::try_from(ending).expect("sizes fit in 64 bits")
}

/// Where in the chunks the content is.
struct Chunks {
    /// Of the content, without the open chunk, in bytes.
    to_come: u64,
    /// Until the open chunk ends, in bytes.
    in_chunk: u64,
}

impl Chunks {
    /// Puts the frames of chunks around and into `bytes`.
    fn frame(&mut self, mut bytes: Bytes) -> Result<Vec<Bytes>, BodyError> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            if self.in_chunk == 0 {
                self.in_chunk = self.to_come.min(CHUNK);
                self.to_come -= self.in_chunk;
                if self.in_chunk == 0 {
                    return Err("more content than was announced".into());
                }
                pieces.push(format!("{:x}\r\n", self.in_chunk).into());
            }
            let fits =
                usize::try_from(self.in_chunk).map_or(bytes.len(), |rest| rest.min(bytes.len()));
            pieces.push(bytes.split_to(fits));
            self.in_chunk -= u64::try_from(fits).expect("sizes fit in 64 bits");
            if self.in_chunk == 0 {
                pieces.push(Bytes::from_static(b"\r\n"));
            }
        }
        Ok(pieces)
    }
}

/// Content that is taken one window after the other.
pub(super) struct Windows {
    content: Content,
    /// Collected, but not handed out.
    rest: BytesMut,
    ended: bool,
}

impl Windows {
    async fn begin(content: Content) -> Result<Outgoing, Error> {
        let mut windows = Self {
            content,
            rest: BytesMut::new(),
            ended: false,
        };
        windows.collect().await?;
        if windows.ended && windows.rest.len() <= WINDOW {
            let received = windows.content.finish()?;
            return Ok(Outgoing::Whole(windows.rest.freeze(), received));
        }
        Ok(Outgoing::Windows(windows))
    }

    /// The checksum that is computed.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.content.expected().algorithm()
    }

    /// The next window, full but for the last one; nothing at the end. What it holds has not been checked.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.collect().await?;
        let size = self.rest.len().min(WINDOW);
        Ok((size > 0).then(|| self.rest.split_to(size).freeze()))
    }

    /// Says what all of it was, once there is no window left.
    pub(super) fn finish(self) -> Result<Received, Error> {
        self.content.finish()
    }

    /// Collects until a window is full and it is known whether more follows.
    async fn collect(&mut self) -> Result<(), Error> {
        while self.rest.len() <= WINDOW && !self.ended {
            match self.content.next().await? {
                Some(batch) => self.rest.extend(batch),
                None => self.ended = true,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::digest::{Expected, Hasher};

    fn content(pieces: &[usize], length: Option<u64>, expected: Expected) -> Content {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|size| Ok(Bytes::from(vec![b'x'; *size])))
            .collect();
        Content::new(Box::pin(stream::iter(pieces)), length, expected)
    }

    fn size(pieces: &[usize]) -> u64 {
        u64::try_from(pieces.iter().sum::<usize>()).unwrap()
    }

    async fn sent(outgoing: Outgoing) -> (Vec<u8>, u64) {
        match outgoing {
            Outgoing::Streamed(streamed) => {
                let pieces: Vec<Bytes> = streamed.stream.try_collect().await.unwrap();
                assert!(streamed.checked.take().unwrap().is_ok());
                (pieces.concat(), streamed.length)
            }
            Outgoing::Whole(bytes, received) => (bytes.to_vec(), received.size),
            Outgoing::Windows(_) => panic!("its length was known"),
        }
    }

    /// Takes the chunks off again, as a server would.
    fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, String) {
        let mut content = Vec::new();
        loop {
            let end = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap();
            let size = std::str::from_utf8(&bytes[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            bytes = &bytes[end + 2..];
            if size == 0 {
                return (content, std::str::from_utf8(bytes).unwrap().to_owned());
            }
            content.extend_from_slice(&bytes[..size]);
            assert_eq!(&bytes[size..size + 2], b"\r\n");
            bytes = &bytes[size + 2..];
        }
    }

    #[tokio::test]
    async fn little_content_is_checked_before_any_of_it_is_sent() {
        let wrong = Expected {
            md5: Some([0; 16]),
            ..Expected::default()
        };
        assert!(Outgoing::of(content(&[], Some(0), wrong)).await.is_err());
        let outgoing = Outgoing::of(content(&[3, 4], Some(7), Expected::default())).await;
        assert!(matches!(outgoing, Ok(Outgoing::Whole(bytes, _)) if bytes.len() == 7));
    }

    #[tokio::test]
    async fn content_of_unknown_length_is_cut_into_windows() {
        let outgoing = Outgoing::of(content(&[WINDOW], None, Expected::default())).await;
        assert!(matches!(outgoing, Ok(Outgoing::Whole(bytes, _)) if bytes.len() == WINDOW));
        let pieces = vec![100_000; 200];
        let outgoing = Outgoing::of(content(&pieces, None, Expected::default()))
            .await
            .unwrap();
        let Outgoing::Windows(mut windows) = outgoing else {
            panic!("more than one window");
        };
        let mut sizes = Vec::new();
        while let Some(window) = windows.next().await.unwrap() {
            assert!(windows.rest.len() <= 2 * BATCH);
            sizes.push(window.len());
        }
        assert_eq!(sizes, [WINDOW, WINDOW, 20_000_000 - 2 * WINDOW]);
        assert_eq!(windows.finish().unwrap().size, 20_000_000);
    }

    #[test]
    fn a_checksum_follows_the_content_and_the_length_is_known_before() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let algorithm = prop::sample::select(Algorithm::ALL.to_vec());
        let pieces = prop::collection::vec(0_usize..200_000, 4..8);
        proptest!(ProptestConfig::with_cases(40), |(algorithm in algorithm, pieces in pieces)| {
            let whole = size(&pieces);
            prop_assume!(whole > u64::try_from(BATCH).unwrap());
            let expected = Expected { compute: Some(algorithm), ..Expected::default() };
            let (bytes, length) = runtime.block_on(async {
                sent(Outgoing::of(content(&pieces, Some(whole), expected)).await.unwrap()).await
            });
            prop_assert_eq!(u64::try_from(bytes.len()).unwrap(), length);
            let (content, trailer) = unchunked(&bytes);
            prop_assert_eq!(u64::try_from(content.len()).unwrap(), whole);
            let mut hasher = Hasher::new(Some(algorithm));
            hasher.update(&content);
            let sum = hasher.finish().checksum.unwrap().value;
            prop_assert_eq!(trailer, format!("{}:{sum}\r\n\r\n", checksum_name(algorithm)));
        });
    }

    #[tokio::test]
    async fn chunked_content_that_is_not_as_promised_never_ends() {
        let expected = Expected {
            trailer: Some((
                Algorithm::Crc32,
                Box::new(|| Checksum::new(Algorithm::Crc32, "AAAAAA==")),
            )),
            ..Expected::default()
        };
        let outgoing = Outgoing::of(content(&[500_000], Some(500_000), expected))
            .await
            .unwrap();
        let Outgoing::Streamed(streamed) = outgoing else {
            panic!("more than is sent as a whole");
        };
        assert_eq!(streamed.trailer, Some(Algorithm::Crc32));
        let sent: Result<Vec<Bytes>, _> = streamed.stream.try_collect().await;
        assert!(sent.is_err());
        let result = streamed.checked.take().unwrap();
        assert!(matches!(
            result,
            Err(Error::DigestMismatch {
                algorithm: "CRC32",
                ..
            })
        ));
    }
}
