//! What engines refuse, and how it is told.

use std::collections::BTreeMap;

use lifeboat_elasticsearch::answer::Refusal;

use crate::exchanges::{self, Exchange};

/// What a recorded refusal is about.
#[derive(Debug, PartialEq, Eq)]
enum Topic {
    Snapshots,
    Restores,
    Repositories,
    /// Indices, data streams, and routes that are not there.
    Others,
}

impl Topic {
    fn of(exchange: &Exchange) -> Self {
        match &*exchange.name {
            name if name.contains("restore") => Self::Restores,
            name if name.starts_with("repo") => Self::Repositories,
            name if name.starts_with("create") => Self::Snapshots,
            "get-missing" | "delete-snap-missing" | "list-paged" => Self::Snapshots,
            _ => Self::Others,
        }
    }
}

/// Each refusal in one line, less the identifiers that differ, and behind it who says it so.
fn told(topic: &Topic) -> String {
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for recorded in exchanges::all() {
        for exchange in &recorded.exchanges {
            if exchange.status < 400 || Topic::of(exchange) != *topic {
                continue;
            }
            let refusal = Refusal::read(exchange.status, &exchange.body);
            let error = &exchange.json()["error"];
            assert_eq!(refusal.kind, error["type"].as_str().unwrap_or_default());
            assert!(!refusal.is_passing(), "{}", exchange.name);
            let mut text = refusal.to_string();
            if let (Some(from), Some(to)) = (text.find('/'), text.find("] cannot restore")) {
                text.replace_range(from..to, "");
            }
            let text = text.replace("-2026.11.23", "");
            let line = format!(
                "{} {} {}: {text}",
                exchange.name, refusal.status, refusal.kind
            );
            let short = recorded
                .engine
                .to_string()
                .replace(|c: char| c.is_lowercase(), "");
            lines.entry(line).or_default().push(short);
        }
    }
    let lines = lines
        .iter()
        .map(|(line, who)| format!("{line} ({})", who.join(", ")));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn refusals_about_snapshots_are_told() {
    insta::assert_snapshot!(told(&Topic::Snapshots), @"
    create-bad-name 400 invalid_snapshot_name_exception: [sts-backup:Bad Name] Invalid snapshot name [Bad Name], must not contain whitespace (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    create-missing-index 404 index_not_found_exception: no such index [nope] (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    create-same 400 invalid_snapshot_name_exception: [sts-backup:sts-backup-20221123-0300] Invalid snapshot name [sts-backup-20221123-0300], snapshot with the same name already exists (E 7.17.29, OS 2.19.1, OS 3.6.0)
    create-same 400 snapshot_name_already_in_use_exception: [sts-backup:sts-backup-20221123-0300] Invalid snapshot name [sts-backup-20221123-0300], snapshot with the same name already exists (E 8.19.21)
    delete-snap-missing 404 snapshot_missing_exception: [sts-backup:sts-backup-20221124-0300] is missing (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    get-missing 404 snapshot_missing_exception: [sts-backup:nope] is missing (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    list-paged 400 illegal_argument_exception: request [/_snapshot/sts-backup/_all] contains unrecognized parameters: [order], [size], [sort] (OS 2.19.1, OS 3.6.0)
    ");
}

#[test]
fn refusals_of_restores_are_told() {
    insta::assert_snapshot!(told(&Topic::Restores), @"
    ds-restore-over 500 snapshot_restore_exception: [sts-backup:snap-ds] cannot restore index [.ds-sts_k8s_logs-000001] because an open index with same name already exists in the cluster. Either close or delete the existing index or restore the index under a different name by providing a rename pattern and replacement name (E 8.19.21, OS 2.19.1, OS 3.6.0)
    ds-restore-over 500 snapshot_restore_exception: [sts-backup:snap-ds] cannot restore index [sts_k8s_logs] because an open index with same name already exists in the cluster. Either close or delete the existing index or restore the index under a different name by providing a rename pattern and replacement name (E 7.17.29)
    restore-missing 500 snapshot_restore_exception: [sts-backup:nope] snapshot does not exist (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    restore-no-index 404 index_not_found_exception: no such index [nope] (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    restore-open 500 snapshot_restore_exception: [sts-backup:sts-backup-20221123-0300] cannot restore index [sts_internal_events-2022.09.20] because an open index with same name already exists in the cluster. Either close or delete the existing index or restore the index under a different name by providing a rename pattern and replacement name (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    ");
}

#[test]
fn refusals_about_repositories_are_told() {
    insta::assert_snapshot!(told(&Topic::Repositories), @"
    repo-bad-ep 500 repository_exception: [badep] repository type [s3] does not exist (E 7.17.29, E 8.19.21, OS 2.19.1)
    repo-bad-ep 500 repository_verification_exception: [badep] path  is not accessible on cluster-manager node: nobody listens at the endpoint of the repository (Connection refused) (OS 3.6.0)
    repo-bad-type 500 repository_exception: [bad] repository type [gcsx] does not exist (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    repo-missing 404 repository_missing_exception: [norepo] missing (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    repo-missing-list 404 repository_missing_exception: [norepo] missing (E 8.19.21, OS 2.19.1, OS 3.6.0)
    repo-no-bucket 500 repository_exception: [nobucket] repository type [s3] does not exist (E 7.17.29, E 8.19.21, OS 2.19.1)
    repo-no-bucket 500 repository_verification_exception: [nobucket] path  is not accessible on cluster-manager node: the bucket does not exist (The specified bucket does not exist (Service: S3, Status Code: 404, Request ID: B3hI) (SDK Attempt Count: 1)) (OS 3.6.0)
    repo-with-keys 500 repository_exception: [insec] repository type [s3] does not exist (E 7.17.29, E 8.19.21, OS 2.19.1)
    repo-with-keys 500 repository_verification_exception: [insec] path [b2] is not accessible on cluster-manager node: the nodes do not allow keys in the settings of a repository (Setting [access_key] is insecure, but property [allow_insecure_settings] is not set) (OS 3.6.0)
    ");
}

#[test]
fn refusals_about_indices_and_unknown_routes_are_told() {
    insta::assert_snapshot!(told(&Topic::Others), @"
    delete-index-again 404 index_not_found_exception: no such index [sts_internal_events-2022.09.20] (E 7.17.29, E 8.19.21, OS 2.19.1, OS 3.6.0)
    delete-wildcard 400 illegal_argument_exception: Wildcard expressions or all indices are not allowed (E 8.19.21)
    ds-del-write 400 illegal_argument_exception: index [.ds-sts_k8s_logs-000002] is the write index for data stream [sts_k8s_logs] and cannot be deleted (OS 2.19.1, OS 3.6.0)
    ds-get 405 : Incorrect HTTP method for uri [/_data_stream/sts_k8s_logs] and method [GET], allowed: [POST] (E 7.17.29, E 8.19.21)
    ds-rollover 400 illegal_argument_exception: rollover target is a [concrete index] but one of [alias,data_stream] was expected (E 7.17.29)
    root 405 : Incorrect HTTP method for uri [/] and method [GET], allowed: [DELETE] (E 8.19.21)
    slm-get 400 : no handler found for uri [/_slm/policy] and method [GET] (OS 2.19.1, OS 3.6.0)
    slm-get 405 : Incorrect HTTP method for uri [/_slm/policy] and method [GET], allowed: [POST] (E 7.17.29, E 8.19.21)
    sm-get 400 : no handler found for uri [/_plugins/_sm/policies] and method [GET] (E 8.19.21, OS 2.19.1, OS 3.6.0)
    sm-get 404 index_not_found_exception: no such index [_plugins] (E 7.17.29)
    tmpl 400 illegal_argument_exception: composable template [logs] template after composition is invalid: [index_template] unknown field [data_stream] (E 7.17.29)
    ");
}
