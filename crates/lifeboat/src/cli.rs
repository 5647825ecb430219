//! The command line: what can be asked, in the words of the help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands;
use crate::output::Format;

/// Backs up and restores a self-hosted observability platform
///
/// Topology and settings (StackGraph), metrics (VictoriaMetrics) and telemetry (Elasticsearch, OpenSearch) go through
/// one S3 gateway to a volume, AWS S3 or Azure Blob Storage. The settings are the platform's own Helm values.
#[derive(Debug, Parser)]
#[command(
    name = "lifeboat",
    version,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// A Helm values file; may be repeated, later files win
    #[arg(
        short = 'f',
        long,
        global = true,
        env = "LIFEBOAT_VALUES",
        value_delimiter = ':',
        value_name = "FILE"
    )]
    pub(crate) values: Vec<PathBuf>,
    /// Set one key, as in Helm; wins over every file
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// How to print the result
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) output: Format,
    /// Show no progress and log only what a person must look at
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log what is done; twice: in detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a volume as an S3 endpoint
    Gateway(commands::gateway::GatewayArgs),
    /// Back up and restore topology and settings
    #[command(subcommand, name = "stackgraph")]
    StackGraph(StackGraphCommand),
    /// Back up and restore metrics
    #[command(subcommand)]
    VictoriaMetrics(VictoriaMetricsCommand),
    /// Take, list, expire and restore snapshots of telemetry
    #[command(subcommand)]
    Elasticsearch(ElasticsearchCommand),
    /// Show or check the settings
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Print a shell's completion script
    Completions(commands::completions::CompletionsArgs),
    /// Write man pages and the generated reference pages
    #[command(hide = true)]
    Docs(commands::docs::DocsArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum StackGraphCommand {
    Backup(commands::stackgraph::backup::BackupArgs),
    List(commands::stackgraph::list::ListArgs),
    Restore(commands::stackgraph::restore::RestoreArgs),
    Verify(commands::stackgraph::verify::VerifyArgs),
    Expire(commands::stackgraph::expire::ExpireArgs),
    Load(commands::stackgraph::load::LoadArgs),
    Show(commands::stackgraph::show::ShowArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum VictoriaMetricsCommand {
    Backup(commands::victoria_metrics::backup::BackupArgs),
    Copy(commands::victoria_metrics::copy::CopyArgs),
    List(commands::victoria_metrics::list::ListArgs),
    Restore(commands::victoria_metrics::restore::RestoreArgs),
    Confirm(commands::victoria_metrics::confirm::ConfirmArgs),
    Undo(commands::victoria_metrics::undo::UndoArgs),
    Verify(commands::victoria_metrics::verify::VerifyArgs),
    Expire(commands::victoria_metrics::expire::ExpireArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ElasticsearchCommand {
    Configure(commands::elasticsearch::configure::ConfigureArgs),
    Backup(commands::elasticsearch::backup::BackupArgs),
    List(commands::elasticsearch::list::ListArgs),
    Describe(commands::elasticsearch::describe::DescribeArgs),
    Restore(commands::elasticsearch::restore::RestoreArgs),
    Expire(commands::elasticsearch::expire::ExpireArgs),
    Policy(commands::elasticsearch::policy::PolicyArgs),
    Serve(commands::elasticsearch::serve::ServeArgs),
    ListIndices(commands::elasticsearch::list_indices::ListIndicesArgs),
    DeleteIndices(commands::elasticsearch::delete_indices::DeleteIndicesArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    Show(commands::settings::show::ShowArgs),
    Check(commands::settings::check::CheckArgs),
}

/// Makes ordinary arguments of what the platform's scripts pass: `-force` with one dash, and an empty last argument
/// where it is not wanted. What says settings goes to the end, wherever it stood: of options that may be repeated the parser would forget those before the
/// name of a command where others come after it.
pub(crate) fn normalise(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    for argument in &mut arguments {
        if argument == "-force" {
            *argument = "--force".into();
        }
    }
    if arguments.last().is_some_and(|last| last.is_empty()) {
        arguments.pop();
    }
    let positional = arguments.iter().position(|argument| argument == "--");
    let after = arguments.split_off(positional.unwrap_or(arguments.len()));
    let mut settings = Vec::new();
    let mut others = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if matches!(&*text, "--set" | "--values" | "-f") {
            settings.push(argument);
            settings.extend(arguments.next());
        } else if text.starts_with("--set=") || text.starts_with("--values=") {
            settings.push(argument);
        } else {
            others.push(argument);
        }
    }
    others.into_iter().chain(settings).chain(after).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn settings_count_on_both_sides_of_a_command() {
        let arguments = [
            "lifeboat",
            "-f",
            "a",
            "--set",
            "b=1",
            "settings",
            "--set=c=2",
            "show",
            "-f",
            "d",
        ];
        let cli = Cli::parse_from(normalise(arguments.map(OsString::from)));
        assert_eq!(cli.global.set, ["b=1", "c=2"]);
        let values: Vec<_> = cli.global.values.iter().map(|path| path.to_str()).collect();
        assert_eq!(values, [Some("a"), Some("d")]);
        let left = ["lifeboat", "x", "--", "--set", "y"].map(OsString::from);
        assert_eq!(normalise(left.clone()), left);
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_scripts_spelling_of_force_is_understood() {
        let given = ["lifeboat", "stackgraph", "restore", "a.graph", "-force"].map(OsString::from);
        let cli = Cli::try_parse_from(normalise(given)).unwrap();
        let Command::StackGraph(StackGraphCommand::Restore(args)) = cli.command else {
            panic!("restore was asked for");
        };
        assert!(args.force);
    }

    #[test]
    fn an_empty_last_argument_is_dropped() {
        let given = ["lifeboat", "stackgraph", "restore", "a.graph", ""].map(OsString::from);
        let cli = Cli::try_parse_from(normalise(given)).unwrap();
        let Command::StackGraph(StackGraphCommand::Restore(args)) = cli.command else {
            panic!("restore was asked for");
        };
        assert!(!args.force);
    }
}
