//! Samples go through every release of VictoriaMetrics, and its backups through S3.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use lifeboat_testkit::servers::victoria_metrics::{self, Release};
use lifeboat_testkit::servers::{Server, versitygw};
use lifeboat_testkit::{http, process};

use super::{ask, end, or_skip, started, work};

const SAMPLES: usize = 5000;

/// Samples that are in the server, flushed or not.
fn count(server: &Server) -> usize {
    let path = "/api/v1/export/csv?format=__value__&match%5B%5D=boat";
    let answer = http::get(server.address(), path).unwrap();
    // Newer ones have a head line.
    let values = answer
        .body
        .lines()
        .filter(|line| line.parse::<f64>().is_ok());
    values.count()
}

/// Runs vmbackup or vmrestore against a bucket.
fn tool(program: &Path, bucket: &Server, arguments: &[String]) {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(format!("-customS3Endpoint={}", bucket.endpoint()))
        // Or else two of them at once want one port.
        .arg("-httpListenAddr=127.0.0.1:0")
        .env("AWS_ACCESS_KEY_ID", bucket.keys().access)
        .env("AWS_SECRET_ACCESS_KEY", bucket.keys().secret)
        .env("AWS_REGION", "us-east-1");
    process::run(&mut command).unwrap();
}

/// Brings samples through the agent, the server, a backup by these tools, a restore and another server.
fn samples_come_back(release: Release, tools: &Path) {
    let (bucket, work, agent, restored) = (work(), work(), work(), work());
    let Some(bucket) = started("versitygw", versitygw::start(bucket.path())) else {
        return;
    };
    // It makes the bucket.
    let Some(_seen) = ask(&bucket) else { return };
    let server = victoria_metrics::start(work.path(), release).unwrap();
    let agent = victoria_metrics::start_agent(agent.path(), release, &server, &[]).unwrap();
    let mut samples = String::new();
    for n in 0..SAMPLES {
        let time = 1_700_000_000_000 + n * 1000;
        writeln!(samples, "boat{{n=\"{}\"}} {n} {time}", n % 50).unwrap();
    }
    let import = "/api/v1/import/prometheus";
    let answer = http::send(agent.address(), "POST", import, "text/plain", &samples).unwrap();
    assert!(answer.status < 300, "{answer:?}");
    // It passes on what it has before it ends.
    end(agent);
    http::get(server.address(), "/internal/force_flush").unwrap();
    assert_eq!(count(&server), SAMPLES);

    tool(
        &tools.join("vmbackup"),
        &bucket,
        &[
            format!("-storageDataPath={}", server.data().display()),
            format!("-snapshot.createURL={}/snapshot/create", server.endpoint()),
            "-dst=s3://witness/metrics".to_owned(),
        ],
    );
    end(server);
    tool(
        &tools.join("vmrestore"),
        &bucket,
        &[
            "-src=s3://witness/metrics".to_owned(),
            format!(
                "-storageDataPath={}",
                restored.path().join("data").display()
            ),
        ],
    );
    let server = victoria_metrics::start(restored.path(), release).unwrap();
    assert_eq!(count(&server), SAMPLES);
    end(server);
    end(bucket);
}

fn samples_come_back_with_own_tools(release: Release) {
    let name = format!("VictoriaMetrics {}", release.version());
    if let Some(programs) = or_skip(&name, release.programs()) {
        samples_come_back(release, &programs);
    }
}

#[test]
fn victoria_metrics_1_79_backs_up_and_restores() {
    samples_come_back_with_own_tools(Release::V1_79);
}

#[test]
fn victoria_metrics_1_112_backs_up_and_restores() {
    samples_come_back_with_own_tools(Release::V1_112);
}

#[test]
fn victoria_metrics_1_145_backs_up_and_restores() {
    samples_come_back_with_own_tools(Release::V1_145);
}

#[test]
fn the_tools_of_the_platform_back_up_and_restore() {
    let release = Release::V1_112;
    let Some(_programs) = or_skip("VictoriaMetrics", release.programs()) else {
        return;
    };
    let tools = victoria_metrics::TOOLS_1_109.programs();
    if let Some(tools) = or_skip("vmbackup 1.109", tools) {
        samples_come_back(release, &tools);
    }
}
