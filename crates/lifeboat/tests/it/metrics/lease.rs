//! What only holds while the lease is ours: by the library, so that others come in between.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::progress::Progress;
use lifeboat_storage::Bucket;
use lifeboat_testkit::servers::victoria_metrics::Release;
use lifeboat_testkit::turnstile::{Action, Moment, Stop, Turnstile};
use lifeboat_victoria_metrics::error::Error;
use lifeboat_victoria_metrics::expire::{self, Stays};
use lifeboat_victoria_metrics::lease::{self, Card, Lease, TERM};
use lifeboat_victoria_metrics::store::Place;
use object_store::multipart::MultipartStore;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use super::{BUCKET, INSTANCE, Metrics, import};
use crate::world::World;

fn bucket(world: &World, url: &str) -> Bucket {
    world.bucket(BUCKET, url)
}

fn place(bucket: &Bucket) -> Place<'_> {
    Place {
        bucket,
        instance: INSTANCE,
        prefix: INSTANCE,
    }
}

fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
}

/// Ends when its object is away: nobody takes it before.
#[test]
fn a_lease_is_given_back_while_it_lasts() {
    let world = World::new();
    let address = world.endpoint().trim_start_matches("http://");
    let gate = Turnstile::start(address.parse().unwrap()).unwrap();
    let (runtime, bucket) = (Runtime::new().unwrap(), bucket(&world, &gate.endpoint()));
    let take = |run: &str, now| {
        let card = Card::new(run, run, now);
        runtime.block_on(Lease::take(&bucket, "lease".to_owned(), card, now))
    };
    let (lease, _) = take("first", at(0)).unwrap();
    // Another one comes when the object is about to be deleted of a lease that would have ended soon.
    let (sender, receiver) = std::sync::mpsc::channel();
    let direct = self::bucket(&world, world.endpoint());
    let late = at(0) + TERM - SignedDuration::from_secs(1);
    let action: Action = Box::new(move || {
        let card = Card::new("second", "second", late);
        let taken = Lease::take(&direct, "lease".to_owned(), card, late);
        let taken = Runtime::new().unwrap().block_on(taken);
        sender.send(taken.map(drop)).unwrap();
    });
    let (request, moment) = (2, Moment::Before);
    gate.reset(Some((Stop { request, moment }, action)));
    runtime.block_on(lease.release(late));
    let taken = receiver.recv().unwrap();
    assert!(matches!(taken, Err(Error::Held { .. })), "{taken:?}");
    assert!(gate.passed() >= 2);
}

/// Uploads to a version that were begun and not ended.
fn uploads(runtime: &Runtime, bucket: &Bucket, version: &str) -> usize {
    let below = format!("{version}/");
    let ended = bucket.end_uploads(&below);
    runtime.block_on(ended).unwrap().len()
}

fn begin_upload(runtime: &Runtime, world: &World, version: &str) {
    let key = format!("{version}/data/small/cut");
    let s3 = world.s3_of(BUCKET);
    let begun = runtime.block_on(s3.create_multipart(&key.into()));
    begun.unwrap();
}

#[test]
fn the_uploads_of_a_killed_run_are_ended_by_whoever_comes_next_and_those_of_a_successor_are_not() {
    let world = World::new();
    let (runtime, bucket) = (Runtime::new().unwrap(), bucket(&world, world.endpoint()));
    let place = place(&bucket);
    let version = format!("{INSTANCE}-latest");
    let take = |run: &str, minutes| {
        let card = Card::new(run, run, at(minutes));
        let taken = Lease::take(&bucket, place.lease_key(), card, at(minutes));
        runtime.block_on(taken).unwrap()
    };
    let (mut killed, _) = take("killed", 0);
    runtime.block_on(killed.note_version(&version)).unwrap();
    begin_upload(&runtime, &world, &version);
    // The next one is killed before it has ended them, and the one after it knows of them.
    drop(take("killed, too", 10));
    let (lease, before) = take("alive", 20);
    assert_eq!(before.unwrap().version, Some(version.clone()));
    // What is another's is left alone.
    let killed = Mutex::new(killed);
    let ended = runtime.block_on(lease::end_uploads(&killed, at(20)));
    assert!(matches!(ended, Err(Error::LeaseLost)), "{ended:?}");
    let lease = Mutex::new(lease);
    assert_eq!(uploads(&runtime, &bucket, &version), 1);
    begin_upload(&runtime, &world, &version);
    let ended = runtime.block_on(lease::end_uploads(&lease, at(20)));
    ended.unwrap();
    assert_eq!(uploads(&runtime, &bucket, &version), 0);
    // An expiry is the last to know.
    begin_upload(&runtime, &world, &version);
    let card = Card::new("expire", "expire", at(30));
    let (clock, progress) = (|| at(30), Progress::default());
    let expired = expire::run(place, &[], card, &clock, &progress);
    assert!(runtime.block_on(expired).unwrap().is_empty());
    assert_eq!(uploads(&runtime, &bucket, &version), 0);
}

/// While somebody thinks about the question whether it may go.
#[test]
fn what_is_another_than_was_judged_does_not_expire() {
    let Some(metrics) = Metrics::start(Release::V1_112) else {
        return;
    };
    metrics.write_daily();
    import(metrics.server(), "boat", 1, 50);
    let run = |command| {
        let command = ["-f", "daily.yaml", "victoria-metrics", command, INSTANCE];
        metrics.world.json(&command)
    };
    run("backup");
    let copies = [(); 3].map(|()| run("copy")["version"].as_str().unwrap().to_owned());
    let [locked, half, plain] = copies.each_ref().map(|copy| metrics.stored(copy));
    let mark = half.join("backup_complete.ignore");
    let manifest = half.join("lifeboat_manifest.ignore");
    let aside = metrics.world.path("aside");
    fs::rename(&manifest, &aside).unwrap();
    fs::remove_file(&mark).unwrap();
    let (runtime, bucket) = (
        Runtime::new().unwrap(),
        bucket(&metrics.world, metrics.world.endpoint()),
    );
    let judged = runtime.block_on(expire::copies(place(&bucket))).unwrap();
    let judged: Vec<_> = judged
        .iter()
        .filter(|copy| copies.contains(&copy.version))
        .collect();
    let complete: Vec<bool> = judged.iter().map(|copy| copy.complete).collect();
    assert_eq!(complete, [true, false, true]);
    fs::write(locked.join("backup_locked.ignore"), b"").unwrap();
    fs::rename(&aside, &manifest).unwrap();
    let card = Card::new("expire", "1", at(0));
    let clock = || at(0);
    let progress = Progress::default();
    let kept = expire::run(place(&bucket), &judged, card, &clock, &progress);
    let kept = runtime.block_on(kept).unwrap();
    assert!(matches!(&kept[0], (name, Stays::Locked) if *name == copies[0]));
    assert!(matches!(&kept[1], (name, Stays::Changed) if *name == copies[1]));
    assert_eq!(kept.len(), 2);
    assert!(locked.exists() && half.exists() && !plain.exists());
}
