//! What the gateway counts and measures, for Prometheus.
//!
//! One table says what there is: the metrics are registered by it and the reference page is written from it. Labels have few
//! values, none of which a client can choose.

mod table;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::backend::{Scrubbed, Status};
use crate::budget::Budget;

type Bytes = Gauge<u64, AtomicU64>;
type Histograms = Family<Operation, Histogram, fn() -> Histogram>;

/// Everything that is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Histograms,
    running: Gauge,
    errors: Family<Code, Counter>,
    received: Counter,
    sent: Counter,
    hashing_wait: Histogram,
    connections: Gauge,
    memory_limit: Bytes,
    memory_used: Bytes,
    memory_refused: Counter,
    upstream_errors: Counter,
    handshakes_failed: Counter,
    reload_failures: Family<What, Counter>,
    certificate_expiry: Gauge,
    store_up: Gauge,
    open_uploads: Bytes,
    volume_size: Family<Volume, Bytes>,
    volume_free: Family<Volume, Bytes>,
    trash_objects: Family<Volume, Bytes>,
    trash_size: Family<Volume, Bytes>,
    scrubbed_objects: Family<Volume, Counter>,
    scrubbed_bytes: Family<Volume, Counter>,
    scrubbed_at: Family<Volume, Gauge>,
    unverifiable: Family<Volume, Bytes>,
    damaged: Family<Volume, Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    operation: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Volume {
    volume: String,
}

/// The end of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended<'a> {
    pub(crate) operation: &'a str,
    /// Of HTTP; 499 if the client went away before there was an answer.
    pub(crate) status: u16,
    /// Of S3, if it failed.
    pub(crate) code: Option<&'a str>,
    pub(crate) duration: Duration,
    /// Bytes of the body that came in.
    pub(crate) received: u64,
    /// Bytes of the body that went out.
    pub(crate) sent: u64,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations: Histograms = Family::new_with_constructor(request_buckets);
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            durations,
            running: Gauge::default(),
            errors: Family::default(),
            received: Counter::default(),
            sent: Counter::default(),
            hashing_wait: Histogram::new([0.0001, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]),
            connections: Gauge::default(),
            memory_limit: Bytes::default(),
            memory_used: Bytes::default(),
            memory_refused: Counter::default(),
            upstream_errors: Counter::default(),
            handshakes_failed: Counter::default(),
            reload_failures: Family::default(),
            certificate_expiry: Gauge::default(),
            store_up: Gauge::default(),
            open_uploads: Bytes::default(),
            volume_size: Family::default(),
            volume_free: Family::default(),
            trash_objects: Family::default(),
            trash_size: Family::default(),
            scrubbed_objects: Family::default(),
            scrubbed_bytes: Family::default(),
            scrubbed_at: Family::default(),
            unverifiable: Family::default(),
            damaged: Family::default(),
        };
        let mut registry = Registry::default();
        let mut add = Adding(&mut registry);
        add.metric(table::REQUESTS, &metrics.requests);
        add.metric(table::REQUEST_DURATION, &metrics.durations);
        add.metric(table::REQUESTS_RUNNING, &metrics.running);
        add.metric(table::ERRORS, &metrics.errors);
        add.metric(table::RECEIVED, &metrics.received);
        add.metric(table::SENT, &metrics.sent);
        add.metric(table::HASHING_WAIT, &metrics.hashing_wait);
        add.metric(table::CONNECTIONS, &metrics.connections);
        add.metric(table::MEMORY_LIMIT, &metrics.memory_limit);
        add.metric(table::MEMORY_USED, &metrics.memory_used);
        add.metric(table::MEMORY_REFUSED, &metrics.memory_refused);
        add.metric(table::UPSTREAM_ERRORS, &metrics.upstream_errors);
        add.metric(table::HANDSHAKES_FAILED, &metrics.handshakes_failed);
        add.metric(table::RELOAD_FAILURES, &metrics.reload_failures);
        add.metric(table::CERTIFICATE_EXPIRY, &metrics.certificate_expiry);
        add.metric(table::STORE_UP, &metrics.store_up);
        add.metric(table::OPEN_UPLOADS, &metrics.open_uploads);
        add.metric(table::VOLUME_SIZE, &metrics.volume_size);
        add.metric(table::VOLUME_FREE, &metrics.volume_free);
        add.metric(table::TRASH_OBJECTS, &metrics.trash_objects);
        add.metric(table::TRASH_SIZE, &metrics.trash_size);
        add.metric(table::SCRUBBED_OBJECTS, &metrics.scrubbed_objects);
        add.metric(table::SCRUBBED_BYTES, &metrics.scrubbed_bytes);
        add.metric(table::SCRUBBED_AT, &metrics.scrubbed_at);
        add.metric(table::UNVERIFIABLE, &metrics.unverifiable);
        add.metric(table::DAMAGED, &metrics.damaged);
        metrics.registry = registry;
        metrics
    }
}

struct Adding<'a>(&'a mut Registry);

impl Adding<'_> {
    /// The library adds `_total` to the names of counters and a full stop to what is said of them.
    fn metric<M: Metric + Clone>(&mut self, row: table::Row, metric: &M) {
        let name = row.name.strip_suffix("_total").unwrap_or(row.name);
        self.0.register(name, row.doc, metric.clone());
    }
}

impl Metrics {
    pub(crate) fn begun(&self) {
        self.running.inc();
    }

    pub(crate) fn ended(&self, ended: &Ended<'_>) {
        self.running.dec();
        let operation = ended.operation.to_owned();
        self.durations
            .get_or_create(&Operation {
                operation: operation.clone(),
            })
            .observe(ended.duration.as_secs_f64());
        self.requests
            .get_or_create(&Request {
                operation,
                status: ended.status,
            })
            .inc();
        if let Some(code) = ended.code {
            let code = code.to_owned();
            self.errors.get_or_create(&Code { code }).inc();
        }
        self.received.inc_by(ended.received);
        self.sent.inc_by(ended.sent);
    }

    pub(crate) fn connected(&self) {
        self.connections.inc();
    }

    pub(crate) fn disconnected(&self) {
        self.connections.dec();
    }

    /// How long content waited for a free thread before it was hashed.
    pub fn hashing_waited(&self, wait: Duration) {
        self.hashing_wait.observe(wait.as_secs_f64());
    }

    /// The store behind the gateway failed or gave no answer.
    pub(crate) fn upstream_failed(&self) {
        self.upstream_errors.inc();
    }

    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// Files that changed cannot be used.
    pub(crate) fn reload_failed(&self, what: &'static str) {
        self.reload_failures.get_or_create(&What { what }).inc();
    }

    /// When the certificate in service runs out, in seconds since 1970.
    pub(crate) fn certificate_expires(&self, expiry: Option<i64>) {
        self.certificate_expiry.set(expiry.unwrap_or_default());
    }

    /// What the store said of itself; nothing if it could not be asked.
    pub(crate) fn store_is(&self, status: Option<&Status>) {
        self.store_up.set(i64::from(status.is_some()));
        let Some(status) = status else {
            return;
        };
        if let Some(uploads) = status.uploads {
            self.open_uploads.set(uploads);
        }
        for space in &status.volumes {
            let volume = Volume {
                volume: space.volume.display().to_string(),
            };
            self.volume_size.get_or_create(&volume).set(space.total);
            self.volume_free.get_or_create(&volume).set(space.free);
            self.scrub_is(&volume, &space.scrub);
            if let Some(trash) = space.trash {
                self.trash_objects.get_or_create(&volume).set(trash.objects);
                self.trash_size.get_or_create(&volume).set(trash.bytes);
            }
        }
    }

    fn scrub_is(&self, volume: &Volume, scrub: &Scrubbed) {
        let count = |family: &Family<Volume, Counter>, value| {
            family
                .get_or_create(volume)
                .inner()
                .store(value, Ordering::Relaxed);
        };
        count(&self.scrubbed_objects, scrub.objects);
        count(&self.scrubbed_bytes, scrub.bytes);
        self.unverifiable
            .get_or_create(volume)
            .set(scrub.unverifiable);
        self.damaged.get_or_create(volume).set(scrub.damaged);
        let at = scrub.last_pass.map_or(0, jiff::Timestamp::as_second);
        self.scrubbed_at.get_or_create(volume).set(at);
    }

    /// Everything as Prometheus reads it.
    pub(crate) fn text(&self, budget: &Budget) -> String {
        self.memory_limit.set(budget.limit());
        self.memory_used.set(budget.used());
        self.memory_refused
            .inner()
            .store(budget.refused(), Ordering::Relaxed);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).expect("a text takes everything");
        text
    }
}

/// From what a cached small object takes to what a part of 5 GiB takes on a slow disk.
fn request_buckets() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
        300.0,
    ])
}

/// The reference page: every metric with its labels.
pub fn reference() -> String {
    let mut page = "# Metrics of the gateway\n\n<!-- Generated by `cargo xtask tidy --fix`. -->\n\n\
                    `/metrics` on the second port, `lifeboat.gateway.metricsListen`, in the text format of Prometheus.\n\n\
                    | metric | kind | labels | |\n|---|---|---|---|\n"
        .to_owned();
    for row in table::ROWS {
        let table::Row {
            name,
            kind,
            labels,
            doc,
        } = row;
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = labels.join(", ");
        writeln!(page, "| `{name}` | {kind} | {labels} | {doc}. |")
            .expect("a text takes everything");
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::backend::{Space, Tally};

    fn filled() -> Metrics {
        let metrics = Metrics::default();
        metrics.begun();
        metrics.ended(&Ended {
            operation: "PutObject",
            status: 503,
            code: Some("SlowDown"),
            duration: Duration::from_millis(3),
            received: 7,
            sent: 5,
        });
        metrics.reload_failed("users");
        metrics.store_is(Some(&Status {
            volumes: vec![Space {
                volume: "/export".into(),
                total: 9,
                free: 4,
                trash: Some(Tally {
                    objects: 3,
                    bytes: 8,
                }),
                scrub: Scrubbed {
                    objects: 11,
                    bytes: 12,
                    unverifiable: 13,
                    damaged: 14,
                    last_pass: jiff::Timestamp::from_second(15).ok(),
                },
            }],
            uploads: Some(2),
        }));
        metrics
    }

    #[test]
    fn the_table_has_every_metric_and_no_other() {
        let text = filled().text(&Budget::new(1024, Duration::ZERO));
        let found: BTreeSet<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .collect();
        let rows: BTreeSet<_> = table::ROWS
            .iter()
            .map(|row| format!("{} {}", row.name, row.kind))
            .collect();
        assert_eq!(found, rows.iter().map(String::as_str).collect());
    }

    #[test]
    fn labels_are_those_of_the_table() {
        let text = filled().text(&Budget::new(1024, Duration::ZERO));
        for row in table::ROWS {
            let sample = text
                .lines()
                .find(|line| line.starts_with(&format!("{}{{", row.name)));
            for label in row.labels {
                let sample = sample.or_else(|| {
                    text.lines()
                        .find(|line| line.starts_with(&format!("{}_count{{", row.name)))
                });
                assert!(
                    sample.is_some_and(|sample| sample.contains(&format!("{label}=\""))),
                    "{} has no label {label}",
                    row.name
                );
            }
        }
    }

    #[test]
    fn what_ended_is_counted() {
        let text = filled().text(&Budget::new(4096, Duration::ZERO));
        for line in [
            "lifeboat_gateway_requests_total{operation=\"PutObject\",status=\"503\"} 1",
            "lifeboat_gateway_request_duration_seconds_count{operation=\"PutObject\"} 1",
            "lifeboat_gateway_requests_running 0",
            "lifeboat_gateway_errors_total{code=\"SlowDown\"} 1",
            "lifeboat_gateway_received_bytes_total 7",
            "lifeboat_gateway_sent_bytes_total 5",
            "lifeboat_gateway_store_up 1",
            "lifeboat_gateway_open_uploads 2",
            "lifeboat_gateway_volume_size_bytes{volume=\"/export\"} 9",
            "lifeboat_gateway_volume_free_bytes{volume=\"/export\"} 4",
            "lifeboat_gateway_trash_objects{volume=\"/export\"} 3",
            "lifeboat_gateway_trash_size_bytes{volume=\"/export\"} 8",
            "lifeboat_gateway_scrubbed_objects_total{volume=\"/export\"} 11",
            "lifeboat_gateway_scrubbed_bytes_total{volume=\"/export\"} 12",
            "lifeboat_gateway_scrub_unverifiable_objects{volume=\"/export\"} 13",
            "lifeboat_gateway_damaged_objects{volume=\"/export\"} 14",
            "lifeboat_gateway_scrub_last_pass_timestamp_seconds{volume=\"/export\"} 15",
            "lifeboat_gateway_memory_limit_bytes 4096",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
