//! A volume given back, as a person does it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_testkit::process::Process;
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

#[test]
fn the_plan_is_shown_beside_a_gateway_and_carried_out_without_one() {
    let mut world = World::new();
    for key in ["dir/one", "two"] {
        put(&world, key);
    }
    let export = ["gateway", "export", "back", "--to", "minio"];
    insta::assert_snapshot!(world.seen(&[&export[..], &["--dry-run"]].concat()), @"
    exit code 0
    --- stdout
    from `[FOLDER]/volume` to `back`, for MinIO of 2021
      objects: 2, 14 B, in 4 buckets
      linked, taking no room: 2, 14 B
      copied: none
      stays behind: trash none, unfinished uploads none
    --- stderr
    ");
    let gateway = world.take_gateway();
    let seen = world.seen(&export);
    insta::assert_snapshot!(seen.replace(&gateway.id().to_string(), "[PROCESS]"), @"
    exit code 4
    --- stdout
    --- stderr
    error: volume `[FOLDER]/volume` is served by another gateway, process [PROCESS]
    hint: stop that gateway first: the objects must not change meanwhile
    ");
    assert!(!world.path("back").exists());
    gateway.stop().unwrap().success().unwrap();
    let quietly = [&export[..], &["-q"]].concat();
    insta::assert_snapshot!(world.seen(&quietly), @"
    exit code 0
    --- stdout
    MinIO of 2021 can serve `back`
      objects: 2, 14 B; copied of them: none
    --- stderr
    ");
    let given = world.path("back").join(BUCKET).join("dir/one");
    assert_eq!(fs::read(given).unwrap(), b"content");
    insta::assert_snapshot!(world.seen(&export), @"
    exit code 4
    --- stdout
    --- stderr
    error: `back` is not empty
    hint: name an empty folder, or one that is not there yet
    ");
    let printed = world.json(&["gateway", "export", "other", "--to", "s3proxy"]);
    assert_eq!(printed["to"], "s3proxy");
    assert_eq!(printed["done"]["objects"], 2);
}

#[test]
fn what_the_other_server_cannot_hold_is_told_and_refused() {
    let mut world = World::new();
    for key in ["a", "a/b"] {
        put(&world, key);
    }
    world.take_gateway().stop().unwrap().success().unwrap();
    let export = ["gateway", "export", "back", "--to", "s3proxy"];
    insta::assert_snapshot!(world.seen(&export), @"
    exit code 2
    --- stdout
    from `[FOLDER]/volume` to `back`, for s3proxy
      objects: 1, 7 B, in 4 buckets
      linked, taking no room: 1, 7 B
      copied: none
      stays behind: trash none, unfinished uploads none
      CANNOT BE HELD: 1
    NAME                     WHY
    sts-stackgraph-backup/a  there are keys below it, and a file cannot be a folder too
    --- stderr
    note: nothing was done; `--skip-unfit` leaves out what the other server cannot hold, or give it another key first
    ");
    assert!(!world.path("back").exists());
    insta::assert_snapshot!(world.seen(&[&export[..], &["--skip-unfit", "-q"]].concat()), @"
    exit code 0
    --- stdout
    s3proxy can serve `back`
      objects: 1, 7 B; copied of them: none
      left out: 1
    --- stderr
    ");
}

#[test]
fn a_target_among_the_objects_is_refused() {
    let world = World::new();
    let export = ["gateway", "export", "volume/new-bucket", "--to", "minio"];
    insta::assert_snapshot!(world.seen(&export), @"
    exit code 2
    --- stdout
    --- stderr
    error: `volume/new-bucket` lies among the objects of the volume
    hint: name a folder outside, or one below the volume that begins with a dot
    ");
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// How many objects an export that is killed has.
const OBJECTS: usize = 60;

#[test]
fn an_export_killed_at_any_instant_leaves_nothing_to_serve_and_is_made_by_the_next() {
    let mut world = World::new();
    drop(world.take_gateway().kill().unwrap());
    for number in 0..OBJECTS {
        fs::write(world.object(&format!("{number:02}")), vec![7; 50_000]).unwrap();
    }
    let before = world.json(&["gateway", "check"]);
    let whole = [".minio.sys", BUCKET];
    let mut cut = 0;
    for reached in [0, 1, 7, 30, OBJECTS - 1, OBJECTS] {
        let folder = format!("back-{reached}");
        let target = world.path(&folder);
        let export = ["-q", "gateway", "export", &folder, "--to", "minio"];
        let export = [&export[..], &["--files", "copy"]].concat();
        let process = Process::start(&mut world.command(&export)).unwrap();
        let made = target.join(".lifeboat-export/content").join(BUCKET);
        let so_far = || entries(&made).len() >= reached || target.join(BUCKET).exists();
        // It may have ended before this looks.
        let waited = process.wait_until("come so far", Duration::from_mins(1), so_far);
        drop(process.kill().unwrap());
        if waited.is_ok() && target.join(".lifeboat-export").exists() {
            cut += 1;
            if !target.join(".lifeboat-export/whole").exists() {
                assert_eq!(entries(&target), [".lifeboat-export"]);
            }
        }
        let again = world.run(&export);
        // Of one that was whole before it was killed the target is not empty.
        assert!(again.code == 0 || again.code == 4, "{}", again.stderr);
        let found = entries(&target);
        assert!(
            whole
                .iter()
                .all(|name| found.iter().any(|found| found == name)),
            "{found:?}"
        );
        assert!(!target.join(".lifeboat-export").exists());
        assert_eq!(entries(&target.join(BUCKET)).len(), OBJECTS);
        for number in 0..OBJECTS {
            let file = target.join(BUCKET).join(format!("{number:02}"));
            assert_eq!(fs::metadata(file).unwrap().len(), 50_000);
        }
        let after = world.json(&["gateway", "check"]);
        assert_eq!(
            after["volumes"][0]["objects"],
            before["volumes"][0]["objects"]
        );
    }
    assert!(cut > 0, "no export was cut off");
}
