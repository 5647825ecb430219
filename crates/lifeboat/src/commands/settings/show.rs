//! `lifeboat settings show`.

use clap::Args;
use lifeboat_core::settings::Origin;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{View, columns};

/// Show every key that is read, its value and who set it
///
/// Secrets are shown as `***`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Leave out what is as by default
    #[arg(long)]
    set_only: bool,
}

#[derive(Debug, Serialize)]
struct ShowView {
    settings: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    key: &'static str,
    value: String,
    origin: String,
    /// The older key that said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    said_as: Option<&'static str>,
}

pub(crate) fn run(ctx: &Context, args: &ShowArgs) -> Result<Exit, Failure> {
    let settings = ctx
        .settings
        .effective()
        .iter()
        .filter(|row| !args.set_only || row.origin != Origin::Default)
        .map(|row| Row {
            key: row.path,
            value: row.value.clone(),
            origin: row.origin.to_string(),
            said_as: row.said_as,
        })
        .collect();
    ctx.out.show(&ShowView { settings })?;
    Ok(Exit::Success)
}

impl View for ShowView {
    fn table(&self) -> String {
        let rows: Vec<_> = self
            .settings
            .iter()
            .map(|row| {
                let origin = match row.said_as {
                    Some(key) => format!("{} as {key}", row.origin),
                    None => row.origin.clone(),
                };
                [row.key.to_owned(), row.value.clone(), origin]
            })
            .collect();
        columns(["key", "value", "set by"], &rows)
    }
}
