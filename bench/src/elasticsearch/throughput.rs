//! The same data into four repositories and back.

use anyhow::{Context, Result, ensure};
use lifeboat_testkit::servers::{Server, opensearch};
use serde::Serialize;
use serde_json::json;

use super::BUCKET;
use super::data::{Data, INDICES};
use super::node::Node;
use crate::gateway::contender::Contender;
use crate::gateway::watch::{Cost, watch};
use crate::measure::cpu_seconds;

const REPOSITORY: &str = "measured";
const SNAPSHOT: &str = "everything";

/// Where a repository lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Store {
    /// In a folder that the node writes by itself.
    FileSystem,
    Lifeboat,
    S3proxy,
    Versitygw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Task {
    Snapshot,
    Restore,
}

/// One measured run.
#[derive(Debug, Serialize)]
pub(super) struct Sample {
    pub(super) task: Task,
    pub(super) store: Store,
    pub(super) round: u32,
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// Processor time of the engine.
    pub(super) node_cpu_seconds: f64,
    /// Of the server of S3; of the engine where there is none.
    #[serde(flatten)]
    pub(super) cost: Cost,
}

/// A kind of repository, with its server where there is one.
pub(super) type Place<'a> = (Store, Option<&'a Server>);

impl Store {
    pub(super) const ALL: [Self; 4] = [
        Self::FileSystem,
        Self::Lifeboat,
        Self::S3proxy,
        Self::Versitygw,
    ];

    pub(super) fn contender(self) -> Option<Contender> {
        match self {
            Self::FileSystem => None,
            Self::Lifeboat => Some(Contender::Lifeboat),
            Self::S3proxy => Some(Contender::S3proxy),
            Self::Versitygw => Some(Contender::Versitygw),
        }
    }

    pub(super) fn title(self) -> String {
        self.contender().map_or_else(
            || "`fs` of the engine".to_owned(),
            |contender| contender.to_string(),
        )
    }

    /// Whether what it has acknowledged is on the disk. The engine syncs what it writes itself.
    pub(super) fn syncs(self) -> bool {
        self.contender().is_none_or(Contender::syncs)
    }
}

/// Takes and restores a snapshot of everything at each place, who begins changing from round to round. One round before them is not counted: Java compiles what it runs often.
#[expect(clippy::print_stderr, reason = "a long run says where it is")]
pub(super) fn measure(
    node: &Node,
    places: &mut [Place<'_>],
    data: &Data,
    rounds: u32,
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for round in 0..=rounds {
        for place in &*places {
            let title = place.0.title();
            eprintln!("round {round}: {title}");
            there_and_back(node, *place, data, round, &mut samples).context(title)?;
        }
        places.rotate_left(1);
    }
    samples.retain(|sample| sample.round > 0);
    Ok(samples)
}

fn there_and_back(
    node: &Node,
    (store, server): Place<'_>,
    data: &Data,
    round: u32,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let register = repository(node, server, round);
    node.ask("PUT", &format!("/_snapshot/{REPOSITORY}"), &register)?;
    let watched = server.unwrap_or(&node.server);
    let mut sample = |task: Task, step: &dyn Fn() -> Result<f64>| -> Result<()> {
        // What was written before must not be waited for now.
        rustix::fs::sync();
        let engine = node.server.id().to_string();
        let before = cpu_seconds(&engine)?;
        let ((seconds, node_cpu_seconds), cost) = watch(watched.id(), &watched.data(), || {
            let seconds = step()?;
            let spent = cpu_seconds(&engine)? - before;
            let beside = if server.is_some() { spent } else { 0.0 };
            Ok(((seconds, spent), beside))
        })?;
        samples.push(Sample {
            task,
            store,
            round,
            bytes: node.size(REPOSITORY, SNAPSHOT)?,
            seconds,
            node_cpu_seconds,
            cost,
        });
        Ok(())
    };
    sample(Task::Snapshot, &|| {
        node.snapshot(REPOSITORY, SNAPSHOT, &INDICES)
    })?;
    node.delete(&INDICES)?;
    sample(Task::Restore, &|| {
        node.restore(REPOSITORY, SNAPSHOT, &INDICES)
    })?;
    let found = node.count(&INDICES)?;
    ensure!(
        found == data.documents,
        "{found} documents came back of {}",
        data.documents
    );
    let snapshot = format!("/_snapshot/{REPOSITORY}/{SNAPSHOT}");
    node.ask("DELETE", &snapshot, "")?;
    node.ask("DELETE", &format!("/_snapshot/{REPOSITORY}"), "")?;
    Ok(())
}

/// A repository that nothing lies in yet.
fn repository(node: &Node, server: Option<&Server>, round: u32) -> String {
    let path = format!("round-{round}");
    let mut settings = json!({
        "max_snapshot_bytes_per_sec": "10gb",
        "max_restore_bytes_per_sec": "10gb",
        "shard_path_type": "FIXED",
    });
    let kind = if let Some(server) = server {
        settings["bucket"] = json!(BUCKET);
        settings["base_path"] = json!(path);
        settings["endpoint"] = json!(server.endpoint());
        settings["protocol"] = json!("http");
        settings["region"] = json!("us-east-1");
        settings["path_style_access"] = json!("true");
        "s3"
    } else {
        let work = node.server.data();
        let folder = work.parent().map(opensearch::repositories);
        settings["location"] = json!(folder.unwrap_or_default().join(path));
        "fs"
    };
    json!({"type": kind, "settings": settings}).to_string()
}
