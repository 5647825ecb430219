//! `lifeboat completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Format, Output};

/// Print a shell's completion script
///
/// For example `lifeboat completions bash > /etc/bash_completion.d/lifeboat`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lifeboat", &mut script);
    Output::new(Format::Table).text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
