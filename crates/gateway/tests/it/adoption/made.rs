//! Volumes made by hand as other programs make them.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use jiff::SignedDuration;
use lifeboat_core::progress::Progress;
use lifeboat_gateway::backend::options::CopyOptions;
use lifeboat_gateway::backend::{Attributes, Backend as _, Error};
use lifeboat_gateway::backends::local::check::Depth;
use lifeboat_gateway::backends::local::trash::{Entry, Filter, Occupied};
use lifeboat_gateway::backends::local::{Local, OpenError, Visit};
use rustix::fs::XattrFlags;
use tempfile::TempDir;

use crate::support::{all_keys, at, delete, head, put, read, sources};

const UUID: &str = "702e9838-0334-4d3a-a593-907931861b05";
const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn attach(path: &Path, name: &str, value: &[u8]) {
    let file = File::open(path).unwrap();
    let name = format!("user.user.{name}");
    rustix::fs::fsetxattr(&file, name, value, XattrFlags::empty()).unwrap();
}

/// A volume with `bucket`, in which s3proxy wrote the object `known`.
fn of_s3proxy() -> TempDir {
    let volume = TempDir::new().unwrap();
    let bucket = volume.path().join("bucket");
    fs::create_dir(&bucket).unwrap();
    object_of_s3proxy(&bucket.join("known"), "text");
    volume
}

fn object_of_s3proxy(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    attach(path, "content-md5", &[0xab; 16]);
    attach(path, "content-type", b"text/plain");
    attach(path, "user-metadata.Name", b"value");
}

/// A volume with `bucket`, in which MinIO wrote the object `dir/known`.
fn of_minio() -> TempDir {
    let volume = TempDir::new().unwrap();
    let home = volume.path().join(".minio.sys");
    fs::create_dir_all(&home).unwrap();
    let format = r#"{"version":"1","format":"fs","id":"x","fs":{"version":"2"}}"#;
    fs::write(home.join("format.json"), format).unwrap();
    object_of_minio(volume.path(), "dir/known", "text");
    volume
}

fn object_of_minio(volume: &Path, key: &str, content: &str) {
    let file = volume.join("bucket").join(key);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
    let record = record_of_minio(volume, key);
    fs::create_dir_all(record.parent().unwrap()).unwrap();
    let json = r#"{"version":"1.0.2","meta":{"etag":"abababababababababababababababab","content-type":"text/plain","X-Amz-Meta-Name":"value"}}"#;
    fs::write(record, json).unwrap();
}

fn record_of_minio(volume: &Path, key: &str) -> std::path::PathBuf {
    let records = volume.join(".minio.sys/buckets/bucket");
    records.join(key).join("fs.json")
}

fn changed_in(year: u64, path: &Path) {
    let time = UNIX_EPOCH + Duration::from_hours(24 * 365 * (year - 1970));
    let times = fs::FileTimes::new().set_modified(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

fn open(volume: &TempDir) -> Local {
    Local::open(volume.path(), sources(1)).unwrap()
}

fn named_value() -> Attributes {
    let pair = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    Attributes {
        headers: pair("content-type", "text/plain"),
        user: pair("name", "value"),
    }
}

#[tokio::test]
async fn what_s3proxy_left_unfinished_is_no_object() {
    let volume = of_s3proxy();
    let bucket = volume.path().join("bucket");
    fs::write(bucket.join(format!("cut-{UUID}")), "half").unwrap();
    object_of_s3proxy(&bucket.join(format!(".mpus-{UUID}-dir/big-1")), "part");
    object_of_s3proxy(&bucket.join(format!(".s3proxy-mpu-stub-{UUID}")), "");
    let named_so = format!("named-{UUID}");
    object_of_s3proxy(&bucket.join(&named_so), "an object all the same");
    let local = open(&volume);
    assert_eq!(all_keys(&local).await, ["known", &named_so]);
    assert!(matches!(
        read(&local, &format!("cut-{UUID}")).await,
        Err(Error::NoSuchKey { .. })
    ));
    // A client may use such a name: what is stored by this gateway is an object.
    put(&local, &format!("cut-{UUID}"), "whole").await.unwrap();
    assert_eq!(all_keys(&local).await.len(), 3);
    // Once known, this is known for ever.
    for key in [&named_so, "known", &format!("cut-{UUID}")] {
        delete(&local, key).await.unwrap();
    }
    drop(local);
    let local = open(&volume);
    assert_eq!(all_keys(&local).await, Vec::<String>::new());
    local.delete_bucket("bucket").await.unwrap();
    assert!(!bucket.exists());
}

#[test]
fn a_check_counts_objects_of_other_programs_and_what_they_left() {
    let with_leftovers = of_s3proxy();
    let bucket = with_leftovers.path().join("bucket");
    fs::write(bucket.join(format!("cut-{UUID}")), "half").unwrap();
    fs::create_dir(bucket.join("folder")).unwrap();
    attach(&bucket.join("folder"), "content-md5", &[0xd4; 16]);
    let of_minio = of_minio();
    let folder = of_minio.path().join("bucket/folder");
    fs::create_dir(&folder).unwrap();
    changed_in(2021, &folder);
    for (volume, leftovers) in [(with_leftovers, 1), (of_minio, 0)] {
        drop(open(&volume));
        let visit = Visit::open(volume.path()).unwrap();
        let found = visit.check(Depth::Records, &sources(2), &Progress::default());
        let survey = found.unwrap().survey;
        assert_eq!((survey.objects, survey.bytes), (2, 4));
        assert_eq!((survey.leftovers, survey.unserved), (leftovers, 0));
    }
}

#[tokio::test]
async fn on_other_volumes_such_names_are_ordinary() {
    let volume = TempDir::new().unwrap();
    fs::create_dir(volume.path().join("bucket")).unwrap();
    let name = format!("put-by-hand-{UUID}");
    fs::write(volume.path().join("bucket").join(&name), "text").unwrap();
    assert_eq!(all_keys(&open(&volume)).await, [name]);
}

#[tokio::test]
async fn a_folder_with_a_record_of_s3proxy_is_an_object() {
    let volume = of_s3proxy();
    let folder = volume.path().join("bucket/folder");
    fs::create_dir(&folder).unwrap();
    attach(&folder, "content-md5", &[0xd4; 16]);
    let local = open(&volume);
    assert_eq!(all_keys(&local).await, ["folder/", "known"]);
    let info = head(&local, "folder/").await.unwrap();
    assert_eq!((info.size, info.etag.as_str()), (0, EMPTY));
    assert_eq!(read(&local, "folder/").await.unwrap(), "");

    put(&local, "folder/inside", "x").await.unwrap();
    delete(&local, "folder/inside").await.unwrap();
    assert_eq!(all_keys(&local).await, ["folder/", "known"]);

    put(&local, "folder/", "ours").await.unwrap();
    assert_eq!(read(&local, "folder/").await.unwrap(), "ours");
    delete(&local, "folder/").await.unwrap();
    assert_eq!(all_keys(&local).await, ["known"]);
    assert!(!folder.exists());

    fs::create_dir(&folder).unwrap();
    attach(&folder, "content-md5", &[0xd4; 16]);
    let options = CopyOptions::default();
    let copy = local.copy(&at("folder/"), &at("copy"), options).await;
    assert_eq!(copy.unwrap().etag, EMPTY);
    delete(&local, "folder/").await.unwrap();
    assert_eq!(all_keys(&local).await, ["copy", "known"]);
}

#[tokio::test]
async fn an_empty_folder_of_minio_is_an_object_and_one_of_ours_is_not() {
    let volume = of_minio();
    let folder = volume.path().join("bucket/a/folder");
    fs::create_dir_all(&folder).unwrap();
    changed_in(2021, &folder);
    let local = open(&volume);
    assert_eq!(all_keys(&local).await, ["a/folder/", "dir/known"]);
    assert_eq!(head(&local, "a/folder/").await.unwrap().etag, EMPTY);
    let later = volume.path().join("bucket/later");
    fs::create_dir(&later).unwrap();
    changed_in(2100, &later);
    assert_eq!(all_keys(&local).await, ["a/folder/", "dir/known"]);
    delete(&local, "a/folder/").await.unwrap();
    assert_eq!(all_keys(&local).await, ["dir/known"]);
    assert!(!volume.path().join("bucket/a").exists());
}

#[tokio::test]
async fn a_record_of_minio_goes_with_its_object() {
    let volume = of_minio();
    let local = open(&volume);
    let known = head(&local, "dir/known").await.unwrap();
    assert_eq!(known.etag, "ab".repeat(16));
    assert_eq!(known.attributes, named_value());

    put(&local, "dir/known", "longer").await.unwrap();
    assert_ne!(head(&local, "dir/known").await.unwrap().etag, known.etag);
    assert!(!record_of_minio(volume.path(), "dir/known").exists());

    object_of_minio(volume.path(), "gone/soon", "text");
    delete(&local, "gone/soon").await.unwrap();
    assert!(
        !volume
            .path()
            .join(".minio.sys/buckets/bucket/gone")
            .exists()
    );
    fs::create_dir(volume.path().join("bucket/gone")).unwrap();
    fs::write(volume.path().join("bucket/gone/soon"), "by hand").unwrap();
    let by_hand = head(&local, "gone/soon").await.unwrap();
    assert!(by_hand.etag.ends_with("-1"), "{by_hand:?}");
}

#[tokio::test]
async fn a_copy_of_what_another_program_wrote_shares_its_bytes_and_keeps_what_it_says() {
    for (volume, key, file) in [
        (of_s3proxy(), "known", "bucket/known"),
        (of_minio(), "dir/known", "bucket/dir/known"),
    ] {
        let local = open(&volume);
        let before = head(&local, key).await.unwrap();
        let options = CopyOptions::default();
        local.copy(&at(key), &at("copy"), options).await.unwrap();
        let inode = |path: &str| fs::metadata(volume.path().join(path)).unwrap().ino();
        assert_eq!(inode(file), inode("bucket/copy"));
        assert_eq!(head(&local, key).await.unwrap(), before);
        let copy = head(&local, "copy").await.unwrap();
        assert_eq!(copy.etag, before.etag);
        assert_eq!(copy.attributes, named_value());
        delete(&local, key).await.unwrap();
        assert_eq!(head(&local, "copy").await.unwrap(), copy);
        assert_eq!(read(&local, "copy").await.unwrap(), "text");
    }
}

#[tokio::test]
async fn a_file_put_there_by_hand_is_copied_byte_by_byte() {
    let volume = of_s3proxy();
    let file = volume.path().join("bucket/by-hand");
    fs::write(&file, "first").unwrap();
    let local = open(&volume);
    let options = CopyOptions::default();
    local
        .copy(&at("by-hand"), &at("copy"), options)
        .await
        .unwrap();
    fs::write(&file, "second").unwrap();
    assert_eq!(read(&local, "copy").await.unwrap(), "first");
}

#[tokio::test]
async fn an_object_that_minio_encrypted_is_not_served_as_if_it_were_plain() {
    let volume = of_minio();
    let json = r#"{"version":"1.0.2","meta":{"etag":"ab","X-Minio-Internal-Server-Side-Encryption-Iv":"x"}}"#;
    fs::write(record_of_minio(volume.path(), "dir/known"), json).unwrap();
    let local = open(&volume);
    assert!(matches!(
        read(&local, "dir/known").await,
        Err(Error::NotSupported { .. })
    ));
    assert_eq!(all_keys(&local).await, ["dir/known"]);
    delete(&local, "dir/known").await.unwrap();
    assert_eq!(all_keys(&local).await, Vec::<String>::new());
}

#[test]
fn a_volume_on_which_files_are_no_objects_is_not_taken_over() {
    let volume = of_minio();
    let format = volume.path().join(".minio.sys/format.json");
    fs::write(format, r#"{"version":"1","format":"xl-single"}"#).unwrap();
    let error = Local::open(volume.path(), sources(1)).unwrap_err();
    assert!(matches!(error, OpenError::Format { .. }), "{error:?}");
    assert!(error.to_string().contains("xl-single"), "{error}");
}

#[tokio::test]
async fn objects_of_other_programs_come_back_from_the_trash_as_they_were() {
    let with_folder = of_s3proxy();
    let folder = with_folder.path().join("bucket/folder");
    fs::create_dir(&folder).unwrap();
    attach(&folder, "content-md5", &[0xd4; 16]);
    let volumes = [
        (with_folder, vec!["folder/", "known"]),
        (of_minio(), vec!["dir/known"]),
    ];
    for (volume, keys) in volumes {
        let local = open(&volume);
        local.keep_trash(SignedDuration::from_hours(24)).unwrap();
        for key in keys {
            let before = head(&local, key).await.unwrap();
            delete(&local, key).await.unwrap();
            assert!(head(&local, key).await.is_err(), "{key}");
            let visit = Visit::open(volume.path()).unwrap();
            let only = || {
                let filter = Filter {
                    prefix: key.to_owned(),
                    ..Filter::default()
                };
                let [entry] = visit.trash(&filter).unwrap().try_into().unwrap();
                entry
            };
            let entry: Entry = only();
            local
                .restore(entry.place(), Occupied::Refuse)
                .await
                .unwrap();
            assert_eq!(head(&local, key).await.unwrap(), before, "{key}");
            put(&local, key, "new").await.unwrap();
            let entry = only();
            local
                .restore(entry.place(), Occupied::Replace)
                .await
                .unwrap();
            assert_eq!(head(&local, key).await.unwrap(), before, "{key}");
            assert_eq!(only().size, 3);
        }
    }
}
