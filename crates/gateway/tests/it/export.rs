//! A volume given back: what is linked and what is copied, what stays behind, and what a cut leaves.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_gateway::backend::options::{CopyOptions, PutOptions};
use lifeboat_gateway::backend::{Attributes, Backend as _};
use lifeboat_gateway::backends::local::export::{
    Done, ExportError, Format, OnUnfit, Place, Plan, Sharing, finish, look,
};
use lifeboat_gateway::backends::local::{Capability, Local, Visit};
use lifeboat_testkit::skip;
use tempfile::TempDir;

use crate::support::{
    Volume, all_keys, at, begin, content, delete, head, put, put_part, read, sources,
};

const FORMATS: [Format; 2] = [Format::Minio, Format::S3Proxy];

fn export(local: &Local, format: Format, target: &Path) -> Result<Done, ExportError> {
    local.export(
        format,
        target,
        Sharing::Link,
        OnUnfit::Refuse,
        &Progress::default(),
    )
}

fn plan(volume: &Path, format: Format, target: &Path) -> Plan {
    let visit = Visit::open(volume).unwrap();
    visit
        .plan_export(format, target, Sharing::Link, &sources(7))
        .unwrap()
}

fn inode(path: PathBuf) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn put_with(local: &Local, key: &str, user: &[(&str, &str)]) {
    let user: BTreeMap<_, _> = user
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let options = PutOptions {
        attributes: Attributes {
            user,
            ..Attributes::default()
        },
        ..PutOptions::default()
    };
    local
        .put(&at(key), options, content(b"bytes"))
        .await
        .unwrap();
}

async fn copy(local: &Local, from: &str, to: &str, attributes: Option<Attributes>) {
    let options = CopyOptions {
        attributes,
        ..CopyOptions::default()
    };
    local.copy(&at(from), &at(to), options).await.unwrap();
}

/// Etag, metadata and bytes of every object.
async fn everything(local: &Local) -> Vec<(String, String, BTreeMap<String, String>, String)> {
    let mut all = Vec::new();
    for key in all_keys(local).await {
        let info = head(local, &key).await.unwrap();
        let bytes = read(local, &key).await.unwrap();
        all.push((key, info.etag, info.attributes.user, bytes));
    }
    all
}

#[tokio::test]
async fn what_is_given_back_can_be_taken_over_again() {
    let volume = Volume::new().await;
    let local = &volume.local;
    put_with(local, "dir/one", &[("name", "value")]).await;
    put_with(local, "two", &[]).await;
    copy(local, "dir/one", "copy", None).await;
    copy(local, "dir/one", "changed", Some(Attributes::default())).await;
    let before = everything(local).await;
    for format in FORMATS {
        let folder = TempDir::new().unwrap();
        let target = folder.path().join("target");
        let done = export(local, format, &target).unwrap();
        assert_eq!((done.objects, done.bytes, done.left_out), (4, 20, 0));
        assert_eq!(everything(local).await, before, "the volume is what it was");
        let again = Local::open(&target, sources(2)).unwrap();
        assert_eq!(everything(&again).await, before, "{format:?}");
        put(&again, "two", "new").await.unwrap();
        delete(&again, "dir/one").await.unwrap();
        assert_eq!(everything(local).await, before, "each goes on alone");
    }
}

#[tokio::test]
async fn files_are_linked_unless_their_names_need_different_things() {
    let volume = Volume::new().await;
    let local = &volume.local;
    put_with(local, "alone", &[("a", "b")]).await;
    put_with(local, "shared", &[("a", "b")]).await;
    let other = Attributes {
        user: BTreeMap::from([("c".to_owned(), "d".to_owned())]),
        ..Attributes::default()
    };
    copy(local, "shared", "shared-otherwise", Some(other)).await;
    fs::write(volume.path().join("bucket/by-hand"), "bytes").unwrap();
    // Its record and the same for s3proxy have no room together in the attributes of one file on ext4.
    let much = "x".repeat(1980);
    put_with(local, "much", &[("m", &much)]).await;
    for format in FORMATS {
        // On the file system of the volume, and out of the way of its buckets.
        let target = volume.path().join(format!(".back-{format:?}"));
        assert_eq!(look(volume.path(), &target).unwrap(), Place::Free);
        let planned = plan(volume.path(), format, &target);
        assert_eq!((planned.objects, planned.unfit), (5, 0));
        export(local, format, &target).unwrap();
        let linked = |key: &str| {
            let of = |folder: &Path| inode(folder.join("bucket").join(key));
            of(volume.path()) == of(&target)
        };
        assert!(linked("alone") && linked("shared"), "{format:?}");
        // Its time is another one.
        assert!(!linked("shared-otherwise"), "{format:?}");
        assert!(!linked("by-hand"), "{format:?}");
        if format == Format::Minio {
            assert!(linked("much"));
        }
        let again = Local::open(&target, sources(2)).unwrap();
        assert_eq!(everything(&again).await, everything(local).await);
    }
}

#[tokio::test]
async fn a_target_that_is_copied_shares_nothing_with_the_volume() {
    let volume = Volume::new().await;
    put_with(&volume.local, "key", &[("a", "b")]).await;
    for format in FORMATS {
        let target = volume.path().join(format!(".back-{format:?}"));
        let progress = Progress::default();
        let done = volume
            .local
            .export(format, &target, Sharing::Copy, OnUnfit::Refuse, &progress)
            .unwrap();
        assert_eq!((done.copied.count, done.copied.bytes), (1, 5));
        let file = target.join("bucket/key");
        assert_eq!(fs::metadata(&file).unwrap().nlink(), 1);
        let ours = rustix::fs::getxattr(&file, "user.lifeboat", &mut [0_u8; 0]);
        assert_eq!(ours, Err(rustix::io::Errno::NODATA));
        let again = Local::open(&target, sources(2)).unwrap();
        assert_eq!(everything(&again).await, everything(&volume.local).await);
    }
}

#[tokio::test]
async fn on_another_file_system_everything_is_copied_if_there_is_room() {
    let volume = Volume::new().await;
    put_with(&volume.local, "key", &[("a", "b")]).await;
    let memory = Path::new("/dev/shm");
    let device = |path: &Path| fs::metadata(path).map(|folder| folder.dev());
    if !device(memory).is_ok_and(|memory| memory != device(volume.path()).unwrap()) {
        skip!("no other file system at /dev/shm");
        return;
    }
    let folder = TempDir::new_in(memory).unwrap();
    for format in FORMATS {
        let target = folder.path().join(format!("{format:?}/deep"));
        let planned = plan(volume.path(), format, &target);
        assert_eq!((planned.linked.count, planned.copied.count), (0, 1));
        match export(&volume.local, format, &target) {
            Ok(done) => assert_eq!(done.copied.bytes, 5),
            Err(ExportError::NoAttributes { .. }) => {
                assert_eq!(format, Format::S3Proxy);
                continue;
            }
            Err(other) => panic!("{other:?}"),
        }
        let again = Local::open(&target, sources(2)).unwrap();
        assert_eq!(everything(&again).await, everything(&volume.local).await);
    }
    // A file with a hole that is larger than any file system here.
    let file = fs::File::create(volume.path().join("bucket/huge")).unwrap();
    file.set_len(1 << 43).unwrap();
    let visit = Visit::open(volume.path()).unwrap();
    let target = folder.path().join("no-room");
    let full = visit.plan_export(Format::Minio, &target, Sharing::Link, &sources(7));
    assert!(matches!(full, Err(ExportError::NoRoom { .. })), "{full:?}");
}

#[tokio::test]
async fn times_are_those_that_the_gateway_shows() {
    let volume = Volume::new().await;
    put(&volume.local, "key", "bytes").await.unwrap();
    let shown = head(&volume.local, "key").await.unwrap().modified;
    let folder = TempDir::new().unwrap();
    for format in FORMATS {
        let target = folder.path().join(format!("{format:?}"));
        export(&volume.local, format, &target).unwrap();
        let file = fs::metadata(target.join("bucket/key")).unwrap();
        assert_eq!(file.mtime(), shown.as_second());
    }
}

#[tokio::test]
async fn a_volume_without_attributes_is_given_back_too() {
    let volume = Volume::lacking(&[Capability::Attributes]).await;
    put_with(&volume.local, "key", &[("a", "b")]).await;
    let before = everything(&volume.local).await;
    for format in FORMATS {
        let target = volume.path().join(format!(".back-{format:?}"));
        export(&volume.local, format, &target).unwrap();
        assert_eq!(everything(&volume.local).await, before);
        let again = Local::open(&target, sources(2)).unwrap();
        assert_eq!(everything(&again).await, before);
    }
}

#[tokio::test]
async fn the_plan_says_what_stays_behind() {
    let volume = Volume::new().await;
    let local = &volume.local;
    local.keep_trash(SignedDuration::from_hours(1)).unwrap();
    put(local, "gone", "12345").await.unwrap();
    delete(local, "gone").await.unwrap();
    let upload = begin(local, "upload").await.unwrap();
    put_part(local, "upload", &upload, 1, content(b"part"))
        .await
        .unwrap();
    put(local, "kept", "bytes").await.unwrap();
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("target");
    let planned = plan(volume.path(), Format::Minio, &target);
    assert_eq!((planned.trash.count, planned.trash.bytes), (1, 5));
    assert_eq!((planned.uploads.count, planned.objects), (1, 1));
    export(local, Format::Minio, &target).unwrap();
    assert_eq!(names(&target.join("bucket")), ["kept"]);
    assert_eq!(names(&target), [".minio.sys", "bucket"]);
}

#[tokio::test]
async fn what_the_other_server_cannot_hold_stops_the_export_before_it_begins() {
    let volume = Volume::new().await;
    for key in ["a", "a/b", "x//y", "fine"] {
        put(&volume.local, key, "bytes").await.unwrap();
    }
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("target");
    for format in FORMATS {
        let refused = export(&volume.local, format, &target).unwrap_err();
        assert_eq!(refused.kind(), Kind::Invalid);
        assert!(
            matches!(refused, ExportError::Unfit { count: 2 }),
            "{refused:?}"
        );
        assert!(!target.exists());
    }
    let unfit: Vec<_> = plan(volume.path(), Format::Minio, &target)
        .unfit_objects
        .into_iter()
        .map(|object| format!("{}: {}", object.key.unwrap(), object.why))
        .collect();
    insta::assert_snapshot!(unfit.join("\n"), @"
    a: there are keys below it, and a file cannot be a folder too
    x//y: its key has nothing between two `/`, or begins with one
    ");
    let progress = Progress::default();
    let done = volume
        .local
        .export(
            Format::Minio,
            &target,
            Sharing::Link,
            OnUnfit::LeaveOut,
            &progress,
        )
        .unwrap();
    assert_eq!((done.objects, done.left_out), (2, 2));
    let again = Local::open(&target, sources(2)).unwrap();
    assert_eq!(all_keys(&again).await, ["a/b", "fine"]);
}

#[tokio::test]
async fn a_damaged_record_is_no_object_for_anybody() {
    let volume = Volume::new().await;
    put(&volume.local, "key", "bytes").await.unwrap();
    let file = fs::File::open(volume.path().join("bucket/key")).unwrap();
    rustix::fs::fsetxattr(
        &file,
        "user.lifeboat",
        b"{",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let folder = TempDir::new().unwrap();
    let planned = plan(
        volume.path(),
        Format::S3Proxy,
        &folder.path().join("target"),
    );
    assert_eq!((planned.objects, planned.unfit), (0, 1));
}

#[tokio::test]
async fn a_target_that_holds_something_is_left_alone() {
    let volume = Volume::new().await;
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("target");
    fs::create_dir_all(target.join("lost+found")).unwrap();
    assert_eq!(look(volume.path(), &target).unwrap(), Place::Free);
    fs::write(target.join("something"), "x").unwrap();
    let occupied = look(volume.path(), &target).unwrap_err();
    assert_eq!(occupied.kind(), Kind::Conflict);
    let inside = look(volume.path(), &volume.path().join("bucket/x")).unwrap_err();
    assert!(matches!(inside, ExportError::Inside { .. }), "{inside:?}");
}

#[tokio::test]
async fn an_export_that_was_cut_off_is_made_anew_and_no_server_finds_half_of_one() {
    let volume = Volume::new().await;
    for key in ["one", "two"] {
        put(&volume.local, key, "bytes").await.unwrap();
    }
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("target");
    let stopped = Progress::default();
    stopped.stop();
    let cut = volume.local.export(
        Format::Minio,
        &target,
        Sharing::Link,
        OnUnfit::Refuse,
        &stopped,
    );
    assert!(matches!(cut, Err(ExportError::Stopped)), "{cut:?}");
    assert_eq!(names(&target), [".lifeboat-export"]);
    fs::create_dir_all(target.join(".lifeboat-export/content/bucket/gone-since")).unwrap();
    assert_eq!(look(volume.path(), &target).unwrap(), Place::Free);
    export(&volume.local, Format::Minio, &target).unwrap();
    assert_eq!(names(&target), [".minio.sys", "bucket"]);
    assert_eq!(names(&target.join("bucket")), ["one", "two"]);
}

#[tokio::test]
async fn an_export_that_was_cut_off_in_its_last_step_is_ended() {
    let folder = TempDir::new().unwrap();
    let target = folder.path().join("target");
    let content = target.join(".lifeboat-export/content");
    fs::create_dir_all(content.join("second")).unwrap();
    fs::create_dir_all(target.join("first")).unwrap();
    fs::write(target.join(".lifeboat-export/whole"), "").unwrap();
    let volume = Volume::new().await;
    assert_eq!(look(volume.path(), &target).unwrap(), Place::Unfinished);
    finish(&target).unwrap();
    assert_eq!(names(&target), ["first", "second"]);
}
