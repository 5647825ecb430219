//! The rows. Kept apart because it is a flat table: read it as data.

use super::Era::{Both, Current, Lifeboat, Seed};
use super::Kind::{
    Age, Bucket, Choice, Count, Flag, Listen, Name, OptionalAge, OptionalListen, OptionalSchedule,
    OptionalUrl, Pairs, Patterns, Prefix, RepositoryPrefix, Routes, Schedule, Secret, Size, Text,
    Url, Urls,
};
use super::{Era, Key, Kind};
use crate::schedule::Dialect::{Cronexpr, Elasticsearch, Kubernetes};

pub(super) const ROWS: [&[Key]; 13] = [
    GLOBAL,
    BACKUP,
    STORAGE,
    STACKGRAPH,
    ELASTICSEARCH,
    CONFIGURATION,
    VICTORIA_METRICS_0,
    VICTORIA_METRICS_1,
    MINIO,
    MINIO_SUBCHART,
    LIFEBOAT,
    SERVER_0,
    SERVER_1,
];

const fn opaque(path: &'static str, era: Era, doc: &'static str) -> Key {
    Key::new(path, era, Kind::Opaque, "", doc)
}

#[rustfmt::skip]
const GLOBAL: &[Key] = &[
    Key::new("global.backup.enabled", Current, Flag, "false", "Backups are made and may be restored. While true, the defaults of the current generation apply."),
    Key::new("global.s3proxy.credentials.accessKey", Current, Secret, "default-for-settings-only", "Access key of the S3 gateway. The default is a placeholder and counts as unset."),
    Key::new("global.s3proxy.credentials.secretKey", Current, Secret, "default-secret-for-settings-only", "Secret key of the S3 gateway. The default is a placeholder and counts as unset."),
    Key::new("global.s3proxy.credentials.fromExternalSecret", Current, Text, "", "Name of an existing Secret with `accesskey` and `secretkey`, which reach Lifeboat through the environment."),
];

#[rustfmt::skip]
const BACKUP: &[Key] = &[
    Key::new("backup.enabled", Seed, Flag, "false", "Backups are made and may be restored.").replaced_by("global.backup.enabled"),
    opaque("backup.additionalLogging", Both, "Logback text of the platform's own jobs."),
    opaque("backup.poddisruptionbudget", Seed, "Pods of the platform's own jobs."),
    opaque("backup.initJobAnnotations", Current, "Annotations of the platform's init Job."),
];

#[rustfmt::skip]
const STORAGE: &[Key] = &[
    opaque("backup.storage.settingsPvc", Current, "Volume of the platform's settings backups."),
    Key::new("backup.storage.backend.pvc.enabled", Current, Flag, "false", "The gateway stores backups on a volume. While nothing is said, the current generation does so when no other storage is enabled."),
    opaque("backup.storage.backend.pvc.size", Current, "Size of that volume."),
    opaque("backup.storage.backend.pvc.storageClass", Current, "Storage class of that volume."),
    opaque("backup.storage.backend.pvc.accessModes", Current, "Access modes of that volume."),
    Key::new("backup.storage.backend.s3.enabled", Current, Flag, "false", "The gateway stores backups in S3."),
    Key::new("backup.storage.backend.s3.fromExternalSecret", Current, Text, "", "Name of an existing Secret with `backendAccessKey` and `backendSecretKey`."),
    Key::new("backup.storage.backend.s3.accessKey", Current, Secret, "", "Access key for S3; empty: the identity of the pod."),
    Key::new("backup.storage.backend.s3.secretKey", Current, Secret, "", "Secret key for S3."),
    Key::new("backup.storage.backend.s3.endpoint", Current, Text, "", "Endpoint of S3; empty: AWS itself."),
    Key::new("backup.storage.backend.s3.region", Current, Name, "us-east-1", "Region of the buckets."),
    Key::new("backup.storage.backend.azure.enabled", Current, Flag, "false", "The gateway stores backups in Azure Blob Storage."),
    Key::new("backup.storage.backend.azure.fromExternalSecret", Current, Text, "", "Name of an existing Secret with `azureAccountName` and `azureAccountKey`."),
    Key::new("backup.storage.backend.azure.accountName", Current, Secret, "", "Name of the storage account. With `minio.azuregateway.enabled`, `minio.accessKey` stands in for it."),
    Key::new("backup.storage.backend.azure.accountKey", Current, Secret, "", "Key of the storage account. With `minio.azuregateway.enabled`, `minio.secretKey` stands in for it."),
    Key::new("backup.storage.backend.azure.endpoint", Current, Text, "", "Endpoint of the account; empty: Azure's own."),
];

#[rustfmt::skip]
const STACKGRAPH: &[Key] = &[
    Key::new("backup.stackGraph.enabled", Both, Flag, "true", "Topology and settings are backed up."),
    Key::new("backup.stackGraph.bucketName", Both, Bucket, "sts-stackgraph-backup", "Bucket of the StackGraph backups."),
    Key::new("backup.stackGraph.s3Prefix", Current, Prefix, "", "Prefix of the StackGraph backups in their bucket."),
    opaque("backup.stackGraph.splitArchiveSize", Seed, "Backups are not split: they are streamed in parts."),
    Key::new("backup.stackGraph.restore.enabled", Both, Flag, "true", "StackGraph backups may be restored."),
    opaque("backup.stackGraph.restore.tempData", Both, "No temporary volume is needed."),
    Key::new("backup.stackGraph.scheduled.enabled", Both, Flag, "true", "StackGraph backups are made by schedule."),
    Key::new("backup.stackGraph.scheduled.schedule", Both, Schedule(Kubernetes), "0 3 * * *", "When, in Kubernetes cron syntax."),
    Key::new("backup.stackGraph.scheduled.backupNameTemplate", Seed, Name, "sts-backup-$(date +%Y%m%d-%H%M).graph", "Name of a backup. `$(date +FORMAT)` stands for the time; nothing is run by a shell."),
    Key::new("backup.stackGraph.scheduled.backupNameParseRegexp", Seed, Name, "sts-backup-([0-9]*-[0-9]*).graph", "Finds the time in a name, in its first group."),
    Key::new("backup.stackGraph.scheduled.backupDatetimeParseFormat", Seed, Name, "%Y%m%d-%H%M", "How that time is written."),
    Key::new("backup.stackGraph.scheduled.backupRetentionTimeDelta", Both, Age, "days = 30", "How long a backup is kept: `days = 30`, `30 days ago` or `30d`.").current("30 days ago"),
    opaque("backup.stackGraph.scheduled.implementation", Current, "Format of the platform's own backups."),
    opaque("backup.stackGraph.scheduled.tempData", Both, "No temporary volume is needed."),
    opaque("backup.stackGraph.v2", Current, "The platform's own incremental backups."),
    opaque("backup.stackGraph.securityContext", Both, "Pods of the platform's own jobs."),
];

#[rustfmt::skip]
const ELASTICSEARCH: &[Key] = &[
    Key::new("backup.elasticsearch.enabled", Both, Flag, "true", "Telemetry is backed up."),
    Key::new("backup.elasticsearch.bucketName", Both, Bucket, "sts-elasticsearch-backup", "Bucket of the snapshot repository."),
    Key::new("backup.elasticsearch.s3Prefix", Current, RepositoryPrefix, "", "Prefix of the snapshot repository in its bucket."),
    Key::new("backup.elasticsearch.snapshotRepositoryName", Seed, Name, "sts-backup", "Name of the snapshot repository."),
    Key::new("backup.elasticsearch.restore.enabled", Seed, Flag, "true", "Snapshots may be restored."),
    Key::new("backup.elasticsearch.scheduled.enabled", Both, Flag, "true", "Snapshots are made by schedule."),
    Key::new("backup.elasticsearch.scheduled.schedule", Both, Schedule(Elasticsearch), "0 0 3 * * ?", "When, in Elasticsearch cron syntax."),
    Key::new("backup.elasticsearch.scheduled.indices", Seed, Patterns, "sts*", "Which indices: a list, a JSON array in a text, or patterns separated by commas."),
    Key::new("backup.elasticsearch.scheduled.snapshotPolicyName", Seed, Name, "auto-sts-backup", "Name of the snapshot policy."),
    Key::new("backup.elasticsearch.scheduled.snapshotNameTemplate", Seed, Name, "<sts-backup-{now{yyyyMMdd-HHmm}}>", "Name of a snapshot, in Elasticsearch date math."),
    Key::new("backup.elasticsearch.scheduled.snapshotRetentionExpireAfter", Both, Age, "30d", "How long a snapshot is kept."),
    Key::new("backup.elasticsearch.scheduled.snapshotRetentionMinCount", Both, Count, "5", "Snapshots kept whatever their age."),
    Key::new("backup.elasticsearch.scheduled.snapshotRetentionMaxCount", Both, Count, "30", "Snapshots kept at most."),
    Key::new("backup.elasticsearch.scheduled.mode", Lifeboat, Choice(&["lifeboat", "native"]), "lifeboat", "Who takes the snapshots and lets them expire: Lifeboat, or (`native`) the engine itself, by a policy of snapshot lifecycle management or Snapshot Management that `elasticsearch configure` installs."),
    opaque("backup.elasticsearch.securityContext", Both, "Pods of the platform's own jobs."),
];

#[rustfmt::skip]
const CONFIGURATION: &[Key] = &[
    Key::new("backup.configuration.enabled", Both, Flag, "true", "The platform's settings are backed up."),
    Key::new("backup.configuration.bucketName", Both, Bucket, "sts-configuration-backup", "Bucket of the settings backups."),
    Key::new("backup.configuration.s3Prefix", Current, Prefix, "", "Prefix of the settings backups in their bucket."),
    opaque("backup.configuration.maxLocalFiles", Current, "Settings backups on the platform's own volume."),
    opaque("backup.configuration.yaml", Current, "Limits of the platform's own import."),
    Key::new("backup.configuration.restore.enabled", Both, Flag, "true", "Settings backups may be restored."),
    Key::new("backup.configuration.scheduled.enabled", Both, Flag, "true", "Settings backups are made by schedule."),
    Key::new("backup.configuration.scheduled.schedule", Both, Schedule(Kubernetes), "0 4 * * *", "When, in Kubernetes cron syntax."),
    Key::new("backup.configuration.scheduled.backupNameTemplate", Seed, Name, "sts-backup-$(date +%Y%m%d-%H%M).stj", "Name of a settings backup.").current("sts-backup-$(date +%Y%m%d-%H%M).sty"),
    Key::new("backup.configuration.scheduled.backupNameParseRegexp", Seed, Name, "sts-backup-([0-9]*-[0-9]*).stj", "Finds the time in a name, in its first group.").current("sts-backup-([0-9]*-[0-9]*).sty"),
    Key::new("backup.configuration.scheduled.backupDatetimeParseFormat", Seed, Name, "%Y%m%d-%H%M", "How that time is written."),
    Key::new("backup.configuration.scheduled.backupRetentionTimeDelta", Both, Age, "days = 365", "How long a settings backup is kept.").current("365 days ago"),
    opaque("backup.configuration.scheduled.pvc", Current, "Volume of the platform's settings backups."),
    opaque("backup.configuration.securityContext", Both, "Pods of the platform's own jobs."),
];

/// The rows of one instance: its section, and the defaults in which the two instances differ.
macro_rules! victoria_metrics {
    ($section:literal, $hourly:literal, $daily:literal) => {
        &[
            Key::new(concat!($section, ".backup.enabled"), Both, Flag, "false", "Metrics of this instance are backed up.").current("true"),
            Key::new(concat!($section, ".backup.bucketName"), Both, Bucket, "sts-victoria-metrics-backup", "Bucket of the metrics backups."),
            Key::new(concat!($section, ".backup.s3Prefix"), Both, Prefix, $section, "Prefix of this instance's backups in their bucket."),
            Key::new(concat!($section, ".backup.scheduled.schedule"), Seed, Schedule(Cronexpr), $hourly, "When, in cronexpr syntax. Counts before `hourly` when given.").overrides(concat!($section, ".backup.scheduled.hourly")),
            Key::new(concat!($section, ".backup.scheduled.hourly"), Current, Schedule(Cronexpr), $hourly, "When the newest backup is brought up to date."),
            Key::new(concat!($section, ".backup.scheduled.daily"), Current, OptionalSchedule(Cronexpr), "", "When a dated copy is made; empty: never.").current($daily),
            Key::new(concat!($section, ".backup.minHistorySeconds"), Current, Count, "0", "A backup that exists is not replaced by that of an instance whose data is younger; 0: always.").current("86400"),
            Key::new(concat!($section, ".backup.keepLastDaily"), Current, Count, "7", "Dated copies kept: the newest so many, of however few days they are."),
            Key::new(concat!($section, ".backup.keepLastWeekly"), Current, Count, "4", "Dated copies kept beyond those: of the others, the newest of each of so many weeks, which are whole sevens of days since 1970."),
            opaque(concat!($section, ".backup.overrideS3Endpoint"), Both, "Endpoint of the subchart's own sidecar; see `lifeboat.endpoint`."),
            opaque(concat!($section, ".backup.awsSecrets"), Both, "Secret of the subchart's own sidecar."),
            opaque(concat!($section, ".backup.setupCron"), Both, "Init container of the subchart's own sidecar."),
            opaque(concat!($section, ".backup.supercronic"), Both, "Scheduler of the subchart's own sidecar."),
            opaque(concat!($section, ".backup.vmbackup"), Both, "Container of the subchart's own sidecar."),
            opaque(concat!($section, ".backup.image"), Both, "Image of the subchart's own sidecar."),
            opaque(concat!($section, ".backup.resources"), Both, "Resources of the subchart's own sidecar."),
            opaque(concat!($section, ".backup.securityContext"), Both, "Security context of the subchart's own sidecar."),
            opaque(concat!($section, ".backup.extraArgs"), Both, "Arguments of the subchart's own sidecar."),
            Key::new(concat!($section, ".restore.enabled"), Seed, Flag, "false", "Metrics of this instance may be restored. The current generation has no such switch.").current("true"),
            opaque(concat!($section, ".restore.image"), Both, "Image of the platform's own restore Job."),
            opaque(concat!($section, ".restore.resources"), Both, "Resources of the platform's own restore Job."),
            opaque(concat!($section, ".restore.securityContext"), Both, "Security context of the platform's own restore Job."),
            opaque(concat!($section, ".enabled"), Both, "Whether the platform runs this instance."),
            opaque(concat!($section, ".server"), Both, "The database server."),
            opaque(concat!($section, ".global"), Both, "Helm's own."),
            opaque(concat!($section, ".nameOverride"), Both, "Name of the subchart."),
            opaque(concat!($section, ".fullnameOverride"), Both, "Full name of the subchart."),
            opaque(concat!($section, ".rbac"), Both, "Rights of the database server."),
            opaque(concat!($section, ".serviceAccount"), Both, "Service account of the database server."),
            opaque(concat!($section, ".automountServiceAccountToken"), Both, "Service account of the database server."),
            opaque(concat!($section, ".podDisruptionBudget"), Both, "Pods of the database server."),
            opaque(concat!($section, ".podSecurityContext"), Both, "Pods of the database server."),
            opaque(concat!($section, ".securityContext"), Both, "Pods of the database server."),
            opaque(concat!($section, ".printNotes"), Both, "Notes of the subchart."),
            opaque(concat!($section, ".image"), Both, "Image of the database server."),
            opaque(concat!($section, ".imagePullSecrets"), Both, "Images of the subchart."),
            opaque(concat!($section, ".license"), Both, "Licence of the enterprise server."),
            opaque(concat!($section, ".extraObjects"), Both, "Further objects of the subchart."),
            opaque(concat!($section, ".extraSecrets"), Both, "Further Secrets of the subchart."),
            opaque(concat!($section, ".commonLabels"), Both, "Labels of the subchart."),
            opaque(concat!($section, ".vmauth"), Both, "Proxy before the database server."),
        ]
    };
}

const VICTORIA_METRICS_0: &[Key] =
    victoria_metrics!("victoria-metrics-0", "25 * * * *", "55 0 * * *");
const VICTORIA_METRICS_1: &[Key] =
    victoria_metrics!("victoria-metrics-1", "35 * * * *", "5 1 * * *");

#[rustfmt::skip]
const MINIO: &[Key] = &[
    Key::new("minio.accessKey", Seed, Secret, "setme", "Access key of the gateway, 5 to 20 letters and digits; with `minio.azuregateway.enabled` the name of the storage account.").replaced_by("global.s3proxy.credentials.accessKey"),
    Key::new("minio.secretKey", Seed, Secret, "setme", "Secret key of the gateway, 8 to 40 letters and digits; with `minio.azuregateway.enabled` the key of the storage account.").replaced_by("global.s3proxy.credentials.secretKey"),
    Key::new("minio.existingSecret", Seed, Text, "", "Name of an existing Secret with `accesskey` and `secretkey`.").replaced_by("global.s3proxy.credentials.fromExternalSecret"),
    Key::new("minio.persistence.enabled", Seed, Flag, "false", "The gateway stores backups on a volume.").replaced_by("backup.storage.backend.pvc.enabled"),
    opaque("minio.persistence.existingClaim", Seed, "An existing volume."),
    opaque("minio.persistence.storageClass", Seed, "Storage class of the volume."),
    opaque("minio.persistence.VolumeName", Seed, "An existing volume."),
    opaque("minio.persistence.accessMode", Seed, "Access mode of the volume."),
    opaque("minio.persistence.size", Seed, "Size of the volume."),
    opaque("minio.persistence.subPath", Seed, "Folder on the volume."),
    opaque("minio.persistence.annotations", Seed, "Annotations of the volume."),
    Key::new("minio.s3gateway.enabled", Seed, Flag, "false", "The gateway stores backups in S3.").replaced_by("backup.storage.backend.s3.enabled"),
    Key::new("minio.s3gateway.serviceEndpoint", Seed, Text, "", "Endpoint of S3; empty: AWS itself.").replaced_by("backup.storage.backend.s3.endpoint"),
    Key::new("minio.s3gateway.accessKey", Seed, Secret, "", "Access key for S3; empty: the identity of the pod.").replaced_by("backup.storage.backend.s3.accessKey"),
    Key::new("minio.s3gateway.secretKey", Seed, Secret, "", "Secret key for S3.").replaced_by("backup.storage.backend.s3.secretKey"),
    opaque("minio.s3gateway.replicas", Seed, "Pods of the gateway."),
    Key::new("minio.azuregateway.enabled", Seed, Flag, "false", "The gateway stores backups in Azure Blob Storage.").replaced_by("backup.storage.backend.azure.enabled"),
    opaque("minio.azuregateway.replicas", Seed, "Pods of the gateway."),
    Key::new("minio.gcsgateway.enabled", Seed, Flag, "false", "Not supported: must stay false."),
    opaque("minio.gcsgateway.replicas", Seed, "Pods of the gateway."),
    opaque("minio.gcsgateway.gcsKeyJson", Seed, "Key for Google Cloud Storage."),
    opaque("minio.gcsgateway.projectId", Seed, "Project in Google Cloud."),
    Key::new("minio.nasgateway.enabled", Seed, Flag, "false", "Not supported: must stay false."),
    opaque("minio.nasgateway.replicas", Seed, "Pods of the gateway."),
    opaque("minio.nasgateway.pv", Seed, "Volume on network storage."),
];

#[rustfmt::skip]
const MINIO_SUBCHART: &[Key] = &[
    opaque("minio.enabled", Seed, "Switched by `backup.enabled`."),
    opaque("minio.global", Seed, "Helm's own."),
    opaque("minio.nameOverride", Seed, "Name of the subchart."),
    opaque("minio.fullnameOverride", Seed, "Name of the service; see `lifeboat.endpoint`."),
    opaque("minio.clusterDomain", Seed, "Domain of the cluster."),
    opaque("minio.image", Seed, "Image of MinIO."),
    opaque("minio.mcImage", Seed, "Image of MinIO's client."),
    opaque("minio.helmKubectlJqImage", Seed, "Image of a job of the subchart."),
    opaque("minio.imagePullSecrets", Seed, "Images of the subchart."),
    opaque("minio.mode", Seed, "Mode of MinIO."),
    opaque("minio.replicas", Seed, "Pods of MinIO."),
    opaque("minio.zones", Seed, "Zones of MinIO."),
    opaque("minio.drivesPerNode", Seed, "Drives of MinIO."),
    opaque("minio.additionalLabels", Seed, "Labels of the subchart."),
    opaque("minio.additionalAnnotations", Seed, "Annotations of the subchart."),
    opaque("minio.extraArgs", Seed, "Arguments of MinIO."),
    opaque("minio.environment", Seed, "Environment of MinIO."),
    opaque("minio.DeploymentUpdate", Seed, "Update strategy."),
    opaque("minio.StatefulSetUpdate", Seed, "Update strategy."),
    opaque("minio.priorityClassName", Seed, "Priority of the pods."),
    opaque("minio.certsPath", Seed, "Folder in the container."),
    opaque("minio.configPath", Seed, "Folder in the container."),
    opaque("minio.configPathmc", Seed, "Folder in the container."),
    opaque("minio.mountPath", Seed, "Folder in the container; see `lifeboat.gateway.volume`."),
    opaque("minio.bucketRoot", Seed, "Folder in the container; see `lifeboat.gateway.volume`."),
    opaque("minio.tls", Seed, "Certificates of MinIO."),
    opaque("minio.trustedCertsSecret", Seed, "Certificates MinIO trusts."),
    opaque("minio.service", Seed, "The service; see `lifeboat.gateway.listen`."),
    opaque("minio.ingress", Seed, "Ingress of MinIO."),
    opaque("minio.nodeSelector", Seed, "Placement of the pods."),
    opaque("minio.tolerations", Seed, "Placement of the pods."),
    opaque("minio.affinity", Seed, "Placement of the pods."),
    opaque("minio.securityContext", Seed, "Security context of the pods."),
    opaque("minio.podAnnotations", Seed, "Annotations of the pods."),
    opaque("minio.podLabels", Seed, "Labels of the pods."),
    opaque("minio.livenessProbe", Seed, "Probe of the pods."),
    opaque("minio.readinessProbe", Seed, "Probe of the pods."),
    opaque("minio.resources", Seed, "Resources of the pods."),
    opaque("minio.defaultBucket", Seed, "A bucket of the subchart's own."),
    opaque("minio.buckets", Seed, "Buckets of the subchart's own."),
    opaque("minio.makeBucketJob", Seed, "A job of the subchart."),
    opaque("minio.updatePrometheusJob", Seed, "A job of the subchart."),
    opaque("minio.ossgateway", Seed, "Another gateway of MinIO."),
    opaque("minio.b2gateway", Seed, "Another gateway of MinIO."),
    opaque("minio.networkPolicy", Seed, "Network policy of MinIO."),
    opaque("minio.podDisruptionBudget", Seed, "Pods of MinIO."),
    opaque("minio.serviceAccount", Seed, "Service account of MinIO."),
    opaque("minio.metrics", Seed, "Metrics of MinIO."),
    opaque("minio.etcd", Seed, "Federation of MinIO."),
];

#[rustfmt::skip]
const LIFEBOAT: &[Key] = &[
    Key::new("lifeboat.endpoint", Lifeboat, Url, "http://stackstate-minio:9000", "Where the commands reach the gateway."),
    Key::new("lifeboat.readTimeoutSeconds", Lifeboat, Count, "300", "Seconds that the store at `lifeboat.endpoint` may send nothing while an answer is awaited; then the request is made again, a few times. What takes the store itself longer fails with too few. 0: as long as it takes."),
    Key::new("lifeboat.signContent", Lifeboat, Flag, "false", "The signature of an upload to our own gateway is made over all of its content, as that to any other server is. Otherwise over a checksum of it (CRC-64/NVME), which costs both sides far less processor time; whoever can change what goes over an unencrypted connection can make that fit."),
    Key::new("lifeboat.timeZone", Lifeboat, Text, "", "Time zone of schedules and backup names, such as `Europe/Amsterdam`; empty: the system's."),
    Key::new("lifeboat.gateway.listen", Lifeboat, Listen, "0.0.0.0:9000", "Address and port the gateway listens on."),
    Key::new("lifeboat.gateway.metricsListen", Lifeboat, OptionalListen, "0.0.0.0:9464", "Address and port for `/-/healthy`, `/-/ready` and `/metrics`; empty: none."),
    Key::new("lifeboat.gateway.usersFile", Lifeboat, Text, "", "File of the key pairs with a role, beside that of the values, which may do everything; read again when it changes. Empty: none."),
    Key::new("lifeboat.gateway.tls.certificate", Lifeboat, Text, "", "File of the gateway's certificate and those that vouch for it, in PEM; read again when it changes. Empty: HTTP."),
    Key::new("lifeboat.gateway.tls.key", Lifeboat, Text, "", "File of the certificate's key, in PEM."),
    Key::new("lifeboat.gateway.connections", Lifeboat, Count, "1024", "Connections served at a time; others wait."),
    Key::new("lifeboat.gateway.memory", Lifeboat, Size, "192Mi", "Memory that all buffers of requests may take together; a request that finds none left is told to slow down."),
    Key::new("lifeboat.gateway.volume", Lifeboat, Name, "/export", "Folder in which the gateway stores backups."),
    Key::new("lifeboat.gateway.trash", Lifeboat, OptionalAge, "", "How long the volume keeps what is deleted or replaced, such as `7d`; empty: not at all. See `lifeboat gateway trash`."),
    Key::new("lifeboat.gateway.s3.style", Lifeboat, Choice(&["auto", "path", "virtual"]), "auto", "Where requests to S3 name the bucket: in the host (`virtual`), in the path, or `auto`: in the host for AWS itself, in the path for other endpoints."),
    Key::new("lifeboat.gateway.s3.certificates", Lifeboat, Text, "", "File in PEM with certificates that are trusted for the endpoint of S3, beside those of the system."),
    Key::new("lifeboat.gateway.scrub", Lifeboat, Size, "8Mi", "Bytes a second at which a volume's objects are read again, once a week, and compared with their checksums; 0: not at all."),
    Key::new("lifeboat.gateway.routes", Lifeboat, Routes, "", "Buckets that lie elsewhere than the others: a list of `BUCKET=volume:FOLDER` (a volume of its own) or `BUCKET=storage:BUCKET/PREFIX` (another name in the same storage)."),
    Key::new("lifeboat.gateway.azure.sasToken", Lifeboat, Secret, "", "Shared access signature for the storage account, in place of its key. It must allow to read, write, create, delete and list."),
    Key::new("lifeboat.gateway.azure.certificates", Lifeboat, Text, "", "File in PEM with certificates to trust beside those of the system when speaking to Azure; empty: none."),
    Key::new("lifeboat.stackgraph.driver", Lifeboat, Choice(&["embedded"]), "embedded", "Which kind of store holds the topology."),
    Key::new("lifeboat.stackgraph.path", Lifeboat, Name, "/var/lib/lifeboat/stackgraph", "Folder of the embedded store."),
    Key::new("lifeboat.stackgraph.memory", Lifeboat, Size, "768Mi", "Memory that a restore may use."),
    Key::new("lifeboat.elasticsearch.url", Lifeboat, Urls, "http://stackstate-elasticsearch-master:9200", "Where the cluster of telemetry listens; of several nodes, separated by commas, the next one is asked where one does not answer."),
    Key::new("lifeboat.elasticsearch.user", Lifeboat, Text, "", "User of basic authentication; empty: none."),
    Key::new("lifeboat.elasticsearch.password", Lifeboat, Secret, "", "Password of that user."),
    Key::new("lifeboat.elasticsearch.apiKey", Lifeboat, Secret, "", "API key, encoded as the cluster gave it, instead of a user."),
    Key::new("lifeboat.elasticsearch.token", Lifeboat, Secret, "", "Bearer token, instead of a user."),
    Key::new("lifeboat.elasticsearch.certificates", Lifeboat, Text, "", "File in PEM with certificates to trust beside those of the system when speaking to the cluster; empty: none."),
    Key::new("lifeboat.elasticsearch.gateway", Lifeboat, Text, "", "Where the nodes of the cluster reach the gateway; empty: where the commands do, at `lifeboat.endpoint`."),
    Key::new("lifeboat.elasticsearch.region", Lifeboat, Name, "us-east-1", "Region that the nodes sign with; the gateway takes any."),
    Key::new("lifeboat.elasticsearch.keys", Lifeboat, Choice(&["keystore", "settings"]), "keystore", "Where the nodes find the gateway's key pair: in their keystores, or in the settings of the repository, which whoever may read the state of the cluster can read, and which the engine has to be told to allow."),
    Key::new("lifeboat.elasticsearch.repositorySettings", Lifeboat, Pairs, "", "More settings of the repository, such as `max_restore_bytes_per_sec=80mb`."),
    Key::new("lifeboat.victoriaMetrics.memory", Lifeboat, Size, "128Mi", "Memory that the bytes on their way may take in a backup or restore of metrics."),
    Key::new("lifeboat.victoriaMetrics.vmagent", Lifeboat, OptionalUrl, "", "Where vmagent answers, which keeps samples while a server is stopped: a restore says for how long it can. Empty: nobody is asked."),
    Key::new("lifeboat.victoriaMetrics.limitRate", Lifeboat, Size, "0", "Bytes a second that a backup or restore of metrics may move; 0: as many as it can."),
];

/// How the server of an instance is reached, and where its data lies.
macro_rules! server {
    ($section:literal) => {
        &[
            Key::new(concat!($section, ".url"), Lifeboat, Url, "http://127.0.0.1:8428", "Where the server of this instance listens, with its path prefix if it has one. The default is for a container beside it, which a backup needs to be."),
            Key::new(concat!($section, ".path"), Lifeboat, Name, "/storage", "Data folder of the server. A backup reads it, a restore replaces what is in it."),
            Key::new(concat!($section, ".user"), Lifeboat, Text, "", "User of the server's basic authentication; empty: none."),
            Key::new(concat!($section, ".password"), Lifeboat, Secret, "", "Password of that user."),
            Key::new(concat!($section, ".snapshotAuthKey"), Lifeboat, Secret, "", "Key that the server was given as `-snapshotAuthKey`."),
            Key::new(concat!($section, ".flushAuthKey"), Lifeboat, Secret, "", "Key that the server was given as `-forceFlushAuthKey`."),
            Key::new(concat!($section, ".metricsAuthKey"), Lifeboat, Secret, "", "Key that the server was given as `-metricsAuthKey`."),
            Key::new(concat!($section, ".certificates"), Lifeboat, Text, "", "File in PEM with certificates to trust beside those of the system when speaking to the server; empty: none."),
        ]
    };
}

#[rustfmt::skip]
const SERVER_0: &[Key] =
    server!("lifeboat.victoria-metrics-0");

#[rustfmt::skip]
const SERVER_1: &[Key] =
    server!("lifeboat.victoria-metrics-1");
