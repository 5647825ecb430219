//! vmbackup and vmrestore, as the platform's metrics are backed up: full, incremental by copies on the server, restored.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use lifeboat_testkit::http;
use lifeboat_testkit::process::run;
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::victoria_metrics::{self, Release, TOOLS_1_109};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Ran;
use crate::world::World;

const BUCKET: &str = "sts-victoria-metrics-backup";
/// Hours that the samples are apart, and how many there are of each series.
const HOURS: u64 = 200;
/// Series of the first import: enough for a file of more than five megabytes.
const SERIES: u64 = 5000;

/// The two tools, with what they need of the gateway.
struct Tools<'a> {
    vmbackup: PathBuf,
    vmrestore: PathBuf,
    world: &'a World,
}

impl Tools<'_> {
    fn run(&self, program: &Path, arguments: &[String]) -> String {
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
            .args(arguments);
        run(&mut command).unwrap_or_else(|error| panic!("`{arguments:?}`: {error:#}"))
    }

    fn back_up(&self, server: &Server, name: &str, origin: Option<&str>) {
        let mut arguments = vec![
            format!("-storageDataPath={}", server.data().display()),
            format!("-snapshot.createURL={}/snapshot/create", server.endpoint()),
            format!("-dst=s3://{BUCKET}/{name}"),
            // Whatever the machine has left: only the object store is of interest.
            "-httpListenAddr=127.0.0.1:0".to_owned(),
        ];
        arguments.extend(origin.map(|origin| format!("-origin=s3://{BUCKET}/{origin}")));
        self.run(&self.vmbackup, &arguments);
    }

    fn restore(&self, name: &str, folder: &Path) {
        let arguments = [
            format!("-src=s3://{BUCKET}/{name}"),
            format!("-storageDataPath={}", folder.display()),
            "-httpListenAddr=127.0.0.1:0".to_owned(),
        ];
        self.run(&self.vmrestore, &arguments);
    }
}

/// Stores `HOURS` samples of each of so many series, and waits until queries and snapshots see them.
fn import(server: &Server, metric: &str, series: u64) {
    let mut random = StdRng::seed_from_u64(series);
    let mut lines = String::new();
    for number in 0..series {
        for hour in 0..HOURS {
            let time = 1_700_000_000 + hour * 3600;
            // Values that hardly compress, so that a file becomes larger than what vmbackup sends in one piece.
            let value = random.random::<u64>() >> 12;
            writeln!(lines, "{metric}{{number=\"{number}\"}} {value} {time}000").unwrap();
        }
    }
    let path = "/api/v1/import/prometheus";
    let stored = http::send(server.address(), "POST", path, "text/plain", &lines).unwrap();
    assert_eq!(stored.status, 204, "{}", stored.body);
    let flushed = http::get(server.address(), "/internal/force_flush").unwrap();
    assert_eq!(flushed.status, 200, "{}", flushed.body);
    assert_eq!(samples(server, metric), series * HOURS);
}

/// Counts samples by exporting them: exit codes say nothing about what came back.
fn samples(server: &Server, metric: &str) -> u64 {
    let path = format!("/api/v1/export?match[]={metric}");
    let exported = http::get(server.address(), &path).unwrap();
    assert_eq!(exported.status, 200, "{}", exported.body);
    exported
        .body
        .lines()
        .map(|line| {
            let series: serde_json::Value = serde_json::from_str(line).unwrap();
            u64::try_from(series["values"].as_array().unwrap().len()).unwrap()
        })
        .sum()
}

fn programs(release: Release) -> Result<(PathBuf, PathBuf)> {
    let folder = release.programs()?;
    Ok((folder.join("vmbackup"), folder.join("vmrestore")))
}

fn backs_up_and_restores_with(
    world: &World,
    release: Release,
    tools: Result<(PathBuf, PathBuf)>,
) -> Ran {
    let (vmbackup, vmrestore) = match tools {
        Ok(programs) => programs,
        Err(error) => {
            lifeboat_testkit::skip!("no vmbackup: {error:#}");
            return Ran::Skipped;
        }
    };
    let server = match victoria_metrics::start(&world.path("metrics"), release) {
        Ok(server) => server,
        Err(error) => {
            lifeboat_testkit::skip!("no VictoriaMetrics {}: {error:#}", release.version());
            return Ran::Skipped;
        }
    };
    let tools = Tools {
        vmbackup,
        vmrestore,
        world,
    };
    import(&server, "first", SERIES);
    tools.back_up(&server, "latest", None);
    // The daily copy of the platform: everything by copies inside the store.
    tools.back_up(&server, "day-1", Some("latest"));
    import(&server, "second", 300);
    tools.back_up(&server, "latest", None);
    drop(server);

    for (name, second) in [("day-1", 0), ("latest", 300 * HOURS)] {
        let work = world.path(name);
        let data = work.join("data");
        fs::create_dir_all(&data).unwrap();
        tools.restore(name, &data);
        let restored = victoria_metrics::start(&work, release).unwrap();
        assert_eq!(samples(&restored, "first"), SERIES * HOURS, "{name}");
        assert_eq!(samples(&restored, "second"), second, "{name}");
    }
    Ran::Whole
}

pub(super) fn of_the_platform_backs_up_and_restores(world: &World) -> Ran {
    let tools = TOOLS_1_109
        .program("vmbackup")
        .and_then(|vmbackup| Ok((vmbackup, TOOLS_1_109.program("vmrestore")?)));
    backs_up_and_restores_with(world, Release::V1_112, tools)
}

pub(super) fn of_1_79_backs_up_and_restores(world: &World) -> Ran {
    backs_up_and_restores_with(world, Release::V1_79, programs(Release::V1_79))
}

pub(super) fn of_1_145_backs_up_and_restores(world: &World) -> Ran {
    backs_up_and_restores_with(world, Release::V1_145, programs(Release::V1_145))
}
