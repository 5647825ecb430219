//! `lifeboat stackgraph backup`.

use std::sync::Arc;

use clap::Args;
use lifeboat_core::progress::Progress;
use lifeboat_core::retention::Guard;
use lifeboat_stackgraph::catalog::Catalog;
use lifeboat_stackgraph::store::GraphStore;
use lifeboat_stackgraph::{backup, expire};
use serde::Serialize;

use super::list::Listed;
use super::moved;
use crate::context::{Context, StoreUse, random_uuid};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::View;
use crate::stopwatch::{Pace, Stopwatch};

/// Write the whole graph to the bucket
///
/// The graph is read from a snapshot while the platform goes on, and streamed: there is no temporary file. The backup
/// is listed only once it is complete. What is counted are elements: versions of vertices and of edges.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Name of the backup, instead of one made from `backup.stackGraph.scheduled.backupNameTemplate`
    #[arg(long)]
    name: Option<String>,
    /// Afterwards delete what is older than the retention, as `lifeboat stackgraph expire` does
    #[arg(long)]
    expire: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct PlanView {
    name: String,
    bucket: String,
    key: String,
    vertices: u64,
    edges: u64,
}

#[derive(Debug, Serialize)]
struct BackupView {
    #[serde(flatten)]
    listed: Listed,
    #[serde(flatten)]
    pace: Pace,
    /// Names of the backups that were deleted afterwards.
    expired: Vec<String>,
}

pub(crate) async fn run(ctx: &Context, args: &BackupArgs) -> Result<Exit, Failure> {
    let bucket = ctx.stackgraph_bucket()?;
    let catalog = ctx.stackgraph_catalog(&bucket);
    bucket.check().await?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => catalog.pattern.render(&ctx.clock.local_now()),
    };
    let store = ctx.stackgraph_store(StoreUse::Read, "backup")?;
    if args.dry_run {
        let totals = store.info()?.totals;
        ctx.out.show(&PlanView {
            key: catalog.key(&name),
            bucket: bucket.name().to_owned(),
            vertices: totals.vertex_count(),
            edges: totals.edge_count(),
            name,
        })?;
        return Ok(Exit::Success);
    }
    remove_leftovers(ctx, &catalog).await;
    let options = backup::Options {
        workers: ctx.workers,
        created: ctx.clock.now(),
        uuid: random_uuid(),
        program: Context::PROGRAM.to_owned(),
    };
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar("backup", &progress);
    let watch = Stopwatch::start();
    let found = ctx
        .interruptible(
            &progress,
            backup::run(store, &catalog, &name, options, &progress),
        )
        .await?;
    drop(bar);
    let pace = watch.stop(progress.read().elements);
    let mut expired = Vec::new();
    let expiry = if args.expire {
        expire(ctx, &catalog, &mut expired).await
    } else {
        Ok(())
    };
    ctx.out.show(&BackupView {
        listed: Listed::from(found.backup),
        pace,
        expired,
    })?;
    expiry.map_err(|failure| failure.context("the backup is complete, but its expiry was not"))?;
    Ok(Exit::Success)
}

async fn expire(
    ctx: &Context,
    catalog: &Catalog<'_>,
    deleted: &mut Vec<String>,
) -> Result<(), Failure> {
    let plan = super::expire::plan(ctx, catalog, Guard::Halt).await?;
    Ok(expire::run(catalog, &plan, deleted).await?)
}

/// A backup does not depend on it: keys that may only read and write objects are enough.
async fn remove_leftovers(ctx: &Context, catalog: &Catalog<'_>) {
    let ours = |key: &str| catalog.knows(key);
    match catalog
        .bucket
        .remove_leftovers(catalog.prefix, ctx.clock.now(), ours)
        .await
    {
        Ok(keys) => {
            for key in keys {
                tracing::info!(key, "ended the upload of a run that was killed");
            }
        }
        Err(error) => tracing::info!(%error, "unfinished uploads were not looked for"),
    }
}

impl View for PlanView {
    fn table(&self) -> String {
        format!(
            "would write {} elements to `{}` in bucket `{}`\n",
            self.vertices + self.edges,
            self.key,
            self.bucket
        )
    }
}

impl View for BackupView {
    fn table(&self) -> String {
        moved(
            &self.listed.name,
            self.listed.size,
            self.pace,
            self.listed.checksum.as_deref(),
        )
    }

    fn script(&self) -> String {
        format!("{}\n", self.listed.name)
    }
}
