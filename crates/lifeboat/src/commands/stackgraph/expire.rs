//! `lifeboat stackgraph expire`.

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::retention::{Decision, Guard, Policy};
use lifeboat_stackgraph::catalog::Catalog;
use lifeboat_stackgraph::expire::{self, Plan};
use serde::Serialize;

use crate::context::{Context, confirm};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};

/// Delete the backups that are older than the retention
///
/// `backup.stackGraph.scheduled.backupRetentionTimeDelta` says how long they are kept, by the time in their names. The
/// newest complete backup always stays, and so does whatever is not named like a backup.
#[derive(Debug, Args)]
pub(crate) struct ExpireArgs {
    /// Show the verdict on each backup and its reason, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before deleting
    #[arg(short, long)]
    yes: bool,
    /// Go by the clock although it looks as if it had jumped
    #[arg(long)]
    trust_clock: bool,
}

/// Whether a plan is only shown or has been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carried {
    Planned,
    Out,
}

#[derive(Debug, Serialize)]
struct ExpireView {
    bucket: String,
    dry_run: bool,
    verdicts: Vec<VerdictView>,
}

#[derive(Debug, Serialize)]
struct VerdictView {
    name: String,
    taken: Option<Timestamp>,
    /// `keep` or `expire`.
    verdict: &'static str,
    reason: String,
}

pub(crate) async fn run(ctx: &Context, args: &ExpireArgs) -> Result<Exit, Failure> {
    let bucket = ctx.stackgraph_bucket()?;
    let catalog = ctx.stackgraph_catalog(&bucket);
    let guard = if args.trust_clock {
        Guard::Override
    } else {
        Guard::Halt
    };
    let plan = plan(ctx, &catalog, guard).await?;
    let planned = ExpireView::of(&plan, bucket.name(), Carried::Planned);
    if args.dry_run {
        ctx.out.show(&planned)?;
        return Ok(Exit::Success);
    }
    let expires = plan.expired().next().is_some();
    if expires && !args.yes && !confirm(&planned.table())? {
        return Err(Failure::interrupted().hint("nothing was deleted"));
    }
    expire::run(&catalog, &plan, &mut Vec::new()).await?;
    ctx.out
        .show(&ExpireView::of(&plan, bucket.name(), Carried::Out))?;
    Ok(Exit::Success)
}

/// Judges the backups by the retention of the settings.
pub(super) async fn plan(
    ctx: &Context,
    catalog: &Catalog<'_>,
    guard: Guard,
) -> Result<Plan, Failure> {
    let policy = Policy {
        age: ctx.settings.stackgraph.scheduled.retention.clone(),
    };
    let made = Plan::make(catalog, &policy, &ctx.clock.local_now(), guard).await?;
    made.map_err(|halt| {
        Failure::new(halt.kind(), halt).hint(
            "nothing was deleted; if the clock is right, `lifeboat stackgraph expire --trust-clock` goes by it",
        )
    })
}

impl ExpireView {
    fn of(plan: &Plan, bucket: &str, carried: Carried) -> Self {
        let verdicts = plan
            .verdicts
            .iter()
            .map(|verdict| {
                let (word, reason) = match &verdict.decision {
                    Decision::Keep(reason) => ("keep", reason.to_string()),
                    Decision::Expire(reason) => ("expire", reason.to_string()),
                };
                VerdictView {
                    name: verdict.name.clone(),
                    taken: verdict.taken,
                    verdict: word,
                    reason,
                }
            })
            .collect();
        Self {
            bucket: bucket.to_owned(),
            dry_run: carried == Carried::Planned,
            verdicts,
        }
    }
}

impl View for ExpireView {
    fn table(&self) -> String {
        if self.verdicts.is_empty() {
            return format!("no backups in bucket `{}`\n", self.bucket);
        }
        let word = |verdict: &VerdictView| match (verdict.verdict, self.dry_run) {
            ("expire", true) => "would expire".to_owned(),
            ("expire", false) => "expired".to_owned(),
            (other, _) => other.to_owned(),
        };
        let rows: Vec<_> = self
            .verdicts
            .iter()
            .map(|verdict| [verdict.name.clone(), word(verdict), verdict.reason.clone()])
            .collect();
        columns(["name", "verdict", "reason"], &rows)
    }
}
