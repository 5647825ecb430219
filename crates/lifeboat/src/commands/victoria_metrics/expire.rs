//! `lifeboat victoria-metrics expire`.

use std::sync::Arc;

use clap::Args;
use lifeboat_core::progress::Progress;
use lifeboat_victoria_metrics::expire::{self, Copy, Policy, Verdict};
use lifeboat_victoria_metrics::lease::Card;
use serde::Serialize;

use super::{instance, place};
use crate::bar::Measure;
use crate::context::{Context, confirm, owner, random_uuid};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};

/// Delete the dated copies that are not kept
///
/// `backup.keepLastDaily` and `backup.keepLastWeekly` say how many are. The newest complete copy always stays, and so does the version that is brought up to date each
/// hour, and those that Lifeboat backed up by a label before there were copies. So does what is locked, restored from, or changed by the time that it would be deleted. Without `backup.scheduled.daily` there are no copies: each version is of other data, and none is deleted.
#[derive(Debug, Args)]
pub(crate) struct ExpireArgs {
    /// `victoria-metrics-0` or `victoria-metrics-1`
    instance: String,
    /// Show the verdict on each version and its reason, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before deleting. Without a terminal nobody is asked
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct ExpireView {
    instance: String,
    dry_run: bool,
    verdicts: Vec<VerdictView>,
}

#[derive(Debug, Serialize)]
struct VerdictView {
    name: String,
    /// `keep` or `expire`.
    verdict: &'static str,
    reason: &'static str,
}

pub(crate) async fn run(ctx: &Context, args: &ExpireArgs) -> Result<Exit, Failure> {
    let settings = instance(ctx, &args.instance)?;
    settings.require_backup_enabled()?;
    ctx.settings.require_own_prefixes()?;
    let bucket = ctx.bucket(&settings.bucket)?;
    let place = place(settings, &bucket);
    let copies = expire::copies(place).await?;
    let verdicts = if settings.daily.is_some() {
        let policy = Policy {
            last_daily: settings.keep_last_daily,
            last_weekly: settings.keep_last_weekly,
        };
        policy.judge(&copies)
    } else {
        vec![Verdict::NoCopy; copies.len()]
    };
    let mut view = ExpireView {
        instance: args.instance.clone(),
        dry_run: true,
        verdicts: copies
            .iter()
            .zip(&verdicts)
            .map(|(copy, verdict)| VerdictView::new(copy, *verdict))
            .collect(),
    };
    let expired: Vec<&Copy> = copies
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| **verdict == Verdict::Expire)
        .map(|(copy, _)| copy)
        .collect();
    if args.dry_run {
        ctx.out.show(&view)?;
        return Ok(Exit::Success);
    }
    if !expired.is_empty() && !args.yes && !confirm(&view.table())? {
        return Err(Failure::interrupted().hint("nothing was deleted"));
    }
    if !expired.is_empty() {
        let clock = || ctx.clock.now();
        let run = hex::encode(random_uuid());
        let card = Card::new(&owner("victoria-metrics expire"), &run, clock());
        let progress = Arc::new(Progress::default());
        let bar = ctx.bar_by(Measure::Count("versions"), "expire", &progress);
        let work = expire::run(place, &expired, card, &clock, &progress);
        let done = ctx.interruptible(&progress, work).await;
        drop(bar);
        for (version, why) in done? {
            let kept = view.verdicts.iter_mut().find(|one| one.name == version);
            if let Some(kept) = kept {
                kept.verdict = "keep";
                kept.reason = why.reason();
            }
            ctx.note(&format!("`{version}` is kept: {}", why.says()))?;
        }
    }
    view.dry_run = false;
    ctx.out.show(&view)?;
    Ok(Exit::Success)
}

impl VerdictView {
    fn new(copy: &Copy, verdict: Verdict) -> Self {
        let (word, reason) = match verdict {
            Verdict::Daily => ("keep", "one of the newest"),
            Verdict::Weekly => ("keep", "the newest of its week"),
            Verdict::Locked => ("keep", "it is locked"),
            Verdict::NoCopy => ("keep", "not a dated copy"),
            Verdict::Labelled => ("keep", "backed up by its label: not a dated copy"),
            Verdict::Newest => ("keep", "the newest"),
            Verdict::Expire if copy.complete => (
                "expire",
                "neither one of the newest nor of a week that is kept",
            ),
            Verdict::Expire => ("expire", "it is not complete"),
        };
        Self {
            name: copy.version.clone(),
            verdict: word,
            reason,
        }
    }
}

impl View for ExpireView {
    fn table(&self) -> String {
        if self.verdicts.is_empty() {
            return "no backups\n".to_owned();
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
                    word(verdict).to_owned(),
                    verdict.reason.to_owned(),
                ]
            })
            .collect();
        columns(["name", "verdict", "reason"], &rows)
    }
}
