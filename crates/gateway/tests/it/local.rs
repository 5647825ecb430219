//! What only the local backend promises: plain files, nothing outside the volume, nothing left of a crash.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;
use std::time::Duration;

use lifeboat_core::error::Kind;
use lifeboat_gateway::backend::options::{CopyOptions, PutOptions};
use lifeboat_gateway::backend::upload::{CompleteOptions, CompletedPart};
use lifeboat_gateway::backend::{Attributes, Backend as _, Error};
use lifeboat_gateway::backends::local::{Local, OpenError};

use crate::support::{
    Volume, all_keys, at, begin, content, delete, head, put, put_part, read, sources,
};

const NASTY: [&str; 16] = [
    "..",
    ".",
    "../../escape",
    "/leading",
    "a//b",
    "a/",
    "a",
    "a/b",
    "a/b/",
    "//",
    ".lifeboat/lock",
    ".lifeboat.self",
    ".lifeboat.as.x",
    "con\u{1}trol\nline",
    "é/ünï/😀",
    "-rf *",
];

#[tokio::test]
async fn an_object_is_a_plain_file_with_one_attribute() {
    let volume = Volume::new().await;
    put(&volume.local, "backups/a.graph", "bytes")
        .await
        .unwrap();
    let file = volume.path().join("bucket/backups/a.graph");
    assert_eq!(fs::read_to_string(&file).unwrap(), "bytes");
    let moved = volume.path().join("bucket/moved");
    fs::rename(&file, &moved).unwrap();
    assert_eq!(read(&volume.local, "moved").await.unwrap(), "bytes");
    fs::remove_file(&moved).unwrap();
    assert!(matches!(
        read(&volume.local, "moved").await,
        Err(Error::NoSuchKey { .. })
    ));
}

#[tokio::test]
async fn a_file_put_there_by_hand_is_an_object() {
    let volume = Volume::new().await;
    fs::create_dir(volume.path().join("bucket/by")).unwrap();
    fs::write(volume.path().join("bucket/by/hand"), "bytes").unwrap();
    let info = head(&volume.local, "by/hand").await.unwrap();
    assert!(info.etag.ends_with("-1"), "{}", info.etag);
    assert_eq!(head(&volume.local, "by/hand").await.unwrap(), info);
    volume
        .local
        .copy(&at("by/hand"), &at("copy"), CopyOptions::default())
        .await
        .unwrap();
    fs::write(volume.path().join("bucket/by/hand"), "changed in place").unwrap();
    assert_eq!(read(&volume.local, "copy").await.unwrap(), "bytes");
    assert_ne!(
        head(&volume.local, "by/hand").await.unwrap().etag,
        info.etag
    );
    assert_eq!(all_keys(&volume.local).await, ["by/hand", "copy"]);
}

#[tokio::test]
async fn strange_keys_are_kept_faithfully_and_inside() {
    let volume = Volume::new().await;
    let long = format!("{}/{}", "é".repeat(300), "x".repeat(400));
    let deep = "/".repeat(1024);
    let mut expected: Vec<&str> = NASTY
        .iter()
        .copied()
        .chain([long.as_str(), deep.as_str()])
        .collect();
    for key in &expected {
        put(&volume.local, key, key).await.unwrap();
    }
    expected.sort_unstable();
    assert_eq!(all_keys(&volume.local).await, expected);
    for key in &expected {
        assert_eq!(read(&volume.local, key).await.unwrap(), **key);
    }
    let beside: Vec<PathBuf> = fs::read_dir(volume.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
    for key in &expected {
        delete(&volume.local, key).await.unwrap();
    }
    assert!(all_keys(&volume.local).await.is_empty());
    assert_eq!(
        fs::read_dir(volume.path().join("bucket")).unwrap().count(),
        0
    );
}

#[tokio::test]
async fn a_copy_has_its_own_time_and_a_write_says_all_that_readers_are_told() {
    let volume = Volume::new().await;
    let stored = put(&volume.local, "k", "bytes").await.unwrap();
    let info = head(&volume.local, "k").await.unwrap();
    assert_eq!(stored, info.clone().into());
    let copied = volume
        .local
        .copy(&at("k"), &at("copy"), CopyOptions::default())
        .await
        .unwrap();
    let copy = head(&volume.local, "copy").await.unwrap();
    assert_eq!(copied, copy.clone().into());
    assert!(copy.modified > info.modified);
}

#[tokio::test]
async fn an_object_and_objects_below_its_name_live_together() {
    let volume = Volume::new().await;
    put(&volume.local, "a", "top").await.unwrap();
    let before = head(&volume.local, "a").await.unwrap();
    put(&volume.local, "a/b/c", "below").await.unwrap();
    put(&volume.local, "a/b", "between").await.unwrap();
    assert_eq!(head(&volume.local, "a").await.unwrap(), before);
    assert_eq!(all_keys(&volume.local).await, ["a", "a/b", "a/b/c"]);
    put(&volume.local, "a", "new top").await.unwrap();
    assert_eq!(read(&volume.local, "a").await.unwrap(), "new top");
    delete(&volume.local, "a").await.unwrap();
    assert_eq!(read(&volume.local, "a/b").await.unwrap(), "between");
    assert_eq!(all_keys(&volume.local).await, ["a/b", "a/b/c"]);
}

#[tokio::test]
async fn a_planted_link_leads_nowhere() {
    let volume = Volume::new().await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), volume.path().join("bucket/link")).unwrap();
    symlink(
        outside.path().join("secret"),
        volume.path().join("bucket/file"),
    )
    .unwrap();
    symlink(outside.path(), volume.path().join("linked-bucket")).unwrap();
    for key in ["link/secret", "file", "link"] {
        assert!(
            matches!(read(&volume.local, key).await, Err(Error::NoSuchKey { .. })),
            "{key}"
        );
    }
    assert!(put(&volume.local, "link/new", "x").await.is_err());
    assert!(all_keys(&volume.local).await.is_empty());
    assert!(matches!(
        volume.local.bucket("linked-bucket").await,
        Err(Error::NoSuchBucket { .. })
    ));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_copy_takes_no_space() {
    let volume = Volume::new().await;
    put(&volume.local, "source", "bytes").await.unwrap();
    volume
        .local
        .copy(&at("source"), &at("copy"), CopyOptions::default())
        .await
        .unwrap();
    let inode = |key: &str| {
        fs::metadata(volume.path().join("bucket").join(key))
            .unwrap()
            .ino()
    };
    assert_eq!(inode("source"), inode("copy"));
    put(&volume.local, "source", "other").await.unwrap();
    assert_ne!(inode("source"), inode("copy"));
    assert_eq!(read(&volume.local, "copy").await.unwrap(), "bytes");
}

#[tokio::test]
async fn full_slots_become_the_object_without_being_copied() {
    let volume = Volume::new().await;
    let upload = begin(&volume.local, "big").await.unwrap();
    let part = put_part(&volume.local, "big", &upload, 1, content("only part"))
        .await
        .unwrap();
    let data = volume
        .path()
        .join(".lifeboat/uploads")
        .join(&upload)
        .join("data");
    let inode = fs::metadata(data).unwrap().ino();
    let parts = vec![CompletedPart {
        number: 1,
        etag: part.etag,
        checksum: None,
    }];
    let options = CompleteOptions {
        parts,
        ..CompleteOptions::default()
    };
    volume
        .local
        .complete_upload(&at("big"), &upload, options)
        .await
        .unwrap();
    assert_eq!(
        fs::metadata(volume.path().join("bucket/big"))
            .unwrap()
            .ino(),
        inode
    );
    assert_eq!(
        fs::read_dir(volume.path().join(".lifeboat/uploads"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_start_removes_what_a_crash_left_and_keeps_the_rest() {
    let volume = Volume::new().await;
    put(&volume.local, "kept", "bytes").await.unwrap();
    let upload = begin(&volume.local, "big").await.unwrap();
    let first = put_part(&volume.local, "big", &upload, 1, content("first"))
        .await
        .unwrap();
    let home = volume.path().join(".lifeboat");
    fs::write(home.join("tmp/half-written"), "x").unwrap();
    fs::create_dir(home.join("uploads/never-begun")).unwrap();
    let journal = home.join("uploads").join(&upload).join("journal");
    let mut torn = fs::read(&journal).unwrap();
    torn.extend(b"deadbeef {\"part\":{\"number\":2");
    fs::write(&journal, torn).unwrap();

    let volume = volume.reopen();
    assert_eq!(fs::read_dir(home.join("tmp")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(home.join("uploads")).unwrap().count(), 1);
    assert_eq!(all_keys(&volume.local).await, ["kept"]);
    let arrived = volume.local.parts(&at("big"), &upload).await.unwrap();
    assert_eq!(arrived.parts, std::slice::from_ref(&first));
    let second = put_part(&volume.local, "big", &upload, 1, content("again"))
        .await
        .unwrap();
    let volume = volume.reopen();
    let parts = vec![CompletedPart {
        number: 1,
        etag: second.etag,
        checksum: None,
    }];
    let options = CompleteOptions {
        parts,
        ..CompleteOptions::default()
    };
    volume
        .local
        .complete_upload(&at("big"), &upload, options)
        .await
        .unwrap();
    assert_eq!(read(&volume.local, "big").await.unwrap(), "again");
}

#[tokio::test]
async fn an_upload_cut_off_after_its_object_was_published_is_over() {
    let volume = Volume::new().await;
    let upload = begin(&volume.local, "big").await.unwrap();
    let part = put_part(&volume.local, "big", &upload, 1, content("part"))
        .await
        .unwrap();
    let directory = volume.path().join(".lifeboat/uploads").join(&upload);
    let journal_before = fs::read(directory.join("journal")).unwrap();
    let parts = vec![CompletedPart {
        number: 1,
        etag: part.etag,
        checksum: None,
    }];
    let options = CompleteOptions {
        parts,
        ..CompleteOptions::default()
    };
    volume
        .local
        .complete_upload(&at("big"), &upload, options)
        .await
        .unwrap();
    // As if the process had ended before the upload's directory was removed.
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("journal"), journal_before).unwrap();
    let volume = volume.reopen();
    assert!(volume.local.uploads("bucket", "").await.unwrap().is_empty());
    assert_eq!(read(&volume.local, "big").await.unwrap(), "part");
}

#[tokio::test]
async fn a_record_without_its_link_leaves_the_old_object() {
    let volume = Volume::new().await;
    put(&volume.local, "one", "first").await.unwrap();
    volume
        .local
        .copy(&at("one"), &at("target"), CopyOptions::default())
        .await
        .unwrap();
    let before = head(&volume.local, "target").await.unwrap();
    put(&volume.local, "two", "second").await.unwrap();
    let away = volume.path().join("away");
    fs::rename(volume.path().join("bucket/target"), &away).unwrap();
    volume
        .local
        .copy(&at("two"), &at("target"), CopyOptions::default())
        .await
        .unwrap();
    // As if the copy had been cut off between its record and its link.
    fs::rename(&away, volume.path().join("bucket/target")).unwrap();
    let volume = volume.reopen();
    assert_eq!(read(&volume.local, "target").await.unwrap(), "first");
    assert_eq!(head(&volume.local, "target").await.unwrap(), before);
}

#[tokio::test]
async fn uploads_that_nobody_goes_on_with_are_removed() {
    let volume = Volume::new().await;
    begin(&volume.local, "old").await.unwrap();
    assert_eq!(
        volume
            .local
            .sweep_uploads(Duration::from_hours(1))
            .await
            .unwrap(),
        0
    );
    assert_eq!(volume.local.sweep_uploads(Duration::ZERO).await.unwrap(), 1);
    assert!(volume.local.uploads("bucket", "").await.unwrap().is_empty());
}

#[tokio::test]
async fn puts_and_deletes_around_one_directory_do_not_disturb_each_other() {
    let volume = Volume::new().await;
    let tasks = (0..8).map(|worker| {
        let local = volume.local.clone();
        tokio::spawn(async move {
            for round in 0..20 {
                let key = format!("shared/dir/{worker}");
                put(&local, &key, "x").await.unwrap();
                assert_eq!(read(&local, &key).await.unwrap(), "x", "round {round}");
                delete(&local, &key).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(all_keys(&volume.local).await.is_empty());
    assert_eq!(
        fs::read_dir(volume.path().join("bucket")).unwrap().count(),
        0
    );
}

#[tokio::test]
async fn attributes_beyond_the_limit_are_refused() {
    let volume = Volume::new().await;
    let with = |length: usize| PutOptions {
        attributes: Attributes {
            user: [("k".to_owned(), "v".repeat(length))].into(),
            ..Attributes::default()
        },
        ..PutOptions::default()
    };
    let refused = volume.local.put(&at("k"), with(2048), content("x")).await;
    assert!(matches!(refused, Err(Error::MetadataTooLarge { .. })));
    let stored = volume.local.put(&at("k"), with(2000), content("x")).await;
    assert!(stored.is_ok());
}

#[tokio::test]
async fn a_volume_is_served_by_one_gateway() {
    let volume = Volume::new().await;
    let error = Local::open(volume.path(), sources(3)).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    let text = error.to_string();
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    let volume = volume.reopen();
    assert!(all_keys(&volume.local).await.is_empty());
}

#[test]
fn a_volume_that_cannot_be_used_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| Local::open(&directory.path().join(name), sources(1)).unwrap_err();
    assert!(matches!(open("missing"), OpenError::Missing { .. }));
    fs::write(directory.path().join("file"), "x").unwrap();
    assert!(matches!(open("file"), OpenError::NotADirectory { .. }));
    fs::create_dir(directory.path().join("taken")).unwrap();
    fs::write(directory.path().join("taken/.lifeboat"), "x").unwrap();
    let error = open("taken");
    assert!(matches!(error, OpenError::Obstacle { .. }), "{error:?}");
    assert!(error.to_string().contains(".lifeboat"), "{error}");
}

#[tokio::test]
async fn a_damaged_record_is_reported_and_hides_nothing_else() {
    let volume = Volume::new().await;
    put(&volume.local, "broken", "x").await.unwrap();
    put(&volume.local, "whole", "y").await.unwrap();
    let file = fs::File::open(volume.path().join("bucket/broken")).unwrap();
    rustix::fs::fsetxattr(
        &file,
        "user.lifeboat",
        b"{\"version\":",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let error = read(&volume.local, "broken").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert_eq!(all_keys(&volume.local).await, ["broken", "whole"]);

    put(&volume.local, "broken", "again").await.unwrap();
    assert_eq!(read(&volume.local, "broken").await.unwrap(), "again");
}
