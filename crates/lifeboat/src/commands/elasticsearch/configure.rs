//! `lifeboat elasticsearch configure`.

use clap::Args;
use lifeboat_core::settings::KeyPlace;
use lifeboat_elasticsearch::repository::{Change, Drift};
use serde::Serialize;

use super::{Cluster, wanted};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};

/// Register the snapshot repository, or correct it where it drifted, and prove that all nodes can use it
///
/// May be run again and again. A repository that cannot be used is not left behind: what was there before is put back. The bucket is never changed.
#[derive(Debug, Args)]
pub(crate) struct ConfigureArgs {
    /// Show what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct ConfigureView {
    repository: String,
    bucket: String,
    engine: String,
    dry_run: bool,
    /// `register`, `correct` or `nothing`.
    change: &'static str,
    drift: Vec<Drift>,
    /// Nodes that were seen to write to it and read from it.
    nodes: Option<usize>,
    /// Snapshots that it holds.
    snapshots: Option<usize>,
}

pub(crate) async fn run(ctx: &Context, args: &ConfigureArgs) -> Result<Exit, Failure> {
    let settings = &ctx.settings.elasticsearch;
    settings.require_backup_enabled()?;
    let wanted = wanted(ctx)?;
    // The engine would call a missing bucket many things.
    let bucket = ctx.bucket(&settings.bucket)?;
    bucket.check().await?;
    let cluster = Cluster::reach(ctx).await?;
    let repository = cluster.repository();
    let mut view = ConfigureView {
        repository: settings.repository.clone(),
        bucket: settings.bucket.clone(),
        engine: cluster.engine.to_string(),
        dry_run: args.dry_run,
        change: "nothing",
        drift: Vec::new(),
        nodes: None,
        snapshots: None,
    };
    if args.dry_run {
        view.note(repository.foresee(&wanted).await?);
        ctx.out.show(&view)?;
        return Ok(Exit::Success);
    }
    if settings.cluster.keys == KeyPlace::RepositorySettings {
        ctx.note(
            "the key pair of the gateway goes into the settings of the repository, where whoever may read the state of the cluster finds it; \
             `lifeboat.elasticsearch.keys: keystore` keeps it in the keystores of the nodes",
        )?;
    }
    let configured = repository.configure(&wanted).await?;
    view.nodes = Some(configured.nodes);
    view.snapshots = Some(configured.snapshots.len());
    view.note(configured.change);
    ctx.out.show(&view)?;
    Ok(Exit::Success)
}

impl ConfigureView {
    fn note(&mut self, change: Change) {
        (self.change, self.drift) = match change {
            Change::Register => ("register", Vec::new()),
            Change::Correct(drift) => ("correct", drift),
            Change::Nothing => ("nothing", Vec::new()),
        };
    }
}

impl View for ConfigureView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let (repository, bucket) = (&self.repository, &self.bucket);
        match (self.change, self.dry_run) {
            ("register", true) => {
                text.line(format_args!(
                    "would register `{repository}` in bucket `{bucket}`"
                ));
            }
            ("register", false) => text.line(format_args!(
                "registered `{repository}` in bucket `{bucket}`"
            )),
            ("correct", dry_run) => {
                let word = if dry_run {
                    "would correct"
                } else {
                    "corrected"
                };
                text.line(format_args!("{word} `{repository}`:"));
            }
            _ => text.line(format_args!("`{repository}` is as it should be")),
        }
        let shown = |value: &Option<String>| match value {
            None => "nothing".to_owned(),
            Some(value) => format!("`{value}`"),
        };
        for drift in &self.drift {
            text.line(format_args!(
                "  {}: {} instead of {}",
                drift.setting,
                shown(&drift.wanted),
                shown(&drift.found)
            ));
        }
        if let (Some(nodes), Some(snapshots)) = (self.nodes, self.snapshots) {
            let nodes = match nodes {
                1 => "its node".to_owned(),
                nodes => format!("all {nodes} nodes"),
            };
            text.line(format_args!(
                "{} can use it, and {nodes} did; it holds {snapshots} snapshots",
                self.engine
            ));
        }
        text.into()
    }
}
