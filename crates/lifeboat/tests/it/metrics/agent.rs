//! vmagent goes on scraping while the server is stopped: nothing that came after the stop is lost.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_testkit::http;
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::victoria_metrics::{self, Release, Unusual};

use super::{INSTANCE, Metrics, import, samples};

/// Sends one sample through the agent, as a scrape would.
fn send(agent: &Server, number: u64) {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let line = format!("kept{{number=\"{number}\"}} {number} {now}\n");
    let path = "/api/v1/import/prometheus";
    let answer = http::send(agent.address(), "POST", path, "text/plain", &line).unwrap();
    assert!(answer.status < 300, "{}", answer.body);
}

fn no_sample_after_the_stop_is_lost(release: Release) {
    let Some(mut metrics) = Metrics::start(release) else {
        return;
    };
    import(metrics.server(), "old", 1, 300);
    let work = metrics.world.path("agent");
    fs::create_dir_all(&work).unwrap();
    // The server has to be found where it was.
    let address = metrics.server().address();
    let agent = victoria_metrics::start_agent(&work, release, metrics.server()).unwrap();
    send(&agent, 0);
    wait_for(metrics.server(), 1);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let vmagent = format!("lifeboat.victoriaMetrics.vmagent={}", agent.endpoint());
    metrics.halt();
    for number in 1..=20 {
        send(&agent, number);
    }
    let plan = metrics.world.json(&[
        "--set",
        &vmagent,
        "victoria-metrics",
        "restore",
        INSTANCE,
        &version,
        "--dry-run",
    ]);
    assert_eq!(plan["vmagent"]["lossy"], false);
    metrics.world.ok(&[
        "--set",
        &vmagent,
        "victoria-metrics",
        "restore",
        INSTANCE,
        &version,
        "--yes",
    ]);
    let address = Some(address);
    assert!(metrics.boot_unusual(
        release,
        Unusual {
            address,
            ..Unusual::default()
        }
    ));
    for number in 21..=25 {
        send(&agent, number);
    }
    metrics
        .world
        .ok(&["--set", &vmagent, "victoria-metrics", "confirm", INSTANCE]);
    wait_for(metrics.server(), 26);
    assert_eq!(samples(metrics.server(), "old"), 300);
    agent.stop().unwrap();
}

/// It tries again only after a while, and longer each time.
fn wait_for(server: &Server, expected: u64) {
    let begun = Instant::now();
    loop {
        http::get(server.address(), "/internal/force_flush").unwrap();
        let found = samples(server, "kept");
        if found == expected {
            return;
        }
        assert!(found < expected, "{found} samples of {expected}");
        assert!(
            begun.elapsed() < Duration::from_mins(3),
            "{found} samples of {expected} came"
        );
        #[expect(
            clippy::disallowed_methods,
            reason = "vmagent says nothing when it has sent"
        )]
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn no_sample_after_the_stop_is_lost_with_1_112() {
    no_sample_after_the_stop_is_lost(Release::V1_112);
}

#[test]
fn no_sample_after_the_stop_is_lost_with_1_145() {
    no_sample_after_the_stop_is_lost(Release::V1_145);
}
