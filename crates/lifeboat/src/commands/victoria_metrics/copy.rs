//! `lifeboat victoria-metrics copy`.

use std::sync::Arc;

use clap::Args;
use lifeboat_core::error::Kind;
use lifeboat_core::progress::Progress;
use lifeboat_victoria_metrics::backup;
use serde::Serialize;

use super::{instance, options, place, server};
use crate::bar::Measure;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::View;

/// Make a dated copy of the backup that is brought up to date each hour
///
/// For installations whose `backup.scheduled.daily` is set. Everything is copied inside the store.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// `victoria-metrics-0` or `victoria-metrics-1`
    instance: String,
}

#[derive(Debug, Serialize)]
struct CopyView {
    instance: String,
    source: String,
    version: String,
    objects: u64,
}

pub(crate) async fn run(ctx: &Context, args: &CopyArgs) -> Result<Exit, Failure> {
    let settings = instance(ctx, &args.instance)?;
    settings.require_backup_enabled()?;
    ctx.settings.require_own_prefixes()?;
    if settings.daily.is_none() {
        let message = format!("`{}` has no dated copies", args.instance);
        return Err(Failure::new(Kind::Invalid, message).hint(format!(
            "set `{}.backup.scheduled.daily`: then backups go to one version, of which copies are made",
            args.instance
        )));
    }
    let bucket = ctx.bucket(&settings.bucket)?;
    let server = server(settings)?;
    let clock = || ctx.clock.now();
    let options = options(ctx, settings, "copy", &clock);
    let progress = Arc::new(Progress::default());
    let bar = ctx.bar_by(Measure::Bytes, "copy", &progress);
    let work = backup::copy(&server, place(settings, &bucket), &options, &progress);
    let copied = ctx.interruptible(&progress, work).await;
    drop(bar);
    let copied = copied?;
    ctx.out.show(&CopyView {
        instance: args.instance.clone(),
        source: copied.source,
        version: copied.version,
        objects: copied.objects,
    })?;
    Ok(Exit::Success)
}

impl View for CopyView {
    fn table(&self) -> String {
        format!(
            "copied {} objects of `{}` to `{}`\n",
            self.objects, self.source, self.version
        )
    }
}
