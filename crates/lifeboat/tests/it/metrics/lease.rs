//! What only holds while the lease is ours: by the library, so that others come in between.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::progress::Progress;
use lifeboat_storage::Bucket;
use lifeboat_storage::bucket::{Access, Endpoint, Signing};
use lifeboat_testkit::servers::victoria_metrics::Release;
use lifeboat_victoria_metrics::expire::{self, Stays};
use lifeboat_victoria_metrics::lease::Card;
use lifeboat_victoria_metrics::store::Place;
use tokio::runtime::Runtime;

use super::{BUCKET, INSTANCE, Metrics, import};
use crate::world::World;

/// The client of the bucket that the commands have.
fn bucket(world: &World, url: &str) -> Bucket {
    let keys = world.keys();
    let endpoint = Endpoint {
        url: url.to_owned(),
        region: "us-east-1".to_owned(),
        read_timeout: None,
        content: Signing::Content,
    };
    let access = Access {
        access_key: keys.access.to_owned(),
        secret_key: keys.secret.to_owned(),
    };
    Bucket::new(endpoint, BUCKET, &access).unwrap()
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
