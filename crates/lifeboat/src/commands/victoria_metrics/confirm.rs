//! `lifeboat victoria-metrics confirm`.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use jiff::SignedDuration;
use lifeboat_core::progress::Progress;
use lifeboat_victoria_metrics::confirm::{self, Confirmed, Trust};
use lifeboat_victoria_metrics::restore::{self, Left};
use lifeboat_victoria_metrics::vmagent;
use serde::Serialize;

use super::{instance, server};
use crate::bar::Measure;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};

/// Find out that a restored server has what the backup held, and let the old data go
///
/// Makes a snapshot of the running server, to see that it has the restored folder open, and deletes it. Asks the server for its samples, and waits until vmagent
/// holds nothing any more but what has just come in, what it tries to send again included. Only when the server has as many as the backup, beside those that have come in since its start, and finds some from the end of the backup, the
/// data from before the restore is removed.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// `victoria-metrics-0` or `victoria-metrics-1`
    instance: String,
    /// Be content with fewer samples, but not with none: the server drops those that are older than its retention
    #[arg(long)]
    accept_fewer: bool,
    /// Go on keeping the data from before the restore
    #[arg(long)]
    keep_previous: bool,
}

#[derive(Debug, Serialize)]
struct ConfirmView {
    instance: String,
    version: String,
    samples: u64,
    /// Of those, what has come in since the server was started; absent where it does not tell.
    samples_since_start: Option<u64>,
    samples_in_backup: Option<u64>,
    series: Option<u64>,
    series_in_backup: Option<u64>,
    from: Option<jiff::Timestamp>,
    to: Option<jiff::Timestamp>,
    /// When the restore had the folder to itself: the server had stopped by then.
    restore_begun: jiff::Timestamp,
    /// The version that the data from before the restore was backed up to last, if the restore was told to.
    final_backup: Option<String>,
    previous_removed: bool,
}

pub(crate) async fn run(ctx: &Context, args: &ConfirmArgs) -> Result<Exit, Failure> {
    let settings = instance(ctx, &args.instance)?;
    let server = server(settings)?;
    let data = Path::new(&settings.server.path);
    let trust = if args.accept_fewer {
        Trust::AcceptFewer
    } else {
        Trust::Exact
    };
    let progress = Arc::new(Progress::default());
    let asked = confirm::run(&server, data, trust, ctx.clock.now(), &progress);
    let confirmed = ctx.interruptible(&progress, asked).await;
    let confirmed = confirmed.map_err(|failure| match restore::left(data) {
        Ok(Left::Emptied) => failure.left(
            "the data was removed to make room for a restore that has not ended, and no server starts on what is there; a restore, of this version or another, goes on",
        ),
        _ => failure,
    })?;
    if let Some(url) = &ctx.settings.lifeboat.victoria_metrics.vmagent {
        let progress = Arc::new(Progress::default());
        let bar = ctx.bar_by(Measure::Bytes, "waiting for vmagent", &progress);
        let drained = vmagent::drain(url, &progress);
        let drained = ctx.interruptible(&progress, drained).await;
        drop(bar);
        let dropped = drained?.dropped;
        if dropped > 0 {
            ctx.note(&format!(
                "vmagent has dropped data since it was started (its counters say {dropped})"
            ))?;
        }
    }
    let mut removed = false;
    if !args.keep_previous {
        removed = confirmed.has_previous;
        confirmed.remove_previous(&server, data).await?;
    }
    ctx.out
        .show(&ConfirmView::new(&args.instance, &confirmed, removed))?;
    Ok(Exit::Success)
}

impl ConfirmView {
    fn new(instance: &str, confirmed: &Confirmed, removed: bool) -> Self {
        let journal = confirmed.journal();
        Self {
            instance: instance.to_owned(),
            version: journal.version.clone(),
            samples: confirmed.samples,
            samples_since_start: confirmed.came_in,
            samples_in_backup: journal.rows,
            series: confirmed.series,
            series_in_backup: journal.series,
            from: journal.range.map(|(first, _)| first),
            to: journal.range.map(|(_, last)| last),
            restore_begun: journal.begun,
            final_backup: journal.final_backup.clone(),
            previous_removed: removed,
        }
    }
}

fn whole_seconds(duration: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(duration.as_secs())
}

impl View for ConfirmView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let number = |count: Option<u64>| {
            count.map_or_else(|| "an unknown number".to_owned(), |count| count.to_string())
        };
        let held = number(self.samples_in_backup);
        let came_in = self.samples_since_start.unwrap_or(0);
        let since = self.samples_since_start.map_or_else(String::new, |count| {
            format!(", of which {count} have come in since it was started")
        });
        let is_fewer = self
            .samples_in_backup
            .is_some_and(|held| self.samples.saturating_sub(came_in) < held);
        let fewer = if is_fewer {
            ", fewer than"
        } else {
            "; it was restored from"
        };
        text.line(format_args!(
            "`{}` has {} samples{since}{fewer} the {held} of `{}`",
            self.instance, self.samples, self.version
        ));
        if let (Some(from), Some(to)) = (self.from, self.to) {
            text.line(format_args!(
                "those of `{}` are from {from} to {to}; what came from then to the stop of the server is not among them, {:#} at most",
                self.version,
                whole_seconds(self.restore_begun.duration_since(to))
            ));
        }
        if let Some(version) = &self.final_backup {
            text.line(format_args!(
                "what was there before the restore was backed up to `{version}`"
            ));
        }
        if let Some(series) = self.series {
            text.line(format_args!(
                "it knows {series} series, the backup knew {}",
                number(self.series_in_backup)
            ));
        }
        if self.previous_removed {
            text.line(format_args!("the data from before the restore was removed"));
        }
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(samples: u64) -> ConfirmView {
        ConfirmView {
            instance: "victoria-metrics-0".to_owned(),
            version: "victoria-metrics-0-20231128160000".to_owned(),
            samples,
            samples_since_start: None,
            samples_in_backup: Some(100),
            series: None,
            series_in_backup: None,
            from: None,
            to: None,
            restore_begun: jiff::Timestamp::UNIX_EPOCH,
            final_backup: None,
            previous_removed: false,
        }
    }

    #[test]
    fn samples_are_told_by_where_they_came_from() {
        insta::assert_snapshot!(view(50).table(), @"`victoria-metrics-0` has 50 samples, fewer than the 100 of `victoria-metrics-0-20231128160000`");
        insta::assert_snapshot!(view(150).table(), @"`victoria-metrics-0` has 150 samples; it was restored from the 100 of `victoria-metrics-0-20231128160000`");
        let told = |samples, since| ConfirmView {
            samples_since_start: Some(since),
            ..view(samples)
        };
        insta::assert_snapshot!(told(150, 50).table(), @"`victoria-metrics-0` has 150 samples, of which 50 have come in since it was started; it was restored from the 100 of `victoria-metrics-0-20231128160000`");
        insta::assert_snapshot!(told(150, 70).table(), @"`victoria-metrics-0` has 150 samples, of which 70 have come in since it was started, fewer than the 100 of `victoria-metrics-0-20231128160000`");
    }

    #[test]
    fn what_no_buffer_held_is_told_by_its_time() {
        let at = |time: &str| format!("2026-11-26T{time}Z").parse().unwrap();
        let view = ConfirmView {
            from: Some(at("01:00:00")),
            to: Some(at("03:25:00")),
            restore_begun: at("04:10:30"),
            ..view(150)
        };
        insta::assert_snapshot!(view.table().lines().nth(1).unwrap(), @"those of `victoria-metrics-0-20231128160000` are from 2026-11-26T01:00:00Z to 2026-11-26T03:25:00Z; what came from then to the stop of the server is not among them, 45m 30s at most");
    }
}
