//! Metrics of real servers, backed up and restored: by us, by vmbackup and vmrestore, and by each from the other.
//!
//! What came back is counted by asking the server: exit codes say nothing about it.

mod agent;
mod bad_input;
mod changes;
mod confirm;
mod faults;
mod guarded;
mod kill;
mod lease;
mod matrix;
mod odd;
mod owners;
mod pair;
mod prefix;
mod read_only;
mod reader;
mod restore;
mod round;
mod space;
mod theirs;
mod undo;
mod volumes;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_testkit::go::Module;
use lifeboat_testkit::http;
use lifeboat_testkit::process::run;
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::victoria_metrics::{self, Release, Unusual};

use crate::world::World;

const BUCKET: &str = "sts-victoria-metrics-backup";
const INSTANCE: &str = "victoria-metrics-0";

/// An installation with a server of metrics, whose data lies in `metrics/data`.
struct Metrics {
    // Dropped in this order: what the server printed lies in the folder of the world.
    server: Option<Server>,
    world: World,
}

impl Metrics {
    /// Nothing where the server cannot be had; then it says so.
    fn start(release: Release) -> Option<Self> {
        Self::in_world(World::new(), release)
    }

    fn in_world(world: World, release: Release) -> Option<Self> {
        fs::create_dir_all(world.path("metrics/data")).unwrap();
        let mut metrics = Self {
            world,
            server: None,
        };
        metrics.boot(release).then_some(metrics)
    }

    /// Starts a server on the data. False where it cannot be had; then it says so.
    fn boot(&mut self, release: Release) -> bool {
        self.boot_unusual(release, Unusual::default())
    }

    fn boot_unusual(&mut self, release: Release, unusual: Unusual<'_>) -> bool {
        match victoria_metrics::start_unusual(&self.world.path("metrics"), release, unusual) {
            Ok(server) => {
                self.server = Some(server);
                self.write_values("");
                true
            }
            Err(error) => {
                lifeboat_testkit::skip!("no VictoriaMetrics {}: {error:#}", release.version());
                false
            }
        }
    }

    /// The values of the installation, with `more` lines at their end.
    fn write_values(&self, more: &str) {
        let url = match &self.server {
            Some(server) => server.endpoint(),
            None => "http://127.0.0.1:9",
        };
        let values = self
            .world
            .values()
            .replace(
                "lifeboat:\n",
                &format!(
                    "lifeboat:\n  victoria-metrics-0: {{url: '{url}', path: {}}}\n",
                    self.data().display()
                ),
            )
            .replace(
                "victoria-metrics-0: {backup: {enabled: true}}\n",
                "victoria-metrics-0: {backup: {enabled: true}, restore: {enabled: true}}\n",
            );
        self.world.write_values(&format!("{values}{more}"));
    }

    fn data(&self) -> PathBuf {
        self.world.path("metrics/data")
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("a server runs")
    }

    /// Ends the server, which writes what it has in memory.
    fn halt(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().unwrap();
        }
    }

    /// Takes all data away from a server that does not run.
    fn wipe(&self) {
        fs::remove_dir_all(self.data()).unwrap();
        fs::create_dir_all(self.data()).unwrap();
    }

    fn back_up(&self) -> serde_json::Value {
        self.world.json(&["victoria-metrics", "backup", INSTANCE])
    }

    fn restore(&self, version: &str) -> serde_json::Value {
        let arguments = ["victoria-metrics", "restore", INSTANCE, version, "--yes"];
        self.world.json(&arguments)
    }

    /// Values in `mirror.yaml` by which `victoria-metrics-1` lies in this folder, which is made.
    fn write_mirror(&self) -> PathBuf {
        let folder = self.world.path("mirror");
        fs::create_dir_all(folder.join("data")).unwrap();
        let values = format!(
            "victoria-metrics-1: {{restore: {{enabled: true}}}}\nlifeboat: {{victoria-metrics-1: {{path: {}}}}}\n",
            folder.join("data").display()
        );
        fs::write(self.world.path("mirror.yaml"), values).unwrap();
        folder
    }

    /// Values in `daily.yaml` by which dated copies are made, of which one is kept.
    fn write_daily(&self) {
        let values = "victoria-metrics-0: {backup: {enabled: true, keepLastDaily: 1, keepLastWeekly: 0, scheduled: {daily: '55 0 * * *'}}, restore: {enabled: true}}\n";
        fs::write(self.world.path("daily.yaml"), values).unwrap();
    }

    /// Versions that are listed.
    fn listed(&self) -> Vec<String> {
        let listed = self.world.json(&["victoria-metrics", "list"]);
        let backups = listed["backups"].as_array().unwrap();
        let name = |backup: &serde_json::Value| backup["name"].as_str().unwrap().to_owned();
        backups.iter().map(name).collect()
    }

    /// A folder of the bucket on the volume of the gateway.
    fn stored(&self, version: &str) -> PathBuf {
        self.world.volume().join(BUCKET).join(version)
    }

    /// vmbackup or vmrestore, not started yet.
    fn tool(&self, program: &Path, arguments: &[String]) -> Command {
        let keys = self.world.keys();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.world.path("home"))
            .env("AWS_ACCESS_KEY_ID", keys.access)
            .env("AWS_SECRET_ACCESS_KEY", keys.secret)
            .env("AWS_REGION", "us-east-1")
            .current_dir(self.world.path(""))
            .arg(format!("-customS3Endpoint={}", self.world.endpoint()))
            .arg("-httpListenAddr=127.0.0.1:0")
            .args(arguments);
        command
    }

    fn vmbackup(&self, tools: impl Tools, version: &str) {
        run(&mut self.vmbackup_command(tools, version)).unwrap();
    }

    fn vmbackup_command(&self, tools: impl Tools, version: &str) -> Command {
        self.tool(
            &tools.path("vmbackup"),
            &[
                format!("-storageDataPath={}", self.data().display()),
                format!(
                    "-snapshot.createURL={}/snapshot/create",
                    self.server().endpoint()
                ),
                format!("-dst=s3://{BUCKET}/{version}"),
            ],
        )
    }

    fn vmrestore(&self, tools: impl Tools, version: &str) {
        let arguments = [
            format!("-src=s3://{BUCKET}/{version}"),
            format!("-storageDataPath={}", self.data().display()),
        ];
        run(&mut self.tool(&tools.path("vmrestore"), &arguments)).unwrap();
    }
}

/// Where vmbackup and vmrestore come from.
trait Tools: Copy {
    fn path(self, name: &str) -> PathBuf;
}

impl Tools for Release {
    fn path(self, name: &str) -> PathBuf {
        self.programs().unwrap().join(name)
    }
}

impl Tools for Module {
    fn path(self, name: &str) -> PathBuf {
        self.program(name).unwrap()
    }
}

/// Stores samples of so many series in each of some months, and waits until queries see them.
fn import(server: &Server, metric: &str, months: u32, series: u64) {
    for month in 0..u64::from(months) {
        // Months of 31 days, from November 2023 on.
        import_at(server, metric, 1_700_000_000 + month * 31 * 86_400, series);
    }
    assert_eq!(samples(server, metric), u64::from(months) * series);
}

/// Stores one sample of each of so many series, a second apart.
fn import_at(server: &Server, metric: &str, begin: u64, series: u64) {
    let mut lines = String::new();
    for number in 0..series {
        let time = begin + number;
        writeln!(lines, "{metric}{{number=\"{number}\"}} {number} {time}000").unwrap();
    }
    let path = "/api/v1/import/prometheus";
    let stored = http::send(server.address(), "POST", path, "text/plain", &lines).unwrap();
    assert_eq!(stored.status, 204, "{}", stored.body);
    let flushed = http::get(server.address(), "/internal/force_flush").unwrap();
    assert_eq!(flushed.status, 200, "{}", flushed.body);
}

/// Counts samples by exporting them.
fn samples(server: &Server, metric: &str) -> u64 {
    let path = format!("/api/v1/export?match[]={metric}&start=0&end=4102444800");
    let exported = http::get(server.address(), &path).unwrap();
    assert_eq!(exported.status, 200, "{}", exported.body);
    let count = |line: &str| {
        let series: serde_json::Value = serde_json::from_str(line).unwrap();
        u64::try_from(series["values"].as_array().unwrap().len()).unwrap()
    };
    exported.body.lines().map(count).sum()
}

/// Snapshots that the server has.
fn snapshots(server: &Server) -> usize {
    let answer = http::get(server.address(), "/snapshot/list").unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    answer["snapshots"].as_array().map_or(0, Vec::len)
}

/// All files below a folder, by path, with their contents.
fn files(folder: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(inside) = pending.pop() {
        for entry in fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}
