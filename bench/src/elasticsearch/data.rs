//! What the node holds: logs of many services, made up from a seed.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use serde_json::json;

use super::node::Node;

pub(super) const INDICES: [&str; 3] = [
    "sts_logs-2026.11.23",
    "sts_logs-2026.11.24",
    "sts_logs-2026.11.25",
];
const SHARDS: u32 = 2;
/// At most so many in a shard: then no merge begins while something is measured.
const SEGMENTS: u32 = 5;
/// Whole lines in a request, in bytes.
const REQUEST: usize = 8 << 20;
/// Requests between two looks at the size.
const LOOK: u32 = 3;
/// 2026-11-23, in seconds since 1970.
const BEGIN: i64 = 1_795_392_000;

/// What the indices hold, for the report.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    pub(super) documents: u64,
    /// In the files of the indices, as they were filled.
    pub(super) bytes: u64,
}

/// Stores documents until the indices have about so many bytes.
#[expect(clippy::print_stderr, reason = "a long run says where it is")]
pub(super) fn fill(node: &Node, bytes: u64) -> Result<Data> {
    eprintln!("filling the node with {} MiB", bytes >> 20);
    for index in INDICES {
        node.ask("PUT", &format!("/{index}"), &mapping())?;
    }
    let names = INDICES.join(",");
    let mut logs = Logs::new();
    let mut documents = 0;
    let mut requests = 0;
    while requests % LOOK != 0 || requests == 0 || size(node, &names)? < bytes {
        for index in INDICES {
            let (body, count) = logs.request(index)?;
            let stored = node.ask("POST", "/_bulk?filter_path=errors", &body)?;
            ensure!(stored["errors"] == false, "documents were refused");
            documents += count;
        }
        requests += 1;
    }
    node.ask(
        "POST",
        &format!("/{names}/_forcemerge?max_num_segments={SEGMENTS}"),
        "",
    )?;
    let bytes = size(node, &names)?;
    ensure!(
        node.count(&INDICES)? == documents,
        "the node has lost documents"
    );
    Ok(Data { documents, bytes })
}

fn mapping() -> String {
    let keyword = || json!({"type": "keyword"});
    json!({
        "settings": {
            "number_of_shards": SHARDS,
            "number_of_replicas": 0,
            "refresh_interval": "-1",
            "translog.durability": "async",
        },
        "mappings": {"properties": {
            "@timestamp": {"type": "date"},
            "message": {"type": "text"},
            "level": keyword(),
            "service": keyword(),
            "pod": keyword(),
            "node": keyword(),
            "trace": keyword(),
            "status": {"type": "short"},
            "took": {"type": "float"},
        }},
    })
    .to_string()
}

fn size(node: &Node, names: &str) -> Result<u64> {
    node.ask("POST", &format!("/{names}/_flush"), "")?;
    let stats = node.ask("GET", &format!("/{names}/_stats/store"), "")?;
    stats["_all"]["primaries"]["store"]["size_in_bytes"]
        .as_u64()
        .context("the indices have no size")
}

/// Lines of logs without an end.
struct Logs {
    noise: StdRng,
    milliseconds: i64,
}

const SERVICES: [&str; 12] = [
    "api",
    "authorization",
    "billing",
    "cart",
    "catalog",
    "checkout",
    "correlate",
    "ingress",
    "notification",
    "receiver",
    "search",
    "sync",
];
const PATHS: [&str; 8] = [
    "/api/components",
    "/api/topology/query",
    "/api/metrics/range",
    "/cart/items",
    "/checkout/payment",
    "/health/ready",
    "/login/callback",
    "/receiver/intake",
];

impl Logs {
    fn new() -> Self {
        Self {
            noise: StdRng::seed_from_u64(7),
            milliseconds: BEGIN * 1000,
        }
    }

    /// The body of a request, and its documents.
    fn request(&mut self, index: &str) -> Result<(String, u64)> {
        let mut body = String::with_capacity(REQUEST + 1024);
        let mut count = 0;
        while body.len() < REQUEST {
            writeln!(body, "{{\"create\":{{\"_index\":\"{index}\"}}}}")?;
            self.line(&mut body)?;
            count += 1;
        }
        Ok((body, count))
    }

    fn line(&mut self, body: &mut String) -> Result<()> {
        self.milliseconds += self.noise.random_range(0..40);
        let at = Timestamp::from_millisecond(self.milliseconds)?;
        let service = self.one_of(&SERVICES);
        let (pod, machine) = (
            self.noise.random_range(0..40_u32),
            self.noise.random_range(0..12_u32),
        );
        let trace: u64 = self.noise.random();
        let took = self.noise.random::<f32>() * 400.0;
        let kind = self.noise.random_range(0..10_u32);
        let (level, status) = match kind {
            0 => ("ERROR", 503),
            1 => ("WARN", 429),
            _ => ("INFO", 200),
        };
        write!(
            body,
            "{{\"@timestamp\":\"{at}\",\"level\":\"{level}\",\"service\":\"{service}\",\
             \"pod\":\"{service}-{pod:05x}\",\"node\":\"worker-{machine}\",\"trace\":\"{trace:016x}\",\
             \"status\":{status},\"took\":{took:.3},\"message\":\""
        )?;
        let (user, item) = (
            self.noise.random_range(0..200_000_u32),
            self.noise.random::<u32>(),
        );
        let path = self.one_of(&PATHS);
        match kind {
            0 => write!(
                body,
                "request {trace:016x} to {path} failed after {took:.0} ms: connection to {service}-database refused, \
                 attempt 3 of 3 for user {user}; the operation on item {item:08x} was rolled back"
            )?,
            1 => write!(
                body,
                "user {user} is over the limit of {path}: waiting {took:.1} ms before item {item:08x} is tried again"
            )?,
            2..=4 => write!(
                body,
                "committed batch {item:08x} with {} records for tenant {}, offset {}",
                user % 900,
                user % 50,
                self.milliseconds / 7
            )?,
            _ => write!(
                body,
                "GET {path}/{item:08x}?user={user} from 10.{}.{}.{} answered {status} in {took:.2} ms",
                pod % 4,
                machine,
                user % 250
            )?,
        }
        body.push_str("\"}\n");
        Ok(())
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.noise.random_range(0..words.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_documents_and_come_again_from_the_same_seed() {
        let (body, count) = Logs::new().request("logs").unwrap();
        let lines: Vec<serde_json::Value> = body
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len() as u64, 2 * count);
        assert_eq!(lines[0], json!({"create": {"_index": "logs"}}));
        assert!(lines[1]["message"].as_str().unwrap().len() > 20);
        assert!(
            lines[1]["@timestamp"]
                .as_str()
                .unwrap()
                .starts_with("2026-11-23T")
        );
        assert_eq!(Logs::new().request("logs").unwrap().0, body);
    }
}
