//! `settings show` and the reference.

use insta::assert_snapshot;

use super::{from, from_all};
use crate::settings::{Settings, keys, reference};

fn shown(settings: &Settings, path: &str) -> String {
    let entry = settings
        .effective()
        .iter()
        .find(|entry| entry.path == path)
        .unwrap();
    let said_as = entry
        .said_as
        .map_or_else(String::new, |key| format!(" as {key}"));
    format!(
        "{}: {} ({}{said_as})",
        entry.path, entry.value, entry.origin
    )
}

#[test]
fn every_key_that_is_read_is_shown_once_in_the_order_of_the_reference() {
    let read: Vec<_> = keys::all()
        .filter(|key| key.is_read() && key.newer().is_none())
        .map(|key| key.path)
        .collect();
    let settings = from("global: {backup: {enabled: true}}");
    for settings in [&settings, &from("minio: {azuregateway: {enabled: true}}")] {
        let shown: Vec<_> = settings
            .effective()
            .iter()
            .map(|entry| entry.path)
            .collect();
        assert_eq!(shown, read);
    }
}

#[test]
fn a_value_is_shown_with_its_origin_and_the_name_it_was_given_by() {
    let values = "backup: {enabled: true}\nminio:\n  accessKey: hunter2\n  secretKey: hunter2hunter2\n  persistence:\n    enabled: true\n";
    let settings = from_all(
        &[values],
        &["backup.elasticsearch.scheduled.indices={a*,b}"],
        &[("LIFEBOAT_SECRET_KEY", "hunter2hunter2")],
    )
    .unwrap();
    let lines: Vec<_> = [
        "global.backup.enabled",
        "global.s3proxy.credentials.accessKey",
        "global.s3proxy.credentials.secretKey",
        "backup.storage.backend.pvc.enabled",
        "backup.storage.backend.s3.secretKey",
        "backup.stackGraph.scheduled.schedule",
        "backup.elasticsearch.scheduled.indices",
        "victoria-metrics-0.backup.scheduled.daily",
    ]
    .iter()
    .map(|path| shown(&settings, path))
    .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    global.backup.enabled: true (values.yaml:1:19 as backup.enabled)
    global.s3proxy.credentials.accessKey: *** (values.yaml:3:14 as minio.accessKey)
    global.s3proxy.credentials.secretKey: *** (LIFEBOAT_SECRET_KEY)
    backup.storage.backend.pvc.enabled: true (values.yaml:6:14 as minio.persistence.enabled)
    backup.storage.backend.s3.secretKey: "" (default)
    backup.stackGraph.scheduled.schedule: 0 3 * * * (default)
    backup.elasticsearch.scheduled.indices: ["a*", "b"] (--set)
    victoria-metrics-0.backup.scheduled.daily: "" (default)
    "#);
}

#[test]
fn a_placeholder_is_shown_because_it_is_no_secret() {
    let path = "global.s3proxy.credentials.secretKey";
    assert_snapshot!(shown(&from(""), path), @"global.s3proxy.credentials.secretKey: default-secret-for-settings-only (default)");
    assert_snapshot!(shown(&from("minio: {secretKey: setme}"), path), @"global.s3proxy.credentials.secretKey: setme (values.yaml:1:20 as minio.secretKey)");
}

#[test]
fn the_reference_has_a_line_for_every_key() {
    let text = reference::markdown();
    for key in keys::all() {
        assert_eq!(
            text.matches(&format!("- `{}`: ", key.path)).count()
                + text.matches(&format!("| `{}` |", key.path)).count(),
            1,
            "{}",
            key.path
        );
        assert!(key.doc.ends_with('.'), "{}", key.path);
    }
    let line = text
        .lines()
        .find(|line| line.contains("minio.persistence.enabled"))
        .unwrap();
    assert_snapshot!(line, @"| `minio.persistence.enabled` | true or false | `false` | seed | The gateway stores backups on a volume. Newer name: `backup.storage.backend.pvc.enabled`. |");
}

#[test]
fn paths_in_the_table_are_unique_and_no_key_lies_below_another() {
    let paths: Vec<_> = keys::all().map(|key| key.path).collect();
    for path in &paths {
        assert_eq!(
            paths.iter().filter(|other| *other == path).count(),
            1,
            "{path}"
        );
        let below = format!("{path}.");
        assert!(
            !paths.iter().any(|other| other.starts_with(&below)),
            "{path}"
        );
        assert!(
            keys::SECTIONS
                .iter()
                .any(|section| path.starts_with(&format!("{section}."))),
            "{path}"
        );
    }
    for key in keys::all() {
        if let Some(newer) = key.newer() {
            assert!(paths.contains(&newer), "{newer}");
        }
    }
}
