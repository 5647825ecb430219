//! Bridges between threads that use `std::io` and tasks that talk to the bucket.
//!
//! Both directions hold at most eight chunks of 256 KiB, so a slow side stops the other. Neither invents an end: a producer
//! that is dropped without saying that it is done makes the consumer fail, so that half a backup can never pass for
//! a whole one.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use lifeboat_core::progress::Progress;
use tokio::sync::mpsc;

/// Chunks that may wait between the two sides.
const QUEUE: usize = 8;
/// Bytes gathered before they travel.
const CHUNK: usize = 256 * 1024;

enum Message {
    Data(Bytes),
    End,
    Failed(io::Error),
}

/// Makes a writer for a thread and the source that an upload reads from. The writer fails once `progress` is asked
/// to stop.
pub fn upward(progress: &Arc<Progress>) -> (Writer, Source) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writer = Writer {
        progress: Arc::clone(progress),
        sender,
        buffer: BytesMut::with_capacity(CHUNK),
    };
    (writer, Source { receiver })
}

/// Makes the feed that a download writes to and a reader for a thread. The reader fails once `progress` is asked to
/// stop.
pub fn downward(progress: &Arc<Progress>) -> (Feed, Reader) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let reader = Reader {
        progress: Arc::clone(progress),
        receiver,
        current: Bytes::new(),
        ended: false,
    };
    (Feed { sender }, reader)
}

/// The producing end of an upload. Only [`Writer::finish`] makes an object of what was written.
pub struct Writer {
    progress: Arc<Progress>,
    sender: mpsc::Sender<Message>,
    buffer: BytesMut,
}

impl Writer {
    /// Says that everything has been written. A writer that is dropped without it makes the upload fail.
    pub fn finish(mut self) -> io::Result<()> {
        self.send_buffer()?;
        self.sender.blocking_send(Message::End).map_err(|_| gone())
    }

    fn send_buffer(&mut self) -> io::Result<()> {
        check(&self.progress)?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = self.buffer.split().freeze();
        self.buffer.reserve(CHUNK);
        self.sender
            .blocking_send(Message::Data(chunk))
            .map_err(|_| gone())
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            self.send_buffer()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_buffer()
    }
}

fn check(progress: &Progress) -> io::Result<()> {
    if progress.is_stopped() {
        Err(io::Error::other("stopped on request"))
    } else {
        Ok(())
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the upload has failed")
}

/// What an upload reads.
pub struct Source {
    receiver: mpsc::Receiver<Message>,
}

impl Source {
    /// Returns the next chunk, none at the announced end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CutShort> {
        match self.receiver.recv().await {
            Some(Message::Data(bytes)) => Ok(Some(bytes)),
            Some(Message::End) => Ok(None),
            Some(Message::Failed(_)) | None => Err(CutShort),
        }
    }
}

/// The producer was dropped before it announced the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CutShort;

/// What a download writes to.
pub struct Feed {
    sender: mpsc::Sender<Message>,
}

impl Feed {
    /// Hands a chunk on. False when the reader is gone and more would be in vain.
    pub(crate) async fn data(&self, bytes: Bytes) -> bool {
        self.sender.send(Message::Data(bytes)).await.is_ok()
    }

    pub(crate) async fn end(self) {
        // A reader that left before the end has already had what it wanted.
        self.sender.send(Message::End).await.ok();
    }

    pub(crate) async fn failed(self, error: io::Error) {
        self.sender.send(Message::Failed(error)).await.ok();
    }
}

/// The consuming end of a download. Fails where the download failed or was dropped.
pub struct Reader {
    progress: Arc<Progress>,
    receiver: mpsc::Receiver<Message>,
    current: Bytes,
    ended: bool,
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check(&self.progress)?;
        while self.current.is_empty() && !self.ended {
            match self.receiver.blocking_recv() {
                Some(Message::Data(bytes)) => self.current = bytes,
                Some(Message::End) => self.ended = true,
                Some(Message::Failed(error)) => return Err(error),
                None => {
                    let what = "the download stopped before its end";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                }
            }
        }
        let taken = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn a_finished_writer_delivers_every_byte_and_then_the_end() {
        let (mut writer, mut source) = upward(&Arc::default());
        let sent: Vec<u8> = (0..=250).cycle().take(CHUNK * 3 + 7).collect();
        let copy = sent.clone();
        let thread = std::thread::spawn(move || {
            writer.write_all(&copy).unwrap();
            writer.finish().unwrap();
        });
        let mut received = Vec::new();
        while let Some(bytes) = source.next().await.unwrap() {
            received.extend_from_slice(&bytes);
        }
        thread.join().unwrap();
        assert!(received == sent);
    }

    #[tokio::test]
    async fn a_dropped_writer_is_no_end() {
        let (mut writer, mut source) = upward(&Arc::default());
        std::thread::spawn(move || writer.write_all(b"half").unwrap())
            .join()
            .unwrap();
        assert_eq!(source.next().await, Err(CutShort));
    }

    #[test]
    fn a_stopped_writer_never_announces_the_end() {
        let progress = Arc::new(Progress::default());
        let (mut writer, _source) = upward(&progress);
        writer.write_all(b"half").unwrap();
        progress.stop();
        writer.finish().unwrap_err();
    }

    #[tokio::test]
    async fn a_dropped_feed_fails_the_reader() {
        let (feed, mut reader) = downward(&Arc::default());
        assert!(feed.data(Bytes::from_static(b"half")).await);
        drop(feed);
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            let error = reader.read_to_string(&mut text).unwrap_err();
            (text, error.kind())
        });
        assert_eq!(
            read.await.unwrap(),
            ("half".to_owned(), io::ErrorKind::UnexpectedEof)
        );
    }
}
