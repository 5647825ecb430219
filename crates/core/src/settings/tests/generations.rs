//! Both generations of the chart, and the way from one to the other.

use insta::assert_snapshot;

use super::{from, warnings};
use crate::settings::{Settings, Storage};

/// The three fragments of the page that tells how to enable backups.
const S3: &str = "\
backup:
  enabled: true
  stackGraph:
    bucketName: AWS_STACKGRAPH_BUCKET
  elasticsearch:
    bucketName: AWS_ELASTICSEARCH_BUCKET
victoria-metrics-0:
  backup:
    bucketName: AWS_VICTORIA_METRICS_BUCKET
victoria-metrics-1:
  backup:
    bucketName: AWS_VICTORIA_METRICS_BUCKET
minio:
  accessKey: YOUR_ACCESS_KEY
  secretKey: YOUR_SECRET_KEY
  s3gateway:
    enabled: true
    accessKey: AWS_ACCESS_KEY
    secretKey: AWS_SECRET_KEY
";
const AZURE: &str = "\
backup:
  enabled: true
minio:
  accessKey: AZURE_STORAGE_ACCOUNT_NAME
  secretKey: AZURE_STORAGE_ACCOUNT_KEY
  azuregateway:
    enabled: true
";
const LOCAL: &str = "\
backup:
  enabled: true
minio:
  accessKey: YOUR_ACCESS_KEY
  secretKey: YOUR_SECRET_KEY
  persistence:
    enabled: true
";

#[test]
fn the_fragments_of_the_seed_are_accepted_as_they_stand() {
    let settings = from(S3);
    assert!(settings.backup_enabled);
    assert_eq!(settings.stackgraph.bucket, "AWS_STACKGRAPH_BUCKET");
    let Storage::S3(s3) = &settings.storage else {
        panic!("{:?}", settings.storage);
    };
    assert_eq!(
        (s3.endpoint.as_deref(), s3.region.as_str()),
        (None, "us-east-1")
    );
    assert_eq!(
        s3.credentials.as_ref().unwrap().access_key.expose(),
        "AWS_ACCESS_KEY"
    );
    assert!(matches!(from(AZURE).storage, Storage::Azure(_)));
    assert_eq!(from(LOCAL).storage, Storage::Local);
}

#[test]
fn no_values_give_the_defaults_of_the_seed() {
    let settings = from("");
    assert!(!settings.backup_enabled);
    assert_eq!(settings.storage, Storage::None);
    let stackgraph = &settings.stackgraph;
    assert!(stackgraph.enabled && stackgraph.restore_enabled && stackgraph.scheduled.enabled);
    assert_eq!(stackgraph.bucket, "sts-stackgraph-backup");
    assert_eq!(stackgraph.prefix, "");
    assert_eq!(stackgraph.scheduled.schedule.to_string(), "0 3 * * *");
    let elasticsearch = &settings.elasticsearch;
    assert_eq!(elasticsearch.schedule.to_string(), "0 0 3 * * ?");
    assert_eq!(elasticsearch.indices, ["sts*"]);
    assert_eq!((elasticsearch.min_count, elasticsearch.max_count), (5, 30));
    assert_eq!(elasticsearch.repository, "sts-backup");
    let [zero, one] = &settings.victoria_metrics;
    assert!(!zero.enabled && !zero.restore_enabled);
    assert_eq!(
        (zero.prefix.as_str(), one.prefix.as_str()),
        ("victoria-metrics-0/", "victoria-metrics-1/")
    );
    assert_eq!(
        (zero.hourly.to_string(), one.hourly.to_string()),
        ("25 * * * *".into(), "35 * * * *".into())
    );
    assert_eq!(zero.daily, None);
    assert_eq!(settings.lifeboat.endpoint, "http://stackstate-minio:9000");
    assert_eq!(settings.lifeboat.time_zone, None);
    let buckets: Vec<_> = settings.buckets().into_iter().collect();
    assert_eq!(
        buckets,
        [
            "sts-configuration-backup",
            "sts-elasticsearch-backup",
            "sts-stackgraph-backup"
        ]
    );
}

#[test]
fn a_full_file_of_the_seed_is_accepted() {
    let settings = from(SEED_FILE);
    assert_eq!(warnings(&settings), "");
    assert_eq!(settings.storage, Storage::Local);
    assert!(settings.gateway_credentials().is_ok());
    assert!(settings.victoria_metrics[0].enabled && settings.victoria_metrics[0].restore_enabled);
    assert_eq!(
        settings.victoria_metrics[0].hourly.to_string(),
        "15 */2 * * *"
    );
    assert_eq!(
        settings.elasticsearch.indices,
        ["sts_internal*", "sts_topology*"]
    );
    assert_eq!(settings.elasticsearch.min_count, 3);
    assert!(!settings.configuration.scheduled.enabled);
}

#[test]
fn a_full_file_of_the_current_chart_is_accepted() {
    let settings = from(CURRENT_FILE);
    assert_eq!(warnings(&settings), "");
    assert!(settings.backup_enabled);
    let Storage::S3(s3) = &settings.storage else {
        panic!("{:?}", settings.storage);
    };
    assert_eq!(s3.endpoint.as_deref(), Some("https://objects.example.com"));
    assert_eq!(s3.region, "eu-west-1");
    assert_eq!(s3.existing_secret.as_deref(), Some("backend"));
    assert_eq!(settings.stackgraph.prefix, "prod/stackgraph/");
    let [zero, one] = &settings.victoria_metrics;
    assert!(zero.enabled && !one.enabled && zero.restore_enabled);
    assert_eq!(zero.daily.as_ref().unwrap().to_string(), "55 0 * * *");
    assert_eq!(one.daily.as_ref().unwrap().to_string(), "5 1 * * *");
    assert_eq!(
        (zero.min_history_seconds, one.min_history_seconds),
        (86400, 3600)
    );
    assert_eq!((zero.keep_last_daily, zero.keep_last_weekly), (14, 4));
    assert!(
        settings.gateway_credentials().is_ok(),
        "keys of the current chart may hold signs"
    );
}

/// What the older names of the pairs mean, in the words of the newer.
#[test]
fn the_older_storage_switches_map_to_the_newer() {
    let pairs = [
        (
            "minio: {persistence: {enabled: true}}",
            "backup: {storage: {backend: {pvc: {enabled: true}}}}",
        ),
        (
            "minio: {s3gateway: {enabled: true, serviceEndpoint: 'https://s3', accessKey: aaaaa, secretKey: bbbbbbbb}}",
            "backup: {storage: {backend: {s3: {enabled: true, endpoint: 'https://s3', accessKey: aaaaa, secretKey: bbbbbbbb}}}}",
        ),
        (
            "minio: {azuregateway: {enabled: true}, accessKey: aaaaa, secretKey: bbbbbbbb}",
            "backup: {storage: {backend: {azure: {enabled: true, accountName: aaaaa, accountKey: bbbbbbbb}}}}",
        ),
    ];
    for (older, newer) in pairs {
        assert_eq!(from(older).storage, from(newer).storage, "{older}");
        assert_ne!(from(older).storage, Storage::None);
    }
}

#[test]
fn the_older_name_counts_while_the_newer_has_its_default() {
    let access = |settings: &Settings| {
        let credentials = settings.client_credentials().unwrap();
        credentials.access_key.expose().to_owned()
    };
    let both = "minio: {accessKey: older, secretKey: olderolder}\nglobal: {s3proxy: {credentials: {accessKey: newer, secretKey: newernewer}}}";
    assert_eq!(access(&from(both)), "newer");
    let default = "minio: {accessKey: older, secretKey: olderolder}\nglobal: {s3proxy: {credentials: {accessKey: default-for-settings-only, secretKey: default-secret-for-settings-only}}}";
    assert_eq!(access(&from(default)), "older");
    assert_eq!(warnings(&from(default)), "");
    let unset = "minio: {accessKey: setme, secretKey: setme}\nglobal: {s3proxy: {credentials: {accessKey: newer, secretKey: newernewer}}}";
    assert_eq!(access(&from(unset)), "newer");
    assert_eq!(warnings(&from(unset)), "");
}

#[test]
fn contradictions_between_the_generations_say_who_won() {
    let settings = from("backup:\n  enabled: true\nglobal:\n  backup:\n    enabled: false\n");
    assert!(settings.backup_enabled);
    assert_snapshot!(warnings(&settings), @"values.yaml:5:14: `global.backup.enabled` and `backup.enabled` (values.yaml:2:12) say different things; `backup.enabled` counts");

    let settings = from(
        "minio:\n  accessKey: olderolder\n  secretKey: same1234\nglobal:\n  s3proxy:\n    credentials: {accessKey: newernewer, secretKey: same1234}\n",
    );
    assert_snapshot!(warnings(&settings), @"values.yaml:2:14: `minio.accessKey` and `global.s3proxy.credentials.accessKey` (values.yaml:6:30) say different things; `global.s3proxy.credentials.accessKey` counts");

    let settings = from(
        "victoria-metrics-0:\n  backup:\n    scheduled:\n      schedule: 5 * * * *\n      hourly: 6 * * * *\n",
    );
    assert_eq!(settings.victoria_metrics[0].hourly.to_string(), "5 * * * *");
    assert_snapshot!(warnings(&settings), @"values.yaml:5:15: `victoria-metrics-0.backup.scheduled.hourly` and `victoria-metrics-0.backup.scheduled.schedule` (values.yaml:4:17) say different things; `victoria-metrics-0.backup.scheduled.schedule` counts");
}

#[test]
fn the_current_chart_takes_a_volume_where_nothing_is_said() {
    let enabled = "global: {backup: {enabled: true}}\n";
    let with = |rest: &str| from(&format!("{enabled}{rest}")).storage;
    assert_eq!(with(""), Storage::Local);
    assert_eq!(
        with("minio: {persistence: {enabled: false}}"),
        Storage::None
    );
    assert!(matches!(
        with("minio: {s3gateway: {enabled: true}}"),
        Storage::S3(_)
    ));
    assert_eq!(from("backup: {enabled: true}").storage, Storage::None);
}

#[test]
fn either_switch_enables_backups() {
    assert!(from("backup: {enabled: true}").backup_enabled);
    assert!(from("global: {backup: {enabled: true}}").backup_enabled);
    let settings = from("backup: {enabled: false}\nglobal: {backup: {enabled: true}}");
    assert!(settings.backup_enabled);
    assert!(warnings(&settings).contains("`global.backup.enabled` counts"));
}

const SEED_FILE: &str = r#"
global:
  receiverApiKey: "abc"
  imagePullSecrets: []
stackstate:
  components:
    all: {image: {tag: 6.0.0}}
backup:
  additionalLogging: |
    <logger name="a" level="debug"/>
  enabled: true
  poddisruptionbudget: {maxUnavailable: 0}
  elasticsearch:
    bucketName: 'sts-elasticsearch-backup'
    snapshotRepositoryName: 'sts-backup'
    restore: {enabled: true}
    scheduled:
      enabled: true
      schedule: '0 0 3 * * ?'
      indices: '["sts_internal*", "sts_topology*"]'
      snapshotPolicyName: 'auto-sts-backup'
      snapshotNameTemplate: "<sts-backup-{now{yyyyMMdd-HHmm}}>"
      snapshotRetentionExpireAfter: "30d"
      snapshotRetentionMinCount: 3
      snapshotRetentionMaxCount: "30"
  stackGraph:
    bucketName: 'sts-stackgraph-backup'
    splitArchiveSize: 0
    restore:
      enabled: true
      tempData:
        accessModes: ["ReadWriteOnce"]
        size: '{{ .Values.hbase.hdfs.datanode.persistence.size }}'
        storageClass:
    scheduled:
      enabled: yes
      schedule: '0 3 * * *'
      backupNameTemplate: 'sts-backup-$(date +%Y%m%d-%H%M).graph'
      backupNameParseRegexp: 'sts-backup-([0-9]*-[0-9]*).graph'
      backupDatetimeParseFormat: '%Y%m%d-%H%M'
      backupRetentionTimeDelta: 'days = 30'
      tempData: {size: 10Gi}
    securityContext: {enabled: true, fsGroup: 65534}
  configuration:
    bucketName: 'sts-configuration-backup'
    restore: {enabled: true}
    scheduled: {enabled: false, schedule: '0 4 * * *', backupRetentionTimeDelta: 'weeks = 2, hours = 3'}
    securityContext: {enabled: true}
victoria-metrics-0: &vm
  enabled: true
  rbac: {pspEnabled: false, namespaced: true}
  server:
    fullnameOverride: stackstate-victoria-metrics-0
    podAnnotations:
      ad.stackstate.com/vmbackup.check_names: '["openmetrics"]'
    extraArgs: {dedup.minScrapeInterval: 1ms}
    retentionPeriod: 1
  backup:
    enabled: true
    bucketName: 'sts-victoria-metrics-backup'
    s3Prefix: victoria-metrics-0
    overrideS3Endpoint: "http://stackstate-minio:9000"
    awsSecrets: "stackstate-minio"
    scheduled: {schedule: '15 */2 * * *'}
    setupCron: {image: {repository: busybox}}
    vmbackup: {resources: {}}
  restore: {enabled: true}
victoria-metrics-1:
  <<: *vm
  backup: {s3Prefix: null}
victoria-metrics: {restore: {image: {registry: quay.io}}}
minio:
  fullnameOverride: stackstate-minio
  accessKey: abcdef
  secretKey: abcdefgh
  persistence: {enabled: true, size: 500Gi, storageClass: ""}
  resources: {requests: {memory: 4Gi}}
  serviceAccount: {create: true, annotations: {eks.amazonaws.com/role-arn: "arn"}}
  s3gateway: {enabled: false, replicas: 1}
  azuregateway: {enabled: false, replicas: 1}
  DeploymentUpdate: {type: Recreate}
  imagePullSecrets: [{name: pull}]
"#;

const CURRENT_FILE: &str = r#"
global:
  backup: {enabled: true}
  s3proxy:
    credentials: {accessKey: access-key, secretKey: "secret/key+1="}
  imageRegistry: registry.example.com
s3proxy: {logLevel: info}
backup:
  initJobAnnotations: {a.b/c: d}
  additionalLogging: ""
  storage:
    settingsPvc: {size: 2Gi, accessModes: [ReadWriteOnce]}
    backend:
      pvc: {enabled: false, size: 500Gi, storageClass: "", accessModes: [ReadWriteOnce]}
      s3: {enabled: true, fromExternalSecret: backend, endpoint: "https://objects.example.com", region: eu-west-1}
      azure: {enabled: false, accountName: "", accountKey: "", endpoint: ""}
  elasticsearch:
    enabled: true
    s3Prefix: ""
    scheduled: {schedule: '0 0 3 * * ?', snapshotRetentionExpireAfter: 30d, snapshotRetentionMinCount: "5"}
  stackGraph:
    enabled: true
    s3Prefix: /prod/stackgraph
    restore: {tempData: {size: null}}
    scheduled: {implementation: v2, schedule: '0 3 * * *', backupRetentionTimeDelta: '30 days ago', tempData: {}}
    v2: {tempData: {size: 20Gi}}
  configuration:
    enabled: true
    maxLocalFiles: 10
    yaml: {maxSizeLimit: 100Mi}
    scheduled: {backupRetentionTimeDelta: '365 days ago', pvc: {size: 1Gi}}
    securityContext: {enabled: true}
victoria-metrics-0:
  backup: {scheduled: {hourly: '25 * * * *'}, keepLastDaily: 14, supercronic: {metrics: {port: 9746}}}
victoria-metrics-1:
  enabled: false
  backup: {enabled: false, minHistorySeconds: 3600}
clickhouse:
  backup: {enabled: true, whatever: 5}
"#;
