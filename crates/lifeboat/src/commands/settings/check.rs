//! `lifeboat settings check`.

use clap::Args;
use lifeboat_core::error::Kind;
use serde::Serialize;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Text, View};

/// Read the settings and say what is wrong with them
///
/// Unknown keys, wrong types and broken rules are errors. What works but perhaps not as meant is a warning. Nothing
/// is connected to.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {}

#[derive(Debug, Serialize)]
struct CheckView {
    errors: Vec<String>,
    warnings: Vec<String>,
}

pub(crate) fn run(ctx: &Context, _args: &CheckArgs) -> Result<Exit, Failure> {
    let view = CheckView {
        errors: ctx
            .settings
            .check()
            .iter()
            .map(ToString::to_string)
            .collect(),
        warnings: ctx
            .settings
            .warnings
            .iter()
            .map(ToString::to_string)
            .collect(),
    };
    let exit = if view.errors.is_empty() {
        Exit::Success
    } else {
        Exit::from(Kind::Invalid)
    };
    ctx.out.show(&view)?;
    Ok(exit)
}

impl View for CheckView {
    fn table(&self) -> String {
        let mut text = Text::default();
        for error in &self.errors {
            text.line(format_args!("error: {error}"));
        }
        for warning in &self.warnings {
            text.line(format_args!("warning: {warning}"));
        }
        if text.is_empty() {
            text.line(format_args!("the settings are good"));
        }
        text.into()
    }
}
