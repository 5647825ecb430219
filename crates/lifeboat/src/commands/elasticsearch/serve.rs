//! `lifeboat elasticsearch serve`.

use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use jiff::Zoned;
use lifeboat_core::error::Kind;
use lifeboat_core::schedule::Schedule;
use lifeboat_core::settings::Mode;
use serde::Serialize;

use super::backup::{self, BackupArgs};
use super::expire::{self, ExpireArgs};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};
use crate::signals;

/// Looks at the clock, which may be set meanwhile.
const LOOK: Duration = Duration::from_secs(20);
/// For a snapshot that is given up.
const GRACE: Duration = Duration::from_secs(20);
/// Times that a dry run shows.
const SHOWN: usize = 5;

/// Take snapshots and expire them by the schedule of the settings, until a signal comes
///
/// For where no `CronJob` can say the schedule, or there is no Kubernetes. It keeps the time of `lifeboat.timeZone`. A snapshot that fails is told, and the next one is
/// taken in its time; one that takes longer than until the next time leaves that out.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Show the next times, and end
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct PlanView {
    /// With the time zone that decides.
    times: Vec<Zoned>,
}

pub(crate) async fn run(ctx: &Context, args: &ServeArgs) -> Result<Exit, Failure> {
    let settings = &ctx.settings.elasticsearch;
    settings.require_backup_enabled()?;
    let refused = |reason: &str, hint: &str| Err(Failure::new(Kind::Conflict, reason).hint(hint));
    if !settings.scheduled_enabled {
        return refused(
            "nothing is scheduled",
            "`backup.elasticsearch.scheduled.enabled` has to be true",
        );
    }
    if settings.mode == Mode::Native {
        return refused(
            "snapshots are taken by the engine itself, as `backup.elasticsearch.scheduled.mode` says",
            "`lifeboat elasticsearch policy` shows what it does",
        );
    }
    let schedule = &settings.schedule;
    if args.dry_run {
        let first = schedule.next(&ctx.clock.local_now());
        let times = std::iter::successors(first, |time| schedule.next(time));
        let times = times.take(SHOWN).collect();
        ctx.out.show(&PlanView { times })?;
        return Ok(Exit::Success);
    }
    let mut stop = pin!(signals::stop_requested_from_now());
    let mut after = ctx.clock.local_now();
    loop {
        let Some(next) = next_time(ctx, schedule, &after)? else {
            return refused(
                "the schedule has no further time",
                "`backup.elasticsearch.scheduled.schedule` says it",
            );
        };
        ctx.note(&format!("the next snapshot is taken at {next}"))?;
        tokio::select! {
            () = wait_for(ctx, &next) => {}
            () = &mut stop => return Ok(Exit::Success),
        }
        let mut take = Box::pin(take(ctx));
        let taken = tokio::select! {
            taken = &mut take => taken,
            () = &mut stop => {
                // It heard of it as well, and gives the snapshot up.
                tokio::time::timeout(GRACE, take).await.ok();
                return Err(Failure::interrupted());
            }
        };
        if let Err(failure) = taken {
            writeln!(anstream::stderr(), "{failure}")?;
        }
        after = next;
    }
}

/// The first time after `after` that is yet to come. Tells of those that have passed.
fn next_time(ctx: &Context, schedule: &Schedule, after: &Zoned) -> Result<Option<Zoned>, Failure> {
    let Some(next) = schedule.next(after) else {
        return Ok(None);
    };
    let now = ctx.clock.local_now();
    if next > now {
        return Ok(Some(next));
    }
    ctx.note(&format!(
        "no snapshot was taken at {next}, for the one before had not ended"
    ))?;
    Ok(schedule.next(&now))
}

async fn wait_for(ctx: &Context, time: &Zoned) {
    loop {
        let left = ctx.clock.now().duration_until(time.timestamp());
        let Ok(left) = Duration::try_from(left) else {
            return;
        };
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

async fn take(ctx: &Context) -> Result<(), Failure> {
    backup::run(ctx, &BackupArgs { dry_run: false }).await?;
    let without_asking = ExpireArgs {
        dry_run: false,
        yes: true,
    };
    expire::run(ctx, &without_asking).await.map(drop)
}

impl View for PlanView {
    fn table(&self) -> String {
        let mut text = Text::default();
        for time in &self.times {
            text.line(format_args!("would take a snapshot at {time}"));
        }
        text.into()
    }
}
