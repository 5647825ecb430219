//! `lifeboat elasticsearch policy`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lifeboat_core::settings::Elasticsearch;
use lifeboat_elasticsearch::drift::Change;
use lifeboat_elasticsearch::error::Error;
use lifeboat_elasticsearch::name::Template;
use lifeboat_elasticsearch::native::{self, Manager, Policy, Run, Standing, Wanted};
use serde::Serialize;

use super::Cluster;
use crate::context::{Context, confirm};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};

/// Show the engine's own snapshot policy: whether it runs, when it does next, and how it ended last
///
/// Of snapshot lifecycle management in Elasticsearch, of Snapshot Management in OpenSearch. `configure` installs it where `backup.elasticsearch.scheduled.mode` is `native`. Ends
/// with code 5 where the policy failed last, or is stopped.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: Option<PolicyCommand>,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Start what a restore has stopped, also where one is under way
    Start,
    /// Take the policy away; its snapshots stay
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before removing
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct ShowView {
    name: String,
    manager: String,
    is_running: bool,
    next: Option<Timestamp>,
    last_success: Option<RunView>,
    last_failure: Option<RunView>,
    in_progress: Option<String>,
    /// Settings that are not as the values have them; `configure` corrects them in mode `native`.
    drifts: usize,
    #[serde(skip)]
    time_zone: TimeZone,
}

#[derive(Debug, Serialize)]
struct RunView {
    snapshot: Option<String>,
    at: Option<Timestamp>,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct StartView {
    started: Vec<String>,
    /// Whose restore had stopped it.
    snapshot: Option<String>,
}

#[derive(Debug, Serialize)]
struct RemoveView {
    name: String,
    manager: String,
    dry_run: bool,
}

pub(crate) async fn run(ctx: &Context, args: &PolicyArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::reach(ctx).await?;
    match &args.command {
        None => show(ctx, &cluster).await,
        Some(PolicyCommand::Start) => start(ctx, &cluster).await,
        Some(PolicyCommand::Remove(args)) => remove(ctx, &cluster, args).await,
    }
}

pub(super) fn template(settings: &Elasticsearch) -> Result<Template, Failure> {
    Ok(Template::parse(&settings.snapshot_name_template).map_err(Error::from)?)
}

/// What the policy should be.
pub(super) fn wanted<'a>(settings: &'a Elasticsearch, template: &'a Template) -> Wanted<'a> {
    Wanted {
        name: &settings.policy_name,
        schedule: &settings.schedule,
        template: (&settings.snapshot_name_template, template),
        repository: &settings.repository,
        indices: &settings.indices,
        expire_after: &settings.expire_after,
        min_count: settings.min_count,
        max_count: settings.max_count,
    }
}

async fn find(ctx: &Context, cluster: &Cluster) -> Result<Policy, Failure> {
    let name = &ctx.settings.elasticsearch.policy_name;
    let found = native::find(&cluster.client, cluster.engine, name).await?;
    found.ok_or_else(|| Error::UnknownPolicy(name.clone()).into())
}

async fn show(ctx: &Context, cluster: &Cluster) -> Result<Exit, Failure> {
    let settings = &ctx.settings.elasticsearch;
    let found = find(ctx, cluster).await?;
    let template = template(settings)?;
    let wanted = wanted(settings, &template);
    let drifts = match native::foresee(cluster.engine, Some(&found), &wanted) {
        Ok(Change::Correct(drifts)) => drifts.len(),
        Ok(Change::Register | Change::Nothing) => 0,
        Err(error) => {
            ctx.note(&error.to_string())?;
            0
        }
    };
    if let Some(paused) = native::noted(&cluster.client).await? {
        ctx.note(&format!(
            "a restore of `{}` stopped {} at {}; `lifeboat elasticsearch policy start` starts it, if that restore is not under way",
            paused.snapshot,
            paused.words().join(", "),
            paused.since
        ))?;
    }
    let is_well = found.is_running && !found.failed_last();
    ctx.out.show(&ShowView {
        name: settings.policy_name.clone(),
        manager: Manager::from(cluster.engine).to_string(),
        is_running: found.is_running,
        next: found.next,
        last_success: found.last_success.map(RunView::from),
        last_failure: found.last_failure.map(RunView::from),
        in_progress: found.in_progress,
        drifts,
        time_zone: ctx.clock.time_zone().clone(),
    })?;
    Ok(if is_well {
        Exit::Success
    } else {
        Exit::Unavailable
    })
}

async fn start(ctx: &Context, cluster: &Cluster) -> Result<Exit, Failure> {
    let (client, now) = (&cluster.client, ctx.clock.now());
    let started = match native::resume_if_left_behind(client, now).await? {
        Standing::Nothing => None,
        Standing::Started(paused) => Some(paused),
        Standing::Stays(_, living) => {
            ctx.note(&format!(
                "a restore of `{}` is under way: what a snapshot takes of it now may not be whole",
                living.snapshot()
            ))?;
            native::resume(client, now).await?
        }
    };
    ctx.out.show(&StartView {
        started: started
            .as_ref()
            .map(native::Paused::words)
            .unwrap_or_default(),
        snapshot: started.map(|paused| paused.snapshot),
    })?;
    Ok(Exit::Success)
}

async fn remove(ctx: &Context, cluster: &Cluster, args: &RemoveArgs) -> Result<Exit, Failure> {
    find(ctx, cluster).await?;
    let mut view = RemoveView {
        name: ctx.settings.elasticsearch.policy_name.clone(),
        manager: Manager::from(cluster.engine).to_string(),
        dry_run: true,
    };
    if args.dry_run {
        ctx.out.show(&view)?;
        return Ok(Exit::Success);
    }
    if !args.yes && !confirm(&view.table())? {
        return Err(Failure::interrupted().hint("nothing was removed"));
    }
    native::remove(&cluster.client, cluster.engine, &view.name).await?;
    view.dry_run = false;
    ctx.out.show(&view)?;
    Ok(Exit::Success)
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            snapshot: run.snapshot,
            at: run.at,
            reason: run.reason,
        }
    }
}

impl View for ShowView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let time = |at: &Option<Timestamp>| {
            let local = at.map(|at| at.to_zoned(self.time_zone.clone()));
            local.map_or_else(
                || "-".to_owned(),
                |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            )
        };
        let run = |run: &Option<RunView>| match run {
            None => "-".to_owned(),
            Some(run) => [
                Some(time(&run.at)),
                run.snapshot.clone(),
                run.reason.clone(),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        };
        let state = if self.is_running {
            "runs"
        } else {
            "is stopped"
        };
        text.line(format_args!(
            "policy:       {} of {}",
            self.name, self.manager
        ));
        text.line(format_args!("state:        {state}"));
        text.line(format_args!("next:         {}", time(&self.next)));
        text.line(format_args!("last success: {}", run(&self.last_success)));
        text.line(format_args!("last failure: {}", run(&self.last_failure)));
        if let Some(snapshot) = &self.in_progress {
            text.line(format_args!("taking:       {snapshot}"));
        }
        if self.drifts > 0 {
            text.line(format_args!(
                "{} settings are not as the values have them",
                self.drifts
            ));
        }
        text.into()
    }
}

impl View for StartView {
    fn table(&self) -> String {
        match &self.snapshot {
            None => "nothing was stopped\n".to_owned(),
            Some(snapshot) => format!(
                "started {} again, which a restore of `{snapshot}` had stopped\n",
                self.started.join(", ")
            ),
        }
    }
}

impl View for RemoveView {
    fn table(&self) -> String {
        let verb = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        format!(
            "{verb} the policy `{}` of {}; its snapshots stay, and nothing lets them expire\n",
            self.name, self.manager
        )
    }
}
