//! What a volume promises beyond the contract where its file system cannot do everything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_gateway::backend::Backend as _;
use lifeboat_gateway::backend::options::CopyOptions;
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart};
pub(crate) use lifeboat_gateway::backends::local::Capability::{AnonymousFiles, Attributes, Links};
use lifeboat_gateway::backends::local::Capability::{RenameExchange, RenameNew};
use lifeboat_gateway::backends::local::{Capability, Local};
use tempfile::TempDir;

use crate::support::{
    Volume, all_keys, at, begin, content, delete, head, put, put_part, read, sources,
};

/// What NFS before version 4.2 cannot do.
pub(crate) const AS_ON_NFS: &[Capability] =
    &[AnonymousFiles, Attributes, RenameNew, RenameExchange];
pub(crate) const ALL: &[Capability] = &Capability::ALL;

/// A volume for the contract.
pub(crate) async fn lacking(capabilities: &'static [Capability]) -> Option<Volume> {
    Some(Volume::lacking(capabilities).await)
}

/// Everything below a directory that is no directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

async fn copy(local: &Local, from: &str, to: &str) {
    let options = CopyOptions::default();
    local.copy(&at(from), &at(to), options).await.unwrap();
}

#[tokio::test]
async fn without_attributes_records_go_along_with_a_copy_of_the_volume() {
    let volume = Volume::lacking(&[Attributes]).await;
    put(&volume.local, "dir/a", "text").await.unwrap();
    put(&volume.local, "dir/a", "other").await.unwrap();
    copy(&volume.local, "dir/a", "copy").await;
    let known = head(&volume.local, "dir/a").await.unwrap();
    let copied = head(&volume.local, "copy").await.unwrap();
    let volume = volume.reopen();
    assert_eq!(head(&volume.local, "dir/a").await.unwrap(), known);

    let elsewhere = TempDir::new().unwrap();
    let status = Command::new("cp")
        .args([
            "--recursive",
            "--preserve=timestamps",
            "--no-target-directory",
        ])
        .args([volume.path(), elsewhere.path()])
        .status();
    assert!(status.unwrap().success());
    let local = Local::open_lacking(elsewhere.path(), sources(3), &[Attributes]).unwrap();
    assert_eq!(head(&local, "dir/a").await.unwrap(), known);
    assert_eq!(head(&local, "copy").await.unwrap(), copied);
    drop(local);
    // Where there are attributes now, the records beside still count.
    let local = Local::open(elsewhere.path(), sources(4)).unwrap();
    assert_eq!(head(&local, "dir/a").await.unwrap(), known);
    put(&local, "dir/a", "again").await.unwrap();
    assert_eq!(read(&local, "dir/a").await.unwrap(), "again");
    assert_ne!(head(&local, "dir/a").await.unwrap().etag, known.etag);
}

#[tokio::test]
async fn without_attributes_a_record_counts_for_its_bytes_alone_and_goes_with_them() {
    let volume = Volume::lacking(&[Attributes]).await;
    let beside = volume.path().join(".lifeboat/beside");
    let known = put(&volume.local, "a", "text").await.unwrap();
    put(&volume.local, "b", "text").await.unwrap();
    assert_eq!(files(&beside).len(), 2);
    fs::write(volume.path().join("bucket/a"), "else").unwrap();
    let changed = head(&volume.local, "a").await.unwrap();
    assert!(changed.etag.ends_with("-1"), "{changed:?} was {known:?}");
    put(&volume.local, "b", "text").await.unwrap();
    copy(&volume.local, "b", "c").await;
    assert_eq!(files(&beside).len(), 3);
    for key in ["a", "b", "c"] {
        delete(&volume.local, key).await.unwrap();
    }
    // That of the file which was changed by hand stays; it counts for nobody.
    assert_eq!(files(&beside).len(), 1);
    volume.local.delete_bucket("bucket").await.unwrap();
    assert!(files(&beside).is_empty());
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupted {
    BeforeItLeft,
    WithTheObjectOnItsWay,
}

/// Stops a move of object `a` into its directory where a crash could, and starts the volume again.
async fn interrupted(at: Interrupted) {
    let volume = Volume::lacking(&[RenameExchange]).await;
    put(&volume.local, "dir/a", "text").await.unwrap();
    let moves = volume.path().join(".lifeboat/moves");
    let note = r#"{"bucket":"bucket","names":["dir","a"]}"#;
    fs::write(moves.join("01.note"), note).unwrap();
    fs::create_dir(moves.join("01")).unwrap();
    if at == Interrupted::WithTheObjectOnItsWay {
        let place = volume.path().join("bucket/dir/a");
        fs::rename(place, moves.join("01/.lifeboat.self")).unwrap();
    }
    let volume = volume.reopen();
    assert_eq!(all_keys(&volume.local).await, ["dir/a"]);
    assert_eq!(read(&volume.local, "dir/a").await.unwrap(), "text");
    put(&volume.local, "dir/a/b", "below").await.unwrap();
    assert_eq!(all_keys(&volume.local).await, ["dir/a", "dir/a/b"]);
    assert_eq!(fs::read_dir(moves).unwrap().count(), 0);
}

#[tokio::test]
async fn a_move_that_a_crash_interrupted_is_finished_by_the_start() {
    interrupted(Interrupted::WithTheObjectOnItsWay).await;
    interrupted(Interrupted::BeforeItLeft).await;
}

#[tokio::test]
async fn an_object_is_found_at_every_moment_while_room_is_made_beside_it() {
    for lacking in [&[RenameExchange], &[Links]] {
        let volume = Volume::lacking(lacking).await;
        for round in 0..40 {
            let key = format!("a{round}");
            put(&volume.local, &key, "text").await.unwrap();
            let (local, below) = (volume.local.clone(), format!("{key}/b"));
            let moving = tokio::spawn(async move { put(&local, &below, "below").await });
            while !moving.is_finished() {
                assert_eq!(read(&volume.local, &key).await.unwrap(), "text");
                assert!(all_keys(&volume.local).await.contains(&key));
            }
            moving.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn without_attributes_a_completion_whose_answer_was_lost_is_known_after_the_restart() {
    let volume = Volume::lacking(&[Attributes]).await;
    let upload = begin(&volume.local, "big").await.unwrap();
    let part = put_part(&volume.local, "big", &upload, 1, content("all of it"))
        .await
        .unwrap();
    let journal = volume.path().join(".lifeboat/uploads").join(&upload);
    let kept = volume.path().join("journal");
    fs::hard_link(journal.join("journal"), &kept).unwrap();
    let options = CompleteOptions {
        parts: vec![CompletedPart {
            number: 1,
            etag: part.etag,
            checksum: None,
        }],
        ..CompleteOptions::default()
    };
    let path = at("big");
    let before = volume
        .local
        .complete_upload(&path, &upload, options.clone());
    let before = before.await.unwrap();
    fs::create_dir(&journal).unwrap();
    fs::hard_link(&kept, journal.join("journal")).unwrap();
    let volume = volume.reopen();
    let after = volume.local.complete_upload(&path, &upload, options).await;
    assert_eq!(after.unwrap(), before);
}

/// A file system that keeps no attributes, unmounted at the end.
struct Plain(TempDir);

impl Plain {
    /// Nothing where the machine does not allow a mount; then it says so.
    fn mount() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "ramfs", "ramfs"])
            .arg(directory.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        lifeboat_testkit::skip!("this machine does not let the test mount a file system");
        None
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let status = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
        assert!(status.unwrap().success());
    }
}

#[tokio::test]
async fn a_real_file_system_without_attributes_is_found_out_and_served() {
    let Some(plain) = Plain::mount() else { return };
    let open = |seed| Local::open(plain.0.path(), sources(seed)).unwrap();
    let local = open(1);
    assert!(!local.capabilities().has(Capability::Attributes));
    local.create_bucket("bucket").await.unwrap();
    let put = put(&local, "dir/a", "text").await.unwrap();
    copy(&local, "dir/a", "dir/b").await;
    drop(local);
    let local = open(2);
    assert_eq!(head(&local, "dir/a").await.unwrap().etag, put.etag);
    assert_eq!(head(&local, "dir/b").await.unwrap().etag, put.etag);
    assert_eq!(all_keys(&local).await, ["dir/a", "dir/b"]);
}
