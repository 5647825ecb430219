//! Backup, list, restore, verify, expire: the way an operator goes.

use std::fs;

use crate::world::World;

const NAME: &str = "sts-backup-20210216-0300.graph";

#[test]
fn what_was_backed_up_comes_back() {
    let world = World::new();
    let before = world.load_ring(500, "first");
    let backup = world.json(&["stackgraph", "backup", "--name", NAME]);
    assert_eq!(backup["digest"], before.as_str());
    assert_eq!(backup["vertices"], 500);
    assert_eq!(backup["edges"], 500);

    fs::remove_dir_all(world.store()).unwrap();
    let restored = world.json(&["stackgraph", "restore", "latest"]);
    assert_eq!(restored["digest"], before.as_str());
    assert_eq!(world.digest(), before);

    let found = world.json(&["stackgraph", "show", "urn:host:/42"]);
    assert_eq!(found["found"][0]["properties"]["name"], "component 42");
    assert_eq!(
        found["found"][0]["outgoing"]["shown"][0]["other"],
        "urn:host:/43"
    );
    assert_eq!(
        found["found"][0]["incoming"]["shown"][0]["other"],
        "urn:host:/41"
    );
}

#[test]
fn script_output_is_line_for_line_that_of_the_platforms_scripts() {
    let world = World::new();
    world.load_ring(5, "first");
    for name in ["sts-backup-20210215-0300.graph", NAME] {
        world.ok(&["stackgraph", "backup", "--name", name]);
    }
    insta::assert_snapshot!(world.seen(&["-o", "script", "stackgraph", "list"]), @r#"
    exit code 0
    --- stdout
    === Listing StackGraph backups in bucket "sts-stackgraph-backup"...
    sts-backup-20210215-0300.graph
    sts-backup-20210216-0300.graph
    ===
    --- stderr
    "#);
    fs::remove_dir_all(world.store()).unwrap();
    insta::assert_snapshot!(world.seen(&["-o", "script", "stackgraph", "restore", NAME]), @r#"
    exit code 0
    --- stdout
    === Downloading StackGraph backup "sts-backup-20210216-0300.graph" from bucket "sts-stackgraph-backup"...
    === Importing StackGraph data from "sts-backup-20210216-0300.graph"...
    ===
    --- stderr
    "#);
    insta::assert_snapshot!(world.seen(&["-o", "script", "stackgraph", "restore", NAME, ""]), @r"
    exit code 4
    --- stdout
    --- stderr
    ERROR com.stackvista.graph.migration.Restore - Restore isn't possible in a non empty.
    hint: the store holds 10 elements, and nothing was changed; with `-force` the backup replaces them
    ");
    insta::assert_snapshot!(world.seen(&["-o", "script", "stackgraph", "restore", NAME, "-force"]), @r#"
    exit code 0
    --- stdout
    === Downloading StackGraph backup "sts-backup-20210216-0300.graph" from bucket "sts-stackgraph-backup"...
    === Importing StackGraph data from "sts-backup-20210216-0300.graph"...
    ===
    --- stderr
    "#);
}

#[test]
fn a_store_that_is_not_empty_is_not_overwritten_unless_forced() {
    let world = World::new();
    let first = world.load_ring(50, "first");
    world.ok(&["stackgraph", "backup", "--name", NAME]);
    let second = world.load_ring(50, "second");
    assert_ne!(first, second);
    insta::assert_snapshot!(world.seen(&["stackgraph", "restore", NAME]), @r"
    exit code 4
    --- stdout
    --- stderr
    ERROR com.stackvista.graph.migration.Restore - Restore isn't possible in a non empty.
    hint: the store holds 150 elements, and nothing was changed; with `-force` the backup replaces them
    ");
    assert_eq!(world.digest(), second);

    insta::assert_snapshot!(world.seen(&["stackgraph", "restore", NAME, "--force", "--dry-run"]), @r"
    exit code 0
    --- stdout
    would restore 100 elements from `sts-backup-20210216-0300.graph`
    would replace the 150 elements that the store holds now
    --- stderr
    ");
    assert_eq!(world.digest(), second);

    world.ok(&["stackgraph", "restore", NAME, "--force"]);
    assert_eq!(world.digest(), first);
}

#[test]
fn a_disabled_restore_is_refused() {
    let world = World::new();
    world.write_values(&world.values().replace(
        "backup:\n  enabled: true\n",
        "backup:\n  enabled: true\n  stackGraph: {restore: {enabled: false}}\n",
    ));
    insta::assert_snapshot!(world.seen(&["stackgraph", "restore", "latest"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: restoring StackGraph is disabled: set `backup.stackGraph.restore.enabled` to true
    ");
}

#[test]
fn a_name_is_never_used_twice() {
    let world = World::new();
    let before = world.load_ring(5, "first");
    world.ok(&["stackgraph", "backup", "--name", NAME]);
    world.load_ring(5, "second");
    insta::assert_snapshot!(world.seen(&["stackgraph", "backup", "--name", NAME]), @r"
    exit code 4
    --- stdout
    --- stderr
    error: cannot write `sts-backup-20210216-0300.graph` in bucket `sts-stackgraph-backup` at [ENDPOINT]
      caused by: the object exists already
    hint: choose another name with `--name`
    ");
    let listed = world.json(&["stackgraph", "list"]);
    assert_eq!(listed["backups"][0]["digest"], before.as_str());
}

#[test]
fn a_list_shows_complete_backups_and_says_what_it_leaves_out() {
    let world = World::new();
    world.load_ring(5, "first");
    insta::assert_snapshot!(world.seen(&["stackgraph", "list"]), @r"
    exit code 0
    --- stdout
    no backups in bucket `sts-stackgraph-backup`
    --- stderr
    ");
    world.ok(&["stackgraph", "backup", "--name", NAME]);
    let whole = fs::read(world.object(NAME)).unwrap();
    fs::write(
        world.object("sts-backup-20210217-0300.graph"),
        &whole[..whole.len() / 2],
    )
    .unwrap();
    fs::write(
        world.object("sts-backup-20210218-0300.graph"),
        b"\xac\xed\x00\x05sr of another program",
    )
    .unwrap();
    assert_eq!(world.listed(), [NAME]);
    let seen = world.seen(&["stackgraph", "list"]);
    assert!(seen.contains("2 more objects are in the bucket"), "{seen}");
    insta::assert_snapshot!(world.seen(&["stackgraph", "list", "--all"]), @r"
    exit code 0
    --- stdout
    NAME                            TAKEN              SIZE  ELEMENTS  STATE
    sts-backup-20210216-0300.graph  2021-02-16 03:00  714 B  10        completed
    sts-backup-20210217-0300.graph  2021-02-17 03:00  357 B  -         the file is incomplete: it ends without its end mark at byte 357
    sts-backup-20210218-0300.graph  2021-02-18 03:00   25 B  -         not a Lifeboat `.graph` file, it starts with `\xac\xed\x00\x05sr of anothe`
    --- stderr
    ");
}

#[test]
fn expiry_shows_its_reasons_and_then_deletes_what_it_said() {
    let world = World::new();
    world.load_ring(5, "first");
    world.ok(&["stackgraph", "backup"]);
    for name in [
        "sts-backup-20200101-0300.graph",
        "sts-backup-20200102-0300.graph",
        "kept by hand.graph",
    ] {
        world.ok(&["stackgraph", "backup", "--name", name]);
    }
    let planned = world.json(&["stackgraph", "expire", "--dry-run"]);
    assert_eq!(world.listed().len(), 4);
    let expired = world.json(&["stackgraph", "expire"]);
    assert_eq!(planned["verdicts"], expired["verdicts"]);
    let left = world.listed();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&"kept by hand.graph".to_owned()));
    assert!(!left.iter().any(|name| name.starts_with("sts-backup-2020")));
}

#[test]
fn a_backup_may_expire_the_old_ones_in_one_go() {
    let world = World::new();
    world.load_ring(5, "first");
    world.ok(&[
        "stackgraph",
        "backup",
        "--name",
        "sts-backup-20200101-0300.graph",
    ]);
    let backup = world.json(&["stackgraph", "backup", "--expire"]);
    assert_eq!(backup["expired"][0], "sts-backup-20200101-0300.graph");
    assert_eq!(world.listed(), [backup["name"].as_str().unwrap()]);
}

#[test]
fn expiry_stops_when_everything_would_go() {
    let world = World::new();
    world.load_ring(5, "first");
    for name in [
        "sts-backup-20200101-0300.graph",
        "sts-backup-20200102-0300.graph",
    ] {
        world.ok(&["stackgraph", "backup", "--name", name]);
    }
    let seen = world.run(&["stackgraph", "expire"]);
    assert_ne!(seen.code, 0, "{}", seen.stdout);
    assert_eq!(world.listed().len(), 2);
}

#[test]
fn loading_the_same_payload_twice_changes_nothing() {
    let world = World::new();
    let once = world.load_ring(30, "first");
    let twice = world.load_ring(30, "first");
    assert_eq!(once, twice);
}
