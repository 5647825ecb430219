//! Looking a volume over, beside the gateway that serves it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;

use jiff::SignedDuration;
use lifeboat_core::progress::Progress;
use lifeboat_gateway::backends::local::Visit;
use lifeboat_gateway::backends::local::check::{CheckError, Depth, Findings};
use tempfile::TempDir;

use crate::support::{Timed, Volume, all_keys, begin, content, delete, put, put_part, sources};

fn check(volume: &Path, depth: Depth) -> Findings {
    let visit = Visit::open(volume).unwrap();
    visit
        .check(depth, &sources(9), &Progress::default())
        .unwrap()
}

fn damaged(findings: &Findings) -> Vec<(&str, &str)> {
    let damages = findings.damages.iter();
    damages
        .map(|damage| (damage.key.as_str(), damage.what.as_str()))
        .collect()
}

/// Changes the first byte where it lies.
fn flip(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 0).unwrap();
    file.write_all_at(&[!byte[0]], 0).unwrap();
}

#[tokio::test]
async fn every_object_is_counted_once_whatever_its_key() {
    let volume = Volume::new().await;
    let long = "é".repeat(400);
    let keys = [
        "a",
        "a/b",
        "a/b/",
        "a//",
        "/",
        "..",
        "../x",
        "./.",
        ".lifeboat.self",
        &long,
        "z/é",
    ];
    for key in keys {
        put(&volume.local, key, "12345").await.unwrap();
    }
    let long_below = format!("{}/below", "k".repeat(600));
    put(&volume.local, &long_below, "12345").await.unwrap();
    delete(&volume.local, "z/é").await.unwrap();
    assert_eq!(all_keys(&volume.local).await.len(), 11);
    for depth in [Depth::Records, Depth::Bytes] {
        let found = check(volume.path(), depth);
        assert_eq!((found.survey.objects, found.survey.bytes), (11, 55));
        assert_eq!(found.survey.buckets, 1);
        assert!(found.is_well(), "{found:?}");
        assert_eq!(
            found.read.map(|read| (read.objects, read.bytes)),
            match depth {
                Depth::Records => None,
                Depth::Bytes => Some((11, 55)),
            }
        );
    }
}

#[tokio::test]
async fn what_is_not_served_is_named_with_the_reason() {
    let volume = Volume::new().await;
    put(&volume.local, "dir/object", "x").await.unwrap();
    let bucket = volume.path().join("bucket");
    symlink("/etc/passwd", bucket.join("dir/link")).unwrap();
    symlink("/etc", volume.path().join("linked")).unwrap();
    fs::create_dir(volume.path().join("No_Bucket")).unwrap();
    fs::create_dir(volume.path().join("lost+found")).unwrap();
    fs::write(bucket.join(OsStr::from_bytes(b"not-\xff")), "x").unwrap();
    fs::write(bucket.join(".lifeboat.nothing"), "x").unwrap();
    fs::write(bucket.join(".lifeboat.more.x"), "x").unwrap();
    let deep = ["d"; 600].join("/");
    fs::create_dir_all(bucket.join(&deep)).unwrap();
    fs::write(bucket.join(&deep).join("file"), "x").unwrap();
    let found = check(volume.path(), Depth::Records);
    assert_eq!(found.survey.objects, 1);
    assert_eq!(found.survey.unserved, 7);
    let strays: Vec<_> = found
        .strays()
        .iter()
        .map(|stray| format!("{}: {}", stray.path.replace(&deep, "DEEP"), stray.why))
        .collect();
    insta::assert_snapshot!(strays.join("\n"), @"
    No_Bucket: its name is none that a bucket can have
    bucket/.lifeboat.more.x: no key leads to a file of this name
    bucket/.lifeboat.nothing: no key leads to a file of this name
    bucket/DEEP/file: key of 1204 bytes: at most 1024 are possible
    bucket/dir/link: it is a symbolic link and not followed
    bucket/not-�: its name is not UTF-8
    linked: it is a symbolic link and not followed
    ");
    assert!(!found.is_well());
}

#[tokio::test]
async fn damage_is_found_by_records_and_by_bytes() {
    let volume = Volume::new().await;
    for key in ["sound", "flipped", "no-record"] {
        put(&volume.local, key, "content").await.unwrap();
    }
    let bucket = volume.path().join("bucket");
    flip(&bucket.join("flipped"));
    let file = File::open(bucket.join("no-record")).unwrap();
    rustix::fs::fsetxattr(
        &file,
        "user.lifeboat",
        b"{",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let by_records = check(volume.path(), Depth::Records);
    let [(key, what)] = damaged(&by_records)[..] else {
        panic!("{by_records:?}");
    };
    assert_eq!(key, "no-record");
    assert!(what.starts_with("its record cannot be read"), "{what}");
    let by_bytes = check(volume.path(), Depth::Bytes);
    let keys: Vec<_> = damaged(&by_bytes).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["flipped", "no-record"]);
    let read = by_bytes.read.unwrap();
    assert_eq!((read.objects, read.bytes, read.damaged), (3, 14, 2));
    // It is the scrub's list that lasts, and a check is none.
    assert_eq!(damaged(&check(volume.path(), Depth::Records)).len(), 1);
}

#[tokio::test]
async fn what_the_scrub_found_is_told_until_it_is_replaced() {
    let timed = Timed::new().await;
    for key in ["one", "two"] {
        put(&timed.volume.local, key, "content").await.unwrap();
        flip(&timed.volume.path().join("bucket").join(key));
    }
    timed.jump(SignedDuration::from_hours(7 * 24));
    let rate = std::num::NonZeroU64::MAX;
    timed.volume.local.scrub(rate).await.unwrap();
    let path = timed.volume.path();
    let found = check(path, Depth::Records);
    assert_eq!(damaged(&found).len(), 2);
    assert_eq!(found.scrub.last.unwrap().counts.damaged, 2);
    put(&timed.volume.local, "one", "again").await.unwrap();
    assert_eq!(damaged(&check(path, Depth::Records))[0].0, "two");
    flip(&path.join("bucket/two"));
    assert_eq!(damaged(&check(path, Depth::Records)).len(), 1);
    assert!(check(path, Depth::Bytes).is_well());
}

#[tokio::test]
async fn uploads_and_trash_are_counted_apart() {
    let volume = Volume::new().await;
    volume
        .local
        .keep_trash(SignedDuration::from_hours(1))
        .unwrap();
    let upload = begin(&volume.local, "key").await.unwrap();
    let part = vec![1; 100_000];
    put_part(&volume.local, "key", &upload, 1, content(&part))
        .await
        .unwrap();
    put(&volume.local, "gone", "12345").await.unwrap();
    delete(&volume.local, "gone").await.unwrap();
    let found = check(volume.path(), Depth::Bytes);
    assert_eq!(found.survey.objects, 0);
    assert_eq!((found.trash.count, found.trash.bytes), (1, 5));
    assert_eq!(found.uploads.count, 1);
    assert!(found.uploads.bytes >= 100_000, "{:?}", found.uploads);
}

#[tokio::test]
async fn a_check_can_be_stopped() {
    let volume = Volume::new().await;
    put(&volume.local, "key", "content").await.unwrap();
    let progress = Progress::default();
    progress.stop();
    let visit = Visit::open(volume.path()).unwrap();
    let stopped = visit.check(Depth::Bytes, &sources(9), &progress);
    assert!(matches!(stopped, Err(CheckError::Stopped)), "{stopped:?}");
}

#[test]
fn a_volume_that_no_gateway_has_served_is_left_as_it_is() {
    let volume = TempDir::new().unwrap();
    fs::create_dir(volume.path().join("bucket")).unwrap();
    let visit = Visit::open(volume.path()).unwrap();
    let unused = visit.check(Depth::Records, &sources(9), &Progress::default());
    assert!(
        matches!(unused, Err(CheckError::Unused { .. })),
        "{unused:?}"
    );
    assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 1);
}
