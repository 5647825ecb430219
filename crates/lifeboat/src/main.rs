//! The one binary: reads the command line, the environment and the clock, and hands them on.

mod backends;
mod bar;
mod cli;
mod clock;
mod commands;
mod context;
mod exit;
mod failure;
mod log;
mod output;
mod signals;
mod stopwatch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use lifeboat_core::error::Kind;

use crate::cli::{
    Cli, Command, ElasticsearchCommand, SettingsCommand, StackGraphCommand, VictoriaMetricsCommand,
    normalise,
};
use crate::commands::gateway::GatewayCommand;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(normalise(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to stdout; clap prints both in their place.
            error.print().ok();
            return exit_code(if error.use_stderr() {
                Exit::Invalid
            } else {
                Exit::Success
            });
        }
    };
    log::start(cli.global.quiet, cli.global.verbose);
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(run(&cli)));
    exit_code(ended.unwrap_or_else(|failure| {
        // Nobody is left to tell when stderr is closed.
        writeln!(anstream::stderr(), "{failure}").ok();
        failure.exit
    }))
}

async fn run(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Completions(args) => return commands::completions::run(args),
        Command::Docs(args) => return commands::docs::run(args),
        _ => {}
    }
    let ctx = Context::new(&cli.global, &environment()?)?;
    match &cli.command {
        Command::Gateway(args) => match &args.command {
            None => commands::gateway::run(&ctx, args).await,
            Some(GatewayCommand::Check(args)) => commands::gateway::check::run(&ctx, args).await,
            Some(GatewayCommand::Export(args)) => commands::gateway::export::run(&ctx, args).await,
            Some(GatewayCommand::Trash(command)) => {
                commands::gateway::trash::run(&ctx, command).await
            }
        },
        Command::StackGraph(command) => match command {
            StackGraphCommand::Backup(args) => commands::stackgraph::backup::run(&ctx, args).await,
            StackGraphCommand::List(args) => commands::stackgraph::list::run(&ctx, args).await,
            StackGraphCommand::Restore(args) => {
                commands::stackgraph::restore::run(&ctx, args).await
            }
            StackGraphCommand::Verify(args) => commands::stackgraph::verify::run(&ctx, args).await,
            StackGraphCommand::Expire(args) => commands::stackgraph::expire::run(&ctx, args).await,
            StackGraphCommand::Load(args) => commands::stackgraph::load::run(&ctx, args).await,
            StackGraphCommand::Show(args) => commands::stackgraph::show::run(&ctx, args).await,
        },
        Command::VictoriaMetrics(command) => victoria_metrics(&ctx, command).await,
        Command::Elasticsearch(command) => elasticsearch(&ctx, command).await,
        Command::Settings(SettingsCommand::Show(args)) => commands::settings::show::run(&ctx, args),
        Command::Settings(SettingsCommand::Check(args)) => {
            commands::settings::check::run(&ctx, args)
        }
        Command::Completions(_) | Command::Docs(_) => Ok(Exit::Bug),
    }
}

async fn victoria_metrics(
    ctx: &Context,
    command: &VictoriaMetricsCommand,
) -> Result<Exit, Failure> {
    use commands::victoria_metrics::{backup, confirm, copy, expire, list, restore, undo, verify};
    match command {
        VictoriaMetricsCommand::Backup(args) => backup::run(ctx, args).await,
        VictoriaMetricsCommand::Copy(args) => copy::run(ctx, args).await,
        VictoriaMetricsCommand::List(args) => list::run(ctx, args).await,
        VictoriaMetricsCommand::Restore(args) => restore::run(ctx, args).await,
        VictoriaMetricsCommand::Confirm(args) => confirm::run(ctx, args).await,
        VictoriaMetricsCommand::Undo(args) => undo::run(ctx, args),
        VictoriaMetricsCommand::Verify(args) => verify::run(ctx, args).await,
        VictoriaMetricsCommand::Expire(args) => expire::run(ctx, args).await,
    }
}

async fn elasticsearch(ctx: &Context, command: &ElasticsearchCommand) -> Result<Exit, Failure> {
    use commands::elasticsearch::{
        backup, configure, delete_indices, describe, expire, list, list_indices, policy, restore,
        serve,
    };
    match command {
        ElasticsearchCommand::Configure(args) => configure::run(ctx, args).await,
        ElasticsearchCommand::Backup(args) => backup::run(ctx, args).await,
        ElasticsearchCommand::List(args) => list::run(ctx, args).await,
        ElasticsearchCommand::Describe(args) => describe::run(ctx, args).await,
        ElasticsearchCommand::Restore(args) => restore::run(ctx, args).await,
        ElasticsearchCommand::Expire(args) => expire::run(ctx, args).await,
        ElasticsearchCommand::Policy(args) => policy::run(ctx, args).await,
        ElasticsearchCommand::Serve(args) => serve::run(ctx, args).await,
        ElasticsearchCommand::ListIndices(args) => list_indices::run(ctx, args).await,
        ElasticsearchCommand::DeleteIndices(args) => delete_indices::run(ctx, args).await,
    }
}

fn exit_code(exit: Exit) -> ExitCode {
    ExitCode::from(exit.code())
}

/// The one place that reads the environment (clap reads `LIFEBOAT_VALUES`), and the files that hold secrets.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the place that reads the environment"
)]
fn environment() -> Result<BTreeMap<String, String>, Failure> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let mut environment: BTreeMap<_, _> = std::env::vars_os().filter_map(text).collect();
    for name in ["LIFEBOAT_ACCESS_KEY", "LIFEBOAT_SECRET_KEY"] {
        if let Some(file) = environment.get(&format!("{name}_FILE")) {
            let content = fs::read_to_string(file).map_err(|error| {
                Failure::new(Kind::Invalid, error)
                    .context(format!("cannot read `{file}`, which {name}_FILE names"))
            })?;
            environment.insert(name.to_owned(), content);
        }
    }
    Ok(environment)
}
