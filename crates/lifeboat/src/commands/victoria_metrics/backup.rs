//! `lifeboat victoria-metrics backup`.

use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::progress::Progress;
use lifeboat_core::size::ByteSize;
use lifeboat_victoria_metrics::backup::{self, Forecast, Kept, Options, Outcome, Shrinking};
use lifeboat_victoria_metrics::generation::{Decision, Why};
use lifeboat_victoria_metrics::server::Server;
use lifeboat_victoria_metrics::store::Place;
use serde::Serialize;

use super::{instance, limit, options, place, server};
use crate::bar::Measure;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View, columns};
use crate::stopwatch::{Pace, Stopwatch};

/// Bring the backup of an instance up to date
///
/// From a snapshot of the running server, beside whose data it has to run. What is in the bucket already is not sent again. Until the new backup is whole, the one before
/// can be restored. A server whose data was emptied begins a new version; the one before stays.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// `victoria-metrics-0` or `victoria-metrics-1`
    instance: String,
    /// Show what would be sent and deleted, and do neither
    #[arg(long)]
    dry_run: bool,
    /// The most bytes a second, instead of `lifeboat.victoriaMetrics.limitRate`
    #[arg(long, value_name = "SIZE")]
    limit_rate: Option<ByteSize>,
    /// Replace a backup even by one that is a tenth of it or less
    #[arg(long)]
    allow_shrinking: bool,
    /// Read all that is in the bucket already, and send again what is damaged
    #[arg(long)]
    resend_damaged: bool,
}

#[derive(Debug, Serialize)]
struct PlanView {
    instance: String,
    version: String,
    new_version: bool,
    samples: u64,
    bytes: u64,
    objects_to_send: u64,
    bytes_to_send: u64,
    /// With `--resend-damaged`: those of them that are stored already, and damaged.
    objects_to_resend: u64,
    objects_kept: u64,
    /// With `--resend-damaged`: those of them that are damaged, where the server has nothing better.
    objects_beyond_repair: u64,
    objects_to_delete: u64,
    #[serde(skip)]
    why: Option<Why>,
}

#[derive(Debug, Serialize)]
struct BackupView {
    instance: String,
    version: String,
    new_version: bool,
    taken: Timestamp,
    completed: Timestamp,
    samples: Option<u64>,
    series: Option<u64>,
    bytes: u64,
    objects_sent: u64,
    bytes_sent: u64,
    /// With `--resend-damaged`: those of them that were stored already, and damaged.
    objects_resent: u64,
    objects_kept: u64,
    /// With `--resend-damaged`: those of them that are damaged, where the server has nothing better.
    objects_beyond_repair: u64,
    objects_deleted: u64,
    #[serde(flatten)]
    pace: Pace,
}

pub(crate) async fn run(ctx: &Context, args: &BackupArgs) -> Result<Exit, Failure> {
    let settings = instance(ctx, &args.instance)?;
    settings.require_backup_enabled()?;
    ctx.settings.require_own_prefixes()?;
    let bucket = ctx.bucket(&settings.bucket)?;
    let place = place(settings, &bucket);
    let server = server(settings)?;
    let clock = || ctx.clock.now();
    let mut options = options(ctx, settings, "backup", &clock);
    options.limit = limit(ctx, args.limit_rate);
    if args.allow_shrinking {
        options.shrinking = Shrinking::Allowed;
    }
    if args.resend_damaged {
        options.kept = Kept::Compared;
    }
    if args.dry_run {
        let progress = Progress::default();
        let forecast = backup::forecast(&server, place, &options, &progress);
        let forecast = ctx.interruptible(&progress, forecast).await?;
        ctx.out.show(&PlanView::from(forecast))?;
        return Ok(Exit::Success);
    }
    let watch = Stopwatch::start();
    let done = back_up(ctx, &server, place, &options).await?;
    let took = watch.stop(done.manifest.rows.unwrap_or(0));
    let exit = if done.objects_beyond_repair > 0 {
        Exit::Damaged
    } else {
        Exit::Success
    };
    ctx.out.show(&BackupView::new(&args.instance, done, took))?;
    Ok(exit)
}

/// Makes the backup, shows how far it is, and says why a version begins where one does.
pub(super) async fn back_up(
    ctx: &Context,
    server: &Server,
    place: Place<'_>,
    options: &Options<'_>,
) -> Result<Outcome, Failure> {
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Bytes, "backup", &progress);
    let work = backup::run(server, place, options, &progress);
    let done = ctx.interruptible(&progress, work).await;
    drop(bar);
    let done = done.map_err(|failure| {
        failure.hint("what was sent stays for the same command to go on with; a backup that was there before counts until that one does")
    })?;
    for reader in &done.readers {
        ctx.note(&format!(
            "{}: what it needs stays until the next backup, and vmrestore does not take `{}` until then",
            reader.says(),
            done.version
        ))?;
    }
    if done.is_read_only {
        ctx.note(
            "the server takes no samples, for its volume has no more room than `-storage.minFreeDiskSpaceBytes`: the backup is made with the label that it has",
        )?;
    }
    if done.objects_resent > 0 {
        ctx.note(&format!(
            "{} objects of `{}` were damaged, and were sent again",
            done.objects_resent, done.version
        ))?;
    }
    if done.objects_beyond_repair > 0 {
        ctx.note(&format!(
            "{} objects of `{}` are damaged, and stay so: what the server has is not what was backed up either, or nobody noted what that was; `verify --deep` names them",
            done.objects_beyond_repair, done.version
        ))?;
    }
    if let Some(note) = why_new(&done.decision) {
        ctx.note(&format!("`{}` begins: {note}", done.version))?;
    }
    Ok(done)
}

fn why_new(decision: &Decision) -> Option<&'static str> {
    match decision {
        Decision::Continue(_) => None,
        Decision::Begin { why, .. } => Some(reason(*why)),
    }
}

fn reason(why: Why) -> &'static str {
    match why {
        Why::NoLabel => {
            "the server has no label of an earlier version, as after its data was emptied"
        }
        Why::Behind => "the version before holds samples that are later than all of the server",
        Why::PutBack => {
            "the server does not have all of the last backup to the version before, as after its volume was put back to an earlier state"
        }
        Why::Spared => "the version before is going to be restored, and stays as it is",
        Why::Overtaken => {
            "the backups after the restore go to the version before, and would replace what is saved now"
        }
    }
}

impl From<Forecast> for PlanView {
    fn from(forecast: Forecast) -> Self {
        let why = match &forecast.decision {
            Decision::Continue(_) => None,
            Decision::Begin { why, .. } => Some(*why),
        };
        Self {
            instance: forecast.instance,
            version: forecast.version,
            new_version: forecast.is_new || why.is_some(),
            samples: forecast.rows,
            bytes: forecast.size,
            objects_to_send: forecast.objects_to_send,
            bytes_to_send: forecast.bytes_to_send,
            objects_to_resend: forecast.objects_to_resend,
            objects_kept: forecast.objects_kept,
            objects_beyond_repair: forecast.objects_beyond_repair,
            objects_to_delete: forecast.objects_to_delete,
            why,
        }
    }
}

impl BackupView {
    fn new(instance: &str, done: Outcome, pace: Pace) -> Self {
        let manifest = done.manifest;
        Self {
            instance: instance.to_owned(),
            version: done.version,
            new_version: done.is_new || matches!(done.decision, Decision::Begin { .. }),
            taken: manifest.taken,
            completed: manifest.completed,
            samples: manifest.rows,
            series: manifest.series,
            bytes: manifest.size(),
            objects_sent: done.objects_sent,
            bytes_sent: done.bytes_sent,
            objects_resent: done.objects_resent,
            objects_kept: done.objects_kept,
            objects_beyond_repair: done.objects_beyond_repair,
            objects_deleted: done.objects_deleted,
            pace,
        }
    }
}

impl View for PlanView {
    fn table(&self) -> String {
        let mut text = Text::default();
        text.line(format_args!(
            "would back up {} samples to `{}`: send {} objects ({}), keep {}, delete {}",
            self.samples,
            self.version,
            self.objects_to_send,
            ByteSize(self.bytes_to_send),
            self.objects_kept,
            self.objects_to_delete
        ));
        if self.objects_to_resend > 0 {
            text.line(format_args!(
                "{} of those to send are in the bucket, and damaged",
                self.objects_to_resend
            ));
        }
        if self.objects_beyond_repair > 0 {
            text.line(format_args!(
                "{} of those to keep are damaged, and the server has nothing better",
                self.objects_beyond_repair
            ));
        }
        if let Some(why) = self.why {
            text.line(format_args!(
                "`{}` would begin: {}",
                self.version,
                reason(why)
            ));
        }
        text.into()
    }
}

impl View for BackupView {
    fn table(&self) -> String {
        let count =
            |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let row = [
            self.version.clone(),
            count(self.samples),
            count(self.series),
            ByteSize(self.bytes).to_string(),
            ByteSize(self.bytes_sent).to_string(),
            self.objects_sent.to_string(),
            self.pace.seconds(),
        ];
        let headings = [
            "name",
            "samples",
            "series",
            "size",
            "sent",
            "objects sent",
            "seconds",
        ];
        columns(headings, &[row])
    }
}
