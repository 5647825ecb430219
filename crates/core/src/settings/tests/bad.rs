//! What is wrong is told with its place, all of it at once, and without secrets.

use insta::assert_snapshot;

use super::{attempt, errors, from, from_all, warnings};
use crate::error::Kind;
use crate::settings::{Origin, Problem};

#[test]
fn an_unknown_key_is_told_with_the_nearest_known_one() {
    assert_snapshot!(errors("backup:\n  stackGraph:\n    sheduled:\n      enabled: false\n"),
        @"values.yaml:3:5: unknown key `backup.stackGraph.sheduled`; did you mean `backup.stackGraph.scheduled`?");
    assert_snapshot!(errors("backup:\n  stackgraph:\n    enabled: false\n"),
        @"values.yaml:2:3: unknown key `backup.stackgraph`; did you mean `backup.stackGraph`?");
    assert_snapshot!(errors("backup:\n  stackGraph:\n    schedule: 0 4 * * *\n"),
        @"values.yaml:3:5: unknown key `backup.stackGraph.schedule`; did you mean `backup.stackGraph.scheduled.schedule`?");
    assert_snapshot!(errors("minio:\n  acessKey: AKIAsecret\n"),
        @"values.yaml:2:3: unknown key `minio.acessKey`; did you mean `minio.accessKey`?");
    assert_snapshot!(errors("lifeboat:\n  colour: red\n"),
        @"values.yaml:2:3: unknown key `lifeboat.colour`");
}

#[test]
fn a_key_with_dots_is_not_taken_for_a_path() {
    assert_snapshot!(errors("backup:\n  stackGraph.bucketName: mine\n"),
        @r#"values.yaml:2:3: unknown key `backup."stackGraph.bucketName"`; did you mean `backup.stackGraph.bucketName`?"#);
}

#[test]
fn all_errors_of_all_files_are_told_at_once_in_their_order() {
    let first = "victoria-metrics-0: 7\nbackup:\n  enabled: \"yes please\"\n  colour: red\n";
    let second = "lifeboat:\n  gateway: {listen: nowhere}\n  stackgraph:\n    memory: plenty\n    driver: abacus\n  endpoint: gateway\nbackup: {elasticsearch: {scheduled: {indices: [], snapshotRetentionMinCount: -1}}}\n";
    let errors = from_all(
        &[first, second],
        &["minio.replicas=2,backup.configuration.enabled=maybe"],
        &[],
    );
    assert_snapshot!(errors.unwrap_err(), @r#"
    values.yaml:1:21: `victoria-metrics-0` must be a mapping of keys, found a single value
    values.yaml:3:12: `backup.enabled` must be true or false, found the text "yes please"
    values.yaml:4:3: unknown key `backup.colour`
    more.yaml:2:21: `lifeboat.gateway.listen` must be an address and port such as `0.0.0.0:9000`, found the text "nowhere"
    more.yaml:4:13: `lifeboat.stackgraph.memory` must be a size such as `768Mi`, found the text "plenty"
    more.yaml:5:13: `lifeboat.stackgraph.driver` must be `embedded`, found the text "abacus"
    more.yaml:6:13: `lifeboat.endpoint` must be an address such as `http://stackstate-minio:9000`, found the text "gateway"
    more.yaml:7:47: `backup.elasticsearch.scheduled.indices` must be index patterns, found a list
    more.yaml:7:78: `backup.elasticsearch.scheduled.snapshotRetentionMinCount` must be a whole number, found the text "-1"
    --set: `backup.configuration.enabled` must be true or false, found the text "maybe"
    "#);
}

#[test]
fn a_truth_value_and_a_text_are_not_the_same() {
    assert_snapshot!(errors("backup: {enabled: \"false\"}"),
        @r#"values.yaml:1:19: `backup.enabled` must be true or false, found the text "false" (remove the quotes)"#);
    assert_snapshot!(errors("backup: {stackGraph: {bucketName: no}}"),
        @"values.yaml:1:35: `backup.stackGraph.bucketName` must be the name of a bucket, found the truth value false (quotes make it a text)");
}

/// An address stands in errors of those who ask there.
#[test]
fn an_address_with_a_password_is_refused_and_not_shown() {
    for address in [
        "http://sailor:hush@vmagent:8429",
        "sailor:hush@vmagent:8429",
    ] {
        let values = format!("lifeboat: {{victoriaMetrics: {{vmagent: '{address}'}}}}");
        let told = errors(&values);
        assert!(!told.contains("hush"), "{told}");
        assert!(
            told.ends_with(
                "`lifeboat.victoriaMetrics.vmagent` must not hold a user name or a password"
            ),
            "{told}"
        );
    }
    let vmagent = |address: &str| {
        let values = format!("lifeboat: {{victoriaMetrics: {{vmagent: '{address}'}}}}");
        let settings = attempt(&values).unwrap();
        settings.lifeboat.victoria_metrics.vmagent.clone()
    };
    assert_eq!(vmagent(""), None);
    assert_eq!(vmagent("http://a:8429/"), Some("http://a:8429".to_owned()));
}

#[test]
fn a_schedule_that_does_not_parse_is_told_with_its_cause() {
    let errors = attempt("backup:\n  stackGraph:\n    scheduled:\n      schedule: '0 0 3 * * ?'\n")
        .unwrap_err();
    let error = errors.iter().next().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(
        error
            .to_string()
            .ends_with("cannot read `backup.stackGraph.scheduled.schedule`")
    );
    assert!(std::error::Error::source(error).is_some());
    assert!(matches!(error.origin(), Origin::File(place) if place.line == 4 && place.column >= 18));
}

#[test]
fn a_retention_and_a_naming_rule_that_do_not_parse_are_told() {
    let errors = attempt(
        "backup:\n  stackGraph:\n    scheduled:\n      backupRetentionTimeDelta: for ever\n  configuration:\n    scheduled:\n      backupNameParseRegexp: 'sts-backup'\n",
    );
    let errors = errors.unwrap_err();
    let places: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(places[0].starts_with("values.yaml:4:"), "{places:?}");
    assert!(
        places[0].ends_with("cannot read `backup.stackGraph.scheduled.backupRetentionTimeDelta`")
    );
    assert!(places[1].starts_with("values.yaml:7:30: "), "{places:?}");
    assert!(
        places[1].ends_with("cannot read `backup.configuration.scheduled.backupNameParseRegexp`")
    );
}

#[test]
fn a_schedule_as_the_bucket_of_metrics_is_told_where_it_belongs() {
    assert_snapshot!(errors("victoria-metrics-1:\n  backup:\n    bucketName: 35 * * * *\n"),
        @"values.yaml:3:17: `victoria-metrics-1.backup.bucketName` holds a schedule, not the name of a bucket; the schedule belongs in `victoria-metrics-1.backup.scheduled.schedule`");
}

#[test]
fn bucket_names_follow_the_rules_of_s3() {
    let told = |name: &str| {
        let text = format!("backup: {{stackGraph: {{bucketName: '{name}'}}}}");
        attempt(&text).map_err(|errors| errors.to_string())
    };
    for name in ["abc", "sts-backup", "1.2.3", &"a".repeat(63)] {
        assert!(told(name).is_ok(), "{name}");
    }
    assert_snapshot!(told("").unwrap_err(), @"values.yaml:1:35: `backup.stackGraph.bucketName` is empty: give the name of a bucket");
    assert_snapshot!(told("Mine_1").unwrap_err(), @"values.yaml:1:35: `backup.stackGraph.bucketName` may hold lower-case letters, digits, `.` and `-` only");
    for name in [
        "ab",
        "-abc",
        "abc-",
        "a..b",
        "192.168.0.1",
        "a/b",
        "a b",
        &"a".repeat(64),
    ] {
        assert!(told(name).is_err(), "{name}");
    }
}

#[test]
fn an_old_bucket_name_is_a_warning_in_s3_only() {
    let settings =
        from("backup: {stackGraph: {bucketName: Mine_1}}\nminio: {s3gateway: {enabled: true}}");
    assert_eq!(settings.stackgraph.bucket, "Mine_1");
    assert_snapshot!(warnings(&settings), @"values.yaml:1:35: `backup.stackGraph.bucketName` may hold lower-case letters, digits, `.` and `-` only: only a bucket from before 2018 can be called so");
}

#[test]
fn two_storages_are_refused_whatever_their_generation() {
    assert_snapshot!(errors("minio:\n  persistence: {enabled: true}\n  s3gateway:\n    enabled: true\n"),
        @"values.yaml:4:14: `minio.s3gateway.enabled` and `minio.persistence.enabled` are both true, but backups are stored in one place only");
    assert_snapshot!(errors("minio: {azuregateway: {enabled: true}}\nbackup: {storage: {backend: {pvc: {enabled: true}}}}"),
        @"values.yaml:1:33: `minio.azuregateway.enabled` and `backup.storage.backend.pvc.enabled` are both true, but backups are stored in one place only");
}

#[test]
fn a_gateway_that_does_not_exist_here_is_refused() {
    assert_snapshot!(errors("minio: {gcsgateway: {enabled: true}}"),
        @"values.yaml:1:31: `minio.gcsgateway.enabled` chooses a storage that is not supported: use a volume, S3 or Azure");
}

#[test]
fn half_a_pair_of_keys_and_crossed_counts_are_refused() {
    assert_snapshot!(errors("minio: {s3gateway: {accessKey: abc}}\nbackup: {elasticsearch: {scheduled: {snapshotRetentionMinCount: '31'}}}"), @"
    values.yaml:1:32: `minio.s3gateway.accessKey` is set, but `minio.s3gateway.secretKey` is not
    values.yaml:2:65: `backup.elasticsearch.scheduled.snapshotRetentionMinCount` is 31, more than `backup.elasticsearch.scheduled.snapshotRetentionMaxCount`, which is 30
    ");
}

#[test]
fn one_mistake_is_told_once() {
    assert_snapshot!(errors("minio: {s3gateway: {accessKey: abcde, secretKey: [abcdefgh]}}"),
        @"values.yaml:1:50: `minio.s3gateway.secretKey` must be a text, found a list");
}

#[test]
fn what_is_not_a_values_file_is_told_with_its_place() {
    for (text, told) in [
        ("backup: [", "values.yaml:"),
        ("a: b: c", "values.yaml:1:"),
        (
            "- backup",
            "values.yaml:1:1: a values file must be a mapping of keys",
        ),
        (
            "hunter2",
            "values.yaml:1:1: a values file must be a mapping of keys",
        ),
        ("a: 1\n---\nb: 2\n", "values.yaml:3:"),
        ("? [a]\n: b", "values.yaml:1:"),
        ("a: *nothing", "values.yaml:1:4: not valid YAML: "),
        (
            "a: &x [*x]",
            "values.yaml:1:8: an alias stands inside its own anchor",
        ),
        ("a: {<<: 5}", "values.yaml:1:9: `<<` must name a mapping"),
    ] {
        let errors = errors(text);
        assert!(errors.starts_with(told), "{text:?}: {errors}");
    }
}

#[test]
fn a_file_that_blows_up_is_refused() {
    let level = |level: usize, copies: usize| {
        let before = format!("*a{},", level.saturating_sub(1)).repeat(copies);
        format!("a{level}: &a{level} [{before}]\n")
    };
    let start = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    let laughs = (1..12).fold(start.clone(), |text, at| text + &level(at, 9));
    assert!(errors(&laughs).contains("copy more than"));

    for depth in [65, 200, 5000] {
        let deep = format!("a: {}{}", "[".repeat(depth), "]".repeat(depth));
        let told = errors(&deep);
        assert!(
            told.contains("nested") || told.contains("recursion"),
            "{told}"
        );
    }
    let deep = format!("a: {}{}", "[".repeat(63), "]".repeat(63));
    assert!(attempt(&deep).is_ok());

    let deep_by_alias = (1..200).fold(start, |text, at| text + &level(at, 1));
    assert!(errors(&deep_by_alias).contains("nested more than"));

    let large = format!("a: {}", "x".repeat(9 << 20));
    assert!(errors(&large).contains("larger than 8 MiB"));
}

#[test]
fn no_error_quotes_a_secret() {
    let secret = "hunter2hunter2";
    for text in [
        "minio: {accessKey: [hunter2hunter2]}",
        "minio: {accessKey: {hunter2hunter2: 1}}",
        "minio: hunter2hunter2",
        "hunter2hunter2",
        "lifeboat: {endpoint: 'http://user:hunter2hunter2@gateway'}",
        "backup: {storage: {backend: {s3: {secretKey: [hunter2hunter2]}}}}",
        "minio: {secretKey: 'hunter2hunter2'\n",
        "minio: {s3gateway: {secretKey: hunter2hunter2}}",
    ] {
        let errors = attempt(text).unwrap_err();
        assert!(
            !format!("{errors} {errors:?}").contains(secret),
            "{errors:?}"
        );
    }
    let errors = from_all(&[], &["minio.secretKey[hunter2hunter2"], &[]).unwrap_err();
    assert!(
        !format!("{errors} {errors:?}").contains(secret),
        "{errors:?}"
    );
}

#[test]
fn a_section_written_almost_right_is_told() {
    let settings = from(
        "bakcup: {enabled: true}\nbackup.enabled: true\nglobal: {s3proxi: {}}\nvictoria-metrics: {}\nminikube: 1\n",
    );
    assert!(!settings.backup_enabled);
    assert_snapshot!(warnings(&settings), @"
    values.yaml:1:1: `bakcup` is not read; did you mean `backup`?
    values.yaml:2:1: `backup.enabled` is not read; write it as nested keys
    values.yaml:3:10: `global.s3proxi` is not read; did you mean `global.s3proxy`?
    ");
}

#[test]
fn disabled_restores_are_refused_with_the_key_to_set() {
    let settings = from(
        "backup: {stackGraph: {restore: {enabled: false}}, elasticsearch: {restore: {enabled: false}}}",
    );
    assert_snapshot!(settings.stackgraph.require_restore_enabled().unwrap_err(),
        @"restoring StackGraph is disabled: set `backup.stackGraph.restore.enabled` to true");
    assert_snapshot!(settings.elasticsearch.require_restore_enabled().unwrap_err(),
        @"restoring Elasticsearch is disabled: set `backup.elasticsearch.restore.enabled` to true");
    assert_snapshot!(settings.victoria_metrics[1].require_restore_enabled().unwrap_err(),
        @"restoring victoria-metrics-1 is disabled: set `victoria-metrics-1.restore.enabled` to true");
    assert!(settings.configuration.require_restore_enabled().is_ok());
    assert_snapshot!(settings.require_backup_enabled().unwrap_err(),
        @"backup and restore is disabled: set `backup.enabled` to true");
    assert!(matches!(
        settings.require_storage().unwrap_err().problem(),
        Problem::Missing { .. }
    ));
}
