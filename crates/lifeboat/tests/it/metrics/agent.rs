//! vmagent goes on scraping while the server is stopped: nothing that came after the stop is lost.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_testkit::http;
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::victoria_metrics::{self, Release, Unusual};

use super::{INSTANCE, Metrics, import, samples};

/// Sends one sample through the agent, as an application would that pushes.
fn send(agent: &Server, number: u64) {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let line = format!("kept{{number=\"{number}\"}} {number} {now}\n");
    let path = "/api/v1/import/prometheus";
    let answer = http::send(agent.address(), "POST", path, "text/plain", &line).unwrap();
    assert!(answer.status < 300, "{}", answer.body);
}

/// Something to scrape: it says how often it was scraped.
struct Target {
    address: SocketAddr,
    scrapes: Arc<AtomicU64>,
}

impl Target {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scrapes = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&scrapes);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut seen = Vec::new();
                let mut buffer = [0; 1024];
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(read @ 1..) => seen.extend_from_slice(&buffer[..read]),
                        _ => break,
                    }
                }
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let body = format!("scrapes {number}\n");
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).ok();
            }
        });
        Self { address, scrapes }
    }

    fn scrapes(&self) -> u64 {
        self.scrapes.load(Ordering::SeqCst)
    }

    /// Until it was scraped so often once more.
    fn wait_for_scrapes(&self, count: u64) {
        let wanted = self.scrapes() + count;
        let begun = Instant::now();
        while self.scrapes() < wanted {
            assert!(
                begun.elapsed() < Duration::from_mins(2),
                "nobody scrapes any more"
            );
            pause();
        }
    }

    /// What vmagent has to read to find it.
    fn configuration(&self) -> String {
        format!(
            "global: {{scrape_interval: 2s}}\nscrape_configs:\n- job_name: target\n  static_configs:\n  - targets: ['{}']\n",
            self.address
        )
    }
}

/// The numbers that the server knows to have been scraped.
fn scraped(server: &Server) -> BTreeSet<u64> {
    http::get(server.address(), "/internal/force_flush").unwrap();
    let path = "/api/v1/export?match[]=scrapes&start=0&end=4102444800";
    let exported = http::get(server.address(), path).unwrap();
    let mut numbers = BTreeSet::new();
    for line in exported.body.lines() {
        let series: serde_json::Value = serde_json::from_str(line).unwrap();
        // Marks of staleness are no numbers.
        let values = series["values"].as_array().unwrap();
        numbers.extend(values.iter().filter_map(serde_json::Value::as_u64));
    }
    numbers
}

fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "vmagent does not say when it will scrape or send"
    )]
    thread::sleep(Duration::from_millis(200));
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
    let target = Target::start();
    let configuration = work.join("scrape.yaml");
    fs::write(&configuration, target.configuration()).unwrap();
    let configuration = format!("-promscrape.config={}", configuration.display());
    let arguments = [&configuration[..]];
    let agent =
        victoria_metrics::start_agent(&work, release, metrics.server(), &arguments).unwrap();
    target.wait_for_scrapes(2);
    send(&agent, 0);
    wait_for(metrics.server(), 1);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let vmagent = format!("lifeboat.victoriaMetrics.vmagent={}", agent.endpoint());
    metrics.halt();
    let at_the_stop = target.scrapes();
    for number in 1..=20 {
        send(&agent, number);
    }
    target.wait_for_scrapes(3);
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
    // All that was scraped from the stop on has come, up to the last one, which may be on its way.
    target.wait_for_scrapes(2);
    let last = target.scrapes() - 1;
    let wanted: BTreeSet<u64> = (at_the_stop + 1..=last).collect();
    assert!(wanted.len() > 4, "{wanted:?}");
    let begun = Instant::now();
    loop {
        let lacking: Vec<_> = wanted
            .difference(&scraped(metrics.server()))
            .copied()
            .collect();
        if lacking.is_empty() {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_mins(3),
            "scrapes {lacking:?} of {wanted:?} never came"
        );
        pause();
    }
    agent.stop().unwrap();
}

/// Between two tries that block is in no queue.
fn what_is_tried_in_vain_is_waited_for(release: Release) {
    let Some(mut metrics) = Metrics::start(release) else {
        return;
    };
    import(metrics.server(), "old", 1, 300);
    let work = metrics.world.path("agent");
    fs::create_dir_all(&work).unwrap();
    let address = metrics.server().address();
    let agent = victoria_metrics::start_agent(&work, release, metrics.server(), &[]).unwrap();
    send(&agent, 0);
    wait_for(metrics.server(), 1);
    let version = metrics.back_up()["version"].as_str().unwrap().to_owned();
    let vmagent = format!("lifeboat.victoriaMetrics.vmagent={}", agent.endpoint());
    metrics.halt();
    send(&agent, 1);
    wait_for_tries(&agent, 3);
    let with_agent = ["--set", &vmagent, "victoria-metrics"];
    let restore = ["restore", INSTANCE, &version];
    let plan = [&with_agent[..], &restore, &["--dry-run"]].concat();
    let plan = metrics.world.json(&plan);
    assert_eq!(plan["vmagent"]["pending_bytes"], 0, "{plan}");
    assert_eq!(plan["vmagent"]["blocks_in_hand"], 1, "{plan}");
    metrics
        .world
        .ok(&[&with_agent[..], &restore, &["--yes"]].concat());
    // Another one has failed: the next is several seconds away.
    wait_for_tries(&agent, 4);
    assert!(metrics.boot_unusual(
        release,
        Unusual {
            address: Some(address),
            ..Unusual::default()
        }
    ));
    metrics
        .world
        .ok(&[&with_agent[..], &["confirm", INSTANCE]].concat());
    http::get(metrics.server().address(), "/internal/force_flush").unwrap();
    assert_eq!(samples(metrics.server(), "kept"), 2);
    agent.stop().unwrap();
}

#[test]
fn what_is_tried_in_vain_is_waited_for_with_1_79() {
    what_is_tried_in_vain_is_waited_for(Release::V1_79);
}

#[test]
fn what_is_tried_in_vain_is_waited_for_with_1_112() {
    what_is_tried_in_vain_is_waited_for(Release::V1_112);
}

#[test]
fn what_is_tried_in_vain_is_waited_for_with_1_145() {
    what_is_tried_in_vain_is_waited_for(Release::V1_145);
}

/// Until so many tries to send have failed.
fn wait_for_tries(agent: &Server, wanted: u64) {
    let begun = Instant::now();
    loop {
        let metrics = http::get(agent.address(), "/metrics").unwrap().body;
        let tries: u64 = metrics
            .lines()
            .filter(|line| line.starts_with("vmagent_remotewrite_retries_count_total"))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum();
        if tries >= wanted {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_mins(3),
            "{tries} tries of {wanted}"
        );
        pause();
    }
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
        pause();
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
