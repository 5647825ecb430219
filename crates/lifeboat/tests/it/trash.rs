//! The way back from the trash, as a person goes it: with a gateway that runs and without one.

use std::fs;

use bytes::Bytes;
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use lifeboat_testkit::process::Process;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

use crate::world::{BUCKET, World};

fn put(s3: &AmazonS3, runtime: &Runtime, key: &str, content: &str) {
    let content = Bytes::from(content.to_owned());
    runtime
        .block_on(s3.put(&Key::from(key), content.into()))
        .unwrap();
}

fn delete(s3: &AmazonS3, runtime: &Runtime, key: &str) {
    runtime.block_on(s3.delete(&Key::from(key))).unwrap();
}

/// Keys and contents of the whole bucket.
fn contents(s3: &AmazonS3, runtime: &Runtime) -> Vec<(String, String)> {
    runtime.block_on(async {
        let listed: Vec<_> = s3.list(None).try_collect().await.unwrap();
        let mut contents = Vec::new();
        for object in listed {
            let bytes = s3.get(&object.location).await.unwrap().bytes().await;
            let text = String::from_utf8(bytes.unwrap().to_vec()).unwrap();
            contents.push((object.location.to_string(), text));
        }
        contents
    })
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, text): &(&str, &str)| ((*key).to_owned(), (*text).to_owned());
    pairs.iter().map(owned).collect()
}

/// The objects that a command printed, each with one of its fields.
fn field(printed: &serde_json::Value, field: &str) -> Vec<(String, String)> {
    let objects = printed["objects"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    objects
        .map(|object| (text(&object["key"]), text(&object[field])))
        .collect()
}

#[test]
fn deleted_objects_come_back_while_the_gateway_runs_and_while_it_does_not() {
    let mut world = World::with_trash();
    let runtime = Runtime::new().unwrap();
    let s3 = world.s3();
    for (key, content) in [("b/1", "one"), ("b/2", "two"), ("other", "other")] {
        put(&s3, &runtime, key, content);
    }
    let all = contents(&s3, &runtime);
    for key in ["b/1", "b/2", "other"] {
        delete(&s3, &runtime, key);
    }
    let listed = world.json(&["gateway", "trash", "list", "--prefix", "b/"]);
    assert_eq!(
        field(&listed, "why"),
        pairs(&[("b/1", "deleted"), ("b/2", "deleted")])
    );
    let restore = ["gateway", "trash", "restore", BUCKET];
    let planned = world.json(&[&restore[..], &["--prefix", "", "--dry-run"]].concat());
    assert_eq!(field(&planned, "outcome").len(), 3);
    assert_eq!(contents(&s3, &runtime), []);
    let restored = world.json(&[&restore[..], &["--prefix", "b/"]].concat());
    assert_eq!(
        field(&restored, "outcome"),
        pairs(&[("b/1", "restored"), ("b/2", "restored")])
    );
    assert_eq!(contents(&s3, &runtime), all[..2]);
    world.take_gateway().stop().unwrap().success().unwrap();
    world.ok(&[&restore[..], &["other"]].concat());
    assert_eq!(
        world.ok(&["gateway", "trash", "list"]),
        "nothing in the trash\n"
    );
    world.start_gateway();
    assert_eq!(contents(&world.s3(), &runtime), all);
}

#[test]
fn a_key_that_holds_another_object_is_left_alone_unless_forced() {
    let world = World::with_trash();
    let runtime = Runtime::new().unwrap();
    let s3 = world.s3();
    put(&s3, &runtime, "key", "old");
    put(&s3, &runtime, "key", "new");
    let restore = ["gateway", "trash", "restore", BUCKET, "key"];
    insta::assert_snapshot!(world.seen(&restore), @"
    exit code 4
    --- stdout
    NAME                       SIZE  OUTCOME
    sts-stackgraph-backup/key   3 B  left: the key holds another object
    --- stderr
    note: a key that holds another object by now is left alone; `--force` replaces it and keeps it in the trash
    ");
    assert_eq!(contents(&s3, &runtime), pairs(&[("key", "new")]));
    world.ok(&[&restore[..], &["--force"]].concat());
    assert_eq!(contents(&s3, &runtime), pairs(&[("key", "old")]));
    world.ok(&[&restore[..], &["--force"]].concat());
    assert_eq!(contents(&s3, &runtime), pairs(&[("key", "new")]));
}

#[test]
fn a_whole_prefix_goes_back_to_a_time() {
    let world = World::with_trash();
    let runtime = Runtime::new().unwrap();
    let s3 = world.s3();
    for key in ["a", "b", "c"] {
        put(&s3, &runtime, key, "before");
    }
    put(&s3, &runtime, "a", "after");
    delete(&s3, &runtime, "b");
    put(&s3, &runtime, "b", "after");
    put(&s3, &runtime, "b", "long after");
    put(&s3, &runtime, "new", "after");
    delete(&s3, &runtime, "new");
    let listed = world.json(&["gateway", "trash", "list"]);
    let removed = field(&listed, "removed").into_iter();
    let first: Timestamp = removed
        .map(|(_, time)| time.parse().unwrap())
        .min()
        .unwrap();
    let then = (first - SignedDuration::from_nanos(1)).to_string();
    let restore = [
        "gateway", "trash", "restore", BUCKET, "--prefix", "", "--at", &then,
    ];
    world.ok(&[&restore[..], &["--force"]].concat());
    assert_eq!(
        contents(&s3, &runtime),
        pairs(&[("a", "before"), ("b", "before"), ("c", "before")])
    );
}

#[test]
fn what_cannot_be_restored_is_told_with_the_way_on() {
    let mut world = World::with_trash();
    insta::assert_snapshot!(world.seen(&["gateway", "trash", "restore", BUCKET, "nothing"]), @"
    exit code 3
    --- stdout
    --- stderr
    error: nothing like that is in the trash
    hint: `lifeboat gateway trash list --bucket sts-stackgraph-backup` shows what is
    ");
    insta::assert_snapshot!(
        world.seen(&["gateway", "trash", "restore", BUCKET, "x", "--at", "yesterday"]),
        @"
    exit code 2
    --- stdout
    --- stderr
    error: `yesterday` is not a time
      caused by: failed to parse four digit integer as year: invalid digit, expected 0-9 but got y
    hint: for example `2026-07-30T14:00:00Z`, or `2026-07-30 14:00` in the platform's time zone
    "
    );
    let runtime = Runtime::new().unwrap();
    put(&world.s3(), &runtime, "key", "old");
    delete(&world.s3(), &runtime, "key");
    // As for a gateway on another machine, whose socket is not heard here.
    fs::remove_file(world.volume().join(".lifeboat/control")).unwrap();
    let gateway: Process = world.take_gateway();
    let seen = world.seen(&["gateway", "trash", "restore", BUCKET, "key"]);
    let seen = seen.replace(&gateway.id().to_string(), "[PROCESS]");
    insta::assert_snapshot!(seen, @"
    exit code 4
    --- stdout
    --- stderr
    error: volume `[FOLDER]/volume` is served by another gateway, process [PROCESS]
    hint: run this where that gateway runs, as the same user; or stop it, and run it again
    ");
}
