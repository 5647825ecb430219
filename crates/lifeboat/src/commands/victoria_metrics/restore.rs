//! `lifeboat victoria-metrics restore`.

mod view;

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use lifeboat_core::progress::Progress;
use lifeboat_core::settings::VictoriaMetrics;
use lifeboat_core::size::ByteSize;
use lifeboat_victoria_metrics::era::Version;
use lifeboat_victoria_metrics::error::Error;
use lifeboat_victoria_metrics::generation::Spared;
use lifeboat_victoria_metrics::restore::{
    self, CheckedBy, Left, Options, Plan, Replaces, Restored, RoomWish,
};
use lifeboat_victoria_metrics::target::Room;
use lifeboat_victoria_metrics::vmagent;

use self::view::{AgentView, PlanView, RestoreView};
use super::backup::back_up;
use super::{instance, limit, options, place, server};
use crate::bar::Measure;
use crate::context::{Context, confirm, owner, random_uuid};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::View;
use crate::stopwatch::Stopwatch;
use lifeboat_victoria_metrics::reader::Identity;
use lifeboat_victoria_metrics::store::Place;

/// Replace the data of an instance by a backup
///
/// The server must not run. The backup is checked before anything is touched, and prepared beside the data, with which it shares what is equal; then folders are
/// renamed. Until `confirm` has found the server to be well, `undo` brings the old data back.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// `victoria-metrics-0` or `victoria-metrics-1`
    instance: String,
    /// Name of the version, or `latest` for the one completed last
    #[arg(value_name = "VERSION")]
    name: String,
    /// Take the backup of this instance instead: both of a pair can be restored from one
    #[arg(long, value_name = "INSTANCE")]
    from: Option<String>,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    before: Before,
    /// Remove the old data first where there is no room for both; it cannot be brought back then
    #[arg(long)]
    in_place_if_needed: bool,
    /// Version of the server that will open the data, where the data does not tell
    #[arg(long, value_name = "VERSION")]
    server_version: Option<Version>,
    /// The most bytes a second, instead of `lifeboat.victoriaMetrics.limitRate`
    #[arg(long, value_name = "SIZE")]
    limit_rate: Option<ByteSize>,
    /// Do not ask before replacing. Without a terminal nobody is asked
    #[arg(short, long)]
    yes: bool,
}

/// How often a version is looked over again that backups go to meanwhile.
const LOOKS_MORE: u32 = 3;

/// What is done before.
#[derive(Debug, Args)]
struct Before {
    /// Before that, back up the server that still runs, and wait until somebody has stopped it
    #[arg(long)]
    final_backup: bool,
}

pub(crate) async fn run(ctx: &Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    let settings = instance(ctx, &args.instance)?;
    settings.require_restore_enabled()?;
    let source = match &args.from {
        Some(name) => instance(ctx, name)?,
        None => settings,
    };
    let bucket = ctx.bucket(&source.bucket)?;
    let place = place(source, &bucket);
    let clock = || ctx.clock.now();
    let mut restoring = Options {
        data: Path::new(&settings.server.path),
        server: args.server_version,
        room: if args.in_place_if_needed {
            RoomWish::InPlaceIfNeeded
        } else {
            RoomWish::Beside
        },
        limit: limit(ctx, args.limit_rate),
        memory: ctx.settings.lifeboat.victoria_metrics.memory,
        program: Context::PROGRAM.to_owned(),
        final_backup: None,
        reader: Identity {
            owner: owner("victoria-metrics restore"),
            run: hex::encode(random_uuid()),
            clock: &clock,
        },
    };
    let planned = restore::plan(place, &args.name, &restoring).await;
    let mut plan = planned.map_err(|error| with_room(error, &restoring))?;
    let mut view = PlanView::new(&args.instance, &plan, restoring.data)?;
    if let Some(url) = &ctx.settings.lifeboat.victoria_metrics.vmagent {
        let buffer = vmagent::look(url).await?;
        let mut agent = AgentView::from(buffer);
        if agent.seconds_left.is_some() {
            agent.seconds_needed = seconds_needed(place, &plan).await?;
        }
        view.vmagent = Some(agent);
    }
    view.final_backup = args.before.final_backup;
    if args.dry_run {
        ctx.out.show(&view)?;
        return Ok(Exit::Success);
    }
    let replaces = plan.replaces != Replaces::Nothing;
    if replaces && !args.yes && !confirm(&view.table())? {
        return Err(Failure::interrupted().hint("nothing was changed"));
    }
    tell_before(ctx, &view, &plan, restoring.data)?;
    if args.before.final_backup {
        let last = Box::pin(back_up_and_wait(ctx, settings, source, &plan)).await?;
        restoring.final_backup = Some(last);
        // The version by its name: `latest` would be what was just backed up.
        let version = plan.source.version.clone();
        let planned = restore::plan(place, &version, &restoring).await;
        plan = planned.map_err(|error| with_room(error, &restoring))?;
    }
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Bytes, "restore", &progress);
    let watch = Stopwatch::start();
    let work = async {
        let done = run_on_the_newest(place, &mut plan, &restoring, &progress).await;
        done.map_err(|error| with_room(error, &restoring))
    };
    let restored = ctx.interruptible(&progress, work).await;
    drop(bar);
    let restored = restored.map_err(|failure| what_is_left(failure, restoring.data))?;
    let took = watch.stop(plan.source.manifest.rows.unwrap_or(0));
    ctx.out.show(&RestoreView {
        final_backup: restoring.final_backup,
        ..RestoreView::new(&args.instance, &plan, restored, took)
    })?;
    let way_back = if restored.can_be_undone {
        format!(
            "; until then `lifeboat victoria-metrics undo {}` brings back what was there",
            args.instance
        )
    } else {
        String::new()
    };
    ctx.note(&format!(
        "start the server, then run `lifeboat victoria-metrics confirm {}`{way_back}",
        args.instance
    ))?;
    Ok(Exit::Success)
}

/// What a person has to know before, beside the plan.
fn tell_before(ctx: &Context, view: &PlanView, plan: &Plan, data: &Path) -> Result<(), Failure> {
    if let Some(vmagent) = &view.vmagent {
        ctx.note(&vmagent.line())?;
    }
    if plan.source.checked_by == CheckedBy::Listing {
        ctx.note(&format!(
            "`{}` was written by vmbackup, without checksums: only names and sizes can be checked",
            plan.source.version
        ))?;
    }
    if let Some(overruled) = plan.source.overruled() {
        ctx.note(&overruled)?;
    }
    if restore::left(data)? == Left::Emptied {
        ctx.note("the data was removed by a restore that has not ended: this one ends it")?;
    } else if plan.room == Room::InPlace {
        ctx.note(
            "there is no room beside the data: once all of the backup was read and found whole, the data is removed, and cannot be brought back",
        )?;
    }
    Ok(())
}

/// Carries the plan out, and plans again where a backup has gone to the version since: what was asked for is what is there by its name.
async fn run_on_the_newest(
    place: Place<'_>,
    plan: &mut Plan,
    options: &Options<'_>,
    progress: &Progress,
) -> Result<Restored, Error> {
    let mut looks = 0;
    loop {
        match Box::pin(restore::run(place, plan, options, progress)).await {
            Err(Error::Superseded { version }) if looks < LOOKS_MORE => {
                looks += 1;
                tracing::info!(
                    version,
                    "a backup has gone to the version since it was looked over, looking again"
                );
                *plan = restore::plan(place, &version, options).await?;
            }
            done => return done,
        }
    }
}

/// How long a restore takes, by the time that it takes to read some of it. None where there is too little to tell.
async fn seconds_needed(place: Place<'_>, plan: &Plan) -> Result<Option<u64>, Failure> {
    let watch = Stopwatch::start();
    let read = restore::probe(place, plan).await?;
    let milliseconds = watch.milliseconds();
    let fetched = plan.size.saturating_sub(plan.shared);
    Ok(fetched
        .saturating_mul(milliseconds)
        .checked_div(read.saturating_mul(1000)))
}

/// Says how there can be room, where there is none.
fn with_room(error: Error, options: &Options<'_>) -> Failure {
    let is_full = matches!(error, Error::NoSpace { .. });
    let failure = Failure::from(error);
    if !is_full {
        return failure;
    }
    if !options.data.join("data").exists() {
        return failure.hint("nothing was changed; free space on that volume, or enlarge it");
    }
    failure.hint(match options.room {
        RoomWish::Beside => {
            "nothing was removed; free space on that volume, or let the old data make room with `--in-place-if-needed`, where that is enough: it cannot be brought back then"
        }
        RoomWish::InPlaceIfNeeded => {
            "nothing was removed; it would not fit in place of the old data either: free space on that volume, or enlarge it"
        }
    })
}

/// Says what state the data folder was left in, where a restore had begun with it.
pub(super) fn what_is_left(failure: Failure, data: &Path) -> Failure {
    match restore::left(data) {
        Ok(Left::Fetched) => failure.left(
            "the data is as it was; what was fetched stays beside it for the same command, and `undo` removes it",
        ),
        Ok(Left::Barred) => failure.left(
            "the data is as it was, and the file `restore-in-progress` keeps servers from starting on it; the same command, or `undo`, ends that",
        ),
        Ok(Left::Emptied) => failure.left(
            "the data was removed to make room, and no server starts on what is there; the same command goes on",
        ),
        Ok(Left::Between) => failure.left(
            "folders are being renamed, and no server starts on what is there; the same command, or `undo`, ends it",
        ),
        Ok(Left::Restored) => failure.left(
            "the data is that of the backup already, and a server can be started on it",
        ),
        Ok(Left::Undone) => failure.left(
            "the data from before the last restore is back already, and a server can be started on it",
        ),
        Ok(Left::Nothing) | Err(_) => failure,
    }
}

/// Backs the running server up, to a version that neither is going to be restored nor gets the backups after that, and waits until it is stopped.
async fn back_up_and_wait(
    ctx: &Context,
    settings: &VictoriaMetrics,
    source: &VictoriaMetrics,
    plan: &Plan,
) -> Result<String, Failure> {
    settings.require_backup_enabled()?;
    ctx.settings.require_own_prefixes()?;
    let bucket = ctx.bucket(&settings.bucket)?;
    let place = place(settings, &bucket);
    let server = server(settings)?;
    let clock = || ctx.clock.now();
    let mut options = options(ctx, settings, "restore", &clock);
    options.spared = Some(Spared {
        instance: source.instance,
        version: &plan.source.version,
    });
    let done = back_up(ctx, &server, place, &options).await;
    let done = done.map_err(|failure| {
        failure.left("nothing was restored; without `--final-backup` a restore needs no server")
    })?;
    ctx.note(&format!(
        "backed up {} samples to `{}`; now stop the server: the restore goes on when it has closed its data",
        done.manifest.rows.unwrap_or(0),
        done.version
    ))?;
    let data = Path::new(&settings.server.path);
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Bytes, "waiting for the stop", &progress);
    let stopped = restore::wait_for_stop(data, &progress);
    let stopped = ctx.interruptible(&progress, stopped).await;
    drop(bar);
    stopped.map_err(|failure| {
        failure.hint(format!(
            "nothing was restored; what was backed up stays, as `{}`",
            done.version
        ))
    })?;
    Ok(done.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_give_what_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let clock = || jiff::Timestamp::UNIX_EPOCH;
        let told = |room| {
            let error = Error::NoSpace {
                path: "/storage".into(),
                needed: ByteSize(3 << 30),
                spare: ByteSize(64 << 20),
                free: ByteSize(1 << 30),
            };
            let options = Options {
                data: folder.path(),
                server: None,
                room,
                limit: None,
                memory: ByteSize(1),
                program: String::new(),
                final_backup: None,
                reader: Identity {
                    owner: String::new(),
                    run: String::new(),
                    clock: &clock,
                },
            };
            with_room(error, &options).to_string()
        };
        // There is nothing that could make room.
        insta::assert_snapshot!(told(RoomWish::Beside), @"
        error: the restore needs 3.0 GiB, 64.0 MiB of it to spare, and `/storage` has 1.0 GiB left
        hint: nothing was changed; free space on that volume, or enlarge it
        ");
        std::fs::create_dir(folder.path().join("data")).unwrap();
        insta::assert_snapshot!(told(RoomWish::Beside), @"
        error: the restore needs 3.0 GiB, 64.0 MiB of it to spare, and `/storage` has 1.0 GiB left
        hint: nothing was removed; free space on that volume, or let the old data make room with `--in-place-if-needed`, where that is enough: it cannot be brought back then
        ");
        insta::assert_snapshot!(told(RoomWish::InPlaceIfNeeded), @"
        error: the restore needs 3.0 GiB, 64.0 MiB of it to spare, and `/storage` has 1.0 GiB left
        hint: nothing was removed; it would not fit in place of the old data either: free space on that volume, or enlarge it
        ");
    }
}
