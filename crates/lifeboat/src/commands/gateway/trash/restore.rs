//! `lifeboat gateway trash restore`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_gateway::backends::Sources;
use lifeboat_gateway::backends::local::trash::{
    Entry, Filter, Occupied, RestoreError, Wanted, choose,
};
use lifeboat_gateway::backends::local::{OpenError, Visit};
use serde::Serialize;

use super::Listed;
use crate::commands::gateway::sources;
use crate::context::{Context, blocking};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};

/// Give deleted or replaced objects their keys again
///
/// Of each key the version that was removed last comes back, with `--at` the one that the key held then. A key that holds
/// another object by now is left alone, unless `--force`: then that object goes to the trash in turn. Needs to run where
/// the volume is, for example in the gateway's pod; the gateway may be running and then does the work.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The bucket it was in; made again if it is gone
    bucket: String,
    /// The key of one object
    #[arg(required_unless_present_any = ["prefix", "id"])]
    key: Option<String>,
    /// Everything with a key that begins so
    #[arg(long, conflicts_with = "key")]
    prefix: Option<String>,
    /// What was there at this time, such as `2026-07-30T14:00:00Z` or, in the platform's time zone, `2026-07-30 14:00`
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    at: Option<String>,
    /// The one with this id, as `list` shows it
    #[arg(long)]
    id: Option<String>,
    /// Also where the key holds another object by now
    #[arg(long)]
    force: bool,
    /// Show what would be restored, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The folder that holds the buckets, instead of `lifeboat.gateway.volume`
    #[arg(long, value_name = "DIR")]
    volume: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct RestoreView {
    dry_run: bool,
    objects: Vec<Restored>,
}

#[derive(Debug, Serialize)]
struct Restored {
    #[serde(flatten)]
    object: Listed,
    outcome: Outcome,
}

/// What became of an object, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Restored,
    /// Its key holds another object.
    Occupied,
    /// It left the trash meanwhile.
    Gone,
}

pub(crate) async fn run(ctx: &Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    let wanted = wanted(args, ctx.clock.time_zone())?;
    let filter = Filter {
        bucket: Some(args.bucket.clone()),
        prefix: args
            .key
            .clone()
            .or_else(|| args.prefix.clone())
            .unwrap_or_default(),
    };
    let found = super::read(ctx, args.volume.as_deref(), filter).await?;
    let key = args.key.as_deref();
    let plan: Vec<(Visit, Vec<Entry>)> = found
        .into_iter()
        .map(|(visit, mut entries)| {
            entries.retain(|entry| key.is_none_or(|key| key == entry.key));
            (visit, choose(entries, &wanted))
        })
        .collect();
    let objects = plan.iter().flat_map(|(_, entries)| entries);
    let (count, bytes) = objects.fold((0, 0), |(count, bytes), entry| {
        (count + 1, bytes + entry.size)
    });
    if count == 0 {
        let error = "nothing like that is in the trash";
        let hint = format!(
            "`lifeboat gateway trash list --bucket {}` shows what is",
            args.bucket
        );
        return Err(Failure::new(Kind::NotFound, error).hint(hint));
    }
    let occupied = if args.force {
        Occupied::Replace
    } else {
        Occupied::Refuse
    };
    let view = if args.dry_run {
        blocking(move || foresee(&plan, occupied)).await?
    } else {
        let progress = Arc::new(Progress::default());
        progress.expect(count, bytes);
        let bar = ctx.bar("restore", &progress);
        let sources = sources(ctx);
        let view = blocking(move || carry_out(&plan, occupied, &sources, &progress)).await?;
        drop(bar);
        view
    };
    ctx.out.show(&view)?;
    let left = |outcome| view.objects.iter().any(|object| object.outcome == outcome);
    if left(Outcome::Occupied) {
        ctx.note("a key that holds another object by now is left alone; `--force` replaces it and keeps it in the trash")?;
        return Ok(Exit::Conflict);
    }
    Ok(if left(Outcome::Gone) {
        Exit::NotFound
    } else {
        Exit::Success
    })
}

fn wanted(args: &RestoreArgs, time_zone: &TimeZone) -> Result<Wanted, Failure> {
    if let Some(id) = &args.id {
        return Ok(Wanted::Id(id.clone()));
    }
    let Some(text) = &args.at else {
        return Ok(Wanted::Newest);
    };
    let local = |text: &str| -> Result<Timestamp, jiff::Error> {
        let zoned = text.parse::<DateTime>()?.to_zoned(time_zone.clone())?;
        Ok(zoned.timestamp())
    };
    text.parse()
        .or_else(|_| local(text))
        .map(Wanted::At)
        .map_err(|error| {
            Failure::new(Kind::Invalid, error)
                .context(format!("`{text}` is not a time"))
                .hint("for example `2026-07-30T14:00:00Z`, or `2026-07-30 14:00` in the platform's time zone")
        })
}

/// Says what carrying out would do.
fn foresee(plan: &[(Visit, Vec<Entry>)], occupied: Occupied) -> Result<RestoreView, Failure> {
    let mut objects = Vec::new();
    for (visit, entries) in plan {
        for entry in entries {
            let held = entry
                .path()
                .and_then(|path| visit.holds(&path))
                .map_err(|error| Failure::new(error.kind(), error))?;
            let outcome = if held && occupied == Occupied::Refuse {
                Outcome::Occupied
            } else {
                Outcome::Restored
            };
            let object = Listed::new(entry, visit.path());
            objects.push(Restored { object, outcome });
        }
    }
    Ok(RestoreView {
        dry_run: true,
        objects,
    })
}

fn carry_out(
    plan: &[(Visit, Vec<Entry>)],
    occupied: Occupied,
    sources: &Sources,
    progress: &Progress,
) -> Result<RestoreView, Failure> {
    let mut objects = Vec::new();
    for (visit, entries) in plan.iter().filter(|(_, entries)| !entries.is_empty()) {
        let mut keeper = visit.keeper(sources.clone()).map_err(held)?;
        for entry in entries {
            let outcome = match keeper.restore(&entry.place(), occupied) {
                Ok(_) => Outcome::Restored,
                Err(RestoreError::Occupied { .. }) => Outcome::Occupied,
                Err(RestoreError::NoEntry { .. }) => Outcome::Gone,
                Err(error) => {
                    let restored = objects.len();
                    return Err(Failure::from(error)
                        .context(format!("cannot restore `{}/{}`", entry.bucket, entry.key))
                        .hint(format!(
                            "{restored} were dealt with before; the same command goes on"
                        )));
                }
            };
            progress.add(1, entry.size);
            let object = Listed::new(entry, visit.path());
            objects.push(Restored { object, outcome });
        }
    }
    Ok(RestoreView {
        dry_run: false,
        objects,
    })
}

/// A gateway that serves the volume does not answer here.
fn held(error: OpenError) -> Failure {
    let hint = match &error {
        OpenError::InUse { .. } => {
            "run this where that gateway runs, as the same user; or stop it, and run it again"
        }
        _ => return error.into(),
    };
    Failure::from(error).hint(hint)
}

impl View for RestoreView {
    fn table(&self) -> String {
        let rows: Vec<_> = self
            .objects
            .iter()
            .map(|Restored { object, outcome }| {
                [
                    format!("{}/{}", object.bucket, object.key),
                    ByteSize(object.bytes).to_string(),
                    match (outcome, self.dry_run) {
                        (Outcome::Restored, true) => "would be restored",
                        (Outcome::Restored, false) => "restored",
                        (Outcome::Occupied, _) => "left: the key holds another object",
                        (Outcome::Gone, _) => "gone from the trash",
                    }
                    .to_owned(),
                ]
            })
            .collect();
        columns(["name", "size", "outcome"], &rows)
    }
}
