//! How much of content the S3 backend holds, whichever side is slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use lifeboat_gateway::backend::Backend as _;
use lifeboat_gateway::backend::content::Content;
use lifeboat_gateway::backend::digest::{Algorithm, Expected};
use lifeboat_gateway::backend::options::{PutOptions, ReadOptions};

use crate::fake::{Fake, Reply};
use crate::support::at;

const STORED: Reply = Reply::Answer(200, &[("etag", "\"e\"")], String::new());

/// Bytes that count how many of them are alive at once.
struct Counted {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(size: usize, alive: &Arc<AtomicUsize>, peak: &AtomicUsize) -> Self {
        let now = alive.fetch_add(size, Ordering::SeqCst) + size;
        peak.fetch_max(now, Ordering::SeqCst);
        Self {
            bytes: vec![b'x'; size],
            alive: Arc::clone(alive),
        }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}

#[tokio::test]
async fn no_more_than_a_few_batches_of_content_are_held() {
    const PIECE: usize = 64 * 1024;
    const PIECES: usize = 1000;
    for (reply, compute) in [
        (STORED, None),
        (STORED, Some(Algorithm::Crc64Nvme)),
        (Reply::Silence, None),
    ] {
        let fake = Fake::playing(vec![reply]).await;
        let alive = Arc::new(AtomicUsize::new(0));
        let peak = Arc::new(AtomicUsize::new(0));
        let counters = (Arc::clone(&alive), Arc::clone(&peak));
        let pieces = stream::iter(0..PIECES).map(move |_| {
            let counted = Counted::new(PIECE, &counters.0, &counters.1);
            Ok(Bytes::from_owner(counted))
        });
        let expected = Expected {
            compute,
            ..Expected::default()
        };
        let length = u64::try_from(PIECE * PIECES).ok();
        let content = Content::new(Box::pin(pieces), length, expected);
        let sent = fake
            .s3()
            .put(&at("k"), PutOptions::default(), content)
            .await;
        let is_silent = fake.seen()[0].body.len() < PIECE * PIECES;
        assert_eq!(sent.is_err(), is_silent);
        let peak = peak.load(Ordering::SeqCst);
        assert!(peak <= 2 * 1024 * 1024, "{peak} bytes were held at once");
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_holds_nothing_in_the_gateway() {
    const SIZE: u64 = 256 * 1024 * 1024;
    let fake = Fake::playing(vec![Reply::Large(SIZE)]).await;
    let s3 = fake.s3();
    let mut opened = s3.get(&at("k"), &ReadOptions::default()).await.unwrap();
    assert_eq!(opened.info.size, SIZE);
    opened.body.next().await.unwrap().unwrap();
    // The rest is in the buffers of the two sockets, which the kernel bounds.
    let mut before = u64::MAX;
    while before != fake.taken() {
        before = fake.taken();
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
    }
    assert!(before < SIZE / 8, "{before} bytes were taken");
}
