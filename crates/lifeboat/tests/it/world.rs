//! An installation of its own for each test: a folder, a values file, a gateway, a store.

pub(crate) mod storage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lifeboat_storage::Bucket;
use lifeboat_storage::bucket::{Access, Endpoint, Signing};
use lifeboat_testkit::process::Process;
use lifeboat_testkit::servers::{Keys, Server};
use lifeboat_testkit::{http, sightings};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ClientOptions, RetryConfig};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use self::storage::Storage;

pub(crate) const ACCESS_KEY: &str = "lifeboattest";
pub(crate) const SECRET_KEY: &str = "averysecretkey";
pub(crate) const BUCKET: &str = "sts-stackgraph-backup";

/// What a command left: its exit code and what the person saw.
pub(crate) struct Seen {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) struct World {
    // Dropped in this order: the gateway before what it needs.
    gateway: Option<Process>,
    behind: Option<Server>,
    storage: Storage,
    folder: TempDir,
    endpoint: String,
    monitor: String,
}

impl World {
    /// Nothing runs yet, and commands find nobody at the endpoint.
    pub(crate) fn without_gateway() -> Self {
        let build = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let folder = lifeboat_testkit::scratch::folder(&build, "world").unwrap();
        fs::create_dir(folder.path().join("volume")).unwrap();
        let endpoint = format!("http://{}", lifeboat_testkit::port::free().unwrap());
        let world = Self {
            gateway: None,
            behind: None,
            storage: Storage::Volume,
            folder,
            endpoint,
            monitor: String::new(),
        };
        world.write_values(&world.values());
        world
    }

    pub(crate) fn new() -> Self {
        let mut world = Self::without_gateway();
        world.start_gateway();
        world
    }

    /// An installation that keeps what is deleted or replaced.
    pub(crate) fn with_trash() -> Self {
        let mut world = Self::without_gateway();
        let values = world
            .values()
            .replace("gateway: {", "gateway: {trash: 7d, ");
        world.write_values(&values);
        world.start_gateway();
        world
    }

    /// A gateway in front of a real server. Nothing where that cannot be had; then it says so.
    pub(crate) fn behind(storage: Storage) -> Option<Self> {
        let mut world = Self::without_gateway();
        match storage.start(&world.path("behind")) {
            Ok(server) => world.behind = server,
            Err(error) => {
                lifeboat_testkit::skip!("no {storage:?}: {error:#}");
                return None;
            }
        }
        world.storage = storage;
        world.write_values(&world.values());
        world.start_gateway();
        Some(world)
    }

    /// The keys that clients of the gateway sign with.
    pub(crate) fn keys(&self) -> Keys {
        self.storage.keys(self.behind.as_ref())
    }

    pub(crate) fn values(&self) -> String {
        let behind = self.behind.as_ref();
        let Keys { access, secret } = self.keys();
        format!(
            "backup:\n  enabled: true\n{}\
             minio:\n  accessKey: {access}\n  secretKey: {secret}\n  {}\n\
             lifeboat:\n  timeZone: UTC\n  gateway: {{listen: '127.0.0.1:0', metricsListen: '127.0.0.1:0', volume: {}}}\n  \
             stackgraph: {{path: {}}}\n\
             victoria-metrics-0: {{backup: {{enabled: true}}}}\n",
            self.storage.more_values(behind),
            self.storage.values(behind),
            self.volume().display(),
            self.store().display()
        )
    }

    pub(crate) fn write_values(&self, text: &str) {
        fs::write(self.path("values.yaml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn volume(&self) -> PathBuf {
        self.path("volume")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("graph")
    }

    /// The file in which the gateway keeps an object.
    pub(crate) fn object(&self, name: &str) -> PathBuf {
        self.volume().join(BUCKET).join(name)
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A client of the gateway that does not try again, so that a test sees each answer.
    pub(crate) fn s3(&self) -> AmazonS3 {
        self.s3_of(BUCKET)
    }

    pub(crate) fn s3_of(&self, bucket: &str) -> AmazonS3 {
        let no_retry = RetryConfig {
            max_retries: 0,
            retry_timeout: Duration::from_secs(20),
            ..RetryConfig::default()
        };
        AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_bucket_name(bucket)
            .with_region("us-east-1")
            .with_access_key_id(ACCESS_KEY)
            .with_secret_access_key(SECRET_KEY)
            .with_retry(no_retry)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .build()
            .unwrap()
    }

    /// The client that the commands have, of a bucket behind this endpoint.
    pub(crate) fn bucket(&self, name: &str, url: &str) -> Bucket {
        let keys = self.keys();
        let endpoint = Endpoint {
            url: url.to_owned(),
            region: "us-east-1".to_owned(),
            read_timeout: None,
            content: Signing::Content,
        };
        let access = Access {
            access_key: keys.access.to_owned(),
            secret_key: keys.secret.to_owned(),
        };
        Bucket::new(endpoint, name, &access).unwrap()
    }

    /// The second port of the gateway.
    pub(crate) fn monitor(&self) -> &str {
        &self.monitor
    }

    pub(crate) fn start_gateway(&mut self) {
        self.start_gateway_with(&["gateway"]);
    }

    pub(crate) fn start_gateway_with(&mut self, arguments: &[&str]) {
        let gateway = Process::start(&mut self.command(arguments)).unwrap();
        self.monitor = gateway
            .wait_for_line(Duration::from_mins(1), |line| {
                line.strip_prefix("health and metrics on ")
                    .map(str::to_owned)
            })
            .unwrap();
        self.endpoint = gateway
            .wait_for_line(Duration::from_mins(1), |line| {
                line.strip_prefix("gateway listening on ")
                    .map(str::to_owned)
            })
            .unwrap();
        self.gateway = Some(gateway);
    }

    /// What objects are stored in, as the table of clients calls it.
    pub(crate) fn storage_name(&self) -> &'static str {
        self.storage.name()
    }

    /// What the store behind the gateway cannot do: words of the programs in `tests/python` and `tests/java`.
    pub(crate) fn store_lacks(&self) -> &'static str {
        self.storage.lacks()
    }

    /// Notes which operations `client` was seen to use in front of this storage. To be called when all went well.
    pub(crate) fn record_sightings(&self, client: &str) {
        let monitor = self.monitor.trim_start_matches("http://");
        let metrics = http::get(monitor.parse().unwrap(), "/metrics").unwrap();
        assert_eq!(metrics.status, 200, "{}", metrics.body);
        sightings::record(self.storage.name(), client, &metrics.body);
    }

    /// What the gateway printed so far.
    pub(crate) fn gateway_log(&self) -> Vec<String> {
        self.gateway
            .as_ref()
            .map_or_else(Vec::new, Process::printed)
    }

    pub(crate) fn take_gateway(&mut self) -> Process {
        self.gateway.take().expect("a gateway runs")
    }

    /// A command that has not been started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .args(["-f", "values.yaml", "--set"])
            .arg(format!("lifeboat.endpoint={}", self.endpoint))
            .args(arguments);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Seen {
        let output = self.command(arguments).output().unwrap();
        Seen {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let seen = self.run(arguments);
        assert_eq!(
            seen.code, 0,
            "`{arguments:?}` failed:\n{}{}",
            seen.stdout, seen.stderr
        );
        seen.stdout
    }

    /// Runs a command that must succeed with JSON as its result.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut all = vec!["-o", "json"];
        all.extend(arguments);
        serde_json::from_str(&self.ok(&all)).unwrap()
    }

    /// Exit code, stdout and stderr as the person sees them, without what differs from run to run.
    pub(crate) fn seen(&self, arguments: &[&str]) -> String {
        let Seen {
            code,
            stdout,
            stderr,
        } = self.run(arguments);
        let text = format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}");
        text.replace(&self.folder.path().display().to_string(), "[FOLDER]")
            .replace(&self.endpoint, "[ENDPOINT]")
            .replace(self.endpoint.trim_start_matches("http://"), "[ADDRESS]")
    }

    /// Loads a graph of `components` components in a ring, each with a few properties, and returns its digest.
    pub(crate) fn load_ring(&self, components: usize, generation: &str) -> String {
        let payload = self.path("ring.json");
        fs::write(&payload, ring(components, generation)).unwrap();
        self.ok(&["stackgraph", "load", path(&payload)]);
        self.digest()
    }

    /// Loads components that hardly compress, so that a backup of them needs several parts, and returns the digest.
    pub(crate) fn load_noise(&self, components: usize) -> String {
        let mut rng = StdRng::seed_from_u64(7);
        let mut noise = [0_u8; 200];
        let component = |number: usize| {
            rng.fill(&mut noise);
            let data = serde_json::json!({"noise": hex::encode(noise)});
            serde_json::json!({"id": format!("urn:noise:/{number}"), "type": "noise", "data": data})
        };
        let components: Vec<_> = (0..components).map(component).collect();
        let payload = self.path("noise.json");
        let relations: [(); 0] = [];
        let text =
            serde_json::json!({"components": components, "relations": relations}).to_string();
        fs::write(&payload, text).unwrap();
        self.ok(&["stackgraph", "load", path(&payload)]);
        self.digest()
    }

    pub(crate) fn digest(&self) -> String {
        let shown = self.json(&["stackgraph", "show", "--digest"]);
        shown["digest"].as_str().unwrap().to_owned()
    }

    /// The names that `list` prints.
    pub(crate) fn listed(&self) -> Vec<String> {
        let listed = self.json(&["stackgraph", "list"]);
        let backups = listed["backups"].as_array().unwrap();
        let name = |backup: &serde_json::Value| backup["name"].as_str().unwrap().to_owned();
        backups.iter().map(name).collect()
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("a path of the tests is UTF-8")
}

fn ring(components: usize, generation: &str) -> String {
    let component = |number: usize| {
        serde_json::json!({
            "externalId": format!("urn:host:/{number}"),
            "type": {"name": if number.is_multiple_of(3) { "host" } else { "process" }},
            "data": {
                "name": format!("component {number}"),
                "generation": generation,
                "number": number,
                "tags": ["a:b", format!("n:{}", number % 7)],
            },
        })
    };
    let relation = |number: usize| {
        serde_json::json!({
            "externalId": format!("relation {number}"),
            "type": {"name": "runs on"},
            "sourceId": format!("urn:host:/{number}"),
            "targetId": format!("urn:host:/{}", (number + 1) % components),
            "data": {"weight": number},
        })
    };
    serde_json::json!({
        "components": (0..components).map(component).collect::<Vec<_>>(),
        "relations": (0..components).map(relation).collect::<Vec<_>>(),
    })
    .to_string()
}
