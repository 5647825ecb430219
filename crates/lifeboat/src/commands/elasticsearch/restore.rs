//! `lifeboat elasticsearch restore`.

use std::sync::Arc;

use clap::{Args, Subcommand};
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::pattern::Patterns;
use lifeboat_elasticsearch::restore::{
    self, Crowd, Existing, Followed, Known, Partial, Planned, Rename, Restored, Wish,
};
use lifeboat_elasticsearch::snapshot::Shards;
use serde::Serialize;

use super::{Cluster, banner, patterns, start_what_was_stopped, tell_what_stays_stopped};
use crate::bar::Measure;
use crate::context::{Context, confirm};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View, columns};
use crate::stopwatch::{Pace, Stopwatch};

/// Restore indices and data streams from a snapshot
///
/// What exists is never overwritten: it is told, or deleted first on demand. The snapshot is checked before anything is deleted. The cluster restores by itself, so a restore goes on
/// when this ends; `--attach` follows it again, and `restore cancel` gives it up.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RestoreArgs {
    #[command(subcommand)]
    command: Option<RestoreCommand>,
    /// Name of the snapshot, or `latest` for the newest that succeeded
    #[arg(value_name = "SNAPSHOT", required_unless_present = "attach")]
    name: Option<String>,
    /// Indices and data streams, separated by commas; those of the settings without it
    #[arg(value_name = "INDICES")]
    indices: Option<String>,
    /// The same as an option
    #[arg(long = "indices", value_name = "INDICES", conflicts_with = "indices")]
    chosen: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    in_the_way: InTheWay,
    /// Restore under other names: a regular expression of Java, and what stands in its place, with `$1` for its groups
    #[arg(long, value_name = "PATTERN=REPLACEMENT")]
    rename: Option<String>,
    /// Restore a snapshot that lacks shards; they come back empty
    #[arg(long)]
    allow_partial: bool,
    #[command(flatten)]
    following: Following,
    /// Do not ask before deleting
    #[arg(short, long)]
    yes: bool,
}

/// What becomes of what exists.
#[derive(Debug, Args)]
struct InTheWay {
    /// Delete what is in the way first
    #[arg(long, conflicts_with = "over_closed")]
    delete_existing: bool,
    /// Replace indices that are in the way and closed
    #[arg(long)]
    over_closed: bool,
}

#[derive(Debug, Args)]
struct Following {
    /// Follow a restore that was begun before
    #[arg(long, conflicts_with_all = ["indices", "chosen", "delete_existing", "over_closed", "rename", "allow_partial", "dry_run"])]
    attach: bool,
}

#[derive(Debug, Subcommand)]
enum RestoreCommand {
    /// Give up a restore that is under way: delete the indices that it makes
    Cancel(CancelArgs),
}

#[derive(Debug, Args)]
struct CancelArgs {
    /// Of this snapshot, where several are under way
    #[arg(value_name = "SNAPSHOT")]
    name: Option<String>,
    /// Do not ask before deleting
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct PlanView {
    snapshot: String,
    /// Of the engine that took it.
    version: Option<String>,
    indices: Vec<String>,
    data_streams: Vec<String>,
    /// What they will be called.
    targets: Vec<String>,
    bytes: Option<u64>,
    deletes_indices: Vec<String>,
    deletes_data_streams: Vec<String>,
    rolls_over: Vec<String>,
    replaces_closed: Vec<String>,
    left_out: Vec<String>,
    missing_shards: u64,
    /// What takes snapshots by itself, and is started again afterwards.
    stops: Vec<String>,
    /// What may go wrong, and cannot be known for certain.
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RestoreView {
    snapshot: String,
    indices: Vec<String>,
    shards: Shards,
    documents: u64,
    /// That they had at least when the snapshot was begun, where that is known.
    documents_when_taken: Option<u64>,
    #[serde(flatten)]
    pace: Pace,
    #[serde(skip)]
    script: String,
}

#[derive(Debug, Serialize)]
struct CancelView {
    snapshot: String,
    indices: Vec<String>,
}

pub(crate) async fn run(ctx: &Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    ctx.settings.elasticsearch.require_restore_enabled()?;
    let cluster = Cluster::reach(ctx).await?;
    match &args.command {
        Some(RestoreCommand::Cancel(args)) => cancel(ctx, &cluster, args).await,
        None if args.following.attach => attach(ctx, &cluster, args).await,
        None => restore(ctx, &cluster, args).await,
    }
}

async fn restore(ctx: &Context, cluster: &Cluster, args: &RestoreArgs) -> Result<Exit, Failure> {
    let repository = cluster.repository();
    let patterns = match args.indices.as_ref().or(args.chosen.as_ref()) {
        Some(given) => Patterns::parse(given),
        None => patterns(ctx),
    };
    let rename = args.rename.as_deref().map(Rename::parse).transpose()?;
    let wish = Wish {
        patterns: &patterns,
        rename: rename.as_ref(),
        partial: if args.allow_partial {
            Partial::Allowed
        } else {
            Partial::Refused
        },
        existing: match (args.in_the_way.delete_existing, args.in_the_way.over_closed) {
            (true, _) => Existing::Deleted,
            (false, true) => Existing::OverClosed,
            (false, false) => Existing::Refused,
        },
    };
    let name = args.name.as_deref().unwrap_or_default();
    let planned = restore::plan(repository, name, &wish).await?;
    let view = PlanView::new(&planned);
    if args.dry_run {
        ctx.out.show(&view)?;
        return Ok(Exit::Success);
    }
    for warning in &view.warnings {
        ctx.note(warning)?;
    }
    if view.destroys() && !args.yes && !confirm(&view.table())? {
        return Err(Failure::interrupted().hint("nothing was changed"));
    }
    let doing = format!(
        "Restoring Elasticsearch snapshot \"{}\" from",
        planned.plan.snapshot
    );
    ctx.out.script_line(&banner(ctx, &doing))?;
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Count("shards"), "restore", &progress);
    let watch = Stopwatch::start();
    let clock = || ctx.clock.now();
    let work = Box::pin(restore::run(
        repository,
        &planned.plan,
        &wish,
        &progress,
        &clock,
    ));
    let followed = ctx.interruptible(&progress, followed(work)).await?;
    drop(bar);
    show(ctx, followed, &progress, &watch)
}

async fn attach(ctx: &Context, cluster: &Cluster, args: &RestoreArgs) -> Result<Exit, Failure> {
    let repository = cluster.repository();
    let known = find(ctx, cluster, args.name.as_deref()).await?;
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Count("shards"), "restore", &progress);
    let watch = Stopwatch::start();
    let clock = || ctx.clock.now();
    let work = Box::pin(restore::attach(repository, &known, &progress, &clock));
    let followed = ctx.interruptible(&progress, followed(work)).await?;
    drop(bar);
    show(ctx, followed, &progress, &watch)
}

async fn cancel(ctx: &Context, cluster: &Cluster, args: &CancelArgs) -> Result<Exit, Failure> {
    let known = find(ctx, cluster, args.name.as_deref()).await?;
    if !known.is_active {
        start_what_was_stopped(ctx, cluster).await?;
        return Err(Error::NothingToAttach.into());
    }
    let view = CancelView {
        snapshot: known.snapshot.clone(),
        indices: known.indices.clone(),
    };
    let question = format!(
        "would delete `{}`, which are being restored from `{}`\n",
        view.indices.join("`, `"),
        view.snapshot
    );
    if !args.yes && !confirm(&question)? {
        return Err(Failure::interrupted().hint("the restore goes on"));
    }
    let clock = || ctx.clock.now();
    let cancelled = restore::cancel(cluster.repository(), &known, &clock).await;
    tell_what_stays_stopped(ctx, &cancelled.standing)?;
    cancelled.result?;
    ctx.out.show(&view)?;
    Ok(Exit::Success)
}

/// The restore that is under way, or else the one that is known to have been.
async fn find(ctx: &Context, cluster: &Cluster, snapshot: Option<&str>) -> Result<Known, Failure> {
    let mut known = restore::known(&cluster.client, &cluster.repository).await?;
    known.retain(|one| snapshot.is_none_or(|name| name == one.snapshot));
    let active = known.iter().filter(|one| one.is_active);
    let active: Vec<String> = active.map(|one| one.snapshot.clone()).collect();
    if active.len() > 1 {
        return Err(Error::SeveralToAttach { snapshots: active }.into());
    }
    known.sort_by_key(|one| one.is_active);
    let Some(found) = known.pop() else {
        start_what_was_stopped(ctx, cluster).await?;
        return Err(Error::NothingToAttach.into());
    };
    Ok(found)
}

/// However it ends, there is something to tell of it.
async fn followed(
    work: impl Future<Output = Followed<Restored>>,
) -> Result<Followed<Restored>, Failure> {
    Ok(work.await)
}

/// A signal ends the waiting, not the restore.
fn goes_on(failure: Failure, progress: &Progress) -> Failure {
    if progress.is_stopped() {
        failure.hint(
            "a restore that has begun goes on: `lifeboat elasticsearch restore --attach` follows it, `restore cancel` gives it up; where none has, the same command goes on",
        )
    } else {
        failure
    }
}

fn show(
    ctx: &Context,
    followed: Followed<Restored>,
    progress: &Progress,
    watch: &Stopwatch,
) -> Result<Exit, Failure> {
    tell_what_stays_stopped(ctx, &followed.standing)?;
    let restored = followed
        .result
        .map_err(|error| goes_on(error.into(), progress))?;
    if restored.documents_when_taken.is_none() {
        ctx.note(&format!(
            "how many documents `{}` holds of this is not known, so those that came back were counted and not compared",
            restored.snapshot
        ))?;
    }
    let took = watch.stop(restored.documents);
    let mut script = spaced(&restored.as_engine());
    script.push_str("\n===\n");
    ctx.out.show(&RestoreView {
        snapshot: restored.snapshot,
        indices: restored.indices,
        shards: restored.shards,
        documents: restored.documents,
        documents_when_taken: restored.documents_when_taken,
        pace: took,
        script,
    })?;
    Ok(Exit::Success)
}

/// As the engine writes JSON for people: with a space before each colon.
fn spaced(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let lines = text.lines().map(|line| {
        let (before, after) = line.split_at(line.find("\": ").map_or(0, |at| at + 1));
        match before {
            "" => after.to_owned(),
            before => format!("{before} {after}"),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn of_crowd(crowd: Crowd) -> String {
    format!(
        "about {} shards would be open after it, and `cluster.max_shards_per_node` allows for {}: then no new index is made, and an index that goes beyond it by itself is refused; \
         copies in the snapshot are not known",
        crowd.after, crowd.limit
    )
}

impl PlanView {
    fn new(planned: &Planned) -> Self {
        let plan = &planned.plan;
        Self {
            snapshot: plan.snapshot.clone(),
            version: planned.snapshot.version.clone(),
            indices: plan.indices.clone(),
            data_streams: plan.data_streams.clone(),
            targets: plan.targets.clone(),
            bytes: planned.snapshot.size,
            deletes_indices: plan.delete_indices.clone(),
            deletes_data_streams: plan.delete_streams.clone(),
            rolls_over: plan.roll_over.clone(),
            replaces_closed: plan.over_closed.clone(),
            left_out: plan.left_out.clone(),
            missing_shards: plan.missing_shards,
            stops: planned.stops.clone(),
            warnings: plan.crowd.map(of_crowd).into_iter().collect(),
        }
    }

    fn destroys(&self) -> bool {
        [
            &self.deletes_indices,
            &self.deletes_data_streams,
            &self.replaces_closed,
        ]
        .iter()
        .any(|names| !names.is_empty())
    }
}

impl View for PlanView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let size = self
            .bytes
            .map_or_else(String::new, |bytes| format!(", {}", ByteSize(bytes)));
        let taken = match &self.version {
            None => String::new(),
            Some(version) => format!(", taken by version {version}"),
        };
        text.line(format_args!(
            "would restore {} indices and {} data streams of `{}`{size}{taken}:",
            self.indices.len(),
            self.data_streams.len(),
            self.snapshot
        ));
        for name in &self.targets {
            text.line(format_args!("  {name}"));
        }
        if self.missing_shards > 0 {
            text.line(format_args!(
                "{} shards are missing in the snapshot, and would come back empty",
                self.missing_shards
            ));
        }
        for what in &self.stops {
            text.line(format_args!("would stop {what}, and start it again"));
        }
        for name in &self.rolls_over {
            text.line(format_args!("would roll the data stream `{name}` over"));
        }
        for name in &self.deletes_data_streams {
            text.line(format_args!(
                "would delete the data stream `{name}` and what is behind it"
            ));
        }
        for name in &self.deletes_indices {
            text.line(format_args!("would delete `{name}`"));
        }
        for name in &self.replaces_closed {
            text.line(format_args!("would replace `{name}`, which is closed"));
        }
        for warning in &self.warnings {
            text.line(format_args!("warning: {warning}"));
        }
        if !self.left_out.is_empty() {
            text.line(format_args!(
                "the engine's own are left out: `{}`",
                self.left_out.join("`, `")
            ));
        }
        text.into()
    }
}

impl View for RestoreView {
    fn table(&self) -> String {
        let row = [
            self.snapshot.clone(),
            self.indices.len().to_string(),
            self.shards.total.to_string(),
            self.documents.to_string(),
            self.pace.seconds(),
        ];
        let headings = ["snapshot", "indices", "shards", "documents", "seconds"];
        columns(headings, &[row])
    }

    fn script(&self) -> String {
        self.script.clone()
    }
}

impl View for CancelView {
    fn table(&self) -> String {
        format!(
            "gave up the restore of `{}`: deleted `{}`\n",
            self.snapshot,
            self.indices.join("`, `")
        )
    }
}
