//! `lifeboat victoria-metrics undo`.

use std::path::Path;

use clap::Args;
use lifeboat_victoria_metrics::error::Error;
use lifeboat_victoria_metrics::restore::{self, Left};
use lifeboat_victoria_metrics::target::{self, Target, Undone};
use serde::Serialize;

use super::instance;
use super::restore::what_is_left;
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
    /// Do not ask before replacing. Without a terminal nobody is asked
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct UndoView {
    instance: String,
    /// The version whose restore was undone.
    version: String,
    /// Whether data was brought back; not so of a restore that had not come to replace any.
    brought_back: bool,
}

pub(crate) fn run(ctx: &Context, args: &UndoArgs) -> Result<Exit, Failure> {
    let settings = instance(ctx, &args.instance)?;
    let data = Path::new(&settings.server.path);
    // Before anybody is asked to stop a server for it.
    if target::is_alone(data)? {
        let path = data.to_owned();
        return Err(Error::NothingToUndo { path }.into());
    }
    let target = Target::open(data)?;
    let undone = target.undoable()?.ok_or_else(|| nothing_to_undo(&target))?;
    let question = match &undone {
        Undone::Back(version) => format!(
            "would bring back what was there before `{version}` was restored to `{0}`, and remove what `{0}` has now\n",
            args.instance
        ),
        Undone::NotBegun(version) => format!(
            "would remove what was fetched of `{version}`; `{}` keeps the data that it has\n",
            args.instance
        ),
    };
    if !args.yes && !confirm(&question)? {
        return Err(Failure::interrupted().hint("nothing was changed"));
    }
    let undone = target.undo().map_err(|error| {
        let (failure, data) = (Failure::from(error), target.root());
        match restore::left(data) {
            Ok(Left::Between | Left::Undone) => what_is_left(failure, data),
            _ => failure,
        }
    });
    let (version, brought_back) = match undone? {
        Undone::Back(version) => (version, true),
        Undone::NotBegun(version) => (version, false),
    };
    ctx.out.show(&UndoView {
        instance: args.instance.clone(),
        version,
        brought_back,
    })?;
    Ok(Exit::Success)
}

/// Where there is no way back from a restore that was cut, it is brought to its end: servers are kept from starting until then.
fn nothing_to_undo(target: &Target) -> Failure {
    let data = target.root();
    let nothing = Failure::from(Error::NothingToUndo {
        path: data.to_owned(),
    });
    match restore::left(data) {
        Ok(Left::Between | Left::Restored) => match target.settle() {
            Ok(()) => nothing.left(
                "the restore that was cut is ended: the data is that of the backup, and a server can be started on it",
            ),
            Err(error) => what_is_left(Failure::from(error), data),
        },
        Ok(Left::Emptied) => nothing.left(
            "the data was removed to make room, and no server starts on what is there; a restore, of this version or another, goes on",
        ),
        _ => nothing,
    }
}

impl View for UndoView {
    fn table(&self) -> String {
        if self.brought_back {
            return format!(
                "`{}` has the data again that it had before `{}` was restored\n",
                self.instance, self.version
            );
        }
        format!(
            "the restore of `{}` had changed nothing in `{}` yet; what it had fetched is removed\n",
            self.version, self.instance
        )
    }
}
