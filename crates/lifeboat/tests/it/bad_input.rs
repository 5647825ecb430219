//! What the person gets for bad input: what is wrong, where, and what to do, with nothing changed.

use std::fs;

use crate::world::World;

#[test]
fn a_values_file_that_is_missing_is_named() {
    let world = World::without_gateway();
    insta::assert_snapshot!(world.seen(&["-f", "absent.yaml", "settings", "check"]), @"");
}

#[test]
fn a_values_file_that_is_not_yaml_is_refused_with_its_place() {
    let world = World::without_gateway();
    world.write_values("backup:\n  enabled: [true\n");
    insta::assert_snapshot!(world.seen(&["settings", "check"]), @"");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_place() {
    let world = World::without_gateway();
    world.write_values("backup:\n  enabled: perhaps\nminio:\n  secretKey: [do, not, print, me]\n");
    let seen = world.seen(&["settings", "check"]);
    assert!(!seen.contains("print"), "{seen}");
    insta::assert_snapshot!(seen, @"");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let world = World::without_gateway();
    world.write_values(
        "backup:\n  stackGraph:\n    sheduled:\n      enabled: true\nanything: {is: fine}\n",
    );
    insta::assert_snapshot!(world.seen(&["settings", "check"]), @"");
}

#[test]
fn a_schedule_under_the_bucket_name_is_recognised() {
    let world = World::without_gateway();
    world.write_values("victoria-metrics-0:\n  backup:\n    bucketName: 25 * * * *\n");
    insta::assert_snapshot!(world.seen(&["settings", "check"]), @"");
}

#[test]
fn the_charts_placeholder_keys_do_not_start_a_gateway() {
    let world = World::without_gateway();
    world.write_values("backup: {enabled: true}\nminio: {persistence: {enabled: true}}\n");
    insta::assert_snapshot!(world.seen(&["gateway"]), @"");
}

#[test]
fn a_gateway_without_its_volume_says_so() {
    let world = World::without_gateway();
    fs::remove_dir(world.volume()).unwrap();
    insta::assert_snapshot!(world.seen(&["gateway"]), @"");
}

#[test]
fn a_second_gateway_on_one_volume_is_refused() {
    let world = World::new();
    let seen = world.run(&["gateway"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(seen.stderr.contains("pid"), "{}", seen.stderr);
}

#[test]
fn an_endpoint_where_nobody_listens_is_named() {
    let world = World::without_gateway();
    insta::assert_snapshot!(world.seen(&["stackgraph", "list"]), @"");
}

#[test]
fn wrong_keys_are_told_with_what_the_server_said() {
    let world = World::new();
    let seen = world.seen(&[
        "--set",
        "minio.secretKey=anothersecretkey",
        "stackgraph",
        "list",
    ]);
    assert!(!seen.contains("anothersecretkey"), "{seen}");
    insta::assert_snapshot!(seen, @"");
    insta::assert_snapshot!(world.seen(&["--set", "minio.accessKey=somebodyelse", "stackgraph", "list"]), @"");
}

#[test]
fn a_missing_bucket_is_named() {
    let world = World::new();
    insta::assert_snapshot!(
        world.seen(&["--set", "backup.stackGraph.bucketName=elsewhere", "stackgraph", "list"]), @"");
}

#[test]
fn an_unknown_backup_is_answered_with_the_nearest_names() {
    let world = World::new();
    world.load_ring(3, "first");
    for day in 10..16 {
        world.ok(&[
            "stackgraph",
            "backup",
            "--name",
            &format!("sts-backup-202102{day}-0300.graph"),
        ]);
    }
    fs::remove_dir_all(world.store()).unwrap();
    insta::assert_snapshot!(world.seen(&["stackgraph", "restore", "sts-backup-20210213-0301.graph"]), @"");
    insta::assert_snapshot!(world.seen(&["stackgraph", "verify", "sts-backup-20210213-0301.graph"]), @"");
}

#[test]
fn a_store_that_does_not_exist_is_not_backed_up() {
    let world = World::new();
    insta::assert_snapshot!(world.seen(&["stackgraph", "backup", "--name", "a.graph"]), @"");
    assert!(world.listed().is_empty());
}

#[test]
fn a_payload_that_is_not_one_is_refused_with_its_place() {
    let world = World::new();
    let before = world.load_ring(3, "first");
    fs::write(
        world.path("cut.json"),
        "{\"components\": [\n  {\"id\": \"a\", \"type\": ",
    )
    .unwrap();
    insta::assert_snapshot!(world.seen(&["stackgraph", "load", "cut.json"]), @"");
    assert_eq!(world.digest(), before);
}
