//! `lifeboat elasticsearch expire`.

use std::sync::Arc;

use clap::Args;
use jiff::tz::TimeZone;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_core::settings::Elasticsearch;
use lifeboat_elasticsearch::expire::{self, Judged};
use lifeboat_elasticsearch::retention::{Policy, Verdict};
use serde::Serialize;

use super::{Cluster, start_what_was_stopped};
use crate::bar::Measure;
use crate::context::{Context, confirm};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};

/// Delete the snapshots that have expired
///
/// By the rules of Elasticsearch's own lifecycle management, on both engines: `snapshotRetentionExpireAfter`, `snapshotRetentionMinCount` and
/// `snapshotRetentionMaxCount`. Only snapshots that Lifeboat took for this policy are judged; all others stay.
#[derive(Debug, Args)]
pub(crate) struct ExpireArgs {
    /// Show the verdict on each snapshot and its reason, and delete nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask before deleting
    #[arg(short, long)]
    pub(super) yes: bool,
}

#[derive(Debug, Serialize)]
struct ExpireView {
    dry_run: bool,
    verdicts: Vec<VerdictView>,
}

#[derive(Debug, Serialize)]
struct VerdictView {
    name: String,
    state: String,
    /// `keep` or `expire`.
    verdict: &'static str,
    reason: &'static str,
}

pub(crate) async fn run(ctx: &Context, args: &ExpireArgs) -> Result<Exit, Failure> {
    let settings = &ctx.settings.elasticsearch;
    settings.require_backup_enabled()?;
    let now = ctx.clock.now();
    let policy = policy(settings, now)?;
    let cluster = Cluster::reach(ctx).await?;
    if !args.dry_run {
        start_what_was_stopped(ctx, &cluster).await?;
    }
    let repository = cluster.repository();
    let judged = expire::judge(repository, &settings.policy_name, &policy, now).await?;
    let mut view = ExpireView {
        dry_run: true,
        verdicts: judged.iter().map(VerdictView::new).collect(),
    };
    if args.dry_run {
        ctx.out.show(&view)?;
        return Ok(Exit::Success);
    }
    let expires = |one: &Judged| one.verdict.is_some_and(Verdict::expires);
    if judged.iter().any(expires) && !args.yes && !confirm(&view.table())? {
        return Err(Failure::interrupted().hint("nothing was deleted"));
    }
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Count("snapshots"), "expire", &progress);
    let work = expire::delete(repository, &judged, &progress);
    let done = ctx.interruptible(&progress, work).await;
    drop(bar);
    let replaced = done.map_err(|failure| {
        failure.hint("what was deleted is gone, the rest is there; the same command goes on")
    })?;
    for verdict in &mut view.verdicts {
        if replaced.contains(&verdict.name) {
            verdict.verdict = "keep";
            verdict.reason = "another one has its name by now";
        }
    }
    view.dry_run = false;
    ctx.out.show(&view)?;
    Ok(Exit::Success)
}

fn policy(settings: &Elasticsearch, now: jiff::Timestamp) -> Result<Policy, Failure> {
    // In UTC a day has 24 hours, as the engine counts.
    let zoned = now.to_zoned(TimeZone::UTC);
    let cutoff = settings
        .expire_after
        .cutoff(&zoned)
        .map_err(|error| Failure::new(Kind::Invalid, error))?;
    Ok(Policy {
        expire_after: Some(now.duration_since(cutoff.timestamp())),
        min_count: Some(settings.min_count),
        max_count: Some(settings.max_count),
    })
}

impl VerdictView {
    fn new(judged: &Judged) -> Self {
        let (verdict, reason) = match judged.verdict {
            None => ("keep", "somebody else took it, or for another policy"),
            Some(verdict) if verdict.expires() => ("expire", verdict.reason()),
            Some(verdict) => ("keep", verdict.reason()),
        };
        Self {
            name: judged.snapshot.name.clone(),
            state: judged.snapshot.state.word().to_owned(),
            verdict,
            reason,
        }
    }
}

impl View for ExpireView {
    fn table(&self) -> String {
        if self.verdicts.is_empty() {
            return "no snapshots\n".to_owned();
        }
        let word = |verdict: &VerdictView| match (verdict.verdict, self.dry_run) {
            ("expire", true) => "would expire",
            ("expire", false) => "expired",
            (other, _) => other,
        };
        let rows: Vec<_> = self
            .verdicts
            .iter()
            .map(|verdict| {
                [
                    verdict.name.clone(),
                    verdict.state.clone(),
                    word(verdict).to_owned(),
                    verdict.reason.to_owned(),
                ]
            })
            .collect();
        columns(["name", "state", "verdict", "reason"], &rows)
    }
}
