//! Values mean what they mean to Helm: layers, `--set`, and the YAML that real files hold.

use insta::assert_snapshot;

use super::{from, from_all, plain, warnings};
use crate::settings::Settings;

fn set(argument: &str) -> Settings {
    from_all(&[], &[argument], &[]).unwrap()
}

fn set_error(argument: &str) -> String {
    from_all(&[], &[argument], &[]).unwrap_err().to_string()
}

#[test]
fn later_files_win_key_by_key_and_null_takes_away() {
    let first = "backup: {stackGraph: {bucketName: first, s3Prefix: first}, elasticsearch: {bucketName: first}}";
    let second = "backup: {stackGraph: {bucketName: second}, elasticsearch: null}";
    let settings = from_all(&[first, second], &[], &[]).unwrap();
    assert_eq!(settings.stackgraph.bucket, "second");
    assert_eq!(settings.stackgraph.prefix, "first/");
    assert_eq!(settings.elasticsearch.bucket, "sts-elasticsearch-backup");

    let settings = from_all(
        &[first, second],
        &["backup.stackGraph.bucketName=third"],
        &[],
    )
    .unwrap();
    assert_eq!(settings.stackgraph.bucket, "third");
    let settings = from_all(
        &[first, second],
        &["backup.stackGraph.bucketName=null"],
        &[],
    )
    .unwrap();
    assert_eq!(settings.stackgraph.bucket, "sts-stackgraph-backup");
}

#[test]
fn a_mistake_that_a_later_layer_replaces_is_no_mistake() {
    let settings = from_all(
        &["backup: {enabled: maybe}", "backup: {enabled: true}"],
        &[],
        &[],
    );
    assert!(settings.unwrap().backup_enabled);
    let settings = from_all(&["backup: none", "backup: {enabled: true}"], &[], &[]);
    assert!(settings.unwrap().backup_enabled);
}

#[test]
fn sections_may_be_empty() {
    let settings = from("backup:\nminio: {}\nglobal:\nvictoria-metrics-0:\n  backup: ~\n");
    assert_eq!(plain(&settings), plain(&from("")));
}

#[test]
fn set_takes_several_assignments_lists_and_escapes() {
    let settings = set(
        "backup.enabled=true,backup.stackGraph.bucketName=mine,lifeboat.timeZone=Europe/Amsterdam",
    );
    assert!(settings.backup_enabled);
    assert_eq!(settings.stackgraph.bucket, "mine");
    assert_eq!(
        settings.lifeboat.time_zone.as_deref(),
        Some("Europe/Amsterdam")
    );

    let indices = |argument| set(argument).elasticsearch.indices;
    assert_eq!(
        indices("backup.elasticsearch.scheduled.indices={sts*,logs*}"),
        ["sts*", "logs*"]
    );
    assert_eq!(
        indices("backup.elasticsearch.scheduled.indices[0]=sts_a"),
        ["sts_a"]
    );
    assert_eq!(
        indices(r"backup.elasticsearch.scheduled.indices=a\,b"),
        ["a", "b"]
    );

    let settings = set(r"minio.environment.a\.b=c,minio.accessKey=12345678");
    let key = settings.client_credentials().unwrap_err().to_string();
    assert!(key.starts_with("the secret key"), "{key}");
}

#[test]
fn set_values_are_typed_as_helm_does() {
    let counts = |argument| set(argument).elasticsearch.max_count;
    assert_eq!(
        counts("backup.elasticsearch.scheduled.snapshotRetentionMaxCount=7"),
        7
    );
    assert_snapshot!(set_error("backup.enabled=yes"),
        @r#"--set: `backup.enabled` must be true or false, found the text "yes" (remove the quotes)"#);
    assert_snapshot!(set_error("backup.stackGraph.bucketName=true"),
        @"--set: `backup.stackGraph.bucketName` must be the name of a bucket, found the truth value true (quotes make it a text)");
}

#[test]
fn a_set_argument_that_does_not_parse_is_told_by_its_column() {
    assert_snapshot!(set_error("backup.enabled"), @"--set: expected `=` and a value after the key (at column 14 of the argument)");
    assert_snapshot!(set_error("a=1,=2"), @"--set: a key is missing (at column 5 of the argument)");
    assert_snapshot!(set_error("a[x]=2"), @"--set: expected an index from 0 to 1024 and `]` (at column 4 of the argument)");
    assert_snapshot!(set_error("a[0]b=2"), @"--set: expected `.`, `[` or `=` after the index (at column 4 of the argument)");
    assert_snapshot!(set_error("a[0].=2"), @"--set: a key is missing (at column 4 of the argument)");
    assert_snapshot!(set_error("a={b"), @"--set: the list has no closing `}` (at column 4 of the argument)");
    assert_snapshot!(set_error("backup.colour=red"), @"--set: unknown key `backup.colour`");
}

#[test]
fn anchors_merge_keys_and_blocks_are_read() {
    let settings = from(
        "x-common: &common\n  bucketName: shared\n  s3Prefix: a\nbackup:\n  stackGraph:\n    <<: *common\n    s3Prefix: own\n  elasticsearch:\n    <<: [*common, {enabled: false}]\n  configuration:\n    bucketName: >-\n      folded\n    s3Prefix: !!str 5\n",
    );
    assert_eq!(
        (
            settings.stackgraph.bucket.as_str(),
            settings.stackgraph.prefix.as_str()
        ),
        ("shared", "own/")
    );
    assert_eq!(settings.elasticsearch.bucket, "shared");
    assert!(!settings.elasticsearch.enabled);
    assert_eq!(settings.configuration.bucket, "folded");
    assert_eq!(settings.configuration.prefix, "5/");
}

#[test]
fn truth_values_are_those_of_yaml_as_helm_reads_it() {
    for (text, value) in [
        ("yes", true),
        ("On", true),
        ("TRUE", true),
        ("off", false),
        ("No", false),
    ] {
        assert_eq!(
            from(&format!("backup: {{enabled: {text}}}")).backup_enabled,
            value,
            "{text}"
        );
    }
}

#[test]
fn a_repeated_key_counts_once_and_is_told() {
    let settings = from(
        "backup:\n  enabled: true\nbackup:\n  stackGraph:\n    bucketName: one\n    bucketName: two\n",
    );
    assert!(!settings.backup_enabled);
    assert_eq!(settings.stackgraph.bucket, "two");
    assert_snapshot!(warnings(&settings), @"
    values.yaml:3:1: `backup` was already given at values.yaml:1:1; this one counts alone
    values.yaml:6:5: `backup.stackGraph.bucketName` was already given at values.yaml:5:5; this one counts alone
    ");
}

#[test]
fn a_byte_order_mark_and_an_empty_second_document_are_no_trouble() {
    assert!(from("\u{feff}---\nbackup: {enabled: true}\n---\n").backup_enabled);
}
