//! `lifeboat elasticsearch list`.

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lifeboat_core::size::ByteSize;
use lifeboat_elasticsearch::catalog::Details;
use lifeboat_elasticsearch::snapshot::{Shards, Snapshot, State};
use serde::Serialize;

use super::{Cluster, banner, states, wanted};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View, columns};

/// List the snapshots in the repository
///
/// The oldest comes first, whoever took it. The state is the engine's word: only `SUCCESS` restores whole.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Also say sizes, where the engine tells; it reads every snapshot for that
    #[arg(long)]
    sizes: bool,
}

#[derive(Debug, Serialize)]
struct ListView {
    snapshots: Vec<SnapshotView>,
    #[serde(skip)]
    time_zone: TimeZone,
    #[serde(skip)]
    banner: String,
}

/// One snapshot, in lists and alone.
#[derive(Debug, Serialize)]
pub(super) struct SnapshotView {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) indices: Vec<String>,
    pub(super) data_streams: Vec<String>,
    pub(super) shards: Shards,
    pub(super) bytes: Option<u64>,
    pub(super) taken_by: Option<String>,
    pub(super) policy: Option<String>,
}

pub(crate) async fn run(ctx: &Context, args: &ListArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::reach(ctx).await?;
    let details = if args.sizes {
        Details::WithSizes
    } else {
        Details::Without
    };
    let snapshots = cluster.repository().list(details).await?;
    if snapshots.is_empty() {
        is_empty_indeed(ctx, &cluster).await?;
    }
    ctx.out.show(&ListView {
        snapshots: snapshots.into_iter().map(SnapshotView::from).collect(),
        time_zone: ctx.clock.time_zone().clone(),
        banner: banner(ctx, "Listing Elasticsearch snapshots in"),
    })?;
    Ok(Exit::Success)
}

/// An engine whose repository was lost with its volume may call it empty. Where the bucket cannot be asked from here, so be it.
async fn is_empty_indeed(ctx: &Context, cluster: &Cluster) -> Result<(), Failure> {
    let settings = &ctx.settings.elasticsearch;
    let repository = cluster.repository();
    let looked = async {
        let wanted = wanted(ctx)?;
        let bucket = ctx.bucket(&settings.bucket)?;
        let states = states(repository, &bucket, &wanted.base_path).await?;
        Ok::<_, Failure>((wanted, states))
    };
    match looked.await {
        Ok((wanted, states)) => Ok(repository.is_not_lost(&wanted, states).await?),
        Err(failure) => {
            tracing::debug!(%failure, "whether the repository was lost is not known");
            Ok(())
        }
    }
}

impl From<Snapshot> for SnapshotView {
    fn from(snapshot: Snapshot) -> Self {
        Self {
            name: snapshot.name,
            state: snapshot.state,
            started: snapshot.started,
            ended: snapshot.ended,
            indices: snapshot.indices,
            data_streams: snapshot.data_streams,
            shards: snapshot.shards,
            bytes: snapshot.size,
            taken_by: snapshot.taken_by,
            policy: snapshot.policy,
        }
    }
}

impl SnapshotView {
    pub(super) fn seconds(&self) -> String {
        self.ended.map_or_else(
            || "-".to_owned(),
            |ended| {
                let took = ended.duration_since(self.started).as_secs_f64();
                format!("{took:.1}")
            },
        )
    }

    pub(super) fn size(&self) -> String {
        self.bytes
            .map_or_else(|| "-".to_owned(), |bytes| ByteSize(bytes).to_string())
    }
}

impl View for ListView {
    fn table(&self) -> String {
        if self.snapshots.is_empty() {
            return "no snapshots\n".to_owned();
        }
        let rows: Vec<_> = self
            .snapshots
            .iter()
            .map(|snapshot| {
                let started = snapshot.started.to_zoned(self.time_zone.clone());
                [
                    snapshot.name.clone(),
                    snapshot.state.word().to_owned(),
                    started.strftime("%Y-%m-%d %H:%M").to_string(),
                    snapshot.seconds(),
                    snapshot.indices.len().to_string(),
                    snapshot.shards.total.to_string(),
                    snapshot.shards.failed.to_string(),
                    snapshot.size(),
                ]
            })
            .collect();
        let headings = [
            "name", "state", "started", "seconds", "indices", "shards", "failed", "size",
        ];
        columns(headings, &rows)
    }

    /// The lines of the platform's own script: names alone.
    fn script(&self) -> String {
        let mut text = Text::default();
        text.line(format_args!("{}", self.banner));
        for snapshot in &self.snapshots {
            text.line(format_args!("{}", snapshot.name));
        }
        text.line(format_args!("==="));
        text.into()
    }
}
