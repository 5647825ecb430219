//! `lifeboat stackgraph restore`.

use std::sync::Arc;

use clap::Args;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_stackgraph::restore::{self, Plan};
use lifeboat_stackgraph::store::{GraphStore, LoadMode};
use serde::Serialize;

use super::moved;
use crate::context::{Context, StoreUse, confirm};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};
use crate::stopwatch::{Pace, Stopwatch};

/// Make the store equal to a backup
///
/// Only an empty store is restored into, unless `-force` is given. The backup is loaded beside what is there, checked
/// byte by byte, and switched in one step: whatever happens on the way, the store holds either the old graph or the
/// new one.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Name of the backup, or `latest` for the newest complete one
    name: String,
    /// Replace what the store holds (`-force` means the same)
    #[arg(long)]
    pub(crate) force: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// The most memory to use, instead of `lifeboat.stackgraph.memory`
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// Do not ask before replacing
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct PlanView {
    name: String,
    bytes: u64,
    vertices: u64,
    edges: u64,
    replaces: Replaces,
}

#[derive(Debug, Serialize)]
struct Replaces {
    vertices: u64,
    edges: u64,
}

#[derive(Debug, Serialize)]
struct RestoreView {
    name: String,
    bytes: u64,
    digest: String,
    #[serde(flatten)]
    pace: Pace,
}

pub(crate) async fn run(ctx: &Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    ctx.settings.stackgraph.require_restore_enabled()?;
    let bucket = ctx.stackgraph_bucket()?;
    let catalog = ctx.stackgraph_catalog(&bucket);
    let mode = if args.force {
        LoadMode::Replace
    } else {
        LoadMode::IntoEmpty
    };
    let plan = Plan::make(present_store(ctx)?, &catalog, &args.name, mode).await?;
    if args.dry_run {
        ctx.out.show(&PlanView::from(&plan))?;
        return Ok(Exit::Success);
    }
    if plan.replaces.elements() > 0 && !args.yes && !confirm(&PlanView::from(&plan).table())? {
        return Err(Failure::interrupted().hint("nothing was changed"));
    }
    let store = ctx.stackgraph_store(StoreUse::Write, "restore")?;
    let name = plan.from.backup.name.clone();
    ctx.out.script_line(&format!(
        "=== Downloading StackGraph backup \"{name}\" from bucket \"{}\"...",
        bucket.name()
    ))?;
    ctx.out
        .script_line(&format!("=== Importing StackGraph data from \"{name}\"..."))?;
    let options = restore::Options {
        workers: ctx.workers,
        memory: ctx.stackgraph_memory(args.memory),
    };
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar("restore", &progress);
    let watch = Stopwatch::start();
    let restored = ctx
        .interruptible(
            &progress,
            restore::run(store, &catalog, &plan, options, &progress),
        )
        .await;
    drop(bar);
    let footer = restored.map_err(|failure| {
        failure.hint(format!(
            "the store is whole and holds what it held before; `lifeboat stackgraph verify {name}` checks the backup"
        ))
    })?;
    let pace = watch.stop(footer.totals.elements());
    ctx.out.show(&RestoreView {
        name,
        bytes: plan.from.backup.size.0,
        digest: footer.totals.digest.to_string(),
        pace,
    })?;
    Ok(Exit::Success)
}

/// The store, where there is one already.
fn present_store(ctx: &Context) -> Result<Option<Arc<dyn GraphStore>>, Failure> {
    match ctx.stackgraph_store(StoreUse::Read, "restore") {
        Ok(store) => Ok(Some(store)),
        Err(failure) if failure.exit == Exit::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

impl From<&Plan> for PlanView {
    fn from(plan: &Plan) -> Self {
        let count = |what: &str| plan.from.backup.counts.get(what).copied().unwrap_or(0);
        Self {
            name: plan.from.backup.name.clone(),
            bytes: plan.from.backup.size.0,
            vertices: count("vertices"),
            edges: count("edges"),
            replaces: Replaces {
                vertices: plan.replaces.vertex_count(),
                edges: plan.replaces.edge_count(),
            },
        }
    }
}

impl View for PlanView {
    fn table(&self) -> String {
        let mut text = Text::default();
        text.line(format_args!(
            "would restore {} elements from `{}`",
            self.vertices + self.edges,
            self.name
        ));
        let replaced = self.replaces.vertices + self.replaces.edges;
        if replaced > 0 {
            text.line(format_args!(
                "would replace the {replaced} elements that the store holds now"
            ));
        }
        text.into()
    }
}

impl View for RestoreView {
    fn table(&self) -> String {
        moved(
            &self.name,
            ByteSize(self.bytes),
            self.pace,
            Some(&self.digest),
        )
    }

    fn script(&self) -> String {
        "===\n".to_owned()
    }
}
