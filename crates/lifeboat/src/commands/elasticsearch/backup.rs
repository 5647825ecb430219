//! `lifeboat elasticsearch backup`.

use std::sync::Arc;

use clap::Args;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_core::settings::Mode;
use lifeboat_core::size::ByteSize;
use lifeboat_elasticsearch::backup::{self, Options, Plan};
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::name::Template;
use lifeboat_elasticsearch::snapshot::Snapshot;
use serde::Serialize;

use super::list::SnapshotView;
use super::{Cluster, patterns, start_what_was_stopped};
use crate::bar::Measure;
use crate::context::{Context, random_uuid};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View, columns};
use crate::stopwatch::{Pace, Stopwatch};

/// Take a snapshot of the indices of the settings
///
/// The cluster takes it by itself; this waits until it is whole, and fails if it is not. A signal gives it up. It is marked as Lifeboat's, so that `expire` knows it.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Show what would be taken, and take nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Serialize)]
struct PlanView {
    snapshot: String,
    repository: String,
    indices: Vec<String>,
    data_streams: Vec<String>,
    /// Of all copies, in the cluster; less is stored.
    bytes_in_cluster: u64,
}

#[derive(Debug, Serialize)]
struct BackupView {
    #[serde(flatten)]
    snapshot: SnapshotView,
    #[serde(flatten)]
    pace: Pace,
}

pub(crate) async fn run(ctx: &Context, args: &BackupArgs) -> Result<Exit, Failure> {
    let settings = &ctx.settings.elasticsearch;
    settings.require_backup_enabled()?;
    let template = Template::parse(&settings.snapshot_name_template)
        .map_err(lifeboat_elasticsearch::error::Error::from)?;
    let patterns = patterns(ctx);
    let cluster = Cluster::reach(ctx).await?;
    if !args.dry_run {
        start_what_was_stopped(ctx, &cluster).await?;
    }
    if settings.mode == Mode::Native && !args.dry_run {
        return Err(Failure::new(
            Kind::Conflict,
            "snapshots are taken by the engine itself, as `backup.elasticsearch.scheduled.mode` says",
        ));
    }
    let options = Options {
        template: &template,
        patterns: &patterns,
        policy: &settings.policy_name,
        program: Context::PROGRAM,
        now: ctx.clock.now(),
        random: random_uuid(),
    };
    let plan = backup::plan(cluster.repository(), &options).await?;
    if args.dry_run {
        ctx.out.show(&PlanView::new(&settings.repository, plan))?;
        return Ok(Exit::Success);
    }
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Count("shards"), "backup", &progress);
    let watch = Stopwatch::start();
    let repository = cluster.repository();
    let work = Box::pin(backup::run(repository, &plan, &options, &progress));
    let work = async { Ok::<_, Failure>(work.await) };
    let taken = ctx.interruptible(&progress, work).await?;
    drop(bar);
    let taken = taken.map_err(|error| given_up(error, &progress))?;
    let took = watch.stop(taken.shards.total);
    ctx.out.show(&BackupView::new(taken, took))?;
    Ok(Exit::Success)
}

/// However it ended, after a signal it was interrupted.
fn given_up(error: Error, progress: &Progress) -> Failure {
    let mut failure = Failure::from(error);
    if progress.is_stopped() {
        failure.exit = Exit::Interrupted;
    }
    failure
}

impl PlanView {
    fn new(repository: &str, plan: Plan) -> Self {
        Self {
            snapshot: plan.name,
            repository: repository.to_owned(),
            indices: plan.indices,
            data_streams: plan.data_streams,
            bytes_in_cluster: plan.size,
        }
    }
}

impl BackupView {
    fn new(snapshot: Snapshot, pace: Pace) -> Self {
        Self {
            snapshot: SnapshotView::from(snapshot),
            pace,
        }
    }
}

impl View for PlanView {
    fn table(&self) -> String {
        let mut text = Text::default();
        text.line(format_args!(
            "would take `{}` in `{}`: {} indices and {} data streams, {} in the cluster",
            self.snapshot,
            self.repository,
            self.indices.len(),
            self.data_streams.len(),
            ByteSize(self.bytes_in_cluster)
        ));
        for name in self.data_streams.iter().chain(&self.indices) {
            text.line(format_args!("  {name}"));
        }
        text.into()
    }
}

impl View for BackupView {
    fn table(&self) -> String {
        let snapshot = &self.snapshot;
        let row = [
            snapshot.name.clone(),
            snapshot.state.word().to_owned(),
            snapshot.indices.len().to_string(),
            snapshot.shards.total.to_string(),
            snapshot.size(),
            self.pace.seconds(),
        ];
        let headings = ["name", "state", "indices", "shards", "size", "seconds"];
        columns(headings, &[row])
    }
}
