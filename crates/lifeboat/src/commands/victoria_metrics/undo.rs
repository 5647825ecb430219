//! `lifeboat victoria-metrics undo`.

use std::path::Path;

use clap::Args;
use lifeboat_victoria_metrics::target::Target;
use serde::Serialize;

use super::instance;
use crate::context::{Context, confirm};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::View;

/// Bring back the data from before a restore
///
/// The server must not run. Possible until `confirm`.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// `victoria-metrics-0` or `victoria-metrics-1`
    instance: String,
    /// Do not ask before replacing
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct UndoView {
    instance: String,
    /// The version whose restore was undone.
    version: String,
}

pub(crate) fn run(ctx: &Context, args: &UndoArgs) -> Result<Exit, Failure> {
    let settings = instance(ctx, &args.instance)?;
    let target = Target::open(Path::new(&settings.server.path))?;
    let question = format!(
        "would remove what was restored to `{}`, and what came in since\n",
        args.instance
    );
    if !args.yes && !confirm(&question)? {
        return Err(Failure::interrupted().hint("nothing was changed"));
    }
    let journal = target.undo()?;
    ctx.out.show(&UndoView {
        instance: args.instance.clone(),
        version: journal.version,
    })?;
    Ok(Exit::Success)
}

impl View for UndoView {
    fn table(&self) -> String {
        format!(
            "`{}` has the data again that it had before `{}` was restored\n",
            self.instance, self.version
        )
    }
}
