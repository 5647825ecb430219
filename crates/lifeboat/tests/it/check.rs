//! Looking a volume over, as a person does it.

use std::fs;
use std::os::unix::fs::symlink;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use tokio::runtime::Runtime;

use crate::world::{BUCKET, World};

fn put(world: &World, key: &str) {
    let content = Bytes::from_static(b"content");
    Runtime::new()
        .unwrap()
        .block_on(world.s3().put(&Key::from(key), content.into()))
        .unwrap();
}

/// An installation whose gateway keeps what is replaced and reads nothing by itself.
fn world() -> World {
    let mut world = World::without_gateway();
    let values = world
        .values()
        .replace("gateway: {", "gateway: {trash: 7d, scrub: 0, ");
    world.write_values(&values);
    world.start_gateway();
    world
}

#[test]
fn a_volume_that_is_well_is_said_to_be_with_the_gateway_and_without() {
    let mut world = world();
    put(&world, "dir/one");
    put(&world, "two");
    put(&world, "two");
    let found = world.json(&["gateway", "check", "--full"]);
    let [volume] = &found["volumes"].as_array().unwrap()[..] else {
        panic!("{found}");
    };
    let gateway = world.take_gateway();
    assert_eq!(volume["served_by"], gateway.id());
    assert_eq!(volume["read"]["objects"], 2);
    gateway.stop().unwrap().success().unwrap();
    insta::assert_snapshot!(world.seen(&["gateway", "check"]), @"
    exit code 0
    --- stdout
    volume `[FOLDER]/volume`: no gateway on this machine serves it
      objects: 2, 14 B, in 4 buckets
      trash: 1, 7 B
      unfinished uploads: none
      no scrub has come to its end yet
      nothing is known to be damaged, and everything is served
    --- stderr
    ");
}

#[test]
fn damage_and_what_is_not_served_end_with_a_code_of_their_own() {
    let world = world();
    put(&world, "dir/damaged");
    fs::write(world.object("dir/damaged"), "CONTENT").unwrap();
    symlink("/etc/passwd", world.object("dir/link")).unwrap();
    let seen = world.seen(&["gateway", "check", "--full"]);
    let found = seen.find(&format!("{BUCKET}/dir/damaged")).unwrap();
    let time = seen[found..].split_whitespace().skip(1).take(2);
    let time = time.collect::<Vec<_>>().join(" ");
    let process = seen.split("process ").nth(1).unwrap();
    let process = process.split('\n').next().unwrap();
    let seen = seen
        .replace(&time, "2026-08-01 12:00:00")
        .replace(&format!("process {process}"), "process [PROCESS]");
    insta::assert_snapshot!(seen, @"
    exit code 6
    --- stdout
    volume `[FOLDER]/volume`: served by process [PROCESS]
      objects: 1, 7 B, in 4 buckets
      trash: none
      unfinished uploads: none
      now: 1 read, 7 B, 1 damaged
      no scrub has come to its end yet
      DAMAGED objects: 1
    NAME                               FOUND                WHAT
    sts-stackgraph-backup/dir/damaged  2026-08-01 12:00:00  CRC64NVME of the bytes is `bbebbe1e55d600a0`, its record says `96155d5f25504c61`
      NOT SERVED: 1
    PATH                            WHY
    sts-stackgraph-backup/dir/link  it is a symbolic link and not followed
    --- stderr
    ");
}

#[test]
fn what_cannot_be_looked_over_is_told_with_the_way_on() {
    let world = World::without_gateway();
    insta::assert_snapshot!(world.seen(&["gateway", "check"]), @"
    exit code 3
    --- stdout
    --- stderr
    error: no gateway has served volume `[FOLDER]/volume` yet
    hint: `lifeboat gateway` takes it into service
    ");
    insta::assert_snapshot!(world.seen(&["gateway", "check", "--volume", "nowhere"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: no volume at `nowhere`: mount one there, or name another in `lifeboat.gateway.volume`
      caused by: No such file or directory (os error 2)
    ");
}
