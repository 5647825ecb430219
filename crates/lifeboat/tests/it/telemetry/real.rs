//! Half a million real lines, of the logs of this machine and of the servers of the test, of the journal, of the index of packages and of what is installed: stored, backed up in parts,
//! deleted, restored, and all of them compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_testkit::http;
use lifeboat_testkit::servers::Server;
use lifeboat_testkit::servers::victoria_metrics::{self, Release};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Telemetry;
use crate::world::World;

/// What most Debians have; the logs go to a stream.
const FOLDERS: [(&str, &str); 5] = [
    ("/var/log", STREAM),
    ("/var/lib/dpkg/info", PACKAGES),
    ("/usr/lib/python3", "sts_lines-1"),
    ("/usr/share/doc", "sts_lines-2"),
    ("/usr/include", "sts_lines-2"),
];
/// What prints more of it: the journal, and the index of all packages. Neither need be there.
const PROGRAMS: [(&[&str], &str); 2] = [
    (&["journalctl", "--quiet", "--lines=100000"], STREAM),
    (&["apt-cache", "dumpavail"], PACKAGES),
];
const STREAM: &str = "sts_k8s_logs";
const PACKAGES: &str = "sts_packages";
const DOCUMENTS: usize = 500_000;
/// So that no source is all there is.
const OF_ONE_SOURCE: usize = 120_000;
const LONGEST: usize = 2_000;
/// Bytes of one request.
const BULK: usize = 4 * 1024 * 1024;
const PAGE: usize = 5_000;

/// Of a set of documents, in no order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    documents: usize,
    sum: [u64; 4],
}

impl Digest {
    fn add(&mut self, id: &str, source: &Value) {
        let hash = Sha256::new()
            .chain_update(id)
            .chain_update([0])
            .chain_update(source.to_string())
            .finalize();
        self.documents += 1;
        for (sum, bytes) in self.sum.iter_mut().zip(hash.chunks_exact(8)) {
            *sum = sum.wrapping_add(u64::from_le_bytes(bytes.try_into().unwrap()));
        }
    }
}

type Digests = BTreeMap<&'static str, Digest>;

/// Documents on their way.
struct Sender<'a> {
    telemetry: &'a Telemetry,
    lines: String,
    digests: Digests,
}

impl Sender<'_> {
    fn add(&mut self, index: &'static str, id: &str, source: &Value) {
        let action = json!({"create": {"_index": index, "_id": id}});
        writeln!(self.lines, "{action}\n{source}").unwrap();
        self.digests.entry(index).or_default().add(id, source);
        if self.lines.len() > BULK {
            self.send();
        }
    }

    fn send(&mut self) {
        if !self.lines.is_empty() {
            let path = "/_bulk?filter_path=errors";
            let stored = self.telemetry.ok("POST", path, &self.lines);
            assert_eq!(stored["errors"], false);
            self.lines.clear();
        }
    }

    fn count(&self) -> usize {
        self.digests.values().map(|digest| digest.documents).sum()
    }
}

/// Plain files below a folder, in the order of their names.
fn files(folder: &Path, each: &mut impl FnMut(&Path) -> ControlFlow<()>) -> ControlFlow<()> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => files(&path, each)?,
            Ok(found) if found.is_file() => each(&path)?,
            _ => {}
        }
    }
    ControlFlow::Continue(())
}

/// Folders of lines: first what the servers of this test wrote themselves, then what programs print, then what lies here anyway.
fn collect(telemetry: &Telemetry, metrics: Option<&Server>) -> Vec<(PathBuf, &'static str)> {
    let world = &telemetry.world;
    let keep = |name: &str, text: &[u8]| {
        let folder = world.path("lines").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("log"), text).unwrap();
        folder
    };
    let mut found = vec![
        (
            keep("gateway", world.gateway_log().join("\n").as_bytes()),
            STREAM,
        ),
        (world.path("opensearch/logs"), STREAM),
    ];
    if let Some(metrics) = metrics {
        let log = fs::read(metrics.log()).unwrap();
        found.push((keep("victoria-metrics", &log), STREAM));
    }
    for (command, index) in PROGRAMS {
        let printed = Command::new(command[0]).args(&command[1..]).output();
        if let Ok(printed) = printed.map(|printed| printed.stdout) {
            found.push((keep(command[0], &printed), index));
        }
    }
    let folders = FOLDERS.into_iter();
    found.extend(folders.map(|(folder, index)| (PathBuf::from(folder), index)));
    found
}

/// Sends lines of text until there are enough. Returns the digests of what was sent, and how many lines are of which source.
fn send_lines(telemetry: &Telemetry, sources: &[(PathBuf, &'static str)]) -> (Digests, Vec<usize>) {
    let mut sender = Sender {
        telemetry,
        lines: String::new(),
        digests: Digests::new(),
    };
    let mut counts = Vec::new();
    for (number, (folder, index)) in sources.iter().enumerate() {
        let (mut of_it, mut file) = (0, 0);
        let _ended = files(folder, &mut |path| {
            file += 1;
            let text = fs::read(path)
                .ok()
                .and_then(|text| String::from_utf8(text).ok());
            for (line, text) in text.iter().flat_map(|text| text.lines()).enumerate() {
                if text.trim().is_empty() || text.len() > LONGEST {
                    continue;
                }
                if of_it == OF_ONE_SOURCE || sender.count() > DOCUMENTS {
                    return ControlFlow::Break(());
                }
                of_it += 1;
                let at = format!("2026-11-25T{:02}:{:02}:00Z", of_it / 60 % 24, of_it % 60);
                let source = json!({"@timestamp": at, "file": path, "line": line, "message": text});
                sender.add(index, &format!("{number}-{file}-{line}"), &source);
            }
            ControlFlow::Continue(())
        });
        counts.push(of_it);
    }
    sender.send();
    (sender.digests, counts)
}

/// Makes one segment of an index, so that its files are large, and lets all be found.
fn merge(telemetry: &Telemetry, index: &str) {
    let path = format!("/{index}/_forcemerge?max_num_segments=1&wait_for_completion=false");
    let begun = telemetry.ok("POST", &path, "");
    let task = begun["task"].as_str().unwrap();
    let path = format!("/_tasks/{task}?wait_for_completion=true&timeout=20s");
    // It is no failure that it takes longer than that.
    while telemetry.ask("GET", &path, "").status != 200 {}
    telemetry.ok("POST", &format!("/{index}/_refresh"), "");
}

/// Reads all documents of an index or a stream.
fn digest(telemetry: &Telemetry, index: &str) -> Digest {
    let mut digest = Digest::default();
    let body = json!({"size": PAGE, "sort": ["_doc"]}).to_string();
    let filter = "filter_path=_scroll_id,hits.hits._id,hits.hits._source";
    let path = format!("/{index}/_search?scroll=2m&{filter}");
    let mut page = telemetry.ok("POST", &path, &body);
    loop {
        let hits = page["hits"]["hits"].as_array();
        for hit in hits.into_iter().flatten() {
            digest.add(hit["_id"].as_str().unwrap(), &hit["_source"]);
        }
        if hits.is_none_or(Vec::is_empty) {
            return digest;
        }
        let next = json!({"scroll": "2m", "scroll_id": page["_scroll_id"]});
        let path = format!("/_search/scroll?{filter}");
        page = telemetry.ok("POST", &path, &next.to_string());
    }
}

/// How often the gateway did something well.
fn served(telemetry: &Telemetry, operation: &str) -> u64 {
    let monitor = telemetry.world.monitor().trim_start_matches("http://");
    let metrics = http::get(monitor.parse().unwrap(), "/metrics").unwrap();
    let start =
        format!("lifeboat_gateway_requests_total{{operation=\"{operation}\",status=\"200\"}} ");
    let mut lines = metrics.body.lines();
    lines
        .find_map(|line| line.strip_prefix(&start)?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn half_a_million_real_lines_come_back() {
    let mut world = World::without_gateway();
    world.start_gateway_with(&["-v", "gateway"]);
    let Some(telemetry) = Telemetry::in_world(world) else {
        return;
    };
    let metrics = victoria_metrics::start(&telemetry.world.path("metrics"), Release::V1_145);
    if let Err(error) = &metrics {
        lifeboat_testkit::skip!("no lines of a log of VictoriaMetrics: {error:#}");
    }
    let metrics = metrics.ok();
    // The least that a part may have, so that more of the objects come in several.
    let setting = "lifeboat.elasticsearch.repositorySettings=buffer_size=5mb";
    let configure = ["--set", setting, "elasticsearch", "configure"];
    telemetry.world.json(&configure);
    let settings = json!({"number_of_replicas": 0, "refresh_interval": "-1"});
    let template = |stream: bool| {
        let mut template = json!({"index_patterns": ["sts_*"], "priority": 1, "template": {"settings": settings, "mappings": {"properties": {
            "file": {"type": "keyword"}, "line": {"type": "long"}, "message": {"type": "text", "norms": false}}}}});
        if stream {
            template["index_patterns"] = json!([STREAM]);
            template["priority"] = json!(2);
            template["data_stream"] = json!({});
        }
        template.to_string()
    };
    telemetry.ok("PUT", "/_index_template/lines", &template(false));
    telemetry.ok("PUT", "/_index_template/logs", &template(true));

    let sources = collect(&telemetry, metrics.as_ref());
    let (sent, counts) = send_lines(&telemetry, &sources);
    let of_servers = &counts[..2 + usize::from(metrics.is_some())];
    assert!(!of_servers.contains(&0), "{sources:?}: {counts:?}");
    let count: usize = sent.values().map(|digest| digest.documents).sum();
    if count < DOCUMENTS || sent.len() < 4 {
        return lifeboat_testkit::skip!(
            "this machine has only {count} lines of text in {} places",
            sent.len()
        );
    }
    for index in sent.keys() {
        merge(&telemetry, index);
    }
    assert_eq!(served(&telemetry, "CompleteMultipartUpload"), 0);
    let snapshot = telemetry.back_up();
    let (parts, wholes) = (
        served(&telemetry, "UploadPart"),
        served(&telemetry, "CompleteMultipartUpload"),
    );
    assert!(wholes > 0 && parts > wholes, "{wholes} of {parts} parts");

    let deleted = telemetry.run_json(&["delete-indices", "sts*", "--yes"]);
    assert_eq!(deleted["documents"], count, "{deleted}");
    let restored = telemetry.run_json(&["restore", &snapshot, "--yes"]);
    assert_eq!(restored["documents"], count, "{restored}");
    for (index, sent) in sent {
        assert_eq!(digest(&telemetry, index), sent, "{index}");
    }
}
