//! `lifeboat elasticsearch configure`.

use clap::Args;
use lifeboat_core::settings::KeyPlace;
use lifeboat_core::settings::Mode;
use lifeboat_elasticsearch::drift::{Change, Drift};
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::native::{self, Manager};
use lifeboat_elasticsearch::repository::Loss;
use serde::Serialize;

use super::policy::template;
use super::{Cluster, start_what_was_stopped, states, wanted};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};

/// Register the snapshot repository, or correct it where it drifted, and prove that all nodes can use it
///
/// May be run again and again. A repository that cannot be used is not left behind: what was there before is put back. The bucket is never changed. Where
/// `backup.elasticsearch.scheduled.mode` is `native`, the engine's own policy is installed or corrected as well.
#[derive(Debug, Args)]
pub(crate) struct ConfigureArgs {
    /// Show what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Begin the repository anew where the bucket has lost what the cluster remembers of it
    #[arg(long)]
    accept_loss: bool,
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
    /// Whether the bucket held a repository before.
    found_in_bucket: bool,
    /// Nodes that were seen to write to it and read from it.
    nodes: Option<usize>,
    /// Snapshots that it holds.
    snapshots: Option<usize>,
    policy: Option<PolicyView>,
}

/// The engine's own policy.
#[derive(Debug, Serialize)]
struct PolicyView {
    name: String,
    manager: String,
    change: &'static str,
    drift: Vec<Drift>,
}

pub(crate) async fn run(ctx: &Context, args: &ConfigureArgs) -> Result<Exit, Failure> {
    let settings = &ctx.settings.elasticsearch;
    settings.require_backup_enabled()?;
    let wanted = wanted(ctx)?;
    // The engine would call a missing bucket many things.
    let bucket = ctx.bucket(&settings.bucket)?;
    bucket.check().await?;
    let cluster = Cluster::reach(ctx).await?;
    let (client, engine) = (&cluster.client, cluster.engine);
    let repository = cluster.repository();
    let states = states(repository, &bucket, &wanted.base_path).await?;
    let loss = if args.accept_loss {
        Loss::Accepted
    } else {
        Loss::Refused
    };
    let template = template(settings)?;
    let policy = super::policy::wanted(settings, &template);
    let is_native = settings.mode == Mode::Native && settings.scheduled_enabled;
    let found = match native::find(client, engine, policy.name).await {
        Err(Error::NoManager { .. } | Error::Unauthorized { .. }) if !is_native => None,
        other => other?,
    };
    let mut view = ConfigureView {
        repository: settings.repository.clone(),
        bucket: settings.bucket.clone(),
        engine: engine.to_string(),
        dry_run: args.dry_run,
        change: "nothing",
        drift: Vec::new(),
        found_in_bucket: states.stored.is_some(),
        nodes: None,
        snapshots: None,
        policy: None,
    };
    // What cannot be translated is told before anything is changed.
    if is_native {
        let change = native::foresee(engine, found.as_ref(), &policy)?;
        view.policy = Some(PolicyView::new(policy.name, engine.into(), change));
    } else if found.is_some() {
        ctx.note(&format!(
            "the policy `{}` of {} takes and deletes snapshots as well; `lifeboat elasticsearch policy remove` takes it away",
            policy.name,
            Manager::from(engine)
        ))?;
    }
    if args.dry_run {
        view.note(repository.foresee(&wanted, states, loss).await?);
        ctx.out.show(&view)?;
        return Ok(Exit::Success);
    }
    if settings.cluster.keys == KeyPlace::RepositorySettings {
        ctx.note(
            "the key pair of the gateway goes into the settings of the repository, where whoever may read the state of the cluster finds it; \
             `lifeboat.elasticsearch.keys: keystore` keeps it in the keystores of the nodes",
        )?;
    }
    start_what_was_stopped(ctx, &cluster).await?;
    let configured = repository.configure(&wanted, states, loss).await?;
    view.nodes = Some(configured.nodes);
    view.snapshots = Some(configured.snapshots.len());
    view.note(configured.change);
    if is_native {
        let change = native::install(client, engine, &policy).await?;
        view.policy = Some(PolicyView::new(policy.name, engine.into(), change));
    }
    ctx.out.show(&view)?;
    Ok(Exit::Success)
}

impl PolicyView {
    fn new(name: &str, manager: Manager, change: Change) -> Self {
        Self {
            name: name.to_owned(),
            manager: manager.to_string(),
            change: change.word(),
            drift: change.drifts(),
        }
    }
}

impl ConfigureView {
    fn note(&mut self, change: Change) {
        self.change = change.word();
        self.drift = change.drifts();
    }
}

impl View for ConfigureView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let held = if self.found_in_bucket {
            "holds it already"
        } else {
            "holds nothing of it yet"
        };
        let place = format!("in bucket `{}`, which {held}", self.bucket);
        tell(
            &mut text,
            self.dry_run,
            &format!("`{}`", self.repository),
            (self.change, &self.drift),
            ["register", "registered"],
            &place,
        );
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
        if let Some(policy) = &self.policy {
            let name = format!("the policy `{}`", policy.name);
            let place = format!("in {}", policy.manager);
            let change = (policy.change, &policy.drift[..]);
            let words = ["install", "installed"];
            tell(&mut text, self.dry_run, &name, change, words, &place);
        }
        text.into()
    }
}

/// A line of what is or would be done, and one for each setting that drifted.
fn tell(
    text: &mut Text,
    dry_run: bool,
    name: &str,
    (change, drift): (&str, &[Drift]),
    [will, done]: [&str; 2],
    place: &str,
) {
    match (change, dry_run) {
        ("register", true) => text.line(format_args!("would {will} {name} {place}")),
        ("register", false) => text.line(format_args!("{done} {name} {place}")),
        ("correct", true) => text.line(format_args!("would correct {name}:")),
        ("correct", false) => text.line(format_args!("corrected {name}:")),
        _ => text.line(format_args!("{name} is as it should be")),
    }
    let shown = |value: &Option<String>| match value {
        None => "nothing".to_owned(),
        Some(value) => format!("`{value}`"),
    };
    for drift in drift {
        text.line(format_args!(
            "  {}: {} instead of {}",
            drift.setting,
            shown(&drift.wanted),
            shown(&drift.found)
        ));
    }
}
