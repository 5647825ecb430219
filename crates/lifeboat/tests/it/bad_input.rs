//! What the person gets for bad input: what is wrong, where, and what to do, with nothing changed.

use std::fs;

use crate::world::World;

#[test]
fn a_values_file_that_is_missing_is_named() {
    let world = World::without_gateway();
    insta::assert_snapshot!(world.seen(&["-f", "absent.yaml", "settings", "check"]), @r"
    exit code 3
    --- stdout
    --- stderr
    error: cannot read the values file `absent.yaml`
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn a_values_file_that_is_not_yaml_is_refused_with_its_place() {
    let world = World::without_gateway();
    world.write_values("backup:\n  enabled: [true\n");
    insta::assert_snapshot!(world.seen(&["settings", "check"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: values.yaml:3:1: not valid YAML: while parsing a flow sequence, expected ',' or ']'
    hint: docs/reference/settings.md lists every key
    ");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_place() {
    let world = World::without_gateway();
    world.write_values("backup:\n  enabled: perhaps\nminio:\n  secretKey: [do, not, print, me]\n");
    let seen = world.seen(&["settings", "check"]);
    assert!(!seen.contains("print"), "{seen}");
    insta::assert_snapshot!(seen, @r#"
    exit code 2
    --- stdout
    --- stderr
    error: values.yaml:2:12: `backup.enabled` must be true or false, found the text "perhaps"
    values.yaml:4:14: `minio.secretKey` must be a text, found a list
    hint: docs/reference/settings.md lists every key
    "#);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let world = World::without_gateway();
    world.write_values(
        "backup:\n  stackGraph:\n    sheduled:\n      enabled: true\nanything: {is: fine}\n",
    );
    insta::assert_snapshot!(world.seen(&["settings", "check"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: values.yaml:3:5: unknown key `backup.stackGraph.sheduled`; did you mean `backup.stackGraph.scheduled`?
    hint: docs/reference/settings.md lists every key
    ");
}

#[test]
fn a_schedule_under_the_bucket_name_is_recognised() {
    let world = World::without_gateway();
    world.write_values("victoria-metrics-0:\n  backup:\n    bucketName: 25 * * * *\n");
    insta::assert_snapshot!(world.seen(&["settings", "check"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: values.yaml:3:17: `victoria-metrics-0.backup.bucketName` holds a schedule, not the name of a bucket; the schedule belongs in `victoria-metrics-0.backup.scheduled.schedule`
    hint: docs/reference/settings.md lists every key
    ");
}

#[test]
fn the_charts_placeholder_keys_do_not_start_a_gateway() {
    let world = World::without_gateway();
    world.write_values("backup: {enabled: true}\nminio: {persistence: {enabled: true}}\n");
    insta::assert_snapshot!(world.seen(&["gateway"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: the access key of the gateway is not set: set `minio.accessKey` in the values or LIFEBOAT_ACCESS_KEY in the environment
    ");
}

#[test]
fn a_gateway_without_its_volume_says_so() {
    let world = World::without_gateway();
    fs::remove_dir(world.volume()).unwrap();
    insta::assert_snapshot!(world.seen(&["gateway"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: cannot serve the volume
      caused by: no volume at `[FOLDER]/volume`: mount one there, or name another in `lifeboat.gateway.volume`
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn a_second_gateway_on_one_volume_is_refused() {
    let world = World::new();
    let seen = world.run(&["gateway"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(seen.stderr.contains("process "), "{}", seen.stderr);
}

#[test]
fn an_endpoint_where_nobody_listens_is_named() {
    let world = World::without_gateway();
    insta::assert_snapshot!(world.seen(&["stackgraph", "list"]), @r"
    exit code 5
    --- stdout
    --- stderr
    error: cannot list the objects in bucket `sts-stackgraph-backup` at [ENDPOINT]
      caused by: no answer: Connection refused (os error 111)
    hint: is the gateway running at [ENDPOINT]? set `lifeboat.endpoint` if it is elsewhere
    ");
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
    insta::assert_snapshot!(seen, @r"
    exit code 2
    --- stdout
    --- stderr
    error: cannot list the objects in bucket `sts-stackgraph-backup` at [ENDPOINT]
      caused by: the server refused the key pair: SignatureDoesNotMatch
    hint: the key pair is `minio.accessKey` and `minio.secretKey` of the values, or LIFEBOAT_ACCESS_KEY and LIFEBOAT_SECRET_KEY of the environment
    ");
    insta::assert_snapshot!(world.seen(&["--set", "minio.accessKey=somebodyelse", "stackgraph", "list"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: cannot list the objects in bucket `sts-stackgraph-backup` at [ENDPOINT]
      caused by: the server refused the key pair: InvalidAccessKeyId: the access key does not exist in our records
    hint: the key pair is `minio.accessKey` and `minio.secretKey` of the values, or LIFEBOAT_ACCESS_KEY and LIFEBOAT_SECRET_KEY of the environment
    ");
}

#[test]
fn a_missing_bucket_is_named() {
    let world = World::new();
    insta::assert_snapshot!(
        world.seen(&["--set", "backup.stackGraph.bucketName=elsewhere", "stackgraph", "list"]), @r"
    exit code 3
    --- stdout
    --- stderr
    error: cannot list the objects in bucket `elsewhere` at [ENDPOINT]
      caused by: there is no such bucket: NoSuchBucket: no bucket `elsewhere`
    hint: the gateway creates the buckets of its values when it starts; the name is `backup.stackGraph.bucketName`
    ");
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
    insta::assert_snapshot!(world.seen(&["stackgraph", "restore", "sts-backup-20210213-0301.graph"]), @r"
    exit code 3
    --- stdout
    --- stderr
    error: there is no backup `sts-backup-20210213-0301.graph` in bucket `sts-stackgraph-backup`
    hint: the nearest names are `sts-backup-20210213-0300.graph`, `sts-backup-20210210-0300.graph`, `sts-backup-20210211-0300.graph`
    ");
    insta::assert_snapshot!(world.seen(&["stackgraph", "verify", "sts-backup-20210213-0301.graph"]), @r"
    exit code 3
    --- stdout
    --- stderr
    error: there is no backup `sts-backup-20210213-0301.graph` in bucket `sts-stackgraph-backup`
    hint: the nearest names are `sts-backup-20210213-0300.graph`, `sts-backup-20210210-0300.graph`, `sts-backup-20210211-0300.graph`
    ");
}

#[test]
fn a_store_that_does_not_exist_is_not_backed_up() {
    let world = World::new();
    insta::assert_snapshot!(world.seen(&["stackgraph", "backup", "--name", "a.graph"]), @r"
    exit code 3
    --- stdout
    --- stderr
    error: there is no store at `[FOLDER]/graph`
    hint: `lifeboat.stackgraph.path` is where the store lies; `stackgraph load` and `stackgraph restore` make one
    ");
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
    insta::assert_snapshot!(world.seen(&["stackgraph", "load", "cut.json"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: cut.json:2:22: EOF while parsing a value
    hint: nothing was changed
    ");
    assert_eq!(world.digest(), before);
}
