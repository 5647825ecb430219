//! `lifeboat victoria-metrics confirm`.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use lifeboat_core::progress::Progress;
use lifeboat_victoria_metrics::confirm::{self, Confirmed, Trust};
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
/// Asks the running server for its samples, and waits until vmagent has sent what it kept. Only when the server has as many as the backup, the data from before
/// the restore is removed.
#[derive(Debug, Args)]
pub(crate) struct ConfirmArgs {
    /// `victoria-metrics-0` or `victoria-metrics-1`
    instance: String,
    /// Be content with fewer samples: the server drops those that are older than its retention
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
    samples_in_backup: Option<u64>,
    series: Option<u64>,
    series_in_backup: Option<u64>,
    from: Option<jiff::Timestamp>,
    to: Option<jiff::Timestamp>,
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
    let confirmed = confirm::run(&server, data, trust).await?;
    if let Some(url) = &ctx.settings.lifeboat.victoria_metrics.vmagent {
        let progress = Arc::new(Progress::default());
        let bar = ctx.bar_by(Measure::Bytes, "waiting for vmagent", &progress);
        let drained = vmagent::drain(url.trim_end_matches('/'), &progress);
        let drained = ctx.interruptible(&progress, drained).await;
        drop(bar);
        let dropped = drained?.dropped;
        if dropped > 0 {
            ctx.note(&format!(
                "vmagent has dropped data since it was started (its counters say {dropped})"
            ))?;
        }
    }
    if !args.keep_previous {
        confirm::remove_previous(data).await?;
    }
    ctx.out.show(&ConfirmView::new(
        &args.instance,
        &confirmed,
        args.keep_previous,
    ))?;
    Ok(Exit::Success)
}

impl ConfirmView {
    fn new(instance: &str, confirmed: &Confirmed, keeps: bool) -> Self {
        let journal = &confirmed.journal;
        Self {
            instance: instance.to_owned(),
            version: journal.version.clone(),
            samples: confirmed.rows,
            samples_in_backup: journal.rows,
            series: confirmed.series,
            series_in_backup: journal.series,
            from: journal.range.map(|(first, _)| first),
            to: journal.range.map(|(_, last)| last),
            previous_removed: !keeps,
        }
    }
}

impl View for ConfirmView {
    fn table(&self) -> String {
        let mut text = Text::default();
        let number = |count: Option<u64>| {
            count.map_or_else(|| "an unknown number".to_owned(), |count| count.to_string())
        };
        text.line(format_args!(
            "`{}` has {} samples, of which {} came from `{}`",
            self.instance,
            self.samples,
            number(self.samples_in_backup),
            self.version
        ));
        if let (Some(from), Some(to)) = (self.from, self.to) {
            text.line(format_args!("they are from {from} to {to}; what came between then and the stop of the server is not among them"));
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
