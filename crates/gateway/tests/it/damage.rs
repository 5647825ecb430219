//! Damage of stored bytes: what it is found by, that it is found, and what is known of it afterwards.

use std::fs::{self, File};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::SignedDuration;
use lifeboat_gateway::backend::digest::{Algorithm, Expected};
use lifeboat_gateway::backend::options::{CopyOptions, PutOptions};
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart};
use lifeboat_gateway::backend::{Backend as _, Scrubbed};
use lifeboat_gateway::backends::local::{Local, Visit};

use crate::support::{
    Timed, Volume, at, begin, content, content_expecting, delete, put, put_part, read,
};

/// The checksum in the record of a file, and that of its bytes.
fn checksums(file: &Path) -> (String, String) {
    let mut record = vec![0; 4096];
    let length = rustix::fs::getxattr(file, "user.lifeboat", record.as_mut_slice()).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record[..length]).unwrap();
    let bytes = fs::read(file).unwrap();
    let found = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, &bytes);
    let kept = record["crc"].as_str().unwrap_or("none").to_owned();
    (kept, format!("{found:016x}"))
}

#[tokio::test]
async fn every_object_carries_the_checksum_of_its_bytes() {
    let volume = Volume::new().await;
    let local = &volume.local;
    put(local, "put", "bytes").await.unwrap();
    put(local, "empty", "").await.unwrap();
    fs::write(volume.path().join("bucket/by-hand"), vec![7; 600_000]).unwrap();
    for key in ["put", "by-hand"] {
        let to = at(&format!("copy-of-{key}"));
        local
            .copy(&at(key), &to, CopyOptions::default())
            .await
            .unwrap();
    }
    let full = vec![b'x'; 5 << 20];
    // Sent twice, the part has a file of its own, and completing joins the parts.
    for (key, times) in [("in-place", 1), ("joined", 2)] {
        let upload = begin(local, key).await.unwrap();
        let mut parts = Vec::new();
        for (number, bytes) in [(1, full.as_slice()), (2, b"rest")] {
            for time in 0..times {
                let part = put_part(local, key, &upload, number, content(bytes))
                    .await
                    .unwrap();
                if time == 0 {
                    parts.push(CompletedPart {
                        number,
                        etag: part.etag,
                        checksum: None,
                    });
                }
            }
        }
        let options = CompleteOptions {
            parts,
            ..CompleteOptions::default()
        };
        local
            .complete_upload(&at(key), &upload, options)
            .await
            .unwrap();
    }
    let objects = [
        "put",
        "empty",
        "copy-of-put",
        "copy-of-by-hand",
        "in-place",
        "joined",
    ];
    for object in objects {
        let (kept, found) = checksums(&volume.path().join("bucket").join(object));
        assert_eq!(kept, found, "{object}");
    }
}

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);
/// So fast that nothing waits.
const RATE: NonZeroU64 = NonZeroU64::MAX;

fn file(timed: &Timed, key: &str) -> PathBuf {
    timed.volume.path().join("bucket").join(key)
}

/// Changes one byte where it lies.
fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[!byte[0]], at).unwrap();
}

async fn scrub(timed: &Timed) -> Scrubbed {
    timed.jump(WEEK);
    timed.volume.local.scrub(RATE).await.unwrap();
    status(&timed.volume.local).await
}

async fn status(local: &Local) -> Scrubbed {
    local.status().await.unwrap().volumes.remove(0).scrub
}

fn damages(timed: &Timed) -> Vec<(String, String)> {
    let visit = Visit::open(timed.volume.path()).unwrap();
    let damages = visit.damages().unwrap().into_iter();
    damages.map(|damage| (damage.key, damage.what)).collect()
}

fn damaged_keys(timed: &Timed) -> Vec<String> {
    damages(timed).into_iter().map(|(key, _)| key).collect()
}

async fn with_checksum(local: &Local, key: &str, algorithm: Algorithm) {
    let expected = Expected {
        compute: Some(algorithm),
        ..Expected::default()
    };
    let content = content_expecting("bytes with a checksum", expected);
    local
        .put(&at(key), PutOptions::default(), content)
        .await
        .unwrap();
}

/// Takes the checksum that this version keeps out of a record, as an earlier version wrote it.
fn forget_crc(path: &Path) {
    let mut record = vec![0; 4096];
    let length = rustix::fs::getxattr(path, "user.lifeboat", record.as_mut_slice()).unwrap();
    let mut record: serde_json::Value = serde_json::from_slice(&record[..length]).unwrap();
    record.as_object_mut().unwrap().remove("crc").unwrap();
    let bytes = serde_json::to_vec(&record).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, "user.lifeboat", &bytes, flags).unwrap();
}

#[tokio::test]
async fn every_kind_of_damage_is_found_and_nothing_else() {
    let timed = Timed::new().await;
    let local = &timed.volume.local;
    let large = "x".repeat(3_000_000);
    for key in [
        "sound",
        "flipped",
        "dir/flipped",
        "cut",
        "grown",
        "no-record",
    ] {
        put(local, key, &large).await.unwrap();
    }
    put(local, "empty", "").await.unwrap();
    for (key, algorithm) in [
        ("checksum", Algorithm::Crc32c),
        ("sha", Algorithm::Sha256),
        ("md5", Algorithm::Crc64Nvme),
    ] {
        for prefix in ["sound-", "old-"] {
            with_checksum(local, &format!("{prefix}{key}"), algorithm).await;
            forget_crc(&file(&timed, &format!("{prefix}{key}")));
        }
        flip(&file(&timed, &format!("old-{key}")), 7);
    }
    fs::write(file(&timed, "by-hand"), "nothing is known of it").unwrap();
    flip(&file(&timed, "flipped"), 2_999_999);
    flip(&file(&timed, "dir/flipped"), 0);
    let cut = File::options()
        .write(true)
        .open(file(&timed, "cut"))
        .unwrap();
    cut.set_len(100).unwrap();
    let mut grown = File::options()
        .append(true)
        .open(file(&timed, "grown"))
        .unwrap();
    std::io::Write::write_all(&mut grown, b"x").unwrap();
    let no_record = file(&timed, "no-record");
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&no_record, "user.lifeboat", b"{", flags).unwrap();
    let status = scrub(&timed).await;
    assert_eq!(
        damaged_keys(&timed),
        [
            "cut",
            "dir/flipped",
            "flipped",
            "grown",
            "no-record",
            "old-checksum",
            "old-md5",
            "old-sha"
        ]
    );
    assert_eq!(
        (status.objects, status.unverifiable, status.damaged),
        (14, 1, 8)
    );
    assert!(status.bytes > 4 * 3_000_000);
    insta::assert_snapshot!(damages(&timed)[2].1, @"CRC64NVME of the bytes is `e36837f767c13ec6`, its record says `c9b267b0882db9ee`");
    // What is there is as it was; a scrub changes nothing.
    assert_eq!(read(local, "sound").await.unwrap(), large);
}

#[tokio::test]
async fn damage_is_known_until_its_object_is_replaced_removed_or_mended() {
    let mut timed = Timed::new().await;
    for key in ["removed", "replaced", "mended", "stays"] {
        put(&timed.volume.local, key, "bytes").await.unwrap();
        flip(&file(&timed, key), 2);
    }
    assert_eq!(scrub(&timed).await.damaged, 4);
    timed = timed.reopen();
    let local = &timed.volume.local;
    assert_eq!(status(local).await.damaged, 4);
    delete(local, "removed").await.unwrap();
    put(local, "replaced", "new").await.unwrap();
    local.tend().await.unwrap();
    assert_eq!(damaged_keys(&timed), ["mended", "stays"]);
    flip(&file(&timed, "mended"), 2);
    assert_eq!(scrub(&timed).await.damaged, 1);
    assert_eq!(damaged_keys(&timed), ["stays"]);
}

#[tokio::test]
async fn an_object_replaced_while_it_is_read_is_no_damage() {
    let timed = Timed::new().await;
    let local = timed.volume.local.clone();
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&done);
    let writer = tokio::spawn(async move {
        let mut writes = 0_usize;
        while !ended.load(Ordering::Relaxed) {
            let content = char::from(b'a' + u8::try_from(writes % 26).unwrap());
            let text = content.to_string().repeat(2_000_000 + writes % 7);
            put(&local, "key", &text).await.unwrap();
            delete(&local, "key").await.unwrap();
            put(&local, "key", &text).await.unwrap();
            writes += 1;
        }
        writes
    });
    for _ in 0..30 {
        assert_eq!(scrub(&timed).await.damaged, 0);
    }
    done.store(true, Ordering::Relaxed);
    assert!(writer.await.unwrap() > 0);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_scrub_was() {
    let timed = Timed::new().await;
    for key in ["a", "b", "c", "d"] {
        put(&timed.volume.local, key, "bytes").await.unwrap();
    }
    let state = r#"{"pass":{"began":"2023-11-14T22:13:20Z","bucket":"bucket","key":"b","objects":2,"bytes":10,"unverifiable":0,"damaged":0},"last":null}"#;
    fs::write(timed.volume.path().join(".lifeboat/scrub"), state).unwrap();
    let timed = timed.reopen();
    timed.volume.local.scrub(RATE).await.unwrap();
    let after = status(&timed.volume.local).await;
    assert_eq!((after.objects, after.bytes), (2, 10));
    let progress = Visit::open(timed.volume.path()).unwrap().scrub().unwrap();
    let last = progress.last.unwrap();
    assert_eq!((last.counts.objects, last.counts.bytes), (4, 20));
    assert_eq!(after.last_pass, Some(last.ended));
    // The next one is not due before a week is over.
    timed.volume.local.scrub(RATE).await.unwrap();
    assert_eq!(status(&timed.volume.local).await.objects, 2);
    assert_eq!(scrub(&timed).await.objects, 6);
}
