//! What a client of ours says that it stored is there, whatever became of the answers.

use std::fs::{self, File};
use std::sync::Arc;

use lifeboat_core::progress::Progress;
use lifeboat_storage::transfer::{Lane, TransferError};
use lifeboat_testkit::turnstile::{Disturbance, Fault, Turnstile};
use tokio::runtime::Runtime;

use crate::world::{BUCKET, World};

/// More than one part.
const SIZE: u64 = 17 << 20;
const KEY: &str = "large";

/// Sends bytes over an object of the same size; requests about an upload as a whole are disturbed.
fn sent_over_another(fault: Fault) -> (Result<(), TransferError>, bool) {
    let world = World::new();
    let address = world.endpoint().trim_start_matches("http://");
    let gate = Turnstile::start(address.parse().unwrap()).unwrap();
    let (runtime, bucket) = (
        Runtime::new().unwrap(),
        world.bucket(BUCKET, &gate.endpoint()),
    );
    let (lane, progress) = (Lane::new(4, 64 << 20, None), Progress::default());
    let send = |name: &str, byte: u8| {
        let path = world.path(name);
        fs::write(&path, vec![byte; usize::try_from(SIZE).unwrap()]).unwrap();
        let file = Arc::new(File::open(path).unwrap());
        let sent = runtime.block_on(bucket.send(KEY, &file, 0..SIZE, &lane, &progress));
        sent.map(|_| ())
    };
    send("damaged", 1).unwrap();
    gate.disturb(Some(Disturbance {
        fault,
        of: "?uploadId=",
        from: 1,
        every: 100,
    }));
    let ended = send("sound", 2);
    let is_there = fs::read(world.object(KEY)).unwrap().first() == Some(&2);
    (ended, is_there)
}

#[test]
fn an_upload_that_was_completed_although_its_answer_was_lost_is_taken_for_that() {
    let (sent, is_there) = sent_over_another(Fault::Cut);
    sent.unwrap();
    assert!(is_there);
}

#[test]
fn an_upload_that_is_gone_is_not_taken_for_the_object_of_before_it() {
    let (sent, is_there) = sent_over_another(Fault::Status(404));
    assert!(sent.is_err());
    assert!(!is_there);
}
